/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_vm.c - the states of a VM: pauses that wait for devices, what may come between,
 * saving. vm/ itself on a machine, a board and vCPUs of this file.
 */
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

/* What is below has other names here, and vm/ is built with them; order.c is the library's own. */
/* clang-format off */
#define arch_board_create fake_arch_board_create
#define arch_board_destroy fake_arch_board_destroy
#define arch_board_load fake_arch_board_load
#define arch_board_save fake_arch_board_save
#define arch_board_start fake_arch_board_start
#define arch_clock_gap fake_arch_clock_gap
#define arch_clock_start fake_arch_clock_start
#define arch_clock_stop fake_arch_clock_stop
#define arch_clock_stop_again fake_arch_clock_stop_again
#define arch_clock_tell fake_arch_clock_tell
#define arch_clock_turn_back fake_arch_clock_turn_back
#define arch_cpu_load fake_arch_cpu_load
#define arch_cpu_nmi fake_arch_cpu_nmi
#define arch_cpu_reset fake_arch_cpu_reset
#define arch_cpu_save fake_arch_cpu_save
#define arch_cpus_create fake_arch_cpus_create
#define arch_cpus_destroy fake_arch_cpus_destroy
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
#define machine_load fake_machine_load
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
#define vcpu_start fake_vcpu_start
/* clang-format on */
#include "vm/ask.c"
#include "vm/order.c"
#include "vm/save.c"
#include "vm/vm.c"

/* --- what is below vm/ --------------------------------------------------- */

