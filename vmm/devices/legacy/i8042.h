/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042.h - the reset line of a keyboard controller, without the keyboard.
 *
 *   region 0  port 0x60  data: reads all ones; takes the byte after command 0xd1
 *   region 1  port 0x64  status: reads 0xfd: nobody here (time-out and parity
 *                        error), but the input buffer is free; commands:
 *     0xd1        next byte at 0x60 is the output port; bit 0 clear resets
 *     0xf0-0xff   pulse the output port's low bits: bit 0 clear resets (0xfe)
 *     the rest    ignored
 *
 * Firmware and every operating system reset a PC with 0xfe, with or without a
 * keyboard (IBM PC/AT Technical Reference, 1985, 1-56 "Keyboard Controller
 * Commands").
 */
#ifndef DEVICES_LEGACY_I8042_H
#define DEVICES_LEGACY_I8042_H

struct dev_ops;

enum { I8042_REGION_DATA, I8042_REGION_COMMAND };

/* type "i8042"; no config; two regions of one port. */
extern const struct dev_ops i8042_ops;

#endif
