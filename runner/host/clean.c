/* SPDX-License-Identifier: Apache-2.0 */
/* clean.c - see clean.h. */
#include "runner/host/clean.h"

#include <stdio.h>

#include "runner/host/forwarding.h"
#include "runner/host/rundir.h"
#include "runner/host/tap.h"

struct cleaner {
	clean_fn fn;
	void *ctx;
};

static void on_forwarding(void *ctx, const char *interface, bool done)
{
	const struct cleaner *c = ctx;
	char text[160];

	if (done)
		(void)snprintf(text, sizeof(text), "forwarding on '%s' is as it was", interface);
	else
		(void)snprintf(
			text, sizeof(text),
			"forwarding on '%s' stays on: to switch it off takes CAP_NET_ADMIN and "
			"a /proc/sys/net that can be written to",
			interface);
	c->fn(c->ctx, done, text);
}

static void on_macvtap(void *ctx, const char *interface, bool done)
{
	const struct cleaner *c = ctx;
	char text[160];

	(void)snprintf(text, sizeof(text),
		       done ? "the interface '%s' is gone"
			    : "the interface '%s' stays: to remove it takes CAP_NET_ADMIN",
		       interface);
	c->fn(c->ctx, done, text);
}

static void on_rundir(void *ctx, const char *name)
{
	const struct cleaner *c = ctx;
	char text[160];

	(void)snprintf(text, sizeof(text), "the runtime directory of '%s' is gone", name);
	c->fn(c->ctx, true, text);
}

void host_clean(clean_fn fn, void *ctx)
{
	struct cleaner c = { fn, ctx };
	char base[RUNDIR_BASE];

	if (rundir_base(base, &(struct sill_err){ 0 }) < 0)
		return;
	forwarding_clean(base, on_forwarding, &c);
	macvtap_clean(base, on_macvtap, &c);
	(void)rundir_clean(on_rundir, &c);
}
