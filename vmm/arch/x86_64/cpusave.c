/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpusave.c - a vCPU's state as bytes: what KVM gives, a record for each part.
 *
 * The parts are KVM's own structs, whose layout is the kernel's promise. What is in
 * them is for KVM to check: it takes them from any process.
 *
 * Order: the APIC's base and EFER come with the segments, so the local APIC and nested
 * state follow; the deadline of the APIC's timer is an MSR that wants the APIC in place,
 * and the counter that it is measured by; KVM_SET_REGS takes back pending exceptions, so
 * the events follow; the vCPU's own state is last.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "arch/arch.h"
#include "arch/x86_64/board.h"
#include "arch/x86_64/cpustate.h"
#include "base/log.h"

enum { TAG_VCPU = SAVE_TAG('V', 'C', 'P', 'U'), VERSION = 1 };

enum {
	TAG_XSAVE = SAVE_TAG('X', 'S', 'A', 'V'),
	TAG_MSRS = SAVE_TAG('M', 'S', 'R', 'S'),
	TAG_NESTED = SAVE_TAG('N', 'E', 'S', 'T'),
	TAG_TSC = SAVE_TAG('T', 'S', 'C', ' '),
};

/* Of KVM_GET_XSAVE2 and KVM_GET_NESTED_STATE; more than any processor has. */
enum { BLOB_MAX = 64 * 1024 };

/* One of KVM's structs of its own size. @data: owned. */
struct blob {
	uint8_t *data;
	size_t size;
};

struct state {
	struct kvm_mp_state mp_state;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs2 sregs2;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct msr_list msrs;
	struct blob xsave, nested;
	uint64_t tsc;
	bool has_sregs2;
};

#define PART(tag, member, get, set)                                                                \
	{                                                                                          \
		tag, offsetof(struct state, member), sizeof(((struct state *)0)->member), get, set \
	}

/* KVM_GET_MP_STATE first: it takes in a pending INIT. In this order in a saved state. */
static const struct part {
	uint32_t tag;
	size_t at, size;
	unsigned long get, set;
} parts[] = {
	PART(SAVE_TAG('M', 'P', 'S', 'T'), mp_state, KVM_GET_MP_STATE, KVM_SET_MP_STATE),
	PART(SAVE_TAG('R', 'E', 'G', 'S'), regs, KVM_GET_REGS, KVM_SET_REGS),
	PART(SAVE_TAG('S', 'R', 'E', 'G'), sregs, KVM_GET_SREGS, KVM_SET_SREGS),
	PART(SAVE_TAG('X', 'C', 'R', 'S'), xcrs, KVM_GET_XCRS, KVM_SET_XCRS),
	PART(SAVE_TAG('D', 'B', 'G', 'R'), debugregs, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS),
	PART(SAVE_TAG('L', 'A', 'P', 'C'), lapic, KVM_GET_LAPIC, KVM_SET_LAPIC),
	PART(SAVE_TAG('E', 'V', 'N', 'T'), events, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS),
};

enum { P_MP_STATE, P_REGS, P_SREGS, P_XCRS, P_DEBUGREGS, P_LAPIC, P_EVENTS, P_COUNT };
_Static_assert(ARRAY_LEN(parts) == P_COUNT, "a name for each");

/* PAE's page directory pointers, which the others leave out. Kernels before 5.14 have none. */
static const struct part part_sregs2 =
	PART(SAVE_TAG('S', 'R', 'G', '2'), sregs2, KVM_GET_SREGS2, KVM_SET_SREGS2);

static void *member(struct state *st, const struct part *p)
{
	return (uint8_t *)st + p->at;
}

static struct state *state_create(struct sill_err *e)
{
	struct state *st = calloc(1, sizeof(*st));

	if (st == NULL)
		(void)sill_err_sys(e, ENOMEM, "vCPU state");
	return st;
}

static void state_free(struct state *st)
{
	if (st == NULL)
		return;
	free(st->xsave.data);
	free(st->nested.data);
	free(st);
}

static int blob_init(struct blob *b, size_t size, struct sill_err *e)
{
	b->data = calloc(1, size);
	b->size = size;
	return b->data != NULL ? 0 : sill_err_sys(e, ENOMEM, "vCPU state");
}

/* --- the counter --------------------------------------------------------- */

