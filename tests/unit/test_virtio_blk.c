/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio_blk.c - the block device under a Windows-shaped driver: raw
 * images for what a request does, and a backend of the test's own that keeps
 * requests for what happens while they are in flight.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "backend/block/block.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/virtio.h"
#include "winblk.c"

extern const struct dev_ops virtio_blk_ops;

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2 };
enum { DISK = 8 << 20 };

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct blk *blk;
	int fd; /* the image, seen from outside */
	struct winblk w;
};

/* ---- a backend that keeps requests until told ---- */

static struct {
	pthread_mutex_t mutex;
	struct blk_req *req[WB_QUEUES * WB_SLOTS];
	unsigned count;
	bool immediately;
	int status;
} kept = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static int keep_open(struct blk *b, struct sill_err *e)
{
	(void)e;
	b->capacity = 8ull << 30;
	b->can_discard = true;
	return 0;
}

static void keep_submit(struct blk *b, struct blk_req *r)
{
	bool now;

	(void)b;
	(void)pthread_mutex_lock(&kept.mutex);
	now = kept.immediately;
	if (!now)
		kept.req[kept.count++] = r;
	(void)pthread_mutex_unlock(&kept.mutex);
	if (now)
		r->done(r, 0);
}

static int keep_close(struct blk *b)
{
	(void)b;
	return 0;
}

static const struct blk_ops keep_ops = {
	.format = "kept",
	.open = keep_open,
	.submit = keep_submit,
	.close = keep_close,
};

static unsigned kept_count(void)
{
	unsigned n;

	(void)pthread_mutex_lock(&kept.mutex);
	n = kept.count;
	(void)pthread_mutex_unlock(&kept.mutex);
	return n;
}

static void finish_one(void *ctx)
{
	struct blk_req *r = ctx;

	/* What a read does to memory: it must not happen after the reset is over. */
	for (int i = 0; r->op == BLK_READ && i < r->iov_count; i++)
		memset(r->iov[i].iov_base, 0x77, r->iov[i].iov_len);
	r->done(r, kept.status);
}

/* Every kept request, each on its own loop, newest first. */
static void finish_kept(void)
{
	for (;;) {
		struct blk_req *r = NULL;

		(void)pthread_mutex_lock(&kept.mutex);
		if (kept.count > 0)
			r = kept.req[--kept.count];
		(void)pthread_mutex_unlock(&kept.mutex);
		if (r == NULL)
			return;
		loop_call(r->loop, finish_one, r);
	}
}

/* ---- set-up ---- */

struct how {
	bool readonly, keep;
	uint16_t queues, queue_size;
	const char *serial;
};

static struct rig *rig_create(const struct how *how)
{
	struct rig *x = calloc(1, sizeof(*x));
	struct sill_err e = { 0 };
	struct blk_config bc = { .path = "disk.img", .readonly = how->readonly };
	struct virtio_blk_config c = { .disk.serial = (char *)(uintptr_t)how->serial,
				       .disk.slot = 3,
				       .disk.queues = how->queues,
				       .disk.queue_size = how->queue_size };

	x->fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(x->fd, DISK), 0);
	x->pc = rig_pc_create();
	bc.fd = dup(x->fd);
	kept.immediately = false;
	kept.status = 0;
	x->blk = c.blk = blk_open(how->keep ? &keep_ops : &blk_raw_ops, &bc, &e);
	assert_non_null(x->blk);
	x->d = dev_create(&virtio_blk_ops, "disk0", &c, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
	return x;
}

static void rig_free(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	close(x->fd);
	free(x);
}

static void fill_image(struct rig *x, unsigned seed, uint8_t *copy)
{
	for (size_t i = 0; i < DISK; i++)
		copy[i] = (uint8_t)(rand_r(&seed) >> 8);
	assert_int_equal(pwrite(x->fd, copy, DISK, 0), DISK);
}

static uint8_t rw(struct rig *x, uint32_t type, uint64_t sector, uint32_t n, uint32_t *ret_used)
{
	const struct virtq_seg seg = { WB_DATA, n };
	const struct winblk_io io = { .type = type,
				      .sector = sector,
				      .in = type != OUT && type != DISCARD && type != WRITE_ZEROES,
				      .segments = n != 0,
				      .seg = &seg };

	return winblk_do(&x->w, 0, &io, ret_used);
}

/* ---- what a request does ---- */

