/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_packed.c - compressed clusters: read. Those of a new image are written by qcow2_pack.c.
 *
 * The entry says where the bytes begin and in how many 512-byte sectors they
 * are; the stream ends when it has given a cluster. A decoder is kept with the
 * scratch buffers, and so is the last cluster it made: a guest reads a cluster
 * in several requests. The entry is a good key for it, because such an entry is
 * made before anybody reads, and its bytes stay while there is a reference.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "backend/block/qcow2.h"

/*
 * Bytes that a stream may look back, as a power: the decoder allocates that much, and the
 * image says how much it is. The largest cluster needs 21; those who do not tell their encoder
 * the size get 23 with its usual levels.
 */
enum { WINDOW_LOG = 23 };

void qcow2_packed_extent(const struct qcow2 *q, uint64_t entry, uint64_t *ret_off, uint64_t *ret_n)
{
	const unsigned x = 62 - (q->cluster_bits - 8);
	const uint64_t off = entry & ((1ull << x) - 1);
	const uint64_t more = entry >> x & ((1ull << (q->cluster_bits - 8)) - 1);

	*ret_off = off;
	*ret_n = (more + 1) * 512 - off % 512;
}

static int inflate_all(struct qcow2 *q, struct qcow2_scratch *s, size_t n)
{
	z_stream *z = s->inflater;

	if (z == NULL) {
		z = calloc(1, sizeof(*z));
		if (z == NULL)
			return ENOMEM;
		if (inflateInit2(z, -15) != Z_OK) {
			free(z);
			return ENOMEM;
		}
		s->inflater = z;
	} else if (inflateReset(z) != Z_OK) {
		return EIO;
	}
	z->next_in = s->packed;
	z->avail_in = (uInt)n;
	z->next_out = s->plain;
	z->avail_out = q->cluster_size;
	(void)inflate(z, Z_FINISH); /* a full cluster is what counts; bytes may follow it */
	return z->avail_out == 0 ? 0 : EIO;
}

static int zstd_all(struct qcow2 *q, struct qcow2_scratch *s, size_t n)
{
	ZSTD_inBuffer in = { .src = s->packed, .size = n };
	ZSTD_outBuffer out = { .dst = s->plain, .size = q->cluster_size };

	if (s->inflater == NULL) {
		s->inflater = ZSTD_createDCtx();
		if (s->inflater != NULL)
			(void)ZSTD_DCtx_setParameter(s->inflater, ZSTD_d_windowLogMax, WINDOW_LOG);
	}
	if (s->inflater == NULL)
		return ENOMEM;
	if (ZSTD_isError(ZSTD_DCtx_reset(s->inflater, ZSTD_reset_session_only)))
		return EIO;
	while (out.pos < out.size) {
		const size_t had_in = in.pos, had_out = out.pos;

		if (ZSTD_isError(ZSTD_decompressStream(s->inflater, &out, &in)) ||
		    (in.pos == had_in && out.pos == had_out))
			return EIO;
	}
	return 0;
}

int qcow2_packed_read(struct qcow2 *q, struct qcow2_scratch *s, uint64_t entry)
{
	uint64_t off, n;
	int err;

	if (s->plain_entry == entry)
		return 0;
	s->plain_entry = 0;
	qcow2_packed_extent(q, entry, &off, &n);
	err = qcow2_pread(&q->file, s->packed, (size_t)n, off);
	if (err == 0)
		err = q->zstd ? zstd_all(q, s, (size_t)n) : inflate_all(q, s, (size_t)n);
	if (err == 0)
		s->plain_entry = entry;
	return err;
}

void qcow2_packed_fini(struct qcow2 *q, struct qcow2_scratch *s)
{
	if (s->inflater == NULL)
		return;
	if (q->zstd) {
		(void)ZSTD_freeDCtx(s->inflater);
	} else {
		(void)inflateEnd(s->inflater);
		free(s->inflater);
	}
	s->inflater = NULL;
}
