/* SPDX-License-Identifier: Apache-2.0 */
/*
 * windbg.h - what people type to debug a guest's kernel: in WinDbg, and once in the guest.
 *
 * The options are those of WinDbg's command line (-k com:ipport=PORT,port=ADDRESS connects to a port of a virtual
 * machine by TCP, -k net:port=PORT,key=KEY waits for a guest that calls; without one, _NT_DEBUG_PORT and
 * _NT_DEBUG_BAUD_RATE say which serial port) and of bcdedit, by Microsoft's documentation of both.
 *
 * @slot, of all: the PCI device number on bus 0 of the card that debug.kd: net is about; 0: not known, or none.
 */
#ifndef RUNNER_DEBUG_WINDBG_H
#define RUNNER_DEBUG_WINDBG_H

#include <jansson.h>
#include <stdio.h>

#include "sill/config.h"
#include "sill/kd.h"
#include "sill/vm.h"

enum { WINDBG_LINE = 512, WINDBG_GUEST = 6 };

/* Public struct. "": there is no such line. */
struct windbg {
	char windbg[WINDBG_LINE];    /* on Windows anywhere: who connects is WinDbg itself */
	char vm_port[WINDBG_LINE];   /* or the key of another VM, whose COM1 it is, */
	char vm_windbg[WINDBG_LINE]; /* and what is typed in that */
	char guest[WINDBG_GUEST][WINDBG_LINE]; /* once in the guest; "" after the last */
};

/* False: there is no kernel debugger. */
bool windbg_make(const struct sill_config *c, unsigned slot, struct windbg *ret);
/* @slot of a VM that has been made; any thread. */
unsigned windbg_slot(struct sill_vm *vm);

/* As lines "debug: WHAT: LINE"; nothing without a kernel debugger. */
void windbg_print(FILE *f, const struct sill_config *c, unsigned slot);
/* {"port", "listen", "connect", "windbg", "vm", "bcdedit"}, which the caller owns; NULL: none, or no memory. */
json_t *windbg_json(const struct sill_config *c, unsigned slot);
/* The same, with what was seen on a serial port: "state", "connected", "guest" and "debugger". */
json_t *windbg_seen_json(const struct sill_config *c, unsigned slot,
			 const struct sill_kd_seen *seen);
/* What the word of "state" means, for people; static. */
const char *windbg_state_text(const char *state, bool connected);

#endif
