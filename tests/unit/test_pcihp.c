/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pcihp.c - the registers of PCI hotplug: what the guest reads, and what an
 * eject does to a function on the bus.
 */
#include "kit.h"

#include "base/buf.h"
#include "bus/map.h"
#include "bus/pci.h"
#include "devices/acpi/pcihp.h"
#include "devices/acpi/pm.h"

enum { UP = 0x00, DOWN = 0x04, EJECT = 0x08, REMOVABLE = 0x0c, BUS = 0x10, INDEX = 0x14 };
enum { GPE_STS = 0x20, GPE_EN = 0x28, SCI = 9, BAR_AT = 0x1000, CARDS = 3 };

static const unsigned slots[CARDS] = { 5, 7, 29 };

static struct bench {
	struct kit k;
	struct map *pio, *mmio;
	struct pci_func card[CARDS];
	struct io_target target;
	struct dev *pm;
	unsigned progress;
} * b;

static enum io_result answer(void *ctx, unsigned region, struct io *io)
{
	(void)ctx;
	(void)region;
	io->val = 0x55;
	return IO_DONE;
}

static void on_progress(void *ctx)
{
	(void)ctx;
	b->progress++;
}

static void put(unsigned i, int slot)
{
	const struct pci_ids ids = { .vendor = 0x1af4, .device = (uint16_t)(0x1040 + i) };
	struct sill_err e = { 0 };

	pci_func_init(&b->card[i], &ids, NULL, NULL, "card");
	b->card[i].bar[0] = (struct pci_bar){
		.kind = PCI_BAR_MEM32, .size = 0x1000, .target = &b->target, .region = i
	};
	assert_int_equal(pci_bus_add(b->k.env.pci, &b->card[i], slot, &e), 0);
}

static void open_bench(void)
{
	static const struct pci_windows w = { .io_base = 0x1000,
					      .io_end = 0xffff,
					      .mem32_base = 0x1000,
					      .mem32_end = 0xffffff,
					      .mem64_base = 1 };
	struct pcihp_config c = { 0 };
	struct sill_err e = { 0 };

	b = calloc(1, sizeof(*b));
	assert_non_null(b);
	kit_open(&b->k, 1000);
	b->pio = map_create(0x10000, NULL, &e);
	b->mmio = map_create(0, NULL, &e);
	b->k.env.pci = pci_bus_create(b->pio, b->mmio, &w, &e);
	assert_non_null(b->k.env.pci);
	b->k.env.progress = on_progress;
	b->target = (struct io_target){ .io = answer, .name = "card" };
	b->pm = dev_create(&pm_ops, "pm", NULL, SCI, &b->k.env, &e);
	assert_non_null(b->pm);
	c.pm = b->pm;
	kit_plug(&b->k, &pcihp_ops, &c, NO_GSI);
	for (unsigned i = 0; i < CARDS; i++)
		put(i, (int)slots[i]);
}

static void close_bench(void)
{
	for (unsigned i = 0; i < CARDS; i++)
		pci_bus_remove(b->k.env.pci, &b->card[i]);
	dev_destroy(b->k.dev);
	b->k.dev = NULL;
	dev_destroy(b->pm);
	pci_bus_destroy(b->k.env.pci);
	map_destroy(b->mmio);
	map_destroy(b->pio);
	kit_close(&b->k);
	free(b);
}

static uint32_t get(unsigned off)
{
	return (uint32_t)rd(&b->k, 0, off, 4);
}

static void set(unsigned off, uint32_t v)
{
	wr(&b->k, 0, off, 4, v);
}

static uint32_t ids_of(unsigned slot)
{
	return pci_config_read(b->k.env.pci, 0, slot << 3, 0, 4);
}

/* Is the event pending? Then the guest takes it. */
static bool take_gpe(void)
{
	struct io io = { .off = GPE_STS, .size = 1 };
	bool is_set;

	assert_int_equal(dev_io(b->pm, 0, &io), IO_DONE);
	is_set = (io.val & 1 << PM_GPE_PCI) != 0;
	io.write = true;
	assert_int_equal(dev_io(b->pm, 0, &io), IO_DONE);
	return is_set;
}

static void pcihp_events__are_read_once(void **state)
{
	(void)state;
	open_bench();
	assert_int_equal(get(UP), 0);
	assert_false(take_gpe());
	pcihp_added(b->k.dev, 5);
	pcihp_added(b->k.dev, 29);
	assert_true(take_gpe());
	assert_int_equal(get(UP), 1u << 5 | 1u << 29);
	assert_int_equal(get(UP), 0);

	pcihp_ask(b->k.dev, 7);
	assert_true(take_gpe());
	assert_int_equal(get(DOWN), 1u << 7);
	pcihp_ask(b->k.dev, 5);
	assert_int_equal(get(DOWN), 1u << 5); /* not 7 again */
	assert_int_equal(get(DOWN), 0);
	assert_int_equal(pcihp_asked(b->k.dev), 1u << 5 | 1u << 7);
	pcihp_ask(b->k.dev, 7); /* but when it is asked again */
	assert_true(take_gpe());
	assert_int_equal(get(DOWN), 1u << 7);
	close_bench();
}

