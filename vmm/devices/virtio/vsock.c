/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock.c - virtio socket device, virtio 1.2, 5.10: streams between the guest and
 * the host. What the packets mean is in backend/vsock/mux.c; here they are taken
 * from the guest's memory and put there.
 *
 *	queue 0  packets for the guest     configuration: 0 guest_cid u64
 *	queue 1  packets from it
 *	queue 2  events: connections are lost, after a load
 *
 * All queues and the host's sockets are on a thread of the device's own. A packet
 * from the guest waits in its ring while the answers to earlier ones have no room.
 */
#include "devices/virtio/vsock.h"

#include <errno.h>
#include <stdlib.h>

#include "backend/vsock/mux.h"
#include "base/fd.h"
#include "base/le.h"
#include "devices/virtio/virtio.h"

enum { RX = 0, TX = 1, EVENT = 2, QUEUES = 3, QUEUE_SIZE = 256 };

/* 5.10.6.7: all connections are gone, the guest's CID is to be read again. */
enum { EVENT_TRANSPORT_RESET = 0 };

/* A header on the wire, 5.10.6. */
enum {
	AT_SRC_CID = 0,
	AT_DST_CID = 8,
	AT_SRC_PORT = 16,
	AT_DST_PORT = 20,
	AT_LEN = 24,
	AT_TYPE = 28,
	AT_OP = 30,
	AT_FLAGS = 32,
	AT_BUF_ALLOC = 36,
	AT_FWD_CNT = 40,
	HEADER_SIZE = 44,
};

struct virtio_vsock {
	struct virtio v;         /* first */
	struct iothread *thread; /* owned */
	struct loop *loop;
	struct vsock_mux *mux; /* owned; the loop's thread */
	struct loop_task run;
	uint8_t *in, *out; /* owned: the data of one packet, to the guest and from it */
	le64 cid;          /* the configuration space */
	/* Atomic. */
	bool forget; /* the driver has been reset: its connections go */
	bool lost;   /* the guest is to hear that its connections are lost */
};

static struct virtio_vsock *from_virtio(struct virtio *v)
{
	return (struct virtio_vsock *)(void *)v;
}

/* A reset of the driver takes its connections along before a packet of the next one is looked at. */
static void settle(struct virtio_vsock *vs)
{
	if (__atomic_exchange_n(&vs->forget, false, __ATOMIC_ACQ_REL))
		vsock_mux_reset(vs->mux);
}

static void to_wire(uint8_t ret[HEADER_SIZE], const struct vsock_header *h)
{
	st64(ret + AT_SRC_CID, h->src_cid);
	st64(ret + AT_DST_CID, h->dst_cid);
	st32(ret + AT_SRC_PORT, h->src_port);
	st32(ret + AT_DST_PORT, h->dst_port);
	st32(ret + AT_LEN, h->len);
	st16(ret + AT_TYPE, h->type);
	st16(ret + AT_OP, h->op);
	st32(ret + AT_FLAGS, h->flags);
	st32(ret + AT_BUF_ALLOC, h->buf_alloc);
	st32(ret + AT_FWD_CNT, h->fwd_cnt);
}

static void from_wire(struct vsock_header *ret, const uint8_t w[HEADER_SIZE])
{
	*ret = (struct vsock_header){
		.src_cid = ld64(w + AT_SRC_CID),
		.dst_cid = ld64(w + AT_DST_CID),
		.src_port = ld32(w + AT_SRC_PORT),
		.dst_port = ld32(w + AT_DST_PORT),
		.len = ld32(w + AT_LEN),
		.type = ld16(w + AT_TYPE),
		.op = ld16(w + AT_OP),
		.flags = ld32(w + AT_FLAGS),
		.buf_alloc = ld32(w + AT_BUF_ALLOC),
		.fwd_cnt = ld32(w + AT_FWD_CNT),
	};
}

static enum virtio_next give(struct virtio_vsock *vs, struct virtio_queue *q,
			     const struct virtq_chain *c)
{
	uint8_t wire[HEADER_SIZE];
	struct vsock_header h;

	if (c->in_len <= HEADER_SIZE)
		return VIRTIO_BROKEN; /* no room for a byte */
	if (!vsock_mux_give(vs->mux, &h, vs->in, c->in_len - HEADER_SIZE))
		return VIRTIO_WAIT;
	to_wire(wire, &h);
	if (virtq_write(&q->ring, c, 0, wire, HEADER_SIZE) < 0 ||
	    virtq_write(&q->ring, c, HEADER_SIZE, vs->in, h.len) < 0)
		return VIRTIO_BROKEN;
	virtio_push(q, c->head, HEADER_SIZE + h.len);
	return VIRTIO_TAKEN;
}

static enum virtio_next take(struct virtio_vsock *vs, struct virtio_queue *q,
			     const struct virtq_chain *c)
{
	uint8_t wire[HEADER_SIZE];
	struct vsock_header h;
	bool has_data;

	if (!vsock_mux_can_take(vs->mux))
		return VIRTIO_WAIT; /* give() goes on with it */
	if (c->out_len < HEADER_SIZE || virtq_read(&q->ring, c, 0, wire, HEADER_SIZE) < 0)
		return VIRTIO_BROKEN;
	from_wire(&h, wire);
	has_data = h.len <= VSOCK_PACKET && h.len <= c->out_len - HEADER_SIZE;
	if (has_data && virtq_read(&q->ring, c, HEADER_SIZE, vs->out, h.len) < 0)
		return VIRTIO_BROKEN;
	vsock_mux_take(vs->mux, &h, has_data ? vs->out : NULL);
	virtio_push(q, c->head, 0);
	return VIRTIO_TAKEN;
}

