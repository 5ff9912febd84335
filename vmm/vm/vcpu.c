/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.c - vCPU threads and the gate where they park.
 *
 * Kicking: immediate_exit makes the next KVM_RUN return at once, the signal
 * (whose handler does nothing) breaks one under way. Both are needed: the
 * signal alone is lost when it comes between the check and the KVM_RUN.
 *
 * An access that exited to us is completed by KVM at the *next* KVM_RUN. Before
 * parking, a KVM_RUN with immediate_exit set completes it, so that a parked
 * vCPU has its registers as the guest would see them and nothing is left over
 * to be applied to the registers after a reset.
 */
#include "vm/vcpu.h"

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "machine/machine.h"
#include "vm/exit.h"

/* --- the gate ----------------------------------------------------------- */

void vcpu_gate_init(struct vcpu_gate *g, struct vcpu *vcpus, unsigned room, unsigned count)
{
	*g = (struct vcpu_gate){ .closed = true, .vcpus = vcpus, .room = room, .count = count };
	(void)pthread_mutex_init(&g->mutex, NULL);
	(void)pthread_cond_init(&g->opened, NULL);
}

void vcpu_gate_fini(struct vcpu_gate *g)
{
	(void)pthread_mutex_destroy(&g->mutex);
	(void)pthread_cond_destroy(&g->opened);
}

static int kick_signal(void)
{
	return SIGRTMIN;
}

