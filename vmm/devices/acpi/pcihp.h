/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcihp.h - PCI hotplug by ACPI on the root bus: which slots have got a device,
 * which device the guest is asked to give up, and its answer. The registers of
 * QEMU's public specification (docs/specs/acpi_pci_hotplug), at its Q35's ports.
 *
 *   off   port        register
 *   0x00  R4   0xcc0  PCIU   slots that have got a device; reading clears
 *   0x04  R4   0xcc4  PCID   slots whose device should go; reading clears
 *   0x08  RW4  0xcc8  B0EJ   written: these slots are ejected; reads 0 (no feature)
 *   0x0c  R4   0xccc  RMV    slots that can be ejected
 *   0x10  RW4  0xcd0  BNUM   the bus the others are about; there is only 0
 *   0x14  RW4  0xcd4  PIDX   ACPI index of a slot; none has one: reads 0
 *
 * Accesses have 4 bytes at a multiple of 4; others read 0 and write nothing, and
 * so does everything but BNUM while another bus is selected. PCID is cleared by
 * reading, as PCIU is: a request that the guest has seen is not repeated at the
 * next event, only when it is made again.
 *
 * An ejected device is off the bus when the write of B0EJ returns: its registers
 * read all ones, and its BARs and doorbells are out of the maps. Its owner then
 * learns of it (pcihp_take_ejected()) and takes it apart. A guest may eject what
 * it was not asked for; slots that are empty or fixed are left alone.
 *
 * Slots 0 and 31 hold the bridges; 1 to 30 can be hot-plugged, unless fixed. The
 * ACPI tables say which are (pcihp_fixed()); so they stay fixed until a reset.
 */
#ifndef DEVICES_ACPI_PCIHP_H
#define DEVICES_ACPI_PCIHP_H

#include <stdbool.h>
#include <stdint.h>

struct dev;
struct dev_ops;

enum { PCIHP_PORT_COUNT = 0x18 };

/* All slots that there are for devices. */
#define PCIHP_SLOTS 0x7ffffffeu

struct pcihp_config {
	struct dev *pm; /* borrowed, outlives it: its GPE 1 is raised; NULL: none */
};

/* type "pcihp"; one region of PCIHP_PORT_COUNT ports; dev_env.pci is its bus. */
extern const struct dev_ops pcihp_ops;

/* --- any thread, without a device's lock ---------------------------------- */

/* There is a device in @slot, complete and on the bus: tell the guest. */
void pcihp_added(struct dev *d, unsigned slot);
/* Ask the guest to give up what is in @slot; as often as wanted. */
void pcihp_ask(struct dev *d, unsigned slot);
/* Has the guest yet to read that something has come into @slot? Then it is told of it again. */
bool pcihp_tell_again(struct dev *d, unsigned slot);
/* Has it read what it was asked last? */
bool pcihp_has_read(struct dev *d, unsigned slot);
/* Does the guest's system take what happens to devices as it happens? */
bool pcihp_heard(const struct dev *d);
/* What was in @slot has gone by another way: nothing is asked or told of it any more. */
void pcihp_gone(struct dev *d, unsigned slot);
/* Bits of slots that have been ejected since the last call. dev_progress() comes with each. */
uint32_t pcihp_take_ejected(struct dev *d);
/* Bits of slots whose device the guest has been asked for and has not given up. */
uint32_t pcihp_asked(struct dev *d);
/* What is in @slot stays there; at the start, before the guest has seen the tables. */
void pcihp_fix(struct dev *d, unsigned slot);
/* Bits of slots; any lock may be held. */
uint32_t pcihp_fixed(const struct dev *d);

#endif
