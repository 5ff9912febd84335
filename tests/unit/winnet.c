/* SPDX-License-Identifier: Apache-2.0 */
/* winnet.c - see winnet.h. Included by the tests that use it. */
#include "winnet.h"

/* Inside a queue's own memory. */
enum {
	AT_RING = 0,
	AT_TABLES = 0x10000, /* an indirect table a slot */
	TABLE_SIZE = 16 * 32,
	AT_HEADERS = 0xa0000, /* 16 bytes a slot */
};

static bool winnet_has(const struct winnet *w, unsigned feature)
{
	return (w->features >> feature & 1) != 0;
}

static void start_queue(struct winnet *w, unsigned i)
{
	struct winnet_queue *q = &w->queue[i];
	const struct rig_virtio *r = &w->r;
	uint64_t size;

	rig_set_common(r, 22, 2, i);
	size = rig_common(r, 24, 2);
	assert(size >= 16 && size <= WN_SIZE && (size & (size - 1)) == 0);
	q->base = WN_BASE + (gpa_t)i * WN_PER_QUEUE;
	assert(guestring_init(&q->ring, r->pc->mem, (uint16_t)size, q->base + AT_RING) <=
	       AT_TABLES);
	q->ring.s.event_idx = winnet_has(w, VIRTIO_F_EVENT_IDX);
	q->spare_count = 0;
	for (unsigned k = (unsigned)size; k > 0; k--)
		q->spare[q->spare_count++] = (uint16_t)(k - 1);
	rig_queue(r, i, &q->ring);
	if (r->by_window)
		return;
	rig_set_common(r, 26, 2, i + 1);
	assert(rig_common(r, 26, 2) == i + 1);
}

static void read_config(struct winnet *w)
{
	for (unsigned i = 0; i < 6; i++)
		w->mac[i] = (uint8_t)rig_get(&w->r, w->r.device.off + i, 1);
	w->pairs = winnet_has(w, WN_MQ) ? (unsigned)rig_get(&w->r, w->r.device.off + 8, 2) : 1;
	w->control = 2 * w->pairs;
	if (winnet_has(w, WN_MTU))
		w->mtu = (uint16_t)rig_get(&w->r, w->r.device.off + 10, 2);
	assert(w->pairs >= 1 && w->pairs <= WN_PAIRS);
}

/* ParaNdis_InitializeContext ... to the commands after DRIVER_OK, which must not fail. */
void winnet_start(struct winnet *w, struct rig_pc *pc, unsigned slot,
		  const struct winnet_options *o)
{
	static const uint8_t known[] = {
		VIRTIO_F_VERSION_1,
		VIRTIO_F_EVENT_IDX,
		VIRTIO_F_INDIRECT_DESC,
		WN_CSUM,
		WN_GUEST_CSUM,
		WN_GUEST_OFFLOADS,
		WN_MTU,
		WN_MAC,
		WN_GUEST_TSO4,
		WN_GUEST_TSO6,
		WN_HOST_TSO4,
		WN_HOST_TSO6,
		WN_STATUS,
		WN_CTRL_VQ,
		WN_CTRL_RX,
		WN_CTRL_VLAN,
		WN_ANNOUNCE,
		WN_MQ,
		WN_CTRL_MAC,
	};
	struct rig_virtio *r = &w->r;
	uint64_t take = o->also;

	*w = (struct winnet){ 0 };
	rig_plug(r, pc, slot);
	r->by_window = o->by_window;
	assert(rig_cfg(r, 0, 4) == 0x10411af4 && rig_cfg(r, PCI_SUBSYS_VENDOR, 4) == 0x11001af4);
	(void)rig_reset(r);
	for (unsigned i = 0; i < sizeof(known); i++)
		take |= 1ull << known[i];
	w->offered = rig_features(r);
	w->features = w->offered & take & ~o->drop;
	assert(!winnet_has(w, WN_CTRL_VLAN) && !winnet_has(w, WN_ANNOUNCE));
	assert(rig_negotiate(r, w->features));
	read_config(w);
	assert(rig_common(r, 18, 2) > w->control && r->msix_count >= w->control + 2);
	for (unsigned i = 0; i <= w->control + 1 && !o->by_window; i++)
		rig_vector(r, i, i);
	rig_msix(r, !o->by_window);
	if (!o->by_window) {
		rig_set_common(r, 16, 2, 0);
		assert(rig_common(r, 16, 2) == 0);
	}
	for (unsigned i = 0; i < w->control + !o->by_window; i++)
		start_queue(w, i);
	for (unsigned i = 0; i < w->pairs; i++)
		w->queue[2 * i].rx_size = o->rx_size != 0 ? o->rx_size : WN_RX_SIZE;
	rig_driver_ok(r);
	assert((rig_common(r, 20, 1) & (8 | 4 | 64)) == (8 | 4));
	for (unsigned i = 0; i < w->pairs; i++)
		for (unsigned k = 0; o->rx_fill == 0 || k < o->rx_fill; k++)
			if (!winnet_give(w, i))
				break;
	if (winnet_has(w, WN_MQ)) {
		const le16 pairs = le16_of((uint16_t)w->pairs);

		assert(winnet_control(w, 4, 0, &pairs, 2) == 0);
	}
	if (winnet_has(w, WN_GUEST_OFFLOADS)) {
		const le64 all = le64_of(w->features & (1 << WN_GUEST_CSUM | 1 << WN_GUEST_TSO4 |
							1 << WN_GUEST_TSO6));

		assert(winnet_control(w, 5, 0, &all, 8) == 0);
	}
	if (winnet_has(w, WN_CTRL_MAC))
		assert(winnet_control(w, 1, 1, w->mac, 6) == 0);
}

