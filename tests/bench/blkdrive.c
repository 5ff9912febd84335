/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blkdrive.c - a driver for one queue of virtio-blk, in the device's process:
 * requests a second through the real rings, registers, backend and interrupts,
 * without a guest's time in them.
 *
 *	blkdrive [NAME=VALUE]... FILE
 *	  format=raw|qcow2|vhd|vhdx  op=read|write  order=random|linear
 *	  size=4096  depth=1  seconds=3  direct=0|1  io=auto|uring|threads  backing=FILE
 *	  wait=halt|irq|poll   look at the ring for 20 us and then sleep for the interrupt, as an idle
 *	                  guest does; sleep at once; or look all the time
 *	  wait=turn       for counting instructions: DEPTH requests at once, the next ones when all are
 *	                  done and the device's thread sleeps, which it does without looking around
 *	  count=N         so many requests instead of a time
 *	  span=BYTES      only the beginning of the disk
 *
 * Prints one line: requests a second, MiB a second, mean microseconds a request.
 */
#define GUEST_RAM (256 << 20)

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/block.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

extern const struct dev_ops virtio_blk_ops;

enum {
	RING = 256,
	RING_AT = 0x10000,
	HEADERS_AT = 0x20000, /* 16 bytes a slot */
	STATUS_AT = 0x30000,
	TABLES_AT = 0x40000, /* 64 bytes a slot */
	DATA_AT = 0x1000000,
	MESSAGE = 1,
	LOOK_NS = 20 * 1000,
	LOOKS = 16, /* between two at the clock */
};

static const struct {
	const char *name;
	const struct blk_ops *ops;
} formats[] = {
	{ "raw", &blk_raw_ops },
	{ "qcow2", &blk_qcow2_ops },
	{ "vhd", &blk_vhd_ops },
	{ "vhdx", &blk_vhdx_ops },
};

struct options {
	const struct blk_ops *format;
	const char *file, *backing;
	bool write, linear, direct, turns;
	uint64_t size, depth, count, span;
	uint64_t look_ns; /* before it sleeps */
	double seconds;
	enum sill_disk_io io;
};

struct driver {
	struct options o;
	struct rig_pc *pc;
	struct rig_virtio r;
	struct guestring ring;
	uint8_t *ram;
	struct {
		uint16_t flags, idx, ring[];
	} * avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[];
	} * used;
	uint16_t *used_event, *avail_event;
	int kick_fd, irq_fd;
	uint16_t next, seen;
	uint64_t blocks, at, seed;
};

static _Noreturn void fail(const char *what)
{
	(void)fprintf(stderr, "blkdrive: %s\n", what);
	exit(1);
}

static void parse_one(struct options *o, const char *name, const char *v)
{
	if (strcmp(name, "format") == 0) {
		o->format = NULL;
		for (size_t i = 0; i < ARRAY_LEN(formats); i++)
			if (strcmp(v, formats[i].name) == 0)
				o->format = formats[i].ops;
		if (o->format == NULL)
			fail("no such format");
	} else if (strcmp(name, "op") == 0) {
		o->write = strcmp(v, "write") == 0;
	} else if (strcmp(name, "order") == 0) {
		o->linear = strcmp(v, "linear") == 0;
	} else if (strcmp(name, "size") == 0) {
		o->size = strtoull(v, NULL, 0);
	} else if (strcmp(name, "depth") == 0) {
		o->depth = strtoull(v, NULL, 0);
	} else if (strcmp(name, "seconds") == 0) {
		o->seconds = strtod(v, NULL);
	} else if (strcmp(name, "count") == 0) {
		o->count = strtoull(v, NULL, 0);
	} else if (strcmp(name, "span") == 0) {
		o->span = strtoull(v, NULL, 0);
	} else if (strcmp(name, "direct") == 0) {
		o->direct = strcmp(v, "1") == 0;
	} else if (strcmp(name, "wait") == 0) {
		o->turns = strcmp(v, "turn") == 0;
		o->look_ns = strcmp(v, "poll") == 0  ? UINT64_MAX
			     : strcmp(v, "irq") == 0 ? 0
						     : LOOK_NS;
	} else if (strcmp(name, "backing") == 0) {
		o->backing = v;
	} else if (strcmp(name, "io") == 0) {
		o->io = strcmp(v, "uring") == 0     ? SILL_IO_URING
			: strcmp(v, "threads") == 0 ? SILL_IO_THREADS
						    : SILL_IO_AUTO;
	} else {
		fail("no such option");
	}
}

static void parse(struct options *o, char **argv)
{
	*o = (struct options){
		.format = &blk_raw_ops, .size = 4096, .depth = 1, .seconds = 3, .look_ns = LOOK_NS
	};
	for (; *argv != NULL; argv++) {
		char *eq = strchr(*argv, '=');

		if (eq == NULL) {
			o->file = *argv;
			continue;
		}
		*eq = '\0';
		parse_one(o, *argv, eq + 1);
	}
	if (o->file == NULL || o->depth < 1 || o->depth > RING / 4 || o->size % 512 != 0 ||
	    o->size * o->depth > GUEST_RAM - DATA_AT || (o->turns && o->count == 0))
		fail("usage: blkdrive [NAME=VALUE]... FILE");
}

