/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_rules.c - what debug asks of the port that a kernel debugger is at.
 *
 * check_defaults() has made that port one of mode tcp, unless something else is written there, and a card that
 * KDNET needs one with nat.
 */
#include <string.h>
#include <sys/un.h>

#include "runner/debug/kdnet.h"
#include "runner/host/rules.h"
#include "runner/manifest/check.h"
#include "runner/net/endpoint.h"

/* What only KDNET has. */
static void check_net_words(struct check *c, const struct sill_debug_config *d)
{
	const struct node *word[] = { place_at(c, &d->key), place_at(c, &d->card) };

	for (size_t i = 0; i < 2; i++)
		if (word[i] != NULL)
			diag_hint(check_fail_key(c, word[i], "means something only with kd: net"),
				  "remove it, or write 'kd: net'");
}

/* What isolate keeps the guest from is not where its debugger can be. */
static void check_isolated(struct check *c, const struct sill_net_config *n,
			   const struct sill_debug_config *d)
{
	const struct node *isolate = place_ok(c, &n->isolate), *nat = place_ok(c, &n->nat);
	const struct node *end = place_ok(c, &d->connect);
	struct kdnet_end at;
	struct diag *g;

	if (isolate == NULL || !n->isolate || end == NULL || nat == NULL ||
	    kdnet_read_end(d->connect, &at, &(struct sill_err){ 0 }) < 0)
		return;
	if (n->nat && !rules_private(at.address))
		return;
	g = check_fail(c, end, "the guest does not get there: its card is isolated");
	diag_other(g, isolate->at, "isolate");
	diag_hint(g, n->nat ? "remove 'isolate', or name a debugger with a public address"
			    : "remove 'isolate'");
}

static void check_card(struct check *c, const struct sill_config *v)
{
	const struct sill_net_config *n = kdnet_card(v);
	const struct node *card = place_at(c, &v->debug.card), *kd = place_ok(c, &v->debug.kd);
	const struct node *none = n != NULL ? place_ok(c, &n->none) : NULL;
	const struct node *cards = place_at(c, &v->net);
	struct diag *g;

	if (cards != NULL && !cards->ok)
		return;
	if (n != NULL && none != NULL && n->none) {
		g = check_fail(c, none, "the kernel debugger is at a card with nothing behind it");
		diag_other(g, (card != NULL ? card : kd)->at, "it is at this card");
		diag_hint(g, "another end for the card, like tap: ''");
	} else if (n != NULL) {
		check_isolated(c, n, &v->debug);
	} else if (card != NULL && card->ok) {
		diag_hint(check_fail(c, card, "there is no card with the id '%s'", card->text),
			  "the id of a card in 'net': net0 is the first one's, without another");
	} else if (card == NULL && v->net_count == 0) {
		diag_hint(check_fail(c, kd, "the debugger needs a network card"),
			  "add one: \"net: [{tap: ''}]\"");
	} else if (card == NULL) {
		diag_hint(check_fail(c, kd, "which of the cards?"), "add 'card: net0'");
	}
}

/* KDNET: the guest calls, through a card. */
static void check_net(struct check *c, const struct sill_config *v)
{
	const struct sill_debug_config *d = &v->debug;
	const struct node *kd = place_ok(c, &d->kd), *listen = place_at(c, &d->listen),
			  *end = place_at(c, &d->connect), *key = place_at(c, &d->key);
	struct sill_err e = { 0 }, bad = { 0 };
	struct kdnet_end at;

	if (!place_map(c, d)->ok)
		return;
	if (listen != NULL)
		diag_hint(check_fail_key(c, listen, "nobody comes: the guest calls the debugger"),
			  "write 'connect: ADDRESS:PORT', of the machine that WinDbg runs on");
	else if (end == NULL)
		diag_hint(check_fail(c, kd, "the debugger needs an end"),
			  "add 'connect: 192.0.2.1:50000', of the machine that WinDbg runs on");
	else if (end->ok && kdnet_read_end(d->connect, &at, &e) < 0)
		diag_hint(check_fail(c, end, "%s", e.msg), "%s", e.hint);
	if (key == NULL)
		diag_hint(
			check_fail(c, kd, "the debugger needs a key"),
			"add 'key: W.X.Y.Z', one that nobody can guess; `sill explain debug.key`");
	else if (key->ok && kdnet_check_key(d->key, &bad) < 0)
		diag_hint(check_fail(c, key, "%s", bad.msg), "%s", bad.hint);
	check_card(c, v);
}

