/* SPDX-License-Identifier: Apache-2.0 */
/* vhdio.c - whole transfers over partial ones, zeroes by every way there is. */
#include "backend/block/vhdio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/block.h"
#include "base/le.h"
#include "base/log.h"

enum {
	SECTOR = 512,
	ZEROES = 64 * 1024,
	SLICE = 64, /* vectors a call: they are on the stack */
};

const struct vhdio_calls vhdio_host = {
	.preadv = preadv,
	.pwritev = pwritev,
	.fdatasync = fdatasync,
	.ftruncate = ftruncate,
	.fallocate = fallocate,
};

const struct vhdio_calls *vhdio_calls = &vhdio_host;

/* Never written; not const, because an iovec is not. */
static _Alignas(4096) uint8_t zeroes[ZEROES];

void vhdio_cursor_init(struct vhdio_cursor *c, const struct blk_req *r)
{
	*c = (struct vhdio_cursor){ .iov = r->iov, .count = r->iov_count };
}

static void advance(struct vhdio_cursor *c, size_t n)
{
	while (c->count > 0 && n >= c->iov->iov_len - c->skip) {
		n -= c->iov->iov_len - c->skip;
		c->iov++;
		c->count--;
		c->skip = 0;
	}
	c->skip += n;
}

/*
 * The next vectors, at most @n bytes of them. Where the array is too short for
 * odd vectors the cut is between sectors: a sector is written whole or not.
 */
static int slice(const struct vhdio_cursor *c, struct iovec *v, uint64_t n)
{
	size_t skip = c->skip, sum = 0, odd;
	int count = 0;

	for (int i = 0; i < c->count && count < SLICE && sum < n; i++) {
		const size_t room = c->iov[i].iov_len - skip;
		const size_t piece = room < n - sum ? room : (size_t)(n - sum);

		if (piece > 0)
			v[count++] = (struct iovec){ (char *)c->iov[i].iov_base + skip, piece };
		sum += piece;
		skip = 0;
	}
	odd = sum < n && sum > SECTOR ? sum % SECTOR : 0;
	while (odd > 0) {
		struct iovec *last = &v[count - 1];
		const size_t cut = odd < last->iov_len ? odd : last->iov_len;

		last->iov_len -= cut;
		odd -= cut;
		if (last->iov_len == 0)
			count--;
	}
	return count;
}

void vhdio_cursor_zero(struct vhdio_cursor *c, uint64_t n)
{
	struct iovec v[SLICE];

	while (n > 0) {
		const int count = slice(c, v, n);
		size_t done = 0;

		if (count == 0)
			return;
		for (int i = 0; i < count; i++) {
			memset(v[i].iov_base, 0, v[i].iov_len);
			done += v[i].iov_len;
		}
		advance(c, done);
		n -= done;
	}
}

int vhdio_xfer(int fd, bool write, struct vhdio_cursor *c, uint64_t off, uint64_t n)
{
	struct iovec v[SLICE];

	while (n > 0) {
		const int count = slice(c, v, n);
		ssize_t done;

		if (count == 0)
			return EIO;
		if (write)
			done = vhdio_calls->pwritev(fd, v, count, (off_t)off);
		else
			done = vhdio_calls->preadv(fd, v, count, (off_t)off);
		if (done < 0) {
			if (errno == EINTR)
				continue;
			return errno;
		}
		if (done == 0)
			return EIO; /* the file has been cut under us */
		advance(c, (size_t)done);
		off += (uint64_t)done;
		n -= (uint64_t)done;
	}
	return 0;
}

int vhdio_read(int fd, void *p, size_t n, uint64_t off)
{
	const struct iovec v = { .iov_base = p, .iov_len = n };
	struct vhdio_cursor c = { .iov = &v, .count = 1 };

	return vhdio_xfer(fd, false, &c, off, n);
}

int vhdio_write(int fd, const void *p, size_t n, uint64_t off)
{
	struct iovec v = { .iov_len = n };
	struct vhdio_cursor c = { .iov = &v, .count = 1 };

	memcpy(&v.iov_base, &p, sizeof(p)); /* an iovec is not const, a write only reads */
	return vhdio_xfer(fd, true, &c, off, n);
}

