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

#include "arch/x86_64/cpustate.h"
#include "arch/x86_64/machine.h"
#include "base/attr.h"
#include "base/err.h"

struct kvm_run;

/* What a handler of an exit says should happen; only vcpu.c does it. */
enum vcpu_next { VCPU_AGAIN, VCPU_PARK, VCPU_RESET, VCPU_OFF, VCPU_BROKEN };

/*
 * Where all vCPUs meet. closed: vCPUs park as soon as they can. The last one
 * to park, or to leave, calls all_parked() on its own thread.
 */
struct vcpu_gate {
	pthread_mutex_t mutex; /* the four fields below; a leaf, taken without any other lock */
	pthread_cond_t opened;
	bool closed; /* also read as an atomic */
	bool quit;
	unsigned parked, count;
	struct vcpu *vcpus; /* borrowed, @count of them, all started */
	void (*all_parked)(void *ctx);
	/* A vCPU wants something of the VM; who it is and why goes to the log. */
	void (*wants)(void *ctx, enum vcpu_next next, unsigned index, const char *why);
	void *ctx;
};

struct vcpu {
	unsigned index;
	uint32_t apic_id;
	int fd;              /* owned */
	struct kvm_run *run; /* owned mapping */
	struct machine *machine;
	struct vcpu_gate *gate;
	struct map_reader pio, mmio;
	struct cpu_state *at_reset; /* owned */
	pthread_t thread;
	bool started;
	uint64_t exits; /* atomic relaxed; for statistics */
	struct log_bucket bucket;
};

void vcpu_gate_init(struct vcpu_gate *g, struct vcpu *vcpus, unsigned count);
void vcpu_gate_fini(struct vcpu_gate *g);
/* Tell all vCPUs to park, and kick those that run; returns at once. Any thread, any lock held. */
void vcpu_gate_close(struct vcpu_gate *g);
bool vcpu_gate_all_parked(struct vcpu_gate *g);
void vcpu_gate_open(struct vcpu_gate *g);
/* All threads end; they are parked or will be. */
void vcpu_gate_quit(struct vcpu_gate *g);

/* Once per process: the signal that kicks a vCPU out of KVM_RUN. */
int vcpu_prepare_signal(struct sill_err *e) MUST_CHECK;

int vcpu_init(struct vcpu *v, struct machine *m, struct vcpu_gate *g, unsigned index,
	      const struct cpuid *supported, const struct cpuid_facts *facts, bool enforce,
	      struct sill_err *e) MUST_CHECK;
/* The thread starts and parks at the gate. */
int vcpu_start(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e) MUST_CHECK;
/* Joins the thread; the gate must have been told to quit. Accepts a zeroed one. */
void vcpu_fini(struct vcpu *v);

/* Reset state; the boot processor also gets the boot code's entry. Only while parked. */
int vcpu_reset(struct vcpu *v, struct sill_err *e) MUST_CHECK;
void vcpu_dump(struct vcpu *v); /* to the log */

#endif
