/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bench.c - how fast the first writable disk is, as a guest that does
 * nothing else sees it. Not run by default; options on the command line:
 *	bench_write=1 bench_linear=1 bench_size=4096 bench_depth=1 bench_count=100000
 * Prints "bench COUNT NANOSECONDS". Polls; one buffer for all requests.
 */
#include "blk.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "test.h"

enum { SECTOR = 512, MAX_DEPTH = 32, MAX_SIZE = 1 << 20 };

static struct blk disk;
static uint8_t buf[MAX_SIZE] __attribute__((aligned(4096)));
static struct blk_request req[MAX_DEPTH];

struct bench {
	uint32_t type;
	bool linear;
	uint64_t size, depth, count;
	uint64_t blocks, at, seed;
};

static void send(struct bench *b, struct blk_request *r)
{
	uint64_t block = b->at++;

	if (!b->linear) {
		b->seed ^= b->seed << 13;
		b->seed ^= b->seed >> 7;
		b->seed ^= b->seed << 17;
		block = b->seed;
	}
	blk_submit(&disk.q[0], r, b->type, block % b->blocks * (b->size / SECTOR), buf,
		   (uint32_t)b->size);
}

static void bench_blk__as_told(void)
{
	struct bench b = {
		.type = opt_number("bench_write", 0) != 0 ? BLK_OUT : BLK_IN,
		.linear = opt_number("bench_linear", 0) != 0,
		.size = opt_number("bench_size", 4096),
		.depth = opt_number("bench_depth", 1),
		.count = opt_number("bench_count", 100000),
		.seed = 88172645463325252u,
	};
	struct vq *q = &disk.q[0];
	uint64_t start, done = 0, sent;

	SKIP_IF(!blk_open(&disk, false, &(struct blk_setup){ .indirect = true, .size = 128 }),
		"no virtio-blk");
	CHECK(b.size >= SECTOR && b.size <= MAX_SIZE && b.depth >= 1 && b.depth <= MAX_DEPTH &&
		      b.count >= b.depth,
	      "bad options");
	b.blocks = disk.sectors / (b.size / SECTOR);
	start = now_ns();
	for (sent = 0; sent < b.depth; sent++)
		send(&b, &req[sent]);
	vq_kick(q);
	while (done < b.count) {
		if (vq_collect(q) == 0) {
			CHECK(!q->broken, "the ring is broken");
			relax();
			continue;
		}
		for (uint64_t i = 0; i < b.depth; i++) {
			if (req[i].head < 0 || !q->done[req[i].head])
				continue;
			CHECK(req[i].status == BLK_OK, "status %u", req[i].status);
			req[i].head = -1;
			done++;
		}
		/* Only now: a new request takes a head that was just given back. */
		for (uint64_t i = 0; i < b.depth && sent < b.count; i++)
			if (req[i].head < 0) {
				send(&b, &req[i]);
				sent++;
			}
		vq_kick(q);
	}
	print("bench %lu %lu\n", done, now_ns() - start);
	CHECK(virtio_reset(&disk.v), "reset");
}

const struct test bench_tests[] = {
	{ "bench_blk__as_told", bench_blk__as_told },
	{ 0 },
};
