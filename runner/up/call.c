/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - see call.h. */
#include "runner/up/call.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "runner/api/ask.h"
#include "runner/host/clock.h"

/* The VM's own sentences: what it could not do, and why. */
static int refused(const struct ask_answer *a, struct sill_err *e)
{
	json_t *list = json_loadb(a->body, a->size, 0, NULL);
	const char *first = json_string_value(json_array_get(list, 0)),
		   *second = json_string_value(json_array_get(list, 1));

	if (first == NULL)
		(void)sill_err_set(e, SILL_ERR_STATE, "the VM answers with status %u", a->status);
	else
		(void)sill_err_set(e, SILL_ERR_STATE, "%s%s%s", first, second != NULL ? ": " : "",
				   second != NULL ? second : "");
	json_decref(list);
	return -1;
}

static void late(const struct rundir_vm *vm, struct sill_err *e)
{
	sill_err_wrap(e, "'%s'", vm->name);
	(void)sill_err_hint(e, "does its process (%ld) stand still? `sill kill %s` ends it",
			    vm->pid, vm->name);
}

int call_vm(const struct rundir_vm *vm, const struct call *c, json_t **ret, struct sill_err *e)
{
	char *text = NULL;
	struct ask_answer a = { 0 };
	int fd, done;

	if (c->body != NULL)
		text = json_dumps(c->body, JSON_COMPACT);
	fd = ask_connect_vm(vm, c->patience_s > 0 ? c->patience_s : CALL_PATIENCE_S, e);
	done = fd >= 0 ? ask(fd, &(struct ask_request){ c->method, c->target, text }, &a, e) : -1;
	free(text);
	if (fd >= 0)
		(void)close(fd);
	if (done == 0 && a.status >= 300)
		done = refused(&a, e);
	else if (done < 0 && e->sys == ETIMEDOUT)
		late(vm, e);
	if (ret != NULL)
		*ret = done == 0 && a.size > 0 ? json_loadb(a.body, a.size, JSON_DECODE_ANY, NULL)
					       : NULL;
	free(a.body);
	return done;
}

int call_watch(const struct rundir_vm *vm)
{
	const int fd = vm->pid > 0 ? pidfd_open((pid_t)vm->pid, 0) : -1;
	struct rundir_vm again;
	bool runs;

	/* The number may be another's by now: then the name is not held by it. */
	if (fd >= 0 && rundir_look(vm->name, &again, &runs) && runs && again.pid == vm->pid)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

bool call_wait(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const int64_t end = (int64_t)clock_ms() + ms;
	int n;

	do {
		const int64_t left = end - (int64_t)clock_ms();

		n = poll(&p, 1, ms < 0 ? -1 : left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}
