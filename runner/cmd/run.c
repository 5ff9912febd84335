/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - sill run: start a VM and stay until it ends.
 *
 * First everything is looked at and opened, then the first file is created,
 * then the terminal changes; what fails leaves no trace of what comes after it.
 */
#include "runner/cmd/run.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/cmd/ends.h"
#include "runner/cmd/open.h"
#include "runner/cmd/say.h"
#include "runner/debug/crash.h"
#include "runner/debug/windbg.h"
#include "runner/gdb/gdb.h"
#include "runner/host/clock.h"
#include "runner/host/doctor.h"
#include "runner/host/escape.h"
#include "runner/host/facts.h"
#include "runner/host/files.h"
#include "runner/host/logfile.h"
#include "runner/host/rundir.h"
#include "runner/host/signals.h"
#include "runner/host/std.h"
#include "runner/host/tty.h"
#include "runner/host/vars.h"
#include "runner/image/verbs.h"
#include "runner/ready/ready.h"
#include "runner/report/pace.h"
#include "runner/report/text.h"
#include "runner/snapshot/snapshot.h"

int run_check_host(const struct run_wish *w, const struct sill_config *m, int kvm,
		   struct sill_err *e)
{
	struct kvm_look k;

	kvm_look(&k, kvm);
	if (k.state == KVM_ABSENT || (k.state == KVM_HOLLOW && !w->allow_hollow)) {
		*e = k.e;
		return -1;
	}
	if (k.state == KVM_HOLLOW)
		(void)fprintf(stderr, "sill: warning: %s\n", k.e.msg);
	if (m->cpus.kvm_hyperv && !k.hyperv) {
		(void)sill_err_set(
			e, SILL_ERR_HOST,
			"cpus.kvm_hyperv is on, but this KVM has no Hyper-V enlightenments");
		return sill_err_hint(e, "a kernel with CONFIG_KVM_HYPERV=y has them, or set "
					"cpus.kvm_hyperv: off");
	}
	return host_memory_check(m, e);
}

static bool wants_terminal(const struct sill_config *m)
{
	return sill_port_on_tty(m) != SILL_PORTS;
}

/* The keys after Ctrl-A: for `help run`, and for Ctrl-A h, where the terminal is raw. */
/* clang-format off */
#define ESCAPES(row) \
	row("x", "quit: stop the VM at once") \
	row("p", "press the power button: the guest shuts down, if it listens") \
	row("r", "press the reset button: the guest starts anew, without asking") \
	row("c", "continue: go on after an error of the host has paused the VM") \
	row("n", "send an NMI: a Windows that hangs writes its crash dump") \
	row("b", "send a break on the serial port") \
	row("h", "this help") \
	row("Ctrl-A", "send Ctrl-A to the guest")
/* clang-format on */
#define ESCAPE_IN_HELP(key, text) "  Ctrl-A " key "  " text "\n"
#define ESCAPE_IN_RAW(key, text)  "Ctrl-A " key "  " text "\r\n"

/* The key after Ctrl-A, on the VM's main loop. */
static bool on_escape(void *ctx, int key)
{
	struct sill_vm *vm = ctx;

	switch (key) {
	case 'x':
		sill_vm_stop(vm);
		return true;
	case 'p':
		say("%s", sill_vm_power_button(vm) == 0
				  ? "power button pressed"
				  : "the guest does not listen to the power button; "
				    "Ctrl-A x stops it");
		return true;
	case 'r':
		say("reset button pressed");
		sill_vm_reset(vm);
		return true;
	case 'c':
		sill_vm_ask_resume(vm);
		return true;
	case 'n':
		sill_vm_nmi(vm);
		say("NMI sent");
		return true;
	case 'b':
		sill_vm_serial_break(vm);
		return true;
	case 'h':
	case '?':
		if (std_error_ready())
			(void)fputs("\r\n" ESCAPES(ESCAPE_IN_RAW), stderr);
		return true;
	default:
		return false;
	}
}

