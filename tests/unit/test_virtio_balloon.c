/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio_balloon.c - the balloon behind its queues: what goes back to the host, of
 * which kind of memory, and what a driver that lies cannot do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "core/ram.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

enum { RING = 0x10000, RING_STRIDE = 0x10000, DATA = 0x100000, SLOT = 4, QUEUES = 5 };
enum { INFLATE = 0, DEFLATE = 1, STATS = 2, HINT = 3, REPORT = 4 };
enum { F_STATS = 1, F_OOM = 2, F_REPORT = 5 };
enum { PAGE = 4096, PAGES = 64 };

/* Where the memory is that can go back: ROM follows it. */
#define MORE (1ull << 30)

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct rig_virtio r;
	struct guestring g[QUEUES];
	struct ram ram;
	uint8_t *rom;
	struct virtio_balloon_config config;
};

static void create_dev(void *ctx)
{
	struct rig *x = ctx;
	struct sill_err e = { 0 };

	x->d = dev_create(&virtio_balloon_ops, "balloon", &x->config, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
}

static struct rig *rig_create(const struct sill_memory_config *memory)
{
	struct rig *x = calloc(1, sizeof(*x));
	struct sill_err e = { 0 };

	x->pc = rig_pc_create();
	assert_int_equal(ram_map(&x->ram, memory, &e), 0);
	memset(x->ram.hva, 0x5a, x->ram.size);
	assert_int_equal(gmem_add_ram(x->pc->mem, MORE, &x->ram, 0, x->ram.size, &e), 0);
	x->rom = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(x->rom, 0x3c, PAGE);
	assert_int_equal(gmem_add(x->pc->mem, MORE + x->ram.size, PAGE, x->rom, GMEM_ROM, &e), 0);
	x->config = (struct virtio_balloon_config){ .size = 8 * PAGE,
						    .deflate_on_oom = true,
						    .free_page_reporting = true,
						    .poll_ns = 1000000,
						    .slot = SLOT };
	loop_call(x->pc->env.loop, create_dev, x);
	return x;
}

static struct rig *rig_private(void)
{
	const struct sill_memory_config c = { .size = PAGES * PAGE };

	return rig_create(&c);
}

static void rig_free(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	ram_unmap(&x->ram);
	munmap(x->rom, PAGE);
	free(x);
}

static void drive(struct rig *x, uint64_t features)
{
	rig_plug(&x->r, x->pc, SLOT);
	assert_true(rig_negotiate(&x->r, features | 1ull << VIRTIO_F_VERSION_1));
	for (unsigned i = 0; i < QUEUES; i++) {
		(void)guestring_init(&x->g[i], x->pc->mem, 64, RING + i * RING_STRIDE);
		rig_queue(&x->r, i, &x->g[i]);
	}
	rig_driver_ok(&x->r);
}

static void offer(struct rig *x, unsigned q, gpa_t gpa, uint32_t n)
{
	guest_desc(x->pc->mem, x->g[q].s.desc, 0, gpa, n, q >= HINT ? VIRTQ_DESC_WRITE : 0, 0);
	guestring_put(&x->g[q], 0);
	if (guestring_show(&x->g[q]))
		rig_kick(&x->r, q);
}

/* Page numbers, and the answer. */
static void send_pages(struct rig *x, unsigned q, const uint32_t *pfn, unsigned n)
{
	uint32_t len;

	for (unsigned i = 0; i < n; i++) {
		const le32 v = le32_of(pfn[i]);

		assert_int_equal(gmem_write(x->pc->mem, DATA + 4ull * i, &v, 4), 0);
	}
	offer(x, q, DATA, 4 * n);
	assert_int_equal(rig_await(&x->g[q], &len), 0);
	assert_int_equal(len, 0);
}

static struct virtio_balloon_state look(const struct rig *x)
{
	struct virtio_balloon_state s;

	virtio_balloon_look(x->d, &s);
	return s;
}

/* Of the pages of MORE, as bits: those that are full of zeroes. */
static uint64_t zero_pages(const struct rig *x)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < PAGES; i++)
		if (x->ram.hva[(size_t)i * PAGE] == 0)
			bits |= 1ull << i;
	return bits;
}

