/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug.c - a debugger at a VM. Any thread gives an order, the main loop carries it out.
 *
 * A stop is a pause that only the debugger ends. A vCPU that traps says so (REQ_TRAP) and parks; the others follow,
 * the devices come to rest, and then the debugger is told. The traps of soft points are in the guest's memory only
 * while it runs: from run_on() to the next pause or reset. So what is read, saved or dumped is the guest's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/gmem.h"
#include "vm/vm.h"

enum { PAGE = 4096, TRAP_MAX = 8 };

struct vm_debug {
	bool attached;
	bool holds; /* it is stopped, or on its way */
	bool told;  /* that it is */
	bool found_paused; /* for somebody else, who is to find it so afterwards, unless the debugger lets it go on */
	bool in_memory; /* the traps of soft points */
	struct arch_points points;
	struct {
		uint64_t gpa;
		bool in;               /* the trap is there, */
		uint8_t had[TRAP_MAX]; /* in the place of this */
	} soft[SILL_DEBUG_MAX_SOFT];   /* as points.soft[] */
	enum sill_debug_act act[SILL_MAX_CPUS];
	void (*fn)(void *ctx);
	void *ctx;
	struct sill_debug_stop stop; /* with the VM's mutex, while it is held */
};

/* --- on the main loop, from vm.c ----------------------------------------- */

bool vm_debug_holds(const struct sill_vm *vm)
{
	return vm->debug != NULL && vm->debug->holds;
}

static void publish(struct sill_vm *vm, bool held, const struct sill_debug_stop *stop)
{
	(void)pthread_mutex_lock(&vm->mutex);
	vm->held = held;
	if (stop != NULL)
		vm->debug->stop = *stop;
	(void)pthread_cond_broadcast(&vm->changed);
	(void)pthread_mutex_unlock(&vm->mutex);
}

bool vm_debug_is_alone(const struct sill_vm *vm)
{
	return vm_debug_holds(vm) && !vm->debug->found_paused;
}

void vm_debug_pause(struct sill_vm *vm)
{
	if (vm_debug_holds(vm))
		vm->debug->found_paused = true;
}

void vm_debug_trapped(struct sill_vm *vm)
{
	struct vm_debug *d = vm->debug;

	if (d == NULL || !d->attached || d->holds)
		return;
	d->holds = true;
	d->told = false;
	d->found_paused = vm->pausing;
	(void)__atomic_or_fetch(&vm->requests, (unsigned)REQ_PAUSE, __ATOMIC_SEQ_CST);
}

/* A trap that is forgotten would come again, but that of memory which is watched: it comes after the access. */
static bool is_lost(const struct cpu *c)
{
	return c->trapped && c->trap.why == SILL_DEBUG_POINT && c->trap.point != SILL_DEBUG_SOFT &&
	       c->trap.point != SILL_DEBUG_HARD;
}

/* The one that is told: what would be lost first. */
static struct cpu *next_trap(struct sill_vm *vm)
{
	struct cpu *ret = NULL;

	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		struct cpu *c = &vm->vcpus[i].cpu;

		if (is_lost(c))
			return c;
		if (c->trapped && ret == NULL)
			ret = c;
	}
	return ret;
}

void vm_debug_tell(struct sill_vm *vm)
{
	struct vm_debug *d = vm->debug;
	struct sill_debug_stop stop = { .why = SILL_DEBUG_ASKED };
	struct cpu *c;

	if (d == NULL || !d->holds || d->told)
		return;
	c = next_trap(vm);
	if (c != NULL) {
		stop = c->trap;
		c->trapped = false;
	}
	d->told = true;
	publish(vm, true, &stop);
	d->fn(d->ctx);
}