static const struct sill_disk_config *find_disk(const struct sill_config *m, const char *id)
{
	for (unsigned i = 0; i < m->disk_count; i++) {
		if (strcmp(m->disk[i].id, id) == 0)
			return &m->disk[i];
	}
	return NULL;
}

/* What a person can do about it. */
static const char *advice(const struct sill_config *m, const struct sill_event *event)
{
	const struct sill_disk_config *d = find_disk(m, event->id);

	if (event->sys != ENOSPC && event->sys != EDQUOT)
		return "see to the host's storage, then go on";
	if (d != NULL && d->ephemeral_limit != 0)
		return "the throw-away layer is full, and has no more room before the next start "
		       "(ephemeral_limit); try again";
	return "make room on the host, then go on";
}

/* Who is told. */
struct heard {
	const struct sill_config *m;
	struct life *life;
	const struct run_wish *w;
	struct ready *ready; /* NULL: nobody looks */
	struct gdb *gdb;
	struct crash_ear crash; /* with the VM */
};

/* Stopped by nobody but on_crash: its guest's fault, as if it could not go on. */
static bool ends_by_crash(const struct heard *heard)
{
	return heard->crash.stops && signals_stopped_by() == 0;
}

/* What happened to the VM, on its main loop. The terminal may be in raw mode. */
static void on_event(void *ctx, const struct sill_event *event)
{
	struct heard *heard = ctx;
	struct sill_event fault = *event;
	const struct sill_config *m = heard->m;
	static struct pace pace; /* a script may let it go on again and again */
	struct sill_err e = { 0 };
	unsigned dropped;

	if (!crash_hear(&heard->crash, event))
		return;
	if (event->kind == SILL_EVENT_ENDING && strcmp(event->what, "stopped") == 0 &&
	    ends_by_crash(heard)) {
		fault.what = "fault";
		event = &fault;
	}
	life_event(heard->life, event);
	if (event->kind == SILL_EVENT_RESET && heard->ready != NULL)
		ready_again(heard->ready);
	if (event->kind == SILL_EVENT_RUNNING && gdb_start(heard->gdb, heard->crash.vm, &e) < 0)
		say("%s", e.msg);
	if (heard->w->on_event != NULL)
		heard->w->on_event(heard->w->event_ctx, event);
	if (event->kind != SILL_EVENT_DISK || !pace_allows(&pace, clock_ms(), &dropped))
		return;
	say("'%s' is paused: %s: %s failed: %s", m->name, event->id, event->what,
	    strerrordesc_np(event->sys));
	say_hint("%s with %skill -CONT %d", advice(m, event),
		 wants_terminal(m) && tty_is_there() ? "Ctrl-A c, or " : "", (int)getpid());
	if (dropped > 0)
		say("it was paused %u times more, of which nothing was said", dropped);
}

/* Without a terminal the guest still has standard input and output, as they are. */
static int take_terminal(struct sill_vm *vm, const struct sill_config *m, struct escape *keys,
			 struct sill_err *e)
{
	const enum sill_port port = sill_port_on_tty(m);
	const char *who;

	if (port == SILL_PORTS)
		return 0;
	who = sill_port_name(port);
	if (!tty_is_there()) {
		(void)fprintf(stderr,
			      "sill: %s: standard input is not a terminal: it is passed on as it "
			      "is, without the keys of Ctrl-A\n",
			      who);
		return 0;
	}
	if (!tty_in_foreground())
		(void)fprintf(stderr,
			      "sill: %s: in the background: keys go to the guest once this job is "
			      "in the foreground\n",
			      who);
	*keys = (struct escape){ .fn = on_escape, .ctx = vm };
	sill_vm_set_keys(vm, escape_keys, keys);
	return tty_enter(e);
}

/* Somebody who sees nothing for so long thinks that it hangs; firmware's first line takes a few seconds. */
enum { SILENCE_MS = 20000 };

struct silence {
	struct sill_vm *vm;
	const struct sill_config *m;
};

