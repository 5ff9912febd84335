/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdrive.c - a driver for the queues of virtio-net, in the device's process, for counting what a frame costs: the
 * real device on a real tap, without a guest's time in it.
 *
 *	netdrive fd=TAP interface=NAME [NAME=VALUE]...
 *	  way=tx|rx   from the guest, or to it
 *	  size=60     bytes of a frame   depth=32  frames a turn   count=N  frames altogether
 *	  idle=MS     then do nothing for so long, and tell how often a thread of ours has woken up
 *
 * A turn: so many frames are shown at once, or are in the tap already when the buffers for them are shown; the next turn
 * comes when all are done and the device's threads sleep, which they do without looking around.
 */
#define GUEST_RAM (64 << 20)

#include <dirent.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/net/net.h"
#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"
#include "virtio_rig.h"

enum {
	RING = 256,
	RINGS_AT = 0x10000, /* 0x10000 for each queue */
	DATA_AT = 0x100000,
	SLOT_SIZE = 0x800,
	HEADER = 12,
	MESSAGE = 1,
	ETHERTYPE = 0x88b5, /* for experiments: nobody takes it */
};

struct options {
	bool rx;
	unsigned fd, size, depth, idle;
	uint64_t count;
	const char *interface;
};

struct driver {
	struct options o;
	struct rig_pc *pc;
	struct rig_virtio r;
	struct guestring ring[2];
	uint8_t *ram;
	int bell[2], far;
	uint16_t next;
};

static _Noreturn void fail(const char *what)
{
	(void)fprintf(stderr, "netdrive: %s\n", what);
	exit(1);
}

static void parse(struct options *o, char **argv)
{
	*o = (struct options){ .size = 60, .depth = 32 };
	for (; *argv != NULL; argv++) {
		char *v = strchr(*argv, '=');
		unsigned n;

		if (v == NULL)
			fail("NAME=VALUE");
		*v++ = '\0';
		n = (unsigned)strtoul(v, NULL, 0);
		if (strcmp(*argv, "way") == 0)
			o->rx = strcmp(v, "rx") == 0;
		else if (strcmp(*argv, "fd") == 0)
			o->fd = n;
		else if (strcmp(*argv, "size") == 0)
			o->size = n;
		else if (strcmp(*argv, "depth") == 0)
			o->depth = n;
		else if (strcmp(*argv, "count") == 0)
			o->count = n;
		else if (strcmp(*argv, "idle") == 0)
			o->idle = n;
		else if (strcmp(*argv, "interface") == 0)
			o->interface = v;
		else
			fail("no such option");
	}
	if (o->fd == 0 || o->interface == NULL || o->size < 14 || o->size + HEADER > SLOT_SIZE ||
	    o->depth == 0 || o->depth > RING || RING % o->depth != 0)
		fail("usage: netdrive fd=TAP interface=NAME [NAME=VALUE]...");
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

/* The ring never changes: the depth divides it. One buffer a frame, with its header. */
static void prepare(struct driver *d, unsigned queue)
{
	for (uint16_t i = 0; i < RING; i++) {
		const gpa_t at = DATA_AT + (gpa_t)SLOT_SIZE * (i % d->o.depth);
		uint8_t *p = host(d, at, SLOT_SIZE);
		const le16 slot = le16_of(i % (uint16_t)d->o.depth);

		memset(p, 0, HEADER);
		memset(p + HEADER, 0xff, 6);
		memset(p + HEADER + 6, 2, 6);
		p[HEADER + 12] = ETHERTYPE >> 8;
		p[HEADER + 13] = ETHERTYPE & 0xff;
		guest_desc(d->pc->mem, d->ring[queue].s.desc, i, at,
			   queue == 1 ? HEADER + d->o.size : SLOT_SIZE, queue == 1 ? 0 : 2, 0);
		if (gmem_write(d->pc->mem, d->ring[queue].s.avail + 4 + 2ull * i, &slot, 2) != 0)
			fail("memory");
	}
}

static void start_device(struct driver *d)
{
	struct rig_virtio *r = &d->r;

	rig_plug(r, d->pc, 3);
	(void)rig_reset(r);
	if (!rig_negotiate(r, 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_EVENT_IDX | 1ull << 15))
		fail("the device refuses its features");
	rig_vector(r, 0, MESSAGE);
	rig_msix(r, true);
	for (unsigned q = 0; q < 2; q++) {
		rig_set_common(r, 22, 2, q);
		(void)guestring_init(&d->ring[q], d->pc->mem, RING, RINGS_AT + 0x10000ull * q);
		rig_queue(r, q, &d->ring[q]);
		rig_set_common(r, 26, 2, 0);
		d->bell[q] = rig_bell(d->pc, r->bar + r->notify.off + q * r->multiplier);
	}
	rig_driver_ok(r);
}

static uint16_t index_at(struct driver *d, gpa_t at)
{
	uint16_t v;

	if (gmem_load_index(d->pc->mem, at, &v) != 0)
		fail("memory");
	return v;
}

static void yield_until(struct driver *d, gpa_t at, uint16_t is)
{
	while (index_at(d, at) != is)
		(void)sched_yield();
}

static void fill_tap(struct driver *d)
{
	static uint8_t frame[SLOT_SIZE];

	memset(frame, 0xff, 6);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	for (unsigned i = 0; i < d->o.depth; i++)
		if (send(d->far, frame, d->o.size, 0) != (ssize_t)d->o.size)
			fail("the tap takes nothing");
}

static void turn(struct driver *d, unsigned queue)
{
	const struct guestring *g = &d->ring[queue];
	const gpa_t avail_event = g->s.used + 4 + 8ull * RING,
		    used_event = g->s.avail + 4 + 2 * RING;
	const le16 never = le16_of((uint16_t)(d->next - 1));
	const uint64_t one = 1;
	le16 next;

	yield_until(d, avail_event, d->next);
	if (d->o.rx)
		fill_tap(d);
	d->next = (uint16_t)(d->next + d->o.depth);
	next = le16_of(d->next);
	if (gmem_write(d->pc->mem, used_event, &never, 2) != 0 ||
	    gmem_write(d->pc->mem, g->s.avail + 2, &next, 2) != 0 ||
	    write(d->bell[queue], &one, sizeof(one)) != sizeof(one))
		fail("kick");
	yield_until(d, g->s.used + 2, d->next);
}

static void stop_looking(void *ctx)
{
	loop_set_poll(ctx, 0);
}

static void open_far(struct driver *d)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_ifindex = (int)if_nametoindex(d->o.interface) };

	d->far = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (d->far < 0 || bind(d->far, (const struct sockaddr *)&at, sizeof(at)) < 0)
		fail("no packet socket on the tap");
}

