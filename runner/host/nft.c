/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.c - see nft.h. Every number in a message is in network order, but for what goes into
 * registers, which has the order of what it is compared with.
 */
#include "runner/host/nft.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2
#endif

/* Where things are: in an Ethernet frame, in ARP for IPv4 (RFC 826), in IPv4 (RFC 791), in TCP and UDP. */
enum {
	ETH_SOURCE = 6,
	ARP_MAC = 8,
	ARP_IP = 14,
	IP_SOURCE = 12,
	IP6_SOURCE = 8,
	IP_TARGET = 16,
	PORT_TARGET = 2
};
enum { ESTABLISHED = 2, RELATED = 4 }; /* bits of the connection's state */
enum { ECHO_REQUEST = 8, UDATA_COMMENT = 0 };

/* ---- messages ---- */

static void put32(struct nft *b, uint16_t type, uint32_t v)
{
	v = htonl(v);
	netlink_put(&b->batch, type, &v, sizeof(v));
}

static size_t begin_message(struct nft *b, uint16_t type, uint16_t flags, uint8_t family,
			    uint16_t resource)
{
	const struct nfgenmsg g = { .nfgen_family = family,
				    .version = NFNETLINK_V0,
				    .res_id = htons(resource) };

	return netlink_begin(&b->batch, type, flags, &g, sizeof(g));
}

static size_t begin_change(struct nft *b, uint16_t what, uint16_t flags)
{
	b->messages++;
	return begin_message(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | what),
			     NLM_F_ACK | NLM_F_CREATE | flags, b->family, 0);
}

void nft_begin(struct nft *b)
{
	b->batch.at = 0;
	b->messages = 0;
	netlink_end(&b->batch, begin_message(b, NFNL_MSG_BATCH_BEGIN, 0, 0, NFNL_SUBSYS_NFTABLES));
}

void nft_add_table(struct nft *b, const struct nft_table *t, bool owned)
{
	size_t at;

	b->family = t->family;
	(void)snprintf(b->table, sizeof(b->table), "%s", t->name);
	at = begin_change(b, NFT_MSG_NEWTABLE, NLM_F_EXCL);
	netlink_put_text(&b->batch, NFTA_TABLE_NAME, b->table);
	put32(b, NFTA_TABLE_FLAGS, owned ? NFT_TABLE_F_OWNER : 0);
	netlink_end(&b->batch, at);
}

