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
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/cmd/run.h"
#include "runner/host/clock.h"
#include "runner/host/journal.h"
#include "runner/host/notify.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/keeper.h"
#include "runner/up/record.h"

enum { SERIAL_LIMIT = 4 << 20, HISTORY = 1 << 20 };

/* The new process. */
struct child {
	struct run run;
	struct run_wish wish;
	int ready; /* owned: a pipe to who waits; -1: it was told, or there is nobody */
	bool detached;
	struct notify notify;
	struct journal journal;
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
	const pid_t pid = getpid();

	(void)fflush(NULL);
	if (fd >= 0) {
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
	}
	c->detached = true;
	if (c->ready < 0)
		return;
	(void)!write(c->ready, &pid, sizeof(pid)); /* who has stopped waiting needs it not */
	(void)close(c->ready);
	c->ready = -1;
}

/* Without signs a guest is up when it runs. */
static void tell_manager(const struct child *c, enum sill_event_kind kind)
{
	const unsigned signs = c->run.doc->m->ready_count;

	if (kind == SILL_EVENT_RUNNING && signs == 0)
		notify_say(&c->notify, "READY=1\nSTATUS=runs");
	else if (kind == SILL_EVENT_RUNNING)
		notify_say(&c->notify, "STATUS=runs, and waits for %u sign%s of its guest", signs,
			   signs == 1 ? "" : "s");
	else if (kind == SILL_EVENT_PAUSED)
		notify_say(&c->notify, "STATUS=paused");
	else if (kind == SILL_EVENT_RESUMED)
		notify_say(&c->notify, "STATUS=runs");
	else if (kind == SILL_EVENT_ENDING)
		notify_say(&c->notify, "STOPPING=1\nSTATUS=%s", c->how);
}

/* On the VM's main loop. */
static void on_event(void *ctx, const struct sill_event *event)
{
	struct child *c = ctx;

	if (event->kind == SILL_EVENT_RUNNING && !c->detached)
		detach(c);
	if (event->kind == SILL_EVENT_ENDING)
		c->how = how_of(event->what);
	tell_manager(c, event->kind);
}

/* On the VM's main loop: it turns. */
static void on_tick(void *ctx)
{
	const struct child *c = ctx;

	notify_say(&c->notify, "WATCHDOG=1");
}

static void on_ready(void *ctx, uint64_t ms)
{
	const struct child *c = ctx;

	notify_say(&c->notify, "READY=1\nSTATUS=ready after %.1f s", (double)ms / 1000);
}

static void on_late(void *ctx, const char *sign)
{
	const struct child *c = ctx;

	notify_say(&c->notify, "STATUS=runs, and is not ready in its time: %s", sign);
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
	const struct record_start r = { s->file, s->directory, s->unit, s->restarts };

	return record_want(d, s->target, e) == 0 ? record_begin(d, &r, e) : -1;
}

/* Descriptors of the caller's: a pipe of his would be open for as long as the VM runs. */
static void close_others(const struct sill_config *m, int ready)
{
	for (unsigned i = 0; i < m->net_count; i++)
		if (m->net[i].fd_count > 0)
			return;
	if (ready < 0)
		ready = 2;
	if (ready > 3)
		(void)close_range(3, (unsigned)ready - 1, 0);
	(void)close_range((unsigned)ready + 1, ~0u, 0);
}

/* From 0 up to @last. */
static int take_nothing(int last, struct sill_err *e)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return sill_err_sys(e, errno, "/dev/null");
	for (int i = STDIN_FILENO; i <= last; i++)
		(void)dup2(fd, i);
	(void)close(fd);
	return 0;
}

/* All that is done before the VM's own files are opened. */
static int prepare(struct child *c, const struct start *s, struct sill_config *ret,
		   struct sill_err *e)
{
	const struct sill_config *m = s->target->doc->m;