static void blk__reads_and_writes_with_1_to_254_segments(void **state)
{
	static const unsigned counts[] = { 1, 2, 3, 4, 17, 64, 128, 253, 254 };
	struct rig *x = rig_create(&(struct how){ 0 });
	uint8_t *image = malloc(DISK), *back = malloc(DISK);
	struct virtio_blk_counters n;
	uint64_t bytes = 0;

	(void)state;
	fill_image(x, 1, image);
	winblk_start(&x->w, x->pc, 3, 0, 0);
	for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
		struct virtq_seg seg[WB_SEGMENTS];
		struct winblk_io io = { .segments = counts[k], .seg = seg };
		uint32_t used, total = 0;

		for (unsigned i = 0; i < counts[k]; i++) {
			/* Page-sized and odd pieces, apart from each other, a whole of sectors. */
			seg[i].gpa = WB_DATA + 0x2000ull * i + (i % 3) * 4;
			seg[i].len = i % 2 == 0 ? 4096 : 512 * (1 + i % 8);
			total += seg[i].len;
		}
		io.type = IN;
		io.in = true;
		io.sector = 8 + k;
		assert_int_equal(winblk_do(&x->w, 0, &io, &used), OK);
		assert_int_equal(used, total + 1);
		total = 0;
		for (unsigned i = 0; i < counts[k]; i++) {
			assert_int_equal(gmem_read(x->pc->mem, seg[i].gpa, back, seg[i].len), 0);
			assert_int_equal(memcmp(back, image + 512 * (8 + k) + total, seg[i].len),
					 0);
			total += seg[i].len;
		}
		/* The same bytes to another place. */
		io.type = OUT;
		io.in = false;
		io.sector = 8192 + k;
		assert_int_equal(winblk_do(&x->w, 0, &io, &used), OK);
		assert_int_equal(used, 1);
		assert_int_equal(pread(x->fd, back, total, (off_t)(512 * (8192 + k))), total);
		assert_int_equal(memcmp(back, image + 512 * (8 + k), total), 0);
		bytes += total;
	}
	virtio_blk_counters(x->d, &n);
	assert_int_equal(n.read_ops, ARRAY_LEN(counts));
	assert_int_equal(n.write_ops, ARRAY_LEN(counts));
	assert_int_equal(n.read_bytes, bytes);
	assert_int_equal(n.write_bytes, bytes);
	assert_int_equal(n.errors, 0);
	free(back);
	free(image);
	rig_free(x);
}

/* Header, data and status cut at every kind of place, in the ring's own descriptors. */
static void blk__a_request_may_be_cut_anywhere(void **state)
{
	struct rig *x = rig_create(&(struct how){ .queue_size = 16 });
	uint8_t *image = malloc(DISK), back[1536];
	unsigned seed = 5;

	(void)state;
	fill_image(x, 2, image);
	winblk_start(&x->w, x->pc, 3, 0, 1ull << VIRTIO_F_EVENT_IDX);
	for (unsigned round = 0; round < 600; round++) {
		struct guestring *g = &x->w.queue[0].ring;
		const bool in = round % 2 == 0;
		const uint64_t sector = (uint64_t)rand_r(&seed) % 1000;
		const struct {
			le32 type, ioprio;
			le64 sector;
		} h = { le32_of(in ? IN : OUT), le32_of(0), le64_of(sector) };
		/* Readable and writable bytes lie one behind the other; only the cuts differ. */
		const uint32_t out_n = in ? 16 : 16 + 1536, in_n = in ? 1536 + 1 : 1;
		const gpa_t out_at = WB_DATA + round % 7, in_at = WB_DATA + 0x10000 + round % 5;
		unsigned n = 0, last = 0;
		uint32_t used, head;
		uint8_t status = WB_POISON;

		assert_int_equal(gmem_write(x->pc->mem, out_at, &h, 16), 0);
		if (!in) {
			for (unsigned i = 0; i < 1536; i++)
				back[i] = (uint8_t)rand_r(&seed);
			assert_int_equal(gmem_write(x->pc->mem, out_at + 16, back, 1536), 0);
			memcpy(image + 512 * sector, back, 1536);
		}
		assert_int_equal(gmem_write(x->pc->mem, in_at + in_n - 1, &status, 1), 0);
		for (unsigned part = 0; part < 2; part++) {
			const uint32_t total = part == 0 ? out_n : in_n;
			uint32_t at = 0;

			for (unsigned piece = 0; at < total; piece++) {
				uint32_t len = piece == 6
						       ? total - at
						       : (uint32_t)rand_r(&seed) % (total - at + 1);

				if (round % 5 == 0 && piece < 6 && total - at > 1)
					len = 1;
				guest_desc(x->pc->mem, g->s.desc, n,
					   (part == 0 ? out_at : in_at) + at, len,
					   VIRTQ_DESC_NEXT | (part == 1 ? VIRTQ_DESC_WRITE : 0u),
					   n + 1);
				last = n++;
				at += len;
				if (at == total)
					guest_desc(x->pc->mem, g->s.desc, last,
						   (part == 0 ? out_at : in_at) + at - len, len,
						   part == 0 ? VIRTQ_DESC_NEXT : VIRTQ_DESC_WRITE,
						   n);
			}
		}
		guestring_put(g, 0);
		if (guestring_show(g))
			rig_kick(&x->w.r, 0);
		head = rig_await(g, &used);
		assert_int_equal(head, 0);
		assert_int_equal(used, in ? 1537 : 1);
		assert_int_equal(gmem_read(x->pc->mem, in_at + in_n - 1, &status, 1), 0);
		assert_int_equal(status, OK);
		if (in) {
			assert_int_equal(gmem_read(x->pc->mem, in_at, back, 1536), 0);
			assert_int_equal(memcmp(back, image + 512 * sector, 1536), 0);
		}
	}
	free(image);
	rig_free(x);
}

