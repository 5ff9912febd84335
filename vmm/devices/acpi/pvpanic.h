/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic.h - by which a guest says that it has crashed: QEMU's public specification
 * (docs/specs/pvpanic), the device of the ISA bus.
 *
 *   0x505  RW1  read: what may be said; written: it is so
 *          bit 0  the guest has panicked
 *          bit 1  it has panicked, and begins a kernel that writes a dump
 *
 * ACPI: QEMU0001 with the port. Linux and Windows (virtio-win) have drivers for it.
 * dev_env.crashed hears of each bit once until the guest is reset.
 */
#ifndef DEVICES_ACPI_PVPANIC_H
#define DEVICES_ACPI_PVPANIC_H

struct dev_ops;

enum { PVPANIC_PORT = 0x505, PVPANIC_PANICKED = 1 << 0, PVPANIC_DUMPS = 1 << 1 };

/* type "pvpanic"; no config; one region of one port. */
extern const struct dev_ops pvpanic_ops;

#endif
