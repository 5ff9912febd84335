/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.h - tables of the kernel's packet filter, by netlink: as much as rules.c asks for.
 *
 * A struct nft is a batch of messages: what is put in becomes true with nft_commit(), all
 * of it or nothing. Its table is owned (NFT_TABLE_F_OWNER): nobody else can change it, no
 * `flush ruleset` takes it, and it is gone with the socket it came through.
 */
#ifndef RUNNER_HOST_NFT_H
#define RUNNER_HOST_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/host/netlink.h"
#include "sill/error.h"

enum { NFT_NAME = 64 };

/* Public struct. */
struct nft {
	struct netlink batch;
	uint32_t messages;
	size_t rule, list; /* where the open rule begins, and its list of expressions */
	char table[NFT_NAME];
	uint8_t family;      /* of the table that is put in */
	bool is_ipv4;        /* the open rule asks for it already */
	const char *comment; /* of the open rule; borrowed; NULL: none */
};

/* An IPv4 network, in the host's order; a @prefix of 32: one address; 0: all. */
struct nft_net {
	uint32_t address;
	uint8_t prefix;
};

struct nft_table {
	uint8_t family; /* NFPROTO_IPV4, _INET, _NETDEV */
	const char *name;
};

/* A chain that the kernel asks at a hook. */
struct nft_chain {
	const char *name;
	const char *type; /* "filter", "nat" */
	uint32_t hook;    /* NF_INET_FORWARD ... */
	int32_t priority;
	bool drops;         /* what no rule speaks of */
	const char *device; /* of the family netdev: whose frames; else NULL */
};

/* A new batch. */
void nft_begin(struct nft *b);
/* It makes the table @t; what follows is in that. */
void nft_add_table(struct nft *b, const struct nft_table *t, bool owned);
/* A chain of the packet's way; @c->type NULL: one that rules jump to. */
void nft_add_chain(struct nft *b, const struct nft_chain *c);

/*
 * A rule is what stands between these; its matches come first. @comment, which may be NULL and is borrowed until
 * the end, is what `nft list` shows behind it, at most NFT_NAME - 1 bytes.
 */
void nft_begin_rule(struct nft *b, const char *chain, const char *comment);
void nft_end_rule(struct nft *b);

void nft_match_in(struct nft *b, const char *interface);
void nft_match_out(struct nft *b, const char *interface);
void nft_match_not_out(struct nft *b, const char *interface);
void nft_match_ipv6(struct nft *b);                              /* inet only */
void nft_match_not_mac(struct nft *b, const uint8_t mac[6]);     /* the frame's source */
void nft_match_arp_not_mac(struct nft *b, const uint8_t mac[6]); /* the sender that ARP names */
/* The sender's IPv4 address in ARP is not in the network. */
void nft_match_arp_not(struct nft *b, const struct nft_net *n);
void nft_match_ipv4(struct nft *b); /* inet, netdev */
/* The packet is IPv6, and its source is (or, @is false, is not) in the network of 64 bits; inet only. */
void nft_match_source6(struct nft *b, const uint8_t net[8], bool is);
/* The packet is IPv4, and its source is (or, @is false, is not) in the network. */
void nft_match_source(struct nft *b, const struct nft_net *n, bool is);
void nft_match_target(struct nft *b, const struct nft_net *n);
/* To the port @port of @protocol (IPPROTO_TCP, IPPROTO_UDP). */
void nft_match_port(struct nft *b, uint8_t protocol, uint16_t port);
void nft_match_echo(struct nft *b);                /* an ICMP echo request */
void nft_match_icmp6(struct nft *b, uint8_t type); /* ICMPv6; inet only */
/* Of a connection that is known, or related to one (@is), or of none. */
void nft_match_known(struct nft *b, bool is);
void nft_count(struct nft *b);
void nft_drop(struct nft *b);
void nft_accept(struct nft *b);
void nft_jump(struct nft *b, const char *chain);
void nft_masquerade(struct nft *b);

/* A socket for nft_commit(), or -1 and @e. */
int nft_open(struct sill_err *e);
int nft_commit(struct nft *b, int fd, struct sill_err *e);

/* A chain that is there. @hook and @drops mean nothing without @is_base. */
struct nft_found {
	char table[NFT_NAME], name[NFT_NAME];
	uint8_t family; /* NFPROTO_IPV4, NFPROTO_INET ... */
	bool is_base, drops;
	uint32_t hook;
};

/* Tell @fn of all chains of this network namespace. 0, or -1 and @e. */
int nft_each_chain(int fd, void (*fn)(void *ctx, const struct nft_found *c), void *ctx,
		   struct sill_err *e);

/* What a rule with a comment has counted. */
struct nft_counted {
	char comment[NFT_NAME];
	uint64_t packets, bytes;
};

/*
 * Tell @fn of all rules of @t that count and have a comment; of none when there is no such table. 0, or -1 and @e.
 */
int nft_each_count(int fd, const struct nft_table *t,
		   void (*fn)(void *ctx, const struct nft_counted *c), void *ctx,
		   struct sill_err *e);

#endif
