/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syncs.h - one fdatasync() of a file at a time, and a failure that all hear of.
 *
 * The host tells one caller that it could not write something, once for each
 * descriptor; who syncs at the same time hears nothing, though what was lost may
 * be his. So one sync is at work. Who comes meanwhile waits for it and joins the
 * next, which covers all that was written before he came; if either fails, that
 * is his failure too.
 *
 * Any thread; other locks may be held, as around the sync itself. Who holds it
 * by syncs_try() waits for nothing and nobody of those that wait, up to syncs_end().
 */
#ifndef BACKEND_BLOCK_SYNCS_H
#define BACKEND_BLOCK_SYNCS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/* Caller-allocated. */
struct syncs {
	pthread_mutex_t mutex; /* all below; nothing is taken under it */
	pthread_cond_t end;
	uint64_t begun, ended; /* one more has begun: that one is at work */
	uint64_t failed;       /* the last one that did */
	int err;               /* of it */
};

void syncs_init(struct syncs *s);
void syncs_fini(struct syncs *s);

/* What was written before is on the medium when this returns 0. @sync returns 0 or an errno. */
int syncs_run(struct syncs *s, int (*sync)(void *ctx), void *ctx) MUST_CHECK;

/* Without waiting: is none at work? Then the caller's begins, and he says how it ended. */
bool syncs_try(struct syncs *s) MUST_CHECK;
void syncs_end(struct syncs *s, int err);

#endif
