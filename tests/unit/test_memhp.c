/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_memhp.c - the registers of memory modules that come and go, held against QEMU's public
 * specification of them, and the sequences that Linux was seen to run.
 */
#include "kit.h"

#include <stdio.h>

#include "arch/x86_64/layout.h"
#include "devices/acpi/memhp.h"
#include "devices/acpi/pm.h"

enum {
	SELECTOR = 0,
	LOW = 0,
	HIGH = 4,
	SIZE_LOW = 8,
	SIZE_HIGH = 0xc,
	DOMAIN = 0x10,
	FLAGS = 0x14
};
enum { OST_EVENT = 4, OST_STATUS = 8 };
enum { ENABLED = 1, INSERT = 2, REMOVE = 4, EJECT = 8 };
enum { SEEN = 512, GPE_STS = 0x20, GPE_EN = 0x28, GPE_MEMORY = 1 << PM_GPE_MEMORY };

static const uint64_t BASE = 0x280000000, SIZE = 0x140000000; /* each above 32 bits */

/* A guest that has been up for a while. */
static const uint64_t UP_SINCE = 60000000000ull;

static struct kit k;
static struct dev *pm, *mem;

static void set_up(void)
{
	struct memhp_config c = { 0 };
	struct sill_err e = { 0 };

	kit_open(&k, 1000);
	kit_plug(&k, &pm_ops, NULL, IRQ_SCI);
	pm = c.pm = k.dev;
	mem = dev_create(&memhp_ops, "mem", &c, NO_GSI, &k.env, &e);
	assert_non_null(mem);
	wr(&k, 0, GPE_EN, 1, GPE_MEMORY); /* as a guest that listens */
	vmclock_set(&k.clock, UP_SINCE);
	k.dev = mem;
}

static void tear_down(void)
{
	k.dev = NULL;
	dev_destroy(mem);
	dev_destroy(pm);
	kit_close(&k);
}

static void take_event(void)
{
	assert_true(k.line[IRQ_SCI]);
	k.dev = pm;
	assert_int_equal(rd(&k, 0, GPE_STS, 1), GPE_MEMORY);
	wr(&k, 0, GPE_STS, 1, GPE_MEMORY);
	k.dev = mem;
	assert_false(k.line[IRQ_SCI]);
}

static void choose(unsigned slot)
{
	wr(&k, 0, SELECTOR, 4, slot);
}

static unsigned status(unsigned slot)
{
	choose(slot);
	return (unsigned)rd(&k, 0, FLAGS, 1);
}

static void control(unsigned slot, unsigned v)
{
	choose(slot);
	wr(&k, 0, FLAGS, 1, v);
}

static void ost(unsigned slot, uint32_t event, uint32_t code)
{
	choose(slot);
	wr(&k, 0, OST_EVENT, 4, event);
	wr(&k, 0, OST_STATUS, 4, code);
}

static enum memhp_state state_of(unsigned slot)
{
	struct memhp_module m;

	memhp_module(mem, slot, &m);
	assert_int_equal(m.size == 0, m.state == MEMHP_EMPTY);
	return m.state;
}

static void memhp_read__splits_address_and_size(void **state)
{
	(void)state;
	set_up();
	memhp_add(mem, 3, BASE, SIZE);
	choose(3);
	assert_int_equal(rd(&k, 0, LOW, 4), 0x80000000);
	assert_int_equal(rd(&k, 0, HIGH, 4), 2);
	assert_int_equal(rd(&k, 0, SIZE_LOW, 4), 0x40000000);
	assert_int_equal(rd(&k, 0, SIZE_HIGH, 4), 1);
	assert_int_equal(rd(&k, 0, DOMAIN, 4), 0);
	assert_int_equal(rd(&k, 0, FLAGS, 1), ENABLED | INSERT);
	choose(2); /* an empty one */
	for (unsigned off = 0; off < FLAGS; off += 4)
		assert_int_equal(rd(&k, 0, off, 4), 0);
	assert_int_equal(rd(&k, 0, FLAGS, 1), 0);
	for (unsigned off = FLAGS + 1; off < MEMHP_PORT_COUNT; off++)
		assert_int_equal(rd(&k, 0, off, 1), 0xff);
	tear_down();
}

static void memhp_tell_again__until_all_is_read(void **state)
{
	(void)state;
	set_up();
	assert_false(memhp_tell_again(mem));
	memhp_add(mem, 31, BASE, SIZE);
	take_event();
	assert_true(memhp_tell_again(mem));
	take_event();
	control(31, INSERT);
	assert_false(memhp_tell_again(mem));
	memhp_ask(mem, 31);
	take_event();
	assert_true(memhp_tell_again(mem));
	take_event();
	control(31, REMOVE);
	assert_false(memhp_tell_again(mem));
	assert_false(k.line[IRQ_SCI]);
	tear_down();
}