static void say_silence(void *ctx)
{
	const struct silence *s = ctx;

	if (sill_vm_output(s->vm) > 0)
		return;
	say("'%s' runs, and has written nothing for %d s", s->m->name, SILENCE_MS / 1000);
	say("hint: %s", s->m->kernel != NULL
				? "a kernel writes to this port with 'console=ttyS0' in cmdline"
				: "OVMF writes within seconds; another build, or a disk without a "
				  "system, may stay "
				  "silent: firmware.code, disk");
}

/* Does the guest have a port whose far end somebody may look at? */
static bool is_listened_to(const struct sill_config *m)
{
	return m->serial.mode != SILL_CHAR_OFF && m->serial.mode != SILL_CHAR_NULL;
}

static void say_of_net(const char *id, const char *what)
{
	say("%s: %s", id, what);
}

static void say_ready(void *ctx, uint64_t ms)
{
	const struct run *r = ctx;

	say("'%s' is ready after %.1f s", r->files.m->name, (double)ms / 1000);
	if (r->wish->on_ready != NULL)
		r->wish->on_ready(r->wish->event_ctx, ms);
}

static void say_late(void *ctx, const char *sign)
{
	const struct run *r = ctx;

	say("'%s' is not ready in its time: %s", r->files.m->name, sign);
	if (r->wish->on_late != NULL)
		r->wish->on_late(r->wish->event_ctx, sign);
}

static int begin_ready(struct run *r, const struct run_wish *w, const struct sill_config *m,
		       struct sill_err *e)
{
	const struct ready_wish signs = { r->control.api.events, say_ready, say_late, r };

	r->wish = w;
	r->ready = ready_start(m, &signs, e);
	life_set_ready(r->control.api.life, r->ready);
	return r->ready != NULL ? 0 : -1;
}

/* The ports of the host end with the VM, not with what is done after it. */
static enum sill_vm_end run_forwarded(struct run *r, struct sill_vm *vm, struct sill_err *e)
{
	struct vmfiles *f = &r->files;
	enum sill_vm_end end;

	if (cables_start(&f->cables, vm, say_of_net, e) < 0)
		end = SILL_END_HOST; /* those that have started use the VM */
	else
		end = sill_vm_run(vm, e);
	gdb_stop(r->gdb);
	cables_stop(&f->cables);
	return end;
}

static void tell_ends(const struct vmfiles *f, struct life *life)
{
	struct vmconfig_ends ends;

	for (unsigned p = 0; p < SILL_PORTS; p++)
		(void)snprintf(ends.pty[p], sizeof(ends.pty[p]), "%s", f->port[p].pty);
	life_set_ends(life, &ends);
}

/* Run a VM that stands ready, with the terminal in raw mode if it has it. */
static int run_created(struct run *r, const struct run_wish *w, struct sill_vm *vm,
		       struct sill_err *e)
{
	struct life *life = r->control.api.life;
	const struct sill_config *m = sill_vm_config(vm);
	struct silence silence = { vm, m };
	struct heard heard = { .m = m, .life = life, .w = w, .gdb = r->gdb };
	struct escape keys;
	enum sill_vm_end end;

	if (begin_ready(r, w, m, e) < 0)
		return -1;
	heard.ready = r->ready;
	if (w->tick_ms > 0)
		sill_vm_set_tick(vm, w->tick_ms, w->on_tick, w->event_ctx);
	if (is_listened_to(m))
		signals_set_once(SILENCE_MS, say_silence, &silence);
	crash_begin(&heard.crash, vm, &r->dir, say_of_net);
	sill_vm_set_event(vm, on_event, &heard);
	tell_ends(&r->files, life);
	life_set_cables(life, &r->files.cables);
	life_up(life, vm);
	if (take_terminal(vm, m, &keys, e) < 0 ||
	    signals_start(vm, m->console.mode == SILL_CHAR_TTY, e) < 0)
		return -1;
	end = run_forwarded(r, vm, e);
	tty_leave();
	signals_stop();
	if (end == SILL_END_STOPPED && ends_by_crash(&heard))
		end = crash_ends(&heard.crash, e);
	switch (end) {
	case SILL_END_POWER_OFF:
		return CMD_DONE;
	case SILL_END_STOPPED:
		if (signals_stopped_by() != 0)
			(void)fprintf(stderr, "sill: '%s' was stopped by SIG%s\n", m->name,
				      sigabbrev_np(signals_stopped_by()));
		return CMD_DONE;
	case SILL_END_FAULT:
	case SILL_END_HOST:
		(void)cmd_error(e);
		return end == SILL_END_FAULT ? CMD_GUEST : CMD_HOST;
	}
	return CMD_FAILED;
}

