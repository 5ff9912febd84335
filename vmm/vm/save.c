/* SPDX-License-Identifier: Apache-2.0 */
/*
 * save.c - a VM's state as bytes: a head, the machine with its devices, the board's
 * chips, the vCPUs. The guest's memory, the disks and the configuration are the
 * caller's to keep, and to give back to the VM that takes the state.
 *
 * Another thread asks; the main loop saves, in PAUSED. Loading is the start of a VM
 * in the place of a boot: it begins paused.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/save.h"
#include "vm/vm.h"

enum { TAG_VM = SAVE_TAG('S', 'I', 'L', 'L'), VERSION = 2 };

/* --- out ----------------------------------------------------------------- */

static int save_all(struct sill_vm *vm, struct buf *out, struct sill_err *e)
{
	struct saver s;

	save_init(&s, out);
	save_begin(&s, TAG_VM, VERSION);
	vm_cpus_save(vm, &s);
	save_u64(&s, vm->clock_at_pause.ns);
	save_u64(&s, __atomic_load_n(&vm->press_ns, __ATOMIC_SEQ_CST));
	save_end(&s);
	if (machine_save(&vm->machine, &s, e) < 0 || arch_board_save(vm->board, &s, e) < 0)
		return -1;
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpus[i].started &&
		    arch_cpu_save(&vm->vcpus[i].cpu, &vm->clock_at_pause, &s, e) < 0)
			return -1;
	return out->failed ? sill_err_set(e, SILL_ERR_LIMIT, "no memory for the state") : 0;
}

/* For a core file: as one note after the other. */
static int note_all(struct sill_vm *vm, struct buf *out, struct sill_err *e)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpus[i].started && arch_cpu_note(&vm->vcpus[i].cpu, out, e) < 0)
			return -1;
	return out->failed ? sill_err_set(e, SILL_ERR_LIMIT, "no memory for the notes") : 0;
}

static int picture(struct sill_vm *vm, struct vm_save *job)
{
	return job->what == SILL_PICTURE_NOTES ? note_all(vm, &job->out, &job->err)
					       : save_all(vm, &job->out, &job->err);
}

bool vm_is_frozen(struct sill_vm *vm)
{
	bool frozen;

	(void)pthread_mutex_lock(&vm->mutex);
	frozen = vm->frozen;
	(void)pthread_mutex_unlock(&vm->mutex);
	return frozen;
}

void vm_save_now(struct sill_vm *vm)
{
	struct vm_save *job;

	(void)pthread_mutex_lock(&vm->mutex);
	job = vm->save;
	(void)pthread_mutex_unlock(&vm->mutex);
	if (job == NULL)
		return;
	/* Who asked stays until it is done: the mutex is not needed meanwhile. */
	if (vm->state != VM_PAUSED)
		(void)sill_err_set(&job->err, SILL_ERR_STATE, "the virtual machine is not paused");
	else if (job->freeze && vm_is_frozen(vm))
		(void)sill_err_set(&job->err, SILL_ERR_STATE,
				   "a snapshot or a core dump of it is being written");
	else
		job->ret = picture(vm, job);
	if (job->ret == 0)
		vm->quiet = false; /* who has it is to hear that it is of the past */
	(void)pthread_mutex_lock(&vm->mutex);
	vm->frozen |= job->freeze && job->ret == 0;
	job->done = true;
	vm->save = NULL;
	(void)pthread_cond_broadcast(&vm->changed);
	(void)pthread_mutex_unlock(&vm->mutex);
}

/* With vm->mutex. */
static void await_save(struct sill_vm *vm, struct vm_save *job)
{
	vm->save = job;
	vm_ask(vm, REQ_SAVE);
	while (!job->done && vm->running)
		(void)pthread_cond_wait(&vm->changed, &vm->mutex);
	vm->save = NULL;
	if (!job->done) /* it ended before it saw us */
		(void)sill_err_set(&job->err, SILL_ERR_STATE, "the virtual machine does not run");
}