void vcpu_gate_close(struct vcpu_gate *g)
{
	(void)pthread_mutex_lock(&g->mutex);
	__atomic_store_n(&g->closed, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < g->room; i++) {
		if (!g->vcpus[i].started)
			continue;
		__atomic_store_n(&g->vcpus[i].cpu.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		(void)pthread_kill(g->vcpus[i].thread, kick_signal());
	}
	(void)pthread_mutex_unlock(&g->mutex);
}

bool vcpu_gate_all_parked(struct vcpu_gate *g)
{
	bool all;

	(void)pthread_mutex_lock(&g->mutex);
	all = g->closed && g->parked == g->count;
	(void)pthread_mutex_unlock(&g->mutex);
	return all;
}

void vcpu_gate_open(struct vcpu_gate *g)
{
	(void)pthread_mutex_lock(&g->mutex);
	__atomic_store_n(&g->closed, false, __ATOMIC_SEQ_CST);
	(void)pthread_cond_broadcast(&g->opened);
	(void)pthread_mutex_unlock(&g->mutex);
}

void vcpu_set_stay(struct vcpu *v, bool stays)
{
	(void)pthread_mutex_lock(&v->gate->mutex);
	v->stays = stays;
	(void)pthread_mutex_unlock(&v->gate->mutex);
}

void vcpu_gate_quit(struct vcpu_gate *g)
{
	vcpu_gate_close(g);
	(void)pthread_mutex_lock(&g->mutex);
	g->quit = true;
	(void)pthread_cond_broadcast(&g->opened);
	(void)pthread_mutex_unlock(&g->mutex);
}

/* Wait until the gate opens. False: the thread is to end. */
static bool park(struct vcpu *v)
{
	struct vcpu_gate *g = v->gate;
	bool last, go_on;

	assert(!lock_held_any());
	(void)pthread_mutex_lock(&g->mutex);
	g->parked++;
	last = g->closed && g->parked == g->count;
	if (last && g->all_parked != NULL)
		g->all_parked(g->ctx);
	while ((g->closed || v->stays) && !g->quit && !v->leaves)
		(void)pthread_cond_wait(&g->opened, &g->mutex);
	g->parked--;
	go_on = !g->quit && !v->leaves;
	if (go_on)
		__atomic_store_n(&v->cpu.run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	(void)pthread_mutex_unlock(&g->mutex);
	return go_on;
}

/* --- the thread --------------------------------------------------------- */

static void on_kick(int sig)
{
	(void)sig;
}

int vcpu_prepare_signal(struct sill_err *e)
{
	struct sigaction sa = { .sa_handler = on_kick }; /* no SA_RESTART: KVM_RUN must return */

	if (sigaction(kick_signal(), &sa, NULL) < 0)
		return sill_err_sys(e, errno, "vCPU signal");
	return 0;
}

/*
 * Let KVM finish the access it exited for; the guest does not run. One
 * instruction may need several exits (a string of outputs, an access across a
 * page): each is carried out, or its data would be lost.
 */
static enum vcpu_next complete_exit(struct vcpu *v, enum cause *ret_why)
{
	enum vcpu_next next;

	__atomic_store_n(&v->cpu.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	do
		next = vcpu_step(v, ret_why);
	while (next == VCPU_AGAIN);
	return next;
}

static void *vcpu_main(void *ctx)
{
	struct vcpu *v = ctx;
	enum cause why = CAUSE_NONE;
	char name[16];
	sigset_t set;

	(void)snprintf(name, sizeof(name), "vcpu%u", v->cpu.index);
	(void)pthread_setname_np(pthread_self(), name);
	sill_thread_signals(&set);
	(void)sigdelset(&set, kick_signal());
	(void)pthread_sigmask(SIG_SETMASK, &set, NULL);
	map_reader_add(v->cpu.machine->pio, &v->cpu.pio);
	map_reader_add(v->cpu.machine->mmio, &v->cpu.mmio);

	while (park(v)) {
		enum vcpu_next next = VCPU_AGAIN;

		while (next == VCPU_AGAIN && !__atomic_load_n(&v->gate->closed, __ATOMIC_ACQUIRE))
			next = vcpu_step(v, &why);
		if (next == VCPU_AGAIN)
			next = complete_exit(v, &why);
		if (next != VCPU_PARK)
			v->gate->wants(v->gate->ctx, next, v->cpu.index, why);
	}
	map_reader_remove(v->cpu.machine->pio, &v->cpu.pio);
	map_reader_remove(v->cpu.machine->mmio, &v->cpu.mmio);
	return NULL;
}

/* --- life --------------------------------------------------------------- */

int vcpu_init(struct vcpu *v, struct vcpu_gate *g, const struct arch_cpus *a, unsigned index,
	      struct sill_err *e)
{
	v->gate = g;
	return arch_cpu_init(&v->cpu, a, index, e);
}

static int pin(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e)
{
	for (size_t i = 0; i < c->affinity_count; i++) {
		const struct sill_affinity *a = &c->affinity[i];
		cpu_set_t set;
		int failed;

		if (a->vcpu != v->cpu.index)
			continue;
		CPU_ZERO(&set);
		for (size_t n = 0; n < a->host_cpus_count; n++)
			if (a->host_cpus[n] < CPU_SETSIZE)
				CPU_SET(a->host_cpus[n], &set);
		failed = pthread_setaffinity_np(v->thread, sizeof(set), &set);
		if (failed != 0)
			return sill_err_sys(e, failed, "pin vCPU %u", v->cpu.index);
	}
	return 0;
}

/* The thread's first step is to park: it waits for the mutex until its place is known. */
static int start(struct vcpu *v, unsigned more, struct sill_err *e)
{
	struct vcpu_gate *g = v->gate;
	int failed;

	(void)pthread_mutex_lock(&g->mutex);
	failed = thread_create(&v->thread, vcpu_main, v);
	if (failed == 0) {
		v->started = true;
		v->leaves = false;
		g->count += more;
	}
	(void)pthread_mutex_unlock(&g->mutex);
	return failed == 0 ? 0 : sill_err_sys(e, failed, "thread of vCPU %u", v->cpu.index);
}

int vcpu_start(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e)
{
	return start(v, 0, e) < 0 ? -1 : pin(v, c, e);
}

int vcpu_add(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e)
{
	if (start(v, 1, e) < 0)
		return -1;
	if (pin(v, c, e) == 0)
		return 0;
	vcpu_remove(v);
	return -1;
}

void vcpu_remove(struct vcpu *v)
{
	struct vcpu_gate *g = v->gate;

	(void)pthread_mutex_lock(&g->mutex);
	v->leaves = true;
	v->started = false; /* nobody kicks it any more */
	g->count--;
	(void)pthread_cond_broadcast(&g->opened);
	(void)pthread_mutex_unlock(&g->mutex);
	(void)pthread_join(v->thread, NULL);
}

void vcpu_fini(struct vcpu *v)
{
	if (v->started)
		(void)pthread_join(v->thread, NULL);
	arch_cpu_fini(&v->cpu);
	*v = (struct vcpu){ .cpu.fd = -1 };
}

static void dump_line(void *ctx, const char *text)
{
	const struct vcpu *v = ctx;

	log_line(LOG_ERROR, "vcpu%u: %s", v->cpu.index, text);
}

void vcpu_dump(struct vcpu *v)
{
	arch_cpu_dump(&v->cpu, dump_line, v);
}