static uint32_t pfn_of(unsigned page)
{
	return (uint32_t)(MORE / PAGE) + page;
}

static void balloon__drops_the_pages_it_is_given(void **state)
{
	const uint32_t given[] = {
		pfn_of(3), pfn_of(4), pfn_of(9), pfn_of(8), pfn_of(7), pfn_of(3)
	};
	struct rig *x = rig_private();
	const le32 actual = le32_of(6);

	(void)state;
	drive(x, 1ull << F_STATS | 1ull << F_OOM);
	assert_int_equal(rig_cfg(&x->r, 2, 2), 0x1040 + 5);
	assert_int_equal(rig_get(&x->r, x->r.device.off, 4), 8);
	send_pages(x, INFLATE, given, ARRAY_LEN(given));
	assert_int_equal(zero_pages(x), 0x398);
	assert_int_equal(look(x).inflated, 6 * PAGE);
	assert_int_equal(look(x).returned, 6 * PAGE);
	rig_set(&x->r, x->r.device.off + 4, 4, le32_get(actual));
	rig_set(&x->r, x->r.device.off, 4, 77); /* not the driver's */
	assert_int_equal(look(x).size, 8 * PAGE);
	assert_int_equal(look(x).actual, 6 * PAGE);
	/* Taken back, and used again. */
	send_pages(x, DEFLATE, given, 2);
	assert_int_equal(look(x).deflated, 2 * PAGE);
	assert_int_equal(gmem_write(x->pc->mem, MORE + 3 * PAGE, "again", 5), 0);
	assert_memory_equal(x->ram.hva + 3 * PAGE, "again", 5);
	rig_free(x);
}

