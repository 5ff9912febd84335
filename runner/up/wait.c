/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - see wait.h. */
#include "runner/up/wait.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/host/clock.h"
#include "runner/host/rundir.h"
#include "runner/report/text.h"
#include "runner/up/call.h"

enum { LOOK_MS = 200, TAIL = 4096, TAIL_LINES = 10 };

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static bool is(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* What is new since @before, which may be NULL. */
static void tell_news(const char *name, const json_t *before, const json_t *now)
{
	const json_t *signs = json_object_get(now, "signs"),
		     *old = json_object_get(before, "signs");

	for (size_t i = 0; i < json_array_size(signs); i++) {
		const json_t *s = json_array_get(signs, i), *was = json_array_get(old, i);
		const char *last = word(s, "last");

		if (is(s, "ready") && !is(was, "ready"))
			text_say(stderr, "%s: %s: there after %.1f s%s%s", name, word(s, "sign"),
				 number(s, "seconds"), last[0] != '\0' ? ": " : "", last);
		else if (!is(s, "ready") && last[0] != '\0' && strcmp(last, word(was, "last")) != 0)
			text_say(stderr, "%s: waits for %s: %s", name, word(s, "sign"), last);
	}
}

/* The first sign that has not come; @late: whose time is over. NULL: none. */
static const json_t *find_missing(const json_t *now, bool late)
{
	const json_t *signs = json_object_get(now, "signs");

	for (size_t i = 0; i < json_array_size(signs); i++) {
		const json_t *s = json_array_get(signs, i);

		if (!is(s, "ready") && (!late || is(s, "late")))
			return s;
	}
	return NULL;
}

/* The last lines of @n bytes of a guest's. */
static void print_lines(const char *text, size_t n)
{
	size_t lines = 0, from;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	for (from = n; from > 0; from--)
		if (text[from - 1] == '\n' && ++lines == TAIL_LINES)
			break;
	while (from < n) {
		const char *end = memchr(text + from, '\n', n - from);
		const size_t len = end != NULL ? (size_t)(end - text) - from : n - from;
		const size_t shown = len > 0 && text[from + len - 1] == '\r' ? len - 1 : len;
		char line[512];

		(void)fprintf(stderr, "   | %s\n",
			      text_clean(line, sizeof(line), text + from, shown));
		from += len + 1;
	}
}

static void print_tail(const struct rundir_vm *vm)
{
	char path[RUNDIR_PATH + 16], text[TAIL];
	struct stat st;
	ssize_t n = -1;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/serial.log", vm->path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && fstat(fd, &st) == 0)
		n = pread(fd, text, sizeof(text), st.st_size > TAIL ? st.st_size - TAIL : 0);
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return;
	text_say(stderr, "   what its guest has written last (sill logs --serial %s):", vm->name);
	print_lines(text, (size_t)n);
}

static int give_up(const struct rundir_vm *vm, const json_t *sign, uint64_t ms)
{
	const char *last = word(sign, "last"), *hint = word(sign, "hint");

	text_say(stderr, "sill: %s: not ready after %.1f s: %s%s%s", vm->name, (double)ms / 1000,
		 word(sign, "sign"), last[0] != '\0' ? ": " : "", last);
	if (hint[0] != '\0')
		text_say(stderr, "   hint: %s", hint);
	print_tail(vm);
	return CMD_NOT_READY;
}

static int has_ended(const struct rundir_vm *vm)
{
	text_say(stderr, "sill: %s: has ended before it was ready: sill status %s", vm->name,
		 vm->name);
	print_tail(vm);
	return CMD_FAILED;
}

/* What @now says, @ms after we began. -1: wait on. */
static int judge(const struct rundir_vm *vm, const json_t *now, uint64_t ms, uint64_t limit_ms)
{
	const json_t *sign;

	if (is(now, "ready")) {
		if (json_is_number(json_object_get(now, "seconds")))
			text_say(stdout, "%s: ready after %.1f s", vm->name,
				 number(now, "seconds"));
		return CMD_DONE;
	}
	sign = find_missing(now, limit_ms == 0);
	if (sign == NULL || (limit_ms > 0 && ms < limit_ms))
		return -1;
	return give_up(vm, sign,
		       limit_ms > 0 ? ms : (uint64_t)(number(sign, "within_seconds") * 1000));
}

static int wait_for(const struct rundir_vm *vm, int fd, uint64_t limit_ms)
{
	const struct call c = { .method = "GET",
				.target = "/sill.ready",
				.patience_s = CALL_LOOK_S };
	const uint64_t start = clock_ms();
	json_t *before = NULL, *now = NULL;
	int status = -1;

	while (status < 0) {
		struct sill_err e = { 0 };
		const int done = call_vm(vm, &c, &now, &e);

		if (done < 0 && call_wait(fd, LOOK_MS)) {
			status = has_ended(vm);
		} else if (done < 0) {
			(void)cmd_error(&e);
			status = CMD_FAILED;
		} else {
			tell_news(vm->name, before, now);
			status = judge(vm, now, clock_ms() - start, limit_ms);
		}
		json_decref(before);
		before = now;
		now = NULL;
		if (status < 0 && call_wait(fd, LOOK_MS))
			status = has_ended(vm);
	}
	json_decref(before);
	return status;
}

int wait_ready(const char *name, uint64_t limit_ms)
{
	struct rundir_vm vm;
	bool runs;
	int fd, status;

	if (!rundir_look(name, &vm, &runs)) {
		text_say(stderr, "sill: no VM named '%s' runs", name);
		return CMD_FAILED;
	}
	fd = runs ? call_watch(&vm) : -1;
	if (fd < 0)
		return has_ended(&vm);
	status = wait_for(&vm, fd, limit_ms);
	(void)close(fd);
	return status;
}
