/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - network interfaces of this namespace: what they are, macvtaps made and removed.
 */
#ifndef RUNNER_HOST_LINK_H
#define RUNNER_HOST_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "sill/config.h"
#include "sill/error.h"

/* Public struct. */
struct link {
	unsigned index;
	unsigned mtu;
	char kind[16]; /* "bridge", "macvtap" ...; "": hardware */
	uint8_t mac[6];
	bool up;
	unsigned master; /* the index of the bridge or the like that it is a port of; 0: none */
	char name[IF_NAMESIZE];
};

/* 1; 0: there is none of this name; -1 and @e. */
int link_find(const char *name, struct link *ret, struct sill_err *e);

/* The interface of kind @kind with the MAC address @mac; a tap's kind is "tun". As link_find(). */
int link_find_mac(const uint8_t mac[6], const char *kind, struct link *ret, struct sill_err *e);

/* Make @name a port of @bridge. 0, or -1 and errno. */
int link_join(const char *name, const char *bridge);

/*
 * A macvtap on the interface of index @lower, down. 0, or -1 and errno: EEXIST: the name is taken; EPERM;
 * EOPNOTSUPP: the kernel has none; EBUSY: @lower cannot have one.
 */
struct link_macvtap {
	const char *name;
	unsigned lower;
	enum sill_macvtap_mode mode;
	uint8_t mac[6];
	uint16_t mtu; /* 0: that of @lower */
};
int link_make_macvtap(const struct link_macvtap *m);

/* Remove the interface of index @index. 0, or -1 and errno. */
int link_remove(unsigned index);

/*
 * A socket, non-blocking, that can be read when the interface of index @index has been deleted (or has left for another
 * namespace, or its bridge); 0: any of this namespace. -1: there is none to be had.
 */
int link_watch(unsigned index);

/* Up; with @multicast it hands on frames to all groups. 0, or -1 and errno. */
int link_up(const char *name, bool multicast);

/* The host itself sends nothing on it by IPv6, and believes nobody. Where there is IPv6. */
void link_no_ipv6(const char *name);

#endif
