/* SPDX-License-Identifier: Apache-2.0 */
/* format.c - the names of the formats. */
#include "backend/block/format.h"

#include <string.h>

static const char *const names[SILL_DISK_FORMATS] = {
#define FORMAT(NAME, name) [SILL_DISK_##NAME] = #name,
#include "sill/formats.def"
#undef FORMAT
};

const char *sill_image_format_name(enum sill_disk_format format)
{
	return (unsigned)format < SILL_DISK_FORMATS ? names[format] : "?";
}

bool sill_image_format_find(const char *name, enum sill_disk_format *ret)
{
	for (unsigned i = 0; i < SILL_DISK_FORMATS; i++)
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum sill_disk_format)i;
			return true;
		}
	return false;
}
