/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_vcpu.c - vCPU threads, the gate and the exits, on a KVM made of a script:
 * vcpu.c, exit.c and the PC's cpuexit.c are included with ioctl() replaced. A vCPU's descriptor is
 * the number of its script.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sill/vm.h"

static int fake_ioctl(int fd, unsigned long request, ...);
#define ioctl fake_ioctl
#include "arch/x86_64/cpuexit.c"
#include "vm/exit.c"
#include "vm/vcpu.c"
#undef ioctl

enum { CPUS_MAX = 4, PORT = 0x80, STEPS_MAX = 8, DATA_AT = 4096 };

/* One return from KVM_RUN. */
struct step {
	int error;          /* errno; 0: an exit */
	uint32_t reason;    /* KVM_EXIT_... */
	const char *out;    /* KVM_EXIT_IO: the bytes, one port */
	bool is_completion; /* comes although immediate_exit is set: the instruction is not done */
	uint32_t system_type; /* KVM_EXIT_SYSTEM_EVENT */
};

static struct step exit_of(uint32_t reason)
{
	return (struct step){ .reason = reason };
}

static struct step event(uint32_t type)
{
	return (struct step){ .reason = KVM_EXIT_SYSTEM_EVENT, .system_type = type };
}

static struct step failure(int error)
{
	return (struct step){ .error = error };
}

static struct step output(const char *bytes)
{
	return (struct step){ .reason = KVM_EXIT_IO, .out = bytes };
}

static struct step rest(struct step s)
{
	s.is_completion = true;
	return s;
}

/* run points into page, as KVM's mapping would. */
struct fake {
	struct step step[STEPS_MAX];
	unsigned count, at;
	_Alignas(4096) unsigned char page[2 * 4096];
};

static struct bench {
	struct fake fake[CPUS_MAX];
	struct vcpu vcpu[CPUS_MAX];
	struct vcpu_gate gate;
	struct machine machine;
	struct board board;
	struct io_target port;
	char got[64]; /* what the port was told */
	unsigned got_count;
	bool close_on_write;
	unsigned parked_calls; /* atomic */
	int wanted[8];         /* enum vcpu_next */
	unsigned wanted_count; /* atomic */
	enum cause why;
} * b;

static int run_step(struct fake *f, const struct step *s)
{
	struct kvm_run *run = (struct kvm_run *)f->page;

	if (s->error != 0) {
		errno = s->error;
		return -1;
	}
	run->exit_reason = s->reason;
	if (s->reason == KVM_EXIT_IO) {
		run->io.direction = KVM_EXIT_IO_OUT;
		run->io.size = 1;
		run->io.port = PORT;
		run->io.count = (uint32_t)strlen(s->out);
		run->io.data_offset = DATA_AT;
		memcpy(f->page + DATA_AT, s->out, strlen(s->out));
	}
	if (s->reason == KVM_EXIT_SYSTEM_EVENT)
		run->system_event.type = s->system_type;
	return 0;
}

/* KVM_RUN with nothing left in the script is a guest that computes until it is kicked. */
static int fake_ioctl(int fd, unsigned long request, ...)
{
	struct fake *f = &b->fake[fd];
	struct kvm_run *run = (struct kvm_run *)f->page;

	if (request != KVM_RUN)
		return -1;
	for (;;) {
		const struct step *s = f->at < f->count ? &f->step[f->at] : NULL;

		if (s != NULL && s->is_completion) {
			f->at++;
			return run_step(f, s);
		}
		if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST) != 0) {
			errno = EINTR;
			return -1;
		}
		if (s != NULL) {
			f->at++;
			return run_step(f, s);
		}
		(void)usleep(100);
	}
}

static enum io_result port_io(void *ctx, unsigned region, struct io *io)
{
	(void)ctx;
	(void)region;
	if (io->write && b->got_count < sizeof(b->got) - 1)
		b->got[b->got_count++] = (char)io->val;
	if (b->close_on_write)
		vcpu_gate_close(&b->gate);
	return IO_DONE;
}

