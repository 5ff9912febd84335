/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.h - the ways out of the machine: power off and the doors of reset.
 *
 *	exit=pm1        PM1a_CNT, sleep type 0 (the default)
 *	exit=byte600    the byte 0x34 to port 0x600
 *	exit=reset-cf9  port 0xCF9     exit=reset-64   the keyboard controller
 *	exit=reset-92   port 0x92      exit=triple     triple fault
 *	exit=reset-all  all of these, one after the other
 *	exit=hang       stop, and wait to be killed; with eject=N after ejecting slot N, which nobody asked for
 *
 * A reset door is taken until the machine has booted boots= times (default 2);
 * the last boot powers off.
 */
#ifndef PAYLOAD_EXIT_H
#define PAYLOAD_EXIT_H

#include <stdbool.h>

/* Which boot this is, from 1; counted in CMOS RAM. To be called once, early. */
unsigned exit_boot_count(void);
/* This boot is to end with a reset. */
bool exit_will_reset(void);
/* Leave by the door that the command line names. */
_Noreturn void exit_by_door(void);
/* Leave at once: something went so wrong that no test can go on. */
_Noreturn void exit_failed(void);

#endif