static void blk__get_id_is_20_bytes_padded_with_zeroes(void **state)
{
	static const char *const serials[] = { NULL, "", "0123456789abcdefghi",
					       "0123456789abcdefghij", "0123456789abcdefghijk" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(serials); i++) {
		struct rig *x = rig_create(&(struct how){ .serial = serials[i] });
		char want[20] = { 0 }, got[64];
		uint32_t used;

		if (serials[i] != NULL)
			memcpy(want, serials[i], strnlen(serials[i], 20));
		winblk_start(&x->w, x->pc, 3, 0, 0);
		memset(got, 'z', sizeof(got));
		assert_int_equal(gmem_write(x->pc->mem, WB_DATA, got, sizeof(got)), 0);
		assert_int_equal(rw(x, GET_ID, 0, 20, &used), OK);
		assert_int_equal(used, 21);
		assert_int_equal(gmem_read(x->pc->mem, WB_DATA, got, sizeof(got)), 0);
		assert_memory_equal(got, want, 20);
		assert_int_equal(got[20], 'z');
		/* A longer or shorter buffer is no reason to fail. */
		assert_int_equal(rw(x, GET_ID, 0, 64, &used), OK);
		assert_int_equal(used, 21);
		assert_int_equal(rw(x, GET_ID, 0, 5, &used), OK);
		assert_int_equal(used, 6);
		rig_free(x);
	}
}

static void blk__refuses_what_is_not_on_the_disk(void **state)
{
	struct rig *x = rig_create(&(struct how){ 0 });
	const uint64_t end = DISK / 512;
	uint32_t used;

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	for (unsigned type = IN; type <= OUT; type++) {
		assert_int_equal(rw(x, type, end - 1, 512, &used), OK);
		assert_int_equal(rw(x, type, end - 1, 1024, &used), IOERR);
		assert_int_equal(used, 1);
		assert_int_equal(rw(x, type, end, 512, &used), IOERR);
		assert_int_equal(rw(x, type, end + 1, 0, &used), IOERR);
		assert_int_equal(rw(x, type, ~0ull, 512, &used), IOERR);
		assert_int_equal(rw(x, type, 1ull << 55, 512, &used), IOERR);
		assert_int_equal(rw(x, type, 0, 511, &used), IOERR);
		assert_int_equal(rw(x, type, 0, 513, &used), IOERR);
		assert_int_equal(rw(x, type, 0, 1, &used), IOERR);
		assert_int_equal(rw(x, type, 0, 0, &used), OK);
		assert_int_equal(used, 1);
	}
	rig_free(x);
}

static void blk__answers_unknown_types_with_unsupp(void **state)
{
	static const uint32_t types[] = {
		2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 0x80000000, 0xffffffff
	};
	struct rig *x = rig_create(&(struct how){ 0 });
	uint32_t used;

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		assert_int_equal(rw(x, types[i], 0, 512, &used), UNSUPP);
		assert_int_equal(used, 1);
	}
	assert_int_equal(rig_common(&x->w.r, 20, 1) & 64, 0);
	rig_free(x);
}