static void on_parked(void *ctx)
{
	(void)ctx;
	(void)__atomic_add_fetch(&b->parked_calls, 1, __ATOMIC_SEQ_CST);
}

static void on_wants(void *ctx, enum vcpu_next next, unsigned index, enum cause why)
{
	(void)ctx;
	(void)index;
	b->why = why;
	b->wanted[__atomic_fetch_add(&b->wanted_count, 1, __ATOMIC_SEQ_CST)] = (int)next;
	vcpu_gate_close(&b->gate);
}

static void open_bench(unsigned cpus)
{
	static const struct sill_cpus_config config;
	struct map_region r = { .base = PORT, .size = 1 };
	struct sill_err e = { 0 };

	b = aligned_alloc(4096, (sizeof(*b) + 4095) / 4096 * 4096);
	assert_non_null(b);
	memset(b, 0, sizeof(*b));
	b->machine.pio = map_create(0x10000, NULL, &e);
	b->machine.mmio = map_create(0, NULL, &e);
	b->port = (struct io_target){ .io = port_io, .name = "port" };
	r.target = &b->port;
	assert_int_equal(map_add(b->machine.pio, &r, &e), 0);
	vcpu_gate_init(&b->gate, b->vcpu, CPUS_MAX, cpus);
	b->gate.all_parked = on_parked;
	b->gate.wants = on_wants;
	assert_int_equal(vcpu_prepare_signal(&e), 0);
	for (unsigned i = 0; i < cpus; i++)
		b->vcpu[i] = (struct vcpu){ .cpu = { .index = i,
						     .fd = (int)i,
						     .machine = &b->machine,
						     .board = &b->board,
						     .run = (struct kvm_run *)b->fake[i].page },
					    .gate = &b->gate };
	for (unsigned i = 0; i < cpus; i++)
		assert_int_equal(vcpu_start(&b->vcpu[i], &config, &e), 0);
}

static void add_step(unsigned cpu, struct step s)
{
	struct fake *f = &b->fake[cpu];

	assert_true(f->count < STEPS_MAX);
	f->step[f->count++] = s;
}

static void wait_parked(void)
{
	for (unsigned i = 0; i < 50000 && !vcpu_gate_all_parked(&b->gate); i++)
		(void)usleep(100);
	assert_true(vcpu_gate_all_parked(&b->gate));
}

/* After one more run: all_parked() has been called a second time. */
static void wait_parked_again(void)
{
	for (unsigned i = 0; i < 50000 && __atomic_load_n(&b->parked_calls, __ATOMIC_SEQ_CST) < 2;
	     i++)
		(void)usleep(100);
	wait_parked();
}

static void close_bench(void)
{
	vcpu_gate_quit(&b->gate);
	for (unsigned i = 0; i < b->gate.count; i++)
		(void)pthread_join(b->vcpu[i].thread, NULL);
	vcpu_gate_fini(&b->gate);
	map_destroy(b->machine.pio);
	map_destroy(b->machine.mmio);
	free(b);
}

/* --- the gate ----------------------------------------------------------- */

static void gate__starts_closed_and_all_park(void **state)
{
	(void)state;
	open_bench(CPUS_MAX);
	wait_parked();
	assert_int_equal(__atomic_load_n(&b->parked_calls, __ATOMIC_SEQ_CST), 1);
	close_bench();
}

static void gate_close__stops_guests_that_never_exit(void **state)
{
	(void)state;
	open_bench(CPUS_MAX);
	wait_parked();
	for (unsigned i = 1; i <= 200; i++) {
		vcpu_gate_open(&b->gate);
		vcpu_gate_close(&b->gate);
		wait_parked();
	}
	close_bench();
}

static void gate_open__lets_the_guest_run(void **state)
{
	(void)state;
	open_bench(2);
	add_step(1, output("x"));
	wait_parked();
	b->close_on_write = true;
	vcpu_gate_open(&b->gate);
	wait_parked_again();
	assert_string_equal(b->got, "x");
	close_bench();
}

