/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_rig.h - vm/ itself on a machine, a board and vCPUs of this file: each stands still as soon as it
 * is told to, and the board's registers for processors that come and go are a table. One run
 * at a time.
 */
#ifndef TESTS_UNIT_VM_RIG_H
#define TESTS_UNIT_VM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What is below has other names here, and vm/ is built with them; order.c is the library's own. */
/* clang-format off */
#define arch_board_create fake_arch_board_create
#define arch_board_destroy fake_arch_board_destroy
#define arch_board_forget_boot fake_arch_board_forget_boot
#define arch_board_load fake_arch_board_load
#define arch_board_save fake_arch_board_save
#define arch_board_start fake_arch_board_start
#define arch_clock_gap fake_arch_clock_gap
#define arch_clock_start fake_arch_clock_start
#define arch_clock_stop fake_arch_clock_stop
#define arch_clock_stop_again fake_arch_clock_stop_again
#define arch_clock_tell fake_arch_clock_tell
#define arch_clock_turn_back fake_arch_clock_turn_back
#define arch_cpu_add fake_arch_cpu_add
#define arch_cpu_answer fake_arch_cpu_answer
#define arch_cpu_ask fake_arch_cpu_ask
#define arch_cpu_clear fake_arch_cpu_clear
#define arch_cpu_debug fake_arch_cpu_debug
#define arch_cpu_debug_get fake_arch_cpu_debug_get
#define arch_cpu_debug_set fake_arch_cpu_debug_set
#define arch_cpu_fini fake_arch_cpu_fini
#define arch_cpu_is_present fake_arch_cpu_is_present
#define arch_cpu_join fake_arch_cpu_join
#define arch_cpu_keep fake_arch_cpu_keep
#define arch_dimm fake_arch_dimm
#define arch_dimm_add fake_arch_dimm_add
#define arch_dimm_ask fake_arch_dimm_ask
#define arch_dimm_keep fake_arch_dimm_keep
#define arch_memory_area fake_arch_memory_area
#define arch_memory_heard fake_arch_memory_heard
#define arch_cpu_load fake_arch_cpu_load
#define arch_cpu_mapped fake_arch_cpu_mapped
#define arch_cpu_nmi fake_arch_cpu_nmi
#define arch_cpu_reset fake_arch_cpu_reset
#define arch_cpu_note fake_arch_cpu_note
#define arch_cpu_save fake_arch_cpu_save
#define arch_cpu_translate fake_arch_cpu_translate
#define arch_cpus_create fake_arch_cpus_create
#define arch_cpus_heard fake_arch_cpus_heard
#define arch_cpus_tell_again fake_arch_cpus_tell_again
#define arch_memory_tell_again fake_arch_memory_tell_again
#define arch_cpus_destroy fake_arch_cpus_destroy
#define arch_debug_processor fake_arch_debug_processor
#define arch_debug_registers fake_arch_debug_registers
#define arch_has_point fake_arch_has_point
#define arch_trap fake_arch_trap
#define arch_trap_size fake_arch_trap_size
#define arch_has_generation fake_arch_has_generation
#define arch_new_generation fake_arch_new_generation
#define arch_power_button fake_arch_power_button
#define arch_port fake_arch_port
#define cause_text fake_cause_text
#define machine_can_let_go fake_machine_can_let_go
#define machine_console fake_machine_console
#define machine_console_resize fake_machine_console_resize
#define machine_console_written fake_machine_console_written
#define machine_disk_resize fake_machine_disk_resize
#define machine_fini fake_machine_fini
#define machine_init fake_machine_init
#define machine_is_leaving fake_machine_is_leaving
#define machine_let_go fake_machine_let_go
#define machine_limit fake_machine_limit
#define machine_load fake_machine_load
#define machine_memory_changed fake_machine_memory_changed
#define machine_net_link fake_machine_net_link
#define machine_pause fake_machine_pause
#define machine_plug fake_machine_plug
#define machine_plug_all fake_machine_plug_all
#define machine_remove_devices fake_machine_remove_devices
#define machine_reset fake_machine_reset
#define machine_resume fake_machine_resume
#define machine_save fake_machine_save
#define machine_stop fake_machine_stop
#define machine_unplug fake_machine_unplug
#define machine_waits_for fake_machine_waits_for
#define vcpu_add fake_vcpu_add
#define vcpu_dump fake_vcpu_dump
#define vcpu_fini fake_vcpu_fini
#define vcpu_gate_all_parked fake_vcpu_gate_all_parked
#define vcpu_gate_close fake_vcpu_gate_close
#define vcpu_gate_fini fake_vcpu_gate_fini
#define vcpu_gate_init fake_vcpu_gate_init
#define vcpu_gate_open fake_vcpu_gate_open
#define vcpu_gate_quit fake_vcpu_gate_quit
#define vcpu_init fake_vcpu_init
#define vcpu_prepare_signal fake_vcpu_prepare_signal
#define vcpu_remove fake_vcpu_remove
#define vcpu_set_stay fake_vcpu_set_stay
#define vcpu_start fake_vcpu_start
#include "vm/limit.c"
#include "vm/order.c"
/* clang-format on */
#include "vm/ask.c"
#include "vm/cpus.c"
#include "vm/debug.c"
#include "vm/memory.c"
#include "vm/save.c"
#include "vm/vm.c"