/* The log is not an image, which it would be written to the end of. */
static int begin_log(const struct run_wish *w, struct logfile *log, struct sill_err *e)
{
	if (logfile_begin(log, w->log, e) < 0)
		return -1;
	signals_set_chore(logfile_grows(log) ? logfile_look : NULL, log);
	return 0;
}

/* From what the manifest says and what was found on the host. */
static struct sill_vm *create(struct run *r, const struct sill_config *m, struct sill_files *files,
			      struct sill_err *e)
{
	struct vmfiles *f = &r->files;
	struct sill_config own;
	struct sill_vm *vm = NULL;

	if (sill_config_copy(&own, m, e) < 0)
		return NULL;
	own.memory.prefault |= life_restore(r->control.api.life).prefault;
	if (vmfiles_settle(f, &own, e) == 0 && vmfiles_give(f, files, e) == 0)
		vm = sill_vm_create(&own, files, e);
	sill_config_free(&own);
	return vm;
}

/* Without its directory a VM runs as well; without its name it does not. */
static int take_name(struct rundir *d, const char *name, struct sill_err *e)
{
	struct sill_err why = { 0 };

	if (rundir_open(d, name, &why) == 0)
		return 0;
	if (why.code == SILL_ERR_STATE) {
		*e = why;
		e->code = SILL_ERR_HOST;
		return -1;
	}
	(void)fprintf(stderr,
		      "sill: warning: no runtime directory, other commands do not find '%s': %s\n",
		      name, why.msg);
	return 0;
}

static void tell_manifest(const struct rundir *d, const struct sill_vm *vm)
{
	struct sill_err e = { 0 };

	if (d->there && rundir_write_manifest(d, sill_vm_config(vm), &e) < 0)
		(void)fprintf(stderr, "sill: warning: %s\n", e.msg);
}

/* All that comes before the first VM: a log that is written to, the name, the control API. */
static int begin(struct run *r, const struct run_wish *w, const char *name, struct sill_err *e)
{
	const struct life_restore from = { .from = r->restore, .resume = true };
	const char *own = r->doc != NULL ? r->doc->m->api.socket : NULL;
	const struct control_wish cw = { .socket = w->api_socket != NULL ? w->api_socket : own,
					 .monitor = w->event_monitor,
					 .name = name,
					 .again = r->doc == NULL };

	/* Blocked before anything is created, so that nothing is left behind by a signal. */
	if (begin_log(w, &r->log, e) < 0 || signals_block(e) < 0 ||
	    (!r->dir.there && take_name(&r->dir, name, e) < 0) ||
	    control_open(&r->control, &cw, &r->dir, e) < 0)
		return -1;
	r->begun = true;
	if (r->doc != NULL) {
		life_set_restore(r->control.api.life, &from);
		r->restore = NULL;
		life_begin(r->control.api.life, r->mf, r->doc);
	}
	return 0;
}

/* With the locks of the images held, and before one of them is written to. */
static int check_images(struct run *r, const struct sill_config *m, struct sill_err *e)
{
	const struct snapshot *s = life_restore(r->control.api.life).from;

	return s != NULL ? snapshot_check_disks(s, m, e) : 0;
}

