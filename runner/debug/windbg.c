/* SPDX-License-Identifier: Apache-2.0 */
/* windbg.c - see windbg.h. */
#include "runner/debug/windbg.h"

#include <arpa/inet.h>
#include <string.h>

#include "runner/api/hot.h"
#include "runner/debug/kdnet.h"
#include "runner/net/endpoint.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

/* Which serial port it is, once in the guest as administrator; EMS leaves COM1 first. */
static const char *const at_com1[] = {
	"bcdedit /ems off",
	"bcdedit /bootems off",
	"bcdedit /dbgsettings serial debugport:1 baudrate:115200",
	"bcdedit /debug on",
	NULL,
};
static const char *const at_com2[] = {
	"bcdedit /dbgsettings serial debugport:2 baudrate:115200",
	"bcdedit /debug on",
	NULL,
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

/* Its key and where the guest calls; Windows takes the first card that it knows unless it is told which. */
static void make_net(const struct sill_config *c, unsigned slot, struct windbg *ret)
{
	const struct sill_debug_config *d = &c->debug;
	struct kdnet_end at = { 0 };
	unsigned n = 0;

	if (kdnet_read_end(d->connect, &at, &(struct sill_err){ 0 }) < 0)
		return;
	(void)snprintf(ret->windbg, WINDBG_LINE, "windbg -k net:port=%u,key=%s", at.port, d->key);
	(void)snprintf(ret->guest[n++], WINDBG_LINE,
		       "bcdedit /dbgsettings net hostip:%u.%u.%u.%u port:%u key:%s",
		       at.address >> 24, at.address >> 16 & 255, at.address >> 8 & 255,
		       at.address & 255, at.port, d->key);
	if (slot != 0)
		(void)snprintf(ret->guest[n++], WINDBG_LINE,
			       "bcdedit /set \"{dbgsettings}\" busparams 0.%u.0", slot);
	(void)snprintf(ret->guest[n++], WINDBG_LINE, "bcdedit /debug on");
}

unsigned windbg_slot(struct sill_vm *vm)
{
	const struct sill_config *c = sill_vm_config(vm);
	const struct sill_net_config *n = c->debug.kd == SILL_KD_NET ? kdnet_card(c) : NULL;
	struct sill_device_info d;

	return n != NULL && hot_find(vm, n->id, &d) ? d.slot : 0;
}

bool windbg_make(const struct sill_config *c, unsigned slot, struct windbg *ret)
{
	const struct sill_debug_config *d = &c->debug;
	const char *const *lines = d->kd == SILL_KD_SERIAL ? at_com1 : at_com2;

	*ret = (struct windbg){ 0 };
	if (d->kd == SILL_KD_OFF)
		return false;
	if (d->kd == SILL_KD_NET) {
		make_net(c, slot, ret);
		return true;
	}
	if (d->listen != NULL)
		make_listen(d->listen, ret);
	else
		make_connect(d->connect, ret);
	(void)snprintf(ret->vm_windbg, sizeof(ret->vm_windbg), "%s",
		       "set _NT_DEBUG_PORT=com1&set _NT_DEBUG_BAUD_RATE=115200&windbg -v -d -k");
	for (unsigned i = 0; lines[i] != NULL; i++)
		(void)snprintf(ret->guest[i], WINDBG_LINE, "%s", lines[i]);
	return true;
}

void windbg_print(FILE *f, const struct sill_config *c, unsigned slot)
{
	struct windbg w;

	if (!windbg_make(c, slot, &w))
		return;
	if (w.windbg[0] != '\0')
		text_say(f, "debug: %s", w.windbg);
	if (w.vm_port[0] != '\0')
		text_say(f, "debug: %sin a VM with \"%s\": %s", w.windbg[0] != '\0' ? "or " : "",
			 w.vm_port, w.vm_windbg);
	for (unsigned i = 0; w.guest[i][0] != '\0'; i++)
		text_say(f, "debug: once in the guest: %s", w.guest[i]);
}

static json_t *text_or_null(const char *s)
{
	return s != NULL && s[0] != '\0' ? json_text(s) : json_null();
}

json_t *windbg_json(const struct sill_config *c, unsigned slot)
{
	const struct sill_debug_config *d = &c->debug;
	const struct sill_net_config *card = kdnet_card(c);
	struct windbg w;
	const char *port;
	json_t *guest;

	if (!windbg_make(c, slot, &w))
		return NULL;
	port = d->kd != SILL_KD_NET ? sill_port_name(sill_kd_port(d))
	       : card != NULL       ? card->id
				    : NULL;
	guest = json_array();
	for (unsigned i = 0; w.guest[i][0] != '\0'; i++)
		(void)json_array_append_new(guest, json_string(w.guest[i]));
	return json_pack("{s:o,s:o,s:o,s:o,s:{s:o,s:o},s:o}", "port", text_or_null(port), "listen",
			 text_or_null(d->listen), "connect", text_or_null(d->connect), "windbg",
			 text_or_null(w.windbg), "vm", "port", text_or_null(w.vm_port), "windbg",
			 text_or_null(w.vm_windbg), "bcdedit", guest);
}

static const struct {
	const char *word, *alone, *connected;
} states[] = {
	[SILL_KD_NO_PORT] = { "none", "there is no kernel debugger", NULL },
	[SILL_KD_SILENT] = { "silent", "guest silent", "guest silent; somebody is connected" },
	[SILL_KD_STRANGE] = { "strange",
			      "the guest writes there, but not to a debugger: a console, or EMS. "
			      "It is not passed on",
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

json_t *windbg_seen_json(const struct sill_config *c, unsigned slot,
			 const struct sill_kd_seen *seen)
{
	json_t *o = windbg_json(c, slot);

	if (o == NULL || seen->state == SILL_KD_NO_PORT)
		return o;
	(void)json_object_set_new(o, "state", json_string(states[seen->state].word));
	(void)json_object_set_new(o, "connected", json_boolean(seen->connected));
	(void)json_object_set_new(o, "guest", side_json(&seen->guest));
	(void)json_object_set_new(o, "debugger", side_json(&seen->debugger));
	return o;
}