/* --- what is below vm/ --------------------------------------------------- */

enum { FAKE_BLOCK = 4 << 20, FAKE_REGISTERS = 12, FAKE_LINEAR = 1 << 20 };

static pthread_mutex_t fake_dimms = PTHREAD_MUTEX_INITIALIZER;

/* Atomic: the tests' thread looks on. */
static struct {
	bool busy; /* a device has work in flight */
	bool paused, stopped, link_up;
	struct sill_rate_limit limit[2]; /* of the card, or the disk */
	unsigned resets, pauses, resumes, saves, loads, nmis;
	unsigned joined,
		cleared;    /* how often a vCPU came beside others, and was put to its start */
	bool no_more_vcpus; /* the host has no memory for one */
	bool meddles;       /* a reset and a resume are asked for while a state is saved */
	struct {
		bool present;
		enum arch_answer answer;
		unsigned added, asked; /* how often the guest was told */
	} cpu[SILL_MAX_CPUS];
	struct arch_dimm dimm[SILL_MAX_DIMMS]; /* with the mutex */
	unsigned dimm_asked[SILL_MAX_DIMMS];
	/* When who serves rings outside was told of the memory. */
	unsigned told;       /* how often */
	unsigned told_ram;   /* MiB in the table, in the area */
	unsigned told_dimms; /* how many the guest knew of */
	bool told_mapped;    /* all of every piece was there for the host */
	unsigned told_again; /* of what has come */
	bool unread;
	/* As a debugger has set them up. */
	const struct arch_points *points; /* of the first vCPU */
	bool step[SILL_MAX_CPUS];
	uint8_t registers[SILL_MAX_CPUS][FAKE_REGISTERS];
	struct sill_vm *vm;
	struct dev_env hooks;
} fake;

static void set(bool *flag, bool to)
{
	__atomic_store_n(flag, to, __ATOMIC_SEQ_CST);
}

