/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.h - one virtual processor: a thread around KVM_RUN.
 *
 * The thread runs the guest until it is told to park (struct vcpu_gate), and
 * parks with no exit half-done, so that its registers may be read and set by
 * the main thread.
 */
#ifndef VM_VCPU_H
#define VM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/attr.h"
#include "base/err.h"

/*
 * Where all vCPUs meet. closed: vCPUs park as soon as they can. The last one
 * to park, or to leave, calls all_parked() on its own thread.
 */
struct vcpu_gate {
	pthread_mutex_t
		mutex; /* the fields below, and started, leaves and stays of each; a leaf, taken without any other lock */
	pthread_cond_t opened;
	bool closed; /* also read as an atomic */
	bool quit;
	unsigned parked, count; /* of those that have a thread */
	struct vcpu *vcpus;     /* borrowed, @room of them */
	unsigned room;
	void (*all_parked)(void *ctx);
	/* A vCPU wants something of the VM; who it is and why goes to the log. */
	void (*wants)(void *ctx, enum vcpu_next next, unsigned index, enum cause why);
	void *ctx;
};

enum { VCPU_REASONS = 40 };

struct vcpu {
	struct cpu cpu;
	struct vcpu_gate *gate;
	pthread_t thread;
	bool started;
	bool leaves;    /* its thread is to end */
	bool stays;     /* it stays parked when the gate opens: its debugger says so */
	uint64_t exits; /* atomic relaxed; for statistics */
	uint64_t reasons
		[VCPU_REASONS]; /* likewise: by KVM's exit reason; the last: all from there on */
};

/* @count of the array, which is zeroed and has @room, are started first; the others may be added later. */
void vcpu_gate_init(struct vcpu_gate *g, struct vcpu *vcpus, unsigned room, unsigned count);
void vcpu_gate_fini(struct vcpu_gate *g);
/* Tell all vCPUs to park, and kick those that run; returns at once. Any thread, any lock held. */
void vcpu_gate_close(struct vcpu_gate *g);
bool vcpu_gate_all_parked(struct vcpu_gate *g);
void vcpu_gate_open(struct vcpu_gate *g);
/* With all of them parked: shall this one stay when the gate opens? */
void vcpu_set_stay(struct vcpu *v, bool stays);
/* All threads end; they are parked or will be. */
void vcpu_gate_quit(struct vcpu_gate *g);

/* Once per process: the signal that kicks a vCPU out of KVM_RUN. */
int vcpu_prepare_signal(struct sill_err *e) MUST_CHECK;

int vcpu_init(struct vcpu *v, struct vcpu_gate *g, const struct arch_cpus *a, unsigned index,
	      struct sill_err *e) MUST_CHECK;
/* The thread starts and parks at the gate. */
int vcpu_start(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e) MUST_CHECK;
/* One more than the gate has known; on failure none is left. */
int vcpu_add(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e) MUST_CHECK;
/* The gate is closed, and this one parked or on its way: its thread ends. It may be added again. */
void vcpu_remove(struct vcpu *v);
/* Joins the thread; the gate must have been told to quit. Accepts a zeroed one. */
void vcpu_fini(struct vcpu *v);

void vcpu_dump(struct vcpu *v); /* to the log */

#endif