static struct blk *open_disk(const struct options *o)
{
	const int direct = o->direct ? O_DIRECT : 0;
	struct blk_config c = { .path = o->file, .direct = o->direct };
	struct sill_err e = { 0 };
	struct blk *b;

	if (o->backing != NULL) {
		const struct blk_config below = { .fd = open(o->backing,
							     O_RDONLY | O_CLOEXEC | direct),
						  .path = o->backing,
						  .readonly = true,
						  .direct = o->direct };

		c.backing = blk_open(&blk_raw_ops, &below, &e);
		if (c.backing == NULL)
			fail(e.msg);
	}
	c.fd = open(o->file, O_RDWR | O_CLOEXEC | direct);
	if (c.fd < 0)
		fail("cannot open the image");
	b = blk_open(o->format, &c, &e);
	if (b == NULL)
		fail(e.msg);
	return b;
}

static void *host(struct driver *d, gpa_t gpa, size_t n)
{
	struct gmem_span span = gmem_span_begin(d->pc->mem);
	struct iovec v;

	if (gmem_span_add(d->pc->mem, gpa, n, true, &v, 1) != 1)
		fail("memory");
	gmem_span_end(d->pc->mem, &span);
	return v.iov_base;
}

static void start_device(struct driver *d)
{
	struct rig_virtio *r = &d->r;

	rig_plug(r, d->pc, 3);
	(void)rig_reset(r);
	if (!rig_negotiate(r, 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC |
				      1ull << VIRTIO_F_EVENT_IDX | 1ull << 9))
		fail("the device refuses its features");
	rig_vector(r, 0, MESSAGE);
	rig_msix(r, true);
	(void)guestring_init(&d->ring, d->pc->mem, RING, RING_AT);
	rig_queue(r, 0, &d->ring);
	rig_set_common(r, 26, 2, 0);
	rig_driver_ok(r);
	d->avail = host(d, d->ring.s.avail, 6 + 2 * RING);
	d->used = host(d, d->ring.s.used, 6 + 8 * RING);
	d->used_event = &d->avail->ring[RING];
	d->avail_event = (uint16_t *)(void *)&d->used->ring[RING];
	d->kick_fd = rig_bell(d->pc, r->bar + r->notify.off);
	d->irq_fd = d->pc->message_fd[MESSAGE];
}

/* What of a request never changes. */
static void prepare_slots(struct driver *d)
{
	for (uint16_t i = 0; i < d->o.depth; i++) {
		const gpa_t table = TABLES_AT + 64ull * i;
		le32 *type = host(d, HEADERS_AT + 16ull * i, 16);

		*type = le32_of(d->o.write ? 1 : 0);
		guest_desc(d->pc->mem, table, 0, HEADERS_AT + 16ull * i, 16, VIRTQ_DESC_NEXT, 1);
		guest_desc(d->pc->mem, table, 1, DATA_AT + d->o.size * i, (uint32_t)d->o.size,
			   VIRTQ_DESC_NEXT | (d->o.write ? 0 : VIRTQ_DESC_WRITE), 2);
		guest_desc(d->pc->mem, table, 2, STATUS_AT + i, 1, VIRTQ_DESC_WRITE, 0);
		guest_desc(d->pc->mem, d->ring.s.desc, i, table, 48, VIRTQ_DESC_INDIRECT, 0);
		memset(host(d, DATA_AT + d->o.size * i, d->o.size), 'a' + i % 26, d->o.size);
	}
}

static uint64_t next_block(struct driver *d)
{
	if (d->o.linear)
		return d->at++ % d->blocks;
	d->seed ^= d->seed << 13;
	d->seed ^= d->seed >> 7;
	d->seed ^= d->seed << 17;
	return d->seed % d->blocks;
}

static void send_one(struct driver *d, uint16_t slot)
{
	le64 *sector = (le64 *)(void *)(d->ram + HEADERS_AT + 16ull * slot + 8);

	*sector = le64_of(next_block(d) * (d->o.size / 512));
	d->ram[STATUS_AT + slot] = 0xa5;
	d->avail->ring[d->next % RING] = slot;
	d->next++;
}

/* Show @n new requests, kick if the device asks for it. */
static void show(struct driver *d, uint16_t n)
{
	const uint64_t one = 1;
	uint16_t event;

	__atomic_store_n(&d->avail->idx, d->next, __ATOMIC_RELEASE);
	gmem_fence();
	event = __atomic_load_n(d->avail_event, __ATOMIC_RELAXED);
	if ((uint16_t)(d->next - event - 1) < n &&
	    write(d->kick_fd, &one, sizeof(one)) != sizeof(one))
		fail("kick");
}

static bool has_answer(const struct driver *d)
{
	return __atomic_load_n(&d->used->idx, __ATOMIC_ACQUIRE) != d->seen;
}