static bool get(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void add(unsigned *n)
{
	(void)__atomic_add_fetch(n, 1, __ATOMIC_SEQ_CST);
}

static unsigned count(const unsigned *n)
{
	return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

struct passing {
	struct machine *machine;
	uint64_t ns;
};

static inline void pass(void *ctx)
{
	const struct passing *p = ctx;
	struct machine *m = p->machine;

	vmclock_set(&m->clock, vmclock_now(&m->clock) + p->ns);
	wishes_stand(&m->wishes, m->wishes.stand);
}

/* So much of the guest's time, at once. */
static inline void let_pass(struct sill_vm *vm, unsigned seconds)
{
	struct passing p = { .machine = &vm->machine, .ns = seconds * 1000000000ull };

	loop_call(vm->loop, pass, &p);
}

int machine_init(struct machine *m, const char *name, const struct dev_env *hooks,
		 struct loop *loop, struct sill_err *e)
{
	*m = (struct machine){ .name = strdup(name), .loop = loop };
	vmclock_init(&m->clock);
	wishes_init(&m->wishes, loop, &m->clock);
	m->gmem = gmem_create(NULL, e);
	fake.hooks = *hooks;
	return m->name != NULL && m->gmem != NULL ? 0 : -1;
}

void machine_fini(struct machine *m)
{
	wishes_fini(&m->wishes);
	gmem_destroy(m->gmem);
	free(m->name);
}

void machine_remove_devices(struct machine *m)
{
	(void)m;
}

void machine_pause(struct machine *m)
{
	wishes_stand(&m->wishes, true);
	set(&fake.paused, true);
	add(&fake.pauses);
}

void machine_resume(struct machine *m)
{
	wishes_stand(&m->wishes, false);
	set(&fake.paused, false);
	add(&fake.resumes);
}

void machine_reset(struct machine *m)
{
	(void)m;
	assert_false(get(&fake.paused));
	add(&fake.resets);
	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++) { /* as memhp does */
		struct arch_dimm *d = &fake.dimm[i];

		(void)pthread_mutex_lock(&fake_dimms);
		if (d->answer != ARCH_NOT_ASKED)
			*d = (struct arch_dimm){ 0 };
		d->folded = d->size != 0;
		(void)pthread_mutex_unlock(&fake_dimms);
	}
	/* As cpuhp does. */
	for (unsigned i = 1; i < SILL_MAX_CPUS; i++) {
		if (fake.cpu[i].answer == ARCH_NOT_ASKED)
			continue;
		fake.cpu[i].answer = ARCH_NOT_ASKED;
		set(&fake.cpu[i].present, false);
		fake.hooks.answered(fake.hooks.ctx);
	}
}

void machine_stop(struct machine *m)
{
	(void)m;
	set(&fake.stopped, true);
}

const char *machine_waits_for(struct machine *m)
{
	(void)m;
	return get(&fake.busy) ? "disk0" : NULL;
}

int machine_save(struct machine *m, struct saver *s, struct sill_err *e)
{
	(void)m;
	(void)e;
	assert_true(get(&fake.paused));
	assert_false(get(&fake.busy));
	save_begin(s, 1, 1);
	save_end(s);
	add(&fake.saves);
	if (get(&fake.meddles)) {
		sill_vm_reset(fake.vm);
		sill_vm_ask_resume(fake.vm);
	}
	return 0;
}

int machine_load(struct machine *m, struct loader *l, struct sill_err *e)
{
	(void)load_begin(l, 1, 1);
	vmclock_freeze(&m->clock);
	set(&fake.paused, true);
	add(&fake.loads);
	return load_end(l, "the machine", e);
}

int machine_plug_all(struct machine *m, const struct sill_config *c, struct sill_files *files,
		     struct sill_err *e)
{
	(void)m;
	(void)c;
	(void)files;
	(void)e;
	return 0;
}

bool machine_can_let_go(struct machine *m)
{
	(void)m;
	return false;
}

int machine_disk_resize(struct machine *m, const char *id, uint64_t bytes, struct sill_err *e)
{
	(void)m;
	(void)id;
	(void)bytes;
	return sill_err_set(e, SILL_ERR_STATE, "no");
}

int machine_plug(struct machine *m, const struct sill_device *d, struct sill_files *files,
		 struct sill_err *e)
{
	(void)m;
	(void)d;
	(void)files;
	return sill_err_set(e, SILL_ERR_STATE, "no");
}

int machine_unplug(struct machine *m, enum sill_device_kind kind, const char *id,
		   uint64_t *ret_ticket, struct sill_err *e)
{
	(void)m;
	(void)kind;
	(void)id;
	(void)ret_ticket;
	return sill_err_set(e, SILL_ERR_STATE, "no");
}

bool machine_is_leaving(struct machine *m, uint64_t ticket)
{
	(void)m;
	(void)ticket;
	return false;
}

void machine_let_go(struct machine *m)
{
	(void)m;
}

void machine_memory_changed(struct machine *m)
{
	struct gmem_region r[SILL_MAX_DIMMS + 1];
	const unsigned n = gmem_ram_regions(m->gmem, r, SILL_MAX_DIMMS + 1);
	unsigned dimms = 0, mib = 0;
	bool mapped = true;

	for (unsigned i = 0; i < n; i++)
		mib += r[i].gpa >= 8ull << 30 ? (unsigned)(r[i].size >> 20) : 0;
	(void)pthread_mutex_lock(&fake_dimms);
	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++) {
		const struct ram *ram = &fake.vm->memory->piece[i].ram;
		unsigned char seen;

		dimms += fake.dimm[i].size != 0;
		mapped &= ram->size == 0 || mincore(ram->hva, 4096, &seen) == 0;
	}
	(void)pthread_mutex_unlock(&fake_dimms);
	__atomic_store_n(&fake.told_ram, mib, __ATOMIC_SEQ_CST);
	__atomic_store_n(&fake.told_dimms, dimms, __ATOMIC_SEQ_CST);
	set(&fake.told_mapped, mapped);
	add(&fake.told);
}

