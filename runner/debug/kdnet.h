/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdnet.h - what is written of a kernel debugger at a network card (debug.kd: net).
 *
 * The guest calls: it sends UDP from the card to the machine that WinDbg runs on, and all that comes back is an
 * answer. Key, ports and addresses by Microsoft's "Set up KDNET network kernel debugging manually".
 */
#ifndef RUNNER_DEBUG_KDNET_H
#define RUNNER_DEBUG_KDNET_H

#include "sill/config.h"
#include "sill/error.h"

/* Any port of these; 50000 to 50039 is what Microsoft recommends. */
enum { KDNET_PORT_MIN = 49152, KDNET_PORT_MAX = 65535 };

/* Public struct. */
struct kdnet_end {
	uint32_t address; /* in the host's byte order */
	uint16_t port;
};

/* ADDRESS:PORT. 0, or -1 and @e, with a hint. */
int kdnet_read_end(const char *text, struct kdnet_end *ret, struct sill_err *e);
/* Four numbers below 2^64 in base 36, with dots between them. 0, or -1 and @e, with a hint. */
int kdnet_check_key(const char *text, struct sill_err *e);
/* The card that debug.card names, or the only one; NULL: there is no such card, or it takes a name. */
const struct sill_net_config *kdnet_card(const struct sill_config *c);
/* The debugger's machine, if the debugger is at the card @n of @c; 0: it is not. */
uint32_t kdnet_peer(const struct sill_config *c, const struct sill_net_config *n);

#endif
