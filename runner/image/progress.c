/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - how far a long verb has got, on a terminal only. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/image/verbs.h"

enum { WIDTH = 40, EVERY_NS = 100 * 1000 * 1000 };

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool image_progress(void *ctx, uint64_t done, uint64_t size)
{
	struct image_progress *p = ctx;
	const int percent = size == 0 ? 100 : (int)((double)done / (double)size * 100);
	const uint64_t now = now_ns();
	char bar[WIDTH + 1];

	if (image_interrupted())
		return false;
	if (p->last_ns == 0)
		p->quiet |= isatty(STDERR_FILENO) != 1;
	if (p->quiet || (p->drawn && percent == p->percent) ||
	    (p->last_ns != 0 && now - p->last_ns < EVERY_NS)) {
		p->last_ns = p->last_ns == 0 ? now : p->last_ns;
		return true;
	}
	p->last_ns = now;
	p->percent = percent;
	p->drawn = true;
	for (int i = 0; i < WIDTH; i++)
		bar[i] = i < percent * WIDTH / 100 ? '#' : '.';
	bar[WIDTH] = '\0';
	(void)fprintf(stderr, "\r%s [%s] %3d %%", p->what, bar, percent);
	return true;
}

void image_progress_end(struct image_progress *p)
{
	if (p->drawn)
		(void)fprintf(stderr, "\r%*s\r", (int)strlen(p->what) + WIDTH + 9, "");
	p->drawn = false;
}
