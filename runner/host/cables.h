/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cables.h - the cables of a VM's cards (cable.h), which come and go while it runs.
 *
 *   cables_init -> cables_add ... -> cables_start -> { cables_plug | cables_remove } ... -> cables_stop -> cables_fini
 *
 * One that goes may have to wait for other VMs: a thread of its own ends it.
 */
#ifndef RUNNER_HOST_CABLES_H
#define RUNNER_HOST_CABLES_H

#include <pthread.h>
#include <stdbool.h>

#include "runner/host/cable.h"

/* Public struct. */
struct cables {
	pthread_mutex_t mutex; /* a leaf: all below */
	struct cable *list
		[SILL_MAX_NETS]; /* owned; in the order of the VM's cards, until one goes; NULL: none */
	struct cable *late;      /* owned, a list: they go, and there was no thread for them */
	unsigned long added;     /* so many, since the start */
	unsigned going;          /* so many go, late ones too */
	pthread_cond_t gone;     /* one less, or one late */
	struct sill_vm *vm;      /* borrowed, from cables_start() to cables_stop() */
	usernet_say say;
	bool closed; /* the VM has ended: none come, none go by themselves */
};

void cables_init(struct cables *cs);
/* Takes @take. 0, or -1 and @e: there is no room, and it is destroyed. */
int cables_add(struct cables *cs, struct cable *take, struct sill_err *e);
/* The cable of the card at @at, before cables_start(); NULL: there is none. */
struct cable *cables_at(const struct cables *cs, unsigned at);
/* Takes it out, before cables_start(). */
struct cable *cables_take(struct cables *cs, unsigned at);

/* Those there are do what they do from here on (cable_start()), and those that come. 0, or -1 and @e. */
int cables_start(struct cables *cs, struct sill_vm *vm, usernet_say say, struct sill_err *e);
/* Nobody asks the VM any more, and none comes any more. */
void cables_stop(struct cables *cs);
/* When the VM's descriptors are closed. */
void cables_fini(struct cables *cs);

/*
 * Any thread, while a VM runs: @take, taken, is started and added. One of the same id may be there still: its card goes.
 * 0, or -1 and @e: it is destroyed.
 */
int cables_plug(struct cables *cs, struct cable *take, struct sill_err *e);
/* What was plugged has got no card, and goes as if that had gone. */
void cables_unplug(struct cables *cs, const struct cable *c);
/* Any thread: the card @id has gone, the oldest of that id; nobody waits for what its cable still has to do. */
void cables_remove(struct cables *cs, const char *id);
/* Wait until those that go have gone: what they had of the host is free. Any thread. */
void cables_settle(struct cables *cs);

/* Any thread. See forwards_count(). */
bool cables_count(struct cables *cs, const char *id, const struct forward_spec *s,
		  struct forward_count *ret);

#endif