	if (run_check_host(&c->wish, m, -1, e) < 0 || take_nothing(STDIN_FILENO, e) < 0 ||
	    rundir_open_kept(&c->run.dir, m->name, e) < 0)
		return -1;
	(void)prctl(PR_SET_PDEATHSIG, 0); /* from here on it is found by its name */
	c->known = record_is_there(&c->run.dir);
	if (remember(s, &c->run.dir, e) < 0 || sill_config_copy(ret, m, e) < 0)
		return -1;
	(void)snprintf(c->log, sizeof(c->log), "%s/vm.log", c->run.dir.path);
	if (!s->here)
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
		.detached = s->here,
		.notify = { .fd = -1 },
	};
	struct sill_config m = { 0 };
	struct sill_err e = { 0 };
	int status = CMD_FAILED;

	c.wish.on_event = on_event;
	c.wish.event_ctx = &c;
	c.wish.on_ready = on_ready;
	c.wish.on_late = on_late;
	c.wish.on_tick = on_tick;
	if (!s->here) {
		(void)setsid();
		close_others(s->target->doc->m, ready);
	}
	(void)!chdir("/");       /* which keeps no file system busy */
	notify_begin(&c.notify); /* with a keeper, too: nobody else's */
	c.wish.tick_ms = c.notify.watchdog_ms;
	if (s->here)
		(void)journal_begin(&c.journal, s->target->doc->m->name);
	(void)mallopt(M_ARENA_MAX, 1);
	if (prepare(&c, s, &m, &e) < 0)
		status = -1;
	else if (run_open(&c.run, &c.wish) == 0)
		status = run_once(&c.run, &c.wish, &m, &e);
	if (status < 0) {
		c.journal.level = JOURNAL_ERROR;
		status = cmd_error(&e);
	}
	status = end(&c, status, &e);
	journal_end(&c.journal);
	notify_end(&c.notify);
	sill_config_free(&m);
	return status;
}

int start_here(struct start *s)
{
	s->here = true;
	return run_child(s, -1);
}

static void tell_signal(int status)
{
	if (WIFSIGNALED(status))
		text_say(stderr, "sill: its process was killed by SIG%s",
			 sigabbrev_np(WTERMSIG(status)));
}

static int wait_end(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			break;
	return status;
}

/* CMD_DONE: it runs, as process *@ret_vm. */
static int wait_for(pid_t pid, int ready, pid_t *ret_vm)
{
	ssize_t n;

	do
		n = read(ready, ret_vm, sizeof(*ret_vm));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(*ret_vm))
		return CMD_DONE;
	tell_signal(wait_end(pid));
	return CMD_FAILED;
}

/* ---- one that is started again ---- */

/* The keeper's process; in a VM's that it has forked, is_vm. */
struct keeping {
	const struct start *s;
	int ready; /* owned: a pipe to who waits; -1: it was told */
	bool is_vm;
	pid_t pid; /* of the VM */
	int watch; /* owned: of a VM that another has started (call_watch()); -1: it is a child of ours */
};

/* Who waits has what he waits for. */
static void tell_ready(struct keeping *k)
{
	(void)!write(k->ready, &k->pid, sizeof(k->pid));
	(void)close(k->ready);
	k->ready = -1;
}

/*
 * Fork a VM, which ends with its keeper until it is found by its name: who ends the keeper has seen no VM that runs, so
 * there will be none. In it, is_vm; not 0 there: it is too late already.
 */
static pid_t fork_kept(struct keeping *k)
{
	const pid_t keeper = getpid(), pid = fork();

	k->is_vm = pid == 0;
	if (k->is_vm && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != keeper))
		return -1;
	return pid;
}

/* The first start: what keeps it from that is the end, and is said by it. True: it runs. */
static bool keep_first(struct keeping *k, int *ret_status)
{
	int ends[2];

	*ret_status = CMD_FAILED;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	k->pid = fork_kept(k);
	if (k->is_vm) {
		(void)close(ends[0]);
		(void)close(k->ready);
		k->ready = -1;
		if (k->pid == 0)
			*ret_status = run_child(k->s, ends[1]);
		return false;
	}
	(void)close(ends[1]);
	if (k->pid > 0)
		*ret_status = wait_for(k->pid, ends[0], &k->pid);
	(void)close(ends[0]);
	if (*ret_status != CMD_DONE)
		return false;
	tell_ready(k);
	return take_nothing(STDERR_FILENO, &(struct sill_err){ 0 }) == 0;
}

/* A new one, by the manifest that was applied last. True: there is a process. */
static bool keep_again(struct keeping *k, const struct rundir_vm *vm, unsigned restarts,
		       int *ret_status)
{
	struct start s = *k->s;
	struct targets t = { 0 };

	*ret_status = targets_open_wanted(vm, &t);
	if (*ret_status == CMD_DONE && t.count == 1) {
		s.target = &t.list[0];
		s.restarts = restarts;
		k->pid = fork_kept(k);
		if (k->is_vm && k->pid == 0)
			*ret_status = run_child(&s, -1);
	}
	targets_fini(&t);
	return *ret_status == CMD_DONE && !k->is_vm && k->pid > 0;
}