static void memhp_ost__is_no_refusal_while_the_guest_boots(void **state)
{
	(void)state;
	set_up();
	dev_reset(pm);
	k.dev = pm;
	wr(&k, 0, GPE_EN, 1, GPE_MEMORY);
	k.dev = mem;
	memhp_add(mem, 0, BASE, SIZE);
	memhp_ask(mem, 0);
	ost(0, 3, 1);
	assert_int_equal(state_of(0), MEMHP_NO_ANSWER);
	vmclock_set(&k.clock, UP_SINCE + 10000000000ull);
	ost(0, 3, 1);
	assert_int_equal(state_of(0), MEMHP_REFUSED);
	tear_down();
}

static void memhp_selector__out_of_range_reads_zero_and_writes_nothing(void **state)
{
	static const uint32_t out[] = { MEMHP_SLOTS, MEMHP_SLOTS + 1, 0x80000000, 0xffffffff };

	(void)state;
	set_up();
	memhp_add(mem, 0, BASE, SIZE);
	for (unsigned i = 0; i < ARRAY_LEN(out); i++) {
		control(out[i], INSERT);
		ost(out[i], 3, 0x82);
		for (unsigned off = 0; off < FLAGS; off += 4)
			assert_int_equal(rd(&k, 0, off, 4), 0);
		assert_int_equal(rd(&k, 0, FLAGS, 1), 0);
		assert_int_equal(status(0), ENABLED | INSERT);
	}
	tear_down();
}

static void memhp_control__acts_on_the_first_bit(void **state)
{
	(void)state;
	set_up();
	memhp_add(mem, 1, BASE, SIZE);
	memhp_ask(mem, 1); /* before the guest has looked: both are told */
	assert_int_equal(status(1), ENABLED | INSERT | REMOVE);
	control(1, 0xf1);
	assert_int_equal(status(1), ENABLED | INSERT | REMOVE);
	control(1, INSERT | REMOVE | EJECT);
	assert_int_equal(status(1), ENABLED | REMOVE);
	control(1, REMOVE | EJECT);
	assert_int_equal(status(1), ENABLED);
	control(1, EJECT);
	assert_int_equal(status(1), 0);
	assert_int_equal(rd(&k, 0, SIZE_LOW, 4), 0);
	assert_int_equal(state_of(1), MEMHP_EMPTY);
	assert_int_equal(k.answers, 1);
	tear_down();
}

static void memhp_eject__needs_a_request(void **state)
{
	(void)state;
	set_up();
	memhp_add(mem, 5, BASE, SIZE);
	take_event();
	control(5, EJECT);
	control(6, EJECT);
	assert_int_equal(status(5), ENABLED | INSERT);
	assert_int_equal(k.answers, 0);
	memhp_ask(mem, 6); /* nothing there */
	assert_false(k.line[IRQ_SCI]);
	memhp_ask(mem, 5);
	take_event();
	control(5, REMOVE); /* acknowledged: it is still asked for */
	control(5, EJECT);
	assert_int_equal(status(5), 0);
	assert_int_equal(k.answers, 1);
	control(5, EJECT);
	assert_int_equal(k.answers, 1);
	tear_down();
}

static void memhp_ost__is_told_once_for_each_request(void **state)
{
	(void)state;
	set_up();
	memhp_add(mem, 0, BASE, SIZE);
	ost(0, 1, 0);    /* Linux says so even of what it could not take */
	ost(0, 3, 0x82); /* nobody has asked */
	assert_int_equal(state_of(0), MEMHP_THERE);
	memhp_ask(mem, 0);
	assert_int_equal(state_of(0), MEMHP_NO_ANSWER);
	ost(0, 1, 0x81); /* of an insertion */
	assert_int_equal(state_of(0), MEMHP_NO_ANSWER);
	ost(0, 3, 0x84);
	assert_int_equal(state_of(0), MEMHP_AT_IT);
	ost(0, 3, 0x82);
	assert_int_equal(state_of(0), MEMHP_REFUSED);
	assert_int_equal(k.answers, 1);
	for (unsigned i = 0; i < 10; i++) {
		ost(0, 3, 0x84);
		ost(0, 3, 1);
	}
	assert_int_equal(state_of(0), MEMHP_REFUSED);
	assert_int_equal(k.answers, 1);
	memhp_ask(mem, 0); /* once more */
	assert_int_equal(state_of(0), MEMHP_NO_ANSWER);
	ost(0, 3, 1);
	assert_int_equal(k.answers, 2);
	control(0, EJECT); /* it has found a way after all */
	ost(0, 3, 0);
	assert_int_equal(state_of(0), MEMHP_EMPTY);
	tear_down();
}

