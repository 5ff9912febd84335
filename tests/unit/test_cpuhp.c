/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cpuhp.c - the registers of processors that come and go, held against QEMU's public
 * specification of them, and the sequences that Linux and OVMF were seen to run.
 */
#include "kit.h"

#include <stdio.h>

#include "arch/x86_64/layout.h"
#include "devices/acpi/cpuhp.h"
#include "devices/acpi/pm.h"
#include "sill/config.h"

enum { SELECTOR = 0, FLAGS = 4, COMMAND = 5, DATA = 8 };
enum { ENABLED = 1, INSERT = 2, REMOVE = 4, EJECT = 8 };
enum { SEEN = 256 };
enum { GPE_STS = 0x20, GPE_EN = 0x28, GPE_CPU = 1 << PM_GPE_CPU };

/* A guest that has been up for a while. */
static const uint64_t UP_SINCE = 60000000000ull;

static struct kit k;
static struct dev *pm, *cpus;

static void set_up(unsigned count, unsigned present)
{
	uint32_t ids[SILL_MAX_CPUS];
	struct cpuhp_config c = { .apic_ids = ids, .count = count, .present = present };
	struct sill_err e = { 0 };

	for (unsigned i = 0; i < count; i++)
		ids[i] = i + i / 3; /* with gaps */
	kit_open(&k, 1000);
	kit_plug(&k, &pm_ops, NULL, IRQ_SCI);
	pm = c.pm = k.dev;
	cpus = dev_create(&cpuhp_ops, "cpus", &c, NO_GSI, &k.env, &e);
	if (cpus == NULL)
		fail_msg("%s", e.msg);
	wr(&k, 0, GPE_EN, 1, GPE_CPU); /* as a guest that listens */
	vmclock_set(&k.clock, UP_SINCE);
	k.dev = cpus;
}

static void tear_down(void)
{
	k.dev = NULL;
	dev_destroy(cpus);
	dev_destroy(pm);
	kit_close(&k);
}

/* The SCI is up; the guest clears its bit, as an edge event asks it to. */
static void take_event(void)
{
	assert_true(k.line[IRQ_SCI]);
	k.dev = pm;
	assert_int_equal(rd(&k, 0, GPE_STS, 1), GPE_CPU);
	wr(&k, 0, GPE_STS, 1, GPE_CPU);
	k.dev = cpus;
	assert_false(k.line[IRQ_SCI]);
}

static void choose(unsigned i)
{
	wr(&k, 0, SELECTOR, 4, i);
}

static unsigned status(unsigned i)
{
	choose(i);
	return (unsigned)rd(&k, 0, FLAGS, 1);
}

/* Command 0, from @from on: which processor has an event. */
static unsigned search(unsigned from)
{
	choose(from);
	wr(&k, 0, COMMAND, 1, 0);
	return (unsigned)rd(&k, 0, DATA, 4);
}

static void ost(unsigned i, uint32_t event, uint32_t code)
{
	choose(i);
	wr(&k, 0, COMMAND, 1, 1);
	wr(&k, 0, DATA, 4, event);
	wr(&k, 0, COMMAND, 1, 2);
	wr(&k, 0, DATA, 4, code);
}

static void eject(unsigned i)
{
	choose(i);
	wr(&k, 0, FLAGS, 1, EJECT);
}

static void cpuhp_selector__out_of_range_reads_zero_and_writes_nothing(void **state)
{
	static const uint32_t out[] = { 4, 5, 255, 0x80000000, 0xffffffff };

	(void)state;
	set_up(4, 2);
	cpuhp_add(cpus, 2);
	for (unsigned i = 0; i < ARRAY_LEN(out); i++) {
		choose(2);
		wr(&k, 0, COMMAND, 1, 3);
		choose(out[i]);
		wr(&k, 0, FLAGS, 1, INSERT);
		wr(&k, 0, COMMAND, 1, 1);
		wr(&k, 0, DATA, 4, 7);
		assert_int_equal(rd(&k, 0, SELECTOR, 4), 0);
		assert_int_equal(rd(&k, 0, FLAGS, 1), 0);
		assert_int_equal(rd(&k, 0, COMMAND, 1), 0);
		assert_int_equal(rd(&k, 0, DATA, 4), 0);
		choose(2);
		assert_int_equal(rd(&k, 0, DATA, 4), 2); /* the command stayed: its APIC id */
		assert_int_equal(rd(&k, 0, FLAGS, 1), ENABLED | INSERT);
	}
	tear_down();
}

