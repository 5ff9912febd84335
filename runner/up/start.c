/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - see start.h.
 *
 * The new process keeps the terminal's standard error until the guest runs: what cannot be done is said there. Then
 * a byte goes to who waits, and from here on the log is all it has.
 */
#include "runner/up/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/cmd/run.h"
#include "runner/report/text.h"
#include "runner/up/record.h"

enum { SERIAL_LIMIT = 4 << 20, HISTORY = 1 << 20 };

/* The new process. */
struct child {
	struct run run;
	struct run_wish wish;
	int ready; /* owned: a pipe to who waits; -1: it was told */
	char log[RUNDIR_PATH + 16];
	const char *how; /* it has ended; static */
	bool known;      /* there is a record of one that ran before */
};

static const char *how_of(const char *what)
{
	static const char *const words[] = { "power-off", "stopped", "fault", "host" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (what != NULL && strcmp(words[i], what) == 0)
			return words[i];
	return "host";
}

/* The guest runs: nobody's terminal is used any more. */
static void detach(struct child *c)
{
	const int fd = c->run.log.f != NULL ? fileno(c->run.log.f) : -1;
	const char byte = 1;

	(void)fflush(NULL);
	if (fd >= 0) {
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
	}
	(void)!write(c->ready, &byte, 1); /* who has stopped waiting needs it not */
	(void)close(c->ready);
	c->ready = -1;
}

/* On the VM's main loop. */
static void on_event(void *ctx, const struct sill_event *event)
{
	struct child *c = ctx;

	if (event->kind == SILL_EVENT_RUNNING && c->ready >= 0)
		detach(c);
	if (event->kind == SILL_EVENT_ENDING)
		c->how = how_of(event->what);
}

/* Nobody is at the terminal: what goes there goes to a file, and to who comes to the socket. */
static int take_ports(struct sill_config *m, const struct rundir *d, struct sill_err *e)
{
	struct sill_char_config *ports[] = { &m->serial, &m->serial2, &m->debug_console,
					     &m->console };

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		char *path, *log;

		if (ports[i]->mode != SILL_CHAR_TTY)
			continue;
		if (asprintf(&path, "%s/serial.sock", d->path) < 0)
			return sill_err_sys(e, ENOMEM, "the serial port's socket");
		if (asprintf(&log, "%s/serial.log", d->path) < 0) {
			free(path);
			return sill_err_sys(e, ENOMEM, "the serial port's file");
		}
		free(ports[i]->path);
		free(ports[i]->log);
		ports[i]->path = path;
		ports[i]->log = log;
		ports[i]->history = HISTORY;
		ports[i]->mode = SILL_CHAR_SOCKET;
		ports[i]->limit = SERIAL_LIMIT;
	}
	return 0;
}

static int remember(const struct start *s, const struct rundir *d, struct sill_err *e)
{
	return record_want(d, s->target, e) == 0 ? record_begin(d, s->file, s->directory, e) : -1;
}

/* Descriptors of the caller's: a pipe of his would be open for as long as the VM runs. */
static void close_others(const struct sill_config *m, int ready)
{
	for (unsigned i = 0; i < m->net_count; i++)
		if (m->net[i].fd_count > 0)
			return;
	if (ready > 3)
		(void)close_range(3, (unsigned)ready - 1, 0);
	(void)close_range((unsigned)ready + 1, ~0u, 0);
}

static int take_standard_input(struct sill_err *e)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return sill_err_sys(e, errno, "/dev/null");
	(void)dup2(fd, STDIN_FILENO);
	(void)close(fd);
	return 0;
}

/* All that is done before the VM's own files are opened. */
static int prepare(struct child *c, const struct start *s, struct sill_config *ret,
		   struct sill_err *e)
{
	const struct sill_config *m = s->target->doc->m;

	if (run_check_host(&c->wish, m, e) < 0 || take_standard_input(e) < 0 ||
	    rundir_open_kept(&c->run.dir, m->name, e) < 0)
		return -1;
	c->known = record_is_there(&c->run.dir);
	if (remember(s, &c->run.dir, e) < 0 || sill_config_copy(ret, m, e) < 0)
		return -1;
	(void)snprintf(c->log, sizeof(c->log), "%s/vm.log", c->run.dir.path);
	c->wish.log = c->log;
	return take_ports(ret, &c->run.dir, e);
}

/* What is left of a VM that has never run is nothing; of one that has, its logs and how it has ended now. */
static int end(struct child *c, int status, const struct sill_err *e)
{
	if (c->ready >= 0 && !c->known)
		c->run.dir.keeps = false;
	else
		record_end(&c->run.dir, c->how != NULL ? c->how : "host",
			   e->msg[0] != '\0' ? e->msg : NULL);
	if (c->ready >= 0)
		(void)close(c->ready);
	run_close(&c->run);
	return status;
}

static int run_child(const struct start *s, int ready)
{
	struct child c = {
		.run = { .mf = s->target->mf, .doc = s->target->doc },
		.wish = { .gdb = s->gdb, .verbose = s->verbose, .allow_hollow = s->allow_hollow },
		.ready = ready,
	};
	struct sill_config m = { 0 };
	struct sill_err e = { 0 };
	int status = CMD_FAILED;

	c.wish.on_event = on_event;
	c.wish.event_ctx = &c;
	(void)setsid();
	(void)!chdir("/"); /* which keeps no file system busy */
	close_others(s->target->doc->m, ready);
	(void)mallopt(M_ARENA_MAX, 1);
	if (prepare(&c, s, &m, &e) < 0)
		status = cmd_error(&e);
	else if (run_open(&c.run, &c.wish) == 0) {
		status = run_once(&c.run, &c.wish, &m, &e);
		if (status < 0)
			status = cmd_error(&e);
	}
	status = end(&c, status, &e);
	sill_config_free(&m);
	return status;
}

/* 0: it runs. */
static int wait_for(pid_t pid, int ready)
{
	char byte;
	ssize_t n;
	int status;

	do
		n = read(ready, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return CMD_DONE;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return CMD_FAILED;
	if (WIFSIGNALED(status))
		text_say(stderr, "sill: its process was killed by SIG%s",
			 sigabbrev_np(WTERMSIG(status)));
	return CMD_FAILED;
}

int start_vm(const struct start *s, bool *ret_child)
{
	const char *name = s->target->doc->m->name;
	int ends[2], status;
	pid_t pid;

	*ret_child = false;
	(void)fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) < 0) {
		text_say(stderr, "sill: %s: a pipe: %s", name, strerrordesc_np(errno));
		return CMD_FAILED;
	}
	pid = fork();
	if (pid == 0) {
		*ret_child = true;
		(void)close(ends[0]);
		return run_child(s, ends[1]);
	}
	(void)close(ends[1]);
	if (pid < 0)
		text_say(stderr, "sill: %s: a process: %s", name, strerrordesc_np(errno));
	status = pid < 0 ? CMD_FAILED : wait_for(pid, ends[0]);
	(void)close(ends[0]);
	if (status == CMD_DONE)
		text_say(stdout, "%s: runs, process %d", name, (int)pid);
	else
		text_say(stderr, "sill: %s: not started", name);
	return status;
}
