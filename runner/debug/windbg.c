/* SPDX-License-Identifier: Apache-2.0 */
/* windbg.c - see windbg.h. */
#include "runner/debug/windbg.h"

#include <arpa/inet.h>
#include <string.h>

#include "runner/net/endpoint.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

/* Which serial port it is, once in the guest as administrator; EMS leaves COM1 first. */
static const char *const at_com1[WINDBG_GUEST] = {
	"bcdedit /ems off",
	"bcdedit /bootems off",
	"bcdedit /dbgsettings serial debugport:1 baudrate:115200",
	"bcdedit /debug on",
};
static const char *const at_com2[WINDBG_GUEST] = {
	"bcdedit /dbgsettings serial debugport:2 baudrate:115200",
	"bcdedit /debug on",
};

/* Where WinDbg connects to for what listens at @text: it takes an IPv4 address, and one that leads there. */
static void make_listen(const char *text, struct windbg *ret)
{
	const struct sockaddr_in *v4;
	struct sill_err e = { 0 };
	struct endpoint at;
	char host[INET_ADDRSTRLEN] = "HOST";
	unsigned port;

	if (endpoint_read_listen(text, &at, &e) < 0)
		return;
	v4 = (const void *)&at.at;
	port = ntohs(v4->sin_port); /* where IPv6 has it, too (RFC 3493, 3.3) */
	if (v4->sin_family == AF_INET && v4->sin_addr.s_addr != htonl(INADDR_ANY))
		(void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
	(void)snprintf(ret->windbg, sizeof(ret->windbg), "windbg -k com:ipport=%u,port=%s", port,
		       host);
	(void)snprintf(ret->vm_port, sizeof(ret->vm_port), "serial: {mode: tcp, connect: '%s:%u'}",
		       host, port);
}

/* Who is connected to listens there, on his host. */
static void make_connect(const char *text, struct windbg *ret)
{
	struct endpoint at;
	const bool here = endpoint_read_listen(text, &at, &(struct sill_err){ 0 }) == 0;

	(void)snprintf(ret->vm_port, sizeof(ret->vm_port), "serial: {mode: tcp, listen: '%s%s'}",
		       here ? "" : "0.0.0.0", here ? text : strrchr(text, ':'));
}

bool windbg_make(const struct sill_debug_config *d, struct windbg *ret)
{
	*ret = (struct windbg){ 0 };
	if (d->kd == SILL_KD_OFF)
		return false;
	if (d->listen != NULL)
		make_listen(d->listen, ret);
	else
		make_connect(d->connect, ret);
	(void)snprintf(ret->vm_windbg, sizeof(ret->vm_windbg), "%s",
		       "set _NT_DEBUG_PORT=com1&set _NT_DEBUG_BAUD_RATE=115200&windbg -v -d -k");
	memcpy(ret->guest, d->kd == SILL_KD_SERIAL ? at_com1 : at_com2, sizeof(ret->guest));
	return true;
}

void windbg_print(FILE *f, const struct sill_debug_config *d)
{
	struct windbg w;

	if (!windbg_make(d, &w))
		return;
	if (w.windbg[0] != '\0')
		text_say(f, "debug: %s", w.windbg);
	text_say(f, "debug: %sin a VM with \"%s\": %s", w.windbg[0] != '\0' ? "or " : "", w.vm_port,
		 w.vm_windbg);
	for (unsigned i = 0; w.guest[i] != NULL; i++)
		text_say(f, "debug: once in the guest: %s", w.guest[i]);
}

static json_t *text_or_null(const char *s)
{
	return s != NULL && s[0] != '\0' ? json_text(s) : json_null();
}

json_t *windbg_json(const struct sill_debug_config *d)
{
	struct windbg w;
	json_t *guest;

	if (!windbg_make(d, &w))
		return NULL;
	guest = json_array();
	for (unsigned i = 0; w.guest[i] != NULL; i++)
		(void)json_array_append_new(guest, json_string(w.guest[i]));
	return json_pack("{s:s,s:o,s:o,s:o,s:{s:o,s:o},s:o}", "port",
			 sill_port_name(sill_kd_port(d)), "listen", text_or_null(d->listen),
			 "connect", text_or_null(d->connect), "windbg", text_or_null(w.windbg),
			 "vm", "port", text_or_null(w.vm_port), "windbg", text_or_null(w.vm_windbg),
			 "bcdedit", guest);
}

static const struct {
	const char *word, *alone, *connected;
} states[] = {
	[SILL_KD_NO_PORT] = { "none", "there is no kernel debugger", NULL },
	[SILL_KD_SILENT] = { "silent", "guest silent", "guest silent; somebody is connected" },
	[SILL_KD_STRANGE] = { "strange",
			      "the guest writes there, but not to a debugger: a console, or EMS",
			      NULL },
	[SILL_KD_WAITING] = { "waiting", "waiting for a debugger",
			      "waiting for a debugger: who is connected does not answer" },
	[SILL_KD_ATTACHED] = { "attached", "debugger attached", NULL },
};

const char *windbg_state_text(const char *state, bool connected)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(states[i].word, state) == 0)
			return connected && states[i].connected != NULL ? states[i].connected
									: states[i].alone;
	return state;
}

static json_t *side_json(const struct sill_kd_side *s)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "bytes", (json_int_t)s->bytes, "packets",
			 (json_int_t)s->packets, "bad", (json_int_t)s->bad, "resets",
			 (json_int_t)s->resets, "resends", (json_int_t)s->resends, "breaks",
			 (json_int_t)s->breaks);
}

json_t *windbg_seen_json(const struct sill_debug_config *d, const struct sill_kd_seen *seen)
{
	json_t *o = windbg_json(d);

	if (o == NULL)
		return NULL;
	(void)json_object_set_new(o, "state", json_string(states[seen->state].word));
	(void)json_object_set_new(o, "connected", json_boolean(seen->connected));
	(void)json_object_set_new(o, "guest", side_json(&seen->guest));
	(void)json_object_set_new(o, "debugger", side_json(&seen->debugger));
	return o;
}