int vhdio_sync(int fd)
{
	while (vhdio_calls->fdatasync(fd) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

int vhdio_truncate(int fd, uint64_t size)
{
	while (vhdio_calls->ftruncate(fd, (off_t)size) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

static int allocate(int fd, int mode, uint64_t off, uint64_t n)
{
	while (vhdio_calls->fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)n) < 0) {
		if (errno == EINVAL || errno == ENOSYS)
			return EOPNOTSUPP;
		if (errno != EINTR)
			return errno;
	}
	return 0;
}

int vhdio_punch(int fd, uint64_t off, uint64_t n)
{
	return n == 0 ? 0 : allocate(fd, FALLOC_FL_PUNCH_HOLE, off, n);
}

int vhdio_zero(int fd, uint64_t off, uint64_t n, bool unmap)
{
	int err = EOPNOTSUPP;

	if (n == 0)
		return 0;
	if (unmap)
		err = allocate(fd, FALLOC_FL_PUNCH_HOLE, off, n);
	if (err == EOPNOTSUPP)
		err = allocate(fd, FALLOC_FL_ZERO_RANGE, off, n);
	if (err != EOPNOTSUPP)
		return err;
	while (n > 0) {
		const size_t piece = n < ZEROES ? (size_t)n : ZEROES;

		err = vhdio_write(fd, zeroes, piece, off);
		if (err != 0)
			return err;
		blk_wrote_zeroes(piece);
		off += piece;
		n -= piece;
	}
	return 0;
}

int vhdio_table_init(struct vhdio_table *t, size_t max)
{
	void *mem = mmap(NULL, max, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return errno;
	*t = (struct vhdio_table){ .mem = mem, .max = max };
	return 0;
}

void vhdio_table_fini(struct vhdio_table *t)
{
	if (t->mem != NULL)
		(void)munmap(t->mem, t->max);
	*t = (struct vhdio_table){ 0 };
}

int vhdio_table_grow(struct vhdio_table *t, size_t size)
{
	if (size <= t->size)
		return 0;
	if (size > t->max)
		return ENOMEM;
	if (mprotect(t->mem, size, PROT_READ | PROT_WRITE) < 0)
		return errno;
	t->size = size;
	return 0;
}

int vhdio_fail(struct blk *b, int err, const char *what, struct sill_err *e)
{
	return sill_err_sys(e, err, "disk '%s': %s", b->path, what);
}

int vhdio_damaged(struct blk *b, struct sill_err *e, const char *what)
{
	return sill_err_set(e, SILL_ERR_HOST, "disk '%s' is not a sound %s image: %s", b->path,
			    b->format, what);
}

int vhdio_unsupported(struct blk *b, struct sill_err *e, const char *what)
{
	return sill_err_set(e, SILL_ERR_LIMIT, "disk '%s' %s, which is not supported", b->path,
			    what);
}

int vhdio_prepare(struct blk *b, uint64_t *ret_size, struct sill_err *e)
{
	struct stat st;

	if (fstat(b->fd, &st) < 0)
		return vhdio_fail(b, errno, "size", e);
	if (!S_ISREG(st.st_mode)) {
		(void)sill_err_set(e, SILL_ERR_HOST, "disk '%s' is not a regular file", b->path);
		return sill_err_hint(e, "a device holds format raw");
	}
	if (b->direct) {
		const int flags = fcntl(b->fd, F_GETFL);

		if (flags < 0 || fcntl(b->fd, F_SETFL, flags & ~O_DIRECT) < 0)
			return vhdio_fail(b, errno, "direct", e);
		log_line(LOG_WARN, "%s: direct is off: this format is not aligned to blocks",
			 b->path);
		b->direct = false;
	}
	while (b->phys_size < (uint64_t)st.st_blksize && b->phys_size < 64 * 1024)
		b->phys_size *= 2;
	/* Asked beyond the end, where it changes nothing. */
	b->can_discard =
		!b->readonly &&
		vhdio_punch(b->fd, ((uint64_t)st.st_size + 0xfffff) & ~0xfffffull, 4096) == 0;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* --- CRC-32C ------------------------------------------------------------ */

static uint32_t crc_table[8][256];

static void make_table(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t c = i;

		for (unsigned k = 0; k < 8; k++)
			c = (c & 1) != 0 ? c >> 1 ^ 0x82f63b78u : c >> 1;
		crc_table[0][i] = c;
	}
	for (unsigned i = 0; i < 256; i++)
		for (unsigned k = 1; k < 8; k++)
			crc_table[k][i] =
				crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 0xff];
}

uint32_t vhdio_crc(uint32_t crc, const void *p, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint8_t *b = p;

	(void)pthread_once(&once, make_table);
	crc = ~crc;
	for (; n >= 8; n -= 8, b += 8) {
		const uint32_t lo = ld32(b) ^ crc, hi = ld32(b + 4);

		crc = crc_table[7][lo & 0xff] ^ crc_table[6][lo >> 8 & 0xff] ^
		      crc_table[5][lo >> 16 & 0xff] ^ crc_table[4][lo >> 24] ^
		      crc_table[3][hi & 0xff] ^ crc_table[2][hi >> 8 & 0xff] ^
		      crc_table[1][hi >> 16 & 0xff] ^ crc_table[0][hi >> 24];
	}
	for (; n > 0; n--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *b++) & 0xff];
	return ~crc;
}
