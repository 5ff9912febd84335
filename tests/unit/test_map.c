/* SPDX-License-Identifier: Apache-2.0 */
/* test_map.c - the address map: who answers, splitting, changes under way, doorbells. */
#include "bus/map.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/le.h"
#include "base/limits.h"

/* A device that remembers what it was asked, and answers from a pattern. */
struct chip {
	struct io_target target;
	struct io last;
	unsigned region, calls;
	enum io_result answer;
	uint64_t value;
};

static enum io_result chip_io(void *ctx, unsigned region, struct io *io)
{
	struct chip *c = ctx;

	c->last = *io;
	c->region = region;
	c->calls++;
	if (!io->write)
		io->val = c->value;
	return c->answer;
}

static void chip_init(struct chip *c, const char *name)
{
	*c = (struct chip){ .target = { .io = chip_io, .ctx = c, .name = name },
			    .value = 0x8877665544332211ull };
}

struct fixture {
	struct map *map;
	struct map_reader reader;
	struct chip a, b, c;
	struct sill_err e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->map = map_create(0, NULL, &f->e);
	assert_non_null(f->map);
	map_reader_add(f->map, &f->reader);
	chip_init(&f->a, "a");
	chip_init(&f->b, "b");
	chip_init(&f->c, "c");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	map_reader_remove(f->map, &f->reader);
	map_destroy(f->map);
	free(f);
	return 0;
}

static int add(struct map *m, struct chip *c, unsigned region, uint64_t base, uint64_t size)
{
	struct sill_err e = { 0 };

	return map_add(m,
		       &(struct map_region){
			       .base = base, .size = size, .target = &c->target, .region = region },
		       &e);
}

static uint64_t rd(struct fixture *f, uint64_t addr, size_t n)
{
	uint8_t b[8] = { 0 };

	(void)map_read(f->map, &f->reader, addr, b, n);
	return ld64(b);
}

static void map_read__reaches_the_region_with_its_offset(void **state)
{
	struct fixture *f = *state;
	uint8_t b[8] = { 0 };

	assert_int_equal(add(f->map, &f->a, 3, 0x1000, 0x100), 0);
	assert_int_equal(add(f->map, &f->b, 4, 0x3000, 0x100), 0);
	assert_true(map_read(f->map, &f->reader, 0x1010, b, 4));
	assert_int_equal(ld64(b), 0x44332211);
	assert_int_equal(f->a.last.off, 0x10);
	assert_int_equal(f->a.last.size, 4);
	assert_false(f->a.last.write);
	assert_int_equal(f->a.region, 3);
	assert_int_equal(rd(f, 0x30ff, 1), 0x11);
	assert_int_equal(f->b.last.off, 0xff);
	assert_int_equal(rd(f, 0x1000, 8), 0x8877665544332211ull);
	assert_int_equal(rd(f, 0x1000, 2), 0x2211);
}

