/* SPDX-License-Identifier: Apache-2.0 */
/* port_rules.c - one TCP port of the host has one who listens there: a serial port, a debugger's end, a card's forward. */
#include <string.h>

#include "runner/manifest/check.h"
#include "runner/net/endpoint.h"
#include "runner/net/forwardspec.h"

enum { LISTENERS = SILL_PORTS + 2 };

struct listener {
	const struct node *n;
	struct forward_spec at;
};

struct listeners {
	struct check *c;
	const struct sill_config *v;
	struct listener all[LISTENERS];
	unsigned count;
};

/* Of a text of the form ADDRESS:PORT. */
static void tell(struct check *c, char *const *text, check_listener_fn *each, void *ctx)
{
	const struct node *n = place_ok(c, text);
	struct forward_spec at = { 0 };
	struct sill_err e = { 0 };
	struct endpoint p;
	const struct sockaddr_in *v4 = (const void *)&p.at;
	const struct sockaddr_in6 *v6 = (const void *)&p.at;

	if (n == NULL || *text == NULL || endpoint_read_listen(*text, &p, &e) < 0)
		return; /* it has been said */
	at.v4 = p.at.ss_family == AF_INET;
	at.v6 = !at.v4;
	at.host_port = ntohs(v4->sin_port); /* where IPv6 has it, too (RFC 3493, 3.3) */
	if (at.v4)
		at.address4 = v4->sin_addr;
	else
		at.address6 = v6->sin6_addr;
	each(ctx, n, &at);
}

void check_listeners(struct check *c, const struct sill_config *v, check_listener_fn *each,
		     void *ctx)
{
	const enum sill_port kd = sill_kd_port(&v->debug);

	/* What the debugger's port has is debug's, or there is a message already. */
	for (unsigned p = 0; p < SILL_PORTS; p++)
		if (p != kd && sill_port_config(v, p)->mode == SILL_CHAR_TCP)
			tell(c, &sill_port_config(v, p)->listen, each, ctx);
	if (kd != SILL_PORTS)
		tell(c, &v->debug.listen, each, ctx);
	if (v->debug.gdb != NULL && strchr(v->debug.gdb, '/') == NULL)
		tell(c, &v->debug.gdb, each, ctx);
}

static void add(void *ctx, const struct node *n, const struct forward_spec *at)
{
	struct listeners *l = ctx;

	l->all[l->count++] = (struct listener){ n, *at };
}

/* The forward that has @at; NULL: none. */
static const struct node *find_forward(const struct listeners *l, const struct forward_spec *at)
{
	for (unsigned i = 0; i < l->v->net_count; i++)
		for (unsigned j = 0; j < l->v->net[i].forward_count; j++) {
			const struct node *n = place_ok(l->c, &l->v->net[i].forward[j]);
			struct sill_err e = { 0 };
			struct forward_spec s;

			if (n != NULL && forward_read(l->v->net[i].forward[j], &s, &e) == 0 &&
			    forward_clash(at, &s))
				return n;
		}
	return NULL;
}

/* Who has @at among the first @count, or among the forwards; NULL: nobody. */
static const struct node *find(const struct listeners *l, unsigned count,
			       const struct forward_spec *at)
{
	for (unsigned i = 0; i < count; i++)
		if (forward_clash(at, &l->all[i].at))
			return l->all[i].n;
	return find_forward(l, at);
}

static unsigned free_port(const struct listeners *l, struct forward_spec at)
{
	do
		at.host_port = at.host_port < 65535 ? at.host_port + 1 : 1024;
	while (find(l, l->count, &at) != NULL);
	return at.host_port;
}

void check_port_rules(struct check *c, const struct sill_config *v)
{
	struct listeners l = { .c = c, .v = v };

	check_listeners(c, v, add, &l);
	for (unsigned i = 0; i < l.count; i++) {
		const struct node *other = find(&l, i, &l.all[i].at);
		struct diag *g;

		if (other == NULL)
			continue;
		g = check_fail(c, l.all[i].n, "the host's port %u is taken already",
			       l.all[i].at.host_port);
		diag_other(g, other->at, "by this");
		diag_hint(g, "choose another one, like %u", free_port(&l, l.all[i].at));
	}
}