/* The device interrupts from this answer on, or, as good as never, long after it. */
static void want_interrupt(struct driver *d, bool on)
{
	__atomic_store_n(d->used_event, (uint16_t)(on ? d->seen : d->seen - 1), __ATOMIC_RELAXED);
	gmem_fence();
}

static bool look_for_answer(const struct driver *d)
{
	const uint64_t began = d->o.look_ns != 0 ? host_now() : 0;

	do {
		for (unsigned i = 0; i < LOOKS; i++) {
			if (has_answer(d))
				return true;
			__builtin_ia32_pause();
		}
	} while (d->o.look_ns != 0 && host_now() - began < d->o.look_ns);
	return false;
}

/* Wait until there is something in the used ring. */
static void await(struct driver *d)
{
	struct pollfd p = { .fd = d->irq_fd, .events = POLLIN };
	uint64_t count;

	if (has_answer(d) || look_for_answer(d))
		return;
	for (want_interrupt(d, true); !has_answer(d); want_interrupt(d, true)) {
		if (poll(&p, 1, 10000) != 1)
			fail("no interrupt for 10 seconds");
		if (read(d->irq_fd, &count, sizeof(count)) < 0)
			continue;
	}
}

static uint64_t drive(struct driver *d, uint64_t *ret_ns)
{
	const uint64_t start = host_now();
	const uint64_t end = start + (uint64_t)(d->o.seconds * 1e9);
	uint64_t done = 0, sent = d->o.depth;
	bool more = true;

	want_interrupt(d, false);
	for (uint16_t i = 0; i < d->o.depth; i++)
		send_one(d, i);
	show(d, (uint16_t)d->o.depth);
	while (done < sent) {
		uint16_t idx, n = 0;

		await(d);
		idx = __atomic_load_n(&d->used->idx, __ATOMIC_ACQUIRE);
		more = more && (d->o.count != 0 ? sent < d->o.count : host_now() < end);
		while (d->seen != idx) {
			const uint16_t slot = (uint16_t)d->used->ring[d->seen++ % RING].id;

			if (d->ram[STATUS_AT + slot] != 0)
				fail("a request failed");
			done++;
			if (more && (d->o.count == 0 || sent < d->o.count)) {
				send_one(d, slot);
				sent++;
				n++;
			}
		}
		want_interrupt(d, false);
		if (n != 0)
			show(d, n);
	}
	*ret_ns = host_now() - start;
	return done;
}

/* An event that has no bell: waits for the device's thread, and lets it run. */
static void yield_until(const uint16_t *index, uint16_t is)
{
	while (__atomic_load_n(index, __ATOMIC_ACQUIRE) != is)
		(void)sched_yield();
}

/*
 * As drive(), but each turn costs the device the same, whoever is faster: when
 * it begins the device has asked to be kicked, and it sees all requests at once.
 */
static uint64_t drive_turns(struct driver *d, uint64_t *ret_ns)
{
	const uint64_t start = host_now();
	uint64_t done = 0;

	for (; done < d->o.count; done += d->o.depth) {
		want_interrupt(d, false);
		for (uint16_t i = 0; i < d->o.depth; i++)
			send_one(d, i);
		yield_until(d->avail_event, (uint16_t)(d->next - d->o.depth));
		show(d, (uint16_t)d->o.depth);
		yield_until(&d->used->idx, d->next);
		d->seen = d->next;
		for (uint16_t i = 0; i < d->o.depth; i++)
			if (d->ram[STATUS_AT + i] != 0)
				fail("a request failed");
	}
	*ret_ns = host_now() - start;
	return done;
}

static void stop_looking(void *ctx)
{
	loop_set_poll(ctx, 0);
}

int main(int argc, char **argv)
{
	struct driver d = { .seed = 88172645463325252ull };
	struct virtio_blk_config c = { .disk.slot = 3, .disk.queue_size = RING };
	struct sill_err e = { 0 };
	struct loop *queue_loop;
	struct dev *dev;
	uint64_t ns, done;

	(void)argc;
	parse(&d.o, argv + 1);
	d.pc = rig_pc_create();
	c.blk = open_disk(&d.o);
	c.disk.io = d.o.io;
	d.blocks = (d.o.span != 0 ? d.o.span : c.blk->capacity) / d.o.size;
	dev = dev_create(&virtio_blk_ops, "disk0", &c, NO_GSI, &d.pc->env, &e);
	if (dev == NULL)
		fail(e.msg);
	d.ram = host(&d, 0, GUEST_RAM);
	queue_loop = ((const struct virtio *)dev->state)->queue[0].loop;
	if (d.o.turns)
		loop_call(queue_loop, stop_looking, queue_loop);
	start_device(&d);
	prepare_slots(&d);
	done = d.o.turns ? drive_turns(&d, &ns) : drive(&d, &ns);
	rig_dev_destroy(d.pc, dev);
	rig_pc_destroy(d.pc);
	(void)printf("%.0f iops %.1f MiB/s %.2f us\n", (double)done * 1e9 / (double)ns,
		     (double)(done * d.o.size) * 1e9 / (double)ns / 1048576.0,
		     (double)ns / 1e3 / (double)done);
	return 0;
}
