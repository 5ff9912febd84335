/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio.c - whole virtio devices under a driver without manners: any
 * register access, any configuration access, any ring memory, at any time.
 *
 * Input: one byte that picks the device, then records of 12 bytes { op, size,
 * u16 where, u64 value }; see operate(). The disk's requests run on its own
 * I/O thread while the input goes on, so memory changes under it.
 *
 * Besides the disk there is one that fails often and keeps what failed, and one
 * that is held to a rate. The network card has a far end that sends what lies in
 * guest memory.
 *
 * Every input ends with a reset, which must come to an end.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUEST_RAM (1 << 18)
#include "virtio_rig.h"

#include "backend/block/block.h"
#include "backend/net/dhcp.h"
#include "backend/net/net.h"
#include "backend/throttle.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/virtio.h"

extern const struct dev_ops virtio_blk_ops, virtio_rng_ops, virtio_console_ops;

enum { DEVICES = 6, CARD = 5, DISK = 1 << 20, RING = 0x1000, RING_STRIDE = 0x1000, RECORD = 12 };

static struct rig_pc *pc;
static struct dev *devs[DEVICES];
static uint8_t *ram;
static int far; /* of the network card */

/* The guest programs what it likes; the routes are nobody's here. */
static int any_route(void *ctx, struct irq_msi *m, uint64_t addr, uint32_t data)
{
	(void)ctx;
	(void)m;
	return (addr ^ data) % 16 == 15 ? -1 : 0;
}

static void any_close(void *ctx, struct irq_msi *m)
{
	(void)ctx;
	close(m->fd);
	m->fd = -1;
}

static const struct irq_ops any_irqs = {
	.line = rig_line,
	.msi_open = rig_msi_open,
	.msi_route = any_route,
	.msi_close = any_close,
};

/* Every fourth sector has no room, every 16th is broken; done now or on a thread. */
static int flaky_call(struct blk *b, const struct blk_req *r)
{
	(void)b;
	return r->offset / 512 % 16 == 7 ? EIO : r->offset / 512 % 4 == 3 ? ENOSPC : 0;
}

static void flaky_submit(struct blk *b, struct blk_req *r)
{
	if (r->offset / 512 % 2 != 0)
		blk_execute(b, r, flaky_call);
	else
		r->done(r, flaky_call(b, r));
}

static int flaky_open(struct blk *b, struct sill_err *e)
{
	(void)e;
	b->capacity = DISK;
	b->can_discard = true;
	return 0;
}

static int flaky_close(struct blk *b)
{
	(void)b;
	return 0;
}

static const struct blk_ops flaky_ops = {
	.format = "flaky",
	.open = flaky_open,
	.submit = flaky_submit,
	.close = flaky_close,
};

/* The machine would pause; whether and when is the input's business. */
static void any_stall(void *ctx, const char *id, const char *what, int err)
{
	(void)ctx;
	(void)id;
	(void)what;
	(void)err;
}

/* Fails often, or is slow. */
static struct dev *create_odd_disk(bool slow)
{
	static const struct throttle_limits limits = { .bytes = 1 << 20, .ops = 500 };
	static struct throttle throttle;
	struct sill_err e = { 0 };
	const struct blk_config bc = { .fd = memfd_create("odd", MFD_CLOEXEC), .path = "odd" };
	struct virtio_blk_config disk = { .disk.slot = slow ? 5 : 4, .disk.queue_size = 16 };

	disk.blk = blk_open(&flaky_ops, &bc, &e);
	assert(disk.blk != NULL);
	disk.disk.on_error = slow ? SILL_ON_ERROR_REPORT : SILL_ON_ERROR_STOP;
	disk.blk->block_size = slow ? 4096 : 512;
	throttle_init(&throttle, &limits);
	disk.throttle = slow ? &throttle : NULL;
	return dev_create(&virtio_blk_ops, slow ? "slow" : "flaky", &disk, NO_GSI, &pc->env, &e);
}

