/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.c - the machine's life: run, pause, reset in place, power off.
 *
 * How it works: anybody (a device, a vCPU, another thread, a signal handler)
 * asks by setting a bit in vm->requests and waking the main loop; whoever is
 * on a vCPU also closes the gate, so that no guest instruction runs after the
 * one that asked. The main loop then advances the state below, one step each
 * time something has changed. It never waits: a vCPU on its way to the gate
 * may itself be waiting for work that the main loop does (a virtio reset).
 *
 *   RUNNING --request--> PARKING --all vCPUs parked--> RESETTING --drained--> RUNNING
 *                                                 `--> PAUSING --drained--> PAUSED
 *                                                 `--> ENDING --drained--> loop ends
 *
 * From PAUSING and PAUSED a resume leads to RUNNING, a reset to RESETTING and from
 * there to PAUSING again, a stop to ENDING. What each device and thread may do in
 * each state: docs/LOCKING.md, "Quiesce".
 */
#include "vm/vm.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/serial/chr.h"
#include "base/fd.h"
#include "base/log.h"
#include "machine/plug.h"
#include "sill/hardware.h"
#include "vm/exit.h"

/* A guest that only ever triple-faults is stopped: this many in a row, each within a second. */
enum { TRIPLE_FAULTS_MAX = 16 };
static const uint64_t TRIPLE_FAULT_NS = 1000000000ull;

/* A wait of this length is worth a line in the log: somebody will ask why nothing happens. */
static const uint64_t SLOW_NS = 10000000000ull;

/* --- asking ------------------------------------------------------------- */

void vm_ask(struct sill_vm *vm, enum request r)
{
	const uint64_t one = 1;
	int saved = errno;

	(void)__atomic_or_fetch(&vm->requests, (unsigned)r, __ATOMIC_SEQ_CST);
	if (write(vm->wake_fd, &one, sizeof(one)) < 0)
		errno = saved; /* full: it is awake */
	errno = saved;
}

/* Ask, and let no vCPU run on. */
static void ask_now(struct sill_vm *vm, enum request r, enum cause why)
{
	if (why != CAUSE_NONE)
		__atomic_store_n(&vm->why, why, __ATOMIC_RELAXED);
	(void)__atomic_or_fetch(&vm->requests, (unsigned)r, __ATOMIC_SEQ_CST);
	vcpu_gate_close(&vm->gate);
	vm_ask(vm, r);
}

static void device_request(void *ctx, enum machine_request r, const char *who)
{
	struct sill_vm *vm = ctx;

	__atomic_store_n(&vm->who, who, __ATOMIC_RELEASE);
	ask_now(vm, r == MACHINE_RESET ? REQ_RESET : REQ_OFF, CAUSE_DEVICE);
}

/* A disk keeps a request that the host has failed: nobody goes on until a person says so. */
static void device_stall(void *ctx, const char *id, const char *what, int err)
{
	struct sill_vm *vm = ctx;

	(void)pthread_mutex_lock(&vm->mutex);
	if (!vm->stall.pending) {
		vm->stall = (struct stall){ .pending = true, .what = what, .err = err };
		(void)snprintf(vm->stall.id, sizeof(vm->stall.id), "%s", id);
	}
	(void)pthread_mutex_unlock(&vm->mutex);
	ask_now(vm, REQ_PAUSE, CAUSE_NONE);
}

static void device_progress(void *ctx)
{
	vm_ask(ctx, 0);
}

static void device_answered(void *ctx)
{
	vm_ask(ctx, REQ_ANSWER);
}

static void device_listens(void *ctx)
{
	struct sill_vm *vm = ctx;

	__atomic_store_n(&vm->listens, true, __ATOMIC_SEQ_CST);
	vm_ask(vm, 0);
}

static void all_parked(void *ctx)
{
	vm_ask(ctx, 0);
}

