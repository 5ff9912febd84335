/* SPDX-License-Identifier: Apache-2.0 */
/* block.c - the frame around every image format: the descriptor, life, the last flush. */
#include "backend/block/block.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

enum {
	PIECE = 16 << 20,       /* of zeroes to write: half a second where that is slow */
	PIECE_GIVEN = 64 << 20, /* of space to give back: file systems do that by extents */
	PIECE_VECTORS = 320,    /* more than a device's request has */
};

struct blk *blk_open(const struct blk_ops *ops, const struct blk_config *c, struct sill_err *e)
{
	struct blk *b = calloc(1, sizeof(*b));
	auto_fd fd = c->fd;

	if (b != NULL) {
		b->fd = -1;
		(void)pthread_mutex_init(&b->resizing, NULL);
		b->path = strdup(c->path != NULL ? c->path : "disk");
		b->state = calloc(1, ops->state_size != 0 ? ops->state_size : 1);
	}
	if (b != NULL) {
		b->backing = c->backing;
		b->data = c->data;
	} else {
		blk_close(c->backing);
		blk_close(c->data);
	}
	if (b == NULL || b->path == NULL || b->state == NULL) {
		(void)sill_err_sys(e, ENOMEM, "disk '%s'", c->path);
		goto fail;
	}
	b->fd = fd_take(&fd);
	b->format = ops->format;
	b->block_size = 512;
	b->phys_size = 512;
	b->readonly = c->readonly;
	b->salvage = c->salvage;
	b->direct = c->direct;
	b->quiet = c->quiet;
	b->max_file = c->max_file;
	b->writeback = true;
	if (ops->open(b, e) < 0)
		goto fail;
	b->ops = ops; /* from here on, close() owes an ops->close() */
	assert(b->capacity != 0 && b->capacity % 512 == 0);
	return b;

fail:
	blk_close(b);
	return NULL;
}

/* The file's, and then what the format has left to write. The first failure counts. */
static int last_flush(struct blk *b)
{
	int err = 0, own;

	if (b->ops == NULL)
		return 0;
	if (!b->readonly && fdatasync(b->fd) < 0)
		err = errno;
	own = b->ops->close(b);
	if (err == 0)
		err = own;
	if (err != 0 && !b->quiet)
		log_line(LOG_ERROR, "%s: the last flush failed: %s", b->path, strerrordesc_np(err));
	return err;
}

int blk_close(struct blk *b)
{
	int err, below, data;

	if (b == NULL)
		return 0;
	err = last_flush(b);
	fd_close(&b->fd);
	below = blk_close(b->backing);
	data = blk_close(b->data);
	(void)pthread_mutex_destroy(&b->resizing);
	free(b->state);
	free(b->path);
	free(b);
	return err != 0 ? err : data != 0 ? data : below;
}

void blk_submit(struct blk *b, struct blk_req *r)
{
	const uint64_t capacity = blk_capacity(b);

	assert(r->offset <= capacity && r->length <= capacity - r->offset);
	assert(r->offset % 512 == 0 && r->length % 512 == 0);
	r->blk = b;
	r->zeroes_written = 0;
	b->ops->submit(b, r);
}

int blk_resize(struct blk *b, uint64_t bytes, struct sill_err *e)
{
	uint64_t size = 0;
	int ret = -1;

	if (b->ops->resize == NULL)
		return sill_err_set(e, SILL_ERR_STATE, "a %s image cannot grow while it is in use",
				    b->format);
	(void)pthread_mutex_lock(&b->resizing);
	if (bytes != 0 && bytes < b->capacity) {
		(void)sill_err_set(
			e, SILL_ERR_LIMIT,
			"%llu bytes are less than the disk has, and a disk in use does not shrink",
			(unsigned long long)bytes);
	} else if (b->ops->resize(b, bytes, &size, e) == 0) {
		assert(size >= b->capacity && size % 512 == 0);
		__atomic_store_n(&b->capacity, size, __ATOMIC_RELEASE);
		ret = 0;
	}
	(void)pthread_mutex_unlock(&b->resizing);
	return ret;
}