static void map_write__has_no_stray_bytes(void **state)
{
	struct fixture *f = *state;
	const uint8_t b[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	assert_int_equal(add(f->map, &f->a, 0, 0x1000, 0x100), 0);
	assert_true(map_write(f->map, &f->reader, 0x1020, b, 2));
	assert_int_equal(f->a.last.val, 0x0201);
	assert_true(f->a.last.write);
	assert_true(map_write(f->map, &f->reader, 0x1020, b, 8));
	assert_int_equal(f->a.last.val, 0x0807060504030201ull);
}

static void map_read__is_all_ones_where_nobody_is(void **state)
{
	struct fixture *f = *state;
	uint8_t b[8];

	assert_false(map_read(f->map, &f->reader, 0, b, 8));
	assert_int_equal(ld64(b), ~0ull);
	assert_int_equal(add(f->map, &f->a, 0, 0x1000, 0x10), 0);
	assert_int_equal(rd(f, 0xffc, 4), 0xffffffff);
	assert_int_equal(rd(f, 0x1010, 2), 0xffff);
	assert_int_equal(rd(f, UINT64_MAX, 8), ~0ull); /* wraps */
	assert_int_equal(f->a.calls, 0);
	assert_false(map_write(f->map, &f->reader, 0x1010, b, 1));
}

static void map_read__refused_is_all_ones_and_counted(void **state)
{
	struct fixture *f = *state;
	uint8_t b[8] = { 0 };

	assert_int_equal(add(f->map, &f->a, 0, 0x1000, 0x10), 0);
	f->a.answer = IO_BAD_SIZE;
	assert_true(map_read(f->map, &f->reader, 0x1000, b, 2));
	assert_int_equal(ld64(b), 0xffff);
	f->a.answer = IO_NO_REGISTER;
	assert_int_equal(rd(f, 0x1000, 8), ~0ull);
	f->a.answer = IO_READ_ONLY;
	assert_true(map_write(f->map, &f->reader, 0x1000, b, 1));
	assert_int_equal(f->a.target.guest_errors, 3);
}

static void map_access__that_straddles_is_split_into_bytes(void **state)
{
	struct fixture *f = *state;
	uint8_t b[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	f->a.value = 0xaa;
	f->b.value = 0xbb;
	assert_int_equal(add(f->map, &f->a, 0, 0x1000, 2), 0);
	assert_int_equal(add(f->map, &f->b, 0, 0x1002, 1), 0);
	assert_int_equal(rd(f, 0x1000, 4), 0xffbbaaaa);
	assert_int_equal(f->a.calls, 2);
	assert_int_equal(f->b.last.size, 1);
	assert_true(map_write(f->map, &f->reader, 0xffe, b, 8));
	assert_int_equal(f->a.calls, 4);
	assert_int_equal(f->a.last.off, 1);
	assert_int_equal(f->a.last.val, 4);
	assert_int_equal(f->b.last.val, 5);
	assert_int_equal(rd(f, 0xfff, 4), 0xbbaaaaff);
	/* sizes that no access has */
	assert_int_equal(rd(f, 0x1000, 3), 0xbbaaaa);
	assert_false(map_read(f->map, &f->reader, 0x1000, b, 0));
}

static void map_add__refuses_overlaps_and_what_does_not_fit(void **state)
{
	struct fixture *f = *state;
	struct sill_err e = { 0 };
	struct map *ports = map_create(0x10000, NULL, &e);

	assert_int_equal(add(f->map, &f->a, 0, 0x1000, 0x1000), 0);
	assert_int_equal(add(f->map, &f->b, 0, 0x1fff, 1), -1);
	assert_int_equal(add(f->map, &f->b, 0, 0x0, 0x1001), -1);
	assert_int_equal(add(f->map, &f->b, 0, 0x1800, 0x10), -1);
	assert_int_equal(add(f->map, &f->b, 0, 0x0, 0), -1);
	assert_int_equal(add(f->map, &f->b, 0, UINT64_MAX, 2), -1);
	assert_int_equal(add(f->map, &f->a, 0, 0x5000, 1), -1); /* mapped already */
	assert_int_equal(add(f->map, &f->b, 0, 0x2000, 1), 0);
	assert_int_equal(add(f->map, &f->b, 1, 0xfff, 1), 0);
	assert_int_equal(add(f->map, &f->b, 2, UINT64_MAX, 1), 0);
	assert_int_equal(rd(f, UINT64_MAX, 1), 0x11);

	assert_non_null(ports);
	assert_int_equal(add(ports, &f->c, 0, 0xfffc, 4), 0);
	assert_int_equal(add(ports, &f->c, 1, 0xfff0, 0x20), -1);
	assert_int_equal(add(ports, &f->c, 1, 0x10000, 1), -1);
	map_destroy(ports);
}

static void map_add__stops_at_the_limit(void **state)
{
	struct fixture *f = *state;
	struct sill_err e = { 0 };
	struct map_region r = { .size = 1, .target = &f->a.target };

	for (unsigned i = 0; i < MAX_MAP_REGIONS; i++) {
		r.base = (uint64_t)(i * 7919u % MAX_MAP_REGIONS) * 2;
		r.region = i;
		assert_int_equal(map_add(f->map, &r, &e), 0);
	}
	r.base = 1;
	r.region = MAX_MAP_REGIONS;
	assert_int_equal(map_add(f->map, &r, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	for (unsigned i = 0; i < MAX_MAP_REGIONS; i++) {
		assert_int_equal(rd(f, (uint64_t)(i * 7919u % MAX_MAP_REGIONS) * 2, 1), 0x11);
		assert_int_equal(f->a.region, i);
	}
	/* A gap that removing left counts for nothing. */
	assert_true(map_remove(f->map, &f->a.target, 5));
	e = (struct sill_err){ 0 };
	assert_int_equal(map_add(f->map, &r, &e), 0);
}

static void map_remove__leaves_nobody_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add(f->map, &f->a, 0, 0x1000, 0x10), 0);
	assert_int_equal(add(f->map, &f->a, 1, 0x1010, 0x10), 0);
	assert_int_equal(rd(f, 0x1000, 1), 0x11);
	assert_true(map_remove(f->map, &f->a.target, 0));
	assert_false(map_remove(f->map, &f->a.target, 0));
	assert_int_equal(rd(f, 0x1000, 1), 0xff);
	assert_int_equal(rd(f, 0x100e, 4), 0x1111ffff);
	assert_int_equal(add(f->map, &f->b, 0, 0x1000, 0x10), 0);
	assert_int_equal(rd(f, 0x1000, 1), 0x11);
	assert_int_equal(f->b.calls, 1);
}

static void map_move__goes_or_leaves_all_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct sill_err e = { 0 };

	assert_int_equal(add(f->map, &f->a, 0, 0x1000, 0x1000), 0);
	assert_int_equal(add(f->map, &f->b, 0, 0x4000, 0x1000), 0);
	assert_int_equal(map_move(f->map, &f->a.target, 0, 0x3800, &e), -1);
	assert_int_equal(rd(f, 0x1000, 1), 0x11);
	assert_int_equal(f->a.calls, 1);
	e = (struct sill_err){ 0 };
	assert_int_equal(map_move(f->map, &f->a.target, 0, 0x1800, &e), 0); /* over itself */
	assert_int_equal(map_move(f->map, &f->a.target, 0, 0x8000, &e), 0);
	assert_int_equal(rd(f, 0x1800, 1), 0xff);
	assert_int_equal(rd(f, 0x8fff, 1), 0x11);
	assert_int_equal(f->a.last.off, 0xfff);
	assert_int_equal(map_move(f->map, &f->c.target, 0, 0, &e), -1);
}

/* --- doorbells ---------------------------------------------------------- */

struct bells {
	char log[256];
	int refuse_fd;
};

static int bell_add(void *ctx, uint64_t addr, const struct doorbell *b)
{
	struct bells *s = ctx;
	size_t n = strlen(s->log);

	if (b->fd == s->refuse_fd)
		return -1;
	(void)snprintf(s->log + n, sizeof(s->log) - n, "+%llx/%d ", (unsigned long long)addr,
		       b->fd);
	return 0;
}

static void bell_remove(void *ctx, uint64_t addr, const struct doorbell *b)
{
	struct bells *s = ctx;
	size_t n = strlen(s->log);

	(void)snprintf(s->log + n, sizeof(s->log) - n, "-%llx/%d ", (unsigned long long)addr,
		       b->fd);
}

static void map_bells__follow_their_region(void **state)
{
	struct bells s = { .refuse_fd = -1 };
	const struct map_listener l = { bell_add, bell_remove, &s };
	static const struct doorbell bells[] = { { 0x10, 2, 5 }, { 0x14, 0, 6 } };
	struct sill_err e = { 0 };
	struct map *m = map_create(0, &l, &e);
	struct fixture *f = *state;
	struct map_region r = { .base = 0x1000,
				.size = 0x100,
				.target = &f->a.target,
				.bells = bells,
				.bell_count = 2 };

	assert_non_null(m);
	assert_int_equal(map_add(m, &r, &e), 0);
	assert_string_equal(s.log, "+1010/5 +1014/6 ");
	s.log[0] = '\0';
	assert_int_equal(add(m, &f->b, 0, 0x4000, 1), 0);
	assert_int_equal(map_move(m, &f->a.target, 0, 0x4000, &e), -1);
	assert_string_equal(s.log, "");
	assert_int_equal(map_move(m, &f->a.target, 0, 0x3000, &e), 0);
	assert_string_equal(s.log, "-1010/5 -1014/6 +3010/5 +3014/6 ");
	s.log[0] = '\0';
	assert_true(map_remove(m, &f->a.target, 0));
	assert_string_equal(s.log, "-3010/5 -3014/6 ");
	/* One that was refused is not taken back. */
	s = (struct bells){ .refuse_fd = 5 };
	e = (struct sill_err){ 0 };
	assert_int_equal(map_add(m, &r, &e), 0);
	assert_int_equal(map_move(m, &f->a.target, 0, 0x2000, &e), 0);
	assert_true(map_remove(m, &f->a.target, 0));
	assert_string_equal(s.log, "+1014/6 -1014/6 +2014/6 -2014/6 ");
	map_destroy(m);
}

/* --- threads ------------------------------------------------------------ */

/* A region that moves itself when it is read, as a BAR does by way of configuration space. */
struct mover {
	struct io_target target;
	struct map *map;
	uint64_t next;
};

static enum io_result mover_io(void *ctx, unsigned region, struct io *io)
{
	struct mover *v = ctx;
	struct sill_err e = { 0 };

	io->val = 0x5a;
	assert_int_equal(map_move(v->map, &v->target, region, v->next, &e), 0);
	return IO_DONE;
}

static void map_move__may_come_from_inside_the_region(void **state)
{
	struct fixture *f = *state;
	struct mover v = { .target = { .io = mover_io, .name = "mover" }, .map = f->map };

	v.target.ctx = &v;
	assert_int_equal(map_add(f->map,
				 &(struct map_region){ .base = 0, .size = 16, .target = &v.target },
				 &f->e),
			 0);
	for (uint64_t at = 0; at < 1000; at++) {
		v.next = (at + 1) * 16;
		assert_int_equal(rd(f, at * 16, 1), 0x5a);
		assert_int_equal(rd(f, at * 16, 1), 0xff);
	}
}

enum { READERS = 3, ROUNDS = 3000 };

struct crowd {
	struct map *map;
	struct chip chip[4];
	unsigned stop;
	unsigned done;
};

static enum io_result quiet_io(void *ctx, unsigned region, struct io *io)
{
	(void)ctx;
	io->val = region;
	return IO_DONE;
}

/* One chip is at 0x1000 or at 0x1010, never at both or neither; another one never moves. */
static void *crowd_reader(void *arg)
{
	struct crowd *w = arg;
	struct map_reader r;
	uintptr_t bad = 0;
	unsigned n = 0;

	map_reader_add(w->map, &r);
	while (__atomic_load_n(&w->stop, __ATOMIC_RELAXED) == 0) {
		uint8_t b[32], lower = 0, upper = 0;

		if (!map_read(w->map, &r, 0x3000, b, 1) || b[0] != 2)
			bad++;
		(void)map_read(w->map, &r, 0x1000, b, sizeof(b));
		for (unsigned i = 0; i < 16; i++) {
			lower = (uint8_t)(lower + (b[i] == 1));
			upper = (uint8_t)(upper + (b[16 + i] == 1));
		}
		if (!(lower == 16 && upper == 0) && !(lower == 0 && upper == 16))
			bad++;
		if (++n % 512 == 0) {
			map_reader_remove(w->map, &r);
			map_reader_add(w->map, &r);
		}
	}
	map_reader_remove(w->map, &r);
	return (void *)bad;
}

static void map_change__is_safe_under_readers(void **state)
{
	struct crowd w = { 0 };
	struct sill_err e = { 0 };
	pthread_t t[READERS];

	(void)state;
	w.map = map_create(0, NULL, &e);
	assert_non_null(w.map);
	for (unsigned i = 0; i < 4; i++) {
		chip_init(&w.chip[i], "crowd");
		w.chip[i].target.io = quiet_io;
	}
	assert_int_equal(add(w.map, &w.chip[0], 1, 0x1000, 16), 0);
	assert_int_equal(add(w.map, &w.chip[1], 2, 0x3000, 16), 0);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, crowd_reader, &w), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(
			map_move(w.map, &w.chip[0].target, 1, i % 2 == 0 ? 0x1010 : 0x1000, &e), 0);
		assert_int_equal(add(w.map, &w.chip[2], 3, 0x0, 16), 0);
		if (i % 64 == 0)
			map_quiesce(w.map);
		assert_true(map_remove(w.map, &w.chip[2].target, 3));
	}
	__atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++) {
		void *bad;

		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
	map_destroy(w.map);
}

