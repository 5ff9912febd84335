/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.c - virtio memory device, virtio 1.2, 5.15: a region of guest addresses, of
 * which the guest takes and gives back blocks until it has as much as is requested.
 *
 *	queue 0  requests of 24 bytes: 0 type u16, 8 addr u64, 16 nb_blocks u16
 *	         answers of 10 bytes: 0 type u16, 8 state u16
 *	configuration: struct mem_space
 *
 * All of the region is guest RAM from the start on, and costs nothing before it is
 * touched. A block that is unplugged goes back to the host (gmem_discard()). So the
 * table of guest memory never changes; but a guest that touches what it has not
 * plugged has it all the same, up to the size of the region.
 *
 * A reset of the device changes no block (5.15.5.1); one of the machine unplugs all.
 * Requests are on a thread of the device's own: giving blocks back takes a while.
 */
#include "devices/virtio/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/le.h"
#include "devices/virtio/virtio.h"

enum { F_ACPI_PXM = 0, F_UNPLUGGED_INACCESSIBLE = 1 };
enum { QUEUE_SIZE = 128, REQUEST_SIZE = 24, ANSWER_SIZE = 10 };
enum { AT_TYPE = 0, AT_ADDR = 8, AT_BLOCKS = 16, AT_STATE = 8 };

enum request_type { REQ_PLUG, REQ_UNPLUG, REQ_UNPLUG_ALL, REQ_STATE };
enum answer_type { ANSWER_ACK, ANSWER_NACK, ANSWER_BUSY, ANSWER_ERROR };
enum block_state { ALL_PLUGGED, ALL_UNPLUGGED, MIXED };

struct mem_space {
	le64 block_size;
	le16 node_id;
	uint8_t pad[6];
	le64 addr;
	le64 region_size;
	le64 usable_region_size;
	le64 plugged_size;
	le64 requested_size;
};
WIRE_SIZE(struct mem_space, 56);

struct virtio_mem {
	struct virtio v;         /* first */
	struct iothread *thread; /* owned */
	uint64_t base, blocks;   /* constant */
	uint8_t *is_plugged;     /* owned: a bit for each block; the queue's, while it runs */
	/* Under the device's lock. */
	struct mem_space space;
	uint64_t plugged, requested; /* bytes */
	bool machine_reset;
};

struct request {
	uint16_t type, blocks;
	gpa_t addr;
};

static struct virtio_mem *from_virtio(struct virtio *v)
{
	return (struct virtio_mem *)(void *)v;
}

/* ---- blocks ---- */

static bool get_bit(const struct virtio_mem *m, uint64_t i)
{
	return (m->is_plugged[i / 8] >> i % 8 & 1) != 0;
}

static void set_bits(struct virtio_mem *m, uint64_t first, uint64_t count, bool plugged)
{
	for (uint64_t i = first; i < first + count; i++) {
		const uint8_t bit = (uint8_t)(1u << i % 8);

		m->is_plugged[i / 8] = (uint8_t)(plugged ? m->is_plugged[i / 8] | bit
							 : m->is_plugged[i / 8] & ~bit);
	}
}

static void set_plugged_locked(struct virtio_mem *m, uint64_t bytes)
{
	m->plugged = bytes;
	m->space.plugged_size = le64_of(bytes);
}

static enum block_state state_of(const struct virtio_mem *m, uint64_t first, uint64_t count)
{
	const bool is = get_bit(m, first);

	for (uint64_t i = first + 1; i < first + count; i++)
		if (get_bit(m, i) != is)
			return MIXED;
	return is ? ALL_PLUGGED : ALL_UNPLUGGED;
}

/* The blocks of a request; false: it is none of this region. */
static bool find_blocks(const struct virtio_mem *m, const struct request *r, uint64_t *ret_first)
{
	const uint64_t off = r->addr - m->base;

	*ret_first = off / VIRTIO_MEM_BLOCK;
	return r->addr >= m->base && off % VIRTIO_MEM_BLOCK == 0 && r->blocks != 0 &&
	       *ret_first < m->blocks && r->blocks <= m->blocks - *ret_first;
}

