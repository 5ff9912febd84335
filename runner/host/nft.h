/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.h - tables of the kernel's packet filter, by netlink: as much as nat.c asks for.
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
};

/* A chain that the kernel asks at a hook. */
struct nft_chain {
	const char *name;
	const char *type; /* "filter", "nat" */
	uint32_t hook;    /* NF_INET_FORWARD ... */
	int32_t priority;
	bool drops; /* what no rule speaks of */
};

/* A new batch, which makes the IPv4 table @table. */
void nft_begin(struct nft *b, const char *table, bool owned);
void nft_add_chain(struct nft *b, const struct nft_chain *c);

/* A rule is what stands between these; its matches come first. */
void nft_begin_rule(struct nft *b, const char *chain);
void nft_end_rule(struct nft *b);

void nft_match_in(struct nft *b, const char *interface);
void nft_match_not_out(struct nft *b, const char *interface);
/* The packet's source is (or, @is false, is not) in the network; like all addresses in the host's order. */
void nft_match_source(struct nft *b, uint32_t address, uint8_t prefix, bool is);
void nft_match_new(struct nft *b); /* of no connection that is known */
void nft_count(struct nft *b);
void nft_drop(struct nft *b);
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

#endif
