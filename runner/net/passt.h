/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passt.h - a passt of our own beside the VM, which carries a card's frames without any right.
 *
 * passt is a program that speaks to the network for a guest by ordinary sockets, under the host's
 * address (https://passt.top). It gets one end of a socket pair and lives as long as the other
 * end is open: it ends when we do, however that is. Frames are whole, each after its length; our DHCP
 * answers the guest, passt answers ARP, and IPv6's questions.
 */
#ifndef RUNNER_NET_PASST_H
#define RUNNER_NET_PASST_H

#include <stdint.h>

#include "runner/host/program.h"
#include "runner/net/forwardspec.h"
#include "sill/error.h"

enum { PASST_FORWARDS = 64 };

/* Public struct: what it is to do. */
struct passt_want {
	uint8_t mac[6]; /* the guest's */
	uint32_t
		host; /* the address of the gateway that passt plays; like all here in host order */
	uint32_t guest; /* that of the guest */
	uint8_t prefix; /* of their network */
	uint16_t mtu;   /* that IPv6 tells; 0: passt's own */
	struct forward_spec forward[PASST_FORWARDS];
	unsigned forward_count;
	unsigned look_ms; /* at how it does, while it does not answer; 0: each second */
};

/* Its command line, for passt_start(); @fd: the number its end of the socket will have. */
void passt_line(struct program_line *ret, const struct passt_want *w, int fd);

/*
 * Start one, and wait until it answers: then its ports are bound. *@ret_fd is our end, a connected
 * AF_UNIX stream between two frames. 0, or -1 and @e, with a hint: it has ended, or does nothing and says nothing for
 * ten looks; one that is at work on a slow host has its time. @stop: once it can be read, nobody waits
 * any more; -1: none.
 */
int passt_start(struct program *p, const struct passt_want *w, int stop, int *ret_fd,
		struct sill_err *e);

#endif
