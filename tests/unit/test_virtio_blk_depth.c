/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio_blk_depth.c - the block device with many requests in flight, on
 * every format and both engines: neighbours in one cluster do not disturb each
 * other, pauses and resets in the middle lose nothing, the image is good after.
 * DEPTH_REQUESTS in the environment: how many each queue sends (500).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/block/block.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/virtio.h"
#include "sill/image.h"
#include "winblk.c"

extern const struct dev_ops virtio_blk_ops;

enum { IN = 0, OUT = 1, FLUSH = 4, DISCARD = 11, WRITE_ZEROES = 13 };

enum {
	QUEUES = 2,
	LANES = 48, /* requests in flight in a queue, each on sectors of its own */
	ROWS = 128, /* sectors of a lane */
	DISK_SECTORS = QUEUES * LANES * ROWS,
	DISK = DISK_SECTORS * 512,
};

/* Of a queue. */
static unsigned requests = 500;

struct kind {
	const char *name;
	const struct blk_ops *ops;
	enum sill_disk_format format;
	uint32_t block_size;
	bool backing, direct, filled, subclusters;
};

static const struct kind kinds[] = {
	{ .name = "raw", .ops = &blk_raw_ops, .format = SILL_DISK_RAW },
	{ .name = "raw, direct", .ops = &blk_raw_ops, .format = SILL_DISK_RAW, .direct = true },
	{ .name = "qcow2", .ops = &blk_qcow2_ops, .format = SILL_DISK_QCOW2 },
	{ .name = "qcow2, small clusters, allocated",
	  .ops = &blk_qcow2_ops,
	  .format = SILL_DISK_QCOW2,
	  .block_size = 4096,
	  .filled = true },
	{ .name = "qcow2 on a raw file",
	  .ops = &blk_qcow2_ops,
	  .format = SILL_DISK_QCOW2,
	  .block_size = 8192,
	  .backing = true },
	{ .name = "qcow2, subclusters, direct",
	  .ops = &blk_qcow2_ops,
	  .format = SILL_DISK_QCOW2,
	  .subclusters = true,
	  .direct = true },
	{ .name = "vhd", .ops = &blk_vhd_ops, .format = SILL_DISK_VHD },
	{ .name = "vhdx", .ops = &blk_vhdx_ops, .format = SILL_DISK_VHDX },
};

/* ---- the image ---- */

struct disk {
	const struct kind *k;
	char path[64], below[64];
	uint8_t *shadow; /* what is on it */
};

static int make_file(char path[64])
{
	(void)snprintf(path, 64, "/var/tmp/sill-depth-XXXXXX");
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static struct blk *open_disk(const struct disk *d)
{
	const int direct = d->k->direct ? O_DIRECT : 0;
	struct blk_config c = { .path = d->path, .direct = d->k->direct };
	struct sill_err e = { 0 };
	struct blk *b;

	if (d->k->backing) {
		const struct blk_config below = { .fd = open(d->below, O_RDONLY | O_CLOEXEC),
						  .path = d->below,
						  .readonly = true };

		c.backing = blk_open(&blk_raw_ops, &below, &e);
		assert_non_null(c.backing);
	}
	c.fd = open(d->path, O_RDWR | O_CLOEXEC | direct);
	assert_true(c.fd >= 0);
	b = blk_open(d->k->ops, &c, &e);
	assert_non_null(b);
	return b;
}

static int last_status;

static void note(struct blk_req *r, int status)
{
	(void)r;
	last_status = status;
}

/* Blocking, all of the disk. */
static int whole(struct blk *b, enum blk_op op, uint8_t *p)
{
	const struct iovec v = { p, DISK };
	struct blk_req r = { .op = op, .length = DISK, .iov = &v, .iov_count = 1, .done = note };

	blk_submit(b, &r);
	return last_status;
}

static void disk_make(struct disk *d, const struct kind *k)
{
	struct sill_image_options o = { .format = k->format,
					.size = DISK,
					.block_size = k->block_size,
					.subclusters = k->subclusters };
	struct sill_err e = { 0 };
	unsigned seed = 3;
	int fd;

	*d = (struct disk){ .k = k, .shadow = calloc(1, DISK) };
	if (k->backing || k->filled)
		for (size_t i = 0; i < DISK; i++)
			d->shadow[i] = (uint8_t)rand_r(&seed);
	if (k->backing) {
		fd = make_file(d->below);
		assert_int_equal(write(fd, d->shadow, DISK), DISK);
		close(fd);
		o.backing = d->below;
		o.backing_format = SILL_DISK_RAW;
	}
	fd = make_file(d->path);
	if (sill_image_create(fd, &o, &e) < 0)
		print_message("%s\n", e.msg);
	assert_int_equal(e.code, 0);
	close(fd);
	if (k->filled) {
		struct blk *b = open_disk(d);

		assert_int_equal(whole(b, BLK_WRITE, d->shadow), 0);
		blk_close(b);
	}
}

/* Opened anew, it holds what was written. */
static void disk_check(struct disk *d)
{
	uint8_t *p = malloc(DISK);
	struct blk *b = open_disk(d);

	assert_int_equal(whole(b, BLK_READ, p), 0);
	blk_close(b);
	for (size_t i = 0; i < DISK; i += 512)
		if (memcmp(p + i, d->shadow + i, 512) != 0)
			fail_msg("%s: sector %zu", d->k->name, i / 512);
	free(p);
	if (d->k->format == SILL_DISK_QCOW2 && system("qemu-img --version >/dev/null 2>&1") == 0) {
		char cmd[160];

		(void)snprintf(cmd, sizeof(cmd), "qemu-img check -q %s", d->path);
		assert_int_equal(system(cmd), 0);
	}
	(void)unlink(d->path);
	if (d->k->backing)
		(void)unlink(d->below);
	free(d->shadow);
}

/* ---- the machine ---- */

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct winblk w;
	struct disk disk;
};

