/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - from one image to another, by several threads.
 *
 * A cursor goes over the source, extent by extent, and hands out pieces: holes
 * as they are, data in buffers' worth. Whoever has a piece reads it, finds the
 * zeroes in it and writes the rest. The pieces begin at multiples of their size
 * so that no two threads share a cluster; those of one image are in rising
 * order but for a few, which is what disks and readahead like.
 *
 * The calling thread is one of the workers; the others live no longer than the
 * call. They take the cursor's lock and below it those of the source's backend.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/block/qcow2.h"
#include "base/thread.h"
#include "image/image.h"

enum {
	PIECE = 1024 * 1024, /* stays in the processor's cache between read and write */
	MAX_WORKERS = 8,
	PAGE = 4096,
};

struct job {
	const struct sill_image_copy *c;
	uint64_t size;
	uint32_t grain; /* zeroes are looked for in so large pieces of `to` */

	pthread_mutex_t mutex;      /* a leaf but for the backend's locks; guards all below */
	uint64_t at;                /* all before it was handed out */
	struct sill_image_extent x; /* what is at `at`, if it is not behind its end */
	uint64_t done;
	bool stopped;
	struct sill_err err; /* the first one */
};

/* What a worker has to do. */
struct piece {
	uint64_t off, length;
	bool zero;
};

/* Is all of it zero? Compared with itself one word further on, which libc does at full speed. */
static bool is_zero(const uint8_t *p, size_t n)
{
	uint64_t first;

	memcpy(&first, p, sizeof(first));
	return first == 0 && memcmp(p, p + sizeof(first), n - sizeof(first)) == 0;
}

static void stop(struct job *j, const struct sill_err *e)
{
	(void)pthread_mutex_lock(&j->mutex);
	if (!j->stopped && e != NULL)
		j->err = *e;
	j->stopped = true;
	(void)pthread_mutex_unlock(&j->mutex);
}

static bool has_extent(const struct job *j)
{
	return j->at >= j->x.offset && j->at - j->x.offset < j->x.length;
}

/* The next piece that is worth a visit. 1, 0 at the end, or -1. */
static int next_locked(struct job *j, struct piece *p, struct sill_err *e)
{
	const unsigned depth = j->c->top_only ? 0 : SILL_IMAGE_MAX_DEPTH;

	for (;;) {
		uint64_t end;
		bool skip;

		if (j->at >= j->size)
			return 0;
		if (!has_extent(j) &&
		    sill_image_extent(j->c->from, j->at, j->size - j->at, depth, &j->x, e) < 0)
			return -1;
		end = j->x.offset + j->x.length;
		skip = (j->c->top_only && !j->x.present) ||
		       (j->x.zero && (j->c->is_new || j->c->punch_only));
		*p = (struct piece){ .off = j->at, .zero = j->x.zero };
		if (!skip && !j->x.zero && end > (j->at / PIECE + 1) * PIECE)
			end = (j->at / PIECE + 1) * PIECE;
		p->length = end - j->at;
		j->at = end;
		if (!skip)
			return 1;
		j->done += p->length;
	}
}

static int next(struct job *j, struct piece *p, struct sill_err *e)
{
	int ret;

	(void)pthread_mutex_lock(&j->mutex);
	ret = j->stopped ? 0 : next_locked(j, p, e);
	(void)pthread_mutex_unlock(&j->mutex);
	return ret;
}

static void count(struct job *j, uint64_t n)
{
	(void)pthread_mutex_lock(&j->mutex);
	j->done += n;
	(void)pthread_mutex_unlock(&j->mutex);
}

/* One run of the buffer that is all zeroes, or all to be written. */
static int put_run(struct job *j, const uint8_t *p, uint64_t off, uint64_t n, bool zero,
		   struct sill_err *e)
{
	if (!zero && j->c->punch_only)
		return 0;
	if (!zero)
		return sill_image_write(j->c->to, p, (size_t)n, off, e);
	return j->c->is_new ? 0 : sill_image_zero(j->c->to, off, n, true, e);
}