static void vcpu_wants(void *ctx, enum vcpu_next next, unsigned index, enum cause why)
{
	struct sill_vm *vm = ctx;

	switch (next) {
	case VCPU_RESET:
		__atomic_store_n(&vm->broken_vcpu, index, __ATOMIC_RELAXED);
		ask_now(vm, REQ_RESET, why);
		break;
	case VCPU_OFF:
		ask_now(vm, REQ_OFF, why);
		break;
	case VCPU_BROKEN:
		__atomic_store_n(&vm->broken_vcpu, index, __ATOMIC_RELAXED);
		ask_now(vm, REQ_BROKEN, why);
		break;
	case VCPU_TRAP:
		ask_now(vm, REQ_TRAP, CAUSE_NONE);
		break;
	case VCPU_AGAIN:
	case VCPU_PARK:
		break;
	}
}

/* --- the power button --------------------------------------------------- */

/* On the main loop: the timer follows press_ns. The 30 seconds are the guest's: those of a pause do not count. */
static void arm_press(void *ctx)
{
	struct sill_vm *vm = ctx;
	const uint64_t at = __atomic_load_n(&vm->press_ns, __ATOMIC_SEQ_CST);

	if (at != 0 && !vm->pausing) /* resume_now() sets it again */
		loop_timer_set(vm->loop, &vm->press_again, vmclock_to_host(&vm->machine.clock, at));
	else
		loop_timer_cancel(vm->loop, &vm->press_again);
}

/* On the main loop: no second press. */
static void forget_press(struct sill_vm *vm)
{
	__atomic_store_n(&vm->press_ns, 0, __ATOMIC_SEQ_CST);
	arm_press(vm);
}