static struct blk_req *from_io(struct aio_op *op)
{
	return (struct blk_req *)(void *)((char *)op - offsetof(struct blk_req, io));
}

/* What fn() has written of zeroes, on this thread. */
static _Thread_local uint64_t zeroes_written;

void blk_wrote_zeroes(uint64_t n)
{
	zeroes_written += n;
}

void blk_abandon(struct blk *b, bool yes)
{
	__atomic_store_n(&b->gives_up, yes, __ATOMIC_SEQ_CST);
}

/*
 * How far to go from @off on before looking whether that is still wanted. Boundaries are the same
 * whatever the request: blocks and clusters stay whole.
 */
static uint64_t piece_at(const struct blk_req *r, uint64_t off, uint64_t end)
{
	const bool gives = r->op == BLK_DISCARD || r->unmap;
	uint64_t piece = gives ? PIECE_GIVEN : PIECE;

	if (gives && r->blk->unit > piece)
		piece = r->blk->unit;
	piece -= off % piece;
	return piece < end - off ? piece : end - off;
}

/* The vectors of [skip, skip + n) of the request's. Returns how many; 0: there is no room. */
static int cut(const struct blk_req *r, uint64_t skip, uint64_t n, struct iovec *out)
{
	int count = 0;

	for (int i = 0; i < r->iov_count && n > 0; i++) {
		size_t len = r->iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		if (count == PIECE_VECTORS)
			return 0;
		len -= (size_t)skip;
		len = len < n ? len : (size_t)n;
		out[count++] = (struct iovec){ (char *)r->iov[i].iov_base + skip, len };
		skip = 0;
		n -= len;
	}
	return count;
}

static int execute_pieces(const struct blk_req *r)
{
	const uint64_t end = r->offset + r->length;
	struct iovec iov[PIECE_VECTORS];
	struct blk_req part = *r;
	int err = 0;

	for (uint64_t off = r->offset; off < end && err == 0; off += part.length) {
		part.offset = off;
		part.length = piece_at(r, off, end);
		if (r->iov_count != 0) {
			part.iov = iov;
			part.iov_count = cut(r, off - r->offset, part.length, iov);
			if (part.iov_count == 0)
				return r->fn(r->blk, r); /* off is still the start */
		}
		if (__atomic_load_n(&r->blk->gives_up, __ATOMIC_ACQUIRE))
			err = ECANCELED;
		else
			err = r->fn(r->blk, &part);
	}
	return err;
}

static int execute_call(struct aio_op *op)
{
	struct blk_req *r = from_io(op);
	int err;

	zeroes_written = 0;
	err = r->length > PIECE ? execute_pieces(r) : r->fn(r->blk, r);
	if (r->op == BLK_DISCARD || r->op == BLK_WRITE_ZEROES)
		r->zeroes_written = zeroes_written;
	return err;
}

static void execute_done(struct aio_op *op, int err)
{
	struct blk_req *r = from_io(op);

	r->done(r, err);
}

static void sync_done(struct blk_req *r, int status)
{
	memcpy(r->own, &status, sizeof(status));
}

int blk_sync(struct blk *b)
{
	struct blk_req r = { .op = BLK_FLUSH, .done = sync_done };
	int status;

	if (b->readonly)
		return 0;
	blk_submit(b, &r); /* without an aio it is done when this returns */
	memcpy(&status, r.own, sizeof(status));
	return status;
}

void blk_execute(struct blk *b, struct blk_req *r, blk_fn fn)
{
	if (r->aio == NULL) {
		r->done(r, fn(b, r));
		return;
	}
	r->fn = fn;
	r->io = (struct aio_op){
		.kind = AIO_CALL, .call = execute_call, .quit = &b->gives_up, .done = execute_done
	};
	aio_submit(r->aio, &r->io);
}