/* A target that is freed after remove and quiesce: the sanitizers see a use that comes later. */
struct mortal {
	struct io_target target;
	unsigned alive;
};

static enum io_result mortal_io(void *ctx, unsigned region, struct io *io)
{
	struct mortal *v = ctx;

	(void)region;
	io->val = v->alive;
	return IO_DONE;
}

static void *mortal_reader(void *arg)
{
	struct crowd *w = arg;
	struct map_reader r;
	uintptr_t bad = 0;

	map_reader_add(w->map, &r);
	while (__atomic_load_n(&w->stop, __ATOMIC_RELAXED) == 0) {
		uint8_t b = 0;

		if (map_read(w->map, &r, 0x1000, &b, 1) && b != 1)
			bad++;
	}
	map_reader_remove(w->map, &r);
	return (void *)bad;
}

static void map_quiesce__makes_it_safe_to_free_a_target(void **state)
{
	struct crowd w = { 0 };
	struct sill_err e = { 0 };
	pthread_t t[READERS];

	(void)state;
	w.map = map_create(0, NULL, &e);
	assert_non_null(w.map);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, mortal_reader, &w), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct mortal *v = calloc(1, sizeof(*v));

		assert_non_null(v);
		v->target = (struct io_target){ .io = mortal_io, .ctx = v, .name = "mortal" };
		v->alive = 1;
		assert_int_equal(map_add(w.map,
					 &(struct map_region){
						 .base = 0x1000, .size = 16, .target = &v->target },
					 &e),
				 0);
		if (i % 3 == 0)
			sched_yield();
		assert_true(map_remove(w.map, &v->target, 0));
		map_quiesce(w.map);
		v->alive = 0;
		free(v);
	}
	__atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++) {
		void *bad;

		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
	map_destroy(w.map);
}

