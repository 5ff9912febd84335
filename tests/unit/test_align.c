/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_align.c - requests that O_DIRECT does not take as they are: alone, and
 * beside others that are at work on the same blocks.
 *
 * A memfd says nothing about alignment, so its blocks are pages: eight sectors
 * share one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/block/align.h"
#include "blk_kit.h"

enum { SECTOR = 512, BLOCK = 4096, SPAN = 16 * BLOCK, PARTS = SPAN - 5 * SECTOR };

/* A qcow2 image's writes have no turns: the other thread is often faster. */
#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 50, QCOW2_ROUNDS = 10 };
#else
enum { ROUNDS = 500, QCOW2_ROUNDS = 50 };
#endif

/* ---- the module ---- */

static struct align made(int *ret_fd)
{
	struct align a;

	*ret_fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(*ret_fd >= 0);
	assert_int_equal(align_init(&a, *ret_fd), 0);
	assert_int_equal(a.off, BLOCK);
	assert_int_equal(a.mem, BLOCK);
	assert_true(a.shares);
	return a;
}

static void align_fits__looks_at_offset_memory_and_length(void **state)
{
	static _Alignas(BLOCK) char mem[4 * BLOCK];
	int fd;
	struct align a = made(&fd);
	struct iovec v[2] = { { mem, BLOCK }, { mem + 2 * BLOCK, BLOCK } };

	(void)state;
	assert_true(align_fits(&a, v, 2, BLOCK));
	assert_false(align_fits(&a, v, 2, SECTOR));
	v[1].iov_base = mem + 2 * BLOCK + 8;
	assert_false(align_fits(&a, v, 2, 0));
	assert_true(align_fits_part(&a, (struct align_part){ v, 2, 0, BLOCK }, 0));
	assert_false(align_fits_part(&a, (struct align_part){ v, 2, BLOCK, BLOCK }, 0));
	assert_false(align_fits_part(&a, (struct align_part){ v, 2, 0, SECTOR }, 0));
	assert_false(align_fits_part(&a, (struct align_part){ v, 2, SECTOR, BLOCK - SECTOR }, 0));
	v[1] = (struct iovec){ mem + 2 * BLOCK, BLOCK + SECTOR };
	assert_false(align_fits(&a, v, 2, 0));
	assert_true(align_fits_part(&a, (struct align_part){ v, 2, 0, (size_t)2 * BLOCK }, 0));
	align_fini(&a);
	close(fd);
}

static void align_try__parts_of_a_block_want_it_alone(void **state)
{
	struct range whole, part, other, beside;
	int fd;
	struct align a = made(&fd);

	(void)state;
	assert_true(align_try(&a, &whole, BLOCK, BLOCK));
	assert_true(align_try(&a, &other, 0, (uint64_t)2 * BLOCK)); /* whole blocks share */
	assert_false(align_try(&a, &part, BLOCK + SECTOR, SECTOR));
	assert_false(align_try(&a, &part, 2 * BLOCK - SECTOR, (uint64_t)2 * SECTOR));
	assert_true(align_try(&a, &beside, (uint64_t)2 * BLOCK, SECTOR));
	align_drop(&a, &whole);
	assert_false(align_try(&a, &part, BLOCK + SECTOR, SECTOR));
	align_drop(&a, &other);
	assert_true(align_try(&a, &part, BLOCK + SECTOR, SECTOR));
	assert_false(align_try(&a, &whole, 0, (uint64_t)2 * BLOCK));
	assert_false(align_try(&a, &whole, BLOCK, SECTOR)); /* another part */
	align_drop(&a, &part);
	align_drop(&a, &beside);
	align_fini(&a);
	close(fd);
}

static void align_try__costs_nothing_where_sectors_are_blocks(void **state)
{
	struct align a = { .mem = SECTOR, .off = SECTOR };
	struct range r[2];

	(void)state;
	assert_true(align_try(&a, &r[0], 0, SECTOR));
	assert_true(align_try(&a, &r[1], 0, SECTOR));
	align_take(&a, &r[1], 0, SECTOR);
	align_drop(&a, &r[0]);
}

struct waiter {
	struct ranges *set;
	struct range r;
};

static void *wait_for_place(void *arg)
{
	struct waiter *w = arg;

	range_take(w->set, &w->r);
	return NULL;
}

static bool is_waited_for(struct ranges *s)
{
	bool yes;

	lock_take(&s->lock);
	yes = s->waiting != NULL;
	lock_drop(&s->lock);
	return yes;
}

static void range_take__who_waits_is_next(void **state)
{
	struct range first = { .first = 0, .last = 9, .exclusive = true };
	struct range late = { .first = 9, .last = 12 }, beside = { .first = 10, .last = 12 };
	struct ranges s;
	struct waiter w = { .set = &s, .r = { .first = 5, .last = 9, .exclusive = true } };
	pthread_t t;

	(void)state;
	ranges_init(&s);
	range_take(&s, &first);
	assert_int_equal(pthread_create(&t, NULL, wait_for_place, &w), 0);
	while (!is_waited_for(&s))
		sched_yield();
	range_drop(&s, &first);
	/* Whether the other thread has woken up yet or not. */
	assert_false(range_try(&s, &late));
	assert_true(range_try(&s, &beside));
	range_drop(&s, &beside);
	(void)pthread_join(t, NULL);
	assert_false(range_try(&s, &late));
	range_drop(&s, &w.r);
	assert_true(range_try(&s, &late));
	range_drop(&s, &late);
	ranges_fini(&s);
}

/* ---- images ---- */

struct other {
	struct blk *b;
	pthread_barrier_t begun;
	bool stop;
	int failed;
};

