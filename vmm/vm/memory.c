/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - memory that comes and goes: the host's side of what the board's registers tell the guest.
 *
 * A piece that comes is mapped, and given to KVM, before the guest hears of it. One that the guest has
 * given up, or a reset has taken, is not in its view any more; it leaves the table of guest memory, and goes back
 * to the host when no access is inside it (gmem_remove()). Until then its slot and its addresses are taken.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "machine/plug.h"
#include "vm/vm.h"

struct piece {
	struct sill_vm *vm; /* borrowed */
	struct ram ram;     /* size 0: there is none */
	uint64_t base;
	bool leaves;
};

struct vm_memory {
	struct piece piece[SILL_MAX_DIMMS];
	uint64_t told_refused; /* what was told last */
	struct log_bucket log; /* a guest takes and gives back as often as it likes */
	struct wish wish;
};

struct resize_memory_order {
	struct order order; /* first */
	uint64_t wanted;
	const struct sill_memory_zone *zone; /* NULL: all of the memory */
};

/* --- counting ------------------------------------------------------------- */

void sill_vm_memory(struct sill_vm *vm, struct sill_vm_memory *ret)
{
	const struct sill_memory_config *c = &vm->config.memory;
	struct arch_memory_area area;

	arch_memory_area(vm->board, &area);
	*ret = (struct sill_vm_memory){ .present = c->size,
					.max = c->size + c->hotplug_size,
					.block = area.block,
					.heard = arch_memory_heard(vm->board) };
	if (vm_vmem_count(vm, ret))
		return;
	if (c->hugepages && c->hugepage_size > ret->block)
		ret->block = c->hugepage_size;
	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++) {
		struct arch_dimm d;

		arch_dimm(vm->board, i, &d);
		ret->present += d.size;
		ret->asked += d.answer != ARCH_NOT_ASKED ? d.size : 0;
		ret->refused += d.answer == ARCH_REFUSED ? d.size : 0;
	}
	ret->wanted = ret->present - ret->asked;
}

void vm_memory_tell(struct sill_vm *vm, const char *what)
{
	const struct sill_event event = { .kind = SILL_EVENT_MEMORY, .what = what };
	struct sill_vm_memory now;

	sill_vm_memory(vm, &now);
	vm_value_set_memory(vm, now.present);
	log_guest_at(
		&vm->memory->log, LOG_INFO, vm->machine.name,
		"%llu MiB of memory, %s; %llu MiB are asked for, of which the guest refuses %llu",
		(unsigned long long)(now.present >> 20), what,
		(unsigned long long)(now.asked >> 20), (unsigned long long)(now.refused >> 20));
	if (vm->event != NULL)
		vm->event(vm->event_ctx, &event);
}

/* --- pieces ---------------------------------------------------------------- */

static int map_piece(struct piece *p, uint64_t base, uint64_t size, struct sill_err *e)
{
	struct sill_memory_config c = p->vm->config.memory;

	c.size = size;
	if (ram_map(&p->ram, &c, e) < 0)
		return -1;
	if (gmem_add_ram(p->vm->machine.gmem, base, &p->ram, 0, size, e) < 0) {
		ram_unmap(&p->ram);
		return -1;
	}
	p->base = base;
	machine_memory_changed(&p->vm->machine);
	return 0;
}

/* Nobody of ours is inside it any more. */
static void piece_gone(void *ctx)
{
	struct piece *p = ctx;

	machine_memory_changed(&p->vm->machine);
	ram_unmap(&p->ram);
	p->leaves = false;
	vm_memory_tell(p->vm, "removed");
}

static void let_go(struct piece *p)
{
	struct sill_err e = { 0 };

	if (p->leaves)
		return;
	p->leaves = true;
	if (gmem_remove(p->vm->machine.gmem, p->base, piece_gone, p, &e) == 0)
		return;
	p->leaves = false; /* at the next look */
	log_line(LOG_WARN, "%s: %s", p->vm->machine.name, e.msg);
}