static gpa_t rx_buffer(const struct winnet_queue *q, unsigned slot)
{
	return q->base + WN_BUFFERS + (gpa_t)slot * q->rx_size;
}

bool winnet_give(struct winnet *w, unsigned pair)
{
	struct winnet_queue *q = &w->queue[2 * pair];
	struct gmem *m = w->r.pc->mem;
	unsigned slot;
	gpa_t table;

	if (q->spare_count == 0 ||
	    (q->spare[q->spare_count - 1] + 1ull) * q->rx_size > WN_PER_QUEUE - WN_BUFFERS)
		return false;
	slot = q->spare[--q->spare_count];
	table = q->base + AT_TABLES + (gpa_t)slot * TABLE_SIZE;
	if (q->rx_size < 32) { /* one buffer, as Linux' mergeable ones */
		guest_desc(m, q->ring.s.desc, slot, rx_buffer(q, slot), q->rx_size, 2, 0);
	} else {
		guest_desc(m, table, 0, rx_buffer(q, slot), WN_HEADER, 2 | 1, 1);
		guest_desc(m, table, 1, rx_buffer(q, slot) + WN_HEADER, q->rx_size - WN_HEADER, 2,
			   0);
		guest_desc(m, q->ring.s.desc, slot, table, 32, 4, 0);
	}
	guestring_put(&q->ring, slot);
	if (guestring_show(&q->ring))
		rig_kick(&w->r, 2 * pair);
	return true;
}

static bool has_used(struct winnet *w, unsigned queue, int ms)
{
	struct winnet_queue *q = &w->queue[queue];
	const uint64_t t = rig_now_ms();
	uint16_t idx;

	do {
		assert(gmem_load_index(w->r.pc->mem, q->ring.s.used + 2, &idx) == 0);
		if (idx != q->ring.used_seen)
			return true;
		sched_yield();
	} while (rig_now_ms() - t < (uint64_t)ms);
	return false;
}

/* As in a DPC: take what is there; else ask for an interrupt, look again, sleep. */
static bool next(struct winnet *w, unsigned queue, uint32_t *head, uint32_t *len, int ms)
{
	struct winnet_queue *q = &w->queue[queue];

	while (!guestring_get(&q->ring, head, len)) {
		guestring_used_event(&q->ring, q->ring.used_seen);
		if (guestring_get(&q->ring, head, len))
			break;
		if (w->r.by_window ? !has_used(w, queue, ms) : !rig_message(w->r.pc, queue + 1, ms))
			return false;
	}
	assert(*head < WN_SIZE);
	q->spare[q->spare_count++] = (uint16_t)*head;
	return true;
}

bool winnet_has_frame(struct winnet *w, unsigned pair, int ms)
{
	return has_used(w, 2 * pair, ms);
}