/* One end. False: which is not known. */
static bool check_ends(struct check *c, const struct sill_debug_config *d)
{
	const struct node *end[] = { place_at(c, &d->listen), place_at(c, &d->connect) };

	for (size_t i = 0; i < 2 && d->kd == SILL_KD_OFF; i++)
		if (end[i] != NULL)
			diag_hint(check_fail_key(c, end[i], "means something only with kd"),
				  "add 'kd: serial2', or remove it");
	if (d->kd == SILL_KD_OFF || !place_map(c, d)->ok)
		return false;
	if (end[0] != NULL || end[1] != NULL)
		return check_tcp_end(c, &d->listen, &d->connect);
	diag_hint(check_fail(c, place_ok(c, &d->kd), "the debugger needs an end"),
		  "add 'listen: 127.0.0.1:4445'");
	return false;
}

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The port has no other use: what is written there is what it would have got. @known: the end is. */
static void check_port(struct check *c, const struct sill_config *v, enum sill_port p, bool known)
{
	const struct sill_char_config *s = sill_port_config(v, p);
	const struct node *kd = place_ok(c, &v->debug.kd), *mode = place_ok(c, &s->mode);
	struct diag *g;

	if (mode == NULL || mode->implied)
		return;
	if (s->mode == SILL_CHAR_TCP &&
	    (!known || !place_map(c, s)->ok ||
	     (is_same(s->listen, v->debug.listen) && is_same(s->connect, v->debug.connect))))
		return;
	if (s->mode == SILL_CHAR_TCP)
		g = check_fail(c, mode, "the kernel debugger is at this port, with another end");
	else if (p == SILL_PORT_SERIAL && s->mode != SILL_CHAR_OFF)
		g = check_fail(c, mode,
			       "the kernel debugger is at COM1, where SAC is: it has one of them");
	else
		g = check_fail(c, mode,
			       "the kernel debugger is at this port: mode %s is not for it",
			       mode->text);
	diag_other(g, kd->at, "it is here");
	diag_hint(g,
		  p == SILL_PORT_SERIAL ? "write 'kd: serial2', or remove 'serial'"
					: "remove '%s': debug says all of it",
		  sill_port_name(p));
}

/* What key_is_word() takes for a port, and what it does not. */
static void check_gdb(struct check *c, const struct sill_debug_config *d)
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);
	const struct node *gdb = place_ok(c, &d->gdb);
	struct sill_err e = { 0 };
	struct endpoint at;

	if (gdb == NULL || d->gdb == NULL)
		return;
	if (strchr(d->gdb, '/') == NULL && endpoint_read_listen(d->gdb, &at, &e) < 0)
		diag_hint(check_fail(c, gdb, "%s", e.msg), "%s", e.hint);
	else if (strchr(d->gdb, '/') != NULL && strlen(d->gdb) >= room)
		diag_hint(check_fail(c, gdb,
				     "%zu bytes with its directory: a socket's path has at most "
				     "%zu",
				     strlen(d->gdb), room - 1),
			  "/run and /tmp are short");
}

void check_debug_rules(struct check *c, const struct sill_config *v)
{
	const enum sill_port p = sill_kd_port(&v->debug);
	bool known;

	check_gdb(c, &v->debug);
	if (place_ok(c, &v->debug.kd) == NULL)
		return;
	if (v->debug.kd == SILL_KD_NET) {
		check_net(c, v);
		return;
	}
	check_net_words(c, &v->debug);
	known = check_ends(c, &v->debug);
	if (p != SILL_PORTS)
		check_port(c, v, p, known);
}