int machine_limit(struct machine *m, enum sill_device_kind kind, const char *id, unsigned which,
		  const struct sill_rate_limit *r, struct sill_err *e)
{
	(void)m;
	(void)e;
	(void)kind;
	(void)id;
	fake.limit[which] = *r;
	return 0;
}

int machine_net_link(struct machine *m, const char *id, bool up, struct sill_err *e)
{
	(void)m;
	if (strcmp(id, "lan") != 0)
		return sill_err_set(e, SILL_ERR_STATE, "there is no network card '%s'", id);
	set(&fake.link_up, up);
	return 0;
}

void machine_console_resize(struct machine *m, uint16_t cols, uint16_t rows)
{
	(void)m;
	(void)cols;
	(void)rows;
}

uint64_t machine_console_written(struct machine *m)
{
	(void)m;
	return 0;
}

struct chr *machine_console(const struct machine *m)
{
	(void)m;
	return NULL;
}

struct board *arch_board_create(struct machine *m, const struct sill_config *c,
				struct sill_files *files, struct sill_err *e)
{
	(void)files;
	(void)e;
	for (unsigned i = 0; i < c->cpus.boot; i++)
		fake.cpu[i].present = true;
	return (struct board *)(void *)m;
}

void arch_board_destroy(struct board *b)
{
	(void)b;
}

int arch_board_start(struct board *b, struct sill_err *e)
{
	(void)b;
	(void)e;
	return 0;
}

int arch_board_save(struct board *b, struct saver *s, struct sill_err *e)
{
	(void)b;
	(void)s;
	(void)e;
	return 0;
}

int arch_board_load(struct board *b, struct loader *l, struct sill_err *e)
{
	(void)b;
	(void)l;
	(void)e;
	return 0;
}

void arch_board_forget_boot(struct board *b)
{
	(void)b;
}

int arch_power_button(struct board *b)
{
	(void)b;
	return 0;
}

bool arch_has_generation(const struct board *b)
{
	(void)b;
	return false;
}

void arch_new_generation(struct board *b, const uint8_t id[16])
{
	(void)b;
	(void)id;
}

struct chr *arch_port(const struct board *b, enum sill_port p)
{
	(void)b;
	(void)p;
	return NULL;
}

struct arch_cpus *arch_cpus_create(struct board *b, const struct sill_cpus_config *c,
				   struct sill_err *e)
{
	(void)c;
	(void)e;
	return (struct arch_cpus *)(void *)b;
}

void arch_cpus_destroy(struct arch_cpus *a)
{
	(void)a;
}

int arch_cpu_reset(struct cpu *c, struct sill_err *e)
{
	(void)c;
	(void)e;
	return 0;
}

void arch_cpu_fini(struct cpu *c)
{
	(void)c;
}

int arch_cpu_clear(struct cpu *c, struct sill_err *e)
{
	(void)e;
	assert_int_not_equal(c->index, 0);
	add(&fake.cleared);
	return 0;
}

int arch_cpu_join(struct cpu *c, const struct cpu *running, struct sill_err *e)
{
	(void)e;
	assert_int_equal(running->index, 0);
	assert_int_not_equal(c->index, 0);
	add(&fake.joined);
	return 0;
}

bool arch_cpu_is_present(const struct board *b, unsigned index)
{
	(void)b;
	return get(&fake.cpu[index].present);
}

/* The guest finds it ready: its thread is there. */
void arch_cpu_add(struct board *b, unsigned index)
{
	(void)b;
	assert_true(fake.vm->vcpus[index].started);
	set(&fake.cpu[index].present, true);
	add(&fake.cpu[index].added);
}

void arch_cpu_ask(struct board *b, unsigned index)
{
	(void)b;
	assert_int_not_equal(index, 0);
	assert_true(get(&fake.cpu[index].present));
	__atomic_store_n(&fake.cpu[index].answer, ARCH_NO_ANSWER, __ATOMIC_SEQ_CST);
	add(&fake.cpu[index].asked);
}

void arch_cpu_keep(struct board *b, unsigned index)
{
	(void)b;
	__atomic_store_n(&fake.cpu[index].answer, ARCH_NOT_ASKED, __ATOMIC_SEQ_CST);
}

enum arch_answer arch_cpu_answer(struct board *b, unsigned index)
{
	(void)b;
	return __atomic_load_n(&fake.cpu[index].answer, __ATOMIC_SEQ_CST);
}

