/* SPDX-License-Identifier: Apache-2.0 */
/* knock.h - is a service there? Ask, and ask again, until it is or the time is over. */
#ifndef RUNNER_NET_KNOCK_H
#define RUNNER_NET_KNOCK_H

#include <netinet/in.h>
#include <stdint.h>

#include "runner/net/service.h"

/* Why it is not there. The words in JSON are a promise. */
enum knock_end {
	KNOCK_THERE,
	KNOCK_NAME,    /* "no-name" */
	KNOCK_REFUSED, /* "refused" */
	KNOCK_ROUTE,   /* "no-route" */
	KNOCK_TIME,    /* "timed-out": nobody takes the connection, or says anything on it */
	KNOCK_WRONG,   /* "wrong-protocol" */
	KNOCK_CLOSED,  /* "closed": in the middle of it */
	KNOCK_SYSTEM,  /* "failed": this host cannot */
};

/* Public struct. */
struct knock {
	const char *host; /* a name or an address */
	uint16_t port;
	enum service service;
	uint64_t wait_ms; /* 0: ask once */
	const int
		*stop; /* a descriptor: once it can be read, nobody is asked any more; NULL: none */
};

/* Public struct: of the last time. */
struct knock_result {
	enum knock_end end;
	char address[INET6_ADDRSTRLEN + 32]; /* that was asked; "": none */
	char what[SERVICE_WHAT];             /* printable, maybe "" */
	unsigned tries;
	uint64_t ms; /* it took in all */
};

/* All addresses of the name are asked, one after the other; one try takes at most 3 s to connect, and 3 to answer. */
void knock(const struct knock *k, struct knock_result *ret);

const char *knock_word(enum knock_end end);

#endif
