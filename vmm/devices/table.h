/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - every type of device that there is: the lines of devices.def. */
#ifndef DEVICES_TABLE_H
#define DEVICES_TABLE_H

#include "devices/dev.h"

extern const struct dev_ops *const dev_table[]; /* ends with NULL */

/* NULL: there is no such type. */
const struct dev_ops *dev_ops_find(const char *type);

#endif