void vm_memory_settle(struct sill_vm *vm)
{
	struct vm_memory *m = vm->memory;
	struct sill_vm_memory now;

	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++) {
		struct arch_dimm d;

		arch_dimm(vm->board, i, &d);
		if (m->piece[i].ram.size != 0 && d.size == 0)
			let_go(&m->piece[i]);
	}
	sill_vm_memory(vm, &now);
	if (now.refused > m->told_refused)
		vm_memory_tell(vm, "refused");
	m->told_refused = now.refused;
}

/* --- more -------------------------------------------------------------------- */

/* The lowest free addresses in the area: *@ret_base and how many from there, at most @want. */
static bool find_room(const struct vm_memory *m, const struct arch_memory_area *a,
		      uint64_t *ret_base, uint64_t *ret_size, uint64_t want)
{
	const uint64_t end = a->base + a->size;
	uint64_t at = a->base, next;

	do {
		uint64_t behind = 0;

		next = end;
		for (unsigned i = 0; i < SILL_MAX_DIMMS; i++) {
			const struct piece *p = &m->piece[i];

			if (p->ram.size == 0 || p->base < at || p->base >= next)
				continue;
			next = p->base;
			behind = p->base + p->ram.size;
		}
		if (next > at) {
			*ret_base = at;
			*ret_size = next - at < want ? next - at : want;
			return true;
		}
		at = behind;
	} while (next < end);
	return false;
}

static int add_piece(struct sill_vm *vm, uint64_t want, uint64_t *ret_size, struct sill_err *e)
{
	struct vm_memory *m = vm->memory;
	struct arch_memory_area area;
	uint64_t base, size;
	unsigned slot = 0;

	arch_memory_area(vm->board, &area);
	while (slot < SILL_MAX_DIMMS && m->piece[slot].ram.size != 0)
		slot++;
	if (slot == SILL_MAX_DIMMS)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "memory has come in %u pieces: no more are possible",
				    SILL_MAX_DIMMS);
	if (!find_room(m, &area, &base, &size, want))
		return sill_err_set(
			e, SILL_ERR_LIMIT,
			"what the guest has given up has not come back to the host yet");
	if (map_piece(&m->piece[slot], base, size, e) < 0)
		return -1;
	arch_dimm_add(vm->board, slot, base, size);
	*ret_size = size;
	return 0;
}

static int grow_memory(struct sill_vm *vm, uint64_t by, struct sill_err *e)
{
	int ret = 0;
	bool came = false;

	for (unsigned i = 0; i < SILL_MAX_DIMMS && by != 0; i++) {
		struct arch_dimm d;

		arch_dimm(vm->board, i, &d);
		if (d.answer == ARCH_NOT_ASKED || d.size > by)
			continue;
		arch_dimm_keep(vm->board, i);
		by -= d.size;
	}
	while (by != 0 && ret == 0) {
		uint64_t size = 0;

		ret = add_piece(vm, by, &size, e);
		by -= size;
		came |= size != 0;
	}
	if (came) {
		wish_made(&vm->machine.wishes, &vm->memory->wish);
		vm_memory_tell(vm, "added");
	}
	return ret;
}

/* --- less -------------------------------------------------------------------- */

/* The wish, as for processors. */
static bool ask_for_memory_again(void *ctx, uint64_t waited_ns)
{
	struct sill_vm *vm = ctx;
	bool stands = arch_memory_tell_again(vm->board);

	(void)waited_ns;
	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++) {
		struct arch_dimm d;

		arch_dimm(vm->board, i, &d);
		if (d.answer != ARCH_NO_ANSWER)
			continue;
		arch_dimm_ask(vm->board, i);
		stands = true;
	}
	return stands;
}