static enum answer_type plug(struct virtio_mem *m, const struct request *r, uint64_t first)
{
	const uint64_t n = r->blocks * VIRTIO_MEM_BLOCK;
	bool may;

	if (state_of(m, first, r->blocks) != ALL_UNPLUGGED)
		return ANSWER_ERROR;
	dev_take(m->v.dev);
	may = m->plugged + n <= m->requested;
	if (may)
		set_plugged_locked(m, m->plugged + n);
	dev_drop(m->v.dev);
	if (may)
		set_bits(m, first, r->blocks, true);
	return may ? ANSWER_ACK : ANSWER_NACK;
}

/* They go back before anybody hears of it; without the lock, as that takes a while. */
static enum answer_type unplug(struct virtio_mem *m, const struct request *r, uint64_t first)
{
	const uint64_t n = r->blocks * VIRTIO_MEM_BLOCK;

	if (state_of(m, first, r->blocks) != ALL_PLUGGED)
		return ANSWER_ERROR;
	(void)gmem_discard(m->v.dev->env->gmem, r->addr, n);
	set_bits(m, first, r->blocks, false);
	dev_take(m->v.dev);
	set_plugged_locked(m, m->plugged - n);
	dev_drop(m->v.dev);
	return ANSWER_ACK;
}

static void take_all(struct virtio_mem *m)
{
	(void)gmem_discard(m->v.dev->env->gmem, m->base, m->blocks * VIRTIO_MEM_BLOCK);
	set_bits(m, 0, m->blocks, false);
}

static enum answer_type unplug_all(struct virtio_mem *m)
{
	take_all(m);
	dev_take(m->v.dev);
	set_plugged_locked(m, 0);
	dev_drop(m->v.dev);
	return ANSWER_ACK;
}

static enum answer_type answer(struct virtio_mem *m, const struct request *r, uint16_t *ret_state)
{
	uint64_t first;

	if (r->type == REQ_UNPLUG_ALL)
		return unplug_all(m);
	if (r->type > REQ_STATE || !find_blocks(m, r, &first))
		return ANSWER_ERROR;
	if (r->type == REQ_PLUG)
		return plug(m, r, first);
	if (r->type == REQ_UNPLUG)
		return unplug(m, r, first);
	*ret_state = (uint16_t)state_of(m, first, r->blocks);
	return ANSWER_ACK;
}

/* ---- the device ---- */

static enum virtio_next mem_request(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct virtio_mem *m = from_virtio(q->v);
	uint8_t in[REQUEST_SIZE], out[ANSWER_SIZE] = { 0 };
	struct request r;
	uint16_t state = 0;

	if (c->out_len < REQUEST_SIZE || c->in_len < ANSWER_SIZE ||
	    virtq_read(&q->ring, c, 0, in, sizeof(in)) < 0)
		return VIRTIO_BROKEN;
	r = (struct request){ .type = ld16(in + AT_TYPE),
			      .blocks = ld16(in + AT_BLOCKS),
			      .addr = ld64(in + AT_ADDR) };
	st16(out + AT_TYPE, (uint16_t)answer(m, &r, &state));
	st16(out + AT_STATE, state);
	if (r.type != REQ_STATE)
		dev_progress(q->v->dev);
	if (virtq_write(&q->ring, c, 0, out, sizeof(out)) < 0)
		return VIRTIO_BROKEN;
	virtio_push(q, c->head, sizeof(out));
	return VIRTIO_TAKEN;
}

static void mem_driver_reset(struct virtio *v)
{
	struct virtio_mem *m = from_virtio(v);

	if (m->machine_reset && m->plugged != 0) {
		take_all(m);
		set_plugged_locked(m, 0);
	}
	m->machine_reset = false;
}

static void mem_reset(struct dev *d)
{
	struct virtio_mem *m = d->state;

	m->machine_reset = true;
	virtio_reset(d);
}

static void set_requested(struct virtio_mem *m, uint64_t bytes)
{
	m->requested = bytes;
	m->space.requested_size = le64_of(bytes);
}

static void mem_save(struct virtio *v, struct saver *s)
{
	const struct virtio_mem *m = from_virtio(v);

	save_u64(s, m->base);
	save_u64(s, m->blocks);
	save_u64(s, m->requested);
	save_bytes(s, m->is_plugged, (m->blocks + 7) / 8);
}