static struct dev *create_card(void)
{
	static const struct dhcp_config dhcp = {
		.mac = { 2 }, .address = 2, .host = 1, .prefix = 24
	};
	struct virtio_net_config c = { .mac = { 2 }, .slot = 6, .queue_size = 16, .dhcp = &dhcp };
	struct sill_err e = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	far = pair[1];
	c.net = net_socket_open(pair[0], &e);
	assert(c.net != NULL);
	return dev_create(&virtio_net_ops, "net0", &c, NO_GSI, &pc->env, &e);
}

/* What the guest has sent goes nowhere; what it gets is its own memory. */
static void far_end(unsigned where, uint64_t val)
{
	uint8_t frame[2048];

	while (recv(far, frame, sizeof(frame), 0) > 0)
		;
	for (unsigned i = 0; i < (val & 3) + 1; i++)
		(void)send(far, ram + where, 1 + (val >> 8 & 0xffff), MSG_NOSIGNAL);
}

static void create_devices(void *ctx)
{
	static char serial[] = "fuzz";
	struct sill_err e = { 0 };
	struct blk_config bc = { .fd = memfd_create("disk", MFD_CLOEXEC), .path = "disk" };
	struct virtio_blk_config disk = {
		.disk.serial = serial, .disk.slot = 1, .disk.queues = 2, .disk.queue_size = 16
	};
	const struct virtio_rng_config rng = { .fd = -1, .slot = 2 };
	const struct virtio_console_config con = { .cols = 80, .rows = 25, .slot = 3 };

	(void)ctx;
	if (ftruncate(bc.fd, DISK) < 0)
		abort();
	disk.blk = blk_open(&blk_raw_ops, &bc, &e);
	assert(disk.blk != NULL);
	devs[0] = dev_create(&virtio_blk_ops, "disk0", &disk, NO_GSI, &pc->env, &e);
	devs[1] = dev_create(&virtio_rng_ops, "rng0", &rng, NO_GSI, &pc->env, &e);
	devs[2] = dev_create(&virtio_console_ops, "hvc0", &con, NO_GSI, &pc->env, &e);
	pc->env.stall = any_stall;
	devs[3] = create_odd_disk(false);
	devs[4] = create_odd_disk(true);
	devs[CARD] = create_card();
	for (unsigned i = 0; i < DEVICES; i++)
		assert(devs[i] != NULL);
}

static void set_up(void)
{
	struct gmem_span span;
	struct iovec v;

	pc = rig_pc_create();
	pc->irqs.ops = &any_irqs;
	span = gmem_span_begin(pc->mem);
	assert(gmem_span_add(pc->mem, 0, GUEST_RAM, true, &v, 1) == 1);
	gmem_span_end(pc->mem, &span);
	ram = v.iov_base;
	loop_call(pc->env.loop, create_devices, NULL);
}

static void access_bar(struct dev *d, bool write, uint64_t off, unsigned size, uint64_t val)
{
	struct io io = { .off = off % VIRTIO_BAR_SIZE, .size = (uint8_t)size, .write = write };

	io.off -= io.off % size; /* the whole access is inside: the bus promises it */
	io.val = size == 8 ? val : val & ((1ull << 8 * size) - 1);
	(void)dev_io(d, 0, &io);
}

/* A driver that is up, with rings at RING, so that what follows goes deep. */
static void bring_up(struct dev *d, uint64_t features)
{
	struct virtio *v = d->state;

	access_bar(d, true, 20, 1, 0);
	access_bar(d, true, 8, 4, 0);
	access_bar(d, true, 12, 4, features & v->offered);
	access_bar(d, true, 8, 4, 1);
	access_bar(d, true, 12, 4, 1);
	access_bar(d, true, 20, 1, 1 | 2 | 8);
	for (unsigned i = 0; i < v->queue_count; i++) {
		const uint64_t at = RING + (uint64_t)i * RING_STRIDE;

		access_bar(d, true, 22, 2, i);
		access_bar(d, true, 24, 2, 16);
		access_bar(d, true, 26, 2, i + 1);
		access_bar(d, true, 32, 8, at);
		access_bar(d, true, 40, 8, at + 256);
		access_bar(d, true, 48, 8, at + 512);
		access_bar(d, true, 28, 2, 1);
	}
	access_bar(d, true, 20, 1, 1 | 2 | 8 | 4);
}