/* Another point may have put its trap there before: what it found is what the guest has. */
static void put_trap(struct sill_vm *vm, unsigned i)
{
	struct vm_debug *d = vm->debug;

	d->soft[i].in = false;
	for (unsigned j = 0; j < i; j++)
		if (d->soft[j].in && d->soft[j].gpa == d->soft[i].gpa)
			return;
	if (gmem_read(vm->machine.gmem, d->soft[i].gpa, d->soft[i].had, arch_trap_size) == 0)
		d->soft[i].in = gmem_write(vm->machine.gmem, d->soft[i].gpa, arch_trap,
					   arch_trap_size) == 0;
}

/* What the guest has put there meanwhile stays. */
static void take_trap(struct sill_vm *vm, unsigned i)
{
	struct vm_debug *d = vm->debug;
	uint8_t now[TRAP_MAX];

	if (d->soft[i].in &&
	    gmem_read(vm->machine.gmem, d->soft[i].gpa, now, arch_trap_size) == 0 &&
	    memcmp(now, arch_trap, arch_trap_size) == 0 &&
	    gmem_write(vm->machine.gmem, d->soft[i].gpa, d->soft[i].had, arch_trap_size) < 0)
		log_line(LOG_WARN, "%s: a debugger's trap stays at 0x%llx", vm->machine.name,
			 (unsigned long long)d->soft[i].gpa);
	d->soft[i].in = false;
}

void vm_debug_arm(struct sill_vm *vm)
{
	struct vm_debug *d = vm->debug;
	struct sill_err e = { 0 };

	if (d == NULL || !d->attached)
		return;
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = &vm->vcpus[i];

		if (!v->started)
			continue;
		if (arch_cpu_debug(&v->cpu, &d->points, d->act[i] == SILL_DEBUG_GO_STEP, &e) < 0)
			log_guest_at(&vm->stalls, LOG_WARN, vm->machine.name, "%s", e.msg);
		vcpu_set_stay(v, d->act[i] == SILL_DEBUG_STAY);
	}
	for (unsigned i = 0; !d->in_memory && i < d->points.soft_count; i++)
		put_trap(vm, i);
	d->in_memory = true;
}

void vm_debug_disarm(struct sill_vm *vm)
{
	struct vm_debug *d = vm->debug;

	if (d == NULL || !d->in_memory)
		return;
	for (unsigned i = 0; i < d->points.soft_count; i++)
		take_trap(vm, i);
	d->in_memory = false;
}

/* Memory is not what it was: points in it would be in the way of who boots. */
void vm_debug_reset(struct sill_vm *vm)
{
	vm_debug_disarm(vm);
	if (vm->debug == NULL)
		return;
	vm->debug->points.soft_count = 0;
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vm->vcpus[i].cpu.trapped = false;
	if (vm->debug->told) { /* and it is told again */
		vm->debug->told = false;
		publish(vm, false, NULL);
	}
}

/* --- orders --------------------------------------------------------------- */

struct debug_order {
	struct order order; /* first */
	void (*fn)(void *ctx);
	void *ctx;
	const enum sill_debug_act *act;
	unsigned count; /* of these */
	bool *present;
	unsigned vcpu;
	const struct sill_debug_place *at;
	void *out;
	const void *in;
	size_t n;
	enum sill_debug_point kind;
	uint64_t address;
};

static int no_debugger(struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_STATE, "no debugger is attached");
}

/* Stopped for the debugger, and at rest; with its vCPU there, if it has to do with one. */
static int check_stopped(const struct sill_vm *vm, int vcpu, struct sill_err *e)
{
	const struct vm_debug *d = vm->debug;

	if (d == NULL || !d->attached)
		return no_debugger(e);
	if (vm->state != VM_PAUSED || !d->holds || !d->told)
		return sill_err_set(e, SILL_ERR_STATE, "the guest runs");
	if (vcpu != SILL_DEBUG_PHYSICAL &&
	    (vcpu < 0 || (unsigned)vcpu >= vm->vcpu_count || !vm->vcpus[vcpu].started))
		return sill_err_set(e, SILL_ERR_LIMIT, "there is no vCPU %d", vcpu);
	return 0;
}

static void go_all(struct vm_debug *d)
{
	for (unsigned i = 0; i < SILL_MAX_CPUS; i++)
		d->act[i] = SILL_DEBUG_GO;
}