/* The timer. */
static void press_again(void *ctx)
{
	struct sill_vm *vm = ctx;
	uint64_t at = __atomic_load_n(&vm->press_ns, __ATOMIC_SEQ_CST);

	if (at == 0 || vm->pausing || vmclock_now(&vm->machine.clock) < at) {
		arm_press(vm);
		return;
	}
	/* Another first press since then has posted arm_press() for its own second one. */
	if (!__atomic_compare_exchange_n(&vm->press_ns, &at, 0, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return;
	if (arch_power_button(vm->board) == 0)
		log_guest_at(&vm->pauses, LOG_INFO, vm->machine.name,
			     "power button pressed again, as the guest is still up");
}

/* --- the steps, on the main loop ---------------------------------------- */

static enum cause cause_of(const struct sill_vm *vm)
{
	return __atomic_load_n(&vm->why, __ATOMIC_RELAXED);
}

static const char *reason(const struct sill_vm *vm)
{
	const char *who = __atomic_load_n(&vm->who, __ATOMIC_ACQUIRE);

	return cause_of(vm) == CAUSE_DEVICE && who != NULL ? who : cause_text(cause_of(vm));
}

/* Whoever sees a machine that does nothing finds out here what it waits for. */
static void is_slow(void *ctx)
{
	struct sill_vm *vm = ctx;
	static const char *const doing[VM_STATES] = {
		[VM_RESETTING] = "reset", [VM_PAUSING] = "pause", [VM_ENDING] = "end"
	};
	const unsigned seconds = (unsigned)(SLOW_NS / 1000000000ull);
	const char *who = machine_waits_for(&vm->machine);

	if (vm->state == VM_PARKING)
		log_guest(&vm->pauses, vm->machine.name, "vCPUs have not stopped within %u s",
			  seconds);
	else if (who != NULL && doing[vm->state] != NULL)
		log_guest(&vm->pauses, vm->machine.name,
			  "%s: %s still has work in flight after %u s", doing[vm->state], who,
			  seconds);
}

static void set_state(struct sill_vm *vm, enum vm_state s)
{
	vm->state = s;
	if (s == VM_RUNNING || s == VM_PAUSED)
		loop_timer_cancel(vm->loop, &vm->slow);
	else
		loop_timer_set(vm->loop, &vm->slow, host_now() + SLOW_NS);

	(void)pthread_mutex_lock(&vm->mutex);
	vm->seen = s;
	vm->resumes += vm->seen_pausing && !vm->pausing;
	vm->seen_pausing = vm->pausing;
	(void)pthread_cond_broadcast(&vm->changed);
	(void)pthread_mutex_unlock(&vm->mutex);
}

static unsigned take_requests(struct sill_vm *vm, unsigned mask)
{
	return __atomic_fetch_and(&vm->requests, ~mask, __ATOMIC_SEQ_CST) & mask;
}

static void tell(struct sill_vm *vm, enum sill_event_kind kind, const char *what)
{
	const struct sill_event event = { .kind = kind, .what = what };

	if (vm->event != NULL)
		vm->event(vm->event_ctx, &event);
}

static void begin_end(struct sill_vm *vm, enum sill_vm_end end)
{
	static const char *const why[] = {
		[SILL_END_POWER_OFF] = "power-off",
		[SILL_END_STOPPED] = "stopped",
		[SILL_END_FAULT] = "fault",
		[SILL_END_HOST] = "host",
	};

	vm->end = end;
	vm_crash_tell(vm, true);
	forget_press(vm);
	vm_save_now(vm); /* too late */
	machine_stop(&vm->machine);
	set_state(vm, VM_ENDING);
	tell(vm, SILL_EVENT_ENDING, why[end]);
}

static void run_on(struct sill_vm *vm)
{
	vm_debug_arm(vm);
	set_state(vm, VM_RUNNING);
	vcpu_gate_open(&vm->gate);
}

/* A boot from scratch: the first one and each after a reset. All vCPUs are parked. */
static int boot(struct sill_vm *vm, struct sill_err *e)
{
	if (arch_board_start(vm->board, e) < 0)
		return -1;
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (arch_cpu_reset(&vm->vcpus[i].cpu, e) < 0)
			return -1;
	vm->started_ns = host_now();
	return 0;
}

static void begin_reset(struct sill_vm *vm)
{
	log_guest_at(&vm->resets, LOG_INFO, vm->machine.name, "reset (%s)", reason(vm));
	if (cause_of(vm) == CAUSE_TRIPLE_FAULT && host_now() - vm->started_ns < TRIPLE_FAULT_NS) {
		if (++vm->triple_faults >= TRIPLE_FAULTS_MAX) {
			(void)sill_err_set(
				&vm->end_err, SILL_ERR_GUEST,
				"the guest triple-faults again and again, %d times in a row",
				TRIPLE_FAULTS_MAX);
			vcpu_dump(&vm->vcpus[__atomic_load_n(&vm->broken_vcpu, __ATOMIC_RELAXED)]);
			begin_end(vm, SILL_END_FAULT);
			return;
		}
	} else {
		vm->triple_faults = 0;
	}
	vm_crash_tell(vm, true);
	vm_debug_reset(vm);
	forget_press(vm);
	vm_eject_asked(vm);
	if (vm->pausing) /* devices reset while running; paused again afterwards */
		machine_resume(&vm->machine);
	machine_reset(&vm->machine);
	set_state(vm, VM_RESETTING);
}

static void finish_reset(struct sill_vm *vm)
{
	/* What the guest asked for before it stood still is answered by this reset. */
	(void)take_requests(vm, REQ_RESET | REQ_ANSWER | REQ_NMI);
	vm_let_go(vm);
	vm_cpus_settle(vm);
	vm_memory_settle(vm);
	if (boot(vm, &vm->end_err) < 0) {
		begin_end(vm, SILL_END_HOST);
		return;
	}
	vm_crash_anew(vm);
	tell(vm, SILL_EVENT_RESET, NULL);
	if (vm->pausing) {
		arch_clock_stop_again(&vm->clock_at_pause);
		machine_pause(&vm->machine);
		set_state(vm, VM_PAUSING);
		return;
	}
	run_on(vm);
}

static void pause_now(struct sill_vm *vm)
{
	vm->pausing = true;
	vm_debug_disarm(vm);
	vmclock_freeze(&vm->machine.clock);
	arch_clock_stop(&vm->machine.kvm, &vm->clock_at_pause);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		arch_clock_tell(&vm->vcpus[i].cpu);
	machine_pause(&vm->machine);
	set_state(vm, VM_PAUSING);
}

static void tell_pause(struct sill_vm *vm)
{
	vm->quiet = false;
	log_guest_at(&vm->pauses, LOG_INFO, vm->machine.name, "paused");
	tell(vm, SILL_EVENT_PAUSED, NULL);
}

static void finish_pause(struct sill_vm *vm)
{
	set_state(vm, VM_PAUSED);
	vm->quiet = vm_debug_is_alone(vm); /* for a step, as a rule */
	if (!vm->quiet)
		tell_pause(vm);
}

/* The clock first, or the guest sees the gap and waits for it to close. */
static void start_clocks(struct sill_vm *vm)
{
	uint64_t gap;

	arch_clock_start(&vm->machine.kvm, &vm->clock_at_pause);
	gap = arch_clock_gap(&vm->clock_at_pause);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (!arch_clock_turn_back(&vm->vcpus[i].cpu, gap))
			return;
}

static void resume_now(struct sill_vm *vm)
{
	const bool quiet = vm->quiet;

	vm->pausing = false;
	start_clocks(vm);
	vmclock_thaw(&vm->machine.clock);
	arm_press(vm);
	machine_resume(&vm->machine);
	if (!quiet)
		log_guest_at(&vm->pauses, LOG_INFO, vm->machine.name, "resumed");
	run_on(vm);
	if (!quiet)
		tell(vm, SILL_EVENT_RESUMED, NULL);
}

static void nmi_now(struct sill_vm *vm)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpus[i].started && arch_cpu_nmi(&vm->vcpus[i].cpu) < 0)
			log_guest(&vm->vcpus[i].cpu.bucket, vm->machine.name, "vcpu%u: NMI: %s", i,
				  strerrordesc_np(errno));
}

