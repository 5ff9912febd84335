/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_io.c - one file of an image: vectors in pieces, O_DIRECT, the seam for tests.
 *
 * With O_DIRECT what is not aligned goes through a bounce buffer in whole
 * blocks, under a lock that is held across the I/O: two writes of parts of one
 * block must not interleave. An aligned write never shares a block with another.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/qcow2.h"

enum { BOUNCE = 256 * 1024, BATCH = 64 };

static ssize_t real_readv(int fd, const struct iovec *iov, int count, off_t off)
{
	return preadv(fd, iov, count, off);
}

static ssize_t real_writev(int fd, const struct iovec *iov, int count, off_t off)
{
	return pwritev(fd, iov, count, off);
}

static int real_punch(int fd, off_t off, off_t length)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, length);
}

const struct qcow2_io qcow2_io_real = {
	.readv = real_readv,
	.writev = real_writev,
	.sync = fdatasync,
	.resize = ftruncate,
	.punch = real_punch,
};

static const struct qcow2_io *io_now = &qcow2_io_real;

void qcow2_io_set(const struct qcow2_io *io)
{
	io_now = io != NULL ? io : &qcow2_io_real;
}

/* What O_DIRECT asks of us, where the kernel (6.1 and newer) tells; else the safe guess. */
static void find_alignment(struct qcow2_file *f)
{
	f->mem_align = f->off_align = 4096;
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN) != 0 && sx.stx_dio_offset_align != 0 &&
	    BOUNCE % sx.stx_dio_offset_align == 0 && sx.stx_dio_mem_align != 0) {
		f->mem_align = sx.stx_dio_mem_align;
		f->off_align = sx.stx_dio_offset_align;
	}
#endif
}

int qcow2_file_init(struct qcow2_file *f, int fd, bool direct)
{
	*f = (struct qcow2_file){ .io = io_now, .fd = fd, .direct = direct };
	lock_init(&f->lock, RANK_IMAGE);
	if (direct) {
		find_alignment(f);
		f->bounce = aligned_alloc(f->mem_align > 4096 ? f->mem_align : 4096, BOUNCE);
		if (f->bounce == NULL)
			return ENOMEM;
	}
	return 0;
}

void qcow2_file_fini(struct qcow2_file *f)
{
	if (f->io == NULL)
		return;
	lock_fini(&f->lock);
	free(f->bounce);
	f->io = NULL;
}

int qcow2_iov_slice(const struct iovec *iov, int count, size_t skip, size_t n, struct iovec *out,
		    int max)
{
	int made = 0;

	for (int i = 0; i < count && n > 0; i++) {
		size_t piece = iov[i].iov_len;

		if (skip >= piece) {
			skip -= piece;
			continue;
		}
		piece -= skip;
		if (piece > n)
			piece = n;
		if (made == max)
			return -1;
		out[made++] = (struct iovec){ (char *)iov[i].iov_base + skip, piece };
		skip = 0;
		n -= piece;
	}
	assert(n == 0);
	return made;
}

/* Copy between @flat and the vectors; @flat NULL: zeroes to the vectors. */
static void copy_vectors(const struct iovec *iov, int count, size_t skip, uint8_t *flat, size_t n,
			 bool to_flat)
{
	for (int i = 0; i < count && n > 0; i++) {
		size_t piece = iov[i].iov_len;
		uint8_t *p;

		if (skip >= piece) {
			skip -= piece;
			continue;
		}
		p = (uint8_t *)iov[i].iov_base + skip;
		piece -= skip;
		if (piece > n)
			piece = n;
		if (flat == NULL) {
			memset(p, 0, piece);
		} else {
			memcpy(to_flat ? flat : p, to_flat ? p : flat, piece);
			flat += piece;
		}
		skip = 0;
		n -= piece;
	}
	assert(n == 0);
}

void qcow2_iov_fill(const struct iovec *iov, int count, size_t skip, const uint8_t *src, size_t n)
{
	copy_vectors(iov, count, skip, (uint8_t *)(uintptr_t)src, n, false);
}

