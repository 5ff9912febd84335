/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usernet.h - the cards of a VM that passt carries the frames of: it is started, and started again.
 *
 *   usernet_create -> usernet_add ... -> usernet_start -> usernet_stop -> usernet_destroy
 *
 * Each card has a passt of its own. One that ends is started again at once, and if that fails or does
 * not last, after a tenth of a second, then twice as long each time, at most USERNET_WAIT_MS. The guest
 * sees a cable that is pulled and plugged in, and keeps its address; its connections are lost.
 */
#ifndef RUNNER_NET_USERNET_H
#define RUNNER_NET_USERNET_H

#include <stdint.h>

#include "runner/net/passt.h"
#include "sill/config.h"
#include "sill/vm.h"

enum {
	USERNET_FIRST_MS = 100,
	USERNET_WAIT_MS = 10000, /* who has run for so long has lasted */
};

/* The host's side, where none is written. A private look: nothing of the host is in it, every VM may have it. */
#define USERNET_ADDRESS "10.0.2.1/24"

/* What a person should know, called on the thread that watches. Borrowed for the call. */
typedef void (*usernet_say)(const char *id, const char *what);

struct usernet;

struct usernet *usernet_create(struct sill_err *e);
/* Start a passt for the card @id, borrowed until destroy(). *@ret_fd is the card's end. 0, or -1 and @e. */
int usernet_add(struct usernet *u, const char *id, const struct passt_want *w, int *ret_fd,
		struct sill_err *e);
/* From here on they are watched, by a thread; the VM outlives it. 0, or -1 and @e. */
int usernet_start(struct usernet *u, struct sill_vm *vm, usernet_say say, struct sill_err *e);
/* Nobody is started any more. Accepts NULL and one that has not been started. */
void usernet_stop(struct usernet *u);
/* All of them end. Accepts NULL. */
void usernet_destroy(struct usernet *u);

/* How long to wait before the try after the next one, which waits for @last_ms. */
uint64_t usernet_wait(uint64_t last_ms);

#endif
