/* SPDX-License-Identifier: Apache-2.0 */
/* winblk.c - see winblk.h. Included by the tests that use it. */
#include "winblk.h"

/* Inside a queue's own memory. */
enum {
	AT_RING = 0,
	AT_HEADERS = 0x8000, /* 16 bytes a slot */
	AT_STATUS = 0xa000,  /* one byte a slot, each in a buffer of its own */
	AT_TABLES = 0x10000, /* an indirect table a slot */
	TABLE_SIZE = 16 * (WB_SEGMENTS + 2),
};

static uint32_t config32(const struct winblk *w, unsigned off)
{
	return (uint32_t)rig_get(&w->r, w->r.device.off + off, 4);
}

/* virtio_get_config of 8 bytes: two halves between two equal generations. */
static uint64_t config64(const struct winblk *w, unsigned off)
{
	uint64_t val, before;

	do {
		before = rig_common(&w->r, 21, 1);
		val = config32(w, off) | (uint64_t)config32(w, off + 4) << 32;
	} while (rig_common(&w->r, 21, 1) != before);
	return val;
}

/* What the miniport reads, and would fall over. */
static void read_config(struct winblk *w)
{
	const struct rig_virtio *r = &w->r;
	const uint64_t f = w->offered;
	uint32_t blk_size;

	w->capacity = config64(w, 0);
	assert(w->capacity != 0);
	assert((f >> WB_SEG_MAX & 1) != 0 && (f >> 1 & 1) == 0); /* no SIZE_MAX */
	w->seg_max = config32(w, 12);
	assert(w->seg_max >= 2 && w->seg_max <= WB_SEGMENTS);
	assert((f >> WB_BLK_SIZE & 1) != 0);
	blk_size = config32(w, 20);
	assert(blk_size == 512 || blk_size == 4096); /* 0 is a division by zero */
	if ((f >> WB_TOPOLOGY & 1) != 0) {
		assert(rig_get(r, r->device.off + 24, 1) <= 7);
		assert(rig_get(r, r->device.off + 25, 1) == 0);
		assert(rig_get(r, r->device.off + 26, 2) >= 1);
	}
	if ((f >> WB_DISCARD & 1) != 0) /* zeroes here were a bug check 0xD1 */
		assert(config32(w, 36) != 0 && config32(w, 40) == 1 && config32(w, 44) != 0);
	if ((f >> WB_WRITE_ZEROES & 1) != 0)
		assert(config32(w, 48) != 0 && config32(w, 52) == 1);
}

/* VIO_QUEUE set-up: size from the device, addresses in halves, vector read back. */
static void start_queue(struct winblk *w, unsigned i)
{
	struct winblk_queue *q = &w->queue[i];
	const struct rig_virtio *r = &w->r;
	uint64_t size;

	rig_set_common(r, 22, 2, i);
	size = rig_common(r, 24, 2);
	assert(size >= 2 && size <= WB_SIZE && (size & (size - 1)) == 0);
	assert(rig_common(r, 28, 2) == 0);
	q->base = WB_BASE + (gpa_t)i * WB_PER_QUEUE;
	assert(guestring_init(&q->ring, r->pc->mem, (uint16_t)size, q->base + AT_RING) <=
	       AT_HEADERS);
	q->ring.s.event_idx = (w->features >> VIRTIO_F_EVENT_IDX & 1) != 0;
	q->ring.s.indirect = (w->features >> VIRTIO_F_INDIRECT_DESC & 1) != 0;
	q->spare_count = 0;
	for (unsigned k = WB_SLOTS < size ? WB_SLOTS : (unsigned)size; k > 0; k--)
		q->spare[q->spare_count++] = (uint16_t)(k - 1);
	rig_queue(r, i, &q->ring);
	rig_set_common(r, 26, 2, i + 1);
	assert(rig_common(r, 26, 2) == i + 1);
}

