/* SPDX-License-Identifier: Apache-2.0 */
/* test_msix.c - MSI-X: table, masks, pending bits, and raising while somebody masks. */
#include "bus/msix.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/le.h"

enum { VECTORS = 65, CONTROL = 2, ENABLE = 1 << 15, MASK_ALL = 1 << 14 };

/* Interrupts as the recorder sees them: the message that each descriptor delivers. */
struct fixture {
	struct irqs irqs;
	struct pci_func f;
	struct msix m;
	unsigned opened, closed, routes;
	uint64_t addr;
	uint32_t data;
	bool refuse_open, refuse_route;
};

static int msi_open(void *ctx, struct irq_msi *m, struct sill_err *e)
{
	struct fixture *f = ctx;

	if (f->refuse_open)
		return sill_err_set(e, SILL_ERR_LIMIT, "no route left");
	m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	m->gsi = f->opened++;
	return m->fd < 0 ? -1 : 0;
}

static int msi_route(void *ctx, struct irq_msi *m, uint64_t addr, uint32_t data)
{
	struct fixture *f = ctx;

	(void)m;
	if (f->refuse_route)
		return -1;
	f->routes++;
	f->addr = addr;
	f->data = data;
	return 0;
}

static void msi_close(void *ctx, struct irq_msi *m)
{
	struct fixture *f = ctx;

	f->closed++;
	(void)close(m->fd);
}

static const struct irq_ops recorder = { .msi_open = msi_open,
					 .msi_route = msi_route,
					 .msi_close = msi_close };

