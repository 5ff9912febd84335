/* SPDX-License-Identifier: Apache-2.0 */
/* conntrack.c - see conntrack.h. One socket lists them, and another one deletes each by its own words. */
#include "runner/host/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whose connections: of an IPv4 network, or of an IPv6 one of 64 bits. */
struct whose {
	const struct nft_net *net; /* NULL: the other */
	const uint8_t *net6;
};

static size_t begin(struct netlink *b, const struct whose *w, uint16_t what, uint16_t flags)
{
	const struct nfgenmsg g = { .nfgen_family = w->net != NULL ? NFPROTO_IPV4 : NFPROTO_IPV6,
				    .version = NFNETLINK_V0 };

	return netlink_begin(b, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | what), flags, &g,
			     sizeof(g));
}

static const struct nlattr *inside(const struct nlattr *a, uint16_t type)
{
	return a != NULL ? netlink_find(a + 1, (size_t)a->nla_len - sizeof(*a), type) : NULL;
}

/* Does the tuple whose addresses are @ip begin in the network? */
static bool is_from4(const struct nlattr *ip, const struct nft_net *n)
{
	const struct nlattr *source = inside(ip, CTA_IP_V4_SRC);
	const uint32_t mask = n->prefix == 0 ? 0 : ~0u << (32 - n->prefix);
	uint32_t v;

	if (source == NULL || source->nla_len < sizeof(*source) + sizeof(v))
		return false;
	memcpy(&v, source + 1, sizeof(v));
	return ((ntohl(v) ^ n->address) & mask) == 0;
}

static bool is_from6(const struct nlattr *ip, const uint8_t net[8])
{
	const struct nlattr *source = inside(ip, CTA_IP_V6_SRC);

	return source != NULL && source->nla_len >= sizeof(*source) + 16 &&
	       memcmp(source + 1, net, 8) == 0;
}

static bool is_from(const struct nlattr *a, const struct whose *w)
{
	const struct nlattr *ip = inside(a, CTA_TUPLE_IP);

	return w->net != NULL ? is_from4(ip, w->net) : is_from6(ip, w->net6);
}

/* The connection that a message of a dump tells of. */
static bool forget(int fd, struct netlink *b, const struct nlmsghdr *h, const struct whose *w)
{
	const size_t body = NLMSG_LENGTH(sizeof(struct nfgenmsg));
	const struct nlattr *first = (const void *)((const char *)h + body);
	const struct nlattr *orig, *reply, *id;
	size_t at;

	if (h->nlmsg_len < body)
		return false;
	orig = netlink_find(first, h->nlmsg_len - body, CTA_TUPLE_ORIG);
	reply = netlink_find(first, h->nlmsg_len - body, CTA_TUPLE_REPLY);
	id = netlink_find(first, h->nlmsg_len - body, CTA_ID);
	/* Without a tuple, the kernel would take it for all of them. */
	if (orig == NULL || (!is_from(orig, w) && !is_from(reply, w)))
		return false;
	b->at = 0;
	at = begin(b, w, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
	netlink_put(b, orig->nla_type, orig + 1, (size_t)orig->nla_len - sizeof(*orig));
	if (id != NULL)
		netlink_put(b, id->nla_type, id + 1, (size_t)id->nla_len - sizeof(*id));
	netlink_end(b, at);
	return netlink_ask(fd, b, 1) == 0;
}

struct search {
	int fd; /* for changes */
	struct netlink *b;
	const struct whose *whose;
	unsigned count; /* of those that are forgotten */
};

/* Of the answer's @n bytes. False: there is no more. */
static bool take(struct search *s, struct nlmsghdr *h, unsigned n)
{
	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return false;
		s->count += forget(s->fd, s->b, h, s->whose);
	}
	return true;
}

static unsigned forget_all(const struct whose *w)
{
	struct search s = { .fd = netlink_open(NETLINK_NETFILTER),
			    .b = calloc(1, sizeof(*s.b)),
			    .whose = w };
	const int list = netlink_open(NETLINK_NETFILTER);
	char *answer = malloc(NETLINK_ANSWER);
	bool more = false;

	if (list >= 0 && s.fd >= 0 && s.b != NULL && answer != NULL) {
		netlink_end(s.b, begin(s.b, w, IPCTNL_MSG_CT_GET, NLM_F_DUMP));
		more = send(list, s.b->bytes, s.b->at, 0) >= 0;
	}
	while (more) {
		const ssize_t got = recv(list, answer, NETLINK_ANSWER, 0);

		more = got > 0 && take(&s, (void *)answer, (unsigned)got);
	}
	free(answer);
	free(s.b);
	if (list >= 0)
		(void)close(list);
	if (s.fd >= 0)
		(void)close(s.fd);
	return s.count;
}

unsigned conntrack_forget(const struct nft_net *n)
{
	return forget_all(&(struct whose){ .net = n });
}

unsigned conntrack_forget6(const uint8_t net[8])
{
	return forget_all(&(struct whose){ .net6 = net });
}
