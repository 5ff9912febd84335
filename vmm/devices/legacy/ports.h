/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.h - the single ports a PC has lying about, and reset control.
 *
 *   region                port   register
 *   PORTS_SYSTEM_A        0x92   bit 1 A20 (always on; stored), bit 0 fast reset
 *                                when it goes from 0 to 1
 *   PORTS_SYSTEM_B        0x61   bits 3:0 stored, 4 toggles with DRAM refresh,
 *                                5 timer 2's output (follows its gate, bit 0),
 *                                7:6 NMI sources, always 0. The board maps it
 *                                only where KVM's PIT does not answer 0x61
 *   PORTS_POST            0x80   POST code: the last ones are kept, see below
 *   PORTS_DEBUG           0x402  firmware's debug console: reads 0xe9, writes
 *                                are log lines at level debug, escaped, at most
 *                                100 a second after a start of 20,000
 *   (function)            0xcf9  reset control, ICH9 data sheet 13.7.5: reset
 *                                when bit 2 goes from 0 to 1; read by the PCI bus
 *
 * All byte-wide.
 */
#ifndef DEVICES_LEGACY_PORTS_H
#define DEVICES_LEGACY_PORTS_H

#include <stddef.h>
#include <stdint.h>

struct dev;
struct dev_ops;

enum { PORTS_SYSTEM_A, PORTS_SYSTEM_B, PORTS_POST, PORTS_DEBUG };
enum { PORTS_POST_KEPT = 16 };

/* type "ports"; no config; four regions of one port. */
extern const struct dev_ops ports_ops;

/* The last POST codes, oldest first, runs of the same one once; returns how many. Any thread. */
size_t ports_post_codes(struct dev *d, uint8_t ret[PORTS_POST_KEPT]);

/* Port 0xcf9, for pci_bus_set_reset_control(): @ctx is the struct dev. Takes its lock. */
void ports_reset_control_write(void *ctx, uint8_t val);

#endif
