/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - open an image and what is below it; requests that wait; what lies where. */
#include "image/open.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/format.h"
#include "base/fd.h"

enum { LOST_STEP = 64 * 1024 };

/* The backend of an image that becomes part of another. */
static struct blk *take_blk(struct sill_image *i)
{
	struct blk *b = i != NULL ? i->blk : NULL;

	if (i != NULL)
		salvage_destroy(i->salvage);
	free(i);
	return b;
}

struct sill_image *sill_image_open(const struct sill_image_source *s, struct sill_err *e)
{
	struct sill_image *i = calloc(1, sizeof(*i));
	struct blk *backing = take_blk(s->backing), *data = take_blk(s->data);
	auto_fd fd = s->fd;
	struct blk_config c = {
		.path = s->path, .readonly = s->readonly, .quiet = true, .salvage = s->salvage
	};

	if (i != NULL && s->salvage)
		i->salvage = salvage_create();
	if (i == NULL || (s->salvage && i->salvage == NULL)) {
		(void)sill_err_sys(e, ENOMEM, "'%s'", s->path);
		goto fail;
	}
	if (s->salvage && !s->readonly) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s': what is salvaged is only read",
				   s->path);
		goto fail;
	}
	i->format = s->format;
	if ((backing != NULL || data != NULL) &&
	    (blk_formats[s->format]->has & BLK_HAS_LAYERS) == 0) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s': %s is not made on top of anything",
				   s->path, sill_image_format_name(s->format));
		goto fail;
	}
	c.fd = fd_take(&fd);
	c.backing = backing;
	c.data = data;
	i->blk = blk_open(blk_formats[s->format]->ops, &c, e);
	if (i->blk != NULL)
		return i;
	salvage_destroy(i->salvage);
	free(i);
	return NULL;

fail:
	blk_close(backing);
	blk_close(data);
	if (i != NULL)
		salvage_destroy(i->salvage);
	free(i);
	return NULL;
}

void sill_image_close(struct sill_image *i)
{
	if (i == NULL)
		return;
	(void)blk_close(i->blk);
	salvage_destroy(i->salvage);
	free(i);
}

int sill_image_finish(struct sill_image *i, struct sill_err *e)
{
	int failed = sill_image_flush(i, e), err;
	char path[160];

	(void)snprintf(path, sizeof(path), "%s", i->blk->path);
	err = blk_close(i->blk);
	salvage_destroy(i->salvage);
	free(i);
	if (failed == 0 && err != 0)
		failed = sill_err_sys(e, err, "close '%s'", path);
	return failed;
}

uint64_t sill_image_size(const struct sill_image *i)
{
	return blk_capacity(i->blk);
}

const char *sill_image_data_path(const struct sill_image *i, unsigned depth)
{
	const struct blk *b = i->blk;

	while (depth-- > 0 && b != NULL)
		b = b->backing;
	if (b == NULL)
		return NULL;
	return b->data != NULL ? b->data->path : b->path;
}

/* --- requests -------------------------------------------------------------- */

struct waiter {
	struct blk_req r; /* first */
	int status;
};

static void waiter_done(struct blk_req *r, int status)
{
	((struct waiter *)(void *)r)->status = status;
}

static const char *const op_names[] = {
	[BLK_READ] = "read",
	[BLK_WRITE] = "write",
	[BLK_FLUSH] = "flush",
	[BLK_DISCARD] = "discard",
	[BLK_WRITE_ZEROES] = "write zeroes",
};

static int request(struct sill_image *i, struct blk_req r, struct sill_err *e)
{
	struct waiter w = { .r = r, .status = -1 };
	const uint64_t size = blk_capacity(i->blk);

	if (r.offset > size || r.length > size - r.offset || r.offset % 512 != 0 ||
	    r.length % 512 != 0)
		return sill_err_set(e, SILL_ERR_STATE, "%s outside of '%s'", op_names[r.op],
				    i->blk->path);
	w.r.done = waiter_done;
	blk_submit(i->blk, &w.r);
	assert(w.status >= 0);
	if (w.status == 0)
		return 0;
	return sill_err_sys(e, w.status, "%s '%s' at %llu", op_names[r.op], i->blk->path,
			    (unsigned long long)r.offset);
}

static int read_once(struct sill_image *i, void *p, size_t n, uint64_t off, struct sill_err *e)
{
	const struct iovec v = { p, n };

	return request(
		i,
		(struct blk_req){
			.op = BLK_READ, .offset = off, .length = n, .iov = &v, .iov_count = 1 },
		e);
}

