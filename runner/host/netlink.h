/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.h - messages to the kernel about networks: written, sent, and what it answers.
 *
 * A struct netlink is one message or a batch of them, of at most NETLINK_ROOM bytes. What does not
 * fit is not sent: netlink_ask() says so (EMSGSIZE).
 */
#ifndef RUNNER_HOST_NETLINK_H
#define RUNNER_HOST_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NETLINK_ROOM = 131072,
	NETLINK_ANSWER = 65536
}; /* both less than a socket's buffer (wmem_default) */

/* Public struct. Zeroed, it is empty. */
struct netlink {
	char bytes[NETLINK_ROOM] __attribute__((aligned(8)));
	size_t at; /* > NETLINK_ROOM: it did not fit */
};

/* A message, whose fixed part is the @n bytes at @body; what is put in after it belongs to it until its end. */
size_t netlink_begin(struct netlink *b, uint16_t type, uint16_t flags, const void *body, size_t n);
void netlink_end(struct netlink *b, size_t message);

/* An attribute. */
void netlink_put(struct netlink *b, uint16_t type, const void *bytes, size_t n);
void netlink_put_text(struct netlink *b, uint16_t type, const char *text);

/* An attribute of those that follow, until its end. */
size_t netlink_nest(struct netlink *b, uint16_t type);
void netlink_nest_end(struct netlink *b, size_t at);

/* Is there an attribute at @a, of which @n bytes are left? */
bool netlink_is_whole(const struct nlattr *a, size_t n);
/* The attribute after @a, of which *@n bytes are left; NULL: there is none. */
const struct nlattr *netlink_next(const struct nlattr *a, size_t *n);
/* The first attribute of type @type in the @n bytes at @a; NULL: there is none. */
const struct nlattr *netlink_find(const struct nlattr *a, size_t n, uint16_t type);

/* A socket of @protocol (NETLINK_ROUTE ...) on which the kernel answers within seconds. -1 and errno. */
int netlink_open(int protocol);
/* Send the batch, and read its @messages acknowledgements. 0, or -1 and errno: what the kernel says first. */
int netlink_ask(int fd, const struct netlink *b, uint32_t messages);

#endif
