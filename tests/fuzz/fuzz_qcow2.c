/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_qcow2.c - an image that is all the attacker's, opened, read and written.
 *
 * Input: one byte of flags, then pieces { where, length, bytes }: two bytes of
 * place (in units of 8 bytes), one of length, and so many bytes. They are laid
 * over an image that is right: clusters of 512 bytes, version 3, an L2 table,
 * data, a zero cluster, a compressed one. So mutations meet fields and tables,
 * not only the magic. Flags: 1 read-only, 2 version 2, 4 subclusters of 16 KiB
 * clusters, 8 requests are taken from the end of the input, 16 a read-only one is salvaged.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/block/qcow2.h"
#include "base/log.h"

enum { IMAGE = 1 << 19, BUF = 1 << 16 };

static uint8_t image[IMAGE];
static uint8_t buf[BUF];

/* Header, refcount table, block, L1, L2, data, zeroes, compressed: a cluster each. */
static void build(uint8_t flags)
{
	const bool ext = (flags & 4) != 0;
	const unsigned bits = ext ? 14 : 9;
	const uint64_t c = 1ull << bits, own = QCOW2_COPIED;
	uint8_t *p = image, *l2 = image + 4 * c;
	static const uint8_t stream[] = {
		0x2b, 0x28, 0x18, 0x05, 0x23, 0x19, 0x00, 0x00
	}; /* 512 x 'p' */
	const unsigned step = ext ? 16 : 8;

	memset(image, 0, sizeof(image));
	qcow2_put_be32(p, 0x514649fb);
	qcow2_put_be32(p + 4, (flags & 2) != 0 && !ext ? 2 : 3);
	qcow2_put_be32(p + 20, bits);
	qcow2_put_be64(p + 24, ext ? 8 << 20 : 128 * 1024);
	qcow2_put_be32(p + 36, ext ? 1 : 4);
	qcow2_put_be64(p + 40, 3 * c);
	qcow2_put_be64(p + 48, c);
	qcow2_put_be32(p + 56, 1);
	if ((flags & 2) == 0 || ext) {
		qcow2_put_be64(p + 72, ext ? QCOW2_INCOMPAT_SUBCLUSTERS : 0);
		qcow2_put_be32(p + 96, 4);
		qcow2_put_be32(p + 100, 112);
	}
	qcow2_put_be64(p + c, 2 * c);
	for (unsigned i = 0; i < 8; i++)
		p[2 * c + 2 * i + 1] = 1;
	qcow2_put_be64(p + 3 * c, own | 4 * c);
	qcow2_put_be64(l2, own | 5 * c);
	if (ext)
		qcow2_put_be64(l2 + 8, 0x0000ff000000000full);
	qcow2_put_be64(l2 + step, own | 6 * c | (ext ? 0 : QCOW2_ZERO));
	qcow2_put_be64(l2 + 2 * (size_t)step, QCOW2_COMPRESSED | 7 * c);
	memset(p + 5 * c, 'd', c);
	memcpy(p + 7 * c, stream, sizeof(stream));
}

static const uint8_t *mutate(const uint8_t *data, size_t size)
{
	while (size >= 3) {
		const size_t at = (size_t)(data[0] | data[1] << 8) * 8;
		size_t n = data[2] % 65;

		data += 3;
		size -= 3;
		n = n < size ? n : size;
		for (size_t i = 0; i < n; i++)
			image[(at + i) % IMAGE] = data[i];
		data += n;
		size -= n;
	}
	return data;
}

static void done(struct blk_req *r, int status)
{
	(void)r;
	assert(status >= 0);
}

static void operate(struct blk *b, const uint8_t *op)
{
	const uint64_t sectors = b->capacity / 512;
	struct blk_req r = { .op = (enum blk_op)(op[0] % 5),
			     .unmap = (op[0] & 8) != 0,
			     .done = done };
	struct iovec v = { buf, 0 };
	uint64_t at = op[1] | (uint64_t)op[2] << 8;

	at = (op[0] & 16) != 0 ? sectors - 1 - at % sectors : at % sectors;
	r.offset = at * 512;
	r.length = (op[3] % 128 + 1ull) * 512;
	if (r.length > b->capacity - r.offset)
		r.length = b->capacity - r.offset;
	v.iov_len = r.length;
	if (r.op == BLK_FLUSH)
		r.offset = r.length = 0;
	if (r.op == BLK_READ || r.op == BLK_WRITE) {
		r.iov = &v;
		r.iov_count = 1;
	}
	blk_submit(b, &r);
}

static void use(struct blk *b, const uint8_t *data, size_t size)
{
	static const uint8_t fixed[][4] = {
		{ 0, 0, 0, 127 }, { 1, 0, 0, 3 },   { 1, 2, 0, 0 },      { 1, 40, 1, 9 },
		{ 4, 0, 0, 20 },  { 3, 1, 0, 30 },  { 16 + 1, 0, 0, 0 }, { 2, 0, 0, 0 },
		{ 0, 0, 0, 127 }, { 1, 0, 0, 127 },
	};

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		operate(b, fixed[i]);
	for (size_t i = 0; i + 4 <= size && i < 400; i += 4)
		operate(b, data + size - i - 4);
}

/* The fuzzer is after crashes; a file system full of nothing helps nobody. */
static int resize(int fd, off_t n)
{
	if (n > 64 << 20) {
		errno = ENOSPC;
		return -1;
	}
	return ftruncate(fd, n);
}

static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qcow2_io io;
	struct blk_config c = { .path = "fuzz" };
	struct sill_err e = { 0 };
	struct blk *b;

	if (size < 1)
		return 0;
	io = qcow2_io_real;
	io.resize = resize;
	io.sync = no_sync;
	qcow2_io_set(&io);
	build(data[0]);
	(void)mutate(data + 1, size - 1);
	c.readonly = (data[0] & 1) != 0;
	c.salvage = (data[0] & 17) == 17;
	c.fd = memfd_create("qcow2", MFD_CLOEXEC);
	assert(c.fd >= 0 && write(c.fd, image, (data[0] & 4) != 0 ? IMAGE : 64 * 512) > 0);
	b = blk_open(&blk_qcow2_ops, &c, &e);
	assert((b == NULL) == (e.code != SILL_ERR_NONE));
	if (b != NULL)
		use(b, (data[0] & 8) != 0 ? data : NULL, (data[0] & 8) != 0 ? size : 0);
	blk_close(b);
	return 0;
}
