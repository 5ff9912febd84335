/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtq.c - a split ring in memory that is all the attacker's.
 *
 * Input: 4 bytes of set-up { size, flags, alignment, seed }, an image of the
 * first 4 KiB of guest memory (as far as it goes), then operations of two
 * bytes { op, argument }. With flag 4 another thread scribbles over the rings
 * all the while: such runs cannot be repeated exactly, but whatever they find
 * is real.
 */
#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "devices/virtio/virtq.h"

#define GUEST_RAM (1 << 16)
#include "guestring.h"

enum { IMAGE = 4096, IOVS = 32 };

static struct gmem *mem;
static uint8_t *ram;
static struct virtq q;
static bool scribbling; /* atomic */

/* What another vCPU may do at any time. */
__attribute__((no_sanitize("address", "undefined"))) static void *scribble(void *arg)
{
	uint64_t x = 88172645463325252ull;

	(void)arg;
	for (;;) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (__atomic_load_n(&scribbling, __ATOMIC_RELAXED)) {
			const size_t at = x % IMAGE;
			/* Mostly small numbers, and bits of flags: the ones that mean something. */
			const uint8_t v = (uint8_t)((x >> 20) % 8 == 0 ? x >> 32 : x >> 32 & 7);

			__atomic_store_n(&ram[at], v, __ATOMIC_RELAXED);
		} else {
			sched_yield();
		}
	}
	return NULL;
}

static void set_up(void)
{
	struct gmem_span span;
	struct iovec v;
	pthread_t t;

	mem = guest_ram();
	span = gmem_span_begin(mem);
	assert(gmem_span_add(mem, 0, GUEST_RAM, true, &v, 1) == 1);
	gmem_span_end(mem, &span);
	ram = v.iov_base;
	assert(virtq_init(&q, mem) == 0);
	assert(pthread_create(&t, NULL, scribble, NULL) == 0);
}

/* What a device does with a chain. */
static void use(const struct virtq_chain *c, uint8_t arg)
{
	uint8_t bytes[64];
	struct iovec iov[IOVS];
	struct gmem_span span;
	uint64_t out = 0, in = 0;
	gpa_t gpa;

	for (unsigned i = 0; i < (unsigned)c->out_count + c->in_count; i++) {
		assert(c->seg[i].len != 0);
		*(i < c->out_count ? &out : &in) += c->seg[i].len;
	}
	assert(out == c->out_len && in == c->in_len);
	assert((unsigned)c->out_count + c->in_count <= MAX_VIRTQ_CHAIN && c->head < q.s.size);
	(void)virtq_read(&q, c, arg, bytes, arg % sizeof(bytes));
	(void)virtq_write(&q, c, arg, bytes, arg % sizeof(bytes));
	if (c->in_len != 0)
		assert(virtq_in_gpa(c, c->in_len - 1, &gpa) == 0);
	for (int way = 0; way < 2; way++) {
		const uint32_t total = way == 1 ? c->in_len : c->out_len;
		int n = virtq_iov(&q, c, way == 1, 0, total, iov, IOVS, &span);
		uint64_t sum = 0;

		assert(n >= 0 || span.count == NULL);
		for (int i = 0; i < n; i++) {
			uint8_t *p = iov[i].iov_base;

			assert(p >= ram && p + iov[i].iov_len <= ram + GUEST_RAM);
			sum += iov[i].iov_len;
		}
		assert(n < 0 || sum == total);
		gmem_span_end(mem, &span);
	}
}

static void operate(uint8_t op, uint8_t arg)
{
	static struct virtq_chain c;
	uint16_t head = arg % MAX_VIRTQ_SIZE;

	switch (op % 8) {
	case 0:
	case 1:
		if (virtq_pop(&q, &c) > 0) {
			use(&c, arg);
			if (op % 8 == 0)
				(void)virtq_push(&q, c.head, arg);
			else if (arg % 4 == 0)
				virtq_unpop(&q, &c);
		}
		break;
	case 2: /* give back something that is in hand */
		for (unsigned i = 0; i < MAX_VIRTQ_SIZE; i++, head = (head + 1) % MAX_VIRTQ_SIZE)
			if ((q.busy[head / 64] >> head % 64 & 1) != 0) {
				(void)virtq_push(&q, head, arg);
				break;
			}
		break;
	case 3:
		(void)virtq_publish(&q);
		break;
	case 4:
		virtq_notify_off(&q);
		break;
	case 5:
		(void)virtq_notify_on(&q);
		break;
	case 6: /* the driver shows one more, or pokes the ring */
		ram[(q.s.avail + 2) % GUEST_RAM]++;
		break;
	default:
		ram[(arg * 37u + op) % IMAGE] = arg;
		break;
	}
	assert(q.in_flight <= (q.s.size != 0 ? q.s.size : MAX_VIRTQ_SIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtq_setup s;
	size_t n;

	if (mem == NULL)
		set_up();
	if (size < 4)
		return 0;
	s = (struct virtq_setup){
		.size = (uint16_t)(1u << data[0] % 12),
		.desc = 16ull * (data[2] % 8),
		.avail = 1024 + 2ull * (data[2] / 8),
		.used = 2048 + 4ull * (data[3] % 16),
		.event_idx = (data[1] & 1) != 0,
		.indirect = (data[1] & 2) != 0,
	};
	if ((data[1] & 8) != 0)
		s.used = GUEST_RAM - 8ull * data[3];
	n = size - 4 < IMAGE ? size - 4 : IMAGE;
	memset(ram, 0, GUEST_RAM);
	memcpy(ram, data + 4, n);
	__atomic_store_n(&scribbling, (data[1] & 4) != 0, __ATOMIC_RELAXED);
	if (virtq_start(&q, &s) == 0) {
		/* The image, read once more as operations when there is nothing behind it. */
		const uint8_t *ops = size - 4 > IMAGE ? data + 4 + IMAGE : data + 4;
		const size_t count = size - (size_t)(ops - data);

		for (size_t i = 0; i + 1 < count && i < 2000; i += 2)
			operate(ops[i], ops[i + 1]);
	}
	__atomic_store_n(&scribbling, false, __ATOMIC_RELAXED);
	virtq_reset(&q);
	return 0;
}