/* Where it is to go on, instead of a boot. */
static int restore(struct run *r, struct sill_vm *vm, struct sill_err *e)
{
	const struct life_restore from = life_restore(r->control.api.life);

	if (from.from == NULL)
		return 0;
	events_add(r->control.api.events, "vm", "restoring", NULL);
	if (snapshot_load(from.from, vm, e) < 0)
		return -1;
	events_add(r->control.api.events, "vm", "restored", NULL);
	if (from.resume)
		sill_vm_ask_resume(vm);
	return 0;
}

/* What its end has written to images is no change of theirs. */
static void renew_snapshot(struct life *life, const struct sill_config *m)
{
	const char *dir = life_written(life);
	struct sill_err e = { 0 };

	if (dir != NULL && snapshot_renew(dir, m, &e) < 0)
		(void)fprintf(stderr, "sill: warning: the snapshot '%s': %s\n", dir, e.msg);
}

/* KVM makes the VM while the files are opened; with `sill run`, since the program began. */
static struct sill_vm *open_all(struct run *r, const struct run_wish *w,
				const struct sill_config *m, struct sill_err *e)
{
	struct sill_files files = r->early;
	struct sill_vm *vm = NULL;

	sill_files_init(&r->early);
	open_kvm = -1;
	if (files.count > 0 || host_give(&files, e) == 0) {
		sill_vm_begin(&files);
		if (vmfiles_open(&r->files, e) == 0 && (r->begun || begin(r, w, m->name, e) == 0) &&
		    gdb_open(&r->gdb, w->gdb != NULL ? w->gdb : m->debug.gdb, e) == 0 &&
		    check_images(r, m, e) == 0 && vmfiles_create(&r->files, e) == 0) {
			ends_print(&r->files);
			vm = create(r, m, &files, e);
		}
		if (vm != NULL) {
			windbg_print(stdout, m, windbg_slot(vm));
			(void)fflush(stdout);
		}
		if (vm != NULL && restore(r, vm, e) < 0) {
			sill_vm_destroy(vm);
			vm = NULL;
		}
	}
	sill_files_close(&files);
	return vm;
}

static int run_files(struct run *r, const struct run_wish *w, const struct sill_config *m,
		     struct sill_err *e)
{
	struct sill_vm *vm = open_all(r, w, m, e);
	struct sill_err unused = { 0 };
	struct sill_config last;
	bool known;
	int ret;

	if (vm == NULL)
		return -1;
	tell_manifest(&r->dir, vm);
	ret = run_created(r, w, vm, e);
	tty_leave();
	signals_stop();
	life_let_go(r->control.api.life);
	ready_stop(r->ready);
	r->ready = NULL;
	known = sill_vm_config_now(vm, &last, &unused) == 0;
	sill_vm_destroy(vm);
	if (known) {
		renew_snapshot(r->control.api.life, &last);
		sill_config_free(&last);
	}
	return ret;
}

static int open_log(const struct run_wish *w, struct logfile *log)
{
	if (w->log == NULL || logfile_open(log, w->log) == 0)
		return 0;
	text_say(stderr, "sill: cannot write the log '%s': %s", w->log, strerrordesc_np(errno));
	return -1;
}

/* 0 or an exit status from 1; *ret_doc is the one to run. */
static int choose(const struct mfile *mf, const struct run_wish *w, const char *path,
		  const struct mdoc **ret_doc)
{
	if (w->name != NULL || mf->count == 1) {
		*ret_doc = w->name != NULL ? mfile_find(mf, w->name) : &mf->docs[0];
		return CMD_DONE;
	}
	text_say(stderr, "sill: '%s' has %zu VMs", path, mf->count);
	(void)fputs("   hint: choose with --name, or FILE#NAME:", stderr);
	for (size_t i = 0; i < mf->count; i++)
		(void)fprintf(stderr, " %s", mf->docs[i].m->name);
	(void)fputc('\n', stderr);
	return CMD_FAILED;
}

