/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio_blk_save.c - a disk that is saved while it keeps requests the
 * host has failed: drained, saved, made anew, loaded, and they are carried out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/block/block.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/virtio.h"
#include "winblk.c"

enum { OUT = 1, FLUSH = 4 };
enum { OK = 0, IOERR = 1 };
enum { DISK = 1 << 20, SLOT = 3 };

/* ---- a disk in memory that has space when told so ---- */

static struct {
	uint8_t bytes[DISK];
	uint64_t size;
	int fail;         /* atomic: an errno; 0: it works */
	unsigned writes;  /* atomic: seen */
	unsigned stalled; /* atomic */
} host;

static int host_open(struct blk *b, struct sill_err *e)
{
	(void)e;
	b->capacity = host.size;
	return 0;
}

static int host_do(struct blk *b, const struct blk_req *r)
{
	uint64_t at = r->offset;

	(void)b;
	for (int i = 0; i < r->iov_count && r->op == BLK_WRITE; at += r->iov[i++].iov_len)
		memcpy(host.bytes + at, r->iov[i].iov_base, r->iov[i].iov_len);
	return 0;
}

static void host_submit(struct blk *b, struct blk_req *r)
{
	const int err = __atomic_load_n(&host.fail, __ATOMIC_SEQ_CST);

	__atomic_add_fetch(&host.writes, r->op == BLK_WRITE, __ATOMIC_SEQ_CST);
	if (err != 0)
		r->done(r, err);
	else
		blk_execute(b, r, host_do);
}

static int host_close(struct blk *b)
{
	(void)b;
	return 0;
}

static const struct blk_ops host_ops = {
	.format = "memory", .open = host_open, .submit = host_submit, .close = host_close
};

static void on_stall(void *ctx, const char *id, const char *what, int err)
{
	(void)ctx;
	(void)id;
	(void)what;
	(void)err;
	__atomic_add_fetch(&host.stalled, 1, __ATOMIC_SEQ_CST);
}

/* ---- set-up ---- */

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct winblk w;
};

