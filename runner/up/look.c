/* SPDX-License-Identifier: Apache-2.0 */
/* look.c - see look.h. */
#include "runner/up/look.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runner/debug/crash.h"
#include "runner/debug/windbg.h"
#include "runner/report/json.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/keeper.h"
#include "runner/up/record.h"
#include "runner/up/unit.h"

/* NULL: it does not answer. */
static json_t *get(const struct rundir_vm *vm, const char *target)
{
	const struct call c = { .method = "GET", .target = target, .patience_s = CALL_LOOK_S };
	json_t *o = NULL;

	return call_vm(vm, &c, &o, &(struct sill_err){ 0 }) == 0 ? o : NULL;
}

static json_t *or_null(json_t *take)
{
	return take != NULL ? take : json_null();
}

/* ---- the manifest's place in a repository ---- */

static bool read_line(const char *dir, const char *name, char ret[LOOK_REVISION])
{
	char path[PATH_MAX + 80];
	FILE *f;
	bool good;

	ret[0] = '\0';
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	good = fgets(ret, LOOK_REVISION, f) != NULL;
	(void)fclose(f);
	ret[strcspn(ret, "\r\n")] = '\0';
	return good;
}

/* Refs that git has put together into one file: "HASH NAME". */
static void find_packed(const char *git, const char *ref, char ret[LOOK_REVISION])
{
	char path[PATH_MAX + 80], line[512];
	FILE *f;

	ret[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/packed-refs", git);
	f = fopen(path, "re");
	while (f != NULL && ret[0] == '\0' && fgets(line, sizeof(line), f) != NULL) {
		char *blank = strchr(line, ' ');

		line[strcspn(line, "\r\n")] = '\0';
		if (blank == NULL || blank - line >= LOOK_REVISION || strcmp(blank + 1, ref) != 0)
			continue;
		*blank = '\0';
		(void)snprintf(ret, LOOK_REVISION, "%.*s", LOOK_REVISION - 1, line);
	}
	if (f != NULL)
		(void)fclose(f);
}

static bool is_hash(const char *s)
{
	const size_t n = strlen(s);

	return (n == 40 || n == 64) && strspn(s, "0123456789abcdef") == n;
}

void look_revision(const char *file, char ret[LOOK_REVISION])
{
	char dir[PATH_MAX], git[PATH_MAX + 8], head[LOOK_REVISION], *slash;

	ret[0] = '\0';
	if (snprintf(dir, sizeof(dir), "%s", file) >= (int)sizeof(dir))
		return;
	while ((slash = strrchr(dir, '/')) != NULL) {
		*slash = '\0';
		(void)snprintf(git, sizeof(git), "%s/.git", dir);
		if (!read_line(git, "HEAD", head))
			continue;
		if (strncmp(head, "ref: ", 5) != 0)
			(void)snprintf(ret, LOOK_REVISION, "%s", head);
		else if (!read_line(git, head + 5, ret))
			find_packed(git, head + 5, ret);
		break;
	}
	if (!is_hash(ret))
		ret[0] = '\0';
}

/* ---- what is known ---- */

static json_int_t panics_of(const struct rundir_vm *vm)
{
	size_t n = 0;
	char *text = rundir_read(vm, "events.jsonl", &n), *at = text;
	json_int_t count = 0;

	while (at != NULL && (at = strstr(at, "\"event\":\"panic\"")) != NULL) {
		count++;
		at++;
	}
	free(text);
	return count;
}

/* Who has ended, and whom nobody has stopped. */
static bool is_started_again(const struct rundir_vm *vm, bool kept)
{
	char unit[UNIT_NAME];

	return kept || (unit_of(vm, unit) && unit_is_activating(unit));
}

/* In words of look.h; what @record says of the end of one that does not run. @kept: it has a keeper. */
static const char *state_of(const struct rundir_vm *vm, const json_t *info, const json_t *record,
			    bool runs, bool kept)
{
	const char *said = json_string_value(json_object_get(info, "state"));
	const char *how =
		json_string_value(json_object_get(json_object_get(record, "ended"), "how"));

	if (!runs && is_started_again(vm, kept))
		return "restarting";
	if (!runs)
		return how != NULL ? how : "crashed";
	if (said == NULL || strcmp(said, "Created") == 0)
		return "starting";
	return strcmp(said, "Paused") == 0 ? "paused" : "running";
}

static void put_record(json_t *o, const struct rundir_vm *vm, const json_t *record, bool runs)
{
	const char *file = record_text(record, "file");
	char revision[LOOK_REVISION] = "", log[RUNDIR_PATH + 16];
	const json_int_t started = json_integer_value(json_object_get(record, "started"));

	if (file != NULL)
		look_revision(file, revision);
	(void)snprintf(log, sizeof(log), "%s/vm.log", vm->path);
	(void)json_object_set_new(o, "uptime_seconds",
				  runs && started > 0 ? json_integer(time(NULL) - started)
						      : json_null());
	(void)json_object_set_new(o, "file", file != NULL ? json_text(file) : json_null());
	(void)json_object_set_new(o, "git_revision",
				  revision[0] != '\0' ? json_text(revision) : json_null());
	(void)json_object_set_new(o, "ended",
				  or_null(json_incref(json_object_get(record, "ended"))));
	(void)json_object_set_new(o, "restarts",
				  or_null(json_incref(json_object_get(record, "restarts"))));
	(void)json_object_set_new(o, "last_end",
				  or_null(json_incref(json_object_get(record, "last_end"))));
	(void)json_object_set_new(o, "log", record != NULL ? json_text(log) : json_null());
	(void)json_object_set_new(o, "directory", json_text(vm->path));
}

/* @answers: else it is not asked. */
static void put_running(json_t *o, const struct rundir_vm *vm, bool answers, bool all)
{
	json_t *pending = answers ? get(vm, "/sill.pending") : NULL;
	json_t *net = answers && all ? get(vm, "/sill.net-status") : NULL;
	json_t *debug = answers && all ? get(vm, "/sill.debug") : NULL;
	json_t *ready = answers ? get(vm, "/sill.ready") : NULL;

	(void)json_object_set_new(o, "vcpus",
				  or_null(json_incref(json_object_get(pending, "vcpus"))));
	(void)json_object_set_new(o, "memory",
				  or_null(json_incref(json_object_get(pending, "memory"))));
	(void)json_object_set_new(o, "devices_asked",
				  or_null(json_incref(json_object_get(pending, "devices"))));
	(void)json_object_set_new(o, "net", or_null(json_incref(json_object_get(net, "net"))));
	(void)json_object_set_new(o, "debug", or_null(debug));
	(void)json_object_set_new(o, "ready",
				  json_array_size(json_object_get(ready, "signs")) > 0
					  ? json_incref(ready)
					  : json_null());
	(void)json_object_set_new(o, "panics", json_integer(panics_of(vm)));
	json_decref(pending);
	json_decref(net);
	json_decref(ready);
}

/* How the guest has crashed last, also when it has been reset or has ended since; NULL: it has not. */
static json_t *crash_of(const struct rundir_vm *vm)
{
	size_t n = 0;
	char *text = rundir_read(vm, CRASH_FILE, &n);
	json_t *o = text != NULL ? json_loadb(text, n, 0, NULL) : NULL;

	free(text);
	return o;
}

json_t *look_json(const struct rundir_vm *vm, bool runs, bool all)
{
	json_t *record = record_read(vm), *info = runs ? get(vm, "/vm.info") : NULL;
	const long keeper = keeper_of(vm->name);
	json_t *o = json_pack("{s:s,s:s,s:o,s:o}", "name", vm->name, "state",
			      state_of(vm, info, record, runs, keeper != 0), "pid",
			      runs && vm->pid > 0 ? json_integer(vm->pid) : json_null(), "keeper",
			      keeper > 0 ? json_integer(keeper) : json_null());

	if (o != NULL) {
		put_record(o, vm, record, runs);
		put_running(o, vm, info != NULL, all);
		(void)json_object_set_new(o, "crash", or_null(crash_of(vm)));
	}
	json_decref(info);
	json_decref(record);
	return o;
}

/* ---- for people ---- */

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *uptime(const json_t *o, char ret[TEXT_SPAN])
{
	const json_t *s = json_object_get(o, "uptime_seconds");

	return json_is_integer(s) ? text_span(ret, (uint64_t)json_integer_value(s)) : "-";
}

void look_line(FILE *f, const json_t *o)
{
	const json_t *cpus = json_object_get(o, "vcpus"), *memory = json_object_get(o, "memory");
	char up[TEXT_SPAN], mib[24] = "-", n[24] = "-", pid[24] = "-";

	if (o == NULL) {
		(void)fprintf(f, "%-20s %-10s %8s %8s %5s %8s  %s\n", "NAME", "STATE", "PID", "UP",
			      "VCPUS", "MEMORY", "MANIFEST");
		return;
	}
	if (json_is_object(cpus))
		(void)snprintf(n, sizeof(n), "%" JSON_INTEGER_FORMAT, number(cpus, "present"));
	if (json_is_object(memory))
		(void)snprintf(mib, sizeof(mib), "%" JSON_INTEGER_FORMAT "M",
			       number(memory, "present") >> 20);
	if (number(o, "pid") > 0)
		(void)snprintf(pid, sizeof(pid), "%" JSON_INTEGER_FORMAT, number(o, "pid"));
	text_say(f, "%-20s %-10s %8s %8s %5s %8s  %s", word(o, "name"), word(o, "state"), pid,
		 uptime(o, up), n, mib, word(o, "file"));
}

/* "2 of 8; 1 asked back, 1 of them refused" */
static void print_amount(FILE *f, const char *what, const json_t *o, unsigned shift)
{
	const char *unit = shift > 0 ? "M" : "";

	if (!json_is_object(o))
		return;
	(void)fprintf(f, "  %-10s %" JSON_INTEGER_FORMAT "%s of %" JSON_INTEGER_FORMAT "%s", what,
		      number(o, "present") >> shift, unit, number(o, "max") >> shift, unit);
	if (number(o, "asked") > 0)
		(void)fprintf(f,
			      "; %" JSON_INTEGER_FORMAT "%s asked back, %" JSON_INTEGER_FORMAT
			      "%s refused: with the next reset",
			      number(o, "asked") >> shift, unit, number(o, "refused") >> shift,
			      unit);
	(void)fputc('\n', f);
}

static void print_net(FILE *f, const json_t *cards)
{
	for (size_t i = 0; i < json_array_size(cards); i++) {
		const json_t *card = json_array_get(cards, i),
			     *guest = json_object_get(card, "guest"),
			     *forwards = json_object_get(card, "forwards");

		text_say(f, "  %-10s %s%s%s%s", word(card, "id"),
			 word(card, "device")[0] != '\0' ? word(card, "device")
							 : "connected to nothing",
			 word(guest, "address")[0] != '\0' ? ", the guest is " : "",
			 word(guest, "address"),
			 json_is_false(json_object_get(card, "link")) ? ", link down" : "");
		for (size_t j = 0; j < json_array_size(forwards); j++) {
			char *text = json_dumps(json_array_get(forwards, j),
						JSON_COMPACT | JSON_ENCODE_ANY);

			text_say(f, "  %-10s forward %s", "", text != NULL ? text : "");
			free(text);
		}
	}
}

static void print_debug(FILE *f, const json_t *debug)
{
	const json_t *other = json_object_get(debug, "vm"),
		     *guest = json_object_get(debug, "bcdedit");

	if (!json_is_object(debug))
		return;
	text_say(f, "  %-10s at %s, %s %s", "debugger", word(debug, "port"),
		 word(debug, "listen")[0] != '\0' ? "which listens at" : "which connects to",
		 word(debug, word(debug, "listen")[0] != '\0' ? "listen" : "connect"));
	if (word(debug, "state")[0] != '\0')
		text_say(f, "  %-10s %s", "",
			 windbg_state_text(word(debug, "state"),
					   json_is_true(json_object_get(debug, "connected"))));
	if (word(debug, "windbg")[0] != '\0')
		text_say(f, "  %-10s %s", "", word(debug, "windbg"));
	if (word(other, "port")[0] != '\0')
		text_say(f, "  %-10s in a VM with \"%s\": %s", "", word(other, "port"),
			 word(other, "windbg"));
	for (size_t i = 0; i < json_array_size(guest); i++)
		text_say(f, "  %-10s once in the guest: %s", "",
			 json_string_value(json_array_get(guest, i)));
}

/* "yes, after 12.3 s"; or what is missing. */
static void print_ready(FILE *f, const json_t *ready)
{
	const json_t *signs = json_object_get(ready, "signs");

	if (json_is_true(json_object_get(ready, "ready")))
		text_say(f, "  %-10s yes, after %.1f s", "ready",
			 json_number_value(json_object_get(ready, "seconds")));
	else if (json_is_object(ready))
		text_say(f, "  %-10s no", "ready");
	for (size_t i = 0; i < json_array_size(signs); i++) {
		const json_t *s = json_array_get(signs, i);

		if (json_is_true(json_object_get(s, "ready")))
			continue;
		text_say(f, "  %-10s %s%s%s%s", "", word(s, "sign"),
			 json_is_true(json_object_get(s, "late")) ? " (late)" : "",
			 word(s, "last")[0] != '\0' ? ": " : "", word(s, "last"));
	}
}

bool look_ready(FILE *f, const struct rundir_vm *vm, bool runs)
{
	json_t *record = record_read(vm), *info = runs ? get(vm, "/vm.info") : NULL;
	json_t *ready = info != NULL ? get(vm, "/sill.ready") : NULL;
	const char *state = state_of(vm, info, record, runs, keeper_of(vm->name) != 0);
	const bool all =
		strcmp(state, "running") == 0 && json_is_true(json_object_get(ready, "ready"));

	text_say(f, "%s: %s", vm->name, state);
	if (json_array_size(json_object_get(ready, "signs")) > 0)
		print_ready(f, ready);
	json_decref(ready);
	json_decref(info);
	json_decref(record);
	return all;
}

static const char *at(const json_t *list, size_t i)
{
	const char *s = json_string_value(json_array_get(list, i));

	return s != NULL ? s : "";
}

static bool is_by(const json_t *crash, const char *way)
{
	const json_t *by = json_object_get(crash, "by"), *v;
	size_t i;

	json_array_foreach(by, i, v) if (json_is_string(v) &&
					 strcmp(json_string_value(v), way) == 0) return true;
	return false;
}

static void print_crash(FILE *f, const json_t *crash)
{
	const json_t *p = json_object_get(crash, "parameters");
	const char *driver = word(crash, "driver");
	char numbers[128] = "";

	if (!json_is_object(crash))
		return;
	if (!is_by(crash, "bug-check") && !is_by(crash, "serial")) {
		text_say(f, "  %-10s %s, by the guest's own word", "crash", word(crash, "when"));
		return;
	}
	if (json_array_size(p) == 4)
		(void)snprintf(numbers, sizeof(numbers), " (%s, %s, %s, %s)", at(p, 0), at(p, 1),
			       at(p, 2), at(p, 3));
	text_say(f, "  %-10s %s bug check%s%s%s%s%s%s%s", "crash", word(crash, "when"),
		 word(crash, "code")[0] != '\0' ? " " : "", word(crash, "code"),
		 word(crash, "name")[0] != '\0' ? " " : "", word(crash, "name"), numbers,
		 driver[0] != '\0' ? ", by " : "", driver);
	if (word(crash, "look")[0] != '\0')
		text_say(f, "  %-10s %s: %s", "", word(crash, "look"), word(crash, "see"));
}

/* What is done when it has ended, and how often it was. */
static void print_restarts(FILE *f, const json_t *o)
{
	const json_int_t n = number(o, "restarts");

	if (number(o, "keeper") > 0)
		text_say(f, "  %-10s process %" JSON_INTEGER_FORMAT " starts it again", "restart",
			 number(o, "keeper"));
	if (n > 0)
		text_say(f, "  %-10s %" JSON_INTEGER_FORMAT " time%s so far", "restarted", n,
			 n == 1 ? "" : "s");
}

static void print_end(FILE *f, const char *what, const json_t *ended)
{
	const time_t at = (time_t)number(ended, "at");
	struct tm tm;
	char when[40] = "";

	if (!json_is_object(ended))
		return;
	if (localtime_r(&at, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	text_say(f, "  %-10s %s %s%s%s", what, when, word(ended, "how"),
		 word(ended, "why")[0] != '\0' ? ": " : "", word(ended, "why"));
}

void look_print(FILE *f, const json_t *o)
{
	const json_t *asked = json_object_get(o, "devices_asked");
	const json_int_t panics = number(o, "panics");
	char up[TEXT_SPAN];

	const char *held = word(json_object_get(o, "debug"), "held");

	text_say(f, "%s: %s%s%s", word(o, "name"), word(o, "state"), held[0] != '\0' ? ": " : "",
		 held);
	if (number(o, "pid") > 0)
		text_say(f, "  %-10s %" JSON_INTEGER_FORMAT ", up %s", "process", number(o, "pid"),
			 uptime(o, up));
	print_amount(f, "vCPUs", json_object_get(o, "vcpus"), 0);
	print_amount(f, "memory", json_object_get(o, "memory"), 20);
	print_net(f, json_object_get(o, "net"));
	print_debug(f, json_object_get(json_object_get(o, "debug"), "kd"));
	for (size_t i = 0; i < json_array_size(asked); i++)
		text_say(f, "  %-10s the guest is asked for it, and has it still",
			 json_string_value(json_array_get(asked, i)));
	if (panics > 0)
		text_say(f,
			 "  %-10s the guest has said %" JSON_INTEGER_FORMAT
			 " time%s that it crashed",
			 "panic", panics, panics != 1 ? "s" : "");
	print_ready(f, json_object_get(o, "ready"));
	print_crash(f, json_object_get(o, "crash"));
	print_restarts(f, o);
	print_end(f, "last end", json_object_get(o, "last_end"));
	print_end(f, "ended", json_object_get(o, "ended"));
	if (word(o, "file")[0] != '\0')
		text_say(f, "  %-10s %s%s%s", "manifest", word(o, "file"),
			 word(o, "git_revision")[0] != '\0' ? ", commit " : "",
			 word(o, "git_revision"));
	if (word(o, "log")[0] != '\0')
		text_say(f, "  %-10s %s", "log", word(o, "log"));
}