static void pcihp_tell_again__until_it_is_read(void **state)
{
	(void)state;
	open_bench();
	assert_false(pcihp_heard(b->k.dev));
	assert_false(pcihp_tell_again(b->k.dev, 5));
	pcihp_added(b->k.dev, 5);
	assert_true(take_gpe()); /* cleared, and nothing read */
	assert_true(pcihp_tell_again(b->k.dev, 5));
	assert_false(pcihp_tell_again(b->k.dev, 7));
	assert_true(take_gpe());
	assert_int_equal(get(UP), 1u << 5);
	assert_false(pcihp_tell_again(b->k.dev, 5));
	assert_false(take_gpe());
	pcihp_ask(b->k.dev, 7);
	assert_false(pcihp_has_read(b->k.dev, 7));
	(void)get(DOWN);
	assert_true(pcihp_has_read(b->k.dev, 7));
	close_bench();
}

static void pcihp_event__drives_the_sci(void **state)
{
	struct io io = { .off = GPE_EN, .size = 1, .write = true, .val = 1 << PM_GPE_PCI };

	(void)state;
	open_bench();
	assert_int_equal(dev_io(b->pm, 0, &io), IO_DONE);
	assert_false(b->k.line[SCI]);
	pcihp_ask(b->k.dev, 5);
	assert_true(b->k.line[SCI]);
	assert_true(take_gpe());
	assert_false(b->k.line[SCI]);
	close_bench();
}

static void pcihp_eject__takes_off_the_bus_before_it_returns(void **state)
{
	struct pci_bus *bus;
	uint32_t val = 0;
	struct map_reader reader = { 0 };

	(void)state;
	open_bench();
	bus = b->k.env.pci;
	map_reader_add(b->mmio, &reader);
	pci_config_write(bus, 0, 7 << 3, PCI_BAR0, 4, BAR_AT);
	pci_config_write(bus, 0, 7 << 3, PCI_COMMAND, 2, PCI_CMD_MEMORY);
	assert_true(map_read(b->mmio, &reader, BAR_AT, &val, 4));
	assert_int_equal(val, 0x55);
	pcihp_ask(b->k.dev, 7);
	set(EJECT, 1u << 7);
	assert_int_equal(ids_of(7), 0xffffffff);
	assert_false(map_read(b->mmio, &reader, BAR_AT, &val, 4));
	assert_false(pci_bus_has(bus, &b->card[1]));
	assert_int_equal(get(DOWN), 0); /* it is not to be seen any more */
	assert_int_equal(pcihp_asked(b->k.dev), 0);
	assert_int_equal(b->progress, 1);
	assert_int_equal(pcihp_take_ejected(b->k.dev), 1u << 7);
	assert_int_equal(pcihp_take_ejected(b->k.dev), 0);
	assert_int_equal(ids_of(5), 0x10401af4);
	map_reader_remove(b->mmio, &reader);
	close_bench();
}

static void pcihp_eject__takes_all_slots_that_hold_something(void **state)
{
	(void)state;
	open_bench();
	set(EJECT, 1u << 5 | 1u << 6 | 1u << 29 | 1u << 31 | 1);
	assert_int_equal(pcihp_take_ejected(b->k.dev), 1u << 5 | 1u << 29);
	assert_int_equal(ids_of(5), 0xffffffff);
	assert_int_equal(ids_of(29), 0xffffffff);
	assert_int_equal(ids_of(7), 0x10411af4);
	set(EJECT, 1u << 5); /* again: nobody is there */
	assert_int_equal(pcihp_take_ejected(b->k.dev), 0);
	assert_int_equal(get(EJECT), 0);
	close_bench();
}

