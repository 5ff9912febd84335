/* SPDX-License-Identifier: Apache-2.0 */
/*
 * windbg.h - what people type to debug a guest's kernel: in WinDbg, and once in the guest.
 *
 * The options are those of WinDbg's command line (-k com:ipport=PORT,port=ADDRESS connects to a port of a virtual
 * machine by TCP; without one, _NT_DEBUG_PORT and _NT_DEBUG_BAUD_RATE say which serial port) and of bcdedit, by
 * Microsoft's documentation of both.
 */
#ifndef RUNNER_DEBUG_WINDBG_H
#define RUNNER_DEBUG_WINDBG_H

#include <jansson.h>
#include <stdio.h>

#include "sill/config.h"
#include "sill/kd.h"

enum { WINDBG_LINE = 512, WINDBG_GUEST = 6 };

/* Public struct. "": there is no such line. */
struct windbg {
	char windbg[WINDBG_LINE];        /* on Windows anywhere: who connects is WinDbg itself */
	char vm_port[WINDBG_LINE];       /* or the key of another VM, whose COM1 it is, */
	char vm_windbg[WINDBG_LINE];     /* and what is typed in that */
	const char *guest[WINDBG_GUEST]; /* static; NULL after the last */
};

/* False: there is no kernel debugger. */
bool windbg_make(const struct sill_debug_config *d, struct windbg *ret);

/* As lines "debug: WHAT: LINE"; nothing without a kernel debugger. */
void windbg_print(FILE *f, const struct sill_debug_config *d);
/* {"port", "listen", "connect", "windbg", "vm", "bcdedit"}, which the caller owns; NULL: none, or no memory. */
json_t *windbg_json(const struct sill_debug_config *d);
/* The same, with what was seen: "state", "connected", "guest" and "debugger". */
json_t *windbg_seen_json(const struct sill_debug_config *d, const struct sill_kd_seen *seen);
/* What the word of "state" means, for people; static. */
const char *windbg_state_text(const char *state, bool connected);

#endif
