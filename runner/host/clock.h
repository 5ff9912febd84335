/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - time that goes on, whatever becomes of the host's date. Any thread. */
#ifndef RUNNER_HOST_CLOCK_H
#define RUNNER_HOST_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of CLOCK_MONOTONIC. */
static inline uint64_t clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif
