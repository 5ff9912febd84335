/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_pack.c - compressed clusters, written into an image that nobody has read yet.
 *
 * What a cluster becomes lies byte after byte, across host clusters: each of these
 * counts how many it has something of. Compressing is done without a lock, so that
 * several threads do it at once; each has a packer of its own. Reading is in
 * qcow2_packed.c.
 *
 * The other implementation inflates with a window of 4 KiB, so zlib gets no more.
 */
#include "backend/block/qcow2_pack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

enum { WINDOW_BITS = 12, MEM_LEVEL = 9 };

struct qcow2_packer {
	z_stream zlib;
	bool has_zlib;
	ZSTD_CCtx *zstd;  /* owned, or NULL */
	uint32_t cluster; /* bytes */
	uint8_t *packed;  /* owned: a cluster */
};

struct qcow2_packer *qcow2_packer_create(const struct qcow2 *q)
{
	struct qcow2_packer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->cluster = q->cluster_size;
	p->packed = malloc(q->cluster_size);
	if (q->zstd)
		p->zstd = ZSTD_createCCtx();
	else
		p->has_zlib = deflateInit2(&p->zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
					   -WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
	if (p->packed != NULL && (p->has_zlib || p->zstd != NULL))
		return p;
	qcow2_packer_destroy(p);
	return NULL;
}

void qcow2_packer_destroy(struct qcow2_packer *p)
{
	if (p == NULL)
		return;
	if (p->has_zlib)
		(void)deflateEnd(&p->zlib);
	(void)ZSTD_freeCCtx(p->zstd);
	free(p->packed);
	free(p);
}

/* Into p->packed. Bytes, or 0 when it does not become smaller. */
static size_t shrink(struct qcow2_packer *p, const uint8_t *plain)
{
	const size_t room = p->cluster - 1;
	size_t n;

	if (p->zstd != NULL) {
		n = ZSTD_compress2(p->zstd, p->packed, room, plain, p->cluster);
		return ZSTD_isError(n) ? 0 : n;
	}
	if (deflateReset(&p->zlib) != Z_OK)
		return 0;
	p->zlib.next_in = (Bytef *)(uintptr_t)plain;
	p->zlib.avail_in = p->cluster;
	p->zlib.next_out = p->packed;
	p->zlib.avail_out = (uInt)room;
	return deflate(&p->zlib, Z_FINISH) == Z_STREAM_END ? room - p->zlib.avail_out : 0;
}

/* A place for @n bytes, less than a cluster: where the last one ended, or in a new cluster. */
static int find_room(struct qcow2 *q, uint64_t n, uint64_t *ret_host) REQUIRES(q->lock)
{
	const unsigned bits = 1u << q->ref_order;
	const uint64_t most = bits < 64 ? (1ull << bits) - 1 : UINT64_MAX;
	const uint64_t open = q->pack_at >> q->cluster_bits;
	uint64_t left = q->pack_end - q->pack_at, refs = 0, host, count;
	bool fresh;
	int err = left != 0 ? qcow2_ref_get(q, open, &refs) : 0;

	if (err != 0)
		return err;
	if (refs >= most)
		left = 0;
	if (left < n) {
		err = qcow2_alloc(q, 1, &host, &count, &fresh);
		if (err != 0)
			return err;
		if (left == 0 || host != q->pack_end) {
			q->pack_at = host;
			left = 0;
		}
		q->pack_end = host + q->cluster_size;
	}
	if (left != 0)
		err = qcow2_ref_set(q, open, refs + 1);
	if (err != 0)
		return err;
	*ret_host = q->pack_at;
	q->pack_at += n;
	return 0;
}

static int link_packed(struct qcow2 *q, uint64_t off, uint64_t host, uint64_t n) REQUIRES(q->lock)
{
	const unsigned x = 62 - (q->cluster_bits - 8);
	const uint64_t more = ((host + n - 1) >> 9) - (host >> 9), c = off >> q->cluster_bits;
	const uint32_t index = (uint32_t)(off >> (q->cluster_bits + q->l2_bits));
	struct qcow2_slot *s;
	uint64_t old, bitmap;
	int err;

	if (host >> x != 0)
		return EFBIG;
	err = qcow2_l2_get_update(q, index, &s);
	if (err == 0)
		err = qcow2_l2_entry(q, qcow2_cache_bytes(q, &q->l2, s), c, &old, &bitmap);
	if (err == 0 && (old != 0 || bitmap != 0))
		err = EEXIST;
	if (err == 0)
		qcow2_l2_set(q, s, c, QCOW2_COMPRESSED | more << x | host, 0);
	return err;
}

/* Nothing has come to point there. */
static void give_back(struct qcow2 *q, uint64_t host, uint64_t n) REQUIRES(q->lock)
{
	const uint64_t first = host >> q->cluster_bits, last = (host + n - 1) >> q->cluster_bits;

	qcow2_unref(q, first, last - first + 1);
	q->pack_at = q->pack_end = 0; /* it may be free now */
}

int qcow2_pack(struct qcow2 *q, struct qcow2_packer *p, const uint8_t *plain, uint64_t off,
	       bool *ret_packed)
{
	const size_t n = shrink(p, plain);
	uint64_t host;
	int err;

	*ret_packed = n != 0;
	if (n == 0)
		return 0;
	lock_take(&q->lock);
	err = qcow2_before_writing(q);
	if (err == 0)
		err = find_room(q, n, &host);
	if (err == 0) {
		lock_drop(&q->lock);
		err = qcow2_pwrite(&q->file, p->packed, n, host);
		lock_take(&q->lock);
		if (err == 0)
			err = link_packed(q, off, host, n);
		if (err != 0)
			give_back(q, host, n);
	}
	lock_drop(&q->lock);
	return err;
}

int qcow2_pack_end(struct qcow2 *q)
{
	struct stat st;
	uint64_t end;
	int err = 0;

	if (fstat(q->file.fd, &st) < 0)
		return errno;
	end = ((uint64_t)st.st_size + q->cluster_size - 1) & ~(uint64_t)(q->cluster_size - 1);
	if ((uint64_t)st.st_size < end && q->file.io->resize(q->file.fd, (off_t)end) < 0)
		err = errno;
	lock_take(&q->lock);
	if (err == 0 && q->file_end < end)
		q->file_end = end;
	q->pack_at = q->pack_end = 0;
	lock_drop(&q->lock);
	return err;
}
