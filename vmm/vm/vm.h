/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.h - what the files of vm/ share: a VM's inside. vm.c is its life, on the main
 * loop; ask.c what other threads may want of it; save.c its state as bytes; order.c
 * and value.c devices that come and go;
 * debug.c a debugger.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "core/loop.h"
#include "machine/machine.h"
#include "sill/vm.h"
#include "vm/vcpu.h"

enum request {
	REQ_RESET = 1 << 0,
	REQ_OFF = 1 << 1,    /* the guest's power-off */
	REQ_STOP = 1 << 2,   /* ours */
	REQ_BROKEN = 1 << 3, /* a vCPU cannot go on */
	REQ_PAUSE = 1 << 4,
	REQ_RESUME = 1 << 5,
	REQ_NMI = 1 << 6,
	REQ_GENERATION = 1 << 7,
	REQ_SAVE = 1 << 8,
	REQ_LET_GO = 1 << 9,  /* an unplugged device has come to rest */
	REQ_ANSWER = 1 << 10, /* the guest has answered a device of hotplug */
	REQ_ORDER = 1 << 11,  /* an order waits until all vCPUs are parked */
	REQ_TRAP =
		1 << 12, /* a vCPU has come to a debugger's point, or the debugger wants a stop */
};

enum vm_state {
	VM_NEW,
	VM_RUNNING,
	VM_PARKING,
	VM_RESETTING,
	VM_PAUSING, /* the vCPUs stand, devices come to rest */
	VM_PAUSED,  /* drained */
	VM_ENDING,
	VM_STATES
};

/* The first request the host failed since the machine was paused for one. */
struct stall {
	bool pending;
	char id[64];
	const char *what; /* a literal */
	int err;
};

/* What sill_vm_save() or sill_vm_freeze() waits for. */
struct vm_save {
	enum sill_picture what;
	bool freeze;
	struct buf out;
	struct sill_err err;
	int ret;
	bool done; /* with the VM's mutex */
};

/* What another thread wants done on the main loop; on its stack, in what more is needed. */
struct order {
	int (*fn)(struct sill_vm *vm, struct order *o);
	bool parked; /* only while all vCPUs are */
	struct sill_err *e;
	int ret;
	bool done; /* with the VM's mutex */
};

struct sill_vm {
	struct sill_config config; /* owned; what it was made from */
	struct machine machine;
	struct board *board; /* owned */
	struct loop *loop;   /* owned */
	struct vcpu_gate gate;
	struct vcpu *vcpus; /* owned, room for cpus.max */
	unsigned
		vcpu_count; /* so many have been made, in the order of their index: KVM keeps them */
	unsigned refused_vcpus; /* main loop only: what was told last */
	struct wish cpus_wish;
	struct vm_memory *memory; /* owned; main loop only: memory.c */
	struct vm_vmem
		*vmem; /* owned, constant while it runs; NULL: memory comes in pieces: vmem.c */
	struct vm_debug *debug; /* owned; main loop only: debug.c; NULL: there never was one */
	struct arch_cpus *cpus; /* owned: what each of them is made from */
	int wake_fd;            /* owned eventfd */
	struct loop_fd wake;
	unsigned requests; /* atomic, enum request */
	enum cause why;    /* atomic: of the last reset or power-off */
	const char *who;   /* atomic: of CAUSE_DEVICE; a literal */
	unsigned broken_vcpu;

