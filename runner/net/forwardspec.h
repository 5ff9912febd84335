/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwardspec.h - a port forward as it is written: [ADDRESS:]HOSTPORT:GUESTPORT[/tcp].
 *
 * ADDRESS is one of the host's, IPv6 in brackets; without it, 127.0.0.1 and ::1.
 */
#ifndef RUNNER_NET_FORWARDSPEC_H
#define RUNNER_NET_FORWARDSPEC_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "sill/error.h"

/* Public struct. */
struct forward_spec {
	bool v4, v6; /* at least one; both: the loopback's */
	struct in_addr address4;
	struct in6_addr address6;
	uint16_t host_port, guest_port;
	const char *device; /* borrowed; connections come in by it alone; NULL: by any */
};

/* 0, or -1 and @e, with a hint. */
int forward_read(const char *text, struct forward_spec *ret, struct sill_err *e);

/* Could one not listen for the other? */
bool forward_clash(const struct forward_spec *a, const struct forward_spec *b);

/* The address that DHCP gives to the guest of a host at "192.168.249.1/24". 0, or -1: that is no address. */
int forward_guest(const char *host, uint32_t *ret_guest);

#endif