/*
 * A request in descriptors 0.. of a ring: header, a buffer, status; each detail from
 * @val. The header may be in two buffers, and all of it in an indirect table.
 */
static void request(struct dev *d, unsigned queue, uint64_t val)
{
	static const uint32_t types[] = { 0, 1, 4, 8, 11, 13, 0, 99 };
	const struct virtio *v = d->state;
	const unsigned qi = queue % v->queue_count, slot = val >> 40 & 15;
	const gpa_t ring = RING + (gpa_t)qi * RING_STRIDE, data = 0x10000 + (val >> 16 & 0xffff);
	const bool in = (val & 8) != 0;
	const unsigned shape = val >> 56 & 3;
	const gpa_t table = shape == 2 ? 0xa000 : ring;
	uint8_t *avail = ram + ring + 256;
	unsigned at = shape == 2 ? 0 : slot;

	st32(ram + 0x8000, types[val & 7]);
	st64(ram + 0x8008, val >> 24 & 0xfff);
	st64(ram + 0x8010, val >> 24 & 0xfff); /* a zero segment */
	st32(ram + 0x8018, val >> 32 & 0xff);
	if (shape == 1) {
		guest_desc(pc->mem, table, at, 0x8000, val & 0x80 ? 0 : 3, 1, (at + 1) & 15);
		guest_desc(pc->mem, table, (at + 1) & 15, 0x8003, val & 0x80 ? 29 : 13, 1,
			   (at + 2) & 15);
		at = (at + 1) & 15;
	} else {
		guest_desc(pc->mem, table, at, 0x8000, val & 0x80 ? 32 : 16, 1, (at + 1) & 15);
	}
	guest_desc(pc->mem, table, (at + 1) & 15, data, (uint32_t)(val >> 8 & 0x1fff), in ? 3 : 1,
		   (at + 2) & 15);
	guest_desc(pc->mem, table, (at + 2) & 15, 0x9000, (uint32_t)(val >> 60) + 1, 2, 0);
	if (shape == 2)
		guest_desc(pc->mem, ring, slot, table, 16 * (3 + (val >> 58 & 1)), 4, 0);
	st16(avail + 4 + 2 * (ld16(avail + 2) & 15), (uint16_t)slot);
	st16(avail + 2, (uint16_t)(ld16(avail + 2) + 1));
	access_bar(d, true, VIRTIO_NOTIFY + 4 * qi, 2, qi);
}

/* A command of the network card with the length that it must have, or nearly. */
static void command(struct dev *d, uint64_t val)
{
	static const uint8_t commands[][3] = {
		{ 0, 0, 1 }, { 0, 1, 1 }, { 1, 0, 20 }, { 1, 1, 6 },
		{ 4, 0, 2 }, { 5, 0, 8 }, { 2, 0, 2 },  { 9, 9, 0 }
	};
	const uint8_t *c = commands[val & 7];
	const unsigned slot = val >> 40 & 15;
	const gpa_t ring = RING + 2 * RING_STRIDE;
	uint8_t *avail = ram + ring + 256;

	memcpy(ram + 0x8000, c, 2);
	st64(ram + 0x8002, val >> 8 & 0x3fff);
	st64(ram + 0x800a, val >> 20);
	guest_desc(pc->mem, ring, slot, 0x8000, 2u + c[2] + ((val & 0xf0) == 0), 1,
		   (slot + 1) & 15);
	guest_desc(pc->mem, ring, (slot + 1) & 15, 0x9000, 1 + (val >> 60), 2, 0);
	st16(avail + 4 + 2 * (ld16(avail + 2) & 15), (uint16_t)slot);
	st16(avail + 2, (uint16_t)(ld16(avail + 2) + 1));
	access_bar(d, true, VIRTIO_NOTIFY + 8, 2, 2);
}