bool arch_cpus_tell_again(struct board *b)
{
	(void)b;
	add(&fake.told_again);
	return get(&fake.unread);
}

bool arch_memory_tell_again(struct board *b)
{
	(void)b;
	add(&fake.told_again);
	return get(&fake.unread);
}

bool arch_cpus_heard(const struct board *b)
{
	(void)b;
	return true;
}

void arch_memory_area(const struct board *b, struct arch_memory_area *ret)
{
	(void)b;
	*ret = (struct arch_memory_area){ .base = 8ull << 30,
					  .size = fake.vm->config.memory.hotplug_size,
					  .block = FAKE_BLOCK };
}

void arch_dimm(const struct board *b, unsigned slot, struct arch_dimm *ret)
{
	(void)b;
	(void)pthread_mutex_lock(&fake_dimms);
	*ret = fake.dimm[slot];
	(void)pthread_mutex_unlock(&fake_dimms);
}

/* The guest finds it mapped. */
void arch_dimm_add(struct board *b, unsigned slot, uint64_t base, uint64_t size)
{
	(void)b;
	assert_true(gmem_is_ram(fake.vm->machine.gmem, base, size));
	(void)pthread_mutex_lock(&fake_dimms);
	assert_int_equal(fake.dimm[slot].size, 0);
	fake.dimm[slot] = (struct arch_dimm){ .base = base, .size = size };
	(void)pthread_mutex_unlock(&fake_dimms);
}

void arch_dimm_ask(struct board *b, unsigned slot)
{
	(void)b;
	(void)pthread_mutex_lock(&fake_dimms);
	assert_int_not_equal(fake.dimm[slot].size, 0);
	fake.dimm[slot].answer = fake.dimm[slot].folded ? ARCH_AT_RESET : ARCH_NO_ANSWER;
	add(&fake.dimm_asked[slot]);
	(void)pthread_mutex_unlock(&fake_dimms);
}

void arch_dimm_keep(struct board *b, unsigned slot)
{
	(void)b;
	(void)pthread_mutex_lock(&fake_dimms);
	fake.dimm[slot].answer = ARCH_NOT_ASKED;
	(void)pthread_mutex_unlock(&fake_dimms);
}

bool arch_memory_heard(const struct board *b)
{
	(void)b;
	return true;
}

int arch_cpu_nmi(struct cpu *c)
{
	(void)c;
	add(&fake.nmis);
	return 0;
}

int arch_cpu_save(const struct cpu *c, const struct arch_clock *at, struct saver *s,
		  struct sill_err *e)
{
	(void)at;
	(void)e;
	save_begin(s, 2, 1);
	save_u32(s, c->index);
	save_end(s);
	return 0;
}

int arch_cpu_note(const struct cpu *c, struct buf *out, struct sill_err *e)
{
	(void)e;
	(void)buf_add32(out, c->index);
	return 0;
}

int arch_cpu_load(struct cpu *c, const struct arch_clock *at, struct loader *l, struct sill_err *e)
{
	(void)at;
	(void)load_begin(l, 2, 1);
	if (load_u32(l) != c->index)
		load_fail(l);
	return load_end(l, "a vCPU", e);
}

void arch_clock_stop(const struct kvm *k, struct arch_clock *ret)
{
	(void)k;
	*ret = (struct arch_clock){ .counter = 1, .ns = 2 };
}

void arch_clock_stop_again(struct arch_clock *c)
{
	c->counter = 3;
}

void arch_clock_tell(const struct cpu *c)
{
	(void)c;
}

void arch_clock_start(const struct kvm *k, const struct arch_clock *c)
{
	(void)k;
	assert_int_equal(c->ns, 2);
}

uint64_t arch_clock_gap(const struct arch_clock *c)
{
	return c->counter;
}

bool arch_clock_turn_back(const struct cpu *c, uint64_t gap)
{
	(void)c;
	(void)gap;
	return true;
}

/* A processor with two registers, and a linear address space that begins at FAKE_LINEAR. */

const uint8_t arch_trap[] = { 0xcc };
const unsigned arch_trap_size = 1;

const struct sill_debug_register *arch_debug_registers(unsigned *ret_count)
{
	static const struct sill_debug_register r[] = { { .name = "a", .size = 8 },
							{ .name = "b", .size = 4 } };

	*ret_count = 2;
	return r;
}

