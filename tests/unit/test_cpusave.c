/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cpusave.c - a vCPU's state through bytes into another vCPU, on a KVM that has
 * the rules of Linux's about the order; cpusave.c is included with ioctl() replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/le.h"
#include "core/kvm.h"

static int fake_ioctl(int fd, unsigned long request, ...);
static int fake_cap(const struct kvm *k, unsigned cap);
#define ioctl         fake_ioctl
#define kvm_cap       fake_cap
#define cpu_list_msrs fake_list_msrs
#define cpu_read_msrs fake_read_msrs
#include "arch/x86_64/cpusave.c"
#undef ioctl
#undef kvm_cap

enum {
	XSAVE = 8192, /* AMX */
	NESTED = 4096 + (int)sizeof(struct kvm_nested_state),
	MSR_LSTAR = (int)0xc0000082,
	MSR_DEADLINE = 0x6e0,
	MSR_STRANGE = 0x123,
	MSRS = 4,
};

/* vCPUs by descriptor. */
static struct fake {
	struct kvm_mp_state mp_state;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs2 sregs2;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	uint8_t xsave[XSAVE];
	uint8_t nested[NESTED];
	struct kvm_msr_entry msr[MSRS];
	uint64_t tsc_offset;
	/* What was set so far, for the order. */
	bool has_sregs, has_lapic, has_regs, has_events, has_tsc;
} v[2];

static int msr_count;

static int no(int error)
{
	errno = error;
	return -1;
}

static int fake_cap(const struct kvm *k, unsigned cap)
{
	(void)k;
	return cap == KVM_CAP_XSAVE2 ? XSAVE : cap == KVM_CAP_NESTED_STATE ? NESTED : 0;
}

static int msrs(struct fake *f, struct msr_list *m, bool set)
{
	unsigned n = 0;

	for (; n < m->head.nmsrs; n++) {
		int i = 0;

		while (i < msr_count && f->msr[i].index != m->entry[n].index)
			i++;
		if (i == msr_count)
			break;
		if (!set) {
			m->entry[n].data = f->msr[i].data;
			continue;
		}
		/* The deadline counts from the counter, and only in an APIC that is there. */
		assert_true(f->has_lapic && f->has_tsc);
		f->msr[i].data = m->entry[n].data;
	}
	return (int)n;
}

int cpu_list_msrs(const struct kvm *k, bool hyperv, struct msr_list *ret, struct sill_err *e)
{
	(void)k;
	(void)hyperv;
	(void)e;
	ret->head.nmsrs = (unsigned)msr_count;
	for (int i = 0; i < msr_count; i++)
		ret->entry[i].index = v[0].msr[i].index;
	return 0;
}

int cpu_read_msrs(int vcpu_fd, struct msr_list *m, struct sill_err *e)
{
	(void)e;
	return msrs(&v[vcpu_fd], m, false) == (int)m->head.nmsrs ? 0 : -1;
}

static int part(struct fake *f, unsigned long request, void *p)
{
	switch (request) {
	case KVM_GET_MP_STATE:
		*(struct kvm_mp_state *)p = f->mp_state;
		return 0;
	case KVM_SET_MP_STATE:
		assert_true(f->has_events);
		f->mp_state = *(struct kvm_mp_state *)p;
		return f->mp_state.mp_state > 10 ? no(EINVAL) : 0;
	case KVM_GET_REGS:
		*(struct kvm_regs *)p = f->regs;
		return 0;
	case KVM_SET_REGS:
		assert_true(f->has_sregs);
		assert_false(f->has_events); /* it takes back exceptions */
		f->regs = *(struct kvm_regs *)p;
		f->has_regs = true;
		return 0;
	case KVM_GET_SREGS:
		*(struct kvm_sregs *)p = f->sregs;
		return 0;
	case KVM_SET_SREGS:
		f->sregs = *(struct kvm_sregs *)p;
		f->has_sregs = true;
		return 0;
	case KVM_GET_SREGS2:
		*(struct kvm_sregs2 *)p = f->sregs2;
		return 0;
	case KVM_SET_SREGS2:
		f->sregs2 = *(struct kvm_sregs2 *)p;
		return 0;
	case KVM_GET_XCRS:
		*(struct kvm_xcrs *)p = f->xcrs;
		return 0;
	case KVM_SET_XCRS:
		f->xcrs = *(struct kvm_xcrs *)p;
		return 0;
	case KVM_GET_DEBUGREGS:
		*(struct kvm_debugregs *)p = f->debugregs;
		return 0;
	case KVM_SET_DEBUGREGS:
		f->debugregs = *(struct kvm_debugregs *)p;
		return 0;
	case KVM_GET_LAPIC:
		*(struct kvm_lapic_state *)p = f->lapic;
		return 0;
	case KVM_SET_LAPIC:
		assert_true(f->has_sregs); /* the APIC's base says in which mode it is */
		f->lapic = *(struct kvm_lapic_state *)p;
		f->has_lapic = true;
		return 0;
	case KVM_GET_VCPU_EVENTS:
		*(struct kvm_vcpu_events *)p = f->events;
		return 0;
	case KVM_SET_VCPU_EVENTS:
		assert_true(f->has_regs && f->has_lapic);
		f->events = *(struct kvm_vcpu_events *)p;
		f->has_events = true;
		return 0;
	default:
		return no(ENOTTY);
	}
}