/* How much of a file there is. */
static uint64_t file_bytes(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void balloon__makes_holes_in_shared_memory(void **state)
{
	const struct sill_memory_config c = { .size = PAGES * PAGE, .shared = true };
	const uint32_t given[] = { pfn_of(0), pfn_of(1), pfn_of(63) };
	struct rig *x = rig_create(&c);

	(void)state;
	drive(x, 0);
	assert_int_equal(file_bytes(x->ram.fd), PAGES * PAGE);
	send_pages(x, INFLATE, given, ARRAY_LEN(given));
	assert_int_equal(file_bytes(x->ram.fd), (PAGES - 3) * PAGE);
	assert_int_equal(zero_pages(x), 1ull << 63 | 3);
	rig_free(x);
}

static void balloon__keeps_what_the_host_cannot_take_back_in_pieces(void **state)
{
	const uint32_t given[] = {
		pfn_of(0), pfn_of(1), pfn_of(2), pfn_of(3), pfn_of(4), pfn_of(5)
	};
	struct rig *x = rig_private();
	struct sill_err e = { 0 };
	struct ram huge = x->ram;

	(void)state;
	/* As of huge pages: four of the small ones. */
	guest_ram_remove(x->pc->mem, MORE);
	huge.page = 4 * PAGE;
	huge.hva += -(uintptr_t)huge.hva % huge.page;
	huge.size = 32 * PAGE;
	assert_int_equal(gmem_add_ram(x->pc->mem, MORE, &huge, 0, huge.size, &e), 0);
	drive(x, 0);
	send_pages(x, INFLATE, given + 1, 3);
	assert_int_equal(look(x).returned, 0);
	send_pages(x, INFLATE, given, ARRAY_LEN(given));
	assert_int_equal(look(x).returned, 4 * PAGE);
	assert_int_equal(huge.hva[0], 0);
	assert_int_equal(huge.hva[4 * PAGE], 0x5a);
	rig_free(x);
}

static void balloon__takes_nothing_that_is_no_memory(void **state)
{
	const uint32_t given[] = { 0,          UINT32_MAX, UINT32_MAX - 1, pfn_of(64), pfn_of(63),
				   0x00fffffe, 0,          pfn_of(62),     0 };
	struct rig *x = rig_private();

	(void)state;
	drive(x, 0);
	send_pages(x, INFLATE, given, ARRAY_LEN(given));
	assert_int_equal(zero_pages(x), 3ull << 62);
	assert_int_equal(x->rom[0], 0x3c);
	assert_int_equal(look(x).refused, 4);
	assert_int_equal(look(x).inflated, 2 * PAGE);
	/* Memory that has gone meanwhile. */
	guest_ram_remove(x->pc->mem, MORE);
	send_pages(x, INFLATE, given + 7, 1);
	assert_int_equal(look(x).refused, 5);
	rig_free(x);
}

static void expect_broken(struct rig *x)
{
	while ((rig_common(&x->r, 20, 1) & VIRTIO_NEEDS_RESET) == 0)
		sched_yield();
}

static void balloon__requests_have_a_limit(void **state)
{
	struct rig *x = rig_private();

	(void)state;
	drive(x, 0);
	offer(x, INFLATE, DATA, 4 * 16385);
	expect_broken(x);
	(void)rig_reset(&x->r);
	/* A queue of neither feature. */
	drive(x, 0);
	offer(x, REPORT, MORE, PAGE);
	expect_broken(x);
	rig_free(x);
}

static void balloon__drops_what_is_reported_free(void **state)
{
	struct rig *x = rig_private();
	uint32_t len;

	(void)state;
	for (unsigned q = STATS; q <= REPORT; q++) {
		drive(x, 1ull << F_REPORT | (q == STATS ? 0 : 1ull << F_STATS));
		if (q == STATS) { /* of a driver that has none */
			guest_desc(x->pc->mem, x->g[q].s.desc, 0, MORE, PAGE, VIRTQ_DESC_WRITE, 0);
			guestring_put(&x->g[q], 0);
			(void)guestring_show(&x->g[q]);
			rig_kick(&x->r, q);
		} else {
			/* Whole pages inside only. */
			offer(x, q, MORE + q * 8 * PAGE - 100, 2 * PAGE + 200);
		}
		(void)rig_await(&x->g[q], &len);
		(void)rig_reset(&x->r);
	}
	assert_int_equal(zero_pages(x), 1 | 3ull << 24 | 3ull << 32);
	assert_int_equal(look(x).returned, 5 * PAGE);
	/* ROM, and nothing at all. */
	drive(x, 1ull << F_REPORT | 1ull << F_STATS);
	offer(x, REPORT, MORE + PAGES * PAGE, PAGE);
	(void)rig_await(&x->g[REPORT], &len);
	offer(x, REPORT, UINT64_MAX - 8191, PAGE);
	(void)rig_await(&x->g[REPORT], &len);
	assert_int_equal(x->rom[0], 0x3c);
	assert_int_equal(look(x).returned, 5 * PAGE);
	rig_free(x);
}

static void put_stat(struct rig *x, unsigned i, uint16_t tag, uint64_t v)
{
	uint8_t bytes[10];

	st16(bytes, tag);
	st64(bytes + 2, v);
	assert_int_equal(gmem_write(x->pc->mem, DATA + 10ull * i, bytes, sizeof(bytes)), 0);
}

static void balloon__asks_for_statistics_again_and_again(void **state)
{
	struct rig *x = rig_private();
	uint32_t len;

	(void)state;
	drive(x, 1ull << F_STATS);
	put_stat(x, 0, BALLOON_FREE, 1000);
	put_stat(x, 1, 999, 1); /* nobody knows it */
	put_stat(x, 2, BALLOON_TOTAL, 2000);
	offer(x, STATS, DATA, 30);
	for (uint64_t i = 1; i < 4; i++) {
		assert_int_equal(rig_await(&x->g[STATS], &len), 0);
		assert_int_equal(look(x).known, 1u << BALLOON_FREE | 1u << BALLOON_TOTAL);
		assert_int_equal(look(x).stat[BALLOON_FREE], 1000 * i);
		assert_int_equal(look(x).stat[BALLOON_TOTAL], 2000);
		put_stat(x, 0, BALLOON_FREE, 1000 * (i + 1));
		offer(x, STATS, DATA, 30);
	}
	(void)rig_await(&x->g[STATS], &len);
	/* Another driver has other numbers, or none. */
	(void)rig_reset(&x->r);
	assert_int_equal(look(x).known, 0);
	drive(x, 1ull << F_STATS);
	offer(x, STATS, DATA, 9);
	(void)rig_await(&x->g[STATS], &len);
	assert_int_equal(look(x).known, 0);
	rig_free(x);
}

static void balloon__a_new_size_is_told(void **state)
{
	struct rig *x = rig_private();

	(void)state;
	drive(x, 0);
	rig_vector(&x->r, 0, 7);
	rig_msix(&x->r, true);
	rig_set_common(&x->r, 16, 2, 0);
	virtio_balloon_resize(x->d, 8 * PAGE); /* as it was */
	assert_false(rig_message(x->pc, 7, 0));
	virtio_balloon_resize(x->d, 16 * PAGE);
	assert_true(rig_message(x->pc, 7, 60000));
	assert_int_equal(rig_get(&x->r, x->r.device.off, 4), 16);
	assert_int_equal(look(x).size, 16 * PAGE);
	/* A reset keeps the wish, not what the driver had. */
	rig_set(&x->r, x->r.device.off + 4, 4, 9);
	(void)rig_reset(&x->r);
	assert_int_equal(look(x).size, 16 * PAGE);
	assert_int_equal(look(x).actual, 0);
	assert_false(look(x).driver);
	rig_free(x);
}

static void call_pause(void *ctx)
{
	dev_pause(ctx);
}

static void call_resume(void *ctx)
{
	dev_resume(ctx);
}

static void balloon__goes_on_after_a_load(void **state)
{
	struct rig *x = rig_private();
	const uint32_t given = pfn_of(5);
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf out;
	uint32_t len;

	(void)state;
	drive(x, 1ull << F_STATS);
	virtio_balloon_resize(x->d, 24 * PAGE);
	rig_set(&x->r, x->r.device.off + 4, 4, 20);
	put_stat(x, 0, BALLOON_CACHES, 55);
	offer(x, STATS, DATA + 0, 10);
	loop_call(x->pc->env.loop, call_pause, x->d);
	while (!dev_drained(x->d))
		sched_yield();
	buf_init(&out, 65536);
	save_init(&s, &out);
	assert_int_equal(dev_save(x->d, &s), 0);
	dev_reset(x->d);
	while (!dev_drained(x->d))
		sched_yield();
	assert_int_equal(look(x).actual, 0);
	load_init(&l, out.data, out.size);
	assert_int_equal(dev_load(x->d, &l, &e), 0);
	assert_int_equal(look(x).size, 24 * PAGE);
	assert_int_equal(look(x).actual, 20 * PAGE);
	loop_call(x->pc->env.loop, call_resume, x->d);
	send_pages(x, INFLATE, &given, 1);
	assert_int_equal(zero_pages(x), 1 << 5);
	put_stat(x, 0, BALLOON_CACHES, 56);
	(void)rig_await(&x->g[STATS], &len); /* and it is asked for statistics */
	buf_fini(&out);
	rig_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(balloon__drops_the_pages_it_is_given),
		cmocka_unit_test(balloon__makes_holes_in_shared_memory),
		cmocka_unit_test(balloon__keeps_what_the_host_cannot_take_back_in_pieces),
		cmocka_unit_test(balloon__takes_nothing_that_is_no_memory),
		cmocka_unit_test(balloon__requests_have_a_limit),
		cmocka_unit_test(balloon__drops_what_is_reported_free),
		cmocka_unit_test(balloon__asks_for_statistics_again_and_again),
		cmocka_unit_test(balloon__a_new_size_is_told),
		cmocka_unit_test(balloon__goes_on_after_a_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