const char *arch_debug_processor(void)
{
	return "fake";
}

bool arch_has_point(enum sill_debug_point kind)
{
	return kind != SILL_DEBUG_READ;
}

int arch_cpu_debug(struct cpu *c, const struct arch_points *p, bool step, struct sill_err *e)
{
	(void)e;
	__atomic_store_n(&c->points, p, __ATOMIC_SEQ_CST); /* a test looks meanwhile */
	if (c->index == 0)
		__atomic_store_n(&fake.points, p, __ATOMIC_SEQ_CST);
	set(&fake.step[c->index], step);
	return 0;
}

int arch_cpu_debug_get(const struct cpu *c, uint8_t *block, struct sill_err *e)
{
	(void)e;
	memcpy(block, fake.registers[c->index], FAKE_REGISTERS);
	return 0;
}

int arch_cpu_debug_set(const struct cpu *c, const uint8_t *block, struct sill_err *e)
{
	(void)e;
	memcpy(fake.registers[c->index], block, FAKE_REGISTERS);
	return 0;
}

bool arch_cpu_translate(const struct cpu *c, uint64_t address, uint64_t *ret)
{
	(void)c;
	*ret = address - FAKE_LINEAR;
	return address >= FAKE_LINEAR;
}

/* The second runs the kernel. */
bool arch_cpu_mapped(const struct cpu *c, struct arch_mapped *m, bool any)
{
	m->count = 1;
	if (m->room > 0)
		m->range[0] = (struct sill_mapped_range){ FAKE_LINEAR, c->index, m->least };
	return c->index == 1 || any;
}

/* vCPUs that stand as soon as they are told to. */

void vcpu_set_stay(struct vcpu *v, bool stays)
{
	set(&v->stays, stays);
}

const char *cause_text(enum cause c)
{
	(void)c;
	return "a test";
}

void vcpu_gate_init(struct vcpu_gate *g, struct vcpu *vcpus, unsigned room, unsigned n)
{
	*g = (struct vcpu_gate){ .closed = true, .vcpus = vcpus, .room = room, .count = n };
}

void vcpu_gate_fini(struct vcpu_gate *g)
{
	(void)g;
}

void vcpu_gate_close(struct vcpu_gate *g)
{
	set(&g->closed, true);
}

bool vcpu_gate_all_parked(struct vcpu_gate *g)
{
	return get(&g->closed);
}

void vcpu_gate_open(struct vcpu_gate *g)
{
	assert_false(get(&fake.paused));
	set(&g->closed, false);
}

void vcpu_gate_quit(struct vcpu_gate *g)
{
	(void)g;
}

int vcpu_prepare_signal(struct sill_err *e)
{
	(void)e;
	return 0;
}

int vcpu_init(struct vcpu *v, struct vcpu_gate *g, const struct arch_cpus *a, unsigned index,
	      struct sill_err *e)
{
	(void)a;
	if (get(&fake.no_more_vcpus))
		return sill_err_sys(e, ENOMEM, "vCPU");
	*v = (struct vcpu){ .cpu = { .index = index }, .gate = g };
	return 0;
}

int vcpu_start(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e)
{
	(void)c;
	(void)e;
	v->started = true;
	return 0;
}

/* Only while all stand. */
int vcpu_add(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e)
{
	assert_true(get(&v->gate->closed));
	assert_false(v->started);
	return vcpu_start(v, c, e);
}

void vcpu_remove(struct vcpu *v)
{
	assert_true(get(&v->gate->closed));
	assert_true(v->started);
	v->started = false;
}

void vcpu_fini(struct vcpu *v)
{
	(void)v;
}

void vcpu_dump(struct vcpu *v)
{
	(void)v;
}

/* --- set-up --------------------------------------------------------------- */

struct run {
	struct sill_vm *vm;
	pthread_t thread;
	enum sill_vm_end end;
	unsigned events; /* atomic; of disks, then of vCPUs */
	char told[64];   /* what becomes of it, a letter each; the main loop's until it has ended */
	unsigned came, went, refused; /* of vCPUs or memory */
};