static void new_generation(struct sill_vm *vm)
{
	uint8_t id[16];

	(void)pthread_mutex_lock(&vm->mutex);
	memcpy(id, vm->generation, sizeof(id));
	(void)pthread_mutex_unlock(&vm->mutex);
	arch_new_generation(vm->board, id);
}

static void broken(struct sill_vm *vm)
{
	struct vcpu *v = &vm->vcpus[__atomic_load_n(&vm->broken_vcpu, __ATOMIC_RELAXED)];

	(void)sill_err_set(&vm->end_err, SILL_ERR_GUEST, "vCPU %u: %s", v->cpu.index, reason(vm));
	vcpu_dump(v);
	begin_end(vm, SILL_END_FAULT);
}

/* Once it is paused: say why. */
static void tell_stall(struct sill_vm *vm)
{
	struct sill_event event = { .kind = SILL_EVENT_DISK };
	struct stall s;

	(void)pthread_mutex_lock(&vm->mutex);
	s = vm->stall;
	vm->stall.pending = false;
	(void)pthread_mutex_unlock(&vm->mutex);
	if (!s.pending)
		return;
	log_guest_at(&vm->stalls, LOG_ERROR, s.id, "%s failed: %s; the machine is paused", s.what,
		     strerrordesc_np(s.err));
	event.id = s.id;
	event.what = s.what;
	event.sys = s.err;
	if (vm->event != NULL)
		vm->event(vm->event_ctx, &event);
}

/* Somebody writes down what there is: the others wait, but for the end, and what changes only a vCPU that was noted. */
static void act_frozen(struct sill_vm *vm)
{
	if (take_requests(vm, REQ_NMI) != 0)
		nmi_now(vm);
	if (take_requests(vm, REQ_SAVE) != 0)
		vm_save_now(vm);
	if (take_requests(vm, REQ_STOP) != 0)
		begin_end(vm, SILL_END_STOPPED);
}

