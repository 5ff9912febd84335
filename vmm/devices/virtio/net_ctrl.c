/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_ctrl.c - the control queue, virtio 1.2, 5.1.6.5.
 *
 * A command is { class u8, command u8, data }; the answer is one byte, OK or ERR,
 * and the length in the used ring is exactly 1: Windows' driver gives the card
 * up at any other. Commands whose feature was not negotiated, or whose length is
 * not exactly right, are ERR and change nothing. Nothing here waits: the driver
 * spins until the answer is there.
 */
#include "devices/virtio/net_priv.h"

#include <string.h>

enum { ACK_OK = 0, ACK_ERR = 1 };

enum {
	CLASS_RX = 0,
	CLASS_MAC = 1,
	CLASS_MQ = 4,
	CLASS_OFFLOADS = 5,
	RX_PROMISC = 0,
	RX_ALLMULTI = 1,
	MAC_TABLE_SET = 0,
	MAC_ADDR_SET = 1,
	MQ_PAIRS_SET = 0,
	OFFLOADS_SET = 0,
	COMMAND = 2, /* bytes before the data */
};

/* One command. The device's lock is held. */
struct command {
	struct virtio_net *vn;
	const struct virtq *ring;
	const struct virtq_chain *chain;
};

/* All data of a command that has exactly @n bytes of it. */
static bool get(const struct command *m, void *data, uint32_t n)
{
	return m->chain->out_len == COMMAND + n &&
	       virtq_read(m->ring, m->chain, COMMAND, data, n) == 0;
}

static bool set_mode(const struct command *m, bool *mode)
{
	uint8_t on;

	if (!get(m, &on, 1) || on > 1)
		return false;
	*mode = on != 0;
	net_apply_filter(m->vn);
	return true;
}

/*
 * One list of addresses, { count u32, addresses }, at *@off. Those that fit go to the table; if
 * they do not all fit, the filter is off.
 */
static bool get_list(const struct command *m, uint32_t *off, uint8_t table[NET_MAX_MACS][6],
		     unsigned *count)
{
	const uint32_t len = m->chain->out_len;
	le32 word;
	uint32_t n;

	if (*off > len || len - *off < sizeof(word) ||
	    virtq_read(m->ring, m->chain, *off, &word, sizeof(word)) < 0)
		return false;
	*off += sizeof(word);
	n = le32_get(word);
	if (n > (len - *off) / 6)
		return false;
	for (uint32_t i = 0; i < n && *count < NET_MAX_MACS; i++)
		if (virtq_read(m->ring, m->chain, *off + 6 * i, table[(*count)++], 6) < 0)
			return false;
	*off += 6 * n;
	return true;
}

static bool set_table(const struct command *m)
{
	uint8_t table[NET_MAX_MACS][6];
	unsigned count = 0;
	uint32_t off = COMMAND;

	if (!get_list(m, &off, table, &count) || !get_list(m, &off, table, &count) ||
	    off != m->chain->out_len)
		return false;
	memcpy(m->vn->table, table, 6 * (size_t)count);
	m->vn->mac_count = count;
	net_apply_filter(m->vn);
	return true;
}

static bool set_address(const struct command *m)
{
	uint8_t mac[6];

	if (!virtio_has(&m->vn->v, F_CTRL_MAC_ADDR) || !get(m, mac, 6) || (mac[0] & 1) != 0)
		return false;
	if (memcmp(m->vn->space.mac, mac, 6) != 0) {
		memcpy(m->vn->space.mac, mac, 6);
		m->vn->v.generation++;
		net_apply_filter(m->vn);
	}
	return true;
}

static bool set_pairs(const struct command *m)
{
	le16 pairs;

	if (!virtio_has(&m->vn->v, F_MQ) || !get(m, &pairs, 2) || le16_get(pairs) == 0 ||
	    le16_get(pairs) > m->vn->pair_count)
		return false;
	net_apply_pairs(m->vn, le16_get(pairs));
	return true;
}

static bool set_offloads(const struct command *m)
{
	const uint64_t guest = 1ull << F_GUEST_CSUM | 1ull << F_GUEST_TSO4 | 1ull << F_GUEST_TSO6 |
			       1ull << F_GUEST_ECN | 1ull << F_GUEST_USO4 | 1ull << F_GUEST_USO6;
	le64 word;

	if (!virtio_has(&m->vn->v, F_CTRL_GUEST_OFFLOADS) || !get(m, &word, 8) ||
	    (le64_get(word) & ~(m->vn->v.features & guest)) != 0)
		return false;
	net_apply_offloads(m->vn, net_guest_offloads(le64_get(word)));
	return true;
}

static bool execute(const struct command *m, unsigned class, unsigned command)
{
	struct virtio_net *vn = m->vn;
	const bool rx = virtio_has(&vn->v, F_CTRL_RX);

	switch (class << 8 | command) {
	case CLASS_RX << 8 | RX_PROMISC:
		return rx && set_mode(m, &vn->promiscuous);
	case CLASS_RX << 8 | RX_ALLMULTI:
		return rx && set_mode(m, &vn->all_multicast);
	case CLASS_MAC << 8 | MAC_TABLE_SET:
		return rx && set_table(m);
	case CLASS_MAC << 8 | MAC_ADDR_SET:
		return set_address(m);
	case CLASS_MQ << 8 | MQ_PAIRS_SET:
		return set_pairs(m);
	case CLASS_OFFLOADS << 8 | OFFLOADS_SET:
		return set_offloads(m);
	default:
		return false;
	}
}

enum virtio_next net_control(struct virtio_queue *q, const struct virtq_chain *c)
{
	const struct command m = { .vn = net_of(q->v), .ring = &q->ring, .chain = c };
	uint8_t head[COMMAND], ack = ACK_ERR;

	if (c->in_len == 0)
		return VIRTIO_BROKEN; /* nowhere to answer */
	if (c->out_len >= COMMAND) {
		if (virtq_read(&q->ring, c, 0, head, COMMAND) < 0)
			return VIRTIO_BROKEN;
		dev_take(q->v->dev);
		if (execute(&m, head[0], head[1]))
			ack = ACK_OK;
		dev_drop(q->v->dev);
	}
	if (virtq_write(&q->ring, c, 0, &ack, 1) < 0)
		return VIRTIO_BROKEN;
	virtio_push(q, c->head, 1);
	return VIRTIO_TAKEN;
}