static void plug(struct rig *x)
{
	const struct blk_config bc = { .path = "disk.img",
				       .fd = memfd_create("disk", MFD_CLOEXEC) };
	struct virtio_blk_config c = { .disk.slot = SLOT, .disk.on_error = SILL_ON_ERROR_STOP };
	struct sill_err e = { 0 };

	c.blk = blk_open(&host_ops, &bc, &e);
	assert_non_null(c.blk);
	x->d = dev_create(&virtio_blk_ops, "disk0", &c, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
}

static void rig_begin(struct rig *x)
{
	memset(&host, 0, sizeof(host));
	host.size = DISK;
	*x = (struct rig){ .pc = rig_pc_create() };
	x->pc->env.stall = on_stall;
	plug(x);
	winblk_start(&x->w, x->pc, SLOT, 0, 0);
}

static void rig_end(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
}

static void send(struct rig *x, uint32_t type, uint64_t sector)
{
	static const struct virtq_seg page = { WB_DATA, 4096 };
	const struct winblk_io io = {
		.type = type, .sector = sector, .segments = type == FLUSH ? 0 : 1, .seg = &page
	};

	(void)winblk_send(&x->w, 0, &io);
}

static uint8_t reap(struct rig *x)
{
	uint32_t used;
	uint8_t status;

	(void)winblk_reap(&x->w, 0, &used, &status);
	return status;
}

static void fill(struct rig *x, uint8_t byte)
{
	uint8_t bytes[4096];

	memset(bytes, byte, sizeof(bytes));
	assert_int_equal(gmem_write(x->pc->mem, WB_DATA, bytes, sizeof(bytes)), 0);
}

static void set_fail(int err)
{
	__atomic_store_n(&host.fail, err, __ATOMIC_SEQ_CST);
}

static void await_stall(unsigned count)
{
	while (__atomic_load_n(&host.stalled, __ATOMIC_SEQ_CST) < count)
		sched_yield();
}

static void pause_all(struct rig *x)
{
	dev_pause(x->d);
	while (!dev_drained(x->d))
		sched_yield();
}

static void save(struct rig *x, struct buf *b)
{
	struct saver s;

	buf_init(b, 1 << 20);
	save_init(&s, b);
	pci_bus_save(x->pc->pci, &s);
	assert_int_equal(dev_save(x->d, &s), 0);
	assert_false(b->failed);
}

static int load(struct rig *x, const void *data, size_t size)
{
	struct sill_err e = { 0 };
	struct loader l;
	int ret;

	load_init(&l, data, size);
	ret = pci_bus_load(x->pc->pci, &l, &e);
	if (ret == 0)
		ret = dev_load(x->d, &l, &e);
	assert_int_equal(ret < 0, e.code != SILL_ERR_NONE);
	return ret;
}

/* Another disk in the same place, as after a restart of the whole program. */
static void replace(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	pci_bus_reset(x->pc->pci);
	plug(x);
}

/* ---- tests ---- */

static void blk_save__kept_requests_are_no_work_in_flight(void **state)
{
	struct rig x;

	(void)state;
	rig_begin(&x);
	set_fail(ENOSPC);
	for (unsigned i = 0; i < 3; i++)
		send(&x, OUT, i * 8);
	await_stall(1);
	pause_all(&x);
	rig_end(&x);
}

static void blk_save__kept_requests_go_on_in_another_disk(void **state)
{
	struct buf first, second;
	struct rig x;

	(void)state;
	rig_begin(&x);
	fill(&x, 0x5a);
	set_fail(ENOSPC);
	for (unsigned i = 0; i < 20; i++)
		send(&x, OUT, i * 8);
	await_stall(1);
	pause_all(&x);
	save(&x, &first);
	replace(&x);
	assert_int_equal(load(&x, first.data, first.size), 0);
	save(&x, &second);
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
	set_fail(0);
	dev_resume(x.d);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(reap(&x), OK);
	for (unsigned i = 0; i < 20 * 4096; i++)
		assert_int_equal(host.bytes[i], 0x5a);
	/* And on it goes. */
	fill(&x, 0x33);
	send(&x, OUT, 0);
	assert_int_equal(reap(&x), OK);
	assert_int_equal(host.bytes[0], 0x33);
	buf_fini(&first);
	buf_fini(&second);
	rig_end(&x);
}

/* Saved, and then the machine goes on itself: nothing is lost or done twice. */
static void blk_save__the_saved_disk_goes_on_too(void **state)
{
	struct buf b;
	struct rig x;

	(void)state;
	rig_begin(&x);
	set_fail(EIO);
	send(&x, OUT, 0);
	await_stall(1);
	pause_all(&x);
	save(&x, &b);
	assert_int_equal(load(&x, b.data, b.size), 0); /* over itself: it is the same */
	dev_resume(x.d);                               /* fails again */
	await_stall(2);
	pause_all(&x);
	set_fail(0);
	dev_resume(x.d);
	assert_int_equal(reap(&x), OK);
	assert_int_equal(__atomic_load_n(&host.writes, __ATOMIC_SEQ_CST), 3);
	buf_fini(&b);
	rig_end(&x);
}

static void blk_save__a_flush_that_has_lost_data_stays_lost(void **state)
{
	struct buf b;
	struct rig x;

	(void)state;
	rig_begin(&x);
	set_fail(EIO);
	send(&x, FLUSH, 0);
	await_stall(1);
	pause_all(&x);
	save(&x, &b);
	replace(&x);
	assert_int_equal(load(&x, b.data, b.size), 0);
	set_fail(0);
	dev_resume(x.d);
	assert_int_equal(reap(&x), IOERR);
	buf_fini(&b);
	rig_end(&x);
}

/* A driver asks how large a disk is when it is told to. */
static void blk_save__another_size_is_told_when_it_goes_on(void **state)
{
	struct buf b;
	struct rig x;

	(void)state;
	rig_begin(&x);
	pause_all(&x);
	save(&x, &b);
	replace(&x);
	assert_int_equal(load(&x, b.data, b.size), 0);
	dev_resume(x.d);
	assert_false(rig_message(x.pc, WB_CONFIG_MESSAGE, 20));
	pause_all(&x);
	host.size = DISK / 2;
	replace(&x);
	assert_int_equal(load(&x, b.data, b.size), 0);
	assert_false(rig_message(x.pc, WB_CONFIG_MESSAGE, 20)); /* nobody is there yet */
	dev_resume(x.d);
	assert_true(rig_message(x.pc, WB_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&x.w.r, x.w.r.device.off, 4), DISK / 2 / 512);
	buf_fini(&b);
	rig_end(&x);
}

/* A driver that changes a request it has given away hurts itself alone. */
static void blk_save__a_kept_request_that_is_gone_breaks_the_ring(void **state)
{
	const uint8_t none[16 * 256] = { 0 };
	struct buf first, second;
	struct rig x;

	(void)state;
	rig_begin(&x);
	set_fail(ENOSPC);
	send(&x, OUT, 0);
	send(&x, OUT, 8);
	await_stall(1);
	pause_all(&x);
	assert_int_equal(gmem_write(x.pc->mem, x.w.queue[0].ring.s.desc, none, sizeof(none)), 0);
	set_fail(0);
	dev_resume(x.d);
	while ((rig_common(&x.w.r, 20, 1) & VIRTIO_NEEDS_RESET) == 0)
		sched_yield();
	pause_all(&x);
	/* Saved like this, it waits for its reset elsewhere, too. */
	save(&x, &first);
	replace(&x);
	assert_int_equal(load(&x, first.data, first.size), 0);
	save(&x, &second);
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
	dev_resume(x.d);
	winblk_start(&x.w, x.pc, SLOT, 0, 0);
	send(&x, OUT, 0);
	assert_int_equal(reap(&x), OK);
	buf_fini(&first);
	buf_fini(&second);
	rig_end(&x);
}

/* Cut anywhere, or with any byte changed: an error or a disk that can be reset and used. */
static void blk_load__what_is_damaged_is_refused(void **state)
{
	uint8_t *bytes;
	struct buf b;
	struct rig x;

	(void)state;
	rig_begin(&x);
	set_fail(ENOSPC);
	for (unsigned i = 0; i < 3; i++)
		send(&x, OUT, i * 8);
	await_stall(1);
	pause_all(&x);
	save(&x, &b);
	replace(&x);
	bytes = malloc(b.size);
	assert_non_null(bytes);
	for (size_t n = 0; n < b.size; n++) {
		memcpy(bytes, b.data, n); /* its end is where a sanitizer looks */
		assert_int_equal(load(&x, bytes, n), -1);
		dev_reset(x.d);
	}
	memcpy(bytes, b.data, b.size);
	for (size_t n = 0; n < b.size; n++)
		for (unsigned bit = 0; bit < 8; bit += 3) {
			bytes[n] ^= (uint8_t)(1 << bit);
			(void)load(&x, bytes, b.size);
			bytes[n] ^= (uint8_t)(1 << bit);
			dev_reset(x.d);
		}
	free(bytes);
	pci_bus_reset(x.pc->pci);
	dev_reset(x.d);
	assert_int_equal(load(&x, b.data, b.size), 0);
	set_fail(0);
	dev_resume(x.d);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(reap(&x), OK);
	buf_fini(&b);
	rig_end(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blk_save__kept_requests_are_no_work_in_flight),
		cmocka_unit_test(blk_save__kept_requests_go_on_in_another_disk),
		cmocka_unit_test(blk_save__the_saved_disk_goes_on_too),
		cmocka_unit_test(blk_save__a_flush_that_has_lost_data_stays_lost),
		cmocka_unit_test(blk_save__another_size_is_told_when_it_goes_on),
		cmocka_unit_test(blk_save__a_kept_request_that_is_gone_breaks_the_ring),
		cmocka_unit_test(blk_load__what_is_damaged_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
