/* SPDX-License-Identifier: Apache-2.0 */
/* qemuport.c - the other ends of QEMU's serial ports and consoles. */
#include "runner/import/qemu.h"

#include <stdio.h>
#include <string.h>

/* "tcp:HOST:PORT,server", "unix:PATH", "file:PATH", "stdio": as -chardev would say it. Owned by the caller. */
static json_t *old_form(const char *text)
{
	const size_t n = strcspn(text, ":,");
	char kind[16], *colon;
	json_t *o;
	const char *where;

	(void)snprintf(kind, sizeof(kind), "%.*s", (int)n, text);
	if (text[n] != ':')
		return qemu_opts(text, "backend");
	o = qemu_opts(text + n + 1, "where");
	where = qemu_opt(o, "where");
	where = where != NULL ? where : "";
	colon = strrchr(where, ':');
	if (import_is(kind, "mon")) {
		json_decref(o);
		return old_form(text + n + 1);
	}
	if (qemu_one_of(" tcp telnet ", kind) && colon != NULL) {
		(void)json_object_set_new(o, "backend", json_string("socket"));
		(void)json_object_set_new(o, "host", json_stringn(where, (size_t)(colon - where)));
		(void)json_object_set_new(o, "port", json_string(colon + 1));
		if (kind[1] == 'e')
			(void)json_object_set_new(o, "telnet", json_string("on"));
	} else if (import_is(kind, "unix")) {
		(void)json_object_set_new(o, "backend", json_string("socket"));
		(void)json_object_set_new(o, "path", json_string(where));
	} else {
		(void)json_object_set_new(o, "backend", json_string(kind));
		(void)json_object_set_new(o, qemu_one_of(" file ", kind) ? "path" : "id",
					  json_string(where));
	}
	return o;
}

static bool is_server(const json_t *o)
{
	return qemu_is_on(o, "server");
}

/* False: Sill has no such other end. */
static bool set_socket(struct qemu *q, json_t *p, const json_t *o, const char *port)
{
	const char *path = qemu_opt(o, "path"), *at = qemu_opt(o, "port");
	const char *host = qemu_opt(o, "host");

	if (path != NULL) {
		if (!is_server(o))
			return false;
		import_text(p, "mode", "socket");
		import_text(p, "path", path);
		return true;
	}
	if (at == NULL || qemu_opt(o, "fd") != NULL)
		return false;
	if (host == NULL || host[0] == '\0')
		host = is_server(o) ? "0.0.0.0" : "127.0.0.1";
	import_text(p, "mode", "tcp");
	(void)json_object_set_new(p, is_server(o) ? "listen" : "connect",
				  json_sprintf("%s:%s", host, at));
	if (qemu_is_on(o, "telnet"))
		import_lost(q->im, port, "the port speaks as it is, not telnet");
	if (is_server(o) && strcmp(host, "0.0.0.0") == 0)
		import_note(q->im, port, "whoever reaches port %s of this host is at it", at);
	return true;
}

static void set_end(struct qemu *q, const char *port, const json_t *o)
{
	const char *kind = qemu_opt(o, "backend");
	json_t *p = import_map(q->m, port);
	bool ok = true;

	(void)json_object_clear(p);
	if (import_is(kind, "stdio"))
		import_text(p, "mode", "tty");
	else if (qemu_one_of(" pty null ", kind))
		import_text(p, "mode", kind);
	else if (qemu_one_of(" vc none msmouse ", kind))
		import_text(p, "mode", import_is(kind, "none") ? "off" : "null");
	else if (import_is(kind, "file")) {
		import_text(p, "mode", "file");
		import_text(p, "path", qemu_opt(o, "path"));
	} else {
		ok = import_is(kind, "socket") && set_socket(q, p, o, port);
	}
	if (!ok) {
		import_lost(q->im, port, "Sill has no such other end for a port ('%.40s')",
			    kind != NULL ? kind : "");
		import_text(p, "mode", "null");
	}
}

void qemu_port(struct qemu *q, const char *port, const char *chardev)
{
	const json_t *o = chardev != NULL ? json_object_get(q->chardevs, chardev) : NULL;

	if (o != NULL)
		set_end(q, port, o);
	else
		import_lost(q->im, port, "there is no -chardev of the id '%.40s'",
			    chardev != NULL ? chardev : "");
}

void qemu_serial(struct qemu *q, const char *text)
{
	static const char *const ports[] = { "serial", "serial2" };
	json_t *o = old_form(text);

	if (q->serials >= sizeof(ports) / sizeof(ports[0]))
		import_lost(q->im, "-serial", "there are two serial ports");
	else if (import_is(qemu_opt(o, "backend"), "chardev"))
		qemu_port(q, ports[q->serials++], qemu_opt(o, "id"));
	else
		set_end(q, ports[q->serials++], o);
	json_decref(o);
}
