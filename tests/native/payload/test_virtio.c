/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtio.c - virtio-rng and virtio-console. */
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "test.h"
#include "virtio.h"

enum { CONSOLE_F_SIZE = 0, CONSOLE_OUT = 1 };

static void virtio_rng__fills_buffers_with_what_looks_random(void)
{
	static struct virtio v;
	static struct vq q;
	static uint8_t bytes[1024];
	unsigned seen[256] = { 0 }, most = 0;
	struct vq_seg s = { bytes, sizeof(bytes), true };
	uint32_t got = 0;

	SKIP_IF(!virtio_open(&v, VIRTIO_TYPE_RNG, 0), "no virtio-rng");
	CHECK(virtio_negotiate(&v, VIRTIO_BIT(VIRTIO_F_EVENT_IDX)), "features");
	CHECK(virtio_queue(&v, &q, 0, 16, 0), "queue");
	virtio_driver_ok(&v);
	while (got < sizeof(bytes)) {
		int head;

		s.p = bytes + got;
		s.len = (uint32_t)sizeof(bytes) - got;
		head = vq_add(&q, &s, 1);
		vq_kick(&q);
		CHECK(head >= 0 && vq_wait(&q, head, LONG_MS), "no bytes came");
		CHECK(q.written[head] > 0 && q.written[head] <= s.len, "%u bytes of %u",
		      q.written[head], s.len);
		got += q.written[head];
	}
	for (unsigned i = 0; i < sizeof(bytes); i++)
		seen[bytes[i]]++;
	for (unsigned i = 0; i < 256; i++)
		if (seen[i] > most)
			most = seen[i];
	CHECK(most < 32, "one value %u times in 1024 bytes", most);
}

static void virtio_console__prints_a_line(void)
{
	static struct virtio v;
	static struct vq q;
	static char line[] = "payload: hello, virtio console\n";
	struct vq_seg s = { line, sizeof(line) - 1, false };
	int head;

	SKIP_IF(!virtio_open(&v, VIRTIO_TYPE_CONSOLE, 0), "no virtio-console");
	CHECK(virtio_negotiate(&v, VIRTIO_BIT(CONSOLE_F_SIZE)), "features");
	CHECK(virtio_queue(&v, &q, CONSOLE_OUT, 16, 0), "queue");
	virtio_driver_ok(&v);
	head = vq_add(&q, &s, 1);
	vq_kick(&q);
	CHECK(head >= 0 && vq_wait(&q, head, LONG_MS), "it does not end");
}

const struct test virtio_tests[] = {
	{ "virtio_rng__fills_buffers_with_what_looks_random",
	  virtio_rng__fills_buffers_with_what_looks_random },
	{ "virtio_console__prints_a_line", virtio_console__prints_a_line },
	{ 0 },
};