static int attach(struct sill_vm *vm, struct order *order)
{
	const struct debug_order *o = (const struct debug_order *)order;
	struct vm_debug *d = vm->debug;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	if (d != NULL && d->attached)
		return sill_err_set(order->e, SILL_ERR_STATE, "there is a debugger already");
	if (d == NULL)
		d = vm->debug = calloc(1, sizeof(*d));
	if (d == NULL)
		return sill_err_sys(order->e, ENOMEM, "debugger");
	/* Can it be done at all? */
	if (arch_cpu_debug(&vm->vcpus[0].cpu, &d->points, false, order->e) < 0)
		return -1;
	d->attached = true;
	d->fn = o->fn;
	d->ctx = o->ctx;
	go_all(d);
	vm_debug_trapped(vm);
	log_guest_at(&vm->pauses, LOG_INFO, vm->machine.name, "a debugger is attached");
	return 0;
}

static int detach(struct sill_vm *vm, struct order *order)
{
	struct vm_debug *d = vm->debug;
	struct sill_err why = { 0 };

	if (d == NULL || !d->attached)
		return no_debugger(order->e);
	vm_debug_disarm(vm);
	d->attached = false;
	memset(&d->points, 0, sizeof(d->points));
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		vm->vcpus[i].cpu.trapped = false;
		/* Also of one that has gone meanwhile: it may come again. */
		if (arch_cpu_debug(&vm->vcpus[i].cpu, NULL, false, &why) < 0)
			log_line(LOG_WARN, "%s: %s", vm->machine.name, why.msg);
		vcpu_set_stay(&vm->vcpus[i], false);
	}
	/* Somebody wants it paused, and has been told that it is. */
	if (vm->pausing && (__atomic_load_n(&vm->requests, __ATOMIC_SEQ_CST) & REQ_PAUSE) != 0)
		d->found_paused = true;
	/* Who asked for that when it was stopped already was refused. */
	(void)__atomic_and_fetch(&vm->requests, ~(unsigned)REQ_RESUME, __ATOMIC_SEQ_CST);
	/* A pause for it that has not begun yet comes, and goes. */
	if (d->holds && !d->found_paused)
		vm_ask(vm, REQ_RESUME);
	d->holds = false;
	publish(vm, false, NULL);
	log_guest_at(&vm->pauses, LOG_INFO, vm->machine.name, "the debugger is gone");
	return 0;
}

static int stop_it(struct sill_vm *vm, struct order *order)
{
	if (vm->debug == NULL || !vm->debug->attached)
		return no_debugger(order->e);
	vm_ask(vm, REQ_TRAP);
	return 0;
}

static int go_on(struct sill_vm *vm, struct order *order)
{
	const struct debug_order *o = (const struct debug_order *)order;
	struct vm_debug *d = vm->debug;
	bool any = false, lost = false;

	if (check_stopped(vm, SILL_DEBUG_PHYSICAL, order->e) < 0)
		return -1;
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		any |= i < o->count && vm->vcpus[i].started && o->act[i] != SILL_DEBUG_STAY;
	if (!any)
		return sill_err_set(order->e, SILL_ERR_LIMIT, "no vCPU is to go on");
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		lost |= is_lost(&vm->vcpus[i].cpu);
		vm->vcpus[i].cpu.trapped &= is_lost(&vm->vcpus[i].cpu);
	}
	for (unsigned i = 0; i < SILL_MAX_CPUS; i++)
		d->act[i] = i < o->count ? o->act[i] : SILL_DEBUG_STAY;
	publish(vm, false, NULL);
	d->told = false;
	if (lost) { /* it has stopped already */
		vm_ask(vm, 0);
		return 0;
	}
	d->holds = false;
	vm_ask(vm, REQ_RESUME);
	return 0;
}

