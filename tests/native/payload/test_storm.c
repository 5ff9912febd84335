/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_storm.c - four processors that each keep one thing busy, while the first one fills a disk's rings
 * with zeroes to write and resets the disk under them, again and again. Nobody stops at the end: the
 * machine is left (exit=) in the middle of it.
 *
 * It zeroes the whole of the first writable disk; the read-only one tells whether disks still work.
 */
#include "blk.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "smp.h"
#include "test.h"

enum { ROUNDS = 12, DEPTH = 64, RESET_MS = 5000, ZERO_MAX = 1 << 21, CONSOLE_OUT = 1 };

/* One queue that a processor keeps full; set up by the first one, whose heap it is. */
struct flood {
	struct virtio v;
	struct vq q;
	struct vq_seg seg;
	volatile uint64_t rounds;
};

static struct flood console, rng;
static uint8_t text[4096], bytes[4096];
static volatile uint64_t turns;

static bool flood_open(struct flood *f, unsigned type, unsigned queue, const struct vq_seg *seg)
{
	if (!virtio_open(&f->v, type, 0) || !virtio_negotiate(&f->v, 0) ||
	    !virtio_queue(&f->v, &f->q, queue, 64, NO_VECTOR))
		return false;
	f->seg = *seg;
	virtio_driver_ok(&f->v);
	return true;
}

static void keep_full(struct flood *f)
{
	for (;;) {
		while (vq_add(&f->q, &f->seg, 1) >= 0)
			;
		vq_kick(&f->q);
		(void)vq_collect(&f->q);
		f->rounds++;
	}
}

static void flood_console(struct cpu *c)
{
	(void)c;
	keep_full(&console);
}

static void flood_rng(struct cpu *c)
{
	(void)c;
	keep_full(&rng);
}

/* Vectors of the console masked and unmasked, bytes for the firmware's debug port, registers of chips. */
static void turn_registers(struct cpu *c)
{
	(void)c;
	for (;;) {
		for (unsigned n = 0; n < 64; n++)
			outb(0x402, n % 32 == 31 ? '\n' : 'x');
		for (unsigned entry = 0; entry < 2; entry++) {
			msix_mask(&console.v.msix, entry, true);
			msix_mask(&console.v.msix, entry, false);
		}
		outb(0x70, 0x0b);
		(void)inb(0x71);
		(void)inl(0x608);
		turns++;
	}
}

/* Every entry of every queue: zeroes over as much of the disk as one request may have. */
static void fill_with_zeroes(struct blk *b)
{
	static struct blk_request request[BLK_QUEUES][DEPTH];
	static struct {
		uint64_t sector;
		uint32_t sectors, flags;
	} range[2];

	for (unsigned i = 0; i < 2; i++) {
		range[i].sectors = b->sectors < ZERO_MAX ? (uint32_t)b->sectors : ZERO_MAX;
		range[i].flags = i; /* written, or given back */
	}
	for (unsigned q = 0; q < b->queues; q++) {
		for (unsigned i = 0; i < DEPTH; i++)
			blk_submit(&b->q[q], &request[q][i], BLK_ZEROES, 0, &range[i % 2],
				   sizeof(range[0]));
		vq_kick_always(&b->q[q]);
	}
}

static void storm_disk__resets_in_time_under_zeroes_and_floods(void)
{
	static const struct blk_setup setup = { .queues = BLK_QUEUES, .size = DEPTH };
	const struct vq_seg out = { text, sizeof(text), false },
			    in = { bytes, sizeof(bytes), true };
	static struct blk disk, other;
	uint64_t was[3];

	SKIP_IF(smp_start() < 4, "fewer than four processors");
	memset(text, '~', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	CHECK(flood_open(&console, VIRTIO_TYPE_CONSOLE, CONSOLE_OUT, &out), "no virtio-console");
	CHECK(flood_open(&rng, VIRTIO_TYPE_RNG, 0, &in), "no virtio-rng");
	CHECK(blk_open(&disk, false, &setup), "no virtio-blk");
	smp_run(smp_cpu[1], flood_console);
	smp_run(smp_cpu[2], flood_rng);
	smp_run(smp_cpu[3], turn_registers);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t began, ms;

		fill_with_zeroes(&disk);
		began = tsc();
		CHECK(virtio_reset(&disk.v), "the disk does not reset (round %u)", i);
		ms = (tsc() - began) / tsc_per_ms();
		CHECK(ms < RESET_MS, "a reset took %lu ms (round %u)", ms, i);
		CHECK(blk_start(&disk, &setup), "the disk does not start again (round %u)", i);
		if (i % 4 == 3)
			CHECK(blk_open(&other, true, &(struct blk_setup){ 0 }) && blk_works(&other),
			      "the other disk does not work (round %u)", i);
	}
	was[0] = console.rounds;
	was[1] = rng.rounds;
	was[2] = turns;
	/* Each gets on, however little of the host it gets. */
	for (unsigned i = 0;
	     i < 200 && (console.rounds == was[0] || rng.rounds == was[1] || turns == was[2]); i++)
		sleep_ms(50);
	CHECK(console.rounds != was[0] && rng.rounds != was[1] && turns != was[2],
	      "a processor stands still");
	fill_with_zeroes(&disk); /* and out */
}

const struct test storm_tests[] = {
	{ "storm_disk__resets_in_time_under_zeroes_and_floods",
	  storm_disk__resets_in_time_under_zeroes_and_floods },
	{ 0 },
};
