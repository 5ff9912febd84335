/* SPDX-License-Identifier: Apache-2.0 */
/* make.h - a device on the bus, from its configuration. Main loop. */
#ifndef MACHINE_MAKE_H
#define MACHINE_MAKE_H

#include "base/attr.h"
#include "base/err.h"
#include "sill/device.h"
#include "sill/files.h"

struct chr;
struct dev;
struct limits;
struct machine;

/* Public struct: what was made. */
struct made {
	struct dev *dev; /* the machine's: machine_remove_device() */
	struct chr *chr; /* the console's, which owns it; else NULL */
	/* Held, for limits_put(); of a disk, of a card to and from the guest; NULL: no such. */
	struct limits *limits[2];
};

/* Takes what it needs of @files; when it fails, what it took is closed. */
int make_device(struct machine *m, const struct sill_device *d, struct sill_files *files,
		struct made *ret, struct sill_err *e) MUST_CHECK;

/* "virtio-blk": the name of its struct dev_ops. */
const char *device_type(enum sill_device_kind kind);

#endif
