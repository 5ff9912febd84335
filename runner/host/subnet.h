/* SPDX-License-Identifier: Apache-2.0 */
/* subnet.h - the IPv4 networks that this host uses, and one that it does not use yet. */
#ifndef RUNNER_HOST_SUBNET_H
#define RUNNER_HOST_SUBNET_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/error.h"

/* In the host's byte order. */
struct subnet {
	uint32_t address;
	uint8_t prefix;
};

enum { SUBNETS_MAX = 4096 };

/* Public struct. Zeroed, it is empty. */
struct subnets {
	struct subnet *list; /* owned */
	size_t count;
};

/*
 * What this network namespace uses: all its addresses, and all routes of all tables but default
 * ones. 0, or -1 and @e; then nothing is owned.
 */
int subnets_used(struct subnets *ret, struct sill_err *e);
/* Its addresses alone, with their networks. */
int subnets_connected(struct subnets *ret, struct sill_err *e);
void subnets_free(struct subnets *s);
bool subnets_overlap(const struct subnets *s, const struct subnet *n);

/*
 * What VMs change in a network namespace one after the other: which network is whose, what
 * is forwarded. Waits for who has it. A descriptor, held until it is closed; or -1 and @e, also
 * when a signal asks the VM to stop meanwhile (signals_wait).
 */
int networks_lock(struct sill_err *e);
/* For who puts things back at the end, whatever signals come: or -1, after ten seconds. */
int networks_lock_to_clean(void);

enum { UPLINKS_MAX = 8 };

/* Public struct. The interfaces of default routes, of whatever table. */
struct uplinks {
	char name[UPLINKS_MAX][IF_NAMESIZE];
	unsigned count;
};

int uplinks_find(struct uplinks *ret, struct sill_err *e);
/*
 * And the one by which the host gets to @address now, if it is another, and not the host itself. A tap is none: behind it
 * is another VM, and what is forwarded for it is its own affair.
 */
void uplinks_add_way(struct uplinks *u, uint32_t address);

/* The first address of the first /24 that is free: 192.168.249, .250 to .254, 10.249.0 to 10.250.255. False: none. */
bool subnets_choose(const struct subnets *used, struct subnet *ret);

#endif
