/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_blk_stop.c - how long the end and a reset of a disk take is not the guest's choice: what has
 * not begun is given up, what is large ends at its next piece. And zeroes that have to be written
 * are paid for as data. The disk is a file in memory, which has no other way to be zeroed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/block/block.h"
#include "backend/throttle.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/virtio.h"
#include "winblk.c"

enum {
	SLOT = 3,
	QUEUES = 4,
	OUT = 1,
	DISCARD = 11,
	ZEROES = 13,
	MIB = 1 << 20,
	SECTORS_PER_MIB = MIB / 512,
	LIMIT_MS = 2000,
	DISK_MIB = 1024,
};

struct bench {
	struct rig_pc *pc;
	struct dev *d;
	struct winblk w;
	int fd; /* the disk's, once more */
};

static struct bench *create(struct virtio_blk_config c, unsigned disk_mib)
{
	struct bench *x = calloc(1, sizeof(*x));
	struct blk_config bc = { .path = "disk.img", .fd = memfd_create("disk", MFD_CLOEXEC) };
	struct sill_err e = { 0 };

	assert_non_null(x);
	x->pc = rig_pc_create();
	x->fd = dup(bc.fd);
	assert_int_equal(ftruncate(bc.fd, (off_t)disk_mib * MIB), 0);
	c.blk = blk_open(&blk_raw_ops, &bc, &e);
	assert_non_null(c.blk);
	c.disk.slot = SLOT;
	x->d = dev_create(&virtio_blk_ops, "disk0", &c, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
	winblk_start(&x->w, x->pc, SLOT, 0, 0);
	return x;
}

/* What all threads have worked: what is given up is not worked off, however busy the machine is with something else. */
static uint64_t worked_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t destroy(struct bench *x)
{
	const uint64_t start = worked_ms();

	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	close(x->fd);
	free(x);
	return worked_ms() - start;
}

/* Every request of a queue reads the range from a place of its own. */
static void send_zeroes(struct bench *x, unsigned queue, uint32_t type, uint64_t at_mib,
			uint32_t mib)
{
	struct winblk_queue *q = &x->w.queue[queue];
	const unsigned slot = q->spare[q->spare_count - 1];
	const gpa_t at = WB_DATA + 16ull * (queue * WB_SLOTS + slot);
	const struct {
		uint64_t sector;
		uint32_t sectors, flags;
	} z = { at_mib * SECTORS_PER_MIB, mib * SECTORS_PER_MIB, 0 };
	const struct virtq_seg seg = { at, sizeof(z) };
	const struct winblk_io io = { .type = type, .segments = 1, .seg = &seg };

	assert_int_equal(gmem_write(x->pc->mem, at, &z, sizeof(z)), 0);
	(void)winblk_send(&x->w, queue, &io);
}

/* 1,024 requests of 1 GiB. */
static void fill_with_zeroes(struct bench *x)
{
	for (unsigned queue = 0; queue < QUEUES; queue++)
		while (x->w.queue[queue].spare_count > 0)
			send_zeroes(x, queue, ZEROES, 0, DISK_MIB);
}

/* 256 requests of 254 MiB, all of them from the same MiB of memory. */
static void fill_with_writes(struct bench *x)
{
	static struct virtq_seg seg[WB_SEGMENTS];
	const struct winblk_io io = { .type = OUT, .segments = WB_SEGMENTS, .seg = seg };

	for (unsigned i = 0; i < WB_SEGMENTS; i++)
		seg[i] = (struct virtq_seg){ WB_DATA, MIB };
	for (unsigned queue = 0; queue < x->w.queue_count; queue++)
		for (unsigned i = 0; i < WB_SLOTS / QUEUES; i++)
			(void)winblk_send(&x->w, queue, &io);
}

/* The first of them has begun: there is something in the file. */
static void wait_for_work(struct bench *x)
{
	const uint64_t limit = rig_now_ms() + 60000;
	struct stat st;

	do {
		(void)sched_yield();
		assert_int_equal(fstat(x->fd, &st), 0);
	} while (st.st_blocks == 0 && rig_now_ms() < limit);
	assert_true(st.st_blocks > 0);
}

static void check_end(enum sill_disk_io io, void (*fill)(struct bench *x))
{
	struct bench *x = create((struct virtio_blk_config){ .disk.queues = QUEUES, .disk.io = io },
				 DISK_MIB);
	uint64_t ms;

	fill(x);
	wait_for_work(x);
	ms = destroy(x);
	if (ms > LIMIT_MS)
		fail_msg("the end took %llu ms of work", (unsigned long long)ms);
}

static void check_reset(enum sill_disk_io io, void (*fill)(struct bench *x))
{
	struct bench *x = create((struct virtio_blk_config){ .disk.queues = QUEUES, .disk.io = io },
				 DISK_MIB);
	const uint64_t start = worked_ms();
	uint32_t used;
	uint8_t status;
	uint64_t ms;

	fill(x);
	wait_for_work(x);
	winblk_start(&x->w, x->pc, SLOT, 0, 0); /* a reset, and everything anew */
	ms = worked_ms() - start;
	if (ms > LIMIT_MS + 1000)
		fail_msg("the reset took %llu ms of work", (unsigned long long)ms);
	/* And it works: nothing is given up any more. */
	send_zeroes(x, 0, ZEROES, 0, 256);
	(void)winblk_reap(&x->w, 0, &used, &status);
	assert_int_equal(status, 0);
	(void)destroy(x);
}

static void blk_stop__does_not_wait_for_zeroes(void **state)
{
	(void)state;
	check_end(SILL_IO_AUTO, fill_with_zeroes);
	check_end(SILL_IO_THREADS, fill_with_zeroes);
}

static void blk_stop__does_not_wait_for_huge_writes(void **state)
{
	(void)state;
	check_end(SILL_IO_AUTO, fill_with_writes);
	check_end(SILL_IO_THREADS, fill_with_writes);
}

static void blk_reset__does_not_wait_for_either(void **state)
{
	(void)state;
	check_reset(SILL_IO_AUTO, fill_with_zeroes);
	check_reset(SILL_IO_THREADS, fill_with_writes);
}

/* Pieces add up: all of it, and nothing beside it. */
static void blk_execute__does_large_ranges_in_pieces(void **state)
{
	enum { FROM = 5, N = 150 };
	struct bench *x = create((struct virtio_blk_config){ 0 }, 160);
	uint8_t *p = mmap(NULL, 160 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, x->fd, 0);
	uint32_t used;
	uint8_t status;

	(void)state;
	assert_true(p != MAP_FAILED);
	for (uint32_t type = DISCARD; type <= ZEROES; type += ZEROES - DISCARD) {
		memset(p, 0x5a, 160 * MIB);
		send_zeroes(x, 0, type, FROM, N);
		(void)winblk_reap(&x->w, 0, &used, &status);
		assert_int_equal(status, 0);
		for (size_t i = 0; i < 160 * MIB; i += 512)
			assert_int_equal(p[i], i >= FROM * MIB && i < (FROM + N) * MIB ? 0 : 0x5a);
	}
	(void)munmap(p, 160 * MIB);
	(void)destroy(x);
}

/* --- what zeroes cost --------------------------------------------------------- */

/* How long the next byte would have to wait. */
static uint64_t wait_ms(struct throttle *t)
{
	const uint64_t now = host_now();

	return (throttle_reserve(t, now, 1) - now) / 1000000;
}

static void blk_throttle__zeroes_that_are_written_cost_bandwidth(void **state)
{
	struct throttle t;
	struct bench *x;
	uint32_t used;
	uint8_t status;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = MIB });
	x = create((struct virtio_blk_config){ .throttle = &t }, 256);
	for (unsigned i = 0; i < 4; i++)
		send_zeroes(x, 0, ZEROES, (uint64_t)i * 64, 64);
	/* The first goes through on the burst; the second has its place behind it, the others are not seen. */
	(void)winblk_reap(&x->w, 0, &used, &status);
	assert_int_equal(status, 0);
	assert_in_range(wait_ms(&t), 120000, 130000);
	/* Nobody waits for that: the end comes at once. */
	assert_true(destroy(x) < LIMIT_MS);
}