/* Is it to be started again? What its process could not write is written. */
static bool has_failed(const struct rundir_vm *vm, int status, bool ours)
{
	char why[64] = "";
	json_t *record;
	const char *how;
	bool again;

	if (!ours)
		; /* how is its parent's to know */
	else if (WIFSIGNALED(status))
		(void)snprintf(why, sizeof(why), "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		(void)snprintf(why, sizeof(why), "exit status %d", WEXITSTATUS(status));
	record_crash(vm, ours ? why : NULL);
	record = record_read(vm);
	how = json_string_value(json_object_get(json_object_get(record, "ended"), "how"));
	again = how != NULL && keeper_wants(keeper_wish(vm), how);
	json_decref(record);
	return again;
}

/* Its status; of one that is not ours 0. */
static int wait_vm(struct keeping *k)
{
	if (k->watch < 0)
		return wait_end(k->pid);
	(void)call_wait(k->watch, -1);
	(void)close(k->watch);
	k->watch = -1;
	return 0;
}

/* The VM runs: as long as it is to be started again. */
static int keep_on(struct keeping *k, uint64_t began)
{
	const char *name = k->s->target->doc->m->name;
	unsigned pause = 0, restarts = k->s->restarts;
	int status;

	for (;;) {
		const bool ours = k->watch < 0;
		struct rundir_vm vm;
		bool runs;

		status = wait_vm(k);
		/* Forgotten, or another's by now. */
		if (!rundir_look(name, &vm, &runs) || runs || !has_failed(&vm, status, ours))
			return CMD_DONE;
		pause = keeper_pause(pause, clock_ms() - began);
		(void)poll(NULL, 0, (int)pause);
		began = clock_ms();
		if (!rundir_look(name, &vm, &runs) || runs ||
		    !keep_again(k, &vm, ++restarts, &status))
			return status;
	}
}

/* In a process of its own. */
static int keep_begin(const struct keeping *k)
{
	const struct sill_config *m = k->s->target->doc->m;
	struct sill_err e = { 0 };

	(void)setsid();
	(void)!chdir("/");
	close_others(m, k->ready);
	return keeper_begin(m->name, &e) < 0 ? cmd_error(&e) : CMD_DONE;
}

static int keep(struct keeping *k)
{
	const uint64_t began = clock_ms();
	int status = keep_begin(k);

	if (status != CMD_DONE || !keep_first(k, &status))
		return status;
	return keep_on(k, began);
}

/* The same of a VM that another has started. */
static int keep_other(struct keeping *k, const struct rundir_vm *vm)
{
	const int status = keep_begin(k);

	if (status != CMD_DONE)
		return status;
	k->watch = call_watch(vm);
	if (k->watch < 0 || take_nothing(STDERR_FILENO, &(struct sill_err){ 0 }) < 0)
		return CMD_FAILED;
	tell_ready(k);
	return keep_on(k, clock_ms());
}

/* In the new process: the VM's, or its keeper's, of @vm, which runs; NULL: it is to be started. */
static int begin(const struct start *s, const struct rundir_vm *vm, int ready)
{
	struct keeping k = {
		.s = s, .ready = ready, .pid = vm != NULL ? (pid_t)vm->pid : 0, .watch = -1
	};
	int status;

	if (vm == NULL && s->target->doc->m->restart == SILL_RESTART_NO)
		return run_child(s, ready);
	status = vm != NULL ? keep_other(&k, vm) : keep(&k);
	if (!k.is_vm)
		keeper_leave(s->target->doc->m->name);
	if (k.ready >= 0)
		(void)close(k.ready);
	if (k.watch >= 0)
		(void)close(k.watch);
	return status;
}

/* Start a process for that, and wait until it has begun: *ret_vm is the VM's then. */
static int fork_one(const struct start *s, const struct rundir_vm *known, pid_t *ret_vm,
		    bool *ret_child)
{
	const char *name = s->target->doc->m->name;
	int ends[2], status;
	pid_t pid;

	*ret_child = false;
	keeper_end(name);
	(void)fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) < 0) {
		text_say(stderr, "sill: %s: a pipe: %s", name, strerrordesc_np(errno));
		return CMD_FAILED;
	}
	pid = fork();
	if (pid == 0) {
		*ret_child = true;
		(void)close(ends[0]);
		return begin(s, known, ends[1]);
	}
	(void)close(ends[1]);
	if (pid < 0)
		text_say(stderr, "sill: %s: a process: %s", name, strerrordesc_np(errno));
	status = pid < 0 ? CMD_FAILED : wait_for(pid, ends[0], ret_vm);
	(void)close(ends[0]);
	return status;
}

int start_vm(const struct start *s, bool *ret_child)
{
	const char *name = s->target->doc->m->name;
	pid_t vm = 0;
	const int status = fork_one(s, NULL, &vm, ret_child);

	if (*ret_child)
		return status;
	if (status == CMD_DONE)
		text_say(stdout, "%s: runs, process %d", name, (int)vm);
	else
		text_say(stderr, "sill: %s: not started", name);
	return status;
}

int start_keeper(const struct start *s, const struct rundir_vm *vm, bool *ret_child)
{
	pid_t pid = 0;

	return fork_one(s, vm, &pid, ret_child);
}
