/* SPDX-License-Identifier: Apache-2.0 */
/* virtio.c - see virtio.h. Section numbers are of virtio 1.2. */
#include "virtio.h"

#include "boot.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"

enum { VIRTIO_VENDOR = 0x1af4, VIRTIO_MODERN = 0x1040 };
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_PCI = 5 };

static uint64_t window(const struct virtio *v, const struct virtio_window *w)
{
	return v->pci->bar[w->bar].addr + w->off;
}

/* 4.1.4: where each structure is. The first capability of a kind counts. */
static void read_capabilities(struct virtio *v)
{
	unsigned slot = v->pci->slot;
	unsigned c = 0;

	while ((c = pci_cap_find(v->pci, PCI_CAP_VENDOR, c)) != 0) {
		struct virtio_window w = { pci_read(slot, c + 4, 1), pci_read(slot, c + 8, 4),
					   pci_read(slot, c + 12, 4) };
		unsigned kind = pci_read(slot, c + 3, 1);

		if (kind == CAP_PCI)
			v->cfg_cap = c;
		if (w.bar > 5 || !v->pci->bar[w.bar].present || v->pci->bar[w.bar].io)
			continue;
		if (kind == CAP_COMMON && v->common.size == 0)
			v->common = w;
		if (kind == CAP_ISR && v->isr.size == 0)
			v->isr = w;
		if (kind == CAP_DEVICE && v->device.size == 0)
			v->device = w;
		if (kind == CAP_NOTIFY && v->notify.size == 0) {
			v->notify = w;
			v->notify_multiplier = pci_read(slot, c + 16, 4);
		}
	}
}

bool virtio_open(struct virtio *v, unsigned type, unsigned n)
{
	*v = (struct virtio){ .pci = pci_find(VIRTIO_VENDOR, (uint16_t)(VIRTIO_MODERN + type), n) };
	if (v->pci == NULL)
		return false;
	read_capabilities(v);
	return v->common.size >= VC_END && v->notify.size != 0 && msix_find(&v->msix, v->pci);
}

uint64_t virtio_reg(const struct virtio *v, unsigned reg)
{
	return window(v, &v->common) + reg;
}

uint64_t virtio_config(const struct virtio *v, unsigned off)
{
	return window(v, &v->device) + off;
}

uint8_t virtio_status(const struct virtio *v)
{
	return read8(virtio_reg(v, VC_STATUS));
}

void virtio_set_status(const struct virtio *v, uint8_t status)
{
	write8(virtio_reg(v, VC_STATUS), status);
}

uint64_t virtio_offered(const struct virtio *v)
{
	uint64_t f;

	write32(virtio_reg(v, VC_DEVICE_FEATURE_SELECT), 1);
	f = (uint64_t)read32(virtio_reg(v, VC_DEVICE_FEATURE)) << 32;
	write32(virtio_reg(v, VC_DEVICE_FEATURE_SELECT), 0);
	return f | read32(virtio_reg(v, VC_DEVICE_FEATURE));
}

static bool status_is_zero(void *ctx)
{
	return virtio_status(ctx) == 0;
}

bool virtio_reset_ends(struct virtio *v)
{
	return poll_for(status_is_zero, v, LONG_MS);
}

bool virtio_reset(struct virtio *v)
{
	virtio_set_status(v, 0);
	return virtio_reset_ends(v);
}

bool virtio_negotiate(struct virtio *v, uint64_t wanted)
{
	if (!virtio_reset(v))
		return false;
	msix_enable(&v->msix, true, false);
	virtio_set_status(v, VS_ACKNOWLEDGE);
	virtio_set_status(v, VS_ACKNOWLEDGE | VS_DRIVER);
	v->features = virtio_offered(v) & (wanted | VIRTIO_BIT(VIRTIO_F_VERSION_1));
	write32(virtio_reg(v, VC_DRIVER_FEATURE_SELECT), 0);
	write32(virtio_reg(v, VC_DRIVER_FEATURE), (uint32_t)v->features);
	write32(virtio_reg(v, VC_DRIVER_FEATURE_SELECT), 1);
	write32(virtio_reg(v, VC_DRIVER_FEATURE), (uint32_t)(v->features >> 32));
	virtio_set_status(v, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK);
	return (virtio_status(v) & VS_FEATURES_OK) != 0;
}