static void memhp_io__ignores_other_offsets_and_sizes(void **state)
{
	static const unsigned size[] = { 1, 2, 4 };

	(void)state;
	set_up();
	memhp_add(mem, 2, BASE, SIZE);
	memhp_ask(mem, 2);
	choose(2);
	for (unsigned off = 0; off < MEMHP_PORT_COUNT; off++) {
		for (unsigned i = 0; i < ARRAY_LEN(size); i++) {
			const unsigned n = size[i];
			const bool known =
				(off % 4 == 0 && off < FLAGS && n == 4) || (off == FLAGS && n == 1);

			if (off + n > MEMHP_PORT_COUNT || known)
				continue;
			wr(&k, 0, off, n, 0xffffffff >> (32 - 8 * n));
			assert_int_equal(rd(&k, 0, off, n),
					 off > FLAGS ? 0xffffffff >> (32 - 8 * n) : 0);
		}
	}
	wr(&k, 0, SIZE_HIGH, 4, ~0u);
	wr(&k, 0, DOMAIN, 4, ~0u);
	assert_int_equal(rd(&k, 0, FLAGS, 1), ENABLED | INSERT | REMOVE);
	assert_int_equal(rd(&k, 0, SIZE_HIGH, 4), 1);
	tear_down();
}

/* The scan as the AML runs it; what it saw: "+3 " for an insertion, "-3 " for a removal. */
static void scan(char ret[SEEN])
{
	size_t n = 0;

	ret[0] = '\0';
	for (unsigned i = 0; i < MEMHP_SLOTS; i++) {
		const unsigned flags = status(i);

		if ((flags & INSERT) != 0) {
			n += (size_t)snprintf(ret + n, SEEN - n, "+%u ", i);
			control(i, INSERT);
		}
		if ((flags & REMOVE) != 0) {
			n += (size_t)snprintf(ret + n, SEEN - n, "-%u ", i);
			control(i, REMOVE);
		}
	}
}

static void memhp_scan__sees_each_event_once(void **state)
{
	char seen[SEEN];

	(void)state;
	set_up();
	for (unsigned i = 0; i < MEMHP_SLOTS; i++) /* all of them */
		memhp_add(mem, i, BASE + i * SIZE, SIZE);
	take_event();
	scan(seen);
	assert_string_equal(seen, "+0 +1 +2 +3 +4 +5 +6 +7 +8 +9 +10 +11 +12 +13 +14 +15 +16 +17 "
				  "+18 +19 +20 +21 +22 +23 +24 +25 +26 +27 +28 +29 +30 +31 ");
	scan(seen);
	assert_string_equal(seen, "");
	memhp_ask(mem, 31);
	memhp_ask(mem, 7);
	take_event();
	scan(seen);
	assert_string_equal(seen, "-7 -31 ");
	control(31, EJECT);
	memhp_add(mem, 31, BASE, SIZE);
	take_event();
	scan(seen);
	assert_string_equal(seen, "+31 ");
	tear_down();
}

static void memhp_keep__takes_a_request_back(void **state)
{
	char seen[SEEN];

	(void)state;
	set_up();
	memhp_add(mem, 0, BASE, SIZE);
	take_event();
	scan(seen);
	memhp_ask(mem, 0);
	memhp_keep(mem, 0); /* before the guest has looked */
	take_event();
	scan(seen);
	assert_string_equal(seen, "");
	control(0, EJECT);
	assert_int_equal(status(0), ENABLED);

	memhp_ask(mem, 0);
	take_event();
	scan(seen);
	memhp_keep(mem, 0); /* while the guest is at it: it lets go, and is told to look again */
	control(0, EJECT);
	assert_int_equal(status(0), ENABLED | INSERT);
	take_event();
	assert_int_equal(k.answers, 0);
	tear_down();
}

