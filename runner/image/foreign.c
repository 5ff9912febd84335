/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.c - words about files that are no disk images of ours. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runner/image/verbs.h"
#include "runner/report/text.h"

const char *image_foreign_text(const struct sill_image_foreign *f, char *dst, size_t size)
{
	static const char *const behind[] = {
		[SILL_FOREIGN_NONE] = "raw disk",    [SILL_FOREIGN_OURS] = " image",
		[SILL_FOREIGN_DISK] = " image",      [SILL_FOREIGN_PACKED] = " file, packed",
		[SILL_FOREIGN_ARCHIVE] = " archive", [SILL_FOREIGN_CONTENT] = " on a raw disk",
	};

	(void)snprintf(dst, size, "%s%s", f->kind == SILL_FOREIGN_NONE ? "" : f->name,
		       behind[f->kind]);
	return dst;
}

bool image_is_foreign(const struct sill_image_foreign *f)
{
	return f->kind == SILL_FOREIGN_DISK || f->kind == SILL_FOREIGN_PACKED ||
	       f->kind == SILL_FOREIGN_ARCHIVE;
}

int image_foreign_hint(const struct sill_image_foreign *f, const char *more, struct sill_err *e)
{
	switch (f->kind) {
	case SILL_FOREIGN_DISK:
		return sill_err_hint(e, "%s makes one of ours of it%s", f->with, more);
	case SILL_FOREIGN_PACKED:
	case SILL_FOREIGN_ARCHIVE:
		return sill_err_hint(e, "unpack it first, with %s%s", f->with, more);
	case SILL_FOREIGN_NONE:
	case SILL_FOREIGN_OURS:
	case SILL_FOREIGN_CONTENT:
		break;
	}
	return -1;
}

int image_check_raw(const char *path, bool force, struct sill_err *e)
{
	static const enum sill_disk_format raw = SILL_DISK_RAW;
	struct sill_image_info *info = calloc(1, sizeof(*info));
	const struct sill_image_foreign *f;
	char name[200], what[64];
	int failed = -1;

	if (info == NULL)
		return sill_err_sys(e, ENOMEM, "'%.100s'", path);
	f = &info->foreign;
	if (image_look(path, &raw, info, e) < 0)
		goto out;
	(void)text_clean(name, sizeof(name), path, strlen(path));
	failed = 0;
	if (!image_is_foreign(f) && f->kind != SILL_FOREIGN_OURS)
		goto out;
	(void)image_foreign_text(f, what, sizeof(what));
	if (f->kind == SILL_FOREIGN_OURS || force) {
		(void)fprintf(
			stderr,
			"sill: warning: '%s' is taken for a raw disk, as told; it looks like a "
			"%s\n",
			name, what);
		goto out;
	}
	(void)sill_err_set(e, SILL_ERR_STATE, "'%s' is no raw disk: it is a %s", name, what);
	failed = image_foreign_hint(f, "; --force takes it as it is", e);
out:
	free(info);
	return failed;
}
