/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - check an image, and after a repair once more: what counts is what is then left. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "backend/block/check.h"
#include "sill/image.h"

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

static int check(enum sill_disk_format format, struct blk_check *c, struct sill_err *e)
{
	switch (format) {
	case SILL_DISK_QCOW2:
		return qcow2_check(c, e);
	case SILL_DISK_VHD:
		return vhd_check(c, e);
	case SILL_DISK_VHDX:
		return vhdx_check(c, e);
	case SILL_DISK_RAW:
		break;
	}
	return sill_err_set(e, SILL_ERR_STATE, "raw has nothing to check");
}

int sill_image_check(const struct sill_image_checking *how, struct sill_image_check *ret,
		     struct sill_err *e)
{
	struct blk_check c = { .fd = how->fd,
			       .path = how->path,
			       .repair = how->repair,
			       .report = how->report,
			       .ctx = how->ctx };
	struct sill_image_check before;

	if (check(how->format, &c, e) < 0)
		return -1;
	*ret = c.found;
	if (!how->repair)
		return 0;
	before = c.found;
	c.report = NULL;
	/* Only when the errors are gone is it known that leaks are some: so twice. */
	for (int round = 0; round < 2; round++) {
		c.found = (struct sill_image_check){ 0 };
		c.repair = false;
		if (check(how->format, &c, e) < 0)
			return -1;
		if (round == 1 || c.found.errors != 0 || c.found.leaks == 0)
			break;
		c.repair = true;
		if (check(how->format, &c, e) < 0)
			return -1;
	}
	*ret = c.found;
	ret->errors_fixed = before.errors > c.found.errors ? before.errors - c.found.errors : 0;
	ret->leaks_fixed = before.leaks > c.found.leaks ? before.leaks - c.found.leaks : 0;
	return 0;
}