static void write_address(struct virtio *v, unsigned reg, volatile void *p)
{
	write32(virtio_reg(v, reg), (uint32_t)(uint64_t)p);
	write32(virtio_reg(v, reg + 4), (uint32_t)((uint64_t)p >> 32));
}

/* As new, with memory for @size entries: the same as before if that is enough. */
static void clear_queue(struct vq *q, unsigned size)
{
	struct vq new = { .size = size,
			  .room = q->room,
			  .desc = q->desc,
			  .avail = q->avail,
			  .used = q->used,
			  .indirect = q->indirect };

	if (size > new.room) {
		new.room = size;
		new.desc = heap_alloc(16 * size, 4096);
		new.avail = heap_alloc(6 + 2 * size, 4096);
		new.used = heap_alloc(6 + 8 * size, 4096);
		new.indirect = heap_alloc(sizeof(*new.indirect) * VQ_SEGS * size, 4096);
	}
	*q = new;
	memset((void *)q->desc, 0, 16 * size);
	memset((void *)q->avail, 0, 6 + 2 * size);
	memset((void *)q->used, 0, 6 + 8 * size);
	q->free_count = (uint16_t)size;
	for (unsigned i = 0; i < size; i++)
		q->desc[i].next = (uint16_t)(i + 1);
}

bool virtio_queue(struct virtio *v, struct vq *q, unsigned index, unsigned size, unsigned vector)
{
	unsigned max;

	write16(virtio_reg(v, VC_QUEUE_SELECT), (uint16_t)index);
	max = read16(virtio_reg(v, VC_QUEUE_SIZE));
	if (max == 0)
		return false;
	if (size > max)
		size = max;
	if (size > VQ_MAX)
		size = VQ_MAX;

	clear_queue(q, size);
	q->dev = v;
	q->index = index;
	q->vector = vector;

	if (vector != NO_VECTOR)
		msix_set(&v->msix, vector, VEC_MSI + vector);
	else
		q->avail->flags = AVAIL_NO_INTERRUPT;
	write16(virtio_reg(v, VC_QUEUE_SIZE), (uint16_t)size);
	write16(virtio_reg(v, VC_QUEUE_VECTOR), (uint16_t)vector);
	if (read16(virtio_reg(v, VC_QUEUE_VECTOR)) != vector)
		return false;
	write_address(v, VC_QUEUE_DESC, q->desc);
	write_address(v, VC_QUEUE_DRIVER, q->avail);
	write_address(v, VC_QUEUE_DEVICE, q->used);
	q->doorbell = window(v, &v->notify) +
		      (uint64_t)read16(virtio_reg(v, VC_QUEUE_NOTIFY_OFF)) * v->notify_multiplier;
	write16(virtio_reg(v, VC_QUEUE_ENABLE), 1);
	return read16(virtio_reg(v, VC_QUEUE_ENABLE)) == 1;
}

void virtio_driver_ok(struct virtio *v)
{
	virtio_set_status(v, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK | VS_DRIVER_OK);
}

/* 2.7.10: the index at which each side wants to hear from the other lies behind its ring. */
static volatile uint16_t *used_event(struct vq *q)
{
	return &q->avail->ring[q->size];
}

static uint16_t avail_event(struct vq *q)
{
	return *(volatile uint16_t *)&q->used->ring[q->size];
}

static bool has_event_idx(const struct vq *q)
{
	return (q->dev->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) != 0;
}

static uint16_t take_desc(struct vq *q)
{
	uint16_t i = q->free_head;

	q->free_head = q->desc[i].next;
	q->free_count--;
	return i;
}

static void fill(volatile struct vq_desc *d, const struct vq_seg *s, bool more, uint16_t next)
{
	d->addr = (uint64_t)s->p;
	d->len = s->len;
	d->flags = (uint16_t)((s->in ? DESC_WRITE : 0) | (more ? DESC_NEXT : 0));
	if (more)
		d->next = next;
}