/* What can be had of it, by halves, in so far as the halves are whole sectors; the rest is zeroes. */
static void read_halves(struct sill_image *i, uint8_t *p, size_t n, uint64_t off)
{
	const size_t half = n / 2 / 512 * 512;
	struct sill_err unused = { 0 };

	if (read_once(i, p, n, off, &unused) == 0)
		return;
	if (half != 0) {
		read_halves(i, p, half, off);
		read_halves(i, p + half, n - half, off + half);
		return;
	}
	memset(p, 0, n);
	salvage_add(i->salvage, off, off + n);
}

int sill_image_read(struct sill_image *i, void *p, size_t n, uint64_t off, struct sill_err *e)
{
	const uint64_t size = blk_capacity(i->blk);

	if (i->salvage == NULL || off > size || n > size - off || off % 512 != 0 || n % 512 != 0)
		return read_once(i, p, n, off, e);
	read_halves(i, p, n, off);
	return 0;
}

int sill_image_write(struct sill_image *i, const void *p, size_t n, uint64_t off,
		     struct sill_err *e)
{
	const struct iovec v = { (void *)(uintptr_t)p, n };

	return request(
		i,
		(struct blk_req){
			.op = BLK_WRITE, .offset = off, .length = n, .iov = &v, .iov_count = 1 },
		e);
}

int sill_image_zero(struct sill_image *i, uint64_t off, uint64_t n, bool unmap, struct sill_err *e)
{
	return request(i,
		       (struct blk_req){
			       .op = BLK_WRITE_ZEROES, .offset = off, .length = n, .unmap = unmap },
		       e);
}

int sill_image_flush(struct sill_image *i, struct sill_err *e)
{
	return request(i, (struct blk_req){ .op = BLK_FLUSH }, e);
}

/* --- what lies where ------------------------------------------------------- */

/* What the tables would say is lost: it is taken for zeroes, and noted. */
static void lose(struct sill_image *i, const struct blk_status *s, int err,
		 struct sill_image_extent *x)
{
	/* When not even that is known: on to where the next may begin. */
	const uint64_t n = err != 0 ? LOST_STEP - x->offset % LOST_STEP : s->length;

	x->length = n < x->length ? n : x->length;
	x->present = x->zero = true;
	salvage_add(i->salvage, x->offset, x->offset + x->length);
}

/* Space that was set aside and never written reads as zeroes, whatever the tables call it. */
static bool is_data_hole(struct blk *b, struct blk_status *s)
{
	struct blk *file = b->data != NULL ? b->data : b;

	/* Behind the end of a file that was cut is no hole: what was there is lost. */
	return !b->salvage && s->kind == BLK_DATA && s->has_place && s->place % 512 == 0 &&
	       b->ops != &blk_raw_ops && blk_is_hole(file, s->place, s->length, &s->length);
}

int sill_image_extent(struct sill_image *i, uint64_t off, uint64_t n, unsigned depth,
		      struct sill_image_extent *ret, struct sill_err *e)
{
	struct sill_image_extent x = { .offset = off, .length = n };
	struct blk *b = i->blk;

	if (n == 0 || off >= b->capacity || n > b->capacity - off)
		return sill_err_set(e, SILL_ERR_STATE, "look up outside of '%s'", b->path);
	for (;; b = b->backing) {
		struct blk_status s = { .length = 0 };
		bool is_last, is_hole;
		int err;

		if (x.length > b->capacity - off)
			x.length = b->capacity - off;
		err = b->ops->status(b, off, x.length, &s);
		if (i->salvage != NULL && (err != 0 || s.kind == BLK_LOST)) {
			lose(i, &s, err, &x);
			break;
		}
		is_hole = err == 0 && is_data_hole(b, &s);
		if (err != 0)
			return sill_err_sys(e, err, "look up in '%s' at %llu", b->path,
					    (unsigned long long)off);
		x.length = s.length < x.length ? s.length : x.length;
		/* A shorter image below has zeroes behind its end. */
		is_last = b->backing == NULL || off >= b->backing->capacity;
		if (s.kind == BLK_ABSENT && !is_last && x.depth < depth) {
			x.depth++;
			continue;
		}
		x.present = s.kind != BLK_ABSENT;
		x.data = s.kind == BLK_DATA;
		x.zero = s.kind == BLK_ZEROES || is_hole || (s.kind == BLK_ABSENT && is_last);
		x.compressed = s.packed;
		x.has_place = s.has_place;
		x.place = s.place;
		break;
	}
	*ret = x;
	return 0;
}