/* Threads that come and go between the others, which the gate waits for like for those of the start. */
static void vcpu_add__is_one_more_to_wait_for(void **state)
{
	static const struct sill_cpus_config config;
	struct sill_err e = { 0 };

	(void)state;
	open_bench(2);
	for (unsigned i = 2; i < CPUS_MAX; i++)
		b->vcpu[i] = (struct vcpu){ .cpu = { .index = i,
						     .fd = (int)i,
						     .machine = &b->machine,
						     .board = &b->board,
						     .run = (struct kvm_run *)b->fake[i].page },
					    .gate = &b->gate };
	for (unsigned round = 0; round < 20; round++) {
		wait_parked();
		assert_int_equal(vcpu_add(&b->vcpu[3], &config, &e), 0);
		assert_int_equal(b->gate.count, 3);
		vcpu_gate_open(&b->gate);
		assert_int_equal(vcpu_add(&b->vcpu[2], &config, &e),
				 0); /* an open gate does no harm */
		vcpu_gate_close(&b->gate);
		wait_parked();
		assert_int_equal(b->gate.parked, 4);
		vcpu_remove(&b->vcpu[3]);
		vcpu_remove(&b->vcpu[2]);
		assert_int_equal(b->gate.count, 2);
		assert_int_equal(b->gate.parked, 2);
		vcpu_gate_open(&b->gate);
		vcpu_gate_close(&b->gate);
	}
	wait_parked();
	close_bench();
}

/* --- parking ------------------------------------------------------------ */

/* A string of outputs comes in several exits; the pause must not swallow the rest. */
static void vcpu_park__carries_out_the_rest_of_an_instruction(void **state)
{
	(void)state;
	open_bench(1);
	wait_parked();
	add_step(0, output("ab"));
	add_step(0, rest(output("cd")));
	add_step(0, rest(output("e")));
	add_step(0, output("not yet"));
	b->close_on_write = true;
	vcpu_gate_open(&b->gate);
	wait_parked_again();
	assert_string_equal(b->got, "abcde");
	assert_int_equal(b->wanted_count, 0);
	close_bench();
}

/* ... and what that rest asks for is heard. */
static void vcpu_park__hears_a_reset_in_the_rest_of_an_instruction(void **state)
{
	(void)state;
	open_bench(1);
	wait_parked();
	add_step(0, output("a"));
	add_step(0, rest(exit_of(KVM_EXIT_SHUTDOWN)));
	b->close_on_write = true;
	vcpu_gate_open(&b->gate);
	wait_parked_again();
	assert_int_equal(b->wanted_count, 1);
	assert_int_equal(b->wanted[0], VCPU_RESET);
	assert_int_equal(b->why, CAUSE_TRIPLE_FAULT);
	assert_string_equal(cause_text(b->why), "triple fault");
	close_bench();
}

static void vcpu_main__asks_once_and_parks(void **state)
{
	const struct step steps[] = {
		exit_of(KVM_EXIT_SHUTDOWN),       event(KVM_SYSTEM_EVENT_SHUTDOWN),
		event(KVM_SYSTEM_EVENT_RESET),    exit_of(KVM_EXIT_FAIL_ENTRY),
		exit_of(KVM_EXIT_INTERNAL_ERROR), exit_of(0xffff),
		exit_of(KVM_EXIT_DEBUG),          failure(ENOMEM),
	};
	static const enum vcpu_next next[] = { VCPU_RESET,  VCPU_OFF,    VCPU_RESET,  VCPU_BROKEN,
					       VCPU_BROKEN, VCPU_BROKEN, VCPU_BROKEN, VCPU_BROKEN };
	FILE *nowhere = fopen("/dev/null", "w");

	_Static_assert(ARRAY_LEN(steps) == ARRAY_LEN(next), "one answer each");
	(void)state;
	assert_non_null(nowhere);
	sill_log_to(nowhere, LOG_ERROR);
	for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
		open_bench(2);
		wait_parked();
		add_step(1, steps[i]);
		vcpu_gate_open(&b->gate);
		wait_parked_again();
		assert_int_equal(b->wanted_count, 1);
		assert_int_equal(b->wanted[0], next[i]);
		assert_int_not_equal(b->why, CAUSE_NONE);
		assert_non_null(cause_text(b->why));
		close_bench();
	}
	sill_log_to(stderr, LOG_INFO);
	(void)fclose(nowhere);
}

