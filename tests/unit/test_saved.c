/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_saved.c - all devices of a machine: paused, saved, made anew, loaded. What
 * is loaded saves as the same bytes; what does not fit or is damaged is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/block/block.h"
#include "devices/legacy/flash.h"
#include "devices/legacy/fwcfg.h"
#include "devices/legacy/rtc.h"
#include "devices/legacy/uart.h"
#include "devices/pci/mch.h"
#include "devices/saved.h"
#include "devices/table.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

enum { FLASH = 64 * 1024 };

struct pc {
	struct rig_pc *rig;
	struct dev *list, *last;
};

static struct rtc_time noon(void *ctx)
{
	(void)ctx;
	return (struct rtc_time){ .s = 1700000000, .ns = 5 };
}

static void request(void *ctx, enum machine_request r, const char *who)
{
	(void)ctx;
	(void)r;
	(void)who;
}

static void add(struct pc *p, const char *type, const char *id, const void *config, unsigned gsi)
{
	struct sill_err e = { 0 };
	struct dev *d = dev_create(dev_ops_find(type), id, config, gsi, &p->rig->env, &e);

	if (d == NULL)
		fail_msg("%s", e.msg);
	if (p->last != NULL)
		p->last->next = d;
	else
		p->list = d;
	p->last = d;
}

static struct blk *disk(void)
{
	const struct blk_config c = { .path = "disk.img", .fd = memfd_create("disk", MFD_CLOEXEC) };
	struct sill_err e = { 0 };
	struct blk *b;

	assert_int_equal(ftruncate(c.fd, 1 << 20), 0);
	b = blk_open(&blk_raw_ops, &c, &e);
	assert_non_null(b);
	return b;
}

/* As a board does: chips, then what is plugged. @disks: beside the one called "rtc". */
static void pc_create(struct pc *p, unsigned disks)
{
	static const uint8_t blob[] = "a file of the firmware";
	const struct fwcfg_file file = { .name = "etc/blob", .data = blob, .size = sizeof(blob) };
	const struct fwcfg_config fwcfg = { .files = &file, .file_count = 1, .boot_cpus = 1 };
	const struct flash_config flash = { .fd = -1, .size = FLASH };
	const struct mch_config mch = { .device = 0x29c0, .ecam = 0xe0000000 };
	const struct rtc_config rtc = { .low_ram_end = 1 << 24, .wall = noon };
	const struct uart_config uart = { 0 };
	const struct virtio_console_config console = { .slot = -1 };
	struct virtio_rng_config rng = { .fd = open("/dev/urandom", O_RDONLY), .slot = -1 };
	char id[16];

	*p = (struct pc){ .rig = rig_pc_create() };
	p->rig->env.request = request;
	vmclock_freeze(&p->rig->clock);
	vmclock_set(&p->rig->clock, 123456789);
	add(p, "mch", "mch", &mch, NO_GSI);
	add(p, "lpc", "lpc", NULL, NO_GSI);
	add(p, "pm", "pm", NULL, 9);
	add(p, "ports", "ports", NULL, NO_GSI);
	add(p, "rtc", "rtc", &rtc, 8);
	add(p, "i8042", "i8042", NULL, NO_GSI);
	add(p, "uart", "uart", &uart, 4);
	add(p, "flash", "vars", &flash, NO_GSI);
	add(p, "fw-cfg", "fw-cfg", &fwcfg, NO_GSI);
	add(p, "virtio-rng", "rng", &rng, NO_GSI);
	add(p, "virtio-console", "console", &console, NO_GSI);
	for (unsigned i = 0; i < disks + 1; i++) {
		struct virtio_blk_config c = { .blk = disk(), .disk.queues = (uint16_t)(i + 1) };

		/* The id of a chip is free for a disk. */
		(void)snprintf(id, sizeof(id), i == 0 ? "rtc" : "disk%u", i);
		add(p, "virtio-blk", id, &c, NO_GSI);
	}
}

static void pc_destroy(struct pc *p)
{
	while (p->list != NULL) {
		struct dev **last = &p->list;

		while ((*last)->next != NULL)
			last = &(*last)->next;
		rig_dev_destroy(p->rig, *last);
		*last = NULL;
	}
	rig_pc_destroy(p->rig);
}

static void pause_all(struct pc *p)
{
	for (struct dev *d = p->list; d != NULL; d = d->next)
		dev_pause(d);
	for (struct dev *d = p->list; d != NULL; d = d->next)
		while (!dev_drained(d))
			sched_yield();
}

