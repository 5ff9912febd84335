/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - see table.h. */
#include "devices/table.h"

#include <string.h>

#define DEVICE(name) extern const struct dev_ops name##_ops;
#include "devices/devices.def"
#undef DEVICE

const struct dev_ops *const dev_table[] = {
#define DEVICE(name) &name##_ops,
#include "devices/devices.def"
#undef DEVICE
	NULL,
};

const struct dev_ops *dev_ops_find(const char *type)
{
	for (size_t i = 0; dev_table[i] != NULL; i++)
		if (strcmp(dev_table[i]->type, type) == 0)
			return dev_table[i];
	return NULL;
}