static struct kvm_device_attr tsc_offset(uint64_t *offset)
{
	return (struct kvm_device_attr){ .group = KVM_VCPU_TSC_CTRL,
					 .attr = KVM_VCPU_TSC_OFFSET,
					 .addr = (uintptr_t)offset };
}

static uint64_t get_tsc(const struct cpu *c, const struct arch_clock *at,
			const struct msr_list *msrs)
{
	const uint64_t since = __rdtsc() - at->counter;
	uint64_t offset = 0;
	struct kvm_device_attr a = tsc_offset(&offset);

	if (ioctl(c->fd, KVM_GET_DEVICE_ATTR, &a) == 0)
		return at->counter + offset;
	for (unsigned i = 0; i < msrs->head.nmsrs; i++)
		if (msrs->entry[i].index == MSR_TSC)
			return msrs->entry[i].data - since;
	return 0;
}

/* Offsets that were equal are equal again. Kernels before 5.16 make them so by themselves, if they are near. */
static int set_tsc(const struct cpu *c, const struct arch_clock *at, uint64_t tsc)
{
	uint64_t offset = tsc - at->counter;
	struct kvm_device_attr a = tsc_offset(&offset);
	struct msr_list m = { .head = { .nmsrs = 1 }, .entry = { { .index = MSR_TSC } } };

	if (ioctl(c->fd, KVM_SET_DEVICE_ATTR, &a) == 0)
		return 0;
	m.entry[0].data = tsc + (__rdtsc() - at->counter);
	return ioctl(c->fd, KVM_SET_MSRS, &m) == 1 ? 0 : -1;
}

/* --- from KVM ------------------------------------------------------------ */

static int get_xsave(const struct cpu *c, struct state *st, struct sill_err *e)
{
	const int wanted = kvm_cap(&c->machine->kvm, KVM_CAP_XSAVE2);
	const bool large = wanted > (int)sizeof(struct kvm_xsave);

	if (blob_init(&st->xsave, large ? (size_t)wanted : sizeof(struct kvm_xsave), e) < 0)
		return -1;
	return ioctl(c->fd, large ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, st->xsave.data);
}

/* Of a vCPU that is a hypervisor, or may be one. Without: an empty blob. */
static int get_nested(const struct cpu *c, struct blob *ret, struct sill_err *e)
{
	const int room = kvm_cap(&c->machine->kvm, KVM_CAP_NESTED_STATE);
	const uint32_t size = room > BLOB_MAX ? BLOB_MAX : (uint32_t)room;
	struct kvm_nested_state *n;

	if (room < (int)sizeof(*n))
		return 0;
	if (blob_init(ret, size, e) < 0)
		return -1;
	n = (void *)ret->data;
	n->size = size;
	if (ioctl(c->fd, KVM_GET_NESTED_STATE, n) < 0)
		return -1;
	ret->size = n->size;
	return 0;
}

static int get_all(const struct cpu *c, const struct arch_clock *at, struct state *st,
		   struct sill_err *e)
{
	const struct kvm *k = &c->machine->kvm;

	for (unsigned i = 0; i < ARRAY_LEN(parts); i++)
		if (ioctl(c->fd, parts[i].get, member(st, &parts[i])) < 0)
			return sill_err_sys(e, errno, "read the state of vCPU %u", c->index);
	st->has_sregs2 = ioctl(c->fd, part_sregs2.get, &st->sregs2) == 0;
	if (get_xsave(c, st, e) < 0 || get_nested(c, &st->nested, e) < 0)
		return sill_err_sys(e, errno, "read the state of vCPU %u", c->index);
	if (cpu_list_msrs(k, c->board->hyperv, &st->msrs, e) < 0 ||
	    cpu_read_msrs(c->fd, &st->msrs, e) < 0)
		return -1;
	st->tsc = get_tsc(c, at, &st->msrs);
	return 0;
}

/* --- bytes --------------------------------------------------------------- */

static void save_part(struct saver *s, uint32_t tag, const void *p, size_t n)
{
	save_begin(s, tag, VERSION);
	save_bytes(s, p, n);
	save_end(s);
}