static void cpuhp_search__finds_the_next_event_and_wraps(void **state)
{
	(void)state;
	set_up(6, 2);
	assert_int_equal(search(0), 0); /* none: the selector stays */
	assert_int_equal(search(3), 3);
	cpuhp_add(cpus, 4);
	assert_int_equal(search(0), 4);
	assert_int_equal(search(4), 4); /* the current one first */
	assert_int_equal(search(5), 4);
	cpuhp_ask(cpus, 1);
	assert_int_equal(search(0), 1);
	assert_int_equal(search(2), 4);
	assert_int_equal(search(5), 1);
	tear_down();
}

/* A guest that clears all status before it listens, as Linux does, has missed the event. */
static void cpuhp_tell_again__until_all_is_read(void **state)
{
	(void)state;
	set_up(4, 2);
	assert_false(cpuhp_tell_again(cpus));
	assert_false(k.line[IRQ_SCI]);
	cpuhp_add(cpus, 2);
	cpuhp_ask(cpus, 1);
	take_event();
	assert_true(cpuhp_tell_again(cpus));
	take_event();
	choose(2);
	wr(&k, 0, FLAGS, 1, INSERT);
	assert_true(cpuhp_tell_again(cpus));
	take_event();
	choose(1);
	wr(&k, 0, FLAGS, 1, REMOVE);
	assert_false(cpuhp_tell_again(cpus));
	assert_false(k.line[IRQ_SCI]);
	tear_down();
}

/* Linux says "failure" while its drivers are not there yet. */
static void cpuhp_ost__is_no_refusal_while_the_guest_boots(void **state)
{
	static const uint64_t begins = 1000 * 1000;

	(void)state;
	set_up(4, 2);
	dev_reset(pm);
	vmclock_set(&k.clock, begins);
	k.dev = pm;
	wr(&k, 0, GPE_EN, 1, GPE_CPU);
	k.dev = cpus;
	cpuhp_ask(cpus, 1);
	take_event();
	ost(1, 3, 1);
	assert_int_equal(cpuhp_answer(cpus, 1), CPUHP_NO_ANSWER);
	vmclock_set(&k.clock, begins + 10000000000ull - 1);
	ost(1, 3, 1);
	assert_int_equal(cpuhp_answer(cpus, 1), CPUHP_NO_ANSWER);
	assert_int_equal(k.answers, 0);
	vmclock_set(&k.clock, begins + 10000000000ull);
	ost(1, 3, 1);
	assert_int_equal(cpuhp_answer(cpus, 1), CPUHP_REFUSED);
	assert_int_equal(k.answers, 1);
	tear_down();
}

static void cpuhp_data__follows_the_command(void **state)
{
	(void)state;
	set_up(6, 6);
	choose(4);
	wr(&k, 0, COMMAND, 1, 3);
	assert_int_equal(rd(&k, 0, DATA, 4), 5);     /* the APIC id, */
	assert_int_equal(rd(&k, 0, SELECTOR, 4), 0); /* of which there is no upper half */
	for (unsigned v = 4; v < 256; v++) {
		wr(&k, 0, COMMAND, 1, v); /* no such command: the old one stays */
		assert_int_equal(rd(&k, 0, DATA, 4), 5);
	}
	for (unsigned v = 1; v <= 2; v++) {
		wr(&k, 0, COMMAND, 1, v);
		assert_int_equal(rd(&k, 0, DATA, 4), 0);
	}
	assert_int_equal(search(4), 4);
	assert_int_equal(rd(&k, 0, SELECTOR, 4), 0);
	assert_int_equal(rd(&k, 0, COMMAND, 1), 0);
	tear_down();
}