static enum virtio_next tell(struct virtio_vsock *vs, struct virtio_queue *q,
			     const struct virtq_chain *c)
{
	const le32 event = le32_of(EVENT_TRANSPORT_RESET);

	if (!__atomic_load_n(&vs->lost, __ATOMIC_ACQUIRE))
		return VIRTIO_WAIT;
	if (virtq_write(&q->ring, c, 0, &event, sizeof(event)) < 0)
		return VIRTIO_BROKEN;
	__atomic_store_n(&vs->lost, false, __ATOMIC_RELEASE);
	virtio_push(q, c->head, sizeof(event));
	return VIRTIO_TAKEN;
}

static enum virtio_next vsock_request(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct virtio_vsock *vs = from_virtio(q->v);

	settle(vs);
	if (q->index == RX)
		return give(vs, q, c);
	return q->index == TX ? take(vs, q, c) : tell(vs, q, c);
}

/* On the loop: the other queue may go on. Nothing else to do: both come to rest by themselves. */
static void run(void *ctx)
{
	struct virtio_vsock *vs = ctx;

	settle(vs);
	virtio_run(&vs->v.queue[RX]);
	if (vs->v.queue[TX].waits && vsock_mux_can_take(vs->mux))
		virtio_run(&vs->v.queue[TX]);
}

static void wake(void *ctx)
{
	struct virtio_vsock *vs = ctx;

	loop_post(vs->loop, &vs->run);
}

/* What the guest has taken may have made room for what it sends. */
static void vsock_unplug(struct virtio_queue *q)
{
	struct virtio_vsock *vs = from_virtio(q->v);

	if (q->index == RX && vs->v.queue[TX].waits)
		wake(vs);
}

static void vsock_driver_reset(struct virtio *v)
{
	struct virtio_vsock *vs = from_virtio(v);

	__atomic_store_n(&vs->forget, true, __ATOMIC_RELEASE);
	__atomic_store_n(&vs->lost, false, __ATOMIC_RELEASE);
	if (vs->mux != NULL)
		wake(vs);
}

static void vsock_load(struct virtio *v, struct loader *l)
{
	(void)l;
	/* The sockets stayed behind: virtio 1.2, 5.10.6.7. */
	__atomic_store_n(&from_virtio(v)->lost, true, __ATOMIC_RELEASE);
}

static const struct virtio_ops vsock_ops = {
	.request = vsock_request,
	.unplug = vsock_unplug,
	.driver_reset = vsock_driver_reset,
	.load = vsock_load,
};

struct make {
	struct virtio_vsock *vs;
	const struct vsock_mux_config *config;
	struct sill_err *e;
};

static void make_mux(void *ctx)
{
	const struct make *m = ctx;

	m->vs->mux = vsock_mux_create(m->config, m->e);
}

static void destroy_mux(void *ctx)
{
	struct virtio_vsock *vs = ctx;

	loop_unpost(vs->loop, &vs->run);
	vsock_mux_destroy(vs->mux);
	vs->mux = NULL;
}

static int create(struct virtio_vsock *vs, const struct virtio_vsock_config *c, struct sill_err *e)
{
	struct vsock_mux_config mux = {
		.id = vs->v.dev->id,
		.cid = c->cid,
		.listen_fd = c->listen_fd,
		.connect = c->connect,
		.connect_ctx = c->connect_ctx,
		.wake = wake,
		.wake_ctx = vs,
	};
	struct make make = { vs, &mux, e };

	vs->in = malloc(VSOCK_PACKET);
	vs->out = malloc(VSOCK_PACKET);
	if (vs->in == NULL || vs->out == NULL) {
		fd_close(&mux.listen_fd);
		return sill_err_sys(e, ENOMEM, "packets");
	}
	vs->thread = iothread_create("vsock", 0, e);
	if (vs->thread == NULL) {
		fd_close(&mux.listen_fd);
		return -1;
	}
	mux.loop = vs->loop = iothread_loop(vs->thread);
	vs->run = (struct loop_task){ .fn = run, .ctx = vs };
	loop_call(vs->loop, make_mux, &make);
	for (unsigned i = 0; i < QUEUES; i++)
		vs->v.queue[i].loop = vs->loop;
	return vs->mux != NULL ? 0 : -1;
}

static void destroy(struct virtio_vsock *vs)
{
	virtio_detach(&vs->v);
	if (vs->thread != NULL)
		loop_call(vs->loop, destroy_mux, vs);
	virtio_fini(&vs->v);
	iothread_destroy(vs->thread);
	free(vs->in);
	free(vs->out);
}

static int vsock_init(struct dev *d, struct sill_err *e)
{
	const struct virtio_vsock_config *c = d->config;
	struct virtio_vsock *vs = d->state;
	const struct virtio_spec spec = {
		.ops = &vsock_ops,
		.type = VIRTIO_VSOCK,
		.class_code = 0x028000, /* network, other */
		.queue_count = QUEUES,
		.queue_size = QUEUE_SIZE,
		.config = &vs->cid,
		.config_size = sizeof(vs->cid),
	};
	int fd = c->listen_fd;

	vs->cid = le64_of(c->cid);
	if (virtio_init(&vs->v, d, &spec, e) < 0) {
		fd_close(&fd);
		return -1;
	}
	if (create(vs, c, e) == 0 && virtio_attach(&vs->v, c->slot, e) == 0)
		return 0;
	destroy(vs);
	return -1;
}

static void vsock_fini(struct dev *d)
{
	destroy(d->state);
}

const struct dev_ops virtio_vsock_ops = {
	.type = "virtio-vsock",
	.state_size = sizeof(struct virtio_vsock),
	.init = vsock_init,
	VIRTIO_DEV_OPS,
	.reset = virtio_reset,
	.fini = vsock_fini,
};