/* quiesce really waits: the access is held open until the test says so. */
struct gate {
	struct io_target target;
	struct map *map;
	unsigned inside, open, left;
};

static enum io_result gate_io(void *ctx, unsigned region, struct io *io)
{
	struct gate *g = ctx;

	(void)region;
	(void)io;
	__atomic_store_n(&g->inside, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&g->open, __ATOMIC_SEQ_CST) == 0)
		sched_yield();
	__atomic_store_n(&g->left, 1, __ATOMIC_SEQ_CST);
	return IO_DONE;
}

static void *gate_reader(void *arg)
{
	struct gate *g = arg;
	struct map_reader r;
	uint8_t b;

	map_reader_add(g->map, &r);
	(void)map_read(g->map, &r, 0, &b, 1);
	map_reader_remove(g->map, &r);
	return NULL;
}

static void *gate_opener(void *arg)
{
	struct gate *g = arg;

	for (unsigned i = 0; i < 100; i++)
		sched_yield();
	__atomic_store_n(&g->open, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void map_quiesce__waits_for_the_access_under_way(void **state)
{
	struct fixture *f = *state;
	struct gate g = { .target = { .io = gate_io, .ctx = &g, .name = "gate" }, .map = f->map };
	pthread_t reader, opener;

	map_quiesce(f->map); /* nobody: at once */
	assert_int_equal(
		map_add(f->map, &(struct map_region){ .size = 1, .target = &g.target }, &f->e), 0);
	assert_int_equal(pthread_create(&reader, NULL, gate_reader, &g), 0);
	while (__atomic_load_n(&g.inside, __ATOMIC_SEQ_CST) == 0)
		sched_yield();
	assert_true(map_remove(f->map, &g.target, 0)); /* does not wait */
	assert_int_equal(__atomic_load_n(&g.left, __ATOMIC_SEQ_CST), 0);
	assert_int_equal(pthread_create(&opener, NULL, gate_opener, &g), 0);
	map_quiesce(f->map);
	assert_int_equal(__atomic_load_n(&g.left, __ATOMIC_SEQ_CST), 1);
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_int_equal(pthread_join(opener, NULL), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(map_read__reaches_the_region_with_its_offset),
		T(map_write__has_no_stray_bytes),
		T(map_read__is_all_ones_where_nobody_is),
		T(map_read__refused_is_all_ones_and_counted),
		T(map_access__that_straddles_is_split_into_bytes),
		T(map_add__refuses_overlaps_and_what_does_not_fit),
		T(map_add__stops_at_the_limit),
		T(map_remove__leaves_nobody_there),
		T(map_move__goes_or_leaves_all_as_it_was),
		T(map_bells__follow_their_region),
		T(map_move__may_come_from_inside_the_region),
		T(map_change__is_safe_under_readers),
		T(map_quiesce__makes_it_safe_to_free_a_target),
		T(map_quiesce__waits_for_the_access_under_way),
	};
#undef T

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