static void blk__a_read_only_disk_can_be_flushed_but_not_changed(void **state)
{
	struct rig *x = rig_create(&(struct how){ .readonly = true });
	uint32_t used;

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(x->w.offered >> WB_RO & 1, 1);
	assert_int_equal(x->w.offered >> WB_DISCARD & 1, 0);
	assert_int_equal(x->w.offered >> WB_WRITE_ZEROES & 1, 0);
	assert_int_equal(rw(x, IN, 0, 4096, &used), OK);
	assert_int_equal(rw(x, FLUSH, 0, 0, &used), OK);
	assert_int_equal(used, 1);
	assert_int_equal(rw(x, OUT, 0, 4096, &used), IOERR);
	assert_int_equal(rw(x, DISCARD, 0, 16, &used), UNSUPP);
	rig_free(x);
	/* The device refuses by itself, whatever the image's format would do. */
	x = rig_create(&(struct how){ .readonly = true, .keep = true });
	kept.immediately = true;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(rw(x, IN, 0, 4096, &used), OK);
	assert_int_equal(rw(x, OUT, 0, 4096, &used), IOERR);
	rig_free(x);
}

static uint8_t zero_range(struct rig *x, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags,
			  unsigned count)
{
	const struct {
		le64 sector;
		le32 n, flags;
	} z = { le64_of(sector), le32_of(n), le32_of(flags) };
	uint32_t used;
	uint8_t status;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(gmem_write(x->pc->mem, WB_DATA + 16ull * i, &z, 16), 0);
	status = rw(x, type, 0, 16 * count, &used);
	assert_int_equal(used, 1);
	return status;
}

static void blk__discards_and_zeroes_within_the_limits_it_offers(void **state)
{
	struct rig *x = rig_create(&(struct how){ 0 });
	uint8_t *image = malloc(DISK), *back = malloc(DISK);
	uint32_t used;

	(void)state;
	fill_image(x, 3, image);
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(zero_range(x, DISCARD, 8, 100, 0, 1), OK);
	assert_int_equal(zero_range(x, WRITE_ZEROES, 1000, 77, 0, 1), OK);
	assert_int_equal(zero_range(x, WRITE_ZEROES, 2000, 64, 1, 1), OK);
	assert_int_equal(zero_range(x, WRITE_ZEROES, DISK / 512, 0, 0, 1), OK);
	memset(image + 512 * 8, 0, 512 * 100);
	memset(image + 512 * 1000, 0, 512 * 77);
	memset(image + 512 * 2000, 0, 512 * 64);
	assert_int_equal(pread(x->fd, back, DISK, 0), DISK);
	assert_int_equal(memcmp(back, image, DISK), 0);

	assert_int_equal(zero_range(x, DISCARD, 0, 8, 1, 1), UNSUPP); /* unmap is not for it */
	assert_int_equal(zero_range(x, WRITE_ZEROES, 0, 8, 2, 1), UNSUPP);
	assert_int_equal(zero_range(x, DISCARD, 0, 8, 0, 2), IOERR); /* one segment is offered */
	assert_int_equal(zero_range(x, DISCARD, DISK / 512 - 1, 2, 0, 1), IOERR);
	assert_int_equal(zero_range(x, WRITE_ZEROES, ~0ull, 1, 0, 1), IOERR);
	assert_int_equal(zero_range(x, WRITE_ZEROES, 0, 0xffffffff, 0, 1), IOERR);
	assert_int_equal(rw(x, DISCARD, 0, 15, &used), IOERR);
	assert_int_equal(rw(x, DISCARD, 0, 0, &used), IOERR);
	assert_int_equal(pread(x->fd, back, DISK, 0), DISK);
	assert_int_equal(memcmp(back, image, DISK), 0);
	/* Not negotiated: not there. */
	winblk_start(&x->w, x->pc, 3, 0, 1ull << WB_DISCARD | 1ull << WB_WRITE_ZEROES);
	assert_int_equal(zero_range(x, DISCARD, 0, 8, 0, 1), UNSUPP);
	assert_int_equal(zero_range(x, WRITE_ZEROES, 0, 8, 0, 1), UNSUPP);
	free(back);
	free(image);
	rig_free(x);
}