/* What was asked for goes; the rest is in the memory map from then on, until a later reset takes it. */
static void memhp_reset__folds_what_stays(void **state)
{
	struct memhp_module m;

	(void)state;
	set_up();
	memhp_add(mem, 0, BASE, SIZE);
	memhp_add(mem, 1, BASE + SIZE, SIZE);
	memhp_ask(mem, 1);
	ost(1, 3, 0x82);
	choose(9);
	dev_reset(mem);
	assert_int_equal(k.answers, 2); /* the refusal, and what the reset took */
	assert_int_equal(state_of(0), MEMHP_FOLDED);
	assert_int_equal(state_of(1), MEMHP_EMPTY);
	memhp_module(mem, 0, &m);
	assert_int_equal(m.base, BASE);
	assert_int_equal(m.size, SIZE);
	assert_int_equal(rd(&k, 0, LOW, 4), 0); /* selector 0, and the slot reads as empty */
	assert_int_equal(status(0), 0);
	control(0, EJECT);
	assert_int_equal(state_of(0), MEMHP_FOLDED);
	dev_reset(mem);
	assert_int_equal(state_of(0), MEMHP_FOLDED);

	memhp_ask(mem, 0);
	assert_int_equal(state_of(0), MEMHP_FOLDED_ASKED);
	assert_int_equal(status(0), 0); /* the guest is not asked */
	memhp_keep(mem, 0);
	assert_int_equal(state_of(0), MEMHP_FOLDED);
	memhp_ask(mem, 0);
	dev_reset(mem);
	assert_int_equal(state_of(0), MEMHP_EMPTY);
	assert_int_equal(k.answers, 3);
	tear_down();
}

static void memhp_save__keeps_all_of_it(void **state)
{
	uint8_t *saved, *again;
	size_t n, m;

	(void)state;
	set_up();
	memhp_add(mem, 4, BASE, SIZE);
	dev_reset(mem); /* one in the memory map */
	memhp_add(mem, 0, BASE + SIZE, SIZE);
	memhp_ask(mem, 0);
	ost(0, 3, 0x84);
	memhp_add(mem, 1, BASE + 2 * SIZE, SIZE);
	control(1, INSERT);
	memhp_ask(mem, 1);
	control(1, REMOVE);
	memhp_keep(mem, 1);
	choose(1);
	saved = kit_save(&k, &n);
	tear_down();
	set_up();
	assert_int_equal(kit_load(&k, saved, n), 0);
	assert_int_equal(rd(&k, 0, FLAGS, 1), ENABLED);
	again = kit_save(&k, &m);
	assert_int_equal(n, m);
	assert_memory_equal(saved, again, n);
	free(saved);
	free(again);
	assert_int_equal(state_of(4), MEMHP_FOLDED); /* a load folds nothing more */
	assert_int_equal(state_of(0), MEMHP_AT_IT);
	assert_int_equal(status(0), ENABLED | INSERT | REMOVE);
	control(1, EJECT); /* one that was kept */
	assert_int_equal(status(1), ENABLED | INSERT);
	kit_load_damaged(&k);
	tear_down();
}

/* Nothing a guest may write takes away what nobody asked for. */
static void memhp_io__survives_anything(void **state)
{
	static const unsigned size[] = { 1, 2, 4, 8 };
	uint64_t seed = 1;

	(void)state;
	set_up();
	for (unsigned i = 0; i < 8; i++)
		memhp_add(mem, i, BASE + i * SIZE, SIZE);
	memhp_ask(mem, 5);
	for (unsigned i = 0; i < 20000; i++) {
		struct io io = { 0 };

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		io.size = (uint8_t)size[seed >> 60 & 3];
		io.off = (seed >> 33) % (MEMHP_PORT_COUNT - io.size + 1);
		io.write = (seed >> 32 & 1) != 0;
		io.val = seed >> 40 & ((seed >> 30 & 1) != 0 ? 0xffff : 0x0f);
		assert_int_equal(dev_io(mem, 0, &io), IO_DONE);
	}
	for (unsigned i = 0; i < MEMHP_SLOTS; i++)
		if (i != 5)
			assert_int_equal(state_of(i), i < 8 ? MEMHP_THERE : MEMHP_EMPTY);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memhp_read__splits_address_and_size),
		cmocka_unit_test(memhp_tell_again__until_all_is_read),
		cmocka_unit_test(memhp_ost__is_no_refusal_while_the_guest_boots),
		cmocka_unit_test(memhp_selector__out_of_range_reads_zero_and_writes_nothing),
		cmocka_unit_test(memhp_control__acts_on_the_first_bit),
		cmocka_unit_test(memhp_eject__needs_a_request),
		cmocka_unit_test(memhp_ost__is_told_once_for_each_request),
		cmocka_unit_test(memhp_io__ignores_other_offsets_and_sizes),
		cmocka_unit_test(memhp_scan__sees_each_event_once),
		cmocka_unit_test(memhp_keep__takes_a_request_back),
		cmocka_unit_test(memhp_reset__folds_what_stays),
		cmocka_unit_test(memhp_save__keeps_all_of_it),
		cmocka_unit_test(memhp_io__survives_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