static void pcihp_eject__leaves_fixed_slots_alone(void **state)
{
	(void)state;
	open_bench();
	assert_int_equal(get(REMOVABLE), 0x7ffffffe);
	pcihp_fix(b->k.dev, 5);
	assert_int_equal(pcihp_fixed(b->k.dev), 1u << 5);
	assert_int_equal(get(REMOVABLE), 0x7ffffffeu & ~(1u << 5));
	set(EJECT, 0xffffffff);
	assert_int_equal(ids_of(5), 0x10401af4);
	assert_int_equal(pcihp_take_ejected(b->k.dev), 1u << 7 | 1u << 29);
	/* The tables are made anew at a reset: then a slot that has become empty can be used. */
	dev_reset(b->k.dev);
	assert_int_equal(pcihp_fixed(b->k.dev), 1u << 5);
	pci_bus_remove(b->k.env.pci, &b->card[0]);
	dev_reset(b->k.dev);
	assert_int_equal(pcihp_fixed(b->k.dev), 0);
	close_bench();
}

static void pcihp_ask__forgets_who_went_another_way(void **state)
{
	(void)state;
	open_bench();
	pcihp_ask(b->k.dev, 5);
	pcihp_added(b->k.dev, 5);
	pcihp_gone(b->k.dev, 5);
	assert_int_equal(get(UP) | get(DOWN) | pcihp_asked(b->k.dev), 0);
	/* The guest was faster: the next one in the slot is not asked for. */
	set(EJECT, 1u << 7);
	assert_true(take_gpe());
	pcihp_ask(b->k.dev, 7);
	assert_false(take_gpe());
	assert_int_equal(get(DOWN) | pcihp_asked(b->k.dev), 0);
	close_bench();
}

static void pcihp_bus__has_no_other(void **state)
{
	(void)state;
	open_bench();
	pcihp_added(b->k.dev, 5);
	pcihp_ask(b->k.dev, 7);
	set(BUS, 1);
	assert_int_equal(get(BUS), 1);
	assert_int_equal(get(UP) | get(DOWN) | get(EJECT) | get(REMOVABLE) | get(INDEX), 0);
	set(EJECT, 1u << 7);
	assert_int_equal(ids_of(7), 0x10411af4);
	set(BUS, 0);
	assert_int_equal(get(UP), 1u << 5);
	assert_int_equal(get(DOWN), 1u << 7);
	set(INDEX, 1u << 7);
	assert_int_equal(get(INDEX), 0);
	close_bench();
}

static void pcihp_access__of_another_size_does_nothing(void **state)
{
	(void)state;
	open_bench();
	pcihp_added(b->k.dev, 5);
	for (unsigned off = 0; off < PCIHP_PORT_COUNT; off++) {
		for (unsigned size = 1; size <= 2; size++) {
			if (off + size > PCIHP_PORT_COUNT)
				continue;
			assert_int_equal(rd(&b->k, 0, off, size), 0);
			wr(&b->k, 0, off, size, 0xffffffff);
		}
		if ((off & 3) != 0 && off + 4 <= PCIHP_PORT_COUNT) {
			assert_int_equal(rd(&b->k, 0, off, 4), 0);
			wr(&b->k, 0, off, 4, 0xffffffff);
		}
	}
	assert_int_equal(get(BUS), 0);
	assert_int_equal(get(UP), 1u << 5);
	assert_int_equal(pcihp_take_ejected(b->k.dev), 0);
	close_bench();
}

/* Reading them clears them; writing does not. */
static void pcihp_write__of_events_is_ignored(void **state)
{
	(void)state;
	open_bench();
	pcihp_added(b->k.dev, 5);
	pcihp_ask(b->k.dev, 7);
	set(UP, 0xffffffff);
	set(DOWN, 0xffffffff);
	set(REMOVABLE, 0);
	assert_int_equal(get(UP), 1u << 5);
	assert_int_equal(get(DOWN), 1u << 7);
	assert_int_equal(get(REMOVABLE), 0x7ffffffe);
	close_bench();
}

static void pcihp_reset__forgets_all_requests(void **state)
{
	(void)state;
	open_bench();
	pcihp_added(b->k.dev, 5);
	pcihp_ask(b->k.dev, 7);
	set(BUS, 3);
	dev_reset(b->k.dev);
	assert_int_equal(get(BUS), 0);
	assert_int_equal(get(UP) | get(DOWN) | pcihp_asked(b->k.dev), 0);
	assert_int_equal(ids_of(7), 0x10411af4); /* who owns it decides */
	close_bench();
}

/* --- saved state ------------------------------------------------------------ */

static void save(struct buf *out)
{
	struct saver s;

	buf_init(out, 4096);
	save_init(&s, out);
	assert_int_equal(dev_save(b->k.dev, &s), 0);
}

static int load(const struct buf *from)
{
	struct loader l;
	struct sill_err e = { 0 };

	load_init(&l, from->data, from->size);
	return dev_load(b->k.dev, &l, &e);
}