static void blk__write_cache_follows_the_driver(void **state)
{
	struct rig *x = rig_create(&(struct how){ 0 });
	const struct rig_virtio *r = &x->w.r;
	uint32_t used;

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(rig_get(r, r->device.off + 32, 1), 1);
	assert_true(x->blk->writeback);
	rig_set(r, r->device.off + 32, 1, 0);
	assert_false(x->blk->writeback);
	assert_int_equal(rw(x, OUT, 0, 4096, &used), OK);
	rig_set(r, r->device.off + 32, 1, 2); /* not a value */
	rig_set(r, r->device.off + 0, 4, 0);  /* not writable */
	assert_int_equal(rig_get(r, r->device.off + 32, 1), 0);
	assert_int_equal(rig_get(r, r->device.off, 4), DISK / 512);
	(void)rig_reset(r);
	assert_true(x->blk->writeback);
	/* Flush without a choice: write-back. Neither: every write is on the medium. */
	winblk_start(&x->w, x->pc, 3, 0, 1ull << WB_CONFIG_WCE);
	assert_true(x->blk->writeback);
	rig_set(r, r->device.off + 32, 1, 0);
	assert_true(x->blk->writeback);
	winblk_start(&x->w, x->pc, 3, 0, 1ull << WB_CONFIG_WCE | 1ull << WB_FLUSH);
	assert_false(x->blk->writeback);
	rig_free(x);
}

static void blk__data_that_is_not_memory_is_an_io_error(void **state)
{
	struct rig *x = rig_create(&(struct how){ 0 });
	const struct virtq_seg nowhere = { 1ull << 40, 512 }, wraps = { ~0ull - 255, 512 };
	struct winblk_io io = { .type = IN, .in = true, .segments = 1, .seg = &nowhere };
	uint32_t used;

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(winblk_do(&x->w, 0, &io, &used), IOERR);
	assert_int_equal(used, 1);
	io.seg = &wraps;
	assert_int_equal(winblk_do(&x->w, 0, &io, &used), IOERR);
	io.type = OUT;
	io.in = false;
	assert_int_equal(winblk_do(&x->w, 0, &io, &used), IOERR);
	assert_int_equal(rig_common(&x->w.r, 20, 1) & 64, 0);
	rig_free(x);
}

static void blk__a_request_without_header_or_status_breaks_the_ring(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 3; way++) {
		struct rig *x = rig_create(&(struct how){ 0 });
		struct guestring *g = &x->w.queue[0].ring;

		winblk_start(&x->w, x->pc, 3, 0, 0);
		switch (way) {
		case 0: /* no status */
			guest_desc(x->pc->mem, g->s.desc, 0, WB_DATA, 16, 0, 0);
			break;
		case 1: /* a short header */
			guest_desc(x->pc->mem, g->s.desc, 0, WB_DATA, 15, VIRTQ_DESC_NEXT, 1);
			guest_desc(x->pc->mem, g->s.desc, 1, WB_DATA, 1, VIRTQ_DESC_WRITE, 0);
			break;
		default: /* a status nowhere */
			guest_desc(x->pc->mem, g->s.desc, 0, WB_DATA, 16, VIRTQ_DESC_NEXT, 1);
			guest_desc(x->pc->mem, g->s.desc, 1, 1ull << 40, 1, VIRTQ_DESC_WRITE, 0);
			break;
		}
		guestring_put(g, 0);
		(void)guestring_show(g);
		rig_kick(&x->w.r, 0);
		assert_true(rig_message(x->pc, WB_CONFIG_MESSAGE, 60000));
		assert_int_equal(rig_common(&x->w.r, 20, 1) & 64, 64);
		/* The driver resets it and all is well. */
		winblk_start(&x->w, x->pc, 3, 0, 0);
		uint32_t used;

		assert_int_equal(rw(x, IN, 0, 512, &used), OK);
		rig_free(x);
	}
}

static void blk__the_backends_errors_are_io_errors(void **state)
{
	struct rig *x = rig_create(&(struct how){ .keep = true });
	static const int errors[] = { EIO, ENOSPC, EINVAL };
	const struct virtq_seg seg = { WB_DATA, 4096 };
	const struct winblk_io io = { .type = IN, .in = true, .segments = 1, .seg = &seg };
	uint32_t used;
	uint8_t status;

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		kept.status = errors[i];
		(void)winblk_send(&x->w, 0, &io);
		while (kept_count() == 0)
			sched_yield();
		finish_kept();
		(void)winblk_reap(&x->w, 0, &used, &status);
		assert_int_equal(status, IOERR);
		assert_int_equal(used, 1);
	}
	rig_free(x);
}