static void cpuhp_control__acts_on_the_first_bit(void **state)
{
	(void)state;
	set_up(4, 2);
	cpuhp_add(cpus, 2);
	cpuhp_ask(cpus, 2); /* before the guest has looked: both are told */
	assert_int_equal(status(2), ENABLED | INSERT | REMOVE);
	wr(&k, 0, FLAGS, 1, 0xf1); /* bits 0 and 4 to 7 do nothing */
	assert_int_equal(status(2), ENABLED | INSERT | REMOVE);
	wr(&k, 0, FLAGS, 1, INSERT | REMOVE | EJECT);
	assert_int_equal(status(2), ENABLED | REMOVE);
	wr(&k, 0, FLAGS, 1, REMOVE | EJECT);
	assert_int_equal(status(2), ENABLED);
	wr(&k, 0, FLAGS, 1, EJECT);
	assert_int_equal(status(2), 0);
	assert_int_equal(k.answers, 1);
	tear_down();
}

static void cpuhp_eject__needs_a_request(void **state)
{
	(void)state;
	set_up(4, 3);
	for (unsigned i = 0; i < 4; i++)
		eject(i); /* the first one, two that nobody asked for, an absent one */
	assert_int_equal(k.answers, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(status(i), i < 3 ? ENABLED : 0);
	cpuhp_ask(cpus, 3); /* absent: nothing to ask for */
	assert_int_equal(status(3), 0);
	assert_false(k.line[IRQ_SCI]);
	cpuhp_ask(cpus, 2);
	take_event();
	assert_int_equal(status(2), ENABLED | REMOVE);
	wr(&k, 0, FLAGS, 1, REMOVE); /* acknowledged: it is still asked for */
	assert_true(cpuhp_is_present(cpus, 2));
	eject(2);
	assert_int_equal(rd(&k, 0, FLAGS, 1), 0);
	assert_false(cpuhp_is_present(cpus, 2));
	assert_int_equal(k.answers, 1);
	eject(2);
	assert_int_equal(k.answers, 1);
	tear_down();
}

static void cpuhp_ost__tells_what_the_guest_says(void **state)
{
	(void)state;
	set_up(4, 4);
	ost(3, 3, 0x80); /* nobody has asked */
	assert_int_equal(cpuhp_answer(cpus, 3), CPUHP_NOT_ASKED);
	cpuhp_ask(cpus, 3);
	assert_int_equal(cpuhp_answer(cpus, 3), CPUHP_NO_ANSWER);
	ost(3, 1, 0x81); /* of an insertion */
	assert_int_equal(cpuhp_answer(cpus, 3), CPUHP_NO_ANSWER);
	ost(3, 3, 0x84);
	assert_int_equal(cpuhp_answer(cpus, 3), CPUHP_AT_IT);
	ost(3, 3, 0x82);
	assert_int_equal(cpuhp_answer(cpus, 3), CPUHP_REFUSED);
	cpuhp_ask(cpus, 3); /* once more */
	assert_int_equal(cpuhp_answer(cpus, 3), CPUHP_NO_ANSWER);
	eject(3);
	ost(3, 3, 0); /* Linux says so when it is gone */
	assert_int_equal(cpuhp_answer(cpus, 3), CPUHP_NOT_ASKED);
	assert_int_equal(status(3), 0);
	tear_down();
}

static void cpuhp_io__ignores_other_offsets_and_sizes(void **state)
{
	static const unsigned size[] = { 1, 2, 4 };

	(void)state;
	set_up(4, 4);
	cpuhp_ask(cpus, 2);
	choose(2);
	wr(&k, 0, COMMAND, 1, 3);
	for (unsigned off = 0; off < CPUHP_PORT_COUNT; off++) {
		for (unsigned i = 0; i < ARRAY_LEN(size); i++) {
			const unsigned n = size[i];

			if (off + n > CPUHP_PORT_COUNT || (off == SELECTOR && n == 4) ||
			    ((off == FLAGS || off == COMMAND) && n == 1) || (off == DATA && n == 4))
				continue;
			wr(&k, 0, off, n, 0xffffffff >> (32 - 8 * n));
			assert_int_equal(rd(&k, 0, off, n), 0);
		}
	}
	assert_int_equal(rd(&k, 0, DATA, 4), 2);
	assert_int_equal(rd(&k, 0, FLAGS, 1), ENABLED | REMOVE);
	tear_down();
}

/* What OVMF does before it has memory: how many are there, and how many can be? */
static void firmware_counts(unsigned *ret_present, unsigned *ret_possible)
{
	choose(0);
	choose(0);
	wr(&k, 0, COMMAND, 1, 0);
	assert_int_equal(rd(&k, 0, SELECTOR, 4), 0);
	*ret_present = *ret_possible = 0;
	do {
		choose(*ret_possible);
		if (*ret_possible != 0 && rd(&k, 0, DATA, 4) == 0)
			break;
		*ret_present += (rd(&k, 0, FLAGS, 1) & ENABLED) != 0;
		++*ret_possible;
	} while (*ret_possible < 1000);
}

static void cpuhp__lets_firmware_count(void **state)
{
	static const unsigned max[] = { 1, 2, 4, SILL_MAX_CPUS };
	unsigned present, possible;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(max); i++) {
		set_up(max[i], (max[i] + 1) / 2);
		firmware_counts(&present, &possible);
		assert_int_equal(possible, max[i]);
		assert_int_equal(present, (max[i] + 1) / 2);
		tear_down();
	}
	set_up(4, 4);
	cpuhp_ask(cpus, 1);
	eject(1); /* a gap */
	firmware_counts(&present, &possible);
	assert_int_equal(possible, 4);
	assert_int_equal(present, 3);
	tear_down();
}