void nft_add_chain(struct nft *b, const struct nft_chain *c)
{
	const size_t at = begin_change(b, NFT_MSG_NEWCHAIN, 0);
	size_t hook;

	netlink_put_text(&b->batch, NFTA_CHAIN_TABLE, b->table);
	netlink_put_text(&b->batch, NFTA_CHAIN_NAME, c->name);
	if (c->type == NULL) {
		netlink_end(&b->batch, at);
		return;
	}
	hook = netlink_nest(&b->batch, NFTA_CHAIN_HOOK);
	put32(b, NFTA_HOOK_HOOKNUM, c->hook);
	put32(b, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
	if (c->device != NULL)
		netlink_put_text(&b->batch, NFTA_HOOK_DEV, c->device);
	netlink_nest_end(&b->batch, hook);
	put32(b, NFTA_CHAIN_POLICY, c->drops ? NF_DROP : NF_ACCEPT);
	netlink_put_text(&b->batch, NFTA_CHAIN_TYPE, c->type);
	netlink_end(&b->batch, at);
}

/* ---- rules ---- */

void nft_begin_rule(struct nft *b, const char *chain, const char *comment)
{
	b->is_ipv4 = false;
	b->comment = comment;
	b->rule = begin_change(b, NFT_MSG_NEWRULE, NLM_F_APPEND);
	netlink_put_text(&b->batch, NFTA_RULE_TABLE, b->table);
	netlink_put_text(&b->batch, NFTA_RULE_CHAIN, chain);
	b->list = netlink_nest(&b->batch, NFTA_RULE_EXPRESSIONS);
}

/* As `nft` has it: a list of type, length, value; the text with its end. */
static void put_comment(struct nft *b)
{
	char data[2 + NFT_NAME] = { UDATA_COMMENT };
	const size_t n = strnlen(b->comment, NFT_NAME - 1);

	data[1] = (char)(n + 1);
	memcpy(data + 2, b->comment, n);
	netlink_put(&b->batch, NFTA_RULE_USERDATA, data, 2 + n + 1);
}

void nft_end_rule(struct nft *b)
{
	netlink_nest_end(&b->batch, b->list);
	if (b->comment != NULL)
		put_comment(b);
	netlink_end(&b->batch, b->rule);
}

struct expression {
	size_t element, data;
};

static struct expression begin_expression(struct nft *b, const char *name)
{
	struct expression x;

	x.element = netlink_nest(&b->batch, NFTA_LIST_ELEM);
	netlink_put_text(&b->batch, NFTA_EXPR_NAME, name);
	x.data = netlink_nest(&b->batch, NFTA_EXPR_DATA);
	return x;
}

static void end_expression(struct nft *b, struct expression x)
{
	netlink_nest_end(&b->batch, x.data);
	netlink_nest_end(&b->batch, x.element);
}

static void put_value(struct nft *b, uint16_t type, const void *bytes, size_t n)
{
	const size_t at = netlink_nest(&b->batch, type);

	netlink_put(&b->batch, NFTA_DATA_VALUE, bytes, n);
	netlink_nest_end(&b->batch, at);
}

static void compare(struct nft *b, uint32_t op, const void *bytes, size_t n)
{
	const struct expression x = begin_expression(b, "cmp");

	put32(b, NFTA_CMP_SREG, NFT_REG_1);
	put32(b, NFTA_CMP_OP, op);
	put_value(b, NFTA_CMP_DATA, bytes, n);
	end_expression(b, x);
}

/* Of register 1, the bits of @mask. */
static void mask_bits(struct nft *b, uint32_t mask)
{
	const struct expression x = begin_expression(b, "bitwise");
	const uint32_t zero = 0;

	put32(b, NFTA_BITWISE_SREG, NFT_REG_1);
	put32(b, NFTA_BITWISE_DREG, NFT_REG_1);
	put32(b, NFTA_BITWISE_LEN, sizeof(mask));
	put_value(b, NFTA_BITWISE_MASK, &mask, sizeof(mask));
	put_value(b, NFTA_BITWISE_XOR, &zero, sizeof(zero));
	end_expression(b, x);
}

static void load_meta(struct nft *b, uint32_t key)
{
	const struct expression x = begin_expression(b, "meta");

	put32(b, NFTA_META_DREG, NFT_REG_1);
	put32(b, NFTA_META_KEY, key);
	end_expression(b, x);
}

static void load_payload(struct nft *b, uint32_t base, uint32_t offset, uint32_t length)
{
	const struct expression x = begin_expression(b, "payload");

	put32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put32(b, NFTA_PAYLOAD_BASE, base);
	put32(b, NFTA_PAYLOAD_OFFSET, offset);
	put32(b, NFTA_PAYLOAD_LEN, length);
	end_expression(b, x);
}

static void match_interface(struct nft *b, uint32_t key, uint32_t op, const char *interface)
{
	char name[IFNAMSIZ] = "";

	load_meta(b, key);
	memcpy(name, interface, strnlen(interface, sizeof(name) - 1));
	compare(b, op, name, sizeof(name));
}

void nft_match_in(struct nft *b, const char *interface)
{
	match_interface(b, NFT_META_IIFNAME, NFT_CMP_EQ, interface);
}

void nft_match_out(struct nft *b, const char *interface)
{
	match_interface(b, NFT_META_OIFNAME, NFT_CMP_EQ, interface);
}

void nft_match_not_out(struct nft *b, const char *interface)
{
	match_interface(b, NFT_META_OIFNAME, NFT_CMP_NEQ, interface);
}

/* In the host's order; netdev only. */
static void match_ethertype(struct nft *b, uint16_t type)
{
	type = htons(type);
	load_meta(b, NFT_META_PROTOCOL);
	compare(b, NFT_CMP_EQ, &type, sizeof(type));
}

static void match_family(struct nft *b, uint8_t family)
{
	load_meta(b, NFT_META_NFPROTO);
	compare(b, NFT_CMP_EQ, &family, sizeof(family));
}

void nft_match_ipv6(struct nft *b)
{
	match_family(b, NFPROTO_IPV6);
}

/* Elsewhere than in IPv4, these bytes are others. */
static void want_ipv4(struct nft *b)
{
	if (b->is_ipv4)
		return;
	b->is_ipv4 = true;
	if (b->family == NFPROTO_NETDEV)
		match_ethertype(b, ETH_P_IP);
	else if (b->family == NFPROTO_INET)
		match_family(b, NFPROTO_IPV4);
}

void nft_match_not_mac(struct nft *b, const uint8_t mac[6])
{
	load_payload(b, NFT_PAYLOAD_LL_HEADER, ETH_SOURCE, 6);
	compare(b, NFT_CMP_NEQ, mac, 6);
}

void nft_match_arp_not_mac(struct nft *b, const uint8_t mac[6])
{
	match_ethertype(b, ETH_P_ARP);
	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, ARP_MAC, 6);
	compare(b, NFT_CMP_NEQ, mac, 6);
}

