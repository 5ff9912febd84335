/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c - virtio console device with one port, virtio 1.2, 5.3.
 *
 * Queue 0 brings input to the guest, queue 1 its output. Output never waits:
 * the backend keeps what it can and drops and counts the rest. Input waits in
 * the backend until the guest has given buffers for it. The size of the
 * terminal is in the configuration space; a change interrupts. Main loop.
 *
 *	configuration: 0 cols u16, 2 rows u16, 4 max_nr_ports u32, 8 emerg_wr u32
 */
#include "devices/virtio/console.h"

#include "backend/serial/chr.h"
#include "base/le.h"
#include "devices/virtio/virtio.h"

enum {
	F_SIZE = 0,
	RX = 0,
	TX = 1,
	QUEUE_SIZE = 64,
	PIECE = 4096,
	/* Of one output request; no console driver sends more than a page. */
	TX_MAX = 1 << 20,
};

struct console_space {
	le16 cols, rows;
	le32 max_nr_ports;
	le32 emerg_wr;
};
WIRE_SIZE(struct console_space, 12);

struct virtio_console {
	struct virtio v; /* first */
	struct chr *chr; /* owned */
	struct console_space space;
};

static struct virtio_console *from_virtio(struct virtio *v)
{
	return (struct virtio_console *)(void *)v;
}

static enum virtio_next send_input(struct virtio_console *vc, struct virtio_queue *q,
				   const struct virtq_chain *c)
{
	const uint32_t n = c->in_len < PIECE ? c->in_len : PIECE;
	char piece[PIECE];
	size_t got = 0;

	if (n > 0) {
		got = vc->chr != NULL ? chr_read(vc->chr, piece, n) : 0;
		if (got == 0)
			return VIRTIO_WAIT;
	}
	if (virtq_write(&q->ring, c, 0, piece, (uint32_t)got) < 0)
		return VIRTIO_BROKEN;
	virtio_push(q, c->head, (uint32_t)got);
	return VIRTIO_TAKEN;
}

static enum virtio_next take_output(struct virtio_console *vc, struct virtio_queue *q,
				    const struct virtq_chain *c)
{
	if (c->out_len > TX_MAX)
		return VIRTIO_BROKEN;
	for (uint32_t off = 0; off < c->out_len;) {
		const uint32_t left = c->out_len - off;
		const uint32_t n = left < PIECE ? left : PIECE;
		char piece[PIECE];

		if (virtq_read(&q->ring, c, off, piece, n) < 0)
			return VIRTIO_BROKEN;
		if (vc->chr != NULL)
			chr_write(vc->chr, piece, n);
		off += n;
	}
	virtio_push(q, c->head, 0);
	return VIRTIO_TAKEN;
}

static enum virtio_next console_request(struct virtio_queue *q, const struct virtq_chain *c)
{
	struct virtio_console *vc = from_virtio(q->v);

	return q->index == RX ? send_input(vc, q, c) : take_output(vc, q, c);
}

static void on_readable(void *ctx)
{
	struct virtio_console *vc = ctx;

	virtio_run(&vc->v.queue[RX]);
}

static void set_size(struct virtio_console *vc, uint16_t cols, uint16_t rows)
{
	vc->space.cols = le16_of(cols);
	vc->space.rows = le16_of(rows);
}

void virtio_console_resize(struct dev *d, uint16_t cols, uint16_t rows)
{
	struct virtio_console *vc = d->state;

	dev_take(d);
	if (le16_get(vc->space.cols) != cols || le16_get(vc->space.rows) != rows) {
		set_size(vc, cols, rows);
		if (virtio_has(&vc->v, F_SIZE))
			virtio_config_changed(&vc->v);
	}
	dev_drop(d);
}

static void on_resized(void *ctx, uint16_t cols, uint16_t rows)
{
	struct virtio_console *vc = ctx;

	virtio_console_resize(vc->v.dev, cols, rows);
}

static const struct virtio_ops console_ops = {
	.request = console_request,
};

static int console_init(struct dev *d, struct sill_err *e)
{
	const struct virtio_console_config *c = d->config;
	struct virtio_console *vc = d->state;
	const struct virtio_spec spec = {
		.ops = &console_ops,
		.type = VIRTIO_CONSOLE,
		.class_code = 0x078000, /* communication, other */
		.queue_count = 2,
		.queue_size = QUEUE_SIZE,
		.features = 1ull << F_SIZE,
		.config = &vc->space,
		.config_size = sizeof(vc->space),
	};
	const struct chr_user user = { .readable = on_readable, .resized = on_resized, .ctx = vc };

	vc->chr = c->chr;
	vc->space.max_nr_ports = le32_of(1);
	set_size(vc, c->cols, c->rows);
	if (virtio_init(&vc->v, d, &spec, e) < 0 || virtio_attach(&vc->v, c->slot, e) < 0) {
		virtio_fini(&vc->v);
		chr_destroy(vc->chr);
		return -1;
	}
	if (vc->chr != NULL)
		chr_set_user(vc->chr, &user);
	return 0;
}

static void console_fini(struct dev *d)
{
	struct virtio_console *vc = d->state;

	if (vc->chr != NULL)
		chr_set_user(vc->chr, NULL);
	virtio_fini(&vc->v);
	chr_destroy(vc->chr);
}

const struct dev_ops virtio_console_ops = {
	.type = "virtio-console",
	.state_size = sizeof(struct virtio_console),
	.init = console_init,
	VIRTIO_DEV_OPS,
	.reset = virtio_reset,
	.fini = console_fini,
};
