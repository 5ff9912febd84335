/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - rate limits that a device has alone, or shares with those of its group; they are there as long as
 * one uses them, also while they limit nothing. Main loop only.
 */
#ifndef MACHINE_LIMITS_H
#define MACHINE_LIMITS_H

#include "backend/throttle.h"
#include "base/attr.h"
#include "base/err.h"
#include "sill/config.h"

struct machine;
struct limits;

/* Disks and network cards do not share a group: a request is no frame. */
enum limits_kind { LIMITS_DISK, LIMITS_NET };

/* A card has one for each direction. */
enum { LIMITS_MAX = SILL_MAX_DISKS + 2 * SILL_MAX_NETS };

/* The limits @r is part of, made as @r says if need be, else as they are, with one more user. */
int limits_get(struct machine *m, enum limits_kind kind, const struct sill_rate_limit *r,
	       struct limits **ret, struct sill_err *e) MUST_CHECK;
void limits_put(struct machine *m, struct limits *l); /* accepts NULL */
/* Borrowed from @l. */
struct throttle *limits_throttle(struct limits *l);
/* What they are from now on, for all who use them; @r->group does not matter. */
void limits_set(struct limits *l, const struct sill_rate_limit *r);

/*
 * The limits of the groups of @c, whichever device of one comes first: @ret, for LIMITS_MAX zeroed pointers,
 * are held or NULL; also on failure.
 */
int limits_hold(struct machine *m, const struct sill_config *c, struct limits **ret,
		struct sill_err *e) MUST_CHECK;

#endif