static int add_indirect(struct vq *q, const struct vq_seg *segs, unsigned n)
{
	uint16_t head;
	struct vq_desc *t;

	if (q->free_count == 0 || n > VQ_SEGS)
		return -1;
	head = take_desc(q);
	t = q->indirect + (size_t)VQ_SEGS * head;
	for (unsigned i = 0; i < n; i++)
		fill(&t[i], &segs[i], i + 1 < n, (uint16_t)(i + 1));
	q->desc[head].addr = (uint64_t)t;
	q->desc[head].len = (uint32_t)(n * sizeof(*t));
	q->desc[head].flags = DESC_INDIRECT;
	q->chain_len[head] = 1;
	return head;
}

static int add_chain(struct vq *q, const struct vq_seg *segs, unsigned n)
{
	uint16_t head = q->free_head, i = head;

	if (q->free_count < n)
		return -1;
	for (unsigned k = 0; k < n; k++) {
		uint16_t next;

		i = take_desc(q);
		next = q->free_head;
		fill(&q->desc[i], &segs[k], k + 1 < n, next);
	}
	q->chain_len[head] = (uint16_t)n;
	return head;
}

int vq_add(struct vq *q, const struct vq_seg *segs, unsigned n)
{
	int head = q->use_indirect ? add_indirect(q, segs, n) : add_chain(q, segs, n);

	if (head >= 0) {
		q->done[head] = false;
		vq_publish(q, (uint16_t)head);
	}
	return head;
}

void vq_publish(struct vq *q, uint16_t head)
{
	q->avail->ring[q->avail->idx % q->size] = head;
	barrier(); /* x86 keeps stores in order: the entry is there before the index says so */
	q->avail->idx++;
}

void vq_kick_always(struct vq *q)
{
	q->kicked = q->avail->idx;
	q->kicks++;
	write16(q->doorbell, (uint16_t)q->index);
}

void vq_kick(struct vq *q)
{
	uint16_t now = q->avail->idx, old = q->kicked;

	fence(); /* the index is visible before the device's wish is read */
	q->kicked = now;
	if (has_event_idx(q)) {
		if ((uint16_t)(now - avail_event(q) - 1) >= (uint16_t)(now - old))
			return;
	} else if ((q->used->flags & USED_NO_NOTIFY) != 0) {
		return;
	}
	vq_kick_always(q);
}

static void release(struct vq *q, uint16_t head)
{
	uint16_t i = head;

	for (unsigned n = q->chain_len[head]; n > 1; n--)
		i = q->desc[i].next;
	q->desc[i].next = q->free_head;
	q->free_head = head;
	q->free_count = (uint16_t)(q->free_count + q->chain_len[head]);
	q->chain_len[head] = 0;
}

unsigned vq_collect(struct vq *q)
{
	unsigned n = 0;

	while (q->last_used != q->used->idx && !q->broken) {
		volatile struct vq_used_elem *e = &q->used->ring[q->last_used % q->size];
		uint32_t id = e->id;

		if (id >= q->size || q->chain_len[id] == 0) {
			q->broken = true;
			break;
		}
		q->written[id] = e->len;
		q->done[id] = true;
		release(q, (uint16_t)id);
		q->last_used++;
		n++;
	}
	return n;
}

struct request_wait {
	struct vq *q;
	int head;
};

static bool request_done(void *ctx)
{
	const struct request_wait *w = ctx;
	struct vq *q = w->q;

	(void)vq_collect(q);
	if (q->done[w->head] || q->broken)
		return true;
	if (has_event_idx(q)) {
		*used_event(q) = q->last_used;
		fence(); /* pairs with the device: it publishes, then reads this */
		(void)vq_collect(q);
	}
	return q->done[w->head];
}

bool vq_wait(struct vq *q, int head, unsigned ms)
{
	struct request_wait w = { q, head };
	bool came = q->vector == NO_VECTOR ? poll_for(request_done, &w, ms)
					   : wait_for(request_done, &w, ms);

	return came && !q->broken;
}