static void match_address(struct nft *b, uint32_t offset, const struct nft_net *n, bool is)
{
	const uint32_t mask = n->prefix == 0 ? 0 : ~0u << (32 - n->prefix);
	const uint32_t net = htonl(n->address & mask);

	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, offset, sizeof(net));
	if (n->prefix < 32)
		mask_bits(b, htonl(mask));
	compare(b, is ? NFT_CMP_EQ : NFT_CMP_NEQ, &net, sizeof(net));
}

void nft_match_arp_not(struct nft *b, const struct nft_net *n)
{
	match_ethertype(b, ETH_P_ARP);
	match_address(b, ARP_IP, n, false);
}

void nft_match_source(struct nft *b, const struct nft_net *n, bool is)
{
	want_ipv4(b);
	match_address(b, IP_SOURCE, n, is);
}

void nft_match_ipv4(struct nft *b)
{
	want_ipv4(b);
}

void nft_match_source6(struct nft *b, const uint8_t net[8], bool is)
{
	nft_match_ipv6(b);
	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, IP6_SOURCE, 8);
	compare(b, is ? NFT_CMP_EQ : NFT_CMP_NEQ, net, 8);
}

void nft_match_target(struct nft *b, const struct nft_net *n)
{
	want_ipv4(b);
	match_address(b, IP_TARGET, n, true);
}

static void match_protocol(struct nft *b, uint8_t protocol)
{
	load_meta(b, NFT_META_L4PROTO);
	compare(b, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

void nft_match_port(struct nft *b, uint8_t protocol, uint16_t port)
{
	port = htons(port);
	match_protocol(b, protocol);
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, PORT_TARGET, sizeof(port));
	compare(b, NFT_CMP_EQ, &port, sizeof(port));
}

void nft_match_echo(struct nft *b)
{
	const uint8_t type = ECHO_REQUEST;

	want_ipv4(b);
	match_protocol(b, IPPROTO_ICMP);
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof(type));
	compare(b, NFT_CMP_EQ, &type, sizeof(type));
}

void nft_match_icmp6(struct nft *b, uint8_t type)
{
	match_protocol(b, IPPROTO_ICMPV6);
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof(type));
	compare(b, NFT_CMP_EQ, &type, sizeof(type));
}

void nft_match_known(struct nft *b, bool is)
{
	const struct expression x = begin_expression(b, "ct");
	const uint32_t zero = 0;

	put32(b, NFTA_CT_DREG, NFT_REG_1);
	put32(b, NFTA_CT_KEY, NFT_CT_STATE);
	end_expression(b, x);
	mask_bits(b, ESTABLISHED | RELATED);
	compare(b, is ? NFT_CMP_NEQ : NFT_CMP_EQ, &zero, sizeof(zero));
}

void nft_count(struct nft *b)
{
	end_expression(b, begin_expression(b, "counter"));
}

void nft_masquerade(struct nft *b)
{
	end_expression(b, begin_expression(b, "masq"));
}