static int list(struct sill_vm *vm, struct order *order)
{
	const struct debug_order *o = (const struct debug_order *)order;
	int n = 0;

	for (unsigned i = 0; i < SILL_MAX_CPUS; i++) {
		o->present[i] = i < vm->vcpu_count && vm->vcpus[i].started;
		n += o->present[i];
	}
	return n;
}

static int registers(struct sill_vm *vm, struct order *order)
{
	const struct debug_order *o = (const struct debug_order *)order;
	const struct sill_debug_register *r;
	unsigned count;
	size_t size = 0;

	if (check_stopped(vm, (int)o->vcpu, order->e) < 0)
		return -1;
	r = arch_debug_registers(&count);
	for (unsigned i = 0; i < count; i++)
		size += r[i].size;
	if (size != o->n)
		return sill_err_set(order->e, SILL_ERR_INTERNAL, "the registers are %zu bytes",
				    size);
	return o->out != NULL ? arch_cpu_debug_get(&vm->vcpus[o->vcpu].cpu, o->out, order->e)
			      : arch_cpu_debug_set(&vm->vcpus[o->vcpu].cpu, o->in, order->e);
}

/* --- memory ---------------------------------------------------------------- */

/* Where it is; *ret_n is so much of @n as is sure to lie behind it. */
static bool find(const struct sill_vm *vm, const struct sill_debug_place *at, size_t n,
		 uint64_t *ret_gpa, size_t *ret_n)
{
	const size_t left = PAGE - at->address % PAGE;

	*ret_n = n < left ? n : left;
	if (at->vcpu != SILL_DEBUG_PHYSICAL)
		return arch_cpu_translate(&vm->vcpus[at->vcpu].cpu, at->address, ret_gpa);
	*ret_gpa = at->address;
	return true;
}

static int nothing_there(uint64_t address, struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_LIMIT, "no memory at 0x%llx", (unsigned long long)address);
}

static int read_memory(struct sill_vm *vm, struct order *order)
{
	const struct debug_order *o = (const struct debug_order *)order;
	struct sill_debug_place at = *o->at;
	uint8_t *to = o->out;
	size_t done = 0, n;
	uint64_t gpa;

	if (check_stopped(vm, at.vcpu, order->e) < 0)
		return -1;
	while (done < o->n && find(vm, &at, o->n - done, &gpa, &n) &&
	       gmem_read(vm->machine.gmem, gpa, to + done, n) == 0) {
		done += n;
		at.address += n;
	}
	return done > 0 || o->n == 0 ? (int)done : nothing_there(at.address, order->e);
}

static int write_memory(struct sill_vm *vm, struct order *order)
{
	const struct debug_order *o = (const struct debug_order *)order;
	const uint8_t *from = o->in;
	size_t n;

	if (check_stopped(vm, o->at->vcpu, order->e) < 0)
		return -1;
	/* Twice: first only to look. */
	for (unsigned turn = 0; turn < 2; turn++) {
		struct sill_debug_place at = *o->at;

		for (size_t done = 0; done < o->n; done += n, at.address += n) {
			uint64_t gpa;

			if (!find(vm, &at, o->n - done, &gpa, &n) ||
			    !gmem_is_ram(vm->machine.gmem, gpa, n) ||
			    (turn == 1 && gmem_write(vm->machine.gmem, gpa, from + done, n) < 0))
				return nothing_there(at.address, order->e);
		}
	}
	return 0;
}

/* --- points ---------------------------------------------------------------- */

static int no_room(struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_LIMIT, "no room for one more point");
}

/*
 * By the page tables that the vCPU has now; those of another one will do where they know nothing: a kernel keeps
 * most of itself out of those of its programs.
 */
static bool find_anywhere(const struct sill_vm *vm, const struct sill_debug_place *at,
			  uint64_t *ret)
{
	struct sill_debug_place other = *at;
	size_t n;

	if (find(vm, at, 1, ret, &n))
		return true;
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		other.vcpu = (int)i;
		if (vm->vcpus[i].started && find(vm, &other, 1, ret, &n))
			return true;
	}
	return false;
}