static void blk_throttle__discards_that_write_nothing_are_free(void **state)
{
	struct throttle t;
	struct bench *x;
	uint32_t used;
	uint8_t status;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = MIB });
	x = create((struct virtio_blk_config){ .throttle = &t }, 256);
	for (unsigned i = 0; i < 4; i++)
		send_zeroes(x, 0, DISCARD, (uint64_t)i * 64, 64);
	for (unsigned i = 0; i < 4; i++)
		(void)winblk_reap(&x->w, 0, &used, &status);
	assert_true(wait_ms(&t) < 1000);
	(void)destroy(x);
}

/* Refused, and paid for before that was known. */
static void blk_throttle__what_is_not_done_is_given_back(void **state)
{
	struct throttle t;
	struct bench *x;
	uint32_t used;
	uint8_t status;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = MIB });
	x = create((struct virtio_blk_config){ .throttle = &t }, 256);
	for (unsigned i = 0; i < 4; i++)
		send_zeroes(x, 0, ZEROES, 200, 64); /* beyond the end */
	for (unsigned i = 0; i < 4; i++) {
		(void)winblk_reap(&x->w, 0, &used, &status);
		assert_int_equal(status, 1);
	}
	assert_true(wait_ms(&t) < 1000);
	(void)destroy(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blk_stop__does_not_wait_for_zeroes),
		cmocka_unit_test(blk_stop__does_not_wait_for_huge_writes),
		cmocka_unit_test(blk_reset__does_not_wait_for_either),
		cmocka_unit_test(blk_execute__does_large_ranges_in_pieces),
		cmocka_unit_test(blk_throttle__zeroes_that_are_written_cost_bandwidth),
		cmocka_unit_test(blk_throttle__discards_that_write_nothing_are_free),
		cmocka_unit_test(blk_throttle__what_is_not_done_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
