/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - one end of a TCP connection, as it is written.
 *
 *   to listen at   [ADDRESS:]PORT   ADDRESS is one of the host's, IPv6 in brackets; without it 127.0.0.1
 *   to connect to  HOST:PORT        a name, or an address as above
 */
#ifndef RUNNER_NET_ENDPOINT_H
#define RUNNER_NET_ENDPOINT_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "sill/error.h"

/* Public struct: an address to bind or to connect to. */
struct endpoint {
	struct sockaddr_storage at;
	socklen_t size; /* of it */
};

enum { ENDPOINT_ADDRESSES = 8 };

/* Public struct: where one may be who has a name. Zeroed: nobody. */
struct endpoint_peer {
	struct endpoint at[ENDPOINT_ADDRESSES];
	unsigned count, next;
};

/* 0, or -1 and @e, with a hint. */
int endpoint_read_listen(const char *text, struct endpoint *ret, struct sill_err *e);
/* Is @text of the right form? 0, or -1 and @e, with a hint. Asks nobody. */
int endpoint_check_connect(const char *text, struct sill_err *e);
/* Its addresses; asks the resolver, and waits for it. 0, or -1 and @e. */
int endpoint_resolve(const char *text, struct endpoint_peer *ret, struct sill_err *e);

/*
 * Listen there, non-blocking, close on exec; whose connection breaks without a word is found out within a minute. The descriptor, or -1 and @e.
 */
int endpoint_listen(const struct endpoint *p, const char *text, struct sill_err *e);
/* A non-blocking socket that is connected, or will be within seconds, likewise; -1: not now. */
int endpoint_dial(const struct endpoint *p);
/* Likewise, to one address after the other: which of them somebody listens at, nobody knows. */
int endpoint_dial_next(struct endpoint_peer *p);

#endif
