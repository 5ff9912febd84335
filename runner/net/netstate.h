/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netstate.h - what can be said of a VM's network, as JSON and as lines for a person.
 *
 * Some of it only the VM knows: leases, counters of its cards, connections through forwards. The rest is of
 * the host, as it is at this moment, and known to everybody.
 */
#ifndef RUNNER_NET_NETSTATE_H
#define RUNNER_NET_NETSTATE_H

#include <arpa/inet.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "runner/host/cables.h"
#include "sill/config.h"
#include "sill/vm.h"

/* Public struct; all of it borrowed. */
struct netstate {
	const struct sill_config *c; /* the value it runs; nothing in it is `auto` */
	long pid;                    /* 0: not known */
	struct sill_vm *vm;          /* NULL: it is looked at from outside */
	struct cables *cables;       /* NULL: likewise */
};

/*
 * { vm, pid, net: [ { id, kind, device, there, up, mac, mtu, link, driver, queues,
 * frames: { by: "vhost-net" or "sill", queues, why }, host, host6, guest: { address, address6, lease_seconds,
 * name_servers }, nat, isolate, antispoof, port, counters: { of, to_guest, from_guest }, forwards: [ ... ], in_the_way: [ text ... ] } ],
 * filter: [ { table, rules: [ { rule, packets, bytes } ... ] } ... ] }; what
 * is not known is null. Asks the packet filter, which takes some milliseconds. NULL: no memory.
 */
json_t *netstate_json(const struct netstate *s);
/*
 * Where the guest of the VM @name is that runs: the first of its addresses that is known. False: no such VM runs,
 * or nobody knows.
 */
bool netstate_guest(const char *name, char ret[INET_ADDRSTRLEN]);
/* The same of the value that one runs, in which nothing is `auto`; behind passt a guest is nowhere. */
bool netstate_guest_of(const struct sill_config *c, char ret[INET_ADDRSTRLEN]);
/* Frames that went by, counted by the host's device; to and from are the guest's. */
struct netstate_counts {
	uint64_t to_frames, to_bytes, to_dropped;
	uint64_t from_frames, from_bytes, from_dropped;
};
/* Of a card whose frames the kernel passes. False: its device is not known, or shared with others. */
bool netstate_count(const struct sill_net_config *n, struct netstate_counts *ret);
/* @o: as netstate_json() made it, perhaps in another process. */
void netstate_print(FILE *f, const json_t *o);

#endif
