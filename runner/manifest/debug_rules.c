/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_rules.c - what debug asks of the port that a kernel debugger is at.
 *
 * check_defaults() has made that port one of mode tcp, unless something else is written there.
 */
#include <string.h>
#include <sys/un.h>

#include "runner/manifest/check.h"
#include "runner/net/endpoint.h"

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
	if (s->mode == SILL_CHAR_TCP && (!known || (is_same(s->listen, v->debug.listen) &&
						    is_same(s->connect, v->debug.connect))))
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
	known = check_ends(c, &v->debug);
	if (p != SILL_PORTS)
		check_port(c, v, p, known);
}
