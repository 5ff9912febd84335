/* SPDX-License-Identifier: Apache-2.0 */
/* find.h - where forwards lead that are told so when a connection comes (forward.h). */
#ifndef RUNNER_NET_FIND_H
#define RUNNER_NET_FIND_H

#include "runner/net/forward.h"
#include "sill/vm.h"

/* Public struct. A guest that has taken its address itself, by IPv6: whom to ask for it. */
struct seen_guest {
	struct sill_vm *vm; /* borrowed; NULL: it is not there yet */
	const char *id;     /* borrowed: the card's */
};

/* @ctx: a struct seen_guest. */
unsigned find_guest(void *ctx, struct sockaddr_storage to[FORWARD_TARGETS]);

/* Whom the host asks at this moment; @ctx: the path of a resolv.conf. */
unsigned find_dns(void *ctx, struct sockaddr_storage to[FORWARD_TARGETS]);

#endif
