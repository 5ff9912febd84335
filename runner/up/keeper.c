/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.c - see keeper.h. */
#include "runner/up/keeper.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "runner/up/call.h"
#include "schema/key.h"

enum { END_MS = 10000 };

bool keeper_wants(enum sill_restart restart, const char *how)
{
	static const char *const failures[] = { "crashed", "fault", "host" };

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (strcmp(how, failures[i]) == 0)
			return restart != SILL_RESTART_NO;
	/* Stopped, killed: somebody wanted that. */
	return restart == SILL_RESTART_ALWAYS && strcmp(how, "power-off") == 0;
}

unsigned keeper_pause(unsigned last_ms, uint64_t ran_ms)
{
	if (last_ms == 0 || ran_ms >= KEEPER_LONG_MS)
		return KEEPER_FIRST_MS;
	return last_ms < KEEPER_MAX_MS / 2 ? 2 * last_ms : KEEPER_MAX_MS;
}

static void lock_name(const char *name, char ret[80])
{
	(void)snprintf(ret, 80, "keep-%.70s", name);
}

int keeper_begin(const char *name, struct sill_err *e)
{
	char lock[80];

	lock_name(name, lock);
	return rundir_lock(lock, e);
}

void keeper_leave(const char *name)
{
	char lock[80];

	lock_name(name, lock);
	rundir_unlock(lock); /* whoever looks does not find a lock of his own, and it goes */
}

enum sill_restart keeper_wish(const struct rundir_vm *vm)
{
	const struct key *row = section_find(&root_section, "restart");
	size_t n = 0;
	char *text = rundir_read(vm, "wanted.json", &n);
	json_t *o = text != NULL ? json_loadb(text, n, 0, NULL) : NULL;
	const char *word = json_string_value(json_object_get(o, "restart"));
	enum sill_restart wish = SILL_RESTART_NO;

	if (word != NULL && key_find_word(row, word) != NULL)
		wish = (enum sill_restart)key_find_word(row, word)->val;
	json_decref(o);
	free(text);
	return wish;
}

long keeper_of(const char *name)
{
	char lock[80];

	lock_name(name, lock);
	return rundir_locker(lock);
}

void keeper_end(const char *name)
{
	const long pid = keeper_of(name);
	const int fd = pid > 0 ? pidfd_open((pid_t)pid, 0) : -1;
	char lock[80];

	/* The number may be another's by now: then the lock is not held by it. It has nothing to tidy up. */
	if (fd >= 0 && keeper_of(name) == pid && pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0)
		(void)call_wait(fd, END_MS);
	if (fd >= 0)
		(void)close(fd);
	lock_name(name, lock);
	if (pid > 0)
		rundir_unlock(lock);
}
