/* SPDX-License-Identifier: Apache-2.0 */
/* blk.c - see blk.h. */
#include "blk.h"

#include "../pattern.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"

bool blk_start(struct blk *b, const struct blk_setup *s)
{
	unsigned want = s->queues != 0 ? s->queues : 1, have = 1;
	uint64_t all = VIRTIO_BIT(BLK_F_SEG_MAX) | VIRTIO_BIT(BLK_F_RO) |
		       VIRTIO_BIT(BLK_F_BLK_SIZE) | VIRTIO_BIT(BLK_F_FLUSH) |
		       VIRTIO_BIT(BLK_F_CONFIG_WCE) | VIRTIO_BIT(BLK_F_MQ) |
		       VIRTIO_BIT(BLK_F_DISCARD) | VIRTIO_BIT(BLK_F_WRITE_ZEROES) |
		       VIRTIO_BIT(VIRTIO_F_INDIRECT) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX);

	if (!virtio_negotiate(&b->v, all & ~s->without))
		return false;
	if ((b->v.features & VIRTIO_BIT(BLK_F_MQ)) != 0)
		have = read16(virtio_config(&b->v, BLK_NUM_QUEUES));
	b->sectors = read32(virtio_config(&b->v, BLK_CAPACITY)) |
		     (uint64_t)read32(virtio_config(&b->v, BLK_CAPACITY + 4)) << 32;
	b->queues = want < have ? want : have;
	if (b->queues > BLK_QUEUES)
		b->queues = BLK_QUEUES;
	for (unsigned i = 0; i < b->queues; i++) {
		if (!virtio_queue(&b->v, &b->q[i], i, s->size != 0 ? s->size : 64,
				  s->interrupts ? i : NO_VECTOR))
			return false;
		b->q[i].use_indirect =
			s->indirect && (b->v.features & VIRTIO_BIT(VIRTIO_F_INDIRECT)) != 0;
	}
	virtio_driver_ok(&b->v);
	return true;
}

bool blk_open(struct blk *b, bool readonly, const struct blk_setup *s)
{
	for (unsigned n = 0; virtio_open(&b->v, VIRTIO_TYPE_BLK, n); n++)
		if (((virtio_offered(&b->v) & VIRTIO_BIT(BLK_F_RO)) != 0) == readonly)
			return blk_start(b, s);
	return false;
}

void blk_submit(struct vq *q, struct blk_request *r, uint32_t type, uint64_t sector, void *data,
		uint32_t len)
{
	bool from_device = type == BLK_IN || type == BLK_GET_ID;
	struct vq_seg s[3] = { { &r->header, sizeof(r->header), false } };
	unsigned n = 1;

	r->header = (struct blk_header){ .type = type, .sector = sector };
	r->status = 0xff;
	if (len != 0)
		s[n++] = (struct vq_seg){ data, len, from_device };
	s[n++] = (struct vq_seg){ (void *)&r->status, 1, true };
	r->head = vq_add(q, s, n);
}

uint8_t blk_do(struct blk *b, unsigned queue, uint32_t type, uint64_t sector, void *data,
	       uint32_t len)
{
	struct blk_request r;

	blk_submit(&b->q[queue], &r, type, sector, data, len);
	if (r.head < 0)
		return BLK_NO_ROOM;
	vq_kick(&b->q[queue]);
	return vq_wait(&b->q[queue], r.head, LONG_MS) ? r.status : BLK_TIMEOUT;
}

bool blk_works(struct blk *b)
{
	static uint8_t buf[8 * SECTOR_SIZE] __attribute__((aligned(4096)));

	memset(buf, 0, sizeof(buf));
	return blk_do(b, 0, BLK_IN, 16, buf, sizeof(buf)) == BLK_OK &&
	       pattern_check(SALT_HOST, 16, 8, buf) < 0;
}