/* Of all threads but the driver's. */
static unsigned long wake_ups(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *t;
	unsigned long sum = 0;
	char own[16];

	(void)snprintf(own, sizeof(own), "%d", (int)getpid());
	while (dir != NULL && (t = readdir(dir)) != NULL) {
		char path[64], line[128];
		unsigned long n;
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", t->d_name);
		f = t->d_name[0] != '.' && strcmp(t->d_name, own) != 0 ? fopen(path, "re") : NULL;
		while (f != NULL && fgets(line, sizeof(line), f) != NULL)
			if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
				sum += n;
		if (f != NULL)
			(void)fclose(f);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return sum;
}

int main(int argc, char **argv)
{
	struct driver d = { 0 };
	struct virtio_net_config c = {
		.slot = 3, .mac = { 2, 0, 0, 0, 0, 1 }, .ear_fd = -1, .kept_fd = -1
	};
	struct sill_err e = { 0 };
	unsigned long before;
	struct loop *loop;
	struct dev *dev;
	int fd;

	(void)argc;
	parse(&d.o, argv + 1);
	fd = (int)d.o.fd;
	open_far(&d);
	d.pc = rig_pc_create();
	c.net = net_tap_open(&fd, 1, &e);
	dev = c.net != NULL ? dev_create(&virtio_net_ops, "net0", &c, NO_GSI, &d.pc->env, &e)
			    : NULL;
	if (dev == NULL)
		fail(e.msg);
	loop = ((const struct virtio *)dev->state)->queue[0].loop;
	loop_call(loop, stop_looking, loop);
	start_device(&d);
	prepare(&d, d.o.rx ? 0 : 1);
	for (uint64_t done = 0; done < d.o.count; done += d.o.depth)
		turn(&d, d.o.rx ? 0 : 1);
	if (d.o.idle != 0) {
		(void)poll(NULL, 0, 100); /* until all have come to rest */
		before = wake_ups();
		(void)poll(NULL, 0, (int)d.o.idle);
		(void)printf("%lu wake-ups\n", wake_ups() - before);
	}
	rig_dev_destroy(d.pc, dev);
	rig_pc_destroy(d.pc);
	return 0;
}