/* The scan as the AML runs it; what it saw: "+3 " for an insertion, "-3 " for a removal. */
static void scan(char ret[SEEN])
{
	unsigned next = 0;
	size_t n = 0;

	ret[0] = '\0';
	while (next < 6) {
		const unsigned at = search(next);
		unsigned flags;

		if (at < next)
			break;
		flags = (unsigned)rd(&k, 0, FLAGS, 1);
		if ((flags & (INSERT | REMOVE)) == 0)
			break;
		if ((flags & INSERT) != 0) {
			n += (size_t)snprintf(ret + n, SEEN - n, "+%u ", at);
			wr(&k, 0, FLAGS, 1, INSERT);
		}
		if ((flags & REMOVE) != 0) {
			n += (size_t)snprintf(ret + n, SEEN - n, "-%u ", at);
			wr(&k, 0, FLAGS, 1, REMOVE);
		}
		next = at + 1;
	}
}

static void cpuhp_scan__sees_each_event_once(void **state)
{
	char seen[SEEN];

	(void)state;
	set_up(6, 3);
	cpuhp_add(cpus, 3);
	take_event();
	cpuhp_add(cpus, 4);
	cpuhp_ask(cpus, 4); /* add, then remove, before any read */
	cpuhp_ask(cpus, 1);
	take_event();
	scan(seen);
	assert_string_equal(seen, "-1 +3 +4 -4 ");
	scan(seen);
	assert_string_equal(seen, "");
	eject(4);
	eject(1);
	assert_int_equal(status(4) | status(1), 0);
	assert_int_equal(k.answers, 2);
	cpuhp_add(cpus, 4); /* again, the same one */
	take_event();
	scan(seen);
	assert_string_equal(seen, "+4 ");
	assert_int_equal(status(4), ENABLED);
	tear_down();
}

static void cpuhp_keep__takes_a_request_back(void **state)
{
	char seen[SEEN];

	(void)state;
	set_up(6, 3);
	cpuhp_ask(cpus, 2);
	cpuhp_keep(cpus, 2); /* before the guest has looked */
	take_event();
	scan(seen);
	assert_string_equal(seen, "");
	eject(2);
	assert_int_equal(status(2), ENABLED);
	assert_false(k.line[IRQ_SCI]);

	cpuhp_ask(cpus, 2);
	take_event();
	scan(seen);
	assert_string_equal(seen, "-2 ");
	cpuhp_keep(cpus, 2); /* while the guest is at it: it lets go, and is told to look again */
	eject(2);
	assert_int_equal(status(2), ENABLED | INSERT);
	take_event();
	scan(seen);
	assert_string_equal(seen, "+2 ");
	eject(2);
	assert_false(k.line[IRQ_SCI]);
	assert_int_equal(k.answers, 0);
	tear_down();
}

