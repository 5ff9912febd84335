/* SPDX-License-Identifier: Apache-2.0 */
/* crash.c - see crash.h. */
#include "runner/debug/crash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/sac/sac.h"

static bool is_serial(const struct sill_event *event)
{
	return event->crash != NULL && strcmp(event->what, "serial") == 0;
}

/* Is there more in @said than is known? */
static bool is_more(const struct sill_crash *known, const struct sill_crash *said)
{
	return (said->has_code && !known->has_code) ||
	       (said->has_parameters && !known->has_parameters) ||
	       (said->driver[0] != '\0' && known->driver[0] == '\0');
}

bool crash_knows(const struct crash *c, const struct sill_event *event)
{
	if (is_serial(event))
		return c->serial && !is_more(&c->said, event->crash);
	if (event->crash != NULL)
		return c->registers;
	return strcmp(event->what, "dump") == 0 ? c->dump : c->panic;
}

/* The registers say it best; only a serial port names a driver. */
static void take_said(struct crash *c, const struct sill_crash *said, bool serial)
{
	const struct sill_crash before = c->said;

	if (!serial || !c->registers)
		c->said = *said;
	if (said->driver[0] == '\0' || before.driver[0] != '\0')
		memcpy(c->said.driver, before.driver, sizeof(before.driver));
	else
		memcpy(c->said.driver, said->driver, sizeof(said->driver));
	c->serial |= serial;
	c->registers |= !serial;
}

bool crash_take(struct crash *c, const struct sill_event *event, time_t now)
{
	const bool first = !c->panic && !c->dump && !c->registers && !c->serial;

	if (first)
		c->when = now;
	if (event->crash != NULL)
		take_said(c, event->crash, is_serial(event));
	else if (strcmp(event->what, "dump") == 0)
		c->dump = true;
	else
		c->panic = true;
	return first;
}

/* Linux has numbers of its own in these registers. */
static const struct sac_stop *stop_of(const struct crash *c, enum sill_guest guest)
{
	if (!c->said.has_code || guest == SILL_GUEST_LINUX || c->said.code > UINT32_MAX)
		return NULL;
	return sac_stop_find((uint32_t)c->said.code);
}

void crash_text(const struct crash *c, enum sill_guest guest, char ret[CRASH_TEXT])
{
	const struct sac_stop *stop = stop_of(c, guest);
	const uint64_t *p = c->said.parameter;
	char code[32] = "", parameters[96] = "";

	if (!c->registers && !c->serial) {
		(void)snprintf(ret, CRASH_TEXT, "by its own word%s",
			       c->dump ? ", and writes a dump" : "");
		return;
	}
	if (c->said.has_code)
		(void)snprintf(code, sizeof(code), " 0x%" PRIx64, c->said.code);
	if (c->said.has_parameters)
		(void)snprintf(parameters, sizeof(parameters),
			       " (0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ")",
			       p[0], p[1], p[2], p[3]);
	(void)snprintf(ret, CRASH_TEXT, "bug check%s%s%s%s%s%s%s%s", code, stop != NULL ? " " : "",
		       stop != NULL ? stop->name : "", parameters,
		       c->said.driver[0] != '\0' ? ", by " : "", c->said.driver,
		       stop != NULL ? ": " : "", stop != NULL ? stop->look : "");
}

static json_t *number_text(uint64_t v)
{
	return json_sprintf("0x%" PRIx64, v);
}

