/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.c - see nft.h. Every number in a message is in network order, but for what goes into
 * registers, which has the order of what it is compared with.
 */
#include "runner/host/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2
#endif

enum { IP_SOURCE = 12, ESTABLISHED = 2, RELATED = 4 };

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
			     NLM_F_ACK | NLM_F_CREATE | flags, NFPROTO_IPV4, 0);
}

void nft_begin(struct nft *b, const char *table, bool owned)
{
	size_t at;

	b->batch.at = 0;
	b->messages = 0;
	(void)snprintf(b->table, sizeof(b->table), "%s", table);
	netlink_end(&b->batch, begin_message(b, NFNL_MSG_BATCH_BEGIN, 0, 0, NFNL_SUBSYS_NFTABLES));
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
	hook = netlink_nest(&b->batch, NFTA_CHAIN_HOOK);
	put32(b, NFTA_HOOK_HOOKNUM, c->hook);
	put32(b, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
	netlink_nest_end(&b->batch, hook);
	put32(b, NFTA_CHAIN_POLICY, c->drops ? NF_DROP : NF_ACCEPT);
	netlink_put_text(&b->batch, NFTA_CHAIN_TYPE, c->type);
	netlink_end(&b->batch, at);
}

/* ---- rules ---- */

void nft_begin_rule(struct nft *b, const char *chain)
{
	b->rule = begin_change(b, NFT_MSG_NEWRULE, NLM_F_APPEND);
	netlink_put_text(&b->batch, NFTA_RULE_TABLE, b->table);
	netlink_put_text(&b->batch, NFTA_RULE_CHAIN, chain);
	b->list = netlink_nest(&b->batch, NFTA_RULE_EXPRESSIONS);
}

void nft_end_rule(struct nft *b)
{
	netlink_nest_end(&b->batch, b->list);
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

static void match_interface(struct nft *b, uint32_t key, uint32_t op, const char *interface)
{
	const struct expression x = begin_expression(b, "meta");
	char name[IFNAMSIZ] = "";

	put32(b, NFTA_META_DREG, NFT_REG_1);
	put32(b, NFTA_META_KEY, key);
	end_expression(b, x);
	memcpy(name, interface, strnlen(interface, sizeof(name) - 1));
	compare(b, op, name, sizeof(name));
}

void nft_match_in(struct nft *b, const char *interface)
{
	match_interface(b, NFT_META_IIFNAME, NFT_CMP_EQ, interface);
}

void nft_match_not_out(struct nft *b, const char *interface)
{
	match_interface(b, NFT_META_OIFNAME, NFT_CMP_NEQ, interface);
}

void nft_match_source(struct nft *b, uint32_t address, uint8_t prefix, bool is)
{
	const struct expression x = begin_expression(b, "payload");
	const uint32_t mask = prefix == 0 ? 0 : ~0u << (32 - prefix), net = htonl(address & mask);

	put32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put32(b, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	put32(b, NFTA_PAYLOAD_OFFSET, IP_SOURCE);
	put32(b, NFTA_PAYLOAD_LEN, sizeof(net));
	end_expression(b, x);
	mask_bits(b, htonl(mask));
	compare(b, is ? NFT_CMP_EQ : NFT_CMP_NEQ, &net, sizeof(net));
}

void nft_match_new(struct nft *b)
{
	const struct expression x = begin_expression(b, "ct");
	const uint32_t zero = 0;

	put32(b, NFTA_CT_DREG, NFT_REG_1);
	put32(b, NFTA_CT_KEY, NFT_CT_STATE);
	end_expression(b, x);
	mask_bits(b, ESTABLISHED | RELATED);
	compare(b, NFT_CMP_EQ, &zero, sizeof(zero));
}

void nft_count(struct nft *b)
{
	end_expression(b, begin_expression(b, "counter"));
}

void nft_masquerade(struct nft *b)
{
	end_expression(b, begin_expression(b, "masq"));
}

void nft_drop(struct nft *b)
{
	const struct expression x = begin_expression(b, "immediate");
	size_t data, verdict;

	put32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = netlink_nest(&b->batch, NFTA_IMMEDIATE_DATA);
	verdict = netlink_nest(&b->batch, NFTA_DATA_VERDICT);
	put32(b, NFTA_VERDICT_CODE, NF_DROP);
	netlink_nest_end(&b->batch, verdict);
	netlink_nest_end(&b->batch, data);
	end_expression(b, x);
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

/* 1: more is to come; 0; -1 and errno. */
static int take_answer(struct nlmsghdr *h, unsigned n,
		       void (*fn)(void *ctx, const struct nft_found *c), void *ctx)
{
	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		const struct nfgenmsg *g = NLMSG_DATA(h);
		struct nft_found c = { 0 };

		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR) {
			errno = -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
			return -1;
		}
		if ((h->nlmsg_type & 0xff) != NFT_MSG_NEWCHAIN ||
		    h->nlmsg_len < NLMSG_LENGTH(sizeof(*g)))
			continue;
		c.family = g->nfgen_family;
		take_chain(&c, (const struct nlattr *)(const void *)(g + 1),
			   h->nlmsg_len - NLMSG_LENGTH(sizeof(*g)));
		fn(ctx, &c);
	}
	return 1;
}

int nft_each_chain(int fd, void (*fn)(void *ctx, const struct nft_found *c), void *ctx,
		   struct sill_err *e)
{
	struct nft *b = calloc(1, sizeof(*b));
	char *answer = malloc(NETLINK_ANSWER);
	int more = -1;

	if (b != NULL && answer != NULL) {
		netlink_end(&b->batch,
			    begin_message(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN,
					  NLM_F_DUMP, NFPROTO_UNSPEC, 0));
		more = send(fd, b->batch.bytes, b->batch.at, 0) >= 0 ? 1 : -1;
	}
	while (more == 1) {
		const ssize_t n = recv(fd, answer, NETLINK_ANSWER, 0);

		more = n < 0 ? -1
			     : take_answer((struct nlmsghdr *)(void *)answer, (unsigned)n, fn, ctx);
	}
	free(answer);
	free(b);
	return more == 0 ? 0 : sill_err_sys(e, errno, "the packet filter's chains");
}