static int device_attr(struct fake *f, const struct kvm_device_attr *a, bool set)
{
	uint64_t *offset = (uint64_t *)(uintptr_t)a->addr;

	if (!set) {
		*offset = f->tsc_offset;
		return 0;
	}
	f->tsc_offset = *offset;
	f->has_tsc = true;
	return 0;
}

static int nested(struct fake *f, struct kvm_nested_state *n, bool set)
{
	if (set) {
		assert_true(f->has_sregs); /* EFER allows it */
		memcpy(f->nested, n, NESTED);
		return 0;
	}
	if (n->size < NESTED)
		return no(E2BIG);
	memcpy(n, f->nested, NESTED);
	n->size = NESTED;
	return 0;
}

static int fake_ioctl(int fd, unsigned long request, ...)
{
	struct fake *f = &v[fd & 1];
	va_list args;
	void *p;

	va_start(args, request);
	p = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case KVM_SET_MSRS:
		return msrs(f, p, true);
	case KVM_GET_XSAVE2:
		memcpy(p, f->xsave, XSAVE);
		return 0;
	case KVM_SET_XSAVE:
		memcpy(f->xsave, p, XSAVE);
		return 0;
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return device_attr(f, p, request == KVM_SET_DEVICE_ATTR);
	case KVM_GET_NESTED_STATE:
	case KVM_SET_NESTED_STATE:
		return nested(f, p, request == KVM_SET_NESTED_STATE);
	default:
		return part(f, request, p);
	}
}

/* ---- set-up ---- */

static struct machine machine;
static struct board board;
static struct cpu cpu[2];

static void fill(void *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)(i * 7 + seed);
}

/* One that has run for a while, and one that is new. */
static int set_up(void **state)
{
	static const uint32_t index[MSRS] = { MSR_TSC, (uint32_t)MSR_LSTAR, MSR_DEADLINE,
					      MSR_STRANGE };

	(void)state;
	memset(v, 0, sizeof(v));
	msr_count = MSRS;
	for (unsigned i = 0; i < 2; i++) {
		cpu[i] = (struct cpu){
			.index = 3, .fd = (int)i, .machine = &machine, .board = &board
		};
		((struct kvm_nested_state *)(void *)v[i].nested)->size = NESTED;
		for (unsigned n = 0; n < MSRS; n++)
			v[i].msr[n].index = index[n];
	}
	machine.name = (char *)(uintptr_t) "vm";
	fill(&v[0].regs, sizeof(v[0].regs), 1);
	fill(&v[0].sregs, sizeof(v[0].sregs), 2);
	fill(&v[0].sregs2, sizeof(v[0].sregs2), 3);
	fill(&v[0].xcrs, sizeof(v[0].xcrs), 4);
	fill(&v[0].debugregs, sizeof(v[0].debugregs), 5);
	fill(&v[0].lapic, sizeof(v[0].lapic), 6);
	fill(&v[0].events, sizeof(v[0].events), 7);
	fill(v[0].xsave, XSAVE, 8);
	fill(v[0].nested + sizeof(struct kvm_nested_state), 4096, 9);
	v[0].mp_state.mp_state = KVM_MP_STATE_HALTED;
	v[0].tsc_offset = 1000;
	v[0].msr[1].data = 0xffffffff81000000;
	v[0].msr[2].data = 5555;
	return 0;
}

