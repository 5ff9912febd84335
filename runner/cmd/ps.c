/* SPDX-License-Identifier: Apache-2.0 */
/* ps.c - sill ps, status, logs: what is to be known of VMs in the background. */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cmd/open.h"
#include "runner/plan/pending.h"
#include "runner/report/json.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/look.h"
#include "runner/up/targets.h"

/* ---- ps ---- */

static void add_vm(void *ctx, const struct rundir_vm *vm, bool runs)
{
	(void)json_array_append_new(ctx, look_json(vm, runs, false));
}

static int by_name(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return strcmp(json_string_value(json_object_get(*x, "name")),
		      json_string_value(json_object_get(*y, "name")));
}

/* In the order of names. NULL: no memory. */
static json_t *sorted(const json_t *list)
{
	const size_t n = json_array_size(list);
	json_t **items = malloc((n + 1) * sizeof(json_t *)), *ret = json_array();

	for (size_t i = 0; items != NULL && i < n; i++)
		items[i] = json_array_get(list, i);
	if (items != NULL)
		qsort(items, n, sizeof(json_t *), by_name);
	for (size_t i = 0; items != NULL && i < n; i++)
		(void)json_array_append(ret, items[i]);
	free(items);
	return ret;
}

static int run(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = { { .name = "json", .flag = &json } };
	const int n = cmd_options(&verb_ps, argc, argv, opts, 1);
	json_t *found, *list;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 0)
		return cmd_usage(&verb_ps, "it takes no name: sill status NAME");
	found = json_array();
	rundir_each(add_vm, found);
	list = sorted(found);
	json_decref(found);
	if (json)
		return json_print(stdout, list) < 0 ? CMD_FAILED : CMD_DONE;
	if (json_array_size(list) > 0)
		look_line(stdout, NULL);
	for (size_t i = 0; i < json_array_size(list); i++)
		look_line(stdout, json_array_get(list, i));
	json_decref(list);
	return CMD_DONE;
}

/* ---- status ---- */

struct status_wish {
	const char *name;
	bool json, watch, ready;
};

/* What its manifest says by now; of one that does not answer nothing is known. */
static void put_changes(json_t *o, const struct rundir_vm *vm)
{
	const char *file = json_string_value(json_object_get(o, "file"));
	const bool answers = json_is_object(json_object_get(o, "vcpus"));
	struct mfile *mf = answers && file != NULL ? open_quietly(file) : NULL;

	pending_put(o, vm, mf);
	mfile_destroy(mf);
}

static int show(const struct status_wish *w, const char *name, bool *ret_runs)
{
	struct rundir_vm vm;
	json_t *o;

	*ret_runs = false;
	if (!rundir_look(name, &vm, ret_runs)) {
		text_say(stderr, "sill: no VM named '%s' runs", name);
		return CMD_FAILED;
	}
	if (w->ready)
		return look_ready(stdout, &vm, *ret_runs) && fflush(stdout) == 0 ? CMD_DONE
										 : CMD_FAILED;
	o = look_json(&vm, *ret_runs, true);
	put_changes(o, &vm);
	if (w->json && json_print(stdout, o) < 0)
		return CMD_FAILED;
	if (w->json)
		return CMD_DONE;
	look_print(stdout, o);
	pending_print(stdout, o);
	json_decref(o);
	return fflush(stdout) == 0 ? CMD_DONE : CMD_FAILED;
}

static int status_one(void *ctx, const char *name)
{
	const struct status_wish *w = ctx;
	struct rundir_vm vm;
	bool runs;
	int status = show(w, name, &runs), fd;

	while (w->watch && runs && status == CMD_DONE) {
		fd = rundir_look(name, &vm, &runs) && runs ? call_watch(&vm) : -1;
		if (fd >= 0) {
			(void)call_wait(fd, 1000);
			(void)close(fd);
		}
		if (isatty(STDOUT_FILENO) == 1 && !w->json)
			(void)fputs("\033[H\033[J", stdout);
		status = show(w, name, &runs);
	}
	return status;
}

static int run_status(int argc, char **argv)
{
	struct status_wish w = { 0 };
	const struct opt opts[] = { { .name = "name", .text = &w.name },
				    OPEN_OPTS,
				    { .name = "json", .flag = &w.json },
				    { .name = "watch", .flag = &w.watch },
				    { .name = "ready", .flag = &w.ready } };
	const int n = cmd_options(&verb_status, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_status, n == 0 ? "which VM?" : "one at a time");
	if (w.ready && (w.json || w.watch))
		return cmd_usage(&verb_status, "--ready stands alone");
	open_choose(argv[1], &w.name);
	return targets_names(argv[1], w.name, status_one, &w);
}

/* ---- logs ---- */

static int copy_rest(int fd)
{
	const bool clean = isatty(STDOUT_FILENO) == 1;
	char data[16 * 1024];
	size_t kept = 0, done;
	ssize_t n;

	while ((n = read(fd, data + kept, sizeof(data) - kept)) > 0) {
		const size_t have = kept + (size_t)n;

		done = clean ? text_pass(stdout, data, have, false) : fwrite(data, 1, have, stdout);
		if (ferror(stdout) != 0)
			return -1;
		kept = have - done;
		memmove(data, data + done, kept);
	}
	(void)text_pass(stdout, data, kept, true);
	return n < 0 || fflush(stdout) != 0 ? -1 : 0;
}

