/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cable.h - a network card's side of the host: its tap, and all that the host does for its guest beside the frames.
 *
 *   cable_create -> cable_open -> cable_guard -> cable_settle -> tap_give -> cable_start -> cable_stop -> cable_destroy
 *
 * Each card has its own rules, forwards, passt, dnsmasq and name server: they come and go with it, whatever the VM does.
 */
#ifndef RUNNER_HOST_CABLE_H
#define RUNNER_HOST_CABLE_H

#include <stdbool.h>

#include "runner/host/nat.h"
#include "runner/host/resolver.h"
#include "runner/host/tap.h"
#include "runner/net/dnsmasq.h"
#include "runner/net/dnsproxy.h"
#include "runner/net/find.h"
#include "runner/net/forward.h"
#include "runner/net/usernet.h"
#include "sill/config.h"
#include "sill/error.h"
#include "sill/files.h"

/* Public struct: the queues of a card's tap, from who made it; borrowed. */
struct lent_tap {
	char id[SILL_FILE_ID_MAX + 1]; /* the card's */
	int fd[SILL_MAX_NET_QUEUES];
	unsigned count;
};

/* Public struct. */
struct cable {
	char id[SILL_FILE_ID_MAX + 1]; /* the card's */
	unsigned long number;          /* private to cables.c: later ones have higher ones */
	struct cable *next;            /* likewise: owned, of those that go late */
	struct tap tap;
	struct seen_guest seen;
	struct forwards *forwards; /* owned; they listen; NULL: there are none */
	struct usernet *usernet;   /* owned; it runs; NULL: there is none */
	struct dnsmasq dnsmasq;    /* owned; it runs, where it is wanted */
	struct nat nat;
	bool routes6;         /* nat is for IPv6, too */
	struct resolvers dns; /* of the host */
	struct dnsproxy
		*dnsproxy; /* owned; it listens, where the guest cannot ask them itself; NULL */
	bool proxied;
	struct sill_err dns_why; /* why it is not */
};

/* What a card is connected to. Borrowed. */
struct cable_want {
	const struct sill_net_config *n;
	enum sill_guest guest;
	uint32_t peer;               /* whom the guest must reach: its kernel debugger; 0: nobody */
	const char *dir;             /* see leftover.h */
	const struct lent_tap *lent; /* the tap, from who made it; NULL: it is found or made */
};

struct cable *cable_create(const char *id, struct sill_err *e);
/* The tap, with its forwards and a name server, which listen. 0, or -1 and @e; cable_destroy() either way. */
int cable_open(struct cable *c, const struct cable_want *w, struct sill_err *e);
/* The rules of the packet filter; when all taps of the VM are there. 0, or -1 and @e. */
int cable_guard(struct cable *c, const struct cable_want *w, struct sill_err *e);
/* What is `auto` in @n, as it was found. 0, or -1 and @e: no memory. */
int cable_settle(const struct cable *c, struct sill_net_config *n, struct sill_err *e);
/* Is this card to tell its guest of the host's name servers, and there are none to tell of? */
bool cable_lacks_dns(const struct cable *c, const struct sill_net_config *n);

/* From here on ports of the host lead to the guest, by threads. @vm outlives cable_stop(). 0, or -1 and @e. */
int cable_start(struct cable *c, struct sill_vm *vm, usernet_say say, struct sill_err *e);
/* Nobody asks the VM any more; ports are free. What forwards have counted can still be asked for. */
void cable_stop(struct cable *c);
/* When the card has closed its descriptors: all is as it was. Waits for others (leftover.h). Accepts NULL. */
void cable_destroy(struct cable *c);

#endif