/* All vCPUs stand still: the most important request first. */
static void act(struct sill_vm *vm)
{
	if (vm_is_frozen(vm)) {
		act_frozen(vm);
		return;
	}
	if (take_requests(vm, REQ_NMI) != 0)
		nmi_now(vm);
	if (take_requests(vm, REQ_GENERATION) != 0)
		new_generation(vm);
	if (take_requests(vm, REQ_TRAP) != 0)
		vm_debug_trapped(vm);
	if (take_requests(vm, REQ_ANSWER) != 0) {
		vm_cpus_settle(vm);
		vm_memory_settle(vm);
	}
	if (take_requests(vm, REQ_ORDER) != 0)
		vm_carry_out(vm, true);
	if (take_requests(vm, REQ_SAVE) != 0)
		vm_save_now(vm);
	if (vm_is_frozen(vm)) { /* by that */
		act_frozen(vm);
		return;
	}
	if (take_requests(vm, REQ_LET_GO) != 0)
		vm_let_go(vm);
	if (take_requests(vm, REQ_BROKEN) != 0) {
		broken(vm);
	} else if (take_requests(vm, REQ_STOP) != 0) {
		begin_end(vm, SILL_END_STOPPED);
	} else if (take_requests(vm, REQ_OFF) != 0) {
		log_line(LOG_INFO, "%s: power off (%s)", vm->machine.name, reason(vm));
		begin_end(vm, SILL_END_POWER_OFF);
	} else if (take_requests(vm, REQ_RESET) != 0) {
		begin_reset(vm);
	} else if (vm->pausing) {
		const unsigned asked = take_requests(vm, REQ_PAUSE | REQ_RESUME);

		if ((asked & REQ_PAUSE) != 0)
			vm_debug_pause(vm);
		if ((asked & REQ_PAUSE) != 0 && vm->state == VM_PAUSED && vm->quiet)
			tell_pause(vm); /* that was the debugger's alone */
		/* With both, the pause is the older one: a thread asks when the one before has its answer. */
		if ((asked & REQ_RESUME) != 0 && !vm_debug_holds(vm))
			resume_now(vm);
	} else if (take_requests(vm, REQ_PAUSE) != 0) {
		pause_now(vm);
	} else {
		(void)take_requests(vm, REQ_RESUME); /* it runs already */
		run_on(vm);
	}
}

static bool is_asked(struct sill_vm *vm)
{
	return __atomic_load_n(&vm->requests, __ATOMIC_SEQ_CST) != 0;
}

static void advance(struct sill_vm *vm)
{
	enum vm_state before;

	do {
		before = vm->state;
		switch (vm->state) {
		case VM_RUNNING:
			if (is_asked(vm)) {
				vcpu_gate_close(&vm->gate);
				set_state(vm, VM_PARKING);
			}
			break;
		case VM_PARKING:
			if (vcpu_gate_all_parked(&vm->gate))
				act(vm);
			break;
		case VM_RESETTING:
			if (machine_waits_for(&vm->machine) == NULL)
				finish_reset(vm);
			break;
		case VM_PAUSING:
			if (is_asked(vm))
				act(vm);
			if (vm->state == VM_PAUSING && machine_waits_for(&vm->machine) == NULL)
				finish_pause(vm);
			break;
		case VM_PAUSED:
			if (is_asked(vm))
				act(vm);
			break;
		case VM_ENDING:
			if (machine_waits_for(&vm->machine) == NULL)
				loop_stop(vm->loop);
			break;
		case VM_NEW:
		case VM_STATES:
			break;
		}
	} while (vm->state != before);
}

