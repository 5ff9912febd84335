/* SPDX-License-Identifier: Apache-2.0 */
/* hot.h - put a device into a VM that runs: open what it needs, hand it to the engine. */
#ifndef RUNNER_API_HOT_H
#define RUNNER_API_HOT_H

#include "runner/host/files.h"
#include "sill/config.h"
#include "sill/device.h"
#include "sill/error.h"
#include "sill/vm.h"

/*
 * The device @d (a disk, a network card or vsock), whose config is borrowed; what is `auto` in it is found. @lent:
 * taps that others have made. What the device still needs of its files, for hot_destroy(): that of vsock when it has gone
 * or the VM has been destroyed, another's at any time. NULL: @e, and nothing is left of it.
 */
struct hot;
void hot_destroy(struct hot *h); /* accepts NULL */
struct hot *hot_plug(struct sill_vm *vm, const struct sill_device *d, const struct lent_tap *lent,
		     unsigned lent_count, struct sill_err *e);

/*
 * What the host does for this card begins and ends with the VM, not with the card: the name of its key. Such a card cannot
 * come to a VM that runs, nor go from one to be replaced. NULL: nothing does.
 */
const char *hot_net_stays(const struct sill_net_config *n);

/* "0000:00:05.0"; "" when there is no such device. */
enum { HOT_BDF = 16, HOT_DEVICES = 64 };
void hot_bdf(struct sill_vm *vm, const char *id, char ret[HOT_BDF]);
/* Find a device by its id. False: there is none. */
bool hot_find(struct sill_vm *vm, const char *id, struct sill_device_info *ret);

#endif
