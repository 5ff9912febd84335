/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwarding.h - whether the host passes on what comes in at an interface.
 *
 * Of an interface that stays when a VM ends, the flag is put back. Each that was changed has
 * a file (leftover.h), made before the change, which each VM that needs it holds. The last of these
 * removes it; after kill -9 the next VM that starts does.
 */
#ifndef RUNNER_HOST_FORWARDING_H
#define RUNNER_HOST_FORWARDING_H

#include <net/if.h>
#include <stdbool.h>

#include "runner/host/leftover.h"
#include "sill/error.h"

enum { FORWARDING_MAX = 32 };

/*
 * What is switched. IPv6 is passed on at an interface by itself from Linux 6.17 on (force_forwarding). Before, by all of
 * them or none (forwarding of "all"). That a neighbour who asks where the host is hears that it is a router (RFC 4861 4.4, R),
 * is another flag (forwarding of the interface), and a guest that hears otherwise drops its default route
 * (RFC 4861 7.2.5). As soon as the host is a router on one interface or on all, the kernel forgets each default route that a router has
 * told it of, unless the interface goes on to believe: that comes before, and is put back after.
 */
enum forwarding_flag {
	FORWARDING_IPV4,
	FORWARDING_IPV6,
	FORWARDING_BELIEVE,  /* a router, though the host is one */
	FORWARDING_ROUTER6,  /* the host says on this interface that it is one */
	FORWARDING_ALL_IPV6, /* of the interface "all" */
	FORWARDING_FLAGS,
};

/* Public struct. Descriptors are owned. */
struct forwarding {
	char dir[LEFTOVER_DIR];
	struct forwarded {
		enum forwarding_flag flag;
		char name[IF_NAMESIZE];
		int fd; /* of its file, with the lock */
	} list[FORWARDING_MAX];
	unsigned count; /* those that were off before a VM of ours began */
};

/* Have @dir, where all VMs of this host and user have their files. 0, or -1 and @e. */
int forwarding_init(struct forwarding *f, const char *dir, struct sill_err *e);

/* Does this kernel have it, for this interface? */
bool forwarding_is_there(enum forwarding_flag flag, const char *interface);
bool forwarding_is_on(enum forwarding_flag flag, const char *interface);
/* On, for an interface that goes with the VM. */
int forwarding_set(enum forwarding_flag flag, const char *interface, struct sill_err *e);
/*
 * Of one that stays: if it is off, or on for our VMs' sake only, it is on from forwarding_start()
 * on, and off again with the last VM that needs it. Under networks_lock().
 */
int forwarding_hold(struct forwarding *f, enum forwarding_flag flag, const char *interface,
		    struct sill_err *e);
int forwarding_start(const struct forwarding *f, struct sill_err *e);
/* Is it held, by this VM? */
bool forwarding_holds(const struct forwarding *f, enum forwarding_flag flag, const char *interface);

void forwarding_fini(struct forwarding *f);

/* Put back what VMs have left behind in @dir. @fn, which may be NULL, is told; not @done: no right to. */
void forwarding_clean(const char *dir, leftover_told *fn, void *ctx);

#endif