static void on_wake(void *ctx, uint32_t events)
{
	struct sill_vm *vm = ctx;
	uint64_t count;

	(void)events;
	if (read(vm->wake_fd, &count, sizeof(count)) < 0)
		return;
	gmem_poll(vm->machine.gmem);
	vm_crash_tell(vm, false);
	machine_tell_links(&vm->machine);
	if (__atomic_exchange_n(&vm->listens, false, __ATOMIC_SEQ_CST))
		wishes_heard(&vm->machine.wishes);
	if (!vm_is_frozen(vm)) {
		vm_eject(vm);
		vm_vmem_look(vm);
		vm_carry_out(vm, vm->state != VM_RUNNING && vm->state != VM_PARKING);
	}
	if (machine_can_let_go(&vm->machine))
		(void)__atomic_or_fetch(&vm->requests, (unsigned)REQ_LET_GO, __ATOMIC_SEQ_CST);
	advance(vm);
	if (vm->state == VM_PAUSED) {
		tell_stall(vm);
		vm_debug_tell(vm);
	}
}

/* --- life --------------------------------------------------------------- */

static void gate_init(struct sill_vm *vm)
{
	vcpu_gate_init(&vm->gate, vm->vcpus, vm->config.cpus.max, vm->config.cpus.boot);
	vm->gate.all_parked = all_parked;
	vm->gate.wants = vcpu_wants;
	vm->gate.ctx = vm;
	vm->gate_ready = true;
}

void sill_vm_begin(struct sill_files *files)
{
	machine_begin(files);
}

struct sill_vm *sill_vm_create(const struct sill_config *c, struct sill_files *files,
			       struct sill_err *e)
{
	struct sill_vm *vm = calloc(1, sizeof(*vm));
	struct dev_env hooks = { .request = device_request,
				 .stall = device_stall,
				 .crashed = vm_crashed,
				 .bug_check = vm_bug_check,
				 .bug_text = vm_bug_text,
				 .progress = device_progress,
				 .answered = device_answered,
				 .listens = device_listens,
				 .ctx = vm };

	if (vm == NULL) {
		(void)sill_err_sys(e, ENOMEM, "virtual machine");
		return NULL;
	}
	(void)pthread_mutex_init(&vm->callers, NULL);
	(void)pthread_mutex_init(&vm->mutex, NULL);
	(void)pthread_cond_init(&vm->changed, NULL);
	vm->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->loop = loop_create(e);
	if (vm->wake_fd < 0 || vm->loop == NULL) {
		(void)sill_err_sys(e, errno, "event loop");
		goto fail;
	}
	vm->wake = (struct loop_fd){ .fd = vm->wake_fd, .fn = on_wake, .ctx = vm };
	vm->press_again = (struct loop_timer){ .fn = press_again, .ctx = vm };
	vm->arm_press = (struct loop_task){ .fn = arm_press, .ctx = vm };
	vm->slow = (struct loop_timer){ .fn = is_slow, .ctx = vm };
	vm_crash_init(vm);
	if (loop_fd_add(vm->loop, &vm->wake, EPOLLIN, e) < 0 ||
	    sill_config_copy(&vm->config, c, e) < 0 || sill_config_copy(&vm->value, c, e) < 0 ||
	    machine_init(&vm->machine, vm->config.name, &hooks, vm->loop, e) < 0)
		goto fail;
	vm->machine_ready = true;
	vm_listen(vm);
	vm->board = arch_board_create(&vm->machine, &vm->config, files, e);
	if (vm->board == NULL || machine_plug_all(&vm->machine, &vm->config, files, e) < 0)
		goto fail;
	if (vm_memory_create(vm, e) < 0)
		goto fail;
	vm->vcpus = calloc(vm->config.cpus.max, sizeof(*vm->vcpus));
	if (vm->vcpus == NULL) {
		(void)sill_err_sys(e, ENOMEM, "vCPUs");
		goto fail;
	}
	gate_init(vm);
	if (vcpu_prepare_signal(e) < 0 || vm_cpus_create(vm, e) < 0 || vm_cpus_start(vm, e) < 0)
		goto fail;
	return vm;

fail:
	sill_vm_destroy(vm);
	return NULL;
}