/* Until its VM has ended; a file that was begun anew is read from its beginning. */
static int follow(const struct rundir_vm *vm, const char *path, int fd)
{
	struct pollfd p[] = { { .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN },
			      { .fd = call_watch(vm), .events = POLLIN } };
	char events[4096];
	int ret = 0;

	if (p[0].fd >= 0)
		(void)inotify_add_watch(p[0].fd, vm->path, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
	while (ret == 0 && p[1].fd >= 0 && p[1].revents == 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		while (read(p[0].fd, events, sizeof(events)) > 0)
			;
		ret = copy_rest(fd);
		if (ret == 0 && access(path, R_OK) == 0) {
			const int next = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
			struct stat a, b;

			if (next >= 0 && fstat(fd, &a) == 0 && fstat(next, &b) == 0 &&
			    a.st_ino != b.st_ino) {
				(void)dup3(next, fd, O_CLOEXEC);
				ret = copy_rest(fd);
			}
			if (next >= 0)
				(void)close(next);
		}
	}
	for (size_t i = 0; i < 2; i++)
		if (p[i].fd >= 0)
			(void)close(p[i].fd);
	return ret == 0 ? copy_rest(fd) : ret;
}

static int run_logs(int argc, char **argv)
{
	bool tail = false, serial = false, runs;
	const struct opt opts[] = { { .name = "follow", .letter = 'f', .flag = &tail },
				    { .name = "serial", .flag = &serial } };
	const int n = cmd_options(&verb_logs, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	char path[RUNDIR_PATH + 16];
	struct rundir_vm vm;
	int fd, ret;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_logs, n == 0 ? "which VM?" : "one at a time");
	if (!rundir_look(argv[1], &vm, &runs)) {
		text_say(stderr, "sill: no VM named '%s' runs", argv[1]);
		return CMD_FAILED;
	}
	(void)snprintf(path, sizeof(path), "%s/%s.log", vm.path, serial ? "serial" : "vm");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		text_say(stderr, "sill: '%s': %s; only `sill up` writes one", path,
			 strerrordesc_np(errno));
		return CMD_FAILED;
	}
	ret = copy_rest(fd);
	if (ret == 0 && tail && runs)
		ret = follow(&vm, path, fd);
	(void)close(fd);
	return ret == 0 ? CMD_DONE : CMD_FAILED;
}

/* ---- the verbs ---- */

const struct verb verb_ps = {
	.name = "ps",
	.args = "[--json]",
	.summary = "list the VMs that run, and those that have ended by themselves",
	.help = "Of this user. States: starting, running, paused; restarting: it\n"
		"has ended, and is about to be started again (restart); power-off: the guest shut "
		"itself\n"
		"down; stopped: by a signal or its control socket; fault: the guest could not go\n"
		"on, or crashed, and on_crash stopped it; host: the host failed; killed: by\n"
		"`sill kill`; crashed: its process is gone without a word. What has ended is\n"
		"listed until it is started again, or `sill down`.\n"
		"\n"
		"  --json  an array of objects, as of `sill status --json`, with net and debug "
		"null\n",
	.run = run,
};

const struct verb verb_status = {
	.name = "status",
	.args = "[--json] [--watch] [--ready] [--name VM] " OPEN_ARGS " NAME|FILE|DIR",
	.summary = "tell what a VM is at",
	.help = "  --json     an object: name, state (`sill help ps`), pid, uptime_seconds, file,\n"
		"             git_revision, vcpus and memory (present, asked, refused, max; "
		"bytes),\n"
		"             keeper (who starts it again: pid), restarts, last_end (as ended),\n"
		"             devices_asked, net (as `sill net status --json`), ready (as GET "
		"sill.ready\n"
		"             in docs/API.md; null: the manifest names no signs), panics, debug\n"
		"             (kd: port, listen, connect; what to type: windbg, vm, bcdedit; "
		"state:\n"
		"             silent, strange, waiting, attached; connected; guest, debugger: "
		"what\n"
		"             each has sent; post_codes: the last bytes at port 0x80), crash "
		"(when; "
		"by:\n"
		"             bug-check, serial, panic, dump; code, name, parameters, driver: "
		"where "
		"it\n"
		"             was said; look, see, tail: COM1's last words), ended (at, how, why), "
		"log,\n"
		"             directory, changes (as in `sill plan --json`: what its manifest says "
		"by\n"
		"             now, and it is not yet), manifest_error; null is what is not known\n"
		"  --watch    again each second, until it ends\n"
		"  --ready    only whether it runs and all signs have come that `ready` in its\n"
		"             manifest names, for the probe of another program: exit status 0 or "
		"1\n"
		"  --name VM  this one of a file\n" OPEN_HELP "\n"
		"A word that names a VM is that VM; ./WORD is the file, or the directory.\n"
		"\n"
		"exit status: 0 it runs, or has ended (--ready: it is ready); 1 there is no such "
		"VM,\n"
		"or none in the directory (--ready: or it is not ready yet); 2 the manifest is "
		"wrong\n",
	.run = run_status,
};

const struct verb verb_logs = {
	.name = "logs",
	.args = "[-f] [--serial] NAME",
	.summary = "print the log of a VM in the background",
	.help = "  -f        go on until the VM has ended (--follow)\n"
		"  --serial  what the guest has written to the port that would have the terminal\n"
		"\n"
		"On a terminal what it would take for a command is printed as \\xNN.\n",
	.run = run_logs,
};
