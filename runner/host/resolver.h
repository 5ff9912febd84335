/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h - the name servers that this host asks, as far as a guest may ask them, too. */
#ifndef RUNNER_HOST_RESOLVER_H
#define RUNNER_HOST_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { RESOLVERS_MAX = 3 };

/* Public struct. Zeroed, it is empty. */
struct resolvers {
	uint32_t list[RESOLVERS_MAX]; /* in the host's byte order */
	unsigned count;
	uint8_t list6[RESOLVERS_MAX][16]; /* not of a link: that link is the host's */
	unsigned count6;
	bool local; /* there is one on a loopback address, which is of no use to a guest */
};

/* What the text of a resolv.conf says; the first ones if there are more. */
void resolvers_parse(struct resolvers *r, const char *text);

/*
 * Those of the file @conf. Has it a loopback address, and of IPv4 nothing else, which most guests need, then those of
 * @upstream too, which is where systemd-resolved writes whom it asks itself. Without such files: none.
 */
void resolvers_read(struct resolvers *r, const char *conf, const char *upstream);

/* Public struct. Whom this host asks itself, at whatever address. */
struct upstreams {
	struct upstream {
		struct sockaddr_storage at; /* port 53 */
		socklen_t size;
	} list[RESOLVERS_MAX];
	unsigned count;
};

/* Those of the file @conf, IPv4 and IPv6, the first ones if there are more. Without the file: none. */
void upstreams_read(struct upstreams *r, const char *conf);
void upstreams_parse(struct upstreams *r, const char *text);

#endif