static int put_data(struct job *j, const uint8_t *buf, const struct piece *p, struct sill_err *e)
{
	uint64_t from = 0;
	bool zero = false;

	for (uint64_t at = 0; at < p->length;) {
		uint64_t n = j->grain - (p->off + at) % j->grain;
		bool z;

		n = n < p->length - at ? n : p->length - at;
		z = is_zero(buf + at, (size_t)n);
		if (at > from && z != zero) {
			if (put_run(j, buf + from, p->off + from, at - from, zero, e) < 0)
				return -1;
			from = at;
		}
		zero = z;
		at += n;
	}
	return put_run(j, buf + from, p->off + from, p->length - from, zero, e);
}

static int copy_piece(struct job *j, uint8_t *buf, const struct piece *p, struct sill_err *e)
{
	if (p->zero)
		return sill_image_zero(j->c->to, p->off, p->length, true, e);
	if (sill_image_read(j->c->from, buf, (size_t)p->length, p->off, e) < 0)
		return -1;
	return put_data(j, buf, p, e);
}

static bool go_on(struct job *j)
{
	uint64_t done;

	if (j->c->progress == NULL)
		return true;
	(void)pthread_mutex_lock(&j->mutex);
	done = j->done;
	(void)pthread_mutex_unlock(&j->mutex);
	return j->c->progress(j->c->ctx, done, j->size);
}

static void work(struct job *j, bool caller)
{
	uint8_t *buf = aligned_alloc(PAGE, PIECE);
	struct sill_err e = { 0 };
	struct piece p;
	int more = 0;

	if (buf == NULL)
		(void)sill_err_sys(&e, ENOMEM, "copy");
	while (buf != NULL && (more = next(j, &p, &e)) > 0) {
		if (copy_piece(j, buf, &p, &e) < 0) {
			more = -1;
			break;
		}
		count(j, p.length);
		if (caller && !go_on(j))
			(void)sill_err_set(&e, SILL_ERR_STATE, "interrupted");
		if (e.code != SILL_ERR_NONE)
			break;
	}
	if (more < 0 || e.code != SILL_ERR_NONE)
		stop(j, &e);
	free(buf);
}

static void *worker(void *arg)
{
	work(arg, false);
	return NULL;
}

/* As many of @want as the host lets us have; the job gets done with none. */
static unsigned start(struct job *j, pthread_t *threads, unsigned want)
{
	unsigned n = 0;

	while (n < want && thread_create(&threads[n], worker, j) == 0)
		n++;
	return n;
}

static unsigned worker_count(const struct sill_image_copy *c)
{
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	/* More than processors: some of them wait for the disk. */
	unsigned n = online > 2 ? 2 * (unsigned)online : 4;

	if (c->workers != 0)
		n = c->workers;
	return n < MAX_WORKERS ? n : MAX_WORKERS;
}

static uint32_t grain_of(const struct sill_image *i)
{
	const struct qcow2 *q = i->blk->state;

	if (i->format != SILL_DISK_QCOW2)
		return PAGE;
	return 1u << q->granule_bits;
}

int sill_image_copy(const struct sill_image_copy *c, struct sill_err *e)
{
	struct job j = { .c = c, .size = c->size, .grain = grain_of(c->to) };
	pthread_t threads[MAX_WORKERS];
	unsigned n;

	if (j.size == 0)
		j.size = sill_image_size(c->from);
	if (j.size > sill_image_size(c->from) || j.size > sill_image_size(c->to))
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is too small for '%s'",
				    c->to->blk->path, c->from->blk->path);
	(void)pthread_mutex_init(&j.mutex, NULL);
	n = start(&j, threads, worker_count(c) - 1);
	work(&j, true);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	(void)pthread_mutex_destroy(&j.mutex);
	if (j.stopped) {
		*e = j.err;
		return -1;
	}
	if (c->progress != NULL)
		(void)c->progress(c->ctx, j.size, j.size);
	return 0;
}
