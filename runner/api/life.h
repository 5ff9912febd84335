/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.h - the VM that the control API is about: none, created, booting, running, ending.
 *
 *   none --vm.create--> created --vm.boot--> booting --> running --> ending --> created
 *                          `--vm.delete--> none                          `--> the process ends
 *
 * One thread, the program's first, makes and runs VMs (life_wait(), life_up(), life_let_go(), life_down()); any other may ask. Who
 * asks something of the engine holds the VM meanwhile (life_hold()), and it is not destroyed before all have let go.
 */
#ifndef RUNNER_API_LIFE_H
#define RUNNER_API_LIFE_H

#include <jansson.h>
#include <stdbool.h>

#include "runner/api/vmconfig.h"
#include "runner/host/files.h"
#include "runner/manifest/manifest.h"
#include "sill/error.h"
#include "sill/vm.h"

enum life_state { LIFE_NONE, LIFE_CREATED, LIFE_BOOTING, LIFE_RUNNING, LIFE_ENDING };

struct events;
struct life;

/* @ev is borrowed, and @name, that of VMs to be created. @again: a VM may be created, and be booted more than once. NULL: no memory. */
struct life *life_create(struct events *ev, const char *name, bool again);
void life_destroy(struct life *l);

/* ---- the program's first thread ---- */

/* What `sill run` begins with: it boots. @mf is borrowed until the end. */
void life_begin(struct life *l, struct mfile *mf, const struct mdoc *doc);
/*
 * Wait until somebody wants to boot: true and the value, borrowed until life_down(); or false: the process is
 * to end. @signal_fd: a descriptor of which a signal that ends can be read; it ends the wait; -1: none.
 */
bool life_wait(struct life *l, int signal_fd, const struct sill_config **ret_m);
/* The VM is there, and is about to run. */
void life_up(struct life *l, struct sill_vm *vm);
/* What the engine tells, on its main loop. */
void life_event(struct life *l, const struct sill_event *event);
/* It has ended: nobody uses it when this returns, and it may be destroyed. */
void life_let_go(struct life *l);
/* All that it had is given back; or it could not be made (@e, else NULL). Who waits for the end is answered. */
void life_down(struct life *l, const struct sill_err *e);
/* The guest's own end is not the process's. */
void life_set_stay(struct life *l, bool stay);
/* The ports' far ends; copied. */
void life_set_ends(struct life *l, const struct vmconfig_ends *ends);
/* Has the guest ended by itself, or was the process asked to end? */
bool life_is_over(struct life *l);

/* ---- any thread ---- */

enum life_state life_state(struct life *l);
const char *life_name(const struct life *l);
void life_ends(struct life *l, struct vmconfig_ends *ret);
/* The groups of vm.create (vmconfig_groups()) until the VM is forgotten; takes them. A copy that the caller owns; NULL: none. */
void life_set_groups(struct life *l, json_t *take);
json_t *life_groups(struct life *l);
/* Takes @mf, which has one document; also on failure. SILL_ERR_STATE. */
int life_set(struct life *l, struct mfile *take_mf, struct sill_err *e);
/*
 * So many vCPUs at the next boot, 1 to cpus.max; all else stays as it was said. No more than that is done: a guest of
 * one host CPU waits meanwhile for the vCPU that it was told of. SILL_ERR_STATE, SILL_ERR_LIMIT.
 */
int life_set_vcpus(struct life *l, unsigned boot, struct sill_err *e);
/* Forget it; what runs is stopped first. */
int life_forget(struct life *l, struct sill_err *e);
/* Wait until it runs, or cannot. */
int life_boot(struct life *l, struct sill_err *e);
/* Wait until it has ended; it may boot again. */
int life_shutdown(struct life *l, struct sill_err *e);
/* The process is to end: whatever runs is stopped. */
void life_quit(struct life *l);

/* Copies of a tap's descriptors are kept for the card @id, for each boot; in place of older ones. 0, or -1 and @e. */
int life_lend(struct life *l, const char *id, const int *fds, unsigned n, struct sill_err *e);
void life_lend_no_more(struct life *l, const char *id);
/* For the program's first thread while a VM boots, or who holds the lock of devices. Returns how many. */
unsigned life_lent(struct life *l, const struct lent_tap **ret);

struct snapshot;
/* Public struct: the snapshot that a boot goes on from. */
struct life_restore {
	struct snapshot *from; /* NULL: a boot like any other */
	bool resume;           /* else it is paused */
	bool prefault;         /* it has its memory at once, whatever the value says */
};
/* Of the next boot, whose value is the snapshot's. Takes from. */
void life_set_restore(struct life *l, const struct life_restore *take_r);
/* from is borrowed until the VM is down. */
struct life_restore life_restore(struct life *l);
/* A snapshot was written into @dir, of a VM that is frozen: until it runs again, or has other disks, it is what
 * there is. NULL: none. */
void life_set_written(struct life *l, const char *dir);
/* After the end; NULL: none, or it has run since. */
const char *life_written(struct life *l);
/* What is made of the VM just now, "a snapshot is written": static; NULL: nothing. */
void life_set_writes(struct life *l, const char *what);
const char *life_writes(struct life *l);
/* What a vsock device that came later has; takes it, and gives up the one before, whose device has gone. */
struct hot;
void life_keep_vsock(struct life *l, struct hot *take);
/* What its cards are connected to, borrowed until life_let_go(); for who holds the VM. NULL: it has not begun. */
void life_set_cables(struct life *l, struct cables *cs);
struct cables *life_cables(struct life *l);
/* Likewise, the signs that its guest is up. NULL: its manifest names none. */
struct ready;
void life_set_ready(struct life *l, struct ready *r);
struct ready *life_ready(struct life *l);
/* The VM that runs, until life_release(). NULL: none does. */
struct sill_vm *life_hold(struct life *l);
void life_release(struct life *l);
/* A copy of the value: what runs now, or what would boot. SILL_ERR_STATE: there is none. */
int life_value(struct life *l, struct sill_config *ret, struct sill_err *e);
/* The same of what was said last: as a boot now would begin, with nothing of `auto` found out. */
int life_said(struct life *l, struct sill_config *ret, struct sill_err *e);
/* The manifest, with defaults; the caller owns it. NULL: there is none, or no memory. */
json_t *life_manifest(struct life *l);

#endif
