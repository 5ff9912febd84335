/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h - mutexes with ranks: a thread takes them in rising order only, which
 * is checked at run time in every build. Not across KVM_RUN or a blocking call.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>

#include "base/attr.h"

enum lock_rank {
	RANK_BUS,     /* PCI: one configuration access, with the hook that it leads to */
	RANK_DEV,     /* one device's registers and queues */
	RANK_PM,      /* ACPI PM block: event and SCI state, raised from inside other devices */
	RANK_BACKEND, /* a block or serial backend's lists */
	RANK_IMAGE,   /* the bounce buffer of an image file; held across its I/O */
	RANK_RANGES,  /* an image's list of requests at work */
	RANK_IRQ,     /* interrupt routing */
	RANK_LOOP,    /* an event loop's lists */
	RANK_PCI,     /* PCI registers and where BARs are; never held around a device's hook */
	RANK_MAP,     /* a change of an address map */
};

struct CAPABILITY("mutex") lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
};

void lock_init(struct lock *l, enum lock_rank rank);
void lock_fini(struct lock *l);
void lock_take(struct lock *l) ACQUIRES(*l);
bool lock_try(struct lock *l) TRY_ACQUIRES(true, *l); /* false: somebody holds it */
void lock_drop(struct lock *l) RELEASES(*l);
/* Wait on @c with @l held; no other lock may be held. */
void lock_wait(struct lock *l, pthread_cond_t *c) REQUIRES(*l);
/* True when this thread holds a lock of any rank; for asserts. */
bool lock_held_any(void);

#endif
