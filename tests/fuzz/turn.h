/* SPDX-License-Identifier: Apache-2.0 */
/* turn.h - a loop that runs no further than what is ready. */
#ifndef TESTS_FUZZ_TURN_H
#define TESTS_FUZZ_TURN_H

#include "core/loop.h"
#include "require.h"

static inline void turn_stop(void *loop)
{
	loop_stop(loop);
}

static inline void turn(struct loop *loop)
{
	struct loop_task t = { .fn = turn_stop, .ctx = loop };
	struct sill_err e = { 0 };

	loop_post(loop, &t);
	require(loop_run(loop, &e) == 0);
}

#endif
