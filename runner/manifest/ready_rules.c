/* SPDX-License-Identifier: Apache-2.0 */
/* ready_rules.c - signs that a guest is up: one thing each, and one that can be seen. */
#include <string.h>

#include "runner/manifest/check.h"
#include "runner/manifest/scalar.h"
#include "sill/config.h"

/* What a sign may be; those at the front are ports of a host. */
static const char *const signs[] = { "tcp", "ssh", "rdp", "winrm", "serial", "vsock" };
enum { PORTS = 4, SIGNS = sizeof(signs) / sizeof(signs[0]) };

/* The one sign of @entry. NULL: it has not exactly one, which is said. */
static const struct node *find_sign(struct check *c, const struct node *entry, bool *ret_port)
{
	const struct node *found = NULL;
	struct diag *g;

	for (size_t i = 0; i < SIGNS; i++) {
		const struct node *n = node_find(entry, signs[i]);

		if (n == NULL)
			continue;
		if (found != NULL && (!n->ok || !found->ok))
			return NULL;
		if (found != NULL) {
			g = check_fail_key(c, n, "one entry is one sign");
			diag_other(g, found->key_at, "and this is another");
			diag_hint(g, "make a list of it: 'ready: [{%s: ...}, {%s: ...}]'",
				  found->row->field.key, n->row->field.key);
			return NULL;
		}
		found = n;
		*ret_port = i < PORTS;
	}
	if (found == NULL && entry->ok)
		diag_hint(check_fail_key(c, entry, "no sign to wait for"),
			  "add one of tcp, ssh, rdp, winrm, vsock: a port, or serial: a text");
	return found;
}

static void check_within(struct check *c, const struct sill_ready_config *r)
{
	const struct node *n = place_ok(c, &r->within);
	uint64_t ms = 0;

	if (n == NULL)
		return;
	switch (scalar_span(r->within, &ms)) {
	case SCALAR_OK:
		if (ms == 0)
			diag_hint(check_fail(c, n, "no time at all"), "write %s", n->row->form);
		return;
	case SCALAR_BIG:
		diag_hint(check_fail(c, n, "'%s' is too long: a week at most", n->text), "write %s",
			  n->row->form);
		return;
	case SCALAR_NOT:
	case SCALAR_OCTAL:
	case SCALAR_NO_UNIT:
	case SCALAR_UNIT:
		diag_hint(check_fail(c, n, "'%s' is not a time", n->text), "write %s",
			  n->row->form);
		return;
	}
}

/* A port of a guest that nobody can reach from here. */
static void check_port(struct check *c, const struct sill_config *v, const struct node *sign,
		       const struct node *entry)
{
	const struct node *root = place_map(c, v);

	if (node_find(entry, "host") == NULL && v->net_count == 0 && root != NULL && root->ok)
		diag_hint(check_fail_key(c, sign, "the VM has no network card"),
			  "add 'net: [{tap: \"\"}]', or say where the port is: host");
}

/* What @sign, which is no port of a host, needs. */
static void check_other(struct check *c, const struct sill_config *v, const struct node *sign,
			const struct node *entry)
{
	const struct node *host = node_find(entry, "host"), *mode = place_ok(c, &v->serial.mode);
	const char *key = sign->row->field.key;
	struct diag *g;

	if (host != NULL)
		diag_hint(check_fail_key(c, host, "means nothing with %s", key), "remove it");
	if (strcmp(key, "vsock") == 0 && place_map(c, &v->vsock) == NULL &&
	    place_map(c, v) != NULL && place_map(c, v)->ok)
		diag_hint(check_fail_key(c, sign, "the VM has no vsock device"),
			  "add 'vsock: {cid: 3, socket: vsock.sock}'");
	if (strcmp(key, "serial") != 0 || mode == NULL || v->serial.mode == SILL_CHAR_TTY ||
	    v->serial.mode == SILL_CHAR_SOCKET)
		return;
	g = check_fail_key(c, sign, "nobody can look at a serial port with mode %s", mode->text);
	if (!mode->implied)
		diag_other(g, mode->at, "the port's mode");
	diag_hint(g, "set serial.mode: tty or socket");
}

void check_ready_rules(struct check *c, const struct sill_config *v)
{
	for (unsigned i = 0; i < v->ready_count; i++) {
		const struct node *entry = place_map(c, &v->ready[i]), *sign;
		bool port = false;

		if (entry == NULL)
			continue;
		sign = find_sign(c, entry, &port);
		check_within(c, &v->ready[i]);
		if (sign == NULL || !sign->ok)
			continue;
		if (port)
			check_port(c, v, sign, entry);
		else
			check_other(c, v, sign, entry);
	}
}