int sill_vm_hardware(struct sill_vm *vm, void (*fn)(void *ctx, const char *what, const char *value),
		     void *ctx, struct sill_err *e)
{
	const struct arch_teller t = { .tell = fn, .ctx = ctx };

	return arch_tell_hardware(vm->board, vm->cpus, &t, e);
}

/* From a boot, or from a saved state: then it begins paused. */
static void start(struct sill_vm *vm)
{
	if (!vm->pausing) {
		run_on(vm);
		return;
	}
	vm->started_ns = host_now();
	set_state(vm, VM_PAUSING);
	vm_ask(vm, 0);
}

enum sill_vm_end sill_vm_run(struct sill_vm *vm, struct sill_err *e)
{
	assert(vm->state == VM_NEW);
	if (!vm->pausing && boot(vm, e) < 0)
		return SILL_END_HOST;
	(void)pthread_mutex_lock(&vm->mutex);
	vm->running = true;
	(void)pthread_mutex_unlock(&vm->mutex);
	loop_take(vm->loop); /* who hears of it may ask at once */
	start(vm);
	tell(vm, SILL_EVENT_RUNNING, NULL);
	vm_tick(vm);
	if (loop_run(vm->loop, e) < 0)
		vm->end = SILL_END_HOST;
	else if (vm->end_err.code != SILL_ERR_NONE)
		*e = vm->end_err;
	vcpu_gate_close(&vm->gate);
	log_guest_end(&vm->resets, LOG_INFO, vm->machine.name);
	log_guest_end(&vm->pauses, LOG_INFO, vm->machine.name);
	log_guest_end(&vm->stalls, LOG_ERROR, vm->machine.name);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		log_line(
			LOG_DEBUG, "%s: vcpu%u: %llu exits", vm->machine.name, i,
			(unsigned long long)__atomic_load_n(&vm->vcpus[i].exits, __ATOMIC_RELAXED));
	for (unsigned p = 0; p < SILL_PORTS; p++)
		if (arch_port(vm->board, p) != NULL)
			chr_drain(arch_port(vm->board, p), 1000);
	if (machine_console(&vm->machine) != NULL)
		chr_drain(machine_console(&vm->machine), 1000);
	(void)pthread_mutex_lock(&vm->mutex);
	vm->running = false;
	(void)pthread_cond_broadcast(&vm->changed);
	(void)pthread_mutex_unlock(&vm->mutex);
	return vm->end;
}

void sill_vm_destroy(struct sill_vm *vm)
{
	if (vm == NULL)
		return;
	if (vm->gate_ready)
		vcpu_gate_quit(&vm->gate);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vcpu_fini(&vm->vcpus[i]);
	free(vm->vcpus);
	arch_cpus_destroy(vm->cpus);
	if (vm->gate_ready)
		vcpu_gate_fini(&vm->gate);
	if (vm->machine_ready) {
		machine_remove_devices(&vm->machine);
		arch_board_destroy(vm->board);
		vm_memory_destroy(vm);
		machine_fini(&vm->machine);
	}
	if (vm->loop != NULL) {
		loop_unpost(vm->loop, &vm->arm_press);
		loop_timer_cancel(vm->loop, &vm->press_again);
		loop_timer_cancel(vm->loop, &vm->slow);
		loop_timer_cancel(vm->loop, &vm->text_wait);
		loop_timer_cancel(vm->loop, &vm->tick);
		loop_fd_remove(vm->loop, &vm->wake);
	}
	loop_destroy(vm->loop);
	fd_close(&vm->wake_fd);
	(void)pthread_cond_destroy(&vm->changed);
	(void)pthread_mutex_destroy(&vm->mutex);
	(void)pthread_mutex_destroy(&vm->callers);
	sill_config_free(&vm->config);
	sill_config_free(&vm->value);
	free(vm->debug);
	free(vm);
}