static void save_all(struct state *st, struct saver *s)
{
	for (unsigned i = 0; i < ARRAY_LEN(parts); i++)
		save_part(s, parts[i].tag, member(st, &parts[i]), parts[i].size);
	if (st->has_sregs2)
		save_part(s, part_sregs2.tag, &st->sregs2, sizeof(st->sregs2));
	save_part(s, TAG_XSAVE, st->xsave.data, st->xsave.size);
	if (st->nested.data != NULL)
		save_part(s, TAG_NESTED, st->nested.data, st->nested.size);
	save_begin(s, TAG_TSC, VERSION);
	save_u64(s, st->tsc);
	save_end(s);
	save_begin(s, TAG_MSRS, VERSION);
	save_u32(s, st->msrs.head.nmsrs);
	for (unsigned i = 0; i < st->msrs.head.nmsrs; i++) {
		save_u32(s, st->msrs.entry[i].index);
		save_u64(s, st->msrs.entry[i].data);
	}
	save_end(s);
}

int arch_cpu_save(const struct cpu *c, const struct arch_clock *at, struct saver *s,
		  struct sill_err *e)
{
	struct state *st = state_create(e);
	struct saver inner;
	int ret;

	if (st == NULL)
		return -1;
	ret = get_all(c, at, st, e);
	if (ret == 0) {
		save_begin(s, TAG_VCPU, VERSION);
		save_u32(s, c->index);
		save_init(&inner, s->out);
		save_all(st, &inner);
		save_end(s);
	}
	state_free(st);
	return ret;
}

static int load_part(struct loader *l, uint32_t tag, void *p, size_t n, struct sill_err *e)
{
	(void)load_begin(l, tag, VERSION);
	load_bytes(l, p, n);
	return load_end(l, "a vCPU", e);
}

/* KVM takes as many bytes as it has use for, at least @least. */
static int load_blob(struct loader *l, uint32_t tag, struct blob *ret, size_t least,
		     struct sill_err *e)
{
	size_t n;

	(void)load_begin(l, tag, VERSION);
	n = l->end - l->at;
	if (l->failed || n < least || n > BLOB_MAX) {
		load_fail(l);
		return load_end(l, "a vCPU", e);
	}
	if (blob_init(ret, BLOB_MAX, e) < 0)
		return -1;
	ret->size = n;
	load_bytes(l, ret->data, n);
	return load_end(l, "a vCPU", e);
}

static int load_msrs(struct loader *l, struct msr_list *m, struct sill_err *e)
{
	(void)load_begin(l, TAG_MSRS, VERSION);
	m->head.nmsrs = load_u32(l);
	if (m->head.nmsrs > MAX_MSRS) {
		m->head.nmsrs = 0;
		load_fail(l);
	}
	for (unsigned i = 0; i < m->head.nmsrs; i++) {
		m->entry[i].index = load_u32(l);
		m->entry[i].data = load_u64(l);
	}
	return load_end(l, "a vCPU", e);
}

static int load_all(struct state *st, struct loader *l, struct sill_err *e)
{
	for (unsigned i = 0; i < ARRAY_LEN(parts); i++)
		if (load_part(l, parts[i].tag, member(st, &parts[i]), parts[i].size, e) < 0)
			return -1;
	st->has_sregs2 = load_peek(l) == part_sregs2.tag;
	if (st->has_sregs2 && load_part(l, part_sregs2.tag, &st->sregs2, sizeof(st->sregs2), e) < 0)
		return -1;
	if (load_blob(l, TAG_XSAVE, &st->xsave, sizeof(struct kvm_xsave), e) < 0)
		return -1;
	if (load_peek(l) == TAG_NESTED &&
	    load_blob(l, TAG_NESTED, &st->nested, sizeof(struct kvm_nested_state), e) < 0)
		return -1;
	(void)load_begin(l, TAG_TSC, VERSION);
	st->tsc = load_u64(l);
	if (load_end(l, "a vCPU", e) < 0 || load_msrs(l, &st->msrs, e) < 0)
		return -1;
	return load_done(l, "a vCPU", e);
}

/* --- to KVM -------------------------------------------------------------- */

static int set_msr(const struct cpu *c, const struct kvm_msr_entry *entry)
{
	struct msr_list one = { .head = { .nmsrs = 1 }, .entry = { *entry } };

	return ioctl(c->fd, KVM_SET_MSRS, &one) == 1 ? 0 : -1;
}

static const struct kvm_msr_entry *find_msr(const struct msr_list *m, uint32_t index)
{
	for (unsigned i = 0; i < m->head.nmsrs; i++)
		if (m->entry[i].index == index)
			return &m->entry[i];
	return NULL;
}

