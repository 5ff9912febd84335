/* SPDX-License-Identifier: Apache-2.0 */
/* look.c - what is said of an image that is none, or cannot be used. */
#include "backend/block/look.h"

#include "backend/block/foreign.h"

int blk_look_bad(const struct blk_look *l, const char *what, struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_HOST, "%s image '%.150s': %s",
			    sill_image_format_name(l->format), l->path, what);
}

int blk_look_is_none(const struct blk_look *l, const char *what, struct sill_err *e)
{
	(void)sill_err_set(e, SILL_ERR_HOST, "%s image '%.150s': it is none: %s",
			   sill_image_format_name(l->format), l->path, what);
	return blk_look_hint(l, e);
}

int blk_look_hint(const struct blk_look *l, struct sill_err *e)
{
	const char *name = sill_image_format_name(l->like);
	struct sill_image_foreign f;

	if (l->like != SILL_DISK_RAW && l->to_use)
		return sill_err_hint(e, "it is a %s image: write 'format: %s'", name, name);
	if (l->like != SILL_DISK_RAW)
		return sill_err_hint(e, "its header says that it is %s", name);
	foreign_look(l->front, l->tail, &f);
	if (f.kind == SILL_FOREIGN_DISK)
		return sill_err_hint(e, "it is a %s image: %s makes one of ours of it", f.name,
				     f.with);
	if (f.kind == SILL_FOREIGN_PACKED || f.kind == SILL_FOREIGN_ARCHIVE)
		return sill_err_hint(e, "it is a %s file: unpack it first, with %s", f.name,
				     f.with);
	if (l->to_use)
		return sill_err_hint(e, "is it a raw image, or was it cut off or damaged?");
	if (f.kind == SILL_FOREIGN_CONTENT)
		return sill_err_hint(e, "it begins with %s: as a disk that is raw", f.name);
	return -1;
}