/* As much as the kernel takes. 0 and *ret_n, or an errno. */
static int some(struct qcow2_file *f, bool write, const struct iovec *iov, int count, uint64_t off,
		size_t *ret_n)
{
	ssize_t n;

	do {
		n = write ? f->io->writev(f->fd, iov, count, (off_t)off)
			  : f->io->readv(f->fd, iov, count, (off_t)off);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	if (n == 0 && write)
		return EIO;
	*ret_n = (size_t)n;
	return 0;
}

static int flat(struct qcow2_file *f, bool write, void *p, size_t n, uint64_t off)
{
	struct iovec v = { p, n };

	while (v.iov_len > 0) {
		size_t done;
		int err = some(f, write, &v, 1, off, &done);

		if (err != 0)
			return err;
		if (done == 0) {
			memset(v.iov_base, 0, v.iov_len);
			return 0;
		}
		v.iov_base = (char *)v.iov_base + done;
		v.iov_len -= done;
		off += done;
	}
	return 0;
}

static int bounced(struct qcow2_file *f, bool write, const struct iovec *iov, int count,
		   size_t skip, size_t n, uint64_t off)
{
	int err = 0;

	lock_take(&f->lock);
	while (n > 0 && err == 0) {
		const size_t lead = (size_t)(off % f->off_align);
		const size_t piece = n < BOUNCE - lead ? n : BOUNCE - lead;
		const size_t whole =
			(lead + piece + f->off_align - 1) / f->off_align * f->off_align;

		if (!write || whole != piece)
			err = flat(f, false, f->bounce, whole, off - lead);
		if (err == 0) {
			copy_vectors(iov, count, skip, f->bounce + lead, piece, write);
			if (write)
				err = flat(f, true, f->bounce, whole, off - lead);
		}
		skip += piece;
		off += piece;
		n -= piece;
	}
	lock_drop(&f->lock);
	return err;
}

bool qcow2_is_aligned(const struct qcow2_file *f, const struct iovec *iov, int count, uint64_t off)
{
	if (off % f->off_align != 0)
		return false;
	for (int i = 0; i < count; i++)
		if ((uintptr_t)iov[i].iov_base % f->mem_align != 0 ||
		    iov[i].iov_len % f->off_align != 0)
			return false;
	return true;
}

/* The first pieces of a slice that fit @out; *ret_n bytes of it. */
static int batch(const struct iovec *iov, int count, size_t skip, size_t n, struct iovec *out,
		 size_t *ret_n)
{
	int made = 0;

	*ret_n = 0;
	for (int i = 0; i < count && n > 0 && made < BATCH; i++) {
		size_t piece = iov[i].iov_len;

		if (skip >= piece) {
			skip -= piece;
			continue;
		}
		piece -= skip;
		if (piece > n)
			piece = n;
		out[made++] = (struct iovec){ (char *)iov[i].iov_base + skip, piece };
		skip = 0;
		n -= piece;
		*ret_n += piece;
	}
	assert(made > 0);
	return made;
}

static int transfer(struct qcow2_file *f, bool write, const struct iovec *iov, int count,
		    size_t skip, size_t n, uint64_t off)
{
	if (off > INT64_MAX - n)
		return EFBIG;
	while (n > 0) {
		struct iovec v[BATCH];
		size_t whole, done;
		int made = batch(iov, count, skip, n, v, &whole);
		int err;

		if (f->direct && !qcow2_is_aligned(f, v, made, off)) {
			err = bounced(f, write, v, made, 0, whole, off);
			done = whole;
		} else {
			err = some(f, write, v, made, off, &done);
		}
		if (err != 0)
			return err;
		if (done == 0) { /* a read at the end of the file */
			copy_vectors(iov, count, skip, NULL, n, false);
			return 0;
		}
		skip += done;
		off += done;
		n -= done;
	}
	return 0;
}

int qcow2_readv(struct qcow2_file *f, const struct iovec *iov, int count, size_t skip, size_t n,
		uint64_t off)
{
	return transfer(f, false, iov, count, skip, n, off);
}

int qcow2_writev(struct qcow2_file *f, const struct iovec *iov, int count, size_t skip, size_t n,
		 uint64_t off)
{
	return transfer(f, true, iov, count, skip, n, off);
}

int qcow2_pread(struct qcow2_file *f, void *p, size_t n, uint64_t off)
{
	const struct iovec v = { p, n };

	return transfer(f, false, &v, 1, 0, n, off);
}

int qcow2_pwrite(struct qcow2_file *f, const void *p, size_t n, uint64_t off)
{
	const struct iovec v = { (void *)(uintptr_t)p, n };

	return transfer(f, true, &v, 1, 0, n, off);
}

int qcow2_sync(struct qcow2_file *f)
{
	while (f->io->sync(f->fd) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}
