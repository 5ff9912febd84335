/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - a VM in this process, from its value to its end: for `sill run`, once, and `sill serve`, again and again.
 *
 *   run_open -> run_once -> run_close, or run_open -> run_begin -> { life_wait, run_once }* -> run_close
 */
#ifndef RUNNER_CMD_RUN_H
#define RUNNER_CMD_RUN_H

#include <stdbool.h>

#include "runner/api/control.h"
#include "runner/host/files.h"
#include "runner/host/logfile.h"
#include "runner/host/rundir.h"
#include "sill/config.h"
#include "sill/error.h"
#include "sill/vm.h"

/* Public struct: what the command line says. All borrowed. */
struct run_wish {
	const char *name;
	const char *log;
	const char *api_socket, *event_monitor;
	const char *gdb;     /* where gdb may come: gdb.h; NULL: nowhere */
	const char *restore; /* a snapshot's directory; NULL: it boots */
	bool verbose;
	bool allow_hollow;
	void (*on_event)(void *ctx, const struct sill_event *event); /* on the main loop; NULL */
	void *event_ctx;
	/* Of the signs that the guest is up (ready.h), on their thread; NULL. */
	void (*on_ready)(void *ctx, uint64_t ms);
	void (*on_late)(void *ctx, const char *sign);
	unsigned tick_ms; /* on_tick is called so often, on the main loop; 0: never */
	void (*on_tick)(void *ctx);
};

/* Public struct: what a process has. */
struct run {
	struct vmfiles files;
	struct logfile log;
	struct rundir dir; /* of who begins; opened already: that name is taken */
	struct control control;
	struct gdb *gdb;         /* owned; NULL: none */
	bool begun;              /* run_begin() was successful */
	struct mfile *mf;        /* borrowed: of `sill run`; NULL: VMs come by the API */
	const struct mdoc *doc;  /* likewise, in mf */
	struct sill_files early; /* owned: what run_early() has opened; empty: nothing */
	struct snapshot
		*restore; /* owned: of `sill run --restore`, until it has begun; NULL: none */
	const struct run_wish *wish; /* borrowed; while there is: */
	struct ready *ready; /* owned: while a VM runs whose manifest has signs for it; NULL */
};

/* /dev/kvm (@kvm: as in kvm_look()), memory: what can be known before a file is opened. 0, or -1 and @e. */
int run_check_host(const struct run_wish *w, const struct sill_config *m, int kvm,
		   struct sill_err *e);
/* @r has what `sill run` has, or nothing; the log is opened. -1: that could not be, and was said. */
int run_open(struct run *r, const struct run_wish *w);
/* Take the name, and listen. 0, or -1 and @e. */
int run_begin(struct run *r, const struct run_wish *w, const char *name, struct sill_err *e);
/*
 * Run a VM whose boot has begun (life.h) until it ends: an exit status (cmd.h), or -1 and @e. With a doc it
 * begins all of it.
 */
int run_once(struct run *r, const struct run_wish *w, const struct sill_config *m,
	     struct sill_err *e);
void run_close(struct run *r);

#endif