static void pcihp_load__brings_all_of_it_back(void **state)
{
	struct buf out;

	(void)state;
	open_bench();
	pcihp_fix(b->k.dev, 29);
	pcihp_added(b->k.dev, 5);
	pcihp_ask(b->k.dev, 7);
	pcihp_ask(b->k.dev, 5);
	save(&out);
	dev_reset(b->k.dev);
	assert_int_equal(load(&out), 0);
	assert_int_equal(pcihp_asked(b->k.dev), 1u << 5 | 1u << 7);
	assert_int_equal(pcihp_fixed(b->k.dev), 1u << 29);
	assert_int_equal(get(UP), 1u << 5);
	assert_int_equal(get(DOWN), 1u << 5 | 1u << 7);
	buf_fini(&out);
	close_bench();
}

static void pcihp_load__refuses_what_cannot_be(void **state)
{
	struct buf out;

	(void)state;
	open_bench();
	pcihp_ask(b->k.dev, 7);
	save(&out);
	pci_bus_remove(b->k.env.pci, &b->card[1]); /* asked for, and nobody is there */
	assert_int_equal(load(&out), -1);
	buf_fini(&out);

	put(1, 7);
	save(&out);
	for (size_t i = 0; i + 4 <= out.size; i++) /* a request for a slot that there is not */
		if (memcmp(out.data + i, "\x80\0\0\0\x80\0\0\0", 8) == 0) {
			out.data[i + 3] = 0x80;
			break;
		}
	assert_int_equal(load(&out), -1);
	buf_fini(&out);
	close_bench();
}

static void pcihp_save__waits_until_an_ejected_one_is_gone(void **state)
{
	struct saver s;
	struct buf out;

	(void)state;
	open_bench();
	set(EJECT, 1u << 7);
	buf_init(&out, 4096);
	save_init(&s, &out);
	assert_int_equal(dev_save(b->k.dev, &s), -1);
	assert_int_equal(pcihp_take_ejected(b->k.dev), 1u << 7);
	assert_int_equal(dev_save(b->k.dev, &s), 0);
	buf_fini(&out);
	close_bench();
}

/* --- anything, in any order ---------------------------------------------------- */

static void pcihp_any_access__keeps_bus_and_registers_in_step(void **state)
{
	unsigned seed = 1;

	(void)state;
	open_bench();
	for (unsigned n = 0; n < 10000; n++) {
		const unsigned off = (unsigned)rand_r(&seed) % PCIHP_PORT_COUNT;
		const unsigned size = 1u << (unsigned)rand_r(&seed) % 3;
		const unsigned i = (unsigned)rand_r(&seed) % CARDS;
		uint32_t gone;

		if (off + size <= PCIHP_PORT_COUNT && rand_r(&seed) % 2 == 0)
			wr(&b->k, 0, off, size, (uint32_t)rand_r(&seed) * 2);
		else if (off + size <= PCIHP_PORT_COUNT)
			(void)rd(&b->k, 0, off, size);
		gone = pcihp_take_ejected(b->k.dev);
		for (unsigned k = 0; k < CARDS; k++)
			if ((gone >> slots[k] & 1) != 0) {
				assert_false(pci_bus_has(b->k.env.pci, &b->card[k]));
				put(k, (int)slots[k]);
			}
		assert_int_equal(gone & ~(1u << 5 | 1u << 7 | 1u << 29), 0);
		if (rand_r(&seed) % 2 == 0)
			pcihp_ask(b->k.dev, slots[i]);
		else
			pcihp_added(b->k.dev, slots[i]);
		assert_int_equal(pcihp_asked(b->k.dev) & ~(1u << 5 | 1u << 7 | 1u << 29), 0);
	}
	close_bench();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcihp_events__are_read_once),
		cmocka_unit_test(pcihp_tell_again__until_it_is_read),
		cmocka_unit_test(pcihp_event__drives_the_sci),
		cmocka_unit_test(pcihp_eject__takes_off_the_bus_before_it_returns),
		cmocka_unit_test(pcihp_eject__takes_all_slots_that_hold_something),
		cmocka_unit_test(pcihp_eject__leaves_fixed_slots_alone),
		cmocka_unit_test(pcihp_ask__forgets_who_went_another_way),
		cmocka_unit_test(pcihp_bus__has_no_other),
		cmocka_unit_test(pcihp_access__of_another_size_does_nothing),
		cmocka_unit_test(pcihp_write__of_events_is_ignored),
		cmocka_unit_test(pcihp_reset__forgets_all_requests),
		cmocka_unit_test(pcihp_load__brings_all_of_it_back),
		cmocka_unit_test(pcihp_load__refuses_what_cannot_be),
		cmocka_unit_test(pcihp_save__waits_until_an_ejected_one_is_gone),
		cmocka_unit_test(pcihp_any_access__keeps_bus_and_registers_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