void winblk_start(struct winblk *w, struct rig_pc *pc, unsigned slot, unsigned queues,
		  uint64_t drop)
{
	const uint64_t known = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_EVENT_IDX |
			       1ull << VIRTIO_F_INDIRECT_DESC | 1ull << WB_FLUSH |
			       1ull << WB_CONFIG_WCE | 1ull << WB_RO | 1ull << WB_SEG_MAX |
			       1ull << WB_BLK_SIZE | 1ull << WB_MQ | 1ull << WB_DISCARD |
			       1ull << WB_WRITE_ZEROES; /* TOPOLOGY is read, not acked */
	struct rig_virtio *r = &w->r;

	*w = (struct winblk){ 0 };
	rig_plug(r, pc, slot);
	assert(rig_cfg(r, 0, 4) == 0x10421af4 && rig_cfg(r, PCI_SUBSYS_VENDOR, 4) == 0x11001af4);
	assert(rig_cfg(r, PCI_REVISION, 1) == 1);
	assert(r->common.length >= 56 && r->isr.length >= 1 && r->device.length >= 60 &&
	       r->notify.length >= 2);
	(void)rig_reset(r);
	w->offered = rig_features(r);
	assert((w->offered >> VIRTIO_F_VERSION_1 & 1) != 0);
	assert((w->offered >> VIRTIO_F_INDIRECT_DESC & 1) != 0);
	read_config(w);
	w->features = w->offered & known & ~drop;
	assert(rig_negotiate(r, w->features));

	w->queue_count = 1;
	if ((w->features >> WB_MQ & 1) != 0)
		w->queue_count = (unsigned)rig_get(r, r->device.off + 34, 2);
	assert(w->queue_count >= 1 && w->queue_count <= WB_QUEUES);
	assert(rig_common(r, 18, 2) >= w->queue_count);
	if (queues != 0 && queues < w->queue_count)
		w->queue_count = queues;
	assert(r->msix_count >= w->queue_count + 1);
	for (unsigned i = 0; i <= w->queue_count; i++)
		rig_vector(r, i, i == 0 ? WB_CONFIG_MESSAGE : WB_QUEUE_MESSAGE + i - 1);
	rig_msix(r, true);
	rig_set_common(r, 16, 2, 0);
	assert(rig_common(r, 16, 2) == 0);
	for (unsigned i = 0; i < w->queue_count; i++)
		start_queue(w, i);
	rig_driver_ok(r);
	assert((rig_common(r, 20, 1) & (8 | 4 | 64)) == (8 | 4));
}

uint8_t winblk_status(struct winblk *w, unsigned queue, unsigned slot)
{
	uint8_t s;

	assert(gmem_read(w->r.pc->mem, w->queue[queue].base + AT_STATUS + slot, &s, 1) == 0);
	return s;
}

/* Descriptor @i of @n at @table. */
static void put_desc(struct winblk *w, gpa_t table, unsigned i, unsigned n, gpa_t at, uint32_t len,
		     bool in, unsigned first)
{
	guest_desc(w->r.pc->mem, table, first + i, at, len,
		   (in ? VIRTQ_DESC_WRITE : 0u) | (i + 1 < n ? VIRTQ_DESC_NEXT : 0u),
		   first + i + 1);
}

unsigned winblk_send(struct winblk *w, unsigned queue, const struct winblk_io *io)
{
	struct winblk_queue *q = &w->queue[queue];
	const unsigned n = io->segments + 2;
	const uint8_t poison = WB_POISON;
	const struct {
		le32 type, ioprio;
		le64 sector;
	} header = { le32_of(io->type), le32_of(0), le64_of(io->sector) };
	unsigned slot, first = 0;
	gpa_t table;

	assert(q->spare_count > 0 && io->segments <= WB_SEGMENTS);
	slot = q->spare[--q->spare_count];
	assert(gmem_write(w->r.pc->mem, q->base + AT_HEADERS + 16ull * slot, &header, 16) == 0);
	assert(gmem_write(w->r.pc->mem, q->base + AT_STATUS + slot, &poison, 1) == 0);
	if (io->direct) {
		/* The caller has nothing else in flight: the ring's own descriptors, from the slot on. */
		assert(slot + n <= q->ring.s.size);
		table = q->ring.s.desc;
		first = slot;
	} else {
		table = q->base + AT_TABLES + (gpa_t)TABLE_SIZE * slot;
		guest_desc(w->r.pc->mem, q->ring.s.desc, slot, table, 16 * n, VIRTQ_DESC_INDIRECT,
			   0);
	}
	put_desc(w, table, 0, n, q->base + AT_HEADERS + 16ull * slot, 16, false, first);
	for (unsigned i = 0; i < io->segments; i++)
		put_desc(w, table, i + 1, n, io->seg[i].gpa, io->seg[i].len, io->in, first);
	put_desc(w, table, n - 1, n, q->base + AT_STATUS + slot, 1, true, first);
	guestring_put(&q->ring, slot);
	if (guestring_show(&q->ring))
		rig_kick(&w->r, queue);
	return slot;
}

/* DPC: take what is there; else ask for an interrupt, look again, sleep. */
unsigned winblk_reap(struct winblk *w, unsigned queue, uint32_t *ret_used, uint8_t *ret_status)
{
	struct winblk_queue *q = &w->queue[queue];
	uint32_t head;

	while (!guestring_get(&q->ring, &head, ret_used)) {
		guestring_used_event(&q->ring, q->ring.used_seen);
		if (guestring_get(&q->ring, &head, ret_used))
			break;
		assert(rig_message(w->r.pc, WB_QUEUE_MESSAGE + queue, 10000));
	}
	assert(head < WB_SLOTS);
	*ret_status = winblk_status(w, queue, head);
	assert(*ret_status != WB_POISON);
	q->spare[q->spare_count++] = (uint16_t)head;
	return head;
}

uint8_t winblk_do(struct winblk *w, unsigned queue, const struct winblk_io *io, uint32_t *ret_used)
{
	const unsigned slot = winblk_send(w, queue, io);
	uint8_t status;

	assert(winblk_reap(w, queue, ret_used, &status) == slot);
	return status;
}
