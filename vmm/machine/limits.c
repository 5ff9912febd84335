/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - see limits.h. */
#include "machine/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "machine/machine.h"

struct limits {
	struct throttle throttle;
	enum limits_kind kind;
	char *group;    /* owned; NULL: nobody else's */
	unsigned users; /* devices, or a card's directions */
	struct limits *next;
};

static struct limits *find(const struct machine *m, enum limits_kind kind, const char *group)
{
	for (struct limits *l = m->limits; l != NULL && group != NULL; l = l->next)
		if (l->kind == kind && l->group != NULL && strcmp(l->group, group) == 0)
			return l;
	return NULL;
}

static struct limits *make(struct machine *m, enum limits_kind kind,
			   const struct throttle_limits *t, const char *group)
{
	struct limits *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->kind = kind;
	l->group = group != NULL ? strdup(group) : NULL;
	if (group != NULL && l->group == NULL) {
		free(l);
		return NULL;
	}
	throttle_init(&l->throttle, t);
	l->next = m->limits;
	m->limits = l;
	return l;
}

static struct throttle_limits numbers(const struct sill_rate_limit *r)
{
	return (struct throttle_limits){ .bytes = r->bandwidth,
					 .ops = r->ops,
					 .bytes_burst = r->bandwidth_burst,
					 .ops_burst = r->ops_burst };
}

void limits_set(struct limits *l, const struct sill_rate_limit *r)
{
	const struct throttle_limits t = numbers(r);

	throttle_set(&l->throttle, host_now(), &t);
}

int limits_get(struct machine *m, enum limits_kind kind, const struct sill_rate_limit *r,
	       struct limits **ret, struct sill_err *e)
{
	const struct throttle_limits t = numbers(r);
	struct limits *l = find(m, kind, r->group);

	if (l == NULL)
		l = make(m, kind, &t, r->group);
	if (l == NULL)
		return sill_err_sys(e, ENOMEM, "rate limits");
	l->users++;
	*ret = l;
	return 0;
}

void limits_put(struct machine *m, struct limits *l)
{
	struct limits **at = &m->limits;

	if (l == NULL || --l->users > 0)
		return;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	free(l->group);
	free(l);
}

struct throttle *limits_throttle(struct limits *l)
{
	return &l->throttle;
}

static int hold(struct machine *m, enum limits_kind kind, const struct sill_rate_limit *r,
		struct limits **ret, struct sill_err *e)
{
	if (r->group == NULL)
		return 0;
	if (limits_get(m, kind, r, ret, e) < 0)
		return -1;
	if (!throttle_is_on(&(*ret)->throttle))
		limits_set(*ret, r);
	return 0;
}

/* Those of a group share what the first of them that has limits says. */
int limits_hold(struct machine *m, const struct sill_config *c, struct limits **ret,
		struct sill_err *e)
{
	for (size_t i = 0; i < c->disk_count; i++)
		if (hold(m, LIMITS_DISK, &c->disk[i].rate_limit, ret++, e) < 0)
			return -1;
	for (size_t i = 0; i < c->net_count; i++)
		if (hold(m, LIMITS_NET, &c->net[i].rx_limit, ret++, e) < 0 ||
		    hold(m, LIMITS_NET, &c->net[i].tx_limit, ret++, e) < 0)
			return -1;
	return 0;
}
