/* SPDX-License-Identifier: Apache-2.0 */
/* pace.h - lines for the person that a guest can cause: five at once, then one every ten seconds. */
#ifndef RUNNER_REPORT_PACE_H
#define RUNNER_REPORT_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised; one thread. */
struct pace {
	uint64_t last_ms;
	unsigned used, dropped;
};

/* May one be said at @now_ms? Then @ret_dropped is how many could not be since the last one. */
bool pace_allows(struct pace *p, uint64_t now_ms, unsigned *ret_dropped);

#endif
