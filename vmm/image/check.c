/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - check an image, and after a repair once more: what counts is what is then left. */
#include "backend/block/format.h"
#include "sill/image.h"

static int check(enum sill_disk_format format, struct blk_check *c, struct sill_err *e)
{
	if (blk_formats[format]->check != NULL)
		return blk_formats[format]->check(c, e);
	return sill_err_set(e, SILL_ERR_STATE, "%s has nothing to check",
			    sill_image_format_name(format));
}

int sill_image_check(const struct sill_image_checking *how, struct sill_image_check *ret,
		     struct sill_err *e)
{
	struct blk_check c = { .fd = how->fd,
			       .path = how->path,
			       .ops = blk_formats[how->format]->ops,
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