static void save(unsigned i, const struct arch_clock *at, struct buf *b)
{
	struct sill_err e = { 0 };
	struct saver s;

	buf_init(b, 1 << 20);
	save_init(&s, b);
	if (arch_cpu_save(&cpu[i], at, &s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(b->failed);
}

static int load(const void *data, size_t size, const struct arch_clock *at, struct sill_err *e)
{
	struct loader l;
	int ret;

	*e = (struct sill_err){ 0 };
	load_init(&l, data, size);
	ret = arch_cpu_load(&cpu[1], at, &l, e);
	assert_int_equal(ret < 0, e->code != SILL_ERR_NONE);
	return ret;
}

/* ---- tests ---- */

static void cpu_save__another_vcpu_gets_all_of_it(void **state)
{
	const struct arch_clock then = { .counter = 10000 }, later = { .counter = 70000 };
	struct sill_err e;
	struct buf first, second;

	(void)state;
	save(0, &then, &first);
	if (load(first.data, first.size, &later, &e) < 0)
		fail_msg("%s", e.msg);
	assert_memory_equal(&v[0].regs, &v[1].regs, sizeof(v[0].regs));
	assert_memory_equal(&v[0].sregs, &v[1].sregs, sizeof(v[0].sregs));
	assert_memory_equal(&v[0].lapic, &v[1].lapic, sizeof(v[0].lapic));
	assert_memory_equal(v[0].xsave, v[1].xsave, XSAVE);
	assert_memory_equal(v[0].nested, v[1].nested, NESTED);
	assert_int_equal(v[1].mp_state.mp_state, KVM_MP_STATE_HALTED);
	assert_int_equal(v[1].msr[1].data, 0xffffffff81000000);
	assert_int_equal(v[1].msr[2].data, 5555);
	/* The counter stands from the one to the other. */
	assert_int_equal(later.counter + v[1].tsc_offset, then.counter + v[0].tsc_offset);
	v[1].msr[0].data = v[0].msr[0].data; /* it runs */
	save(1, &later, &second);
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
	buf_fini(&first);
	buf_fini(&second);
}

static void cpu_load__an_msr_that_this_host_has_not_is_an_error(void **state)
{
	const struct arch_clock at = { .counter = 10000 };
	struct sill_err e;
	struct buf b;

	(void)state;
	v[0].msr[3].data = 1;
	save(0, &at, &b);
	msr_count--;
	assert_int_equal(load(b.data, b.size, &at, &e), -1);
	assert_string_equal(e.msg,
			    "the state of vCPU 3 has MSR 0x123, which this host's KVM has not");
	buf_fini(&b);
}

static void cpu_load__what_kvm_refuses_is_an_error(void **state)
{
	const struct arch_clock at = { .counter = 10000 };
	struct sill_err e;
	struct buf b;

	(void)state;
	v[0].mp_state.mp_state = 11;
	save(0, &at, &b);
	assert_int_equal(load(b.data, b.size, &at, &e), -1);
	assert_int_equal(e.sys, EINVAL);
	buf_fini(&b);
}

static void cpu_load__is_of_the_same_vcpu(void **state)
{
	const struct arch_clock at = { .counter = 10000 };
	struct sill_err e;
	struct buf b;

	(void)state;
	save(0, &at, &b);
	cpu[1].index = 2;
	assert_int_equal(load(b.data, b.size, &at, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	buf_fini(&b);
}

static void cpu_load__refuses_what_is_cut(void **state)
{
	const struct arch_clock at = { .counter = 10000 };
	struct sill_err e;
	uint8_t *bytes;
	struct buf b;

	(void)state;
	save(0, &at, &b);
	for (size_t n = 0; n < b.size; n += 13) {
		bytes = malloc(n + 1);
		assert_non_null(bytes);
		memcpy(bytes, b.data, n);
		assert_int_equal(load(bytes, n, &at, &e), -1);
		assert_int_equal(e.code, SILL_ERR_STATE);
		free(bytes);
	}
	buf_fini(&b);
}

/* Every record's head, with each of its bits changed. */
static void cpu_load__bounds_its_records(void **state)
{
	const struct arch_clock at = { .counter = 10000 };
	struct sill_err e;
	struct buf b;

	(void)state;
	save(0, &at, &b);
	for (size_t n = 12 + 4; n + 12 <= b.size; n += 12 + ld32(b.data + n + 8))
		for (unsigned bit = 0; bit < 96; bit++) {
			b.data[n + bit / 8] ^= (uint8_t)(1 << bit % 8);
			memset(&v[1].has_sregs, 0, sizeof(v[1]) - offsetof(struct fake, has_sregs));
			(void)load(b.data, b.size, &at, &e);
			b.data[n + bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(cpu_save__another_vcpu_gets_all_of_it, set_up),
		cmocka_unit_test_setup(cpu_load__an_msr_that_this_host_has_not_is_an_error, set_up),
		cmocka_unit_test_setup(cpu_load__what_kvm_refuses_is_an_error, set_up),
		cmocka_unit_test_setup(cpu_load__is_of_the_same_vcpu, set_up),
		cmocka_unit_test_setup(cpu_load__refuses_what_is_cut, set_up),
		cmocka_unit_test_setup(cpu_load__bounds_its_records, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
