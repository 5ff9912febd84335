/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.h - a hardware watchdog of our own, which the guest knows by the table WDAT (Microsoft, "Hardware Watchdog
 * Timers Design Specification", 2006): each action is an access to one of these registers. Linux (wdat_wdt) and
 * Windows have a driver for any such table.
 *
 * Registers of 32 bits, accessed whole:
 *   0x00  RO  ticks until it fires; 0 while it stands
 *   0x04  RW  ticks that it counts from, WATCHDOG_MIN..WATCHDOG_MAX; what is outside becomes the nearer one
 *   0x08  WO  bit 0: count from there again
 *   0x0c  RW  bit 0: it runs
 *   0x10  RW  bit 0: it resets the machine when it fires. Always 1
 *   0x14  RW1C bit 0: it has fired; a reset does not change it
 *
 * Its time is the guest's: it stands while the VM is paused.
 */
#ifndef DEVICES_ACPI_WATCHDOG_H
#define DEVICES_ACPI_WATCHDOG_H

struct dev_ops;

enum { WATCHDOG_PORT_COUNT = 0x18 };

/* type "watchdog"; no config; one region of WATCHDOG_PORT_COUNT ports. */
extern const struct dev_ops watchdog_ops;

#endif
