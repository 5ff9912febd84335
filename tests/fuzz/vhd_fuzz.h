/* SPDX-License-Identifier: Apache-2.0 */
/* vhd_fuzz.h - an image from the fuzzer's bytes, opened, used, closed, opened again. */
#ifndef TESTS_FUZZ_VHD_FUZZ_H
#define TESTS_FUZZ_VHD_FUZZ_H

#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/block.h"

enum { FUZZ_OPS = 64, FUZZ_SECTOR = 512, FUZZ_DATA = 64 * 1024 };

static int fuzz_status;

static inline void fuzz_done(struct blk_req *r, int status)
{
	(void)r;
	assert(fuzz_status == -1);
	fuzz_status = status;
}

static inline void fuzz_request(struct blk *b, const uint8_t *op)
{
	static const enum blk_op ops[] = { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD,
					   BLK_WRITE_ZEROES };
	static uint8_t data[FUZZ_DATA];
	const uint64_t sectors = b->capacity / FUZZ_SECTOR;
	struct iovec v = { data, (size_t)(1 + op[2] % 128) * FUZZ_SECTOR };
	/* Near the beginning, near the end, or anywhere. */
	uint64_t at = op[3] < 100   ? op[1] * 16ull
		      : op[3] < 200 ? sectors - 1 - op[1] % sectors
				    : sectors / 256 * op[1];
	struct blk_req r = { .op = ops[op[0] % 5], .iov = &v, .iov_count = 1 };

	if (at >= sectors)
		at = sectors - 1;
	if (v.iov_len / FUZZ_SECTOR > sectors - at)
		v.iov_len = (size_t)(sectors - at) * FUZZ_SECTOR;
	if (r.op != BLK_FLUSH) {
		r.offset = at * FUZZ_SECTOR;
		r.length = v.iov_len;
	}
	r.unmap = (op[0] & 0x80) != 0;
	r.done = fuzz_done;
	fuzz_status = -1;
	blk_submit(b, &r);
	assert(fuzz_status >= 0);
}

/*
 * The image in records: 24 bits of offset in sectors, 8 of length in units of
 * 8 bytes, the bytes. Length 0: the file ends there. Returns its size.
 */
static inline off_t fuzz_lay_out(int fd, const uint8_t *p, size_t n)
{
	struct stat st;

	while (n >= 4) {
		const off_t at = (off_t)(p[0] | p[1] << 8 | p[2] << 16) * FUZZ_SECTOR;
		size_t size = (size_t)p[3] * 8;

		p += 4;
		n -= 4;
		if (size > n)
			size = n;
		if (size == 0)
			(void)!ftruncate(fd, at);
		else
			(void)!pwrite(fd, p, size, at);
		p += size;
		n -= size;
	}
	assert(fstat(fd, &st) == 0);
	return st.st_size;
}

static inline int fuzz_image(const struct blk_ops *ops, void (*repair)(int fd, off_t size),
			     const uint8_t *data, size_t size)
{
	const size_t used = size < FUZZ_OPS ? size : FUZZ_OPS;
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert(fd >= 0);
	repair(fd, fuzz_lay_out(fd, data, size - used));
	for (unsigned life = 0; life < 3; life++) {
		struct sill_err e = { 0 };
		const struct blk_config c = { .fd = dup(fd),
					      .path = "image",
					      .readonly = life == 0 };
		struct blk *b = blk_open(ops, &c, &e);

		assert((b == NULL) == (e.code != SILL_ERR_NONE));
		for (size_t i = 0; b != NULL && i + 4 <= used; i += 4)
			fuzz_request(b, data + size - used + i);
		blk_close(b);
		if (b == NULL && life != 0)
			break;
	}
	close(fd);
	return 0;
}

#endif