static void vcpu_main__goes_on_after_what_needs_nothing(void **state)
{
	const struct step steps[] = {
		exit_of(KVM_EXIT_HLT),
		exit_of(KVM_EXIT_INTR),
		exit_of(KVM_EXIT_IRQ_WINDOW_OPEN),
		event(77),
		failure(EAGAIN),
		failure(EINTR),
		output("z"),
	};

	(void)state;
	open_bench(1);
	wait_parked();
	for (unsigned i = 0; i < ARRAY_LEN(steps); i++)
		add_step(0, steps[i]);
	b->close_on_write = true;
	vcpu_gate_open(&b->gate);
	wait_parked_again();
	assert_string_equal(b->got, "z");
	assert_int_equal(b->wanted_count, 0);
	close_bench();
}

/* --- exits -------------------------------------------------------------- */

static void exit_hyperv__says_that_a_hypercall_does_not_exist(void **state)
{
	struct kvm_run *run;
	enum cause why = CAUSE_NONE;

	(void)state;
	open_bench(1);
	wait_parked();
	run = b->vcpu[0].cpu.run;
	run->hyperv.type = KVM_EXIT_HYPERV_HCALL;
	run->hyperv.u.hcall.input = 0x5c; /* HvPostMessage */
	run->hyperv.u.hcall.result = 0;
	assert_int_equal(exit_hyperv(&b->vcpu[0].cpu, &why), VCPU_AGAIN);
	assert_int_equal(run->hyperv.u.hcall.result, 2);
	close_bench();
}

static void exit_msr__injects_a_fault_for_hyperv_registers_and_zero_leaks(void **state)
{
	struct kvm_run *run;
	enum cause why = CAUSE_NONE;

	(void)state;
	open_bench(1);
	wait_parked();
	b->board.msrs.ignore_unknown = true;
	run = b->vcpu[0].cpu.run;
	run->msr.index = 0x40000118;
	run->msr.data = ~0ull;
	assert_int_equal(exit_rdmsr(&b->vcpu[0].cpu, &why), VCPU_AGAIN);
	assert_int_equal(run->msr.error, 1);
	assert_int_equal(run->msr.data, 0);
	assert_int_equal(exit_wrmsr(&b->vcpu[0].cpu, &why), VCPU_AGAIN);
	assert_int_equal(run->msr.error, 1);
	run->msr.index = 0x1234567;
	assert_int_equal(exit_rdmsr(&b->vcpu[0].cpu, &why), VCPU_AGAIN);
	assert_int_equal(run->msr.error, 0);
	assert_int_equal(run->msr.data, 0);
	close_bench();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gate__starts_closed_and_all_park),
		cmocka_unit_test(gate_close__stops_guests_that_never_exit),
		cmocka_unit_test(gate_open__lets_the_guest_run),
		cmocka_unit_test(vcpu_add__is_one_more_to_wait_for),
		cmocka_unit_test(vcpu_park__carries_out_the_rest_of_an_instruction),
		cmocka_unit_test(vcpu_park__hears_a_reset_in_the_rest_of_an_instruction),
		cmocka_unit_test(vcpu_main__asks_once_and_parks),
		cmocka_unit_test(vcpu_main__goes_on_after_what_needs_nothing),
		cmocka_unit_test(exit_hyperv__says_that_a_hypercall_does_not_exist),
		cmocka_unit_test(exit_msr__injects_a_fault_for_hyperv_registers_and_zero_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