static void save(struct pc *p, struct buf *b)
{
	struct sill_err e = { 0 };
	struct saver s;

	buf_init(b, 1 << 22);
	save_init(&s, b);
	if (devices_save(p->list, p->rig->pci, &s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(b->failed);
}

static int load(struct pc *p, const void *data, size_t size, struct sill_err *e)
{
	struct loader l;

	*e = (struct sill_err){ 0 };
	load_init(&l, data, size);
	if (devices_load(p->list, p->rig->pci, &l, e) < 0)
		return -1;
	return load_done(&l, "the machine", e);
}

static struct dev *find(struct pc *p, const char *type)
{
	struct dev *d = p->list;

	while (d != NULL && strcmp(d->ops->type, type) != 0)
		d = d->next;
	assert_non_null(d);
	return d;
}

static void poke(struct pc *p, const char *type, unsigned region, uint64_t off, uint8_t val)
{
	struct io io = { .off = off, .val = val, .size = 1, .write = true };

	(void)dev_io(find(p, type), region, &io);
}

static uint8_t peek(struct pc *p, const char *type, unsigned region, uint64_t off)
{
	struct io io = { .off = off, .size = 1 };

	(void)dev_io(find(p, type), region, &io);
	return (uint8_t)io.val;
}

/* A guest that has set up a little everywhere. */
static void use(struct pc *p)
{
	struct rig_virtio r;

	poke(p, "uart", 0, 3, 0x13);
	poke(p, "uart", 0, 7, 0x77);
	poke(p, "rtc", 0, 0, 0x40);
	poke(p, "rtc", 0, 1, 0x99);
	poke(p, "flash", 0, 0x100, 0x40);
	poke(p, "flash", 0, 0x100, 0x12);
	poke(p, "flash", 0, 0x100, 0xff);
	for (unsigned slot = 1; slot < 3; slot++) {
		rig_plug(&r, p->rig, slot);
		(void)rig_reset(&r);
		assert_true(rig_negotiate(&r, 1ull << VIRTIO_F_VERSION_1));
		rig_vector(&r, 0, slot);
		rig_msix(&r, true);
		rig_driver_ok(&r);
	}
}

static void saved__devices_made_anew_save_the_same_bytes(void **state)
{
	struct sill_err e = { 0 };
	struct buf first, second;
	struct pc p;

	(void)state;
	pc_create(&p, 1);
	use(&p);
	pause_all(&p);
	save(&p, &first);
	pc_destroy(&p);
	pc_create(&p, 1);
	pause_all(&p);
	if (load(&p, first.data, first.size, &e) < 0)
		fail_msg("%s", e.msg);
	save(&p, &second);
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
	assert_int_equal(peek(&p, "uart", 0, 7), 0x77);
	poke(&p, "rtc", 0, 0, 0x40);
	assert_int_equal(peek(&p, "rtc", 0, 1), 0x99);
	assert_int_equal(flash_memory(find(&p, "flash"))[0x100], 0x12);
	for (struct dev *d = p.list; d != NULL; d = d->next)
		dev_resume(d);
	buf_fini(&first);
	buf_fini(&second);
	pc_destroy(&p);
}

static void saved__order_of_the_list_does_not_matter(void **state)
{
	struct sill_err e = { 0 };
	struct dev *first, *second;
	struct buf a, b;
	struct pc p;

	(void)state;
	pc_create(&p, 2);
	pause_all(&p);
	save(&p, &a);
	first = p.list;
	second = first->next;
	first->next = second->next;
	second->next = first;
	p.list = second;
	save(&p, &b);
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
	assert_int_equal(load(&p, a.data, a.size, &e), 0);
	buf_fini(&a);
	buf_fini(&b);
	pc_destroy(&p);
}

/* Between machines that differ in a device without a place on the bus. */
static void saved__says_which_device_is_missing_or_unknown(void **state)
{
	struct sill_err e = { 0 };
	struct buf with, without;
	struct dev *i8042, *prev;
	struct pc p;

	(void)state;
	pc_create(&p, 0);
	pause_all(&p);
	save(&p, &with);
	i8042 = find(&p, "i8042");
	for (prev = p.list; prev->next != i8042;)
		prev = prev->next;
	prev->next = i8042->next;
	save(&p, &without);
	assert_int_equal(load(&p, with.data, with.size, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_string_equal(e.msg, "the state has a device 'i8042' (i8042) which this machine has "
				   "not, or has it twice");
	prev->next = i8042;
	assert_int_equal(load(&p, without.data, without.size, &e), -1);
	assert_string_equal(e.msg, "the state has no device 'i8042' (i8042)");
	buf_fini(&with);
	buf_fini(&without);
	pc_destroy(&p);
}

static void saved__the_last_device_may_be_missing_too(void **state)
{
	struct sill_err e = { 0 };
	struct buf b;
	struct pc p;
	size_t n;

	(void)state;
	pc_create(&p, 0);
	pause_all(&p);
	save(&p, &b);
	/* vars is the last one; its record ends the state. */
	for (n = b.size - 4; memcmp(b.data + n, "DEVI", 4) != 0;)
		n--;
	assert_int_equal(load(&p, b.data, n, &e), -1);
	assert_string_equal(e.msg, "the state has no device 'vars' (flash)");
	buf_fini(&b);
	pc_destroy(&p);
}

/* Cut anywhere, or with a bit changed: an error, or devices that can be used. Never worse. */
static void saved__strangers_bytes_do_no_harm(void **state)
{
	struct sill_err e = { 0 };
	uint8_t *bytes;
	struct buf b;
	unsigned step = 0;
	struct pc p;

	(void)state;
	pc_create(&p, 0);
	use(&p);
	pause_all(&p);
	save(&p, &b);
	bytes = malloc(b.size);
	assert_non_null(bytes);
	for (size_t n = 0; n < b.size; n += n < b.size - FLASH ? 1 : 997) {
		memcpy(bytes, b.data, n);
		assert_int_equal(load(&p, bytes, n, &e), -1);
		assert_int_equal(e.code, SILL_ERR_STATE);
	}
	memcpy(bytes, b.data, b.size);
	for (size_t n = 0; n < b.size; n += n < b.size - FLASH ? 1 : 997, step++) {
		const uint8_t bit = (uint8_t)(1 << step % 8);

		bytes[n] ^= bit;
		(void)load(&p, bytes, b.size, &e);
		bytes[n] ^= bit;
	}
	if (load(&p, b.data, b.size, &e) < 0)
		fail_msg("%s", e.msg);
	for (struct dev *d = p.list; d != NULL; d = d->next)
		dev_resume(d);
	free(bytes);
	buf_fini(&b);
	pc_destroy(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saved__devices_made_anew_save_the_same_bytes),
		cmocka_unit_test(saved__order_of_the_list_does_not_matter),
		cmocka_unit_test(saved__says_which_device_is_missing_or_unknown),
		cmocka_unit_test(saved__the_last_device_may_be_missing_too),
		cmocka_unit_test(saved__strangers_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
