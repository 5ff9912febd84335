/* SPDX-License-Identifier: Apache-2.0 */
/* rate_rules.c - rate limits, and groups that share one. */
#include "runner/manifest/check.h"
#include "sill/config.h"

#include <string.h>

static bool is_written(const struct node *n)
{
	return n != NULL && !n->implied;
}

/* Does @r itself state a limit? */
static bool states_limit(const struct check *c, const struct sill_rate_limit *r)
{
	return is_written(place_at(c, &r->bandwidth)) || is_written(place_at(c, &r->ops));
}

/* The limit that @group shares, said by one of the first @count; NULL: by none. */
static const struct sill_rate_limit *group_limit(const struct check *c,
						 const struct sill_rate_limit *const *list,
						 unsigned count, const char *group)
{
	for (unsigned i = 0; i < count; i++) {
		const struct sill_rate_limit *r = list[i];
		const struct node *n = place_map(c, r), *name = place_at(c, &r->group);

		/* A key that is written wrong may stand for this group. */
		if (n != NULL && !n->ok && n->count == 0)
			return r;
		if (name != NULL && (!name->ok || strcmp(r->group, group) == 0) &&
		    states_limit(c, r))
			return r;
	}
	return NULL;
}

/* Two of a group that both say what the limit is, say the same. */
static void check_group(struct check *c, const struct sill_rate_limit *r,
			const struct sill_rate_limit *other, const char *what)
{
	const uint64_t *const ours[] = { &r->bandwidth, &r->ops, &r->bandwidth_burst,
					 &r->ops_burst };
	const uint64_t *const theirs[] = { &other->bandwidth, &other->ops, &other->bandwidth_burst,
					   &other->ops_burst };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		struct diag *g;

		if (*ours[i] == *theirs[i]) /* 0 is none of the values */
			continue;
		g = check_fail_key(c, *ours[i] != 0 ? place_ok(c, ours[i]) : place_map(c, r),
				   "the %s of a group have one limit, and another is given "
				   "elsewhere",
				   what);
		diag_other(g, place_map(c, other)->key_at, "there");
		diag_hint(g, "let one of them state the limit, and the others only name the group");
		return;
	}
}

static void check_burst(struct check *c, const uint64_t *limit, const uint64_t *burst,
			const char *key)
{
	if (is_written(place_at(c, burst)) && place_at(c, limit) == NULL)
		diag_hint(check_fail_key(c, place_at(c, burst), "a burst without a limit"),
			  "add '%s: ...'", key);
}

static void check_rate(struct check *c, const struct sill_rate_limit *const *list, unsigned count,
		       unsigned i, const char *what)
{
	const struct sill_rate_limit *r = list[i], *shared = NULL;
	const struct node *n = place_map(c, r);
	const bool any = states_limit(c, r);

	if (n == NULL || !n->ok)
		return;
	check_burst(c, &r->bandwidth, &r->bandwidth_burst, "bandwidth");
	check_burst(c, &r->ops, &r->ops_burst, "ops");
	if (r->group != NULL)
		shared = group_limit(c, list, any ? i : count, r->group);
	if (any && shared != NULL && place_map(c, shared)->ok)
		check_group(c, r, shared, what);
	if (!any && shared == NULL)
		diag_hint(check_fail_key(c, n, "limits nothing: neither bandwidth nor ops"),
			  r->group != NULL ? "one of the group states the limit"
					   : "for example {bandwidth: 200M}");
}

void check_rates(struct check *c, const struct sill_rate_limit *const *list, unsigned count,
		 const char *what)
{
	for (unsigned i = 0; i < count; i++)
		check_rate(c, list, count, i, what);
}