uint32_t winnet_receive(struct winnet *w, unsigned pair, void *p, uint32_t max,
			struct winnet_header *h)
{
	struct winnet_queue *q = &w->queue[2 * pair];
	uint32_t head, len, n = 0;
	unsigned buffers = 1;

	for (unsigned i = 0; i < buffers; i++) {
		uint32_t skip = 0;

		assert(next(w, 2 * pair, &head, &len, 10000));
		assert(len <= q->rx_size && len > 0);
		if (i == 0) {
			assert(len >= WN_HEADER);
			assert(gmem_read(w->r.pc->mem, rx_buffer(q, head), h, WN_HEADER) == 0);
			buffers = le16_get(h->num_buffers);
			assert(buffers >= 1 && (buffers == 1 || winnet_has(w, WN_MRG)));
			skip = WN_HEADER;
		}
		assert(i + 1 == buffers || len == q->rx_size); /* all but the last are full */
		assert(n + len - skip <= max);
		assert(gmem_read(w->r.pc->mem, rx_buffer(q, head) + skip, (char *)p + n,
				 len - skip) == 0);
		n += len - skip;
	}
	return n;
}

void winnet_put(struct winnet *w, unsigned pair, const struct winnet_header *h, const void *p,
		uint32_t n, unsigned pieces)
{
	struct winnet_queue *q = &w->queue[2 * pair + 1];
	struct gmem *m = w->r.pc->mem;
	unsigned slot;
	gpa_t table, data;
	uint32_t off = 0;

	assert(q->spare_count > 0 && pieces >= 1 && pieces < 31);
	slot = q->spare[--q->spare_count];
	table = q->base + AT_TABLES + (gpa_t)slot * TABLE_SIZE;
	data = q->base + WN_BUFFERS + (n > 4096 ? slot % 16 * 0x40000ull : slot * 4096ull);
	assert(gmem_write(m, q->base + AT_HEADERS + 16ull * slot, h, WN_HEADER) == 0);
	assert(gmem_write(m, data, p, n) == 0);
	guest_desc(m, table, 0, q->base + AT_HEADERS + 16ull * slot, WN_HEADER, 1, 1);
	for (unsigned i = 0; i < pieces; i++) {
		const uint32_t part = i + 1 == pieces ? n - off : n / pieces;

		guest_desc(m, table, i + 1, data + off, part, i + 1 == pieces ? 0 : 1, i + 2);
		off += part;
	}
	guest_desc(m, q->ring.s.desc, slot, table, 16 * (pieces + 1), 4, 0);
	guestring_put(&q->ring, slot);
	if (guestring_show(&q->ring))
		rig_kick(&w->r, 2 * pair + 1);
}

void winnet_sent(struct winnet *w, unsigned pair)
{
	uint32_t head, len;

	assert(next(w, 2 * pair + 1, &head, &len, 10000));
	assert(len == 0);
}

uint8_t winnet_control(struct winnet *w, unsigned class, unsigned command, const void *p,
		       uint32_t n)
{
	struct winnet_queue *q = &w->queue[w->control];
	struct gmem *m = w->r.pc->mem;
	const uint8_t head[2] = { (uint8_t) class, (uint8_t)command };
	uint8_t ack = 1; /* as the driver presets it */
	uint32_t id, len;
	const gpa_t at = q->base + WN_BUFFERS;

	assert(gmem_write(m, at, head, 2) == 0 && gmem_write(m, at + 16, p, n) == 0 &&
	       gmem_write(m, at + 0x10000, &ack, 1) == 0);
	guest_desc(m, q->ring.s.desc, 0, at, 2, 1, n > 0 ? 1 : 2);
	guest_desc(m, q->ring.s.desc, 1, at + 16, n, 1, 2);
	guest_desc(m, q->ring.s.desc, 2, at + 0x10000, 1, 2, 0);
	guestring_put(&q->ring, 0);
	if (guestring_show(&q->ring))
		rig_kick(&w->r, w->control);
	id = rig_await(&q->ring, &len);
	assert(id == 0 && len == 1);
	assert(gmem_read(m, at + 0x10000, &ack, 1) == 0 && ack <= 1);
	return ack;
}
