/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnsmasq.h - a dnsmasq beside the VM that gives its guest an address, in place of the card (dhcp: dnsmasq).
 *
 * It is a program under the GPL, and so never more than a process. It serves one tap and one guest, asks and answers no
 * names, and has neither a file of its own nor the system's. It ends when our end of a socket is closed, however that comes
 * about; who ends it otherwise finds another one there a second later, up to a minute when that ends as soon.
 */
#ifndef RUNNER_NET_DNSMASQ_H
#define RUNNER_NET_DNSMASQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runner/host/program.h"
#include "runner/net/usernet.h"
#include "sill/config.h"
#include "sill/error.h"

enum { DNSMASQ_DNS = SILL_MAX_DNS };

/* Public struct: what it is to do. Addresses are in host order. */
struct dnsmasq_want {
	const char *device; /* borrowed */
	uint8_t mac[6];     /* the guest's */
	uint32_t guest;
	uint8_t prefix;  /* of its network */
	uint32_t router; /* 0: none */
	uint16_t mtu;    /* 0: the guest is told of none */
	uint32_t dns[DNSMASQ_DNS];
	unsigned dns_count;
};

/* Its command line, for dnsmasq_start(), behind that of the shell which sees to its end. */
void dnsmasq_line(struct program_line *ret, const struct dnsmasq_want *w);

/* Public struct: one that runs. */
struct dnsmasq {
	struct program program;
	int hold; /* owned; while it is open, dnsmasq runs; -1: there is none */
	bool heard;
	pthread_t thread; /* if heard: of dnsmasq_watch() */
	const char *id;   /* borrowed */
	usernet_say say;
};

void dnsmasq_init(struct dnsmasq *d);
/* Start one, and wait until it listens. 0, or -1 and @e, with a hint; there is nothing to stop then. */
int dnsmasq_start(struct dnsmasq *d, const struct dnsmasq_want *w, struct sill_err *e);
/*
 * From here on a thread says, for the card @id (borrowed until it is stopped), that one after the other ends within a
 * minute: once for each such row of them. @d stays where it is. Does nothing if there is none. 0, or -1 and @e.
 */
int dnsmasq_watch(struct dnsmasq *d, const char *id, usernet_say say, struct sill_err *e);
/* It has ended when this returns. Harmless when there is none. */
void dnsmasq_stop(struct dnsmasq *d);

#endif