static void blk__a_zero_request_is_bounded(void **state)
{
	struct rig *x = rig_create(&(struct how){ .keep = true });
	uint32_t max;

	(void)state;
	kept.immediately = true;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	max = (uint32_t)rig_get(&x->w.r, x->w.r.device.off + 36, 4);
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off + 48, 4), max);
	assert_int_equal(zero_range(x, DISCARD, 0, max, 0, 1), OK);
	assert_int_equal(zero_range(x, DISCARD, 0, max + 1, 0, 1), IOERR);
	assert_int_equal(zero_range(x, WRITE_ZEROES, 0, max + 1, 0, 1), IOERR);
	rig_free(x);
}

static void blk__memory_can_be_unplugged_after_use(void **state)
{
	struct rig *x = rig_create(&(struct how){ 0 });
	uint8_t *p = aligned_alloc(4096, 1 << 20);
	const gpa_t far = 1ull << 32;
	const struct virtq_seg seg[3] = { { far, 4096 }, { far + 8192, 512 }, { WB_DATA, 512 } };
	struct winblk_io io = { .in = true, .segments = 3, .seg = seg };
	struct sill_err e = { 0 };
	uint32_t used;

	(void)state;
	assert_int_equal(gmem_add(x->pc->mem, far, 1 << 20, p, GMEM_RAM, &e), 0);
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(winblk_do(&x->w, 0, &io, &used), OK);
	assert_int_equal(used, 4096 + 1024 + 1);
	io.sector = ~0ull;
	assert_int_equal(winblk_do(&x->w, 0, &io, &used), IOERR);
	guest_ram_remove(x->pc->mem, far); /* hangs when somebody still has a hold of it */
	free(p);
	io.sector = 0;
	assert_int_equal(winblk_do(&x->w, 0, &io, &used), IOERR);
	rig_free(x);
}

static void blk__seg_max_fits_the_queue(void **state)
{
	static const uint16_t sizes[][2] = { { 4, 2 }, { 128, 126 }, { 256, 254 }, { 1024, 254 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct rig *x = rig_create(&(struct how){ .queue_size = sizes[i][0] });

		rig_plug(&x->w.r, x->pc, 3);
		assert_int_equal(rig_get(&x->w.r, x->w.r.device.off + 12, 4), sizes[i][1]);
		rig_free(x);
	}
}

/* 512 bytes a sector, whatever the file system's blocks are: those are told beside it. */
static void blk__tells_the_size_of_physical_blocks(void **state)
{
	struct rig *x = rig_create(&(struct how){ 0 });
	struct stat st;

	(void)state;
	assert_int_equal(fstat(x->fd, &st), 0);
	rig_plug(&x->w.r, x->pc, 3);
	assert_int_equal(rig_features(&x->w.r) >> 1 & 1, 0); /* SIZE_MAX */
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off, 8), DISK / 512);
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off + 20, 4), 512);
	assert_int_equal(512 << rig_get(&x->w.r, x->w.r.device.off + 24, 1), st.st_blksize);
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off + 26, 2), st.st_blksize / 512);
	rig_free(x);
}

/* ---- in flight ---- */

/* @n reads in each of the queues, of 4 KiB each, into memory filled with poison. */
static void send_reads(struct rig *x, unsigned n)
{
	for (unsigned q = 0; q < x->w.queue_count; q++)
		for (unsigned i = 0; i < n; i++) {
			const struct virtq_seg seg = { WB_DATA + 4096ull * (q * 256 + i), 4096 };
			const struct winblk_io io = {
				.type = IN, .sector = i * 8, .in = true, .segments = 1, .seg = &seg
			};

			(void)winblk_send(&x->w, q, &io);
		}
}

static void poison(struct rig *x, size_t n)
{
	uint8_t *p = malloc(n);

	memset(p, WB_POISON, n);
	assert_int_equal(gmem_write(x->pc->mem, WB_DATA, p, n), 0);
	free(p);
}

static void *finish_from_outside(void *arg)
{
	(void)arg;
	finish_kept();
	return NULL;
}

