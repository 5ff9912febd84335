/* SPDX-License-Identifier: Apache-2.0 */
/* ends.c - what a VM's ports and cards are connected to, for the person. */
#include "runner/cmd/ends.h"

#include <stdio.h>

#include "runner/host/cable.h"
#include "runner/host/nat.h"
#include "runner/host/proc.h"

/* What keeps the guest from the world all the same. */
static void print_nat(const struct cable *c)
{
	char text[NAT_ADVICE];

	if (c->nat.no_uplink)
		(void)fprintf(stderr, "sill: %s: nat: the host has no default route now\n", c->id);
	if (nat_obstacle(c->tap.name, text))
		(void)fprintf(stderr, "sill: %s: nat: %s lets it through\n", c->id, text);
}

/* Linux has bridges ask the firewall of the layer above when somebody has loaded br_netfilter, as Docker does. */
static void print_bridge(const struct sill_net_config *n)
{
	char text[NAT_ADVICE];

	if (proc_number("/proc/sys/net/bridge/bridge-nf-call-iptables") != 0 &&
	    nat_obstacle(n->bridge, text))
		(void)fprintf(stderr,
			      "sill: %s: bridge: frames go through the host's firewall "
			      "(br_netfilter), and %s lets them through; or "
			      "`sysctl -w net.bridge.bridge-nf-call-iptables=0`\n",
			      n->id, text);
}

/* What a card is connected to. */
static void print_end(const struct sill_net_config *n, const struct tap *t)
{
	if (n->none) {
		(void)printf("%s: connected to nothing\n", n->id);
		return;
	}
	(void)printf("%s: %s", n->id, t->name);
	if (n->bridge != NULL || n->macvtap != NULL)
		(void)printf(" on %s", n->bridge != NULL ? n->bridge : n->macvtap);
	if (t->address[0] != '\0')
		(void)printf(", the host is %s", t->address);
	if (t->address6[0] != '\0')
		(void)printf("%s%s", t->address[0] != '\0' ? " and " : ", the host is ",
			     t->address6);
	(void)putchar('\n');
}

void ends_print(const struct vmfiles *f)
{
	for (unsigned p = 0; p < SILL_PORTS; p++) {
		const struct sill_char_config *c = sill_port_config(f->m, p);

		if (f->port[p].pty[0] != '\0')
			(void)printf("%s: %s\n", sill_port_name(p), f->port[p].pty);
		else if (c->mode == SILL_CHAR_TCP)
			(void)printf("%s: %s %s\n", sill_port_name(p),
				     c->listen != NULL ? "listens at" : "connects to",
				     c->listen != NULL ? c->listen : c->connect);
	}
	for (unsigned i = 0; i < f->m->net_count; i++) {
		const struct sill_net_config *n = &f->m->net[i];

		print_end(n, &cables_at(&f->cables, i)->tap);
		for (unsigned j = 0; j < n->forward_count; j++)
			(void)printf("%s: forward %s\n", n->id, n->forward[j]);
	}
	(void)fflush(stdout);
	for (unsigned i = 0; i < f->m->net_count; i++) {
		const struct cable *c = cables_at(&f->cables, i);

		if (cable_lacks_dns(c, &f->m->net[i]))
			(void)fprintf(stderr,
				      "sill: %s: the guest is told of no name server: %s; write "
				      "'dns: [ADDRESS]'\n",
				      c->id,
				      c->dns_why.msg[0] != '\0' ? c->dns_why.msg
								: "the host has none");
		if (c->tap.elsewhere && f->m->net[i].forward_count > 0)
			(void)fprintf(
				stderr,
				"sill: %s: '%s' is in another network namespace: forward connects "
				"to the guest from this one, and needs a route to it\n",
				c->id, c->tap.name);
	}
	for (unsigned i = 0; i < f->m->net_count; i++)
		if (f->m->net[i].nat)
			print_nat(cables_at(&f->cables, i));
		else if (f->m->net[i].bridge != NULL)
			print_bridge(&f->m->net[i]);
}