/* Atomic: the tests' thread looks on. */
static struct {
	bool busy; /* a device has work in flight */
	bool paused, stopped, link_up;
	unsigned resets, pauses, resumes, saves, loads, nmis;
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

int machine_init(struct machine *m, const char *name, const struct dev_env *hooks,
		 struct loop *loop, struct sill_err *e)
{
	*m = (struct machine){ .name = strdup(name), .loop = loop };
	vmclock_init(&m->clock);
	m->gmem = gmem_create(NULL, e);
	fake.hooks = *hooks;
	return m->name != NULL && m->gmem != NULL ? 0 : -1;
}

void machine_fini(struct machine *m)
{
	gmem_destroy(m->gmem);
	free(m->name);
}

void machine_remove_devices(struct machine *m)
{
	(void)m;
}

void machine_pause(struct machine *m)
{
	(void)m;
	set(&fake.paused, true);
	add(&fake.pauses);
}

void machine_resume(struct machine *m)
{
	(void)m;
	set(&fake.paused, false);
	add(&fake.resumes);
}

void machine_reset(struct machine *m)
{
	(void)m;
	assert_false(get(&fake.paused));
	add(&fake.resets);
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
	(void)c;
	(void)files;
	(void)e;
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

/* vCPUs that stand as soon as they are told to. */

const char *cause_text(enum cause c)
{
	(void)c;
	return "a test";
}

void vcpu_gate_init(struct vcpu_gate *g, struct vcpu *vcpus, unsigned n)
{
	*g = (struct vcpu_gate){ .closed = true, .vcpus = vcpus, .count = n };
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
	(void)e;
	*v = (struct vcpu){ .cpu = { .index = index }, .gate = g };
	return 0;
}

int vcpu_start(struct vcpu *v, const struct sill_cpus_config *c, struct sill_err *e)
{
	(void)v;
	(void)c;
	(void)e;
	return 0;
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
	unsigned events; /* atomic: of disks */
	char told[64];   /* the others, a letter each; the main loop's until it has ended */
};

static void on_event(void *ctx, const struct sill_event *event)
{
	static const char letters[] = {
		[SILL_EVENT_RUNNING] = 'b', [SILL_EVENT_PAUSED] = 'p', [SILL_EVENT_RESUMED] = 'r',
		[SILL_EVENT_RESET] = 'n',   [SILL_EVENT_ENDING] = 'e',
	};
	struct run *r = ctx;
	const size_t n = strlen(r->told);

	if (event->kind == SILL_EVENT_DISK) {
		assert_string_equal(event->id, "disk0");
		add(&r->events);
	} else if (n + 1 < sizeof(r->told)) {
		r->told[n] = letters[event->kind];
	}
	if (event->kind == SILL_EVENT_ENDING)
		assert_string_equal(event->what, "stopped");
}

static void *run_main(void *ctx)
{
	struct run *r = ctx;
	struct sill_err e = { 0 };

	r->end = sill_vm_run(r->vm, &e);
	return NULL;
}

static void create(struct run *r)
{
	struct sill_net_config net = { .id = (char *)(uintptr_t) "lan" };
	struct sill_config c = { .name = (char *)(uintptr_t) "vm",
				 .cpus = { .boot = 2, .max = 2 },
				 .net = &net,
				 .net_count = 1 };
	struct sill_files files = { 0 };
	struct sill_err e = { 0 };

	*r = (struct run){ 0 };
	memset(&fake, 0, sizeof(fake));
	r->vm = sill_vm_create(&c, &files, &e);
	if (r->vm == NULL)
		fail_msg("%s", e.msg);
	sill_vm_set_event(r->vm, on_event, r);
}

static void end(struct run *r)
{
	sill_vm_stop(r->vm);
	(void)pthread_join(r->thread, NULL);
	assert_int_equal(r->end, SILL_END_STOPPED);
	assert_true(fake.stopped);
	sill_vm_destroy(r->vm);
}

static enum vm_state state_of(struct run *r)
{
	enum vm_state s;

	(void)pthread_mutex_lock(&r->vm->mutex);
	s = r->vm->seen;
	(void)pthread_mutex_unlock(&r->vm->mutex);
	return s;
}

static void await(struct run *r, enum vm_state s)
{
	(void)pthread_mutex_lock(&r->vm->mutex);
	while (r->vm->seen != s)
		(void)pthread_cond_wait(&r->vm->changed, &r->vm->mutex);
	(void)pthread_mutex_unlock(&r->vm->mutex);
}

/* The main loop comes around, and sees whether anything has changed. */
static void let_it_look(struct run *r)
{
	const unsigned before = count(&fake.nmis);

	sill_vm_nmi(r->vm);
	while (count(&fake.nmis) == before)
		sched_yield();
}

/* Returns when the loop turns. */
static void begin(struct run *r)
{
	assert_int_equal(pthread_create(&r->thread, NULL, run_main, r), 0);
	let_it_look(r);
}

/* The devices come to rest. */
static void drain(void)
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

static void *pause_main(void *ctx)
{
	struct pauser *p = ctx;

	p->ret = sill_vm_pause(p->r->vm, &p->e);
	set(&p->done, true);
	return NULL;
}

static void pause_begin(struct run *r, struct pauser *p)
{
	*p = (struct pauser){ .r = r };
	assert_int_equal(pthread_create(&p->thread, NULL, pause_main, p), 0);
	await(r, VM_PAUSING);
}

static int pause_end(struct pauser *p)
{
	(void)pthread_join(p->thread, NULL);
	return p->ret;
}

static int resume(struct run *r)
{
	struct sill_err e = { 0 };

	return sill_vm_resume(r->vm, &e);
}

/* --- tests ---------------------------------------------------------------- */

static void vm_pause__returns_when_the_devices_have_come_to_rest(void **state)
{
	struct sill_err e = { 0 };
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	let_it_look(&r);
	assert_false(get(&p.done));
	assert_int_equal(state_of(&r), VM_PAUSING);
	drain();
	assert_int_equal(pause_end(&p), 0);
	assert_int_equal(state_of(&r), VM_PAUSED);
	/* Again is nothing. */
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(count(&fake.pauses), 1);
	assert_int_equal(resume(&r), 0);
	assert_int_equal(state_of(&r), VM_RUNNING);
	end(&r);
}

static void vm_pause__a_resume_need_not_wait_for_devices(void **state)
{
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	assert_int_equal(resume(&r), 0);
	assert_int_equal(pause_end(&p), -1);
	assert_int_equal(p.e.code, SILL_ERR_STATE);
	assert_non_null(strstr(p.e.msg, "resumed before"));
	assert_int_equal(state_of(&r), VM_RUNNING);
	assert_false(get(&fake.paused));
	/* And as from a signal handler. */
	pause_begin(&r, &p);
	sill_vm_ask_resume(r.vm);
	assert_int_equal(pause_end(&p), -1);
	set(&fake.busy, false);
	end(&r);
}

static void vm_pause__two_at_once_both_wait(void **state)
{
	struct pauser p, q;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	pause_begin(&r, &q);
	drain();
	assert_int_equal(pause_end(&p), 0);
	assert_int_equal(pause_end(&q), 0);
	end(&r);
}

static void vm_pause__survives_a_reset_in_the_middle(void **state)
{
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	sill_vm_reset(r.vm);
	await(&r, VM_RESETTING);
	assert_false(get(&p.done));
	drain();
	assert_int_equal(pause_end(&p), 0);
	assert_int_equal(count(&fake.resets), 1);
	assert_int_equal(state_of(&r), VM_PAUSED);
	assert_true(get(&fake.paused));
	end(&r);
}

static void vm_pause__a_stop_ends_it(void **state)
{
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	sill_vm_stop(r.vm);
	assert_int_equal(pause_end(&p), -1);
	assert_int_equal(state_of(&r), VM_ENDING);
	drain();
	end(&r);
}

/* A request that fails while the devices come to rest: one pause, and it is told when it is complete. */
static void vm_pause__meets_an_error_that_stops(void **state)
{
	struct pauser p;
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	set(&fake.busy, true);
	pause_begin(&r, &p);
	fake.hooks.stall(fake.hooks.ctx, "disk0", "write", ENOSPC);
	let_it_look(&r);
	assert_int_equal(count(&r.events), 0);
	drain();
	assert_int_equal(pause_end(&p), 0);
	while (count(&r.events) == 0)
		sched_yield();
	assert_int_equal(resume(&r), 0);
	assert_int_equal(state_of(&r), VM_RUNNING);
	assert_int_equal(count(&fake.pauses), 1);
	end(&r);
}

static void vm_save__only_when_paused(void **state)
{
	struct sill_err e = { 0 };
	struct pauser p;
	struct run r;
	size_t size;
	void *bytes;

	(void)state;
	create(&r);
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), -1);
	begin(&r);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), -1);
	assert_string_equal(e.msg, "the virtual machine is not paused");
	set(&fake.busy, true);
	pause_begin(&r, &p);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), -1);
	drain();
	assert_int_equal(pause_end(&p), 0);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), 0);
	assert_int_equal(count(&fake.saves), 1);
	free(bytes);
	/* It is paused as before. */
	assert_int_equal(state_of(&r), VM_PAUSED);
	end(&r);
}