static int set_soft(struct sill_vm *vm, const struct debug_order *o, struct sill_err *e)
{
	struct vm_debug *d = vm->debug;
	struct arch_points *p = &d->points;
	uint64_t gpa;

	if (!find_anywhere(vm, o->at, &gpa) || !gmem_is_ram(vm->machine.gmem, gpa, arch_trap_size))
		return nothing_there(o->at->address, e);
	for (unsigned i = 0; i < p->soft_count; i++)
		if (p->soft[i] == o->at->address && d->soft[i].gpa == gpa)
			return 0;
	if (p->soft_count == SILL_DEBUG_MAX_SOFT)
		return no_room(e);
	d->soft[p->soft_count].gpa = gpa;
	d->soft[p->soft_count].in = false;
	p->soft[p->soft_count++] = o->at->address;
	return 0;
}

static void clear_soft(struct vm_debug *d, uint64_t address)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < d->points.soft_count; i++) {
		if (d->points.soft[i] == address)
			continue;
		d->points.soft[kept] = d->points.soft[i];
		d->soft[kept++] = d->soft[i];
	}
	d->points.soft_count = kept;
}

/* The largest piece that a debug register takes of what begins at @address. */
static uint8_t piece(uint64_t address, size_t n)
{
	uint8_t size = 8;

	while (size > n || address % size != 0)
		size /= 2;
	return size;
}

static void clear_hard(struct arch_points *p, enum sill_debug_point kind, uint64_t address,
		       size_t size)
{
	for (unsigned i = 0; i < ARCH_HARD_POINTS; i++)
		if (p->hard[i].used && p->hard[i].kind == kind && p->hard[i].address >= address &&
		    p->hard[i].address - address < size)
			p->hard[i].used = false;
}

static bool add_hard(struct arch_points *p, enum sill_debug_point kind, uint64_t address,
		     uint8_t size)
{
	for (unsigned i = 0; i < ARCH_HARD_POINTS; i++) {
		if (p->hard[i].used)
			continue;
		p->hard[i].used = true;
		p->hard[i].kind = kind;
		p->hard[i].address = address;
		p->hard[i].size = size;
		return true;
	}
	return false;
}

static int set_hard(struct arch_points *p, const struct debug_order *o, struct sill_err *e)
{
	const struct arch_points before = *p;
	const size_t size = o->kind == SILL_DEBUG_HARD ? 1 : o->n;
	uint8_t n;

	if (!arch_has_point(o->kind) || size == 0 || size > ARCH_HARD_POINTS * 8)
		return sill_err_set(e, SILL_ERR_LIMIT, "the processor has no such point");
	clear_hard(p, o->kind, o->at->address, size); /* it may be set again */
	for (size_t done = 0; done < size; done += n) {
		n = piece(o->at->address + done, size - done);
		if (!add_hard(p, o->kind, o->at->address + done, n)) {
			*p = before;
			return no_room(e);
		}
	}
	return 0;
}

static int set_point(struct sill_vm *vm, struct order *order)
{
	const struct debug_order *o = (const struct debug_order *)order;

	if (check_stopped(vm, o->at->vcpu, order->e) < 0)
		return -1;
	return o->kind == SILL_DEBUG_SOFT ? set_soft(vm, o, order->e)
					  : set_hard(&vm->debug->points, o, order->e);
}

static int clear_point(struct sill_vm *vm, struct order *order)
{
	const struct debug_order *o = (const struct debug_order *)order;

	if (check_stopped(vm, SILL_DEBUG_PHYSICAL, order->e) < 0)
		return -1;
	if (o->kind == SILL_DEBUG_SOFT)
		clear_soft(vm->debug, o->address);
	else
		clear_hard(&vm->debug->points, o->kind, o->address,
			   o->kind == SILL_DEBUG_HARD ? 1 : o->n);
	return 0;
}

/* --- any thread -------------------------------------------------------------- */

