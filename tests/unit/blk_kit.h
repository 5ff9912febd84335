/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_kit.h - one request at a time to an image, in each of the three ways
 * there are: blocking, by io_uring, by threads. The loop is the test's own.
 */
#ifndef TESTS_UNIT_BLK_KIT_H
#define TESTS_UNIT_BLK_KIT_H

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/block/block.h"
#include "core/loop.h"

enum blk_way { WAY_BLOCKING, WAY_URING, WAY_THREADS, WAYS };

/* Of this thread: others, that open nothing, block. */
static _Thread_local struct {
	struct loop *loop;
	struct pool *pool;
	struct aio *aio; /* NULL: blocking */
	int status;
	bool over;
} blk_kit;

/* False: this machine has no io_uring. */
static inline bool blk_kit_open(enum blk_way way)
{
	struct sill_err e = { 0 };
	struct aio_config c = { .engine = way == WAY_URING ? SILL_IO_URING : SILL_IO_THREADS,
				.depth = 16 };

	if (way == WAY_BLOCKING)
		return true;
	blk_kit.loop = c.loop = loop_create(&e);
	blk_kit.pool = c.pool = pool_create("pool", 4, &e);
	assert(c.loop != NULL && c.pool != NULL);
	blk_kit.aio = aio_create(&c, &e);
	return blk_kit.aio != NULL;
}

static inline void blk_kit_close(void)
{
	pool_destroy(blk_kit.pool);
	aio_destroy(blk_kit.aio);
	loop_destroy(blk_kit.loop);
	blk_kit.pool = NULL;
	blk_kit.aio = NULL;
	blk_kit.loop = NULL;
}

static inline void blk_kit_done(struct blk_req *r, int status)
{
	(void)r;
	assert(!blk_kit.over); /* exactly once */
	blk_kit.over = true;
	blk_kit.status = status;
	if (blk_kit.loop != NULL)
		loop_stop(blk_kit.loop);
}

static inline int blk_kit_run(struct blk *b, struct blk_req r)
{
	struct sill_err e = { 0 };

	r.done = blk_kit_done;
	r.loop = blk_kit.loop;
	r.aio = blk_kit.aio;
	blk_kit.over = false;
	blk_submit(b, &r);
	if (blk_kit.aio != NULL)
		assert(loop_run(blk_kit.loop, &e) == 0);
	assert(blk_kit.over);
	return blk_kit.status;
}

/* ---- a group of tests, in every way that this machine has ---- */

static enum blk_way blk_kit_way;

static inline int blk_kit_begin(void **state)
{
	(void)state;
	return blk_kit_open(blk_kit_way) ? 0 : -1;
}

static inline int blk_kit_end(void **state)
{
	(void)state;
	blk_kit_close();
	return 0;
}

static inline bool blk_kit_way_exists(void)
{
	const bool yes = blk_kit_open(blk_kit_way);

	blk_kit_close();
	return yes;
}

static inline int blk_kit_each_way(const struct CMUnitTest *tests, size_t count)
{
	static const char *const name[] = { "blocking", "io_uring", "threads" };
	int failed = 0;

	for (blk_kit_way = 0; blk_kit_way < WAYS; blk_kit_way++) {
		if (blk_kit_way_exists())
			failed += _cmocka_run_group_tests(name[blk_kit_way], tests, count,
							  blk_kit_begin, blk_kit_end);
		else
			print_message("no io_uring here\n");
	}
	return failed;
}

#endif