static inline void on_event(void *ctx, const struct sill_event *event)
{
	static const char letters[] = {
		[SILL_EVENT_RUNNING] = 'b', [SILL_EVENT_PAUSED] = 'p', [SILL_EVENT_RESUMED] = 'r',
		[SILL_EVENT_RESET] = 'n',   [SILL_EVENT_ENDING] = 'e',
	};
	struct run *r = ctx;
	const size_t n = strlen(r->told);

	if (event->kind == SILL_EVENT_CPUS || event->kind == SILL_EVENT_MEMORY) {
		add(strcmp(event->what, "added") == 0     ? &r->came
		    : strcmp(event->what, "removed") == 0 ? &r->went
							  : &r->refused);
	} else if (event->kind == SILL_EVENT_DISK) {
		assert_string_equal(event->id, "disk0");
		add(&r->events);
	} else if (n + 1 < sizeof(r->told)) {
		r->told[n] = letters[event->kind];
	}
	if (event->kind == SILL_EVENT_ENDING)
		assert_string_equal(event->what, "stopped");
}

static inline void *run_main(void *ctx)
{
	struct run *r = ctx;
	struct sill_err e = { 0 };

	r->end = sill_vm_run(r->vm, &e);
	return NULL;
}

static inline void create_with(struct run *r, uint16_t boot, uint16_t max)
{
	struct sill_net_config net = { .id = (char *)(uintptr_t) "lan" };
	struct sill_config c = { .name = (char *)(uintptr_t) "vm",
				 .cpus = { .boot = boot, .max = max },
				 .memory = { .size = 16 << 20, .hotplug_size = 64 << 20 },
				 .net = &net,
				 .net_count = 1 };
	struct sill_files files = { 0 };
	struct sill_err e = { 0 };

	*r = (struct run){ 0 };
	memset(&fake, 0, sizeof(fake));
	r->vm = sill_vm_create(&c, &files, &e);
	if (r->vm == NULL)
		fail_msg("%s", e.msg);
	fake.vm = r->vm;
	sill_vm_set_event(r->vm, on_event, r);
}

static inline void create(struct run *r)
{
	create_with(r, 2, 2);
}

static inline void end(struct run *r)
{
	sill_vm_stop(r->vm);
	(void)pthread_join(r->thread, NULL);
	assert_int_equal(r->end, SILL_END_STOPPED);
	assert_true(fake.stopped);
	sill_vm_destroy(r->vm);
}

static inline enum vm_state state_of(struct run *r)
{
	enum vm_state s;

	(void)pthread_mutex_lock(&r->vm->mutex);
	s = r->vm->seen;
	(void)pthread_mutex_unlock(&r->vm->mutex);
	return s;
}

static inline void await(struct run *r, enum vm_state s)
{
	(void)pthread_mutex_lock(&r->vm->mutex);
	while (r->vm->seen != s)
		(void)pthread_cond_wait(&r->vm->changed, &r->vm->mutex);
	(void)pthread_mutex_unlock(&r->vm->mutex);
}

/* The main loop comes around, and sees whether anything has changed. */
static inline void let_it_look(struct run *r)
{
	const unsigned before = count(&fake.nmis);

	sill_vm_nmi(r->vm);
	while (count(&fake.nmis) == before)
		sched_yield();
}

/* Returns when the loop turns. */
static inline void begin(struct run *r)
{
	assert_int_equal(pthread_create(&r->thread, NULL, run_main, r), 0);
	let_it_look(r);
}

/* The devices come to rest. */
static inline void drain(void)
{
	set(&fake.busy, false);
	fake.hooks.progress(fake.hooks.ctx);
}

/* A pause on a thread of its own, which waits for the devices. */
struct pauser {
	struct run *r;
	pthread_t thread;
	int ret;
	struct sill_err e;
	bool done; /* atomic */
};

static inline void *pause_main(void *ctx)
{
	struct pauser *p = ctx;

	p->ret = sill_vm_pause(p->r->vm, &p->e);
	set(&p->done, true);
	return NULL;
}

static inline void pause_begin(struct run *r, struct pauser *p)
{
	*p = (struct pauser){ .r = r };
	assert_int_equal(pthread_create(&p->thread, NULL, pause_main, p), 0);
	await(r, VM_PAUSING);
}

static inline int pause_end(struct pauser *p)
{
	(void)pthread_join(p->thread, NULL);
	return p->ret;
}

/* A VM whose test has failed would go on beside the next test: the first failure ends the program, and is said. */
#define run_vm_tests(tests) \
	(setenv("CMOCKA_TEST_ABORT", "1", 1) == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1)

static inline int resume(struct run *r)
{
	struct sill_err e = { 0 };

	return sill_vm_resume(r->vm, &e);
}

#endif