static int setup(void **state)
{
	const struct pci_ids ids = { 0x1af4, 0x1042, 0x1af4, 0x1100, 0x018000, 1 };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	irqs_init(&f->irqs, &recorder, f);
	pci_func_init(&f->f, &ids, NULL, NULL, "card");
	msix_init(&f->m, &f->irqs, &f->f, VECTORS, 1, 0x1000, 0x2000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	msix_fini(&f->m);
	assert_int_equal(f->opened, f->closed);
	irqs_fini(&f->irqs);
	free(f);
	return 0;
}

static enum io_result table(struct fixture *f, struct io *io)
{
	return msix_table_io(&f->m, io);
}

static void wr(struct fixture *f, unsigned off, uint32_t val)
{
	struct io io = { .off = off, .size = 4, .val = val, .write = true };

	assert_int_equal(table(f, &io), IO_DONE);
}

static uint64_t rd(struct fixture *f, unsigned off, uint8_t size)
{
	struct io io = { .off = off, .size = size };

	assert_int_equal(table(f, &io), IO_DONE);
	return io.val;
}

static void control(struct fixture *f, unsigned val)
{
	st16(f->f.cfg + f->m.cap + CONTROL, (uint16_t)(VECTORS - 1 + val));
	msix_config_written(&f->m, &f->f, f->m.cap + CONTROL, 2);
}

static void vector(struct fixture *f, unsigned v, uint32_t addr, uint32_t data)
{
	wr(f, v * 16, addr);
	wr(f, v * 16 + 4, 0);
	wr(f, v * 16 + 8, data);
}

static void mask(struct fixture *f, unsigned v, bool yes)
{
	wr(f, v * 16 + 12, yes);
}

/* How often vector @v was delivered since last asked. */
static uint64_t delivered(struct fixture *f, unsigned v)
{
	uint64_t n = 0;

	if (f->m.entry[v].msi.fd < 0 || read(f->m.entry[v].msi.fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	return n;
}

static bool is_pending(struct fixture *f, unsigned v)
{
	struct io io = { .off = v / 32 * 4, .size = 4 };

	if (msix_pba_io(&f->m, &io) == IO_DONE)
		return (io.val >> v % 32 & 1) != 0;
	io = (struct io){ .off = v / 64 * 8, .size = 8 };
	assert_int_equal(msix_pba_io(&f->m, &io), IO_DONE);
	return (io.val >> v % 64 & 1) != 0;
}

static void msix_init__describes_itself(void **state)
{
	struct fixture *f = *state;
	const uint8_t *cap = f->f.cfg + f->m.cap;

	assert_int_equal(cap[0], 0x11);
	assert_int_equal(ld16(cap + 2), VECTORS - 1);
	assert_int_equal(ld32(cap + 4), 0x1001);
	assert_int_equal(ld32(cap + 8), 0x2001);
	assert_int_equal(ld16(f->f.wmask + f->m.cap + 2), ENABLE | MASK_ALL);
	assert_int_equal(ld32(f->f.wmask + f->m.cap + 4), 0);
}

static void msix_table__reads_back(void **state)
{
	struct fixture *f = *state;
	struct io io;

	assert_int_equal(rd(f, 12, 4), 1); /* masked after reset */
	wr(f, 64 * 16, 0xfee01007);
	wr(f, 64 * 16 + 4, 0x11);
	wr(f, 64 * 16 + 8, 0x4041);
	wr(f, 64 * 16 + 12, 0xffffffff);
	assert_int_equal(rd(f, 64 * 16, 8), 0x11fee01004ull);
	assert_int_equal(rd(f, 64 * 16 + 8, 8), 0x100004041ull);
	io = (struct io){ .off = 16, .size = 8, .val = 0x1fee02000ull, .write = true };
	assert_int_equal(table(f, &io), IO_DONE);
	assert_int_equal(rd(f, 16, 4), 0xfee02000);
	assert_int_equal(rd(f, 20, 4), 1);
	/* What is not an access to a table. */
	assert_int_equal(table(f, &(struct io){ .off = 0, .size = 1 }), IO_BAD_SIZE);
	assert_int_equal(table(f, &(struct io){ .off = 2, .size = 2, .write = true }), IO_BAD_SIZE);
	assert_int_equal(table(f, &(struct io){ .off = 2, .size = 4 }), IO_BAD_SIZE);
	assert_int_equal(table(f, &(struct io){ .off = 4, .size = 8 }), IO_BAD_SIZE);
	assert_int_equal(table(f, &(struct io){ .off = VECTORS * 16, .size = 4 }), IO_NO_REGISTER);
	assert_int_equal(table(f, &(struct io){ .off = ~7ull, .size = 8 }), IO_NO_REGISTER);
	assert_int_equal(msix_pba_io(&f->m, &(struct io){ .size = 4, .write = true }),
			 IO_READ_ONLY);
	assert_int_equal(msix_pba_io(&f->m, &(struct io){ .off = 16, .size = 8 }), IO_NO_REGISTER);
	assert_int_equal(msix_pba_io(&f->m, &(struct io){ .off = 1, .size = 1 }), IO_BAD_SIZE);
	assert_int_equal(f->opened, VECTORS); /* all of them, at the start */
}

static void msix_raise__delivers_when_unmasked(void **state)
{
	struct fixture *f = *state;

	vector(f, 3, 0xfee00000, 0x31);
	mask(f, 3, false);
	assert_int_equal(f->opened, VECTORS);
	control(f, ENABLE);
	assert_int_equal(f->opened, VECTORS);
	assert_int_equal(f->addr, 0xfee00000);
	assert_int_equal(f->data, 0x31);
	msix_raise(&f->m, 3);
	msix_raise(&f->m, 3);
	assert_int_equal(delivered(f, 3), 2);
	assert_false(is_pending(f, 3));
	msix_raise(&f->m, 0xffff);
	msix_raise(&f->m, VECTORS);
}

static void msix_raise__is_pending_until_unmasked(void **state)
{
	struct fixture *f = *state;

	control(f, ENABLE);
	msix_raise(&f->m, 64);
	assert_true(is_pending(f, 64));
	assert_false(is_pending(f, 63));
	vector(f, 64, 0xfee00000, 0x31);
	mask(f, 64, false);
	assert_int_equal(delivered(f, 64), 1);
	assert_false(is_pending(f, 64));
	mask(f, 64, true);
	msix_raise(&f->m, 64);
	msix_raise(&f->m, 64);
	assert_int_equal(delivered(f, 64), 0);
	mask(f, 64, false);
	assert_int_equal(delivered(f, 64), 1); /* one bit */
	/* The function's mask, and the switch of the whole. */
	control(f, ENABLE | MASK_ALL);
	msix_raise(&f->m, 64);
	assert_true(is_pending(f, 64));
	control(f, ENABLE);
	assert_int_equal(delivered(f, 64), 1);
	control(f, 0);
	msix_raise(&f->m, 64);
	assert_int_equal(delivered(f, 64), 0);
	control(f, ENABLE);
	assert_int_equal(delivered(f, 64), 1);
}

static void msix_route__changes_only_when_the_message_does(void **state)
{
	struct fixture *f = *state;

	control(f, ENABLE);
	vector(f, 0, 0xfee00000, 0x31);
	assert_int_equal(f->routes, 0);
	mask(f, 0, false);
	assert_int_equal(f->routes, 1);
	for (unsigned i = 0; i < 10; i++) {
		mask(f, 0, true);
		mask(f, 0, false);
	}
	wr(f, 8, 0x31);
	assert_int_equal(f->routes, 1);
	mask(f, 0, true);
	vector(f, 0, 0xfee01000, 0x32);
	vector(f, 0, 0xfee02000, 0x33);
	assert_int_equal(f->routes, 1);
	mask(f, 0, false);
	assert_int_equal(f->routes, 2);
	assert_int_equal(f->addr, 0xfee02000);
	/* Written while unmasked: at once. */
	wr(f, 8, 0x34);
	assert_int_equal(f->data, 0x34);
	assert_int_equal(f->opened, VECTORS);
	/* Other writes to configuration space are none of ours. */
	st16(f->f.cfg + f->m.cap + CONTROL, VECTORS - 1);
	msix_config_written(&f->m, &f->f, f->m.cap + 4, 4);
	msix_config_written(&f->m, &f->f, f->m.cap, 2);
	msix_raise(&f->m, 0);
	assert_int_equal(delivered(f, 0), 1);
	msix_config_written(&f->m, &f->f, f->m.cap, 4);
	msix_raise(&f->m, 0);
	assert_int_equal(delivered(f, 0), 0);
}

static void msix_route__refused_by_the_host_stays_pending(void **state)
{
	struct fixture *f = *state;

	/* None could be had at first: who unmasks asks once more. */
	msix_fini(&f->m);
	f->refuse_open = true;
	msix_init(&f->m, &f->irqs, &f->f, VECTORS, 1, 0x1000, 0x2000);
	control(f, ENABLE);
	vector(f, 0, 0xfee00000, 0x31);
	mask(f, 0, false);
	msix_raise(&f->m, 0);
	assert_true(is_pending(f, 0));
	f->refuse_open = false;
	f->refuse_route = true;
	mask(f, 0, true);
	mask(f, 0, false);
	assert_true(is_pending(f, 0));
	f->refuse_route = false;
	mask(f, 0, true);
	mask(f, 0, false);
	assert_int_equal(delivered(f, 0), 1);
	/* A live vector whose new message is refused delivers no more. */
	f->refuse_route = true;
	wr(f, 8, 0x35);
	msix_raise(&f->m, 0);
	assert_int_equal(delivered(f, 0), 0);
	assert_true(is_pending(f, 0));
}

static void msix_reset__masks_and_keeps_the_vectors(void **state)
{
	struct fixture *f = *state;

	control(f, ENABLE);
	vector(f, 1, 0xfee00000, 0x31);
	mask(f, 1, false);
	msix_raise(&f->m, 2);
	msix_reset(&f->m);
	assert_int_equal(f->closed, 0);
	assert_int_equal(rd(f, 16, 8), 0);
	assert_int_equal(rd(f, 24, 8), 1ull << 32);
	assert_false(is_pending(f, 2));
	msix_raise(&f->m, 1);
	assert_true(is_pending(f, 1));
	vector(f, 1, 0xfee00000, 0x31);
	mask(f, 1, false);
	assert_int_equal(f->opened, VECTORS);
	control(f, ENABLE);
	assert_int_equal(delivered(f, 1), 1);
}

static void save(struct fixture *f, struct buf *b)
{
	struct saver s;

	buf_init(b, 1 << 16);
	save_init(&s, b);
	save_begin(&s, 1, 1);
	msix_save(&f->m, &s);
	save_end(&s);
}

static int load(struct fixture *f, const uint8_t *p, size_t n)
{
	struct sill_err e = { 0 };
	struct loader l;

	load_init(&l, p, n);
	(void)load_begin(&l, 1, 1);
	if (msix_load(&f->m, &l, &e) < 0)
		return -1;
	return load_end(&l, "test", &e);
}

static void msix_load__restores_the_table(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	control(f, ENABLE);
	vector(f, 1, 0xfee00000, 0x31);
	mask(f, 1, false);
	msix_raise(&f->m, 2);
	save(f, &b);
	msix_reset(&f->m);
	assert_int_equal(load(f, b.data, b.size), 0);
	assert_true(is_pending(f, 2));
	msix_raise(&f->m, 1);
	assert_int_equal(delivered(f, 1), 1);
	assert_int_equal(f->data, 0x31);
	for (size_t n = 0; n < b.size; n++)
		assert_int_equal(load(f, b.data, n), -1);
	for (size_t i = 12; i < b.size; i++) {
		b.data[i] ^= 0xff;
		(void)load(f, b.data, b.size);
		b.data[i] ^= 0xff;
	}
	b.data[12]--; /* another number of vectors */
	assert_int_equal(load(f, b.data, b.size), -1);
	buf_fini(&b);
}

/* --- threads -------------------------------------------------------------- */

struct raiser {
	struct fixture *f;
	unsigned stop;
	unsigned round, done; /* the round to raise in, the last one raised in */
};

static void *raise_each_round(void *arg)
{
	struct raiser *r = arg;
	unsigned round, last = 0, idle = 0;

	while (__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST) == 0) {
		round = __atomic_load_n(&r->round, __ATOMIC_SEQ_CST);
		if (round == last) {
			if (++idle % 4096 == 0)
				sched_yield();
			continue;
		}
		last = round;
		for (volatile unsigned i = round % 97; i > 0; i--)
			continue; /* meet the other thread at ever other points */
		msix_raise(&r->f->m, 5);
		__atomic_store_n(&r->done, round, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* One raise against one mask and unmask, then look: nobody touches the vector again. */
static void msix_raise__loses_nothing_while_masked_and_unmasked(void **state)
{
	struct fixture *f = *state;
	struct raiser r = { .f = f };
	pthread_t t;

	control(f, ENABLE);
	vector(f, 5, 0xfee00000, 0x31);
	mask(f, 5, false);
	assert_int_equal(pthread_create(&t, NULL, raise_each_round, &r), 0);
	for (unsigned i = 1, idle = 0; i <= 20000; i++) {
		__atomic_store_n(&r.round, i, __ATOMIC_SEQ_CST);
		if (i % 4 == 0)
			control(f, ENABLE | MASK_ALL);
		else
			mask(f, 5, true);
		if (i % 8 == 0)
			wr(f, 5 * 16 + 8, 0x31 + i % 64);
		if (i % 4 == 0)
			control(f, ENABLE);
		else
			mask(f, 5, false);
		while (__atomic_load_n(&r.done, __ATOMIC_SEQ_CST) != i)
			if (++idle % 4096 == 0)
				sched_yield();
		assert_int_equal(delivered(f, 5), 1);
		assert_false(is_pending(f, 5));
	}
	__atomic_store_n(&r.stop, 1, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_join(t, NULL), 0);
}

static void *raise_and_raise(void *arg)
{
	struct raiser *r = arg;

	while (__atomic_load_n(&r->stop, __ATOMIC_RELAXED) == 0)
		for (unsigned v = 4; v < 8; v++)
			msix_raise(&r->f->m, v);
	return NULL;
}

static void msix_mask__is_silence_from_its_return_on(void **state)
{
	struct fixture *f = *state;
	struct raiser r = { .f = f };
	pthread_t t[2];
	uint64_t seen = 0;

	control(f, ENABLE);
	vector(f, 5, 0xfee00000, 0x31);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, raise_and_raise, &r), 0);
	for (unsigned i = 0; i < 3000; i++) {
		mask(f, 5, false);
		if (i % 3 == 0)
			mask(f, 5, true);
		else if (i % 3 == 1)
			control(f, ENABLE | MASK_ALL);
		else
			control(f, 0);
		seen += delivered(f, 5);
		for (unsigned k = 0; k < 20; k++)
			assert_int_equal(delivered(f, 5), 0);
		control(f, ENABLE);
	}
	assert_true(seen > 0);
	/* Reset and use again, with senders about. */
	for (unsigned i = 0; i < 300; i++) {
		msix_reset(&f->m);
		vector(f, 5, 0xfee00000, 0x31);
		mask(f, 5, false);
		control(f, ENABLE);
	}
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(f->m.entry[5].sending, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(msix_init__describes_itself),
		T(msix_table__reads_back),
		T(msix_raise__delivers_when_unmasked),
		T(msix_raise__is_pending_until_unmasked),
		T(msix_route__changes_only_when_the_message_does),
		T(msix_route__refused_by_the_host_stays_pending),
		T(msix_reset__masks_and_keeps_the_vectors),
		T(msix_load__restores_the_table),
		T(msix_raise__loses_nothing_while_masked_and_unmasked),
		T(msix_mask__is_silence_from_its_return_on),
	};
#undef T

	return cmocka_run_group_tests_name("msix", tests, NULL, NULL);
}