	enum vm_state state;           /* main loop only */
	bool pausing;                  /* main loop only: PAUSING is where a reset returns to */
	bool quiet;                    /* main loop only: nobody was told of the pause */
	struct loop_timer press_again; /* the power button's second press */
	struct loop_task arm_press;    /* sets the timer */
	struct loop_timer slow;        /* the state takes long to get out of */
	bool machine_ready, gate_ready;
	enum sill_vm_end end;
	struct sill_err end_err;
	unsigned triple_faults;
	bool listens;     /* atomic: the guest has begun to; until it is seen to */
	unsigned crashed; /* atomic: 1: the guest has, 2: and writes a dump; until it is told */
	bool bug_told; /* since the last reset: a guest can write its registers as often as it likes */
	bool text_told, text_waits;  /* main loop only: of what it wrote to a serial port */
	struct loop_timer text_wait; /* more of it may come */
	struct log_bucket resets, pauses,
		stalls;      /* a guest can cause either as often as it likes */
	uint64_t started_ns; /* of the last boot */
	struct arch_clock clock_at_pause;
	uint64_t press_ns;   /* atomic: when to press again, in guest time; 0: not */
	sill_event_fn event; /* constant while it runs, and so are the keys */
	void *event_ctx;
	sill_keys_fn keys;
	void *keys_ctx;
	struct loop_timer tick; /* somebody's, every tick_ms; 0: nobody's */
	unsigned tick_ms;       /* constant while it runs, and so are these */
	void (*tick_fn)(void *ctx);
	void *tick_ctx;

	pthread_mutex_t callers; /* one pause, resume or order at a time; taken before mutex */
	pthread_mutex_t mutex;   /* a leaf: the fields below */
	pthread_cond_t changed;
	struct sill_crash bug; /* what the guest has said, not told yet if has_bug */
	bool has_bug;
	struct sill_crash text; /* likewise, of what it wrote to a serial port */
	bool has_text, text_whole;
	enum vm_state seen;
	bool seen_pausing;
	unsigned resumes; /* how often it was */
	bool running;     /* inside sill_vm_run() */
	bool frozen;      /* the main loop sets it: paused, and nothing but an end changes that */
	bool held;        /* likewise: paused by a debugger, which has been told */
	struct stall stall;
	struct vm_save *save;     /* borrowed from the thread that waits for it; NULL: none */
	struct sill_config value; /* owned; what it runs. Only the main loop changes it */
	struct order *order;      /* borrowed, until the main loop takes it; NULL: none */
	uint64_t gone;            /* how often devices were let go */
	uint8_t generation[16];   /* the id that was asked for last */
};

/*
 * crash.c: the words of a guest that has crashed, on any thread with any lock held; see struct dev_env. On the main
 * loop: tell them, also, with @all, what waits for more. The guest begins anew: it may crash again.
 */
void vm_crashed(void *ctx, bool dumps);
void vm_bug_check(void *ctx, const struct sill_crash *said);
void vm_bug_text(void *ctx, const struct sill_crash *said, bool whole);
void vm_crash_init(struct sill_vm *vm);
void vm_crash_tell(struct sill_vm *vm, bool all);
void vm_crash_anew(struct sill_vm *vm);
/* Main loop only: the next tick is due then. */
void vm_tick(struct sill_vm *vm);
/* Note a request, and wake the main loop. Any thread, async-signal-safe. */
void vm_ask(struct sill_vm *vm, enum request r);
/* May this thread wait for the main loop? */
int vm_check_caller(const struct sill_vm *vm, struct sill_err *e) MUST_CHECK;
int vm_not_running(struct sill_err *e); /* -1, and that is what @e says */
/* The main loop: answer who waits in sill_vm_save(), whatever the state. */
void vm_save_now(struct sill_vm *vm);
bool vm_is_frozen(struct sill_vm *vm);

/*
 * order.c, any thread: give an order, and wait until it is carried out; one at a time. On the main loop:
 * do what another thread has ordered, if one has, and if @parked, or it need not be.
 */