/*
 * Only those that this host has, and only where they differ. KVM does not take all that it
 * gives: some say what another one has counted.
 */
static int set_msrs(struct cpu *c, const struct msr_list *m, struct sill_err *e)
{
	struct msr_list *now = calloc(1, sizeof(*now));
	int ret = -1;

	if (now == NULL)
		return sill_err_sys(e, ENOMEM, "MSR list");
	if (cpu_list_msrs(&c->machine->kvm, c->board->hyperv, now, e) < 0 ||
	    cpu_read_msrs(c->fd, now, e) < 0)
		goto out;
	for (unsigned i = 0; i < m->head.nmsrs; i++) {
		const struct kvm_msr_entry *is = find_msr(now, m->entry[i].index);

		if (is == NULL) {
			(void)sill_err_set(e, SILL_ERR_STATE,
					   "the state of vCPU %u has MSR 0x%x, which this host's "
					   "KVM has not",
					   c->index, m->entry[i].index);
			goto out;
		}
		if (is->index == MSR_TSC || is->data == m->entry[i].data)
			continue;
		if (set_msr(c, &m->entry[i]) < 0)
			log_guest_at(&c->bucket, LOG_WARN, c->machine->name,
				     "vcpu%u: this host's KVM does not take MSR 0x%x back",
				     c->index, is->index);
	}
	ret = 0;
out:
	free(now);
	return ret;
}

/* A host that does not take nested state is asked only where there is some. */
static int set_nested(const struct cpu *c, const struct state *st, struct sill_err *e)
{
	const struct kvm_msr_entry *allowed = find_msr(&st->msrs, MSR_FEATURE_CONTROL);
	struct kvm_nested_state *n = (void *)st->nested.data;
	struct blob now = { 0 };
	bool same;

	if (n == NULL)
		return 0;
	if (n->size > st->nested.size)
		return sill_err_set(e, SILL_ERR_STATE, "state of a vCPU is damaged");
	if (get_nested(c, &now, e) < 0) {
		free(now.data);
		return -1;
	}
	same = now.size == st->nested.size && memcmp(now.data, n, now.size) == 0;
	free(now.data);
	if (same)
		return 0;
	if (allowed != NULL)
		(void)set_msr(c, allowed); /* VMX wants it first */
	return ioctl(c->fd, KVM_SET_NESTED_STATE, n);
}

static int set_part(const struct cpu *c, struct state *st, const struct part *p)
{
	return ioctl(c->fd, p->set, member(st, p));
}

static int set_all(struct cpu *c, const struct arch_clock *at, struct state *st, struct sill_err *e)
{
	if (set_part(c, st, &parts[P_SREGS]) < 0 ||
	    (st->has_sregs2 && set_part(c, st, &part_sregs2) < 0) || set_nested(c, st, e) < 0 ||
	    set_part(c, st, &parts[P_LAPIC]) < 0 || set_part(c, st, &parts[P_REGS]) < 0 ||
	    set_part(c, st, &parts[P_XCRS]) < 0 ||
	    ioctl(c->fd, KVM_SET_XSAVE, st->xsave.data) < 0 ||
	    set_part(c, st, &parts[P_DEBUGREGS]) < 0 || set_tsc(c, at, st->tsc) < 0)
		return sill_err_sys(e, errno, "the host does not take the state of vCPU %u",
				    c->index);
	if (set_msrs(c, &st->msrs, e) < 0)
		return -1;
	if (set_part(c, st, &parts[P_EVENTS]) < 0 || set_part(c, st, &parts[P_MP_STATE]) < 0)
		return sill_err_sys(e, errno, "the host does not take the state of vCPU %u",
				    c->index);
	return 0;
}

int arch_cpu_load(struct cpu *c, const struct arch_clock *at, struct loader *l, struct sill_err *e)
{
	struct state *st = state_create(e);
	struct loader inner;
	int ret = -1;

	if (st == NULL)
		return -1;
	(void)load_begin(l, TAG_VCPU, VERSION);
	if (load_u32(l) != c->index)
		load_fail(l);
	inner = load_rest(l);
	if (load_end(l, "the vCPUs", e) == 0 && load_all(st, &inner, e) == 0)
		ret = set_all(c, at, st, e);
	state_free(st);
	return ret;
}