static int give(struct sill_vm *vm, struct debug_order *o)
{
	return vm_check_caller(vm, o->order.e) < 0 ? -1 : vm_order(vm, &o->order);
}

int sill_debug_attach(struct sill_vm *vm, void (*fn)(void *ctx), void *ctx, struct sill_err *e)
{
	struct debug_order o = { .order = { .fn = attach, .parked = true, .e = e },
				 .fn = fn,
				 .ctx = ctx };

	return give(vm, &o);
}

int sill_debug_detach(struct sill_vm *vm, struct sill_err *e)
{
	struct debug_order o = { .order = { .fn = detach, .parked = true, .e = e } };

	return give(vm, &o);
}

int sill_debug_stop(struct sill_vm *vm, struct sill_err *e)
{
	struct debug_order o = { .order = { .fn = stop_it, .e = e } };

	return give(vm, &o);
}

bool sill_debug_stopped(struct sill_vm *vm, struct sill_debug_stop *ret)
{
	bool held;

	(void)pthread_mutex_lock(&vm->mutex);
	held = vm->held;
	if (held)
		*ret = vm->debug->stop;
	(void)pthread_mutex_unlock(&vm->mutex);
	return held;
}

int sill_debug_go(struct sill_vm *vm, const enum sill_debug_act *act, unsigned count,
		  struct sill_err *e)
{
	struct debug_order o = { .order = { .fn = go_on, .e = e }, .act = act, .count = count };

	return give(vm, &o);
}

int sill_debug_vcpus(struct sill_vm *vm, bool ret[SILL_MAX_CPUS], struct sill_err *e)
{
	struct debug_order o = { .order = { .fn = list, .e = e }, .present = ret };

	return give(vm, &o);
}

const struct sill_debug_register *sill_debug_registers(unsigned *ret_count)
{
	return arch_debug_registers(ret_count);
}

const char *sill_debug_processor(void)
{
	return arch_debug_processor();
}

int sill_debug_get(struct sill_vm *vm, unsigned vcpu, void *ret, size_t size, struct sill_err *e)
{
	struct debug_order o = {
		.order = { .fn = registers, .e = e }, .vcpu = vcpu, .out = ret, .n = size
	};

	return give(vm, &o);
}

int sill_debug_set(struct sill_vm *vm, unsigned vcpu, const void *block, size_t size,
		   struct sill_err *e)
{
	struct debug_order o = {
		.order = { .fn = registers, .e = e }, .vcpu = vcpu, .in = block, .n = size
	};

	return give(vm, &o);
}

int sill_debug_read(struct sill_vm *vm, const struct sill_debug_place *at, void *ret, size_t n,
		    struct sill_err *e)
{
	struct debug_order o = { .order = { .fn = read_memory, .e = e },
				 .at = at,
				 .out = ret,
				 .n = n < SILL_DEBUG_MAX_BYTES ? n : SILL_DEBUG_MAX_BYTES };

	return give(vm, &o);
}

int sill_debug_write(struct sill_vm *vm, const struct sill_debug_place *at, const void *p, size_t n,
		     struct sill_err *e)
{
	struct debug_order o = {
		.order = { .fn = write_memory, .e = e }, .at = at, .in = p, .n = n
	};

	if (n > SILL_DEBUG_MAX_BYTES)
		return sill_err_set(e, SILL_ERR_LIMIT, "%zu bytes at once", n);
	return give(vm, &o);
}

int sill_debug_set_point(struct sill_vm *vm, enum sill_debug_point kind,
			 const struct sill_debug_place *at, size_t size, struct sill_err *e)
{
	struct debug_order o = {
		.order = { .fn = set_point, .e = e }, .kind = kind, .at = at, .n = size
	};

	return give(vm, &o);
}

int sill_debug_clear_point(struct sill_vm *vm, enum sill_debug_point kind, uint64_t address,
			   size_t size, struct sill_err *e)
{
	struct debug_order o = {
		.order = { .fn = clear_point, .e = e }, .kind = kind, .address = address, .n = size
	};

	return give(vm, &o);
}