int vm_order(struct sill_vm *vm, struct order *o) MUST_CHECK;
void vm_carry_out(struct sill_vm *vm, bool parked);
/* cpus.c, on the main loop: those that are there at the start, none of which runs yet; their threads. */
int vm_cpus_create(struct sill_vm *vm, struct sill_err *e) MUST_CHECK;
int vm_cpus_start(struct sill_vm *vm, struct sill_err *e) MUST_CHECK;
/* All vCPUs are parked: those that the guest has given up, or a reset has taken, are no more. */
void vm_cpus_settle(struct sill_vm *vm);
/* memory.c, on the main loop: what came since the start. Accepts one that never was; after the machine's devices. */
int vm_memory_create(struct sill_vm *vm, struct sill_err *e) MUST_CHECK;
void vm_memory_destroy(struct sill_vm *vm);
/* What the guest has given up, or a reset has taken, goes, when no access is inside it any more. */
void vm_memory_settle(struct sill_vm *vm);
/* After the machine has been loaded: the memory that its registers speak of, empty. */
int vm_memory_load(struct sill_vm *vm, struct sill_err *e) MUST_CHECK;
/* What it comes to now is told. */
void vm_memory_tell(struct sill_vm *vm, const char *what);
/*
 * vmem.c, on the main loop: the same by virtio-mem, where the configuration says so. What the guest has of it,
 * added to @ret, on any thread, false: it comes in pieces; look whether it has more, or less; a new wish, for a
 * zone, or NULL where there are none; what a zone has, on any thread; the memory of the @i-th that may grow.
 */
int vm_vmem_create(struct sill_vm *vm, struct sill_err *e) MUST_CHECK;
void vm_vmem_destroy(struct sill_vm *vm);
bool vm_vmem_count(struct sill_vm *vm, struct sill_vm_memory *ret);
void vm_vmem_look(struct sill_vm *vm);
void vm_vmem_resize(struct sill_vm *vm, const struct sill_memory_zone *z, uint64_t bytes);
void vm_vmem_zone(struct sill_vm *vm, const struct sill_memory_zone *z, struct sill_vm_memory *ret);
void *vm_vmem_area(const struct sill_vm *vm, unsigned i, size_t *ret_size);
/*
 * debug.c, on the main loop: is it stopped by a debugger, or about to be, so that only that one resumes it; and
 * nobody else wants it paused; it is paused, and somebody else wants it so, too; a vCPU has trapped, or it was asked to stop; it is paused: the debugger is told, if it has not been. Before the gate opens:
 * points and steps are set, traps are put into memory; once it has closed for a pause they are taken out; at a
 * reset, for good.
 */
bool vm_debug_holds(const struct sill_vm *vm);
bool vm_debug_is_alone(const struct sill_vm *vm);
void vm_debug_pause(struct sill_vm *vm);
void vm_debug_trapped(struct sill_vm *vm);
void vm_debug_tell(struct sill_vm *vm);
void vm_debug_arm(struct sill_vm *vm);
void vm_debug_disarm(struct sill_vm *vm);
void vm_debug_reset(struct sill_vm *vm);
/* Which of cpus.max have threads, into a state; and make it so. */
void vm_cpus_save(const struct sill_vm *vm, struct saver *s);
int vm_cpus_load(struct sill_vm *vm, struct loader *l, struct sill_err *e) MUST_CHECK;
/*
 * value.c, on the main loop: what it runs as a copy, with @d, or without a device; then that is what it runs.
 */
int vm_value_with(const struct sill_vm *vm, const struct sill_device *d, struct sill_config *ret,
		  struct sill_err *e) MUST_CHECK;
int vm_value_without(const struct sill_vm *vm, enum sill_device_kind kind, const char *id,
		     struct sill_config *ret, struct sill_err *e) MUST_CHECK;
void vm_value_set(struct sill_vm *vm, struct sill_config *take);
/* limit.c: @id, which has come into @c, has the limits of its groups, or its groups those that it states. */
void vm_limits_join(struct sill_config *c, enum sill_device_kind kind, const char *id);
void vm_value_set_cpus(struct sill_vm *vm, unsigned count);
void vm_value_set_memory(struct sill_vm *vm, uint64_t size);
void vm_value_set_balloon(struct sill_vm *vm, uint64_t size);
/* On the main loop: what the guest has ejected, and, at a reset, what it still owes, goes. */
void vm_eject(struct sill_vm *vm);
void vm_eject_asked(struct sill_vm *vm);
/* Before the machine has devices: what becomes of them is an event. */
void vm_listen(struct sill_vm *vm);
/* All vCPUs are parked: unplugged devices that have come to rest are no more. */
void vm_let_go(struct sill_vm *vm);

#endif
