/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h - the name servers that this host asks, as far as a guest may ask them, too. */
#ifndef RUNNER_HOST_RESOLVER_H
#define RUNNER_HOST_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

enum { RESOLVERS_MAX = 3 };

/* Public struct. Zeroed, it is empty. */
struct resolvers {
	uint32_t list[RESOLVERS_MAX]; /* in the host's byte order */
	unsigned count;
	bool local; /* there is one on a loopback address, which is of no use to a guest */
};

/* What the text of a resolv.conf says; IPv4 only, the first ones if there are more. */
void resolvers_parse(struct resolvers *r, const char *text);

/*
 * Those of the file @conf. Has it loopback addresses only, then those of @upstream, which is where
 * systemd-resolved writes whom it asks itself. Without such files: none.
 */
void resolvers_read(struct resolvers *r, const char *conf, const char *upstream);

#endif