static void pause_and_save(struct dev *d)
{
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf b;

	dev_pause(d);
	while (!dev_drained(d))
		sched_yield();
	buf_init(&b, 1 << 16);
	save_init(&s, &b);
	assert(dev_save(d, &s) == 0);
	dev_reset(d);
	while (!dev_drained(d))
		sched_yield();
	load_init(&l, b.data, b.size);
	/* A driver may have left what no load accepts: rings that are nowhere. */
	(void)dev_load(d, &l, &e);
	buf_fini(&b);
	dev_resume(d);
}

static void load_bytes_of(struct dev *d, const uint8_t *p, size_t n)
{
	struct sill_err e = { 0 };
	struct loader l;

	dev_pause(d);
	dev_reset(d);
	while (!dev_drained(d))
		sched_yield();
	load_init(&l, p, n);
	(void)dev_load(d, &l, &e);
	dev_resume(d);
}

static void operate(struct dev *d, const uint8_t *p)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	const unsigned slot = ((struct virtio *)d->state)->func.slot, size = sizes[p[1] & 3];
	const unsigned where = ld16(p + 2);
	const uint64_t val = ld64(p + 4);

	switch (p[0] % 14) {
	case 0:
		access_bar(d, false, where, size, 0);
		break;
	case 1:
		access_bar(d, true, where, size, val);
		break;
	case 2: /* mostly the common configuration */
		access_bar(d, true, where % 64, size, val);
		break;
	case 3:
		pci_config_write(pc->pci, 0, slot << 3, where & 0xfc, 4, (uint32_t)val);
		break;
	case 4:
		(void)pci_config_read(pc->pci, 0, slot << 3, where & 0xfc, 4);
		break;
	case 5:
		memcpy(ram + where * 4ull % (GUEST_RAM - 8), &val, 8);
		break;
	case 6: /* the rings */
		memcpy(ram + RING + where % (2 * RING_STRIDE), &val, size);
		break;
	case 7:
		access_bar(d, true, VIRTIO_NOTIFY + 4 * (where % 4), 2, 0);
		break;
	case 8:
		/* Bus mastering, without which nothing moves. */
		pci_config_write(pc->pci, 0, slot << 3, PCI_COMMAND, 2, PCI_CMD_MASTER);
		bring_up(d, val);
		break;
	case 9:
	case 10:
		if (d == devs[CARD] && where % 4 == 2)
			command(d, val);
		else
			request(d, where, val);
		break;
	case 11: /* let the queues come around */
		if (d == devs[CARD])
			far_end(where, val);
		for (unsigned i = 0; i < ((struct virtio *)d->state)->queue_count; i++)
			loop_call(((struct virtio *)d->state)->queue[i].loop, rig_nothing, NULL);
		break;
	case 12:
		if (where % 8 == 0)
			pause_and_save(d);
		else
			access_bar(d, true, 20, 1, val);
		break;
	default:
		dev_reset(d);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dev *d;

	if (pc == NULL)
		set_up();
	if (size < 1)
		return 0;
	memset(ram, 0, GUEST_RAM);
	d = devs[data[0] % DEVICES];
	if (data[0] >= 0xf0) {
		load_bytes_of(d, data + 1, size - 1);
	} else {
		for (size_t at = 1; at + RECORD <= size && at < 4096; at += RECORD)
			operate(d, data + at);
	}
	pci_bus_reset(pc->pci);
	dev_reset(d);
	while (!dev_drained(d))
		sched_yield();
	assert(((struct virtio *)d->state)->status == 0);
	return 0;
}