static void mem_load(struct virtio *v, struct loader *l)
{
	struct virtio_mem *m = from_virtio(v);
	uint64_t requested, plugged = 0;

	if (load_u64(l) != m->base || load_u64(l) != m->blocks)
		load_fail(l);
	requested = load_u64(l);
	if (requested % VIRTIO_MEM_BLOCK != 0 || requested > m->blocks * VIRTIO_MEM_BLOCK)
		load_fail(l);
	if (l->failed)
		return;
	load_bytes(l, m->is_plugged, (m->blocks + 7) / 8);
	for (uint64_t i = 0; i < m->blocks; i++)
		plugged += get_bit(m, i) ? VIRTIO_MEM_BLOCK : 0;
	set_requested(m, requested);
	set_plugged_locked(m, plugged);
}

static const struct virtio_ops mem_ops = {
	.request = mem_request,
	.driver_reset = mem_driver_reset,
	.save = mem_save,
	.load = mem_load,
};

void virtio_mem_look(const struct dev *dev, struct virtio_mem_state *ret)
{
	struct dev *d = (struct dev *)(uintptr_t)dev; /* for its lock */
	const struct virtio_mem *m = d->state;

	dev_take(d);
	*ret = (struct virtio_mem_state){ .size = m->blocks * VIRTIO_MEM_BLOCK,
					  .requested = m->requested,
					  .plugged = m->plugged,
					  .driver = (m->v.status & VIRTIO_DRIVER_OK) != 0 };
	dev_drop(d);
}

void virtio_mem_resize(struct dev *d, uint64_t bytes)
{
	struct virtio_mem *m = d->state;

	assert(bytes % VIRTIO_MEM_BLOCK == 0 && bytes <= m->blocks * VIRTIO_MEM_BLOCK);
	dev_take(d);
	if (m->requested != bytes) {
		set_requested(m, bytes);
		virtio_config_changed(&m->v);
	}
	dev_drop(d);
}

static void destroy(struct virtio_mem *m)
{
	virtio_fini(&m->v);
	iothread_destroy(m->thread);
	free(m->is_plugged);
}

static int mem_init(struct dev *d, struct sill_err *e)
{
	const struct virtio_mem_config *c = d->config;
	struct virtio_mem *m = d->state;
	const struct virtio_spec spec = {
		.ops = &mem_ops,
		.type = VIRTIO_MEM,
		.class_code = 0x00ff00,
		.queue_count = 1,
		.queue_size = QUEUE_SIZE,
		.features = 1ull << F_ACPI_PXM | 1ull << F_UNPLUGGED_INACCESSIBLE,
		.config = &m->space,
		.config_size = sizeof(m->space),
	};

	assert((c->base | c->size | c->requested) % VIRTIO_MEM_BLOCK == 0 && c->size != 0);
	m->base = c->base;
	m->blocks = c->size / VIRTIO_MEM_BLOCK;
	m->space = (struct mem_space){ .block_size = le64_of(VIRTIO_MEM_BLOCK),
				       .addr = le64_of(c->base),
				       .region_size = le64_of(c->size),
				       .usable_region_size = le64_of(c->size) };
	set_requested(m, c->requested);
	if (virtio_init(&m->v, d, &spec, e) < 0)
		return -1;
	m->is_plugged = calloc((m->blocks + 7) / 8, 1);
	if (m->is_plugged == NULL)
		(void)sill_err_sys(e, ENOMEM, "blocks");
	else
		m->thread = iothread_create("mem", 0, e);
	if (m->thread != NULL) {
		m->v.queue[0].loop = iothread_loop(m->thread);
		if (virtio_attach(&m->v, c->slot, e) == 0)
			return 0;
	}
	destroy(m);
	return -1;
}

static void mem_fini(struct dev *d)
{
	destroy(d->state);
}

const struct dev_ops virtio_mem_ops = {
	.type = "virtio-mem",
	.state_size = sizeof(struct virtio_mem),
	.init = mem_init,
	VIRTIO_DEV_OPS,
	.reset = mem_reset,
	.fini = mem_fini,
};
