/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_io.c - one file of an image: vectors in pieces, O_DIRECT, the seam for tests. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "backend/block/qcow2.h"

enum { BATCH = 64 };

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

int qcow2_file_init(struct qcow2_file *f, int fd, bool direct)
{
	*f = (struct qcow2_file){ .io = io_now, .fd = fd, .direct = direct };
	aio_pace_init(&f->pace, fd, direct);
	syncs_init(&f->syncs);
	return direct ? align_init(&f->align, fd) : 0;
}

void qcow2_file_fini(struct qcow2_file *f)
{
	align_fini(&f->align);
	syncs_fini(&f->syncs);
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

void qcow2_iov_fill(const struct iovec *iov, int count, size_t skip, const uint8_t *src, size_t n)
{
	align_copy((struct align_part){ iov, count, skip, n }, (uint8_t *)(uintptr_t)src, false);
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

static int flat(void *ctx, bool write, void *p, size_t n, uint64_t off)
{
	struct qcow2_file *f = ctx;
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

/* The first pieces of a slice that fit @out. */
static int batch(const struct iovec *iov, int count, size_t skip, size_t n, struct iovec *out)
{
	int made = 0;

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
		const struct align_part left = { iov, count, skip, n };
		size_t done;
		int made, err;

		if (f->direct && !align_fits_part(&f->align, left, off))
			return align_bounce(&f->align, &(struct align_file){ flat, f, write }, left,
					    off);
		made = batch(iov, count, skip, n, v);
		err = some(f, write, v, made, off, &done);
		if (err != 0)
			return err;
		if (done == 0) { /* a read at the end of the file */
			align_copy(left, NULL, false);
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

static int sync_file(void *ctx)
{
	const struct qcow2_file *f = ctx;

	while (f->io->sync(f->fd) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

int qcow2_sync(struct qcow2_file *f)
{
	return syncs_run(&f->syncs, sync_file, f);
}