static int save_as(struct sill_vm *vm, struct vm_save *job, void **ret, size_t *ret_size,
		   struct sill_err *e)
{
	if (vm_check_caller(vm, e) < 0)
		return -1;
	buf_init(&job->out, MAX_SAVED_STATE);
	(void)pthread_mutex_lock(&vm->callers); /* nor does a thread pause or resume meanwhile */
	(void)pthread_mutex_lock(&vm->mutex);
	if (vm->running && vm->seen == VM_PAUSED)
		await_save(vm, job);
	else
		(void)sill_err_set(&job->err, SILL_ERR_STATE, "the virtual machine is not paused");
	(void)pthread_mutex_unlock(&vm->mutex);
	(void)pthread_mutex_unlock(&vm->callers);
	if (job->ret < 0) {
		*e = job->err;
		buf_fini(&job->out);
		return -1;
	}
	*ret = job->out.data; /* buf.h: from malloc() */
	*ret_size = job->out.size;
	return 0;
}

int sill_vm_save(struct sill_vm *vm, void **ret, size_t *ret_size, struct sill_err *e)
{
	struct vm_save job = { .ret = -1 };

	return save_as(vm, &job, ret, ret_size, e);
}

int sill_vm_freeze(struct sill_vm *vm, enum sill_picture what, void **ret, size_t *ret_size,
		   struct sill_err *e)
{
	struct vm_save job = { .ret = -1, .what = what, .freeze = true };

	return save_as(vm, &job, ret, ret_size, e);
}

void sill_vm_thaw(struct sill_vm *vm)
{
	(void)pthread_mutex_lock(&vm->mutex);
	vm->frozen = false;
	(void)pthread_mutex_unlock(&vm->mutex);
	vm_ask(vm, 0); /* there may be something to do now */
}

/* --- in ------------------------------------------------------------------ */

static int load_all(struct sill_vm *vm, struct loader *l, struct sill_err *e)
{
	if (load_begin(l, TAG_VM, VERSION) != VERSION)
		load_fail(l);
	if (vm_cpus_load(vm, l, e) < 0)
		return -1;
	vm->clock_at_pause.ns = load_u64(l);
	vm->press_ns = load_u64(l);
	if (load_end(l, "the virtual machine", e) < 0 || machine_load(&vm->machine, l, e) < 0 ||
	    arch_board_load(vm->board, l, e) < 0)
		return -1;
	arch_clock_stop_again(&vm->clock_at_pause); /* the counters stand from here */
	if (vm_memory_load(vm, e) < 0)
		return -1;
	for (unsigned i = 0; i < vm->config.cpus.max; i++)
		if (arch_cpu_is_present(vm->board, i) != vm->vcpus[i].started)
			return sill_err_set(e, SILL_ERR_STATE,
					    "the state of the vCPUs contradicts itself");
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpus[i].started &&
		    arch_cpu_load(&vm->vcpus[i].cpu, &vm->clock_at_pause, l, e) < 0)
			return -1;
	return load_done(l, "the virtual machine", e);
}

int sill_vm_load(struct sill_vm *vm, const void *state, size_t size, struct sill_err *e)
{
	struct loader l;

	assert(vm->state == VM_NEW && !vm->pausing);
	load_init(&l, state, size);
	if (load_all(vm, &l, e) < 0)
		return -1;
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		arch_clock_tell(&vm->vcpus[i].cpu);
	vm->pausing = true; /* sill_vm_run() begins there */
	return 0;
}

void *sill_vm_ram(struct sill_vm *vm, size_t *ret_size)
{
	arch_board_forget_boot(vm->board);
	*ret_size = vm->machine.ram.size;
	return vm->machine.ram.hva;
}

unsigned sill_vm_ram_ranges(struct sill_vm *vm, struct sill_ram_range *ret, unsigned room)
{
	struct gmem_region region[MAX_GMEM_REGIONS];
	struct gmem_span span;
	unsigned n;

	arch_board_forget_boot(vm->board);
	span = gmem_span_begin(vm->machine.gmem);
	n = gmem_ram_regions(vm->machine.gmem, region, MAX_GMEM_REGIONS);

	for (unsigned i = 0; i < n && i < room; i++)
		ret[i] = (struct sill_ram_range){ region[i].gpa, region[i].size, region[i].hva,
						  region[i].fd, region[i].off };
	gmem_span_end(vm->machine.gmem, &span);
	return n;
}

unsigned sill_vm_mapped_ranges(struct sill_vm *vm, uint64_t least, struct sill_mapped_range *ret,
			       unsigned room)
{
	struct arch_mapped m = { .least = least, .range = ret, .room = room };

	for (unsigned any = 0; any < 2; any++)
		for (unsigned i = 0; i < vm->vcpu_count; i++)
			if (vm->vcpus[i].started &&
			    arch_cpu_mapped(&vm->vcpus[i].cpu, &m, any != 0))
				return m.count;
	return 0;
}