static void blk_reset__with_1000_requests_in_flight(void **state)
{
	enum { Q = 4, N = 250 };
	struct rig *x = rig_create(&(struct how){ .keep = true, .queues = Q });
	uint8_t *mem = malloc((size_t)Q * 256 * 4096);
	pthread_t t;
	uint64_t ms;

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		winblk_start(&x->w, x->pc, 3, 0, 0);
		assert_int_equal(x->w.queue_count, Q);
		send_reads(x, N);
		while (kept_count() < Q * N)
			sched_yield();
		rig_set_common(&x->w.r, 20, 1, 0);
		assert_int_not_equal(rig_common(&x->w.r, 20, 1), 0);
		assert_int_equal(pthread_create(&t, NULL, finish_from_outside, NULL), 0);
		ms = rig_reset(&x->w.r);
		assert_true(ms < 60000);
		/* From here on memory is the driver's again: nobody may touch it. */
		poison(x, (size_t)Q * 256 * 4096);
		for (unsigned q = 0; q < Q; q++)
			assert_int_equal(gmem_zero(x->pc->mem, x->w.queue[q].base, 0x8000), 0);
		(void)pthread_join(t, NULL);
		assert_int_equal(gmem_read(x->pc->mem, WB_DATA, mem, (size_t)Q * 256 * 4096), 0);
		for (size_t i = 0; i < (size_t)Q * 256 * 4096; i++)
			assert_int_equal(mem[i], WB_POISON);
		for (unsigned q = 0; q < Q; q++) {
			assert_int_equal(gmem_read(x->pc->mem, x->w.queue[q].base, mem, 0x8000), 0);
			for (size_t i = 0; i < 0x8000; i++)
				assert_int_equal(mem[i], 0);
		}
	}
	free(mem);
	rig_free(x);
}

static void blk_reset__takes_no_more_of_a_full_ring(void **state)
{
	struct rig *x = rig_create(&(struct how){ .queues = 4 });

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		winblk_start(&x->w, x->pc, 3, 0, 0);
		send_reads(x, 250);
		assert_true(rig_reset(&x->w.r) < 60000);
		for (unsigned q = 0; q < 4; q++)
			assert_int_equal(gmem_zero(x->pc->mem, x->w.queue[q].base, 0x8000), 0);
		for (unsigned q = 0; q < 4; q++) {
			uint16_t idx;

			assert_int_equal(
				gmem_load_index(x->pc->mem, x->w.queue[q].ring.s.used + 2, &idx),
				0);
			assert_int_equal(idx, 0);
		}
	}
	rig_free(x);
}

static void blk_stop__waits_for_the_backend(void **state)
{
	struct rig *x = rig_create(&(struct how){ .keep = true, .queues = 2 });

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	send_reads(x, 10);
	while (kept_count() < 20)
		sched_yield();
	dev_stop(x->d);
	assert_false(dev_drained(x->d));
	finish_kept();
	while (!dev_drained(x->d))
		sched_yield();
	rig_free(x);
}

/* Every queue driven by a thread of its own, each comparing its part of the disk. */
struct worker {
	struct rig *x;
	unsigned queue;
};

static void *drive_queue(void *arg)
{
	struct worker *k = arg;
	struct winblk *w = &k->x->w;
	struct gmem *mem = k->x->pc->mem;
	const uint64_t base = (uint64_t)k->queue * (DISK / 512 / 4);
	const gpa_t at = WB_DATA + k->queue * 0x100000ull;
	struct map_reader reader;
	unsigned seed = k->queue + 1;

	rig_thread_begin(k->x->pc, &reader);
	for (unsigned i = 0; i < 300; i++) {
		const unsigned n = 1 + (unsigned)rand_r(&seed) % 8;
		const uint64_t sector = base + (uint64_t)rand_r(&seed) % 1000;
		struct virtq_seg seg[8];
		struct winblk_io io = { .type = OUT, .sector = sector, .segments = n, .seg = seg };
		uint8_t out[8 * 512], in[8 * 512];
		uint32_t used;

		memset(out, (int)(i + k->queue), sizeof(out));
		out[0] = (uint8_t)rand_r(&seed);
		for (unsigned s = 0; s < n; s++) {
			seg[s] = (struct virtq_seg){ at + 4096ull * s, 512 };
			assert(gmem_write(mem, seg[s].gpa, out + 512 * s, 512) == 0);
		}
		assert(winblk_do(w, k->queue, &io, &used) == OK && used == 1);
		for (unsigned s = 0; s < n; s++)
			seg[s].gpa += 0x80000;
		io.type = IN;
		io.in = true;
		assert(winblk_do(w, k->queue, &io, &used) == OK && used == 512 * n + 1);
		for (unsigned s = 0; s < n; s++)
			assert(gmem_read(mem, seg[s].gpa, in + 512 * s, 512) == 0);
		assert(memcmp(in, out, (size_t)512 * n) == 0);
		io.type = FLUSH;
		io.segments = 0;
		assert(winblk_do(w, k->queue, &io, &used) == OK && used == 1);
	}
	rig_thread_end(k->x->pc);
	return NULL;
}

