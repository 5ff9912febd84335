/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what the checks of all formats share: they count, and tell the first hundred. */
#include "backend/block/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { REPORTS = 100 };

static void say(struct blk_check *c, const char *fmt, va_list ap) PRINTF(2, 0);
static void say(struct blk_check *c, const char *fmt, va_list ap)
{
	char line[320];

	/* A forged image has millions; nobody reads them, and they cost time. */
	if (c->report == NULL || c->reported++ >= REPORTS)
		return;
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	c->report(c->ctx, line);
}

void blk_check_error(struct blk_check *c, const char *fmt, ...)
{
	va_list ap;

	c->found.errors++;
	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
}

void blk_check_note(struct blk_check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
}

/* EIO and EINVAL are also what a file that was cut answers with. */
int blk_check_refused(struct blk_check *c, const struct sill_err *why, struct sill_err *e)
{
	if (why->code == SILL_ERR_LIMIT ||
	    (why->sys != 0 && why->sys != EIO && why->sys != EINVAL)) {
		*e = *why;
		return -1;
	}
	blk_check_error(c, "%s", why->msg);
	return 0;
}

void blk_check_leak(struct blk_check *c, uint64_t count, const char *fmt, ...)
{
	va_list ap;

	c->found.leaks += count;
	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
}