static json_t *when_text(time_t at)
{
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&at, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *by_of(const struct crash *c)
{
	json_t *list = json_array();

	if (c->registers)
		(void)json_array_append_new(list, json_string("bug-check"));
	if (c->serial)
		(void)json_array_append_new(list, json_string("serial"));
	if (c->panic)
		(void)json_array_append_new(list, json_string("panic"));
	if (c->dump)
		(void)json_array_append_new(list, json_string("dump"));
	return list;
}

static json_t *see_of(const struct sac_stop *stop)
{
	return stop != NULL ? json_sprintf("%s%s", SAC_STOP_SEE, stop->see) : json_null();
}

/* The last of @tail as text: without NULs, and where it is no UTF-8, in ASCII. */
static json_t *tail_text(const char *tail, size_t n)
{
	char text[CRASH_TAIL + 1] = "";
	size_t kept = 0;
	json_t *v;

	for (size_t i = n > CRASH_TAIL ? n - CRASH_TAIL : 0; i < n; i++)
		if (tail[i] != '\0')
			text[kept++] = tail[i];
	v = json_stringn(text, kept);
	for (size_t i = 0; v == NULL && i < kept; i++)
		if ((unsigned char)text[i] >= 0x80)
			text[i] = '?';
	return v != NULL ? v : json_stringn(text, kept);
}

json_t *crash_json(const struct crash *c, enum sill_guest guest, const char *tail, size_t n)
{
	const struct sac_stop *stop = stop_of(c, guest);
	const struct sill_crash *said = &c->said;
	json_t *parameters = said->has_parameters ? json_array() : json_null();

	for (unsigned i = 0; i < 4 && said->has_parameters; i++)
		(void)json_array_append_new(parameters, number_text(said->parameter[i]));
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "when", when_text(c->when), "by",
			 by_of(c), "code", said->has_code ? number_text(said->code) : json_null(),
			 "name", stop != NULL ? json_string(stop->name) : json_null(), "parameters",
			 parameters, "driver",
			 said->driver[0] != '\0' ? json_string(said->driver) : json_null(), "look",
			 stop != NULL ? json_string(stop->look) : json_null(), "see", see_of(stop),
			 "tail", tail_text(tail, n));
}

void crash_begin(struct crash_ear *ear, struct sill_vm *vm, const struct rundir *dir,
		 void (*say)(const char *name, const char *what))
{
	*ear = (struct crash_ear){ .vm = vm, .dir = dir, .say = say };
	if (dir->there)
		(void)unlinkat(dir->fd, CRASH_FILE, 0);
}

/*
 * For `sill status`. A directory that cannot be written to costs no more than that. This is the main loop, and a guest may
 * crash again and again, after a reset each time: no disk is waited for.
 */
static void keep(const struct crash_ear *ear)
{
	char tail[CRASH_TAIL];
	const size_t n = sill_vm_output_tail(ear->vm, SILL_PORT_SERIAL, tail, sizeof(tail));
	json_t *o = crash_json(&ear->crash, sill_vm_config(ear->vm)->guest, tail, n);
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text != NULL && ear->dir->there)
		(void)rundir_write_soon(ear->dir, CRASH_FILE, text, strlen(text),
					&(struct sill_err){ 0 });
	free(text);
	json_decref(o);
}

static void tell(struct crash_ear *ear)
{
	const struct sill_config *m = sill_vm_config(ear->vm);
	char text[CRASH_TEXT], what[CRASH_TEXT + 32];
	unsigned dropped;

	if (!pace_allows(&ear->pace, clock_ms(), &dropped))
		return;
	crash_text(&ear->crash, m->guest, text);
	(void)snprintf(what, sizeof(what), "the guest has crashed: %s", text);
	ear->say(m->name, what);
}

static void act(struct crash_ear *ear)
{
	switch (sill_vm_config(ear->vm)->on_crash) {
	case SILL_ON_CRASH_REPORT:
		break;
	case SILL_ON_CRASH_RESET:
		sill_vm_reset(ear->vm);
		break;
	case SILL_ON_CRASH_STOP:
		ear->stops = true;
		sill_vm_stop(ear->vm);
		break;
	case SILL_ON_CRASH_NMI_DUMP:
		sill_vm_nmi(ear->vm);
		break;
	}
}

bool crash_hear(struct crash_ear *ear, const struct sill_event *event)
{
	bool first;

	if (event->kind == SILL_EVENT_RESET)
		ear->crash = (struct crash){ 0 };
	if (event->kind != SILL_EVENT_CRASHED)
		return true;
	if (crash_knows(&ear->crash, event))
		return false;
	first = crash_take(&ear->crash, event, time(NULL));
	keep(ear);
	if (first) {
		tell(ear);
		act(ear);
	}
	return first;
}

enum sill_vm_end crash_ends(const struct crash_ear *ear, struct sill_err *e)
{
	char text[CRASH_TEXT];

	crash_text(&ear->crash, sill_vm_config(ear->vm)->guest, text);
	(void)sill_err_set(e, SILL_ERR_GUEST, "the guest has crashed, and was stopped: %s", text);
	return SILL_END_FAULT;
}