/* @chain: of a jump. */
static void judge(struct nft *b, int32_t verdict, const char *chain)
{
	const struct expression x = begin_expression(b, "immediate");
	size_t data, at;

	put32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = netlink_nest(&b->batch, NFTA_IMMEDIATE_DATA);
	at = netlink_nest(&b->batch, NFTA_DATA_VERDICT);
	put32(b, NFTA_VERDICT_CODE, (uint32_t)verdict);
	if (chain != NULL)
		netlink_put_text(&b->batch, NFTA_VERDICT_CHAIN, chain);
	netlink_nest_end(&b->batch, at);
	netlink_nest_end(&b->batch, data);
	end_expression(b, x);
}

void nft_drop(struct nft *b)
{
	judge(b, NF_DROP, NULL);
}

void nft_accept(struct nft *b)
{
	judge(b, NF_ACCEPT, NULL);
}

void nft_jump(struct nft *b, const char *chain)
{
	judge(b, NFT_JUMP, chain);
}

/* ---- the socket ---- */

int nft_open(struct sill_err *e)
{
	const int fd = netlink_open(NETLINK_NETFILTER);

	if (fd < 0)
		(void)sill_err_sys(e, errno, "the kernel's packet filter");
	return fd;
}

int nft_commit(struct nft *b, int fd, struct sill_err *e)
{
	netlink_end(&b->batch, begin_message(b, NFNL_MSG_BATCH_END, 0, 0, NFNL_SUBSYS_NFTABLES));
	return netlink_ask(fd, &b->batch, b->messages) == 0
		       ? 0
		       : sill_err_sys(e, errno, "the packet filter's table '%s'", b->table);
}

/* ---- what is there ---- */

static void take_text(char dst[NFT_NAME], const struct nlattr *a)
{
	const size_t n = (size_t)a->nla_len - sizeof(*a);

	memcpy(dst, a + 1, n < NFT_NAME ? n : NFT_NAME - 1);
	dst[n < NFT_NAME ? n : NFT_NAME - 1] = '\0';
}

static uint32_t take32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (a->nla_len >= sizeof(*a) + sizeof(v))
		memcpy(&v, a + 1, sizeof(v));
	return ntohl(v);
}

static void take_chain(struct nft_found *c, const struct nlattr *a, size_t n)
{
	for (; netlink_is_whole(a, n); a = netlink_next(a, &n)) {
		const struct nlattr *in = a + 1;
		size_t left = (size_t)a->nla_len - sizeof(*a);

		switch (a->nla_type & NLA_TYPE_MASK) {
		case NFTA_CHAIN_TABLE:
			take_text(c->table, a);
			break;
		case NFTA_CHAIN_NAME:
			take_text(c->name, a);
			break;
		case NFTA_CHAIN_POLICY:
			c->drops = take32(a) == NF_DROP;
			break;
		case NFTA_CHAIN_HOOK:
			c->is_base = true;
			for (; netlink_is_whole(in, left); in = netlink_next(in, &left))
				if ((in->nla_type & NLA_TYPE_MASK) == NFTA_HOOK_HOOKNUM)
					c->hook = take32(in);
			break;
		default:
			break;
		}
	}
}

/* A message of a dump: its family, and its @n bytes of attributes. */
typedef void on_message(void *to, uint8_t family, const struct nlattr *a, size_t n);

/* 1: more is to come; 0; -1 and errno. */
static int take_answer(struct nlmsghdr *h, unsigned n, on_message *fn, void *to)
{
	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		const struct nfgenmsg *g = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR) {
			errno = -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
			return -1;
		}
		if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(*g)))
			fn(to, g->nfgen_family, (const struct nlattr *)(const void *)(g + 1),
			   h->nlmsg_len - NLMSG_LENGTH(sizeof(*g)));
	}
	return 1;
}