/* What would be a silence that nobody understands. */
static void warn(const struct sill_config *m)
{
	struct sill_err unused = { 0 };

	for (unsigned i = 0; i < m->disk_count; i++)
		if (m->disk[i].format == SILL_DISK_RAW && m->disk[i].format_check)
			(void)image_check_raw(m->disk[i].path, true, &unused);
	if (m->firmware.code != NULL && vars_leads_to_smm(m->firmware.code))
		(void)fprintf(
			stderr,
			"sill: warning: the firmware of '%s' is built for system management "
			"mode,\n      which this machine has not: it stops before its first line "
			"of output\n   hint: code: /usr/share/OVMF/OVMF_CODE_4M.fd\n",
			m->name);
}

int run_open(struct run *r, const struct run_wish *w)
{
	if (open_log(w, &r->log) < 0)
		return -1;
	sill_log_to(r->log.f, w->verbose ? 3 : 2);
	vmfiles_raise_limit();
	return 0;
}

int run_begin(struct run *r, const struct run_wish *w, const char *name, struct sill_err *e)
{
	return begin(r, w, name, e);
}

int run_once(struct run *r, const struct run_wish *w, const struct sill_config *m,
	     struct sill_err *e)
{
	int ret;

	vmfiles_init(&r->files, m);
	if (r->begun)
		r->files.lent_count = life_lent(r->control.api.life, &r->files.lent);
	ret = r->begun ? run_check_host(w, m, -1, e) : 0;
	if (ret == 0)
		ret = run_files(r, w, m, e);
	gdb_close(&r->gdb);
	vmfiles_fini(&r->files);
	if (r->begun)
		life_down(r->control.api.life, ret < 0 ? e : NULL);
	return ret;
}

void run_close(struct run *r)
{
	control_close(&r->control);
	rundir_close(&r->dir);
	sill_log_to(NULL, 2);
	logfile_close(&r->log);
}

static int run_manifest(struct run *r, const struct run_wish *w)
{
	struct sill_err e = { 0 };
	int ret = CMD_FAILED;

	if (run_check_host(w, r->doc->m, open_kvm, &e) < 0)
		return cmd_error(&e);
	if (run_open(r, w) == 0) {
		ret = run_once(r, w, r->doc->m, &e);
		run_close(r);
	}
	return ret < 0 ? cmd_error(&e) : ret;
}

static int run_file(struct run *r, const struct run_wish *w, const char *path)
{
	struct mfile *mf;
	int ret = cmd_open(path, w->name, true, &mf);

	if (ret != CMD_DONE)
		return ret;
	ret = choose(mf, w, path, &r->doc);
	if (ret == CMD_DONE) {
		r->mf = mf;
		warn(r->doc->m);
		ret = run_manifest(r, w);
	}
	mfile_destroy(mf);
	return ret;
}

static int run_restore(struct run *r, const struct run_wish *w)
{
	struct sill_err e = { 0 };
	char path[PATH_MAX];
	const char *text;
	struct mfile *mf;
	size_t size;
	int ret;

	r->restore = snapshot_open(w->restore, &e);
	if (r->restore == NULL)
		return cmd_error(&e);
	text = snapshot_config(r->restore, &size);
	(void)snprintf(path, sizeof(path), "%s/config.json", w->restore);
	ret = cmd_open_text(path, text, size, &mf);
	if (ret != CMD_DONE)
		return ret;
	r->mf = mf;
	r->doc = &mf->docs[0];
	ret = run_manifest(r, w);
	mfile_destroy(mf);
	return ret;
}

/* KVM makes a VM while the manifest is read; whether there is one to make is for run_check_host() to say. */
static int run_early(const struct run_wish *w, const char *path)
{
	struct run r = { 0 };
	struct sill_err unused = { 0 };
	int ret;

	if (host_give(&r.early, &unused) == 0) {
		open_kvm = sill_files_find(&r.early, SILL_FILE_KVM, NULL, 0)->fd;
		sill_vm_begin(&r.early);
	} else {
		sill_files_close(&r.early);
	}
	ret = w->restore != NULL ? run_restore(&r, w) : run_file(&r, w, path);
	/* What it did not get to. */
	snapshot_close(r.restore);
	sill_files_close(&r.early);
	return ret;
}