static void blk__four_queues_at_once(void **state)
{
	struct rig *x = rig_create(&(struct how){ .queues = 4 });
	struct worker k[4];
	pthread_t t[4];

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(x->w.queue_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		k[i] = (struct worker){ x, i };
		assert_int_equal(pthread_create(&t[i], NULL, drive_queue, &k[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		(void)pthread_join(t[i], NULL);
	rig_free(x);
}

static void blk__firmware_hands_over_to_windows(void **state)
{
	struct rig *x = rig_create(&(struct how){ .queues = 4 });
	struct rig_virtio *r = &x->w.r;
	uint32_t used;

	(void)state;
	/* OVMF: one queue, no MSI-X, no event index; leaves everything as it is. */
	rig_plug(r, x->pc, 3);
	(void)rig_reset(r);
	assert_true(rig_negotiate(r, 1ull << VIRTIO_F_VERSION_1 | 1ull << WB_FLUSH));
	(void)guestring_init(&x->w.queue[0].ring, x->pc->mem, 256, 0x80000);
	rig_queue(r, 0, &x->w.queue[0].ring);
	rig_driver_ok(r);
	/* Windows: all queues, and the same disk. */
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(x->w.queue_count, 4);
	assert_int_equal(rw(x, IN, 0, 4096, &used), OK);
	rig_free(x);
}

static void blk__a_saved_disk_goes_on(void **state)
{
	struct rig *x = rig_create(&(struct how){ .queues = 2 });
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf b;
	uint32_t used;

	(void)state;
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(rw(x, OUT, 5, 4096, &used), OK);
	rig_set(&x->w.r, x->w.r.device.off + 32, 1, 0);
	dev_pause(x->d);
	while (!dev_drained(x->d))
		sched_yield();
	buf_init(&b, 1 << 20);
	save_init(&s, &b);
	pci_bus_save(x->pc->pci, &s);
	assert_int_equal(dev_save(x->d, &s), 0);
	pci_bus_reset(x->pc->pci);
	dev_reset(x->d);
	assert_true(x->blk->writeback);
	load_init(&l, b.data, b.size);
	assert_int_equal(pci_bus_load(x->pc->pci, &l, &e), 0);
	assert_int_equal(dev_load(x->d, &l, &e), 0);
	assert_false(x->blk->writeback);
	dev_resume(x->d);
	assert_int_equal(rw(x, IN, 5, 4096, &used), OK);
	buf_fini(&b);
	rig_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blk__reads_and_writes_with_1_to_254_segments),
		cmocka_unit_test(blk__a_request_may_be_cut_anywhere),
		cmocka_unit_test(blk__get_id_is_20_bytes_padded_with_zeroes),
		cmocka_unit_test(blk__refuses_what_is_not_on_the_disk),
		cmocka_unit_test(blk__answers_unknown_types_with_unsupp),
		cmocka_unit_test(blk__a_read_only_disk_can_be_flushed_but_not_changed),
		cmocka_unit_test(blk__discards_and_zeroes_within_the_limits_it_offers),
		cmocka_unit_test(blk__write_cache_follows_the_driver),
		cmocka_unit_test(blk__data_that_is_not_memory_is_an_io_error),
		cmocka_unit_test(blk__a_request_without_header_or_status_breaks_the_ring),
		cmocka_unit_test(blk__the_backends_errors_are_io_errors),
		cmocka_unit_test(blk__a_zero_request_is_bounded),
		cmocka_unit_test(blk__memory_can_be_unplugged_after_use),
		cmocka_unit_test(blk__seg_max_fits_the_queue),
		cmocka_unit_test(blk__tells_the_size_of_physical_blocks),
		cmocka_unit_test(blk_reset__with_1000_requests_in_flight),
		cmocka_unit_test(blk_reset__takes_no_more_of_a_full_ring),
		cmocka_unit_test(blk_stop__waits_for_the_backend),
		cmocka_unit_test(blk__four_queues_at_once),
		cmocka_unit_test(blk__firmware_hands_over_to_windows),
		cmocka_unit_test(blk__a_saved_disk_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