/* Of all that there is of @what (NFT_MSG_GETCHAIN ...), in the table @table if it is not NULL. 0, or -1 and errno. */
static int dump(int fd, uint16_t what, const struct nft_table *t, on_message *fn, void *to)
{
	struct nft *b = calloc(1, sizeof(*b));
	char *answer = malloc(NETLINK_ANSWER);
	int more = -1;
	size_t at;

	errno = ENOMEM;
	if (b != NULL && answer != NULL) {
		at = begin_message(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | what), NLM_F_DUMP,
				   t != NULL ? t->family : NFPROTO_UNSPEC, 0);
		if (t != NULL)
			netlink_put_text(&b->batch, NFTA_RULE_TABLE, t->name);
		netlink_end(&b->batch, at);
		more = send(fd, b->batch.bytes, b->batch.at, 0) >= 0 ? 1 : -1;
	}
	while (more == 1) {
		const ssize_t n = recv(fd, answer, NETLINK_ANSWER, 0);

		more = n < 0 ? -1
			     : take_answer((struct nlmsghdr *)(void *)answer, (unsigned)n, fn, to);
	}
	free(answer);
	free(b);
	return more;
}

struct chains {
	void (*fn)(void *ctx, const struct nft_found *c);
	void *ctx;
};

static void on_chain(void *to, uint8_t family, const struct nlattr *a, size_t n)
{
	const struct chains *w = to;
	struct nft_found c = { .family = family };

	take_chain(&c, a, n);
	w->fn(w->ctx, &c);
}

int nft_each_chain(int fd, void (*fn)(void *ctx, const struct nft_found *c), void *ctx,
		   struct sill_err *e)
{
	struct chains w = { fn, ctx };

	return dump(fd, NFT_MSG_GETCHAIN, NULL, on_chain, &w) == 0
		       ? 0
		       : sill_err_sys(e, errno, "the packet filter's chains");
}

struct counts {
	void (*fn)(void *ctx, const struct nft_counted *c);
	void *ctx;
};

static uint64_t take64(const struct nlattr *a)
{
	uint64_t v = 0;

	if (a != NULL && a->nla_len >= sizeof(*a) + sizeof(v))
		memcpy(&v, a + 1, sizeof(v));
	return be64toh(v);
}

/* The attribute @type in @a, which may be NULL. */
static const struct nlattr *inside(const struct nlattr *a, uint16_t type)
{
	return a != NULL ? netlink_find(a + 1, (size_t)a->nla_len - sizeof(*a), type) : NULL;
}

/* The counter among the expressions @list; NULL: there is none. */
static const struct nlattr *find_counter(const struct nlattr *list)
{
	const struct nlattr *x = list + 1;
	size_t n = (size_t)list->nla_len - sizeof(*list);
	char name[NFT_NAME];

	for (; netlink_is_whole(x, n); x = netlink_next(x, &n)) {
		const struct nlattr *is = inside(x, NFTA_EXPR_NAME);

		if (is == NULL)
			continue;
		take_text(name, is);
		if (strcmp(name, "counter") == 0)
			return inside(x, NFTA_EXPR_DATA);
	}
	return NULL;
}

static void on_rule(void *to, uint8_t family, const struct nlattr *a, size_t n)
{
	const struct nlattr *list = netlink_find(a, n, NFTA_RULE_EXPRESSIONS),
			    *comment = netlink_find(a, n, NFTA_RULE_USERDATA),
			    *counter = list != NULL ? find_counter(list) : NULL;
	const struct counts *w = to;
	struct nft_counted c;
	const uint8_t *data;
	size_t size;

	(void)family;
	if (counter == NULL || comment == NULL || comment->nla_len < sizeof(*comment) + 2)
		return;
	data = (const uint8_t *)(comment + 1);
	size = (size_t)comment->nla_len - sizeof(*comment) - 2;
	if (data[0] != UDATA_COMMENT)
		return;
	size = size < data[1] ? size : data[1];
	size = size < NFT_NAME - 1 ? size : NFT_NAME - 1;
	memcpy(c.comment, data + 2, size);
	c.comment[size] = '\0';
	c.packets = take64(inside(counter, NFTA_COUNTER_PACKETS));
	c.bytes = take64(inside(counter, NFTA_COUNTER_BYTES));
	w->fn(w->ctx, &c);
}

int nft_each_count(int fd, const struct nft_table *t,
		   void (*fn)(void *ctx, const struct nft_counted *c), void *ctx,
		   struct sill_err *e)
{
	struct counts w = { fn, ctx };

	return dump(fd, NFT_MSG_GETRULE, t, on_rule, &w) == 0
		       ? 0
		       : sill_err_sys(e, errno, "the packet filter's table '%s'", t->name);
}
