/* SPDX-License-Identifier: Apache-2.0 */
/* hot.h - put a device into a VM that runs: open what it needs, hand it to the engine. */
#ifndef RUNNER_API_HOT_H
#define RUNNER_API_HOT_H

#include "runner/host/files.h"
#include "sill/config.h"
#include "sill/device.h"
#include "sill/error.h"
#include "sill/vm.h"

/* Public struct: what it is put into. Borrowed. */
struct hot_vm {
	struct sill_vm *vm;
	struct cables *cables;       /* of its network cards */
	const struct lent_tap *lent; /* taps that others have made */
	unsigned lent_count;
};

/*
 * The device @d (a disk, a network card or vsock), whose config is borrowed; what is `auto` in it is found. What the
 * device still needs of its files, for hot_destroy(): that of vsock when it has gone or the VM has been
 * destroyed, another's at any time. What the host does for a card (cable.h) is with the VM's from then on. NULL:
 * @e, and nothing is left of it.
 */
struct hot;
void hot_destroy(struct hot *h); /* accepts NULL */
struct hot *hot_plug(const struct hot_vm *to, const struct sill_device *d, struct sill_err *e);

/* "0000:00:05.0"; "" when there is no such device. */
enum { HOT_BDF = 16, HOT_DEVICES = 64 };
void hot_bdf_at(unsigned slot, char ret[HOT_BDF]);
void hot_bdf(struct sill_vm *vm, const char *id, char ret[HOT_BDF]);
/* Find a device by its id. False: there is none. */
bool hot_find(struct sill_vm *vm, const char *id, struct sill_device_info *ret);
/* Does the host's kernel pass its frames? */
bool hot_has_vhost(struct sill_vm *vm, const struct sill_device_info *d);

#endif
