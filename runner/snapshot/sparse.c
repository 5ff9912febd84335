/* SPDX-License-Identifier: Apache-2.0 */
/* sparse.c - see sparse.h. */
#include "runner/snapshot/sparse.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, TELL_EVERY = 16 << 20, READ_MAX = 1 << 30 };

static uint64_t size_of(const struct sill_ram_range *r, unsigned count)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < count; i++)
		n += r[i].size;
	return n;
}

int sparse_put(int fd, const void *p, size_t n, off_t off)
{
	const uint8_t *at = p;

	while (n > 0) {
		const ssize_t done = pwrite(fd, at, n, off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		if (done == 0)
			return ENOSPC;
		at += done;
		off += done;
		n -= (size_t)done;
	}
	return 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static bool tell(const struct sparse_told *told, uint64_t done, uint64_t size)
{
	return told->fn == NULL || told->fn(told->ctx, done, size);
}

struct writing {
	int fd;
	uint64_t done, size, next; /* bytes of memory: it is told when next is done */
	const struct sparse_told *told;
};

/* 0 or an errno; ECANCELED: told to give up. */
static int advance(struct writing *w, uint64_t n)
{
	w->done += n;
	if (w->done < w->next)
		return 0;
	w->next = w->done + TELL_EVERY;
	return tell(w->told, w->done, w->size) ? 0 : ECANCELED;
}

/*
 * Memory that may not be zero, from @off on: where it begins, and, in *@ret_end, ends. Shared memory is asked for
 * its holes: who reads there has them filled, and the host's memory with it.
 */
static uint64_t next_data(const struct sill_ram_range *r, uint64_t off, uint64_t *ret_end)
{
	const off_t start = (off_t)r->off;
	off_t data, hole;

	*ret_end = r->size;
	if (r->fd < 0)
		return off;
	data = lseek(r->fd, start + (off_t)off, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? r->size : off; /* else it cannot say */
	hole = lseek(r->fd, data, SEEK_HOLE);
	if (hole > data && (uint64_t)(hole - start) < r->size)
		*ret_end = (uint64_t)(hole - start);
	off = (uint64_t)(data - start);
	return off < r->size ? off : r->size;
}

static int write_data(struct writing *w, off_t at, const uint8_t *p, uint64_t size)
{
	int err = 0;

	for (uint64_t off = 0; off < size && err == 0; off += PIECE) {
		const size_t n = size - off < PIECE ? (size_t)(size - off) : PIECE;

		if (!is_zero(p + off, n))
			err = sparse_put(w->fd, p + off, n, at + (off_t)off);
		if (err == 0)
			err = advance(w, n);
	}
	return err;
}

static int write_range(struct writing *w, off_t at, const struct sill_ram_range *r)
{
	const uint8_t *p = r->host;
	uint64_t off = 0, end;
	int err = 0;

	while (off < r->size && err == 0) {
		const uint64_t data = next_data(r, off, &end);

		err = advance(w, data - off);
		if (err == 0 && data < r->size)
			err = write_data(w, at + (off_t)data, p + data, end - data);
		off = data < r->size ? end : r->size;
	}
	return err;
}

int sparse_write(int fd, off_t at, const struct sill_ram_range *r, unsigned count,
		 const struct sparse_told *told, struct sill_err *e)
{
	struct writing w = {
		.fd = fd, .size = size_of(r, count), .next = TELL_EVERY, .told = told
	};
	int err = ftruncate(fd, at + (off_t)w.size) == 0 ? 0 : errno;

	for (unsigned i = 0; i < count && err == 0; i++) {
		err = write_range(&w, at, &r[i]);
		at += (off_t)r[i].size;
	}
	if (err == 0 && !tell(told, w.size, w.size))
		err = ECANCELED;
	return err == 0 ? 0 : sill_err_sys(e, err, "write the memory");
}

/* [at, end) into @to. */
static int read_all(int fd, uint8_t *to, off_t at, off_t end, struct sill_err *e)
{
	while (at < end) {
		const size_t n = end - at > READ_MAX ? READ_MAX : (size_t)(end - at);
		const ssize_t done = pread(fd, to, n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return sill_err_sys(e, errno, "read the memory");
		if (done == 0)
			return sill_err_set(e, SILL_ERR_STATE, "the memory's file has been cut");
		to += done;
		at += done;
	}
	return 0;
}

int sparse_read(int fd, off_t at, const struct sill_ram_range *r, struct sill_err *e)
{
	const off_t end = at + (off_t)r->size;
	off_t data = at;

	while (data < end) {
		off_t hole;

		data = lseek(fd, data, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0; /* nothing but a hole from here on */
		if (data < 0)
			return sill_err_sys(e, errno, "read the memory");
		if (data >= end)
			return 0;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || hole > end)
			hole = end;
		if (read_all(fd, (uint8_t *)r->host + (data - at), data, hole, e) < 0)
			return -1;
		data = hole;
	}
	return 0;
}