/* The pieces, as bits, whose sizes make @by, the last ones first; those that are asked for are not counted. */
static bool choose_pieces(struct sill_vm *vm, uint64_t by, uint32_t *ret)
{
	*ret = 0;
	for (unsigned i = SILL_MAX_DIMMS; i-- > 0 && by != 0;) {
		struct arch_dimm d;

		arch_dimm(vm->board, i, &d);
		if (d.size == 0 || d.size > by || d.answer != ARCH_NOT_ASKED)
			continue;
		*ret |= 1u << i;
		by -= d.size;
	}
	return by == 0;
}

static int shrink_memory(struct sill_vm *vm, uint64_t by, struct sill_err *e)
{
	uint32_t pieces;

	if (!choose_pieces(vm, by, &pieces))
		return sill_err_set(
			e, SILL_ERR_LIMIT,
			"memory goes in the pieces that it came in, and none of them make %llu MiB",
			(unsigned long long)(by >> 20));
	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++) {
		struct arch_dimm d;

		arch_dimm(vm->board, i, &d);
		if (d.answer != ARCH_NOT_ASKED || (pieces >> i & 1) != 0)
			arch_dimm_ask(vm->board, i);
	}
	vm->memory->told_refused = 0;
	wish_made(&vm->machine.wishes, &vm->memory->wish);
	return 0;
}

static int resize_memory(struct sill_vm *vm, struct order *order)
{
	const struct resize_memory_order *o = (const struct resize_memory_order *)order;
	struct sill_vm_memory now;
	uint64_t stay;

	if (vm->state == VM_ENDING)
		return vm_not_running(order->e);
	/* What the guest gave up can be had again, once nobody is inside. */
	vm_memory_settle(vm);
	gmem_poll(vm->machine.gmem);
	if (vm->vmem != NULL) {
		vm_vmem_resize(vm, o->zone,
			       o->wanted -
				       (o->zone != NULL ? o->zone->size : vm->config.memory.size));
		return 0;
	}
	sill_vm_memory(vm, &now);
	stay = now.present - now.asked;
	if (o->wanted > stay)
		return grow_memory(vm, o->wanted - stay, order->e);
	if (o->wanted < stay || now.asked != 0)
		return shrink_memory(vm, stay - o->wanted, order->e);
	return 0;
}

/* From @least on, up to what there can be, in blocks. */
static int check_wanted(const struct sill_vm_memory *now, uint64_t least, uint64_t wanted,
			const char *keys, struct sill_err *e)
{
	if (wanted < least || wanted > now->max)
		return sill_err_set(
			e, SILL_ERR_LIMIT, "%llu MiB of memory: %llu to %llu MiB are possible (%s)",
			(unsigned long long)(wanted >> 20), (unsigned long long)(least >> 20),
			(unsigned long long)(now->max >> 20), keys);
	if ((wanted - least) % now->block != 0)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "memory comes and goes in multiples of %llu MiB",
				    (unsigned long long)(now->block >> 20));
	return 0;
}

int sill_vm_resize_memory(struct sill_vm *vm, uint64_t wanted, struct sill_vm_memory *ret,
			  struct sill_err *e)
{
	struct resize_memory_order o = { .order = { .fn = resize_memory, .e = e },
					 .wanted = wanted };
	struct sill_vm_memory now;
	int done;

	if (vm_check_caller(vm, e) < 0)
		return -1;
	if (vm->config.memory.zones_count != 0)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "the memory is made of zones, of which each has its size");
	sill_vm_memory(vm, &now);
	if (check_wanted(&now, vm->config.memory.size, wanted,
			 "memory.size and memory.hotplug_size", e) < 0)
		return -1;
	done = vm_order(vm, &o.order);
	if (ret != NULL)
		sill_vm_memory(vm, ret);
	return done;
}

static const struct sill_memory_zone *find_zone(const struct sill_vm *vm, const char *id)
{
	for (unsigned i = 0; i < vm->config.memory.zones_count; i++)
		if (strcmp(vm->config.memory.zones[i].id, id) == 0)
			return &vm->config.memory.zones[i];
	return NULL;
}

