/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saved.h - the state of all devices of a machine, and of the PCI bus that some
 * are on: one record for the bus, then one for each device, in the order of their
 * ids. Within it the device's own records (dev.h, save.h).
 *
 * Main loop, while the machine is paused (docs/LOCKING.md, "Quiesce").
 */
#ifndef DEVICES_SAVED_H
#define DEVICES_SAVED_H

#include "base/attr.h"
#include "base/err.h"
#include "base/save.h"

struct dev;
struct pci_bus;

/* @list: linked by next. @pci may be NULL. SILL_ERR_STATE: a device has work in flight. */
int devices_save(struct dev *list, struct pci_bus *pci, struct saver *s,
		 struct sill_err *e) MUST_CHECK;
/*
 * Into devices that have been made and reset, and are paused. The state must be of just these devices, by type and id. After a
 * failure they can be reset or destroyed only.
 */
int devices_load(struct dev *list, struct pci_bus *pci, struct loader *l,
		 struct sill_err *e) MUST_CHECK;

#endif