static int one(struct blk *b, enum blk_op op, uint64_t off, void *p, size_t n)
{
	const struct iovec v = { p, n };
	const bool moves = op == BLK_READ || op == BLK_WRITE;

	return blk_kit_run(b, (struct blk_req){ .op = op,
						.offset = off,
						.length = n,
						.iov = moves ? &v : NULL,
						.iov_count = moves,
						.unmap = true });
}

/* Over and over: all but the last sectors, so that the last block is read, changed and written. */
static void *write_parts(void *arg)
{
	struct other *o = arg;
	char *mem = aligned_alloc(BLOCK, SPAN);

	memset(mem, 'a', SPAN);
	(void)pthread_barrier_wait(&o->begun);
	do {
		o->failed |= one(o->b, BLK_WRITE, 0, mem, PARTS);
	} while (!__atomic_load_n(&o->stop, __ATOMIC_RELAXED));
	free(mem);
	return NULL;
}

/* Meanwhile @op changes some of the last block, and what nobody else writes stays as it was left. */
static void beside(struct blk *b, enum blk_op op, uint64_t off, uint64_t length)
{
	struct other o = { .b = b };
	char *mem = aligned_alloc(BLOCK, BLOCK), *back = aligned_alloc(BLOCK, SPAN);
	const uint64_t mine = off > PARTS ? off : PARTS;
	pthread_t t;

	assert_true(mem != NULL && back != NULL);
	assert_int_equal(pthread_barrier_init(&o.begun, NULL, 2), 0);
	assert_int_equal(pthread_create(&t, NULL, write_parts, &o), 0);
	(void)pthread_barrier_wait(&o.begun);
	for (int i = 0; i < (b->ops == &blk_raw_ops ? ROUNDS : QCOW2_ROUNDS); i++) {
		memset(mem, 'b' + i % 20, BLOCK);
		assert_int_equal(one(b, BLK_WRITE, off, mem, length), 0);
		if (op != BLK_WRITE)
			assert_int_equal(one(b, op, off, NULL, length), 0);
		assert_int_equal(one(b, BLK_READ, 0, back, SPAN), 0);
		for (uint64_t k = mine; k < off + length; k++)
			assert_int_equal(back[k], op == BLK_WRITE ? mem[0] : 0);
	}
	__atomic_store_n(&o.stop, true, __ATOMIC_RELAXED);
	(void)pthread_join(t, NULL);
	(void)pthread_barrier_destroy(&o.begun);
	assert_int_equal(o.failed, 0);
	assert_int_equal(one(b, BLK_READ, 0, back, SPAN), 0);
	for (size_t k = 0; k < SPAN - BLOCK; k++)
		assert_int_equal(back[k], 'a');
	free(back);
	free(mem);
}

static struct blk *image(const struct blk_ops *ops, int fd)
{
	struct blk_config c = { .fd = fd, .path = "disk", .direct = true };
	struct sill_err e = { 0 };
	struct blk *b = blk_open(ops, &c, &e);

	assert_non_null(b);
	assert_true(b->direct);
	return b;
}

static struct blk *raw_image(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, SPAN), 0);
	return image(&blk_raw_ops, fd);
}

static void raw__a_part_does_not_undo_a_whole_block(void **state)
{
	struct blk *b = raw_image();

	(void)state;
	beside(b, BLK_WRITE, SPAN - BLOCK, BLOCK);
	blk_close(b);
}

static void raw__a_part_does_not_undo_zeroes_beside_it(void **state)
{
	struct blk *b = raw_image();

	(void)state;
	beside(b, BLK_WRITE_ZEROES, SPAN - 4 * SECTOR, (uint64_t)2 * SECTOR);
	beside(b, BLK_DISCARD, SPAN - 4 * SECTOR, (uint64_t)2 * SECTOR);
	blk_close(b);
}

static void raw__a_part_does_not_undo_a_part_beside_it(void **state)
{
	struct blk *b = raw_image();

	(void)state;
	beside(b, BLK_WRITE, SPAN - 3 * SECTOR, (uint64_t)3 * SECTOR);
	blk_close(b);
}

static void qcow2__a_part_does_not_undo_a_whole_block(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	char cmd[128];
	struct blk *b;

	(void)state;
	if (system("command -v qemu-img >/dev/null") != 0)
		skip();
	(void)snprintf(cmd, sizeof(cmd), "qemu-img create -q -f qcow2 /proc/%d/fd/%d %d",
		       (int)getpid(), fd, SPAN);
	assert_int_equal(system(cmd), 0);
	b = image(&blk_qcow2_ops, dup(fd));
	beside(b, BLK_WRITE, SPAN - BLOCK, BLOCK);
	beside(b, BLK_WRITE, SPAN - 3 * SECTOR, (uint64_t)3 * SECTOR);
	blk_close(b);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest module[] = {
		cmocka_unit_test(align_fits__looks_at_offset_memory_and_length),
		cmocka_unit_test(align_try__parts_of_a_block_want_it_alone),
		cmocka_unit_test(align_try__costs_nothing_where_sectors_are_blocks),
		cmocka_unit_test(range_take__who_waits_is_next),
	};
	const struct CMUnitTest images[] = {
		cmocka_unit_test(raw__a_part_does_not_undo_a_whole_block),
		cmocka_unit_test(raw__a_part_does_not_undo_zeroes_beside_it),
		cmocka_unit_test(raw__a_part_does_not_undo_a_part_beside_it),
		cmocka_unit_test(qcow2__a_part_does_not_undo_a_whole_block),
	};

	return cmocka_run_group_tests_name("align", module, NULL, NULL) +
	       blk_kit_each_way(images, ARRAY_LEN(images));
}