int sill_vm_zone(struct sill_vm *vm, const char *id, struct sill_vm_memory *ret)
{
	const struct sill_memory_zone *z = find_zone(vm, id);

	if (z == NULL)
		return -1;
	vm_vmem_zone(vm, z, ret);
	return 0;
}

int sill_vm_resize_zone(struct sill_vm *vm, const char *id, uint64_t wanted,
			struct sill_vm_memory *ret, struct sill_err *e)
{
	struct resize_memory_order o = { .order = { .fn = resize_memory, .e = e },
					 .wanted = wanted,
					 .zone = find_zone(vm, id) };
	struct sill_vm_memory now;
	int done;

	if (vm_check_caller(vm, e) < 0)
		return -1;
	if (o.zone == NULL)
		return sill_err_set(e, SILL_ERR_LIMIT, "there is no memory zone '%.64s'", id);
	vm_vmem_zone(vm, o.zone, &now);
	if (check_wanted(&now, o.zone->size, wanted, "its size and hotplug_size", e) < 0)
		return -1;
	if (o.zone->hotplug_size == 0) { /* as it is */
		if (ret != NULL)
			*ret = now;
		return 0;
	}
	done = vm_order(vm, &o.order);
	if (ret != NULL)
		vm_vmem_zone(vm, o.zone, ret);
	return done;
}

/* --- life --------------------------------------------------------------------- */

int vm_memory_create(struct sill_vm *vm, struct sill_err *e)
{
	vm->memory = calloc(1, sizeof(*vm->memory));
	if (vm->memory == NULL)
		return sill_err_sys(e, ENOMEM, "memory that comes and goes");
	vm->memory->wish = (struct wish){ .again = ask_for_memory_again, .ctx = vm };
	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++)
		vm->memory->piece[i] = (struct piece){ .vm = vm, .ram = { .fd = -1 } };
	return vm_vmem_create(vm, e);
}

void vm_memory_destroy(struct sill_vm *vm)
{
	if (vm->memory == NULL)
		return;
	wish_over(&vm->machine.wishes, &vm->memory->wish);
	log_guest_end(&vm->memory->log, LOG_INFO, vm->machine.name);
	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++)
		ram_unmap(&vm->memory->piece[i].ram);
	free(vm->memory);
	vm->memory = NULL;
	vm_vmem_destroy(vm);
}

void *sill_vm_dimm(struct sill_vm *vm, unsigned slot, size_t *ret_size)
{
	const struct ram *r;

	assert(slot < SILL_MAX_DIMMS);
	if (slot < SILL_MAX_ZONES && vm->vmem != NULL)
		return vm_vmem_area(vm, slot, ret_size);
	r = &vm->memory->piece[slot].ram;
	*ret_size = r->size;
	return r->hva;
}

/* From a stranger: pieces lie in the area, apart from each other, and are what could have come. */
int vm_memory_load(struct sill_vm *vm, struct sill_err *e)
{
	struct arch_memory_area a;

	arch_memory_area(vm->board, &a);
	for (unsigned i = 0; i < SILL_MAX_DIMMS; i++) {
		struct piece *p = &vm->memory->piece[i];
		struct arch_dimm d;

		arch_dimm(vm->board, i, &d);
		if (d.size == 0)
			continue;
		if (d.base < a.base || d.size > a.size || d.base - a.base > a.size - d.size ||
		    (d.base | d.size) % a.block != 0 || p->ram.size != 0)
			return sill_err_set(e, SILL_ERR_STATE,
					    "the state of the memory is damaged");
		if (map_piece(p, d.base, d.size, e) < 0) {
			if (e->code == SILL_ERR_INTERNAL) /* one overlaps another */
				e->code = SILL_ERR_STATE;
			return -1;
		}
	}
	wish_made(&vm->machine.wishes,
		  &vm->memory->wish); /* it may have something to answer still */
	return 0;
}
