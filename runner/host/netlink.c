/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.c - see netlink.h. */
#include "runner/host/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static bool fits(const struct netlink *b)
{
	return b->at <= sizeof(b->bytes);
}

static void *room(struct netlink *b, size_t n)
{
	const size_t whole = (n + 3) & ~(size_t)3;
	void *p = b->bytes + b->at;

	if (!fits(b) || sizeof(b->bytes) - b->at < whole) {
		b->at = sizeof(b->bytes) + 1;
		return NULL;
	}
	memset(p, 0, whole);
	b->at += whole;
	return p;
}

size_t netlink_begin(struct netlink *b, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	const size_t at = b->at;
	struct nlmsghdr *h = room(b, sizeof(*h) + n);

	if (h == NULL)
		return at;
	h->nlmsg_type = type;
	h->nlmsg_flags = flags | NLM_F_REQUEST;
	memcpy(NLMSG_DATA(h), body, n);
	return at;
}

void netlink_end(struct netlink *b, size_t message)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)(b->bytes + message);

	if (fits(b))
		h->nlmsg_len = (uint32_t)(b->at - message);
}

void netlink_put(struct netlink *b, uint16_t type, const void *bytes, size_t n)
{
	struct nlattr *a = room(b, sizeof(*a) + n);

	if (a == NULL)
		return;
	a->nla_type = type;
	a->nla_len = (uint16_t)(sizeof(*a) + n);
	if (n > 0)
		memcpy(a + 1, bytes, n);
}

void netlink_put_text(struct netlink *b, uint16_t type, const char *text)
{
	netlink_put(b, type, text, strlen(text) + 1);
}

size_t netlink_nest(struct netlink *b, uint16_t type)
{
	const size_t at = b->at;

	netlink_put(b, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void netlink_nest_end(struct netlink *b, size_t at)
{
	struct nlattr *a = (struct nlattr *)(void *)(b->bytes + at);

	if (fits(b))
		a->nla_len = (uint16_t)(b->at - at);
}

/* ---- what comes ---- */

bool netlink_is_whole(const struct nlattr *a, size_t n)
{
	return a != NULL && n >= sizeof(*a) && a->nla_len >= sizeof(*a) && a->nla_len <= n;
}

const struct nlattr *netlink_next(const struct nlattr *a, size_t *n)
{
	const size_t whole = ((size_t)a->nla_len + 3) & ~(size_t)3;

	if (*n < whole)
		return NULL;
	*n -= whole;
	return (const struct nlattr *)(const void *)((const char *)a + whole);
}

const struct nlattr *netlink_find(const struct nlattr *a, size_t n, uint16_t type)
{
	for (; netlink_is_whole(a, n); a = netlink_next(a, &n))
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

int netlink_open(int protocol)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	const struct timeval limit = { .tv_sec = 5 }; /* the kernel answers at once */

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* Answers of @n bytes: how many messages they speak of, or -1 and errno. */
static int count_answers(struct nlmsghdr *h, unsigned n)
{
	int count = 0;

	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		const struct nlmsgerr *answer = NLMSG_DATA(h);

		if (h->nlmsg_type != NLMSG_ERROR)
			continue;
		if (answer->error != 0) {
			errno = -answer->error;
			return -1;
		}
		count++;
	}
	return count;
}

int netlink_ask(int fd, const struct netlink *b, uint32_t messages)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	char *answer = malloc(NETLINK_ANSWER);
	int left, count = -1;

	errno = answer == NULL ? ENOMEM : EMSGSIZE;
	if (answer != NULL && fits(b) &&
	    sendto(fd, b->bytes, b->at, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) >= 0)
		count = 0;
	for (left = (int)messages; count >= 0 && left > 0; left -= count) {
		const ssize_t n = recv(fd, answer, NETLINK_ANSWER, 0);

		count = n < 0 ? -1 : count_answers((struct nlmsghdr *)(void *)answer, (unsigned)n);
	}
	free(answer);
	return count >= 0 ? 0 : -1;
}
