/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat.h - guests reach what their host reaches, under the host's address; or less than that.
 *
 * The rules (rules.h) are owned by a socket of ours: gone with the process, however it ends. Before the first
 * packet of a guest there are the rules, then forwarding; at the end the taps go first.
 */
#ifndef RUNNER_HOST_NAT_H
#define RUNNER_HOST_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/host/forwarding.h"
#include "runner/host/ipv6.h"
#include "runner/host/rules.h"
#include "sill/config.h"
#include "sill/error.h"

/* Public struct. */
struct nat {
	int fd;                               /* owned; -1: none. The tables live as long */
	struct nft_net guests[SILL_MAX_NETS]; /* whose connections are forgotten at the end */
	unsigned guest_count;
	uint8_t guests6[SILL_MAX_NETS][8]; /* likewise, of IPv6: networks of 64 bits */
	unsigned guest6_count;
	struct forwarding forwarding;
	unsigned uplinks; /* so many, the first of forwarding.list, are on for our sake */
	char uplinks6[IPV6_UPLINKS][IF_NAMESIZE]; /* and these, of IPv6 */
	unsigned uplink6_count;
	bool no_uplink; /* there is no default route now */
};

enum { NAT_ADVICE = 1024 };

void nat_init(struct nat *n);
/*
 * @dir: see forwarding_init(). Of @cards, nat6 is false afterwards where the host does not pass on IPv6, and is not made
 * to. 0, or -1 and @e; nat_fini() either way.
 */
int nat_start(struct nat *n, struct rules_card *cards, unsigned count, const char *dir,
	      struct sill_err *e);
/* After the taps are closed. */
void nat_fini(struct nat *n);

/*
 * Does another program's rule drop what is forwarded, whatever ours say? Then @ret tells whose, and what
 * lets through what comes from @interface and its answers; it is the host's to run.
 */
bool nat_obstacle(const char *interface, char ret[NAT_ADVICE]);

#endif
