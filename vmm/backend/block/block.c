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
	b->block_size = 512;
	b->phys_size = 512;
	b->readonly = c->readonly;
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
	b->ops->submit(b, r);
}

int blk_resize(struct blk *b, uint64_t bytes, struct sill_err *e)
{
	uint64_t size = 0;
	int ret = -1;

	if (b->ops->resize == NULL)
		return sill_err_set(e, SILL_ERR_STATE, "a %s image cannot grow while it is in use",
				    b->ops->format);
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

static int execute_call(struct aio_op *op)
{
	struct blk_req *r = from_io(op);

	return r->fn(r->blk, r);
}

static void execute_done(struct aio_op *op, int err)
{
	struct blk_req *r = from_io(op);

	r->done(r, err);
}

void blk_execute(struct blk *b, struct blk_req *r, blk_fn fn)
{
	if (r->aio == NULL) {
		r->done(r, fn(b, r));
		return;
	}
	r->fn = fn;
	r->io = (struct aio_op){ .kind = AIO_CALL, .call = execute_call, .done = execute_done };
	aio_submit(r->aio, &r->io);
}
