/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.h - ports of the host that lead to ports of a guest, in user space.
 *
 *   forwards_create -> forwards_add ... -> forwards_start -> forwards_destroy
 *
 * Listen here, connect there, pass on the bytes both ways. That way 127.0.0.1, ::1 and all of the host's
 * addresses are alike, a firewall's rules for what is routed do not matter, a port that is taken is an
 * error before the VM starts, and nothing is left behind. To the guest, connections come from
 * the host's side of its network.
 */
#ifndef RUNNER_NET_FORWARD_H
#define RUNNER_NET_FORWARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "runner/net/forwardspec.h"
#include "sill/error.h"

enum {
	FORWARD_TARGETS = 3,
	/* Connections at once, each of which has 128 KiB when it is slow; who comes then waits to be accepted: */
	FORWARD_SHARED = 256, /* of all of a card's forwards together, */
	FORWARD_OWN = 8,      /* and of each address that one listens at alone */
};

struct forwards;

struct forwards *forwards_create(struct sill_err *e);
/* Listen. @guest: its IPv4 address, in the host's byte order. 0, or -1 and @e, with a hint. */
int forwards_add(struct forwards *f, const struct forward_spec *s, uint32_t guest,
		 struct sill_err *e);
/*
 * Where a new connection may lead is asked of @find, on the thread of the forwards: at most FORWARD_TARGETS addresses,
 * whose ports do not matter. The first that takes it has it. 0: nobody is there, and it is reset.
 */
typedef unsigned (*forward_find)(void *ctx, struct sockaddr_storage to[FORWARD_TARGETS]);
/* Likewise, to where @find says. */
int forwards_add_found(struct forwards *f, const struct forward_spec *s, forward_find find,
		       void *ctx, struct sill_err *e);
/*
 * Before the start: when there is no place, one gives way, and is reset, whose one end has closed and that has been
 * silent for @half_ms, or that has been for @silent_ms. Without: a minute, and 124 of them. Others stay as they are.
 */
void forwards_patience(struct forwards *f, uint64_t half_ms, uint64_t silent_ms);
/* From here on connections are taken, by a thread. 0, or -1 and @e. */
int forwards_start(struct forwards *f, struct sill_err *e);
/* Instead of a thread: 0, or -1 and @e; from then on each turn does what there is to do, at the time @now_ms, and says how
 * many events there were. */
int forwards_watch(struct forwards *f, struct sill_err *e);
unsigned forwards_turn(struct forwards *f, uint64_t now_ms);
/* Public struct. What has passed through one of them. */
struct forward_count {
	uint64_t taken;                /* connections, since the start */
	uint64_t open;                 /* now */
	uint64_t to_guest, from_guest; /* bytes */
};

/* Any thread. False: there is no such forward. */
bool forwards_count(const struct forwards *f, const struct forward_spec *s,
		    struct forward_count *ret);
/* All connections are reset, all ports free; what was counted can still be asked for. Accepts NULL. */
void forwards_stop(struct forwards *f);
/* Likewise, without counts. Accepts NULL and one that has not been started. */
void forwards_destroy(struct forwards *f);

#endif