static void cpuhp_reset__carries_out_requests_and_forgets(void **state)
{
	(void)state;
	set_up(6, 4);
	cpuhp_add(cpus, 4);
	cpuhp_add(cpus, 5);
	cpuhp_ask(cpus, 5);
	cpuhp_ask(cpus, 1);
	ost(1, 3, 0x82); /* refused: a reset does not mind */
	wr(&k, 0, COMMAND, 1, 3);
	dev_reset(cpus);
	assert_int_equal(rd(&k, 0, DATA, 4), 0); /* selector 0, command 0 */
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(status(i), i == 1 || i == 5 ? 0 : ENABLED);
		assert_int_equal(cpuhp_answer(cpus, i), CPUHP_NOT_ASKED);
	}
	assert_int_equal(k.answers, 2); /* the refusal, and what the reset took */
	dev_reset(cpus);
	assert_int_equal(k.answers, 2);
	tear_down();
}

static void cpuhp_save__keeps_all_of_it(void **state)
{
	uint8_t *saved, *again;
	size_t n, m;

	(void)state;
	set_up(6, 3);
	cpuhp_add(cpus, 3);
	cpuhp_ask(cpus, 2);
	ost(2, 3, 0x84);
	cpuhp_ask(cpus, 1);
	choose(1);
	wr(&k, 0, FLAGS, 1, REMOVE);
	cpuhp_keep(cpus, 1);
	choose(4);
	wr(&k, 0, COMMAND, 1, 3);
	saved = kit_save(&k, &n);
	tear_down();
	set_up(6, 6);
	assert_int_equal(kit_load(&k, saved, n), 0);
	assert_int_equal(rd(&k, 0, DATA, 4), 5);
	again = kit_save(&k, &m);
	assert_int_equal(n, m);
	assert_memory_equal(saved, again, n);
	free(saved);
	free(again);
	assert_int_equal(status(3), ENABLED | INSERT);
	assert_int_equal(status(2), ENABLED | REMOVE);
	assert_int_equal(cpuhp_answer(cpus, 2), CPUHP_AT_IT);
	assert_int_equal(status(4) | status(5), 0);
	eject(1); /* one that was kept */
	assert_int_equal(status(1), ENABLED | INSERT);
	kit_load_damaged(&k);
	tear_down();
}

/* Nothing a guest may write takes away the first one, or one that nobody asked for. */
static void cpuhp_io__survives_anything(void **state)
{
	static const unsigned size[] = { 1, 2, 4, 8 };
	uint64_t seed = 1;

	(void)state;
	set_up(SILL_MAX_CPUS, 8);
	cpuhp_ask(cpus, 5);
	for (unsigned i = 0; i < 20000; i++) {
		struct io io = { 0 };

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		io.size = (uint8_t)size[seed >> 60 & 3];
		io.off = (seed >> 33) % (CPUHP_PORT_COUNT - io.size + 1);
		io.write = (seed >> 32 & 1) != 0;
		io.val = seed >> 40 & ((seed >> 30 & 1) != 0 ? 0xffff : 0x0f);
		assert_int_equal(dev_io(cpus, 0, &io), IO_DONE);
	}
	for (unsigned i = 0; i < SILL_MAX_CPUS; i++)
		if (i != 5)
			assert_int_equal(cpuhp_is_present(cpus, i), i < 8);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpuhp_selector__out_of_range_reads_zero_and_writes_nothing),
		cmocka_unit_test(cpuhp_search__finds_the_next_event_and_wraps),
		cmocka_unit_test(cpuhp_tell_again__until_all_is_read),
		cmocka_unit_test(cpuhp_ost__is_no_refusal_while_the_guest_boots),
		cmocka_unit_test(cpuhp_data__follows_the_command),
		cmocka_unit_test(cpuhp_control__acts_on_the_first_bit),
		cmocka_unit_test(cpuhp_eject__needs_a_request),
		cmocka_unit_test(cpuhp_ost__tells_what_the_guest_says),
		cmocka_unit_test(cpuhp_io__ignores_other_offsets_and_sizes),
		cmocka_unit_test(cpuhp__lets_firmware_count),
		cmocka_unit_test(cpuhp_scan__sees_each_event_once),
		cmocka_unit_test(cpuhp_keep__takes_a_request_back),
		cmocka_unit_test(cpuhp_reset__carries_out_requests_and_forgets),
		cmocka_unit_test(cpuhp_save__keeps_all_of_it),
		cmocka_unit_test(cpuhp_io__survives_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
