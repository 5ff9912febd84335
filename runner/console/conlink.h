/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conlink.h - a program's end of a port's socket, with frames (sill/console.h).
 *
 * What comes is told to a struct conlink_user, in its order. All of it on the caller's thread.
 */
#ifndef RUNNER_CONSOLE_CONLINK_H
#define RUNNER_CONSOLE_CONLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/config.h"
#include "sill/console.h"
#include "sill/error.h"

/* Each may be NULL. */
struct conlink_user {
	void (*output)(void *ctx, const uint8_t *p, size_t n);
	void (*lost)(void *ctx, uint64_t n); /* between what came before and what comes */
	void (*live)(void *ctx);             /* what comes from here on is new */
	void (*ago)(void *ctx, uint64_t ms, uint64_t silent_ms); /* SILL_CONSOLE_WHEN's answer */
	void (*pen)(void *ctx, enum sill_console_pen pen, uint32_t pid);
	void *ctx;
};

/* Public struct. Zeroed, then conlink_init(). */
struct conlink {
	const struct conlink_user *user; /* borrowed */
	bool answered;
	uint8_t hello[SILL_CONSOLE_HELLO_SIZE];
	uint8_t in[SILL_CONSOLE_HEAD + SILL_CONSOLE_FRAME];
	size_t in_n;
};

/* With digits that nobody can guess. */
void conlink_init(struct conlink *l, const struct conlink_user *user);
/* What has come from the VM. 0, or -1: it is not what it should be. */
int conlink_take(struct conlink *l, const uint8_t *p, size_t n);

/* Nothing more comes: why, in @e. -1. */
int conlink_over(const struct conlink *l, const char *name, struct sill_err *e);
/*
 * A connected, blocking socket of port @port of the VM @name (or of the socket at the path @name, if
 * it has a '/' in it), to which the hello and the start have been sent. -1 and @e.
 */
int conlink_connect(struct conlink *l, const char *name, enum sill_port port,
		    enum sill_console_from from, struct sill_err *e);
/* A frame on its way, whole. 0, or -1 and @e. */
int conlink_send(int fd, enum sill_console_frame type, const void *p, size_t n, struct sill_err *e);

#endif