static void rig_open(struct rig *x, const struct kind *k, enum sill_disk_io io)
{
	struct virtio_blk_config c = { .disk.slot = 3, .disk.queues = QUEUES, .disk.io = io };
	struct sill_err e = { 0 };

	disk_make(&x->disk, k);
	x->pc = rig_pc_create();
	c.blk = open_disk(&x->disk);
	x->d = dev_create(&virtio_blk_ops, "disk0", &c, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
	winblk_start(&x->w, x->pc, 3, 0, 0);
}

static void rig_close(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	disk_check(&x->disk);
}

/* ---- lanes ---- */

/* Sector of the disk: neighbours belong to different lanes. */
static uint64_t sector_of(unsigned queue, unsigned lane, unsigned row)
{
	return ((uint64_t)row * LANES + lane) * QUEUES + queue;
}

struct lane {
	uint32_t type;
	unsigned row;
	bool busy;
};

struct worker {
	struct rig *x;
	unsigned queue, seed;
	struct lane lane[LANES];
	int lane_of[WB_SLOTS];
	unsigned reaped; /* atomic */
	bool finished;   /* atomic */
};

static gpa_t buffer_of(const struct worker *k, unsigned lane)
{
	return WB_DATA + 0x100000ull * k->queue + 4096ull * lane + 16 * (lane % 3);
}

static uint8_t *shadow_of(const struct worker *k, unsigned lane)
{
	return k->x->disk.shadow + 512 * sector_of(k->queue, lane, k->lane[lane].row);
}

/* What the device may do is decided by a die; what it shall do then, is known. */
static void send_one(struct worker *k, unsigned lane)
{
	struct gmem *mem = k->x->pc->mem;
	const unsigned die = (unsigned)rand_r(&k->seed) % 100;
	struct lane *l = &k->lane[lane];
	struct virtq_seg seg[2] = { { buffer_of(k, lane), 200 } };
	struct winblk_io io = { .segments = 2, .seg = seg };
	uint8_t data[512];

	l->row = (unsigned)rand_r(&k->seed) % ROWS;
	l->busy = true;
	l->type = die < 45 ? OUT : die < 92 ? IN : die < 94 ? FLUSH : WRITE_ZEROES;
	seg[1] = (struct virtq_seg){ seg[0].gpa + 200, 312 };
	io.type = l->type;
	io.sector = sector_of(k->queue, lane, l->row);
	if (l->type == OUT) {
		memset(data, rand_r(&k->seed), sizeof(data));
		memcpy(data, &io.sector, sizeof(io.sector));
		assert(gmem_write(mem, seg[0].gpa, data, sizeof(data)) == 0);
		memcpy(shadow_of(k, lane), data, sizeof(data));
	} else if (l->type == IN) {
		io.in = true;
		assert(gmem_zero(mem, seg[0].gpa, 512) == 0);
	} else if (l->type == FLUSH) {
		io.segments = 0;
		io.sector = 0;
	} else {
		const struct {
			le64 sector;
			le32 count, flags;
		} z = { le64_of(io.sector), le32_of(1), le32_of(die % 2) };

		assert(gmem_write(mem, seg[0].gpa, &z, sizeof(z)) == 0);
		memset(shadow_of(k, lane), 0, 512);
		seg[0].len = sizeof(z);
		io.segments = 1;
		io.sector = 0;
	}
	k->lane_of[winblk_send(&k->x->w, k->queue, &io)] = (int)lane;
}

static void reap_one(struct worker *k)
{
	uint8_t data[512], status;
	uint32_t used;
	const unsigned slot = winblk_reap(&k->x->w, k->queue, &used, &status);
	const unsigned lane = (unsigned)k->lane_of[slot];

	assert(lane < LANES && k->lane[lane].busy);
	k->lane[lane].busy = false;
	k->lane_of[slot] = LANES;
	__atomic_add_fetch(&k->reaped, 1, __ATOMIC_SEQ_CST);
	assert(status == 0);
	assert(used == (k->lane[lane].type == IN ? 513u : 1u));
	if (k->lane[lane].type == IN) {
		assert(gmem_read(k->x->pc->mem, buffer_of(k, lane), data, 512) == 0);
		assert(memcmp(data, shadow_of(k, lane), 512) == 0);
	}
}

static void *drive_queue(void *arg)
{
	struct worker *k = arg;
	struct map_reader reader;

	rig_thread_begin(k->x->pc, &reader);
	for (unsigned i = 0; i < LANES; i++)
		send_one(k, i);
	for (unsigned done = LANES; done < requests + LANES; done++) {
		reap_one(k);
		for (unsigned i = 0; i < LANES && done < requests; i++)
			if (!k->lane[i].busy) {
				send_one(k, i);
				break;
			}
	}
	rig_thread_end(k->x->pc);
	__atomic_store_n(&k->finished, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Pause, see that all is quiet, resume: nothing is lost. */
static void pause_once(struct rig *x)
{
	uint16_t before[QUEUES], after;

	dev_pause(x->d);
	while (!dev_drained(x->d))
		sched_yield();
	for (unsigned q = 0; q < QUEUES; q++)
		assert_int_equal(
			gmem_load_index(x->pc->mem, x->w.queue[q].ring.s.used + 2, &before[q]), 0);
	sched_yield();
	for (unsigned q = 0; q < QUEUES; q++) {
		assert_int_equal(gmem_load_index(x->pc->mem, x->w.queue[q].ring.s.used + 2, &after),
				 0);
		assert_int_equal(before[q], after);
	}
	dev_resume(x->d);
}

/* Wait until one more request is through: there is something between two pauses. */
static bool goes_on(const struct worker *k)
{
	const unsigned reaped = __atomic_load_n(&k->reaped, __ATOMIC_SEQ_CST);

	while (__atomic_load_n(&k->reaped, __ATOMIC_SEQ_CST) == reaped) {
		if (__atomic_load_n(&k->finished, __ATOMIC_SEQ_CST))
			return false;
		sched_yield();
	}
	return true;
}

static void depth(const struct kind *k, enum sill_disk_io io)
{
	struct worker w[QUEUES];
	pthread_t t[QUEUES];
	struct rig x;

	rig_open(&x, k, io);
	for (unsigned q = 0; q < QUEUES; q++) {
		w[q] = (struct worker){ .x = &x, .queue = q, .seed = q + 1 };
		assert_int_equal(pthread_create(&t[q], NULL, drive_queue, &w[q]), 0);
	}
	for (unsigned q = 0; q < QUEUES; q++)
		while (goes_on(&w[q]))
			pause_once(&x);
	for (unsigned q = 0; q < QUEUES; q++)
		(void)pthread_join(t[q], NULL);
	rig_close(&x);
}

static bool has_uring(void)
{
	struct sill_err e = { 0 };
	struct aio_config c = { .loop = loop_create(&e), .engine = SILL_IO_URING, .depth = 1 };
	struct aio *a = aio_create(&c, &e);

	aio_destroy(a);
	loop_destroy(c.loop);
	return a != NULL;
}

static void blk_depth__every_format_by_io_uring(void **state)
{
	(void)state;
	if (!has_uring())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		depth(&kinds[i], SILL_IO_URING);
}

static void blk_depth__every_format_by_threads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		depth(&kinds[i], SILL_IO_THREADS);
}

/* Reads that the storage is at work on; after the reset memory belongs to the driver. */
static void blk_depth__a_reset_waits_for_the_storage(void **state)
{
	enum { N = 250, ALL = QUEUES * 256 * 4096 };
	uint8_t *mem = malloc(ALL), *poison = malloc(ALL);

	(void)state;
	memset(poison, WB_POISON, ALL);
	for (unsigned round = 0; round < 12; round++) {
		const bool direct = round % 3 == 0;
		struct rig x;

		rig_open(&x,
			 &kinds[direct           ? 1
				: round % 3 == 1 ? 0
						 : 3],
			 round % 2 == 0 ? SILL_IO_AUTO : SILL_IO_THREADS);
		for (unsigned q = 0; q < QUEUES; q++)
			for (unsigned i = 0; i < N; i++) {
				const struct virtq_seg seg = { WB_DATA + 4096ull * (q * 256 + i),
							       4096 };
				const struct winblk_io io = { .type = IN,
							      .sector = i * 8,
							      .in = true,
							      .segments = 1,
							      .seg = &seg };

				(void)winblk_send(&x.w, q, &io);
			}
		(void)rig_reset(&x.w.r);
		assert_int_equal(gmem_write(x.pc->mem, WB_DATA, poison, ALL), 0);
		rig_dev_destroy(x.pc, x.d);
		assert_int_equal(gmem_read(x.pc->mem, WB_DATA, mem, ALL), 0);
		assert_memory_equal(mem, poison, ALL);
		rig_pc_destroy(x.pc);
		disk_check(&x.disk);
	}
	free(poison);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blk_depth__every_format_by_io_uring),
		cmocka_unit_test(blk_depth__every_format_by_threads),
		cmocka_unit_test(blk_depth__a_reset_waits_for_the_storage),
	};
	const char *n = getenv("DEPTH_REQUESTS");

	if (n != NULL)
		requests = (unsigned)strtoul(n, NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