static void vm_load__begins_paused(void **state)
{
	struct sill_err e = { 0 };
	struct run r;
	size_t size;
	void *bytes;

	(void)state;
	create(&r);
	begin(&r);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(sill_vm_save(r.vm, &bytes, &size, &e), 0);
	end(&r);
	create(&r);
	assert_int_equal(sill_vm_load(r.vm, bytes, size, &e), 0);
	set(&fake.busy, true); /* what the load has begun to write */
	begin(&r);
	await(&r, VM_PAUSING);
	drain();
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(count(&fake.loads), 1);
	assert_int_equal(count(&fake.resets), 0);
	assert_int_equal(resume(&r), 0);
	assert_int_equal(state_of(&r), VM_RUNNING);
	end(&r);
	/* Cut, or with more behind it. */
	for (size_t n = 0; n < size; n++) {
		create(&r);
		e = (struct sill_err){ 0 };
		assert_int_equal(sill_vm_load(r.vm, bytes, n, &e), -1);
		assert_int_equal(e.code, SILL_ERR_STATE);
		sill_vm_destroy(r.vm);
	}
	free(bytes);
}

static void what_becomes_of_it__is_told_in_order(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	create(&r);
	begin(&r);
	assert_false(sill_vm_is_paused(r.vm));
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_true(sill_vm_is_paused(r.vm));
	assert_int_equal(sill_vm_resume(r.vm, &e), 0);
	assert_false(sill_vm_is_paused(r.vm));
	sill_vm_reset(r.vm);
	let_it_look(&r);
	await(&r, VM_RUNNING);
	end(&r);
	assert_string_equal(r.told, "bprne");
}

static enum sill_link link_now(const struct run *r)
{
	struct sill_config c;
	struct sill_err e = { 0 };
	enum sill_link link;

	assert_int_equal(sill_vm_config_now(r->vm, &c, &e), 0);
	assert_int_equal(c.net_count, 1);
	link = c.net[0].link;
	sill_config_free(&c);
	return link;
}

/* The value follows the cable: what a plan compares with is what is. */
static void vm_net_link__is_what_the_value_says(void **state)
{
	struct sill_err e = { 0 };
	struct run r;

	(void)state;
	create(&r);
	assert_int_equal(link_now(&r), SILL_LINK_UP);
	assert_int_equal(sill_vm_net_link(r.vm, "lan", false, &e),
			 0); /* this thread's, before it runs */
	assert_int_equal(link_now(&r), SILL_LINK_DOWN);
	begin(&r);
	assert_int_equal(sill_vm_net_link(r.vm, "lan", true, &e), 0);
	assert_true(get(&fake.link_up));
	assert_int_equal(link_now(&r), SILL_LINK_UP);
	assert_int_equal(sill_vm_net_link(r.vm, "wan", false, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_int_equal(sill_vm_pause(r.vm, &e), 0);
	assert_int_equal(sill_vm_net_link(r.vm, "lan", false, &e), 0);
	assert_false(get(&fake.link_up));
	assert_int_equal(link_now(&r), SILL_LINK_DOWN);
	assert_int_equal(sill_vm_config(r.vm)->net[0].link, SILL_LINK_UP); /* as it was made */
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vm_pause__returns_when_the_devices_have_come_to_rest),
		cmocka_unit_test(vm_pause__a_resume_need_not_wait_for_devices),
		cmocka_unit_test(vm_pause__two_at_once_both_wait),
		cmocka_unit_test(vm_pause__survives_a_reset_in_the_middle),
		cmocka_unit_test(vm_pause__a_stop_ends_it),
		cmocka_unit_test(vm_pause__meets_an_error_that_stops),
		cmocka_unit_test(vm_save__only_when_paused),
		cmocka_unit_test(vm_load__begins_paused),
		cmocka_unit_test(what_becomes_of_it__is_told_in_order),
		cmocka_unit_test(vm_net_link__is_what_the_value_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