static int run(int argc, char **argv)
{
	struct run_wish w = { 0 };
	const struct opt opts[] = {
		{ .name = "name", .text = &w.name },
		{ .name = "log", .text = &w.log },
		{ .name = "api-socket", .text = &w.api_socket },
		{ .name = "event-monitor", .text = &w.event_monitor },
		OPEN_OPTS,
		{ .name = "gdb", .text = &w.gdb },
		{ .name = "restore", .text = &w.restore },
		{ .name = "verbose", .letter = 'v', .flag = &w.verbose },
		{ .name = "allow-hollow-kvm", .flag = &w.allow_hollow },
	};
	int n = cmd_options(&verb_run, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (w.restore != NULL &&
	    (n != 0 || w.name != NULL || open_sets.count + open_var_files.count > 0))
		return cmd_usage(&verb_run, "with --restore the VM comes from the snapshot");
	if (w.restore == NULL && n != 1)
		return cmd_usage(&verb_run, n == 0 ? "which file?" : "one VM per process");
	/* A VM's threads allocate at its start alone: a heap for each would cost time and memory. */
	(void)mallopt(M_ARENA_MAX, 1);
	if (w.restore == NULL)
		open_choose(argv[1], &w.name);
	return run_early(&w, argv[1]);
}

const struct verb verb_run = {
	.name = "run",
	.args = "[--name VM] " OPEN_ARGS " [--api-socket PATH] [--gdb PATH|[ADDRESS:]PORT] [--log "
		"FILE] [-v] FILE | --restore DIR",
	.summary = "start a VM and stay until it ends",
	.help = "The manifest is validated first; nothing is created before all that can be "
		"checked\n"
		"has been. Guest restarts happen inside: the process stays.\n"
		"\n"
		"  --name VM    which one, when the file has several\n" OPEN_HELP
		"  --log FILE   append the log to FILE instead of standard error; with 16 MiB it "
		"becomes\n"
		"               FILE.1, and a new one begins\n"
		"  --api-socket PATH\n"
		"               the control API listens there too, besides api.sock in the "
		"runtime\n"
		"               directory; fd=N: a socket that listens already (docs/API.md)\n"
		"  --event-monitor path=FILE|fd=N\n"
		"               what happens to the VM, as JSON objects\n"
		"  --gdb PATH|[ADDRESS:]PORT\n"
		"               gdb may come there (`target remote`), and stops the guest; at the\n"
		"               loopback address, unless another is written: docs/DEBUG.md\n"
		"  --restore DIR\n"
		"               go on from a snapshot (`sill ctl NAME snapshot DIR`), in the place "
		"of\n"
		"               FILE; disks must be as they were then\n"
		"  -v           log more (--verbose)\n"
		"  --allow-hollow-kvm\n"
		"               start on a KVM without hardware virtualization behind it; only "
		"guests\n"
		"               made for that get anywhere (`sill doctor` tells)\n"
		"\n"
		"On the terminal\n"
	/* clang-format off */
		ESCAPES(ESCAPE_IN_HELP)
	/* clang-format on */
	"\n"
	"While it runs, it has a directory for other commands, with its pid and its effective\n"
	"manifest: /run/sill/NAME for root, $XDG_RUNTIME_DIR/sill/NAME for a user (without that\n"
	"variable /run/user/UID/sill, or /tmp/sill-UID), $SILL_RUNTIME_DIR/NAME if that is set.\n"
	"Two VMs of one name cannot run at once. Where there can be none, a line says so, and\n"
	"the VM runs all the same.\n"
	"\n"
	"SIGTERM, SIGINT and SIGHUP stop the VM. A VM that an error of the host has paused\n"
	"(disk.on_error) goes on with SIGCONT.\n"
	"\n"
	"exit status\n"
	"  0  the guest powered off, or was stopped on request\n"
	"  1  wrong usage\n"
	"  2  the manifest is wrong; nothing was started\n"
	"  3  the host lacks something or failed\n"
	"  4  the guest cannot go on; a register dump is in the log\n",
	.run = run,
};
