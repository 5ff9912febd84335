/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio_net_ctrl.c - what a driver can set: the control queue, several pairs,
 * features; and what the back end is told. The back end writes it down.
 */
#include "net_kit.h"

#include <pthread.h>
#include <sys/eventfd.h>

static struct {
	struct net net; /* first */
	unsigned offloads, queues;
	bool carrier;
	struct net_filter filter;
	unsigned purges;
	uint8_t in[WN_PAIRS][2048]; /* what recv() gives, */
	size_t in_length[WN_PAIRS]; /* atomic; once */
	unsigned out[WN_PAIRS];     /* atomic: frames */
} fake;

static ssize_t fake_recv(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	size_t left = __atomic_load_n(&fake.in_length[queue], __ATOMIC_ACQUIRE), off = 0;
	uint64_t one;

	(void)n;
	if (left == 0) {
		if (read(fake.net.fd[queue], &one, sizeof(one)) < 0)
			return NET_AGAIN;
		return NET_AGAIN;
	}
	for (int i = 0; i < count && off < left; i++) {
		const size_t part = iov[i].iov_len < left - off ? iov[i].iov_len : left - off;

		memcpy(iov[i].iov_base, fake.in[queue] + off, part);
		off += part;
	}
	__atomic_store_n(&fake.in_length[queue], 0, __ATOMIC_RELEASE);
	return (ssize_t)left;
}

static ssize_t fake_send(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	(void)n;
	(void)iov;
	(void)count;
	__atomic_add_fetch(&fake.out[queue], 1, __ATOMIC_SEQ_CST);
	return 1;
}

static void fake_offloads(struct net *n, unsigned offloads)
{
	(void)n;
	fake.offloads = offloads;
}

static void fake_queues(struct net *n, unsigned count)
{
	(void)n;
	fake.queues = count;
}

static void fake_carrier(struct net *n, bool on)
{
	(void)n;
	fake.carrier = on;
}

static void fake_filter(struct net *n, const struct net_filter *f)
{
	(void)n;
	fake.filter = *f;
}

static void fake_purge(struct net *n, unsigned queue)
{
	(void)n;
	(void)queue;
	fake.purges++;
}

static void fake_close(struct net *n)
{
	(void)n;
}

static const struct net_ops fake_ops = {
	.kind = "fake",
	.recv = fake_recv,
	.send = fake_send,
	.close = fake_close,
	.set_offloads = fake_offloads,
	.set_queues = fake_queues,
	.set_carrier = fake_carrier,
	.set_filter = fake_filter,
	.purge = fake_purge,
};

static struct net_kit *begin(unsigned pairs, const struct winnet_options *o)
{
	static const struct winnet_options plain = { .rx_fill = 64 };
	struct net_kit *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	memset(&fake, 0, sizeof(fake));
	fake.net =
		(struct net){ .ops = &fake_ops, .queues = pairs, .to_guest = 31, .from_guest = 31 };
	for (unsigned i = 0; i < pairs; i++)
		fake.net.fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	k->c.net = &fake.net;
	k->c.queue_size = WN_SIZE;
	nk_begin(k, o != NULL ? o : &plain);
	return k;
}

static void end(struct net_kit *k)
{
	nk_end(k);
	free(k);
}

static void host_has(unsigned queue, uint32_t n)
{
	const uint64_t one = 1;

	memset(fake.in[queue], 0, n + 12);
	nk_fill(fake.in[queue] + 12, n, queue);
	__atomic_store_n(&fake.in_length[queue], n + 12, __ATOMIC_RELEASE);
	assert_int_equal(write(fake.net.fd[queue], &one, sizeof(one)), sizeof(one));
}

/* ---- several pairs ---- */

static void pairs__are_all_set_up_and_each_carries_frames(void **state)
{
	struct net_kit *k = begin(4, NULL);
	uint8_t in[2048];
	struct winnet_header h;

	(void)state;
	assert_int_equal(k->w.pairs, 4);
	assert_int_equal(k->w.control, 8);
	assert_int_equal(fake.queues, 4);
	for (unsigned i = 0; i < 4; i++) {
		winnet_send(&k->w, i, nk_mac, 6);
		winnet_send(&k->w, i, fake.in, 60);
		assert_int_equal(__atomic_load_n(&fake.out[i], __ATOMIC_SEQ_CST), 1);
		host_has(i, 100 + i);
		assert_int_equal(winnet_receive(&k->w, i, in, sizeof(in), &h), 100 + i);
		assert_memory_equal(in, fake.in[i] + 12, 100 + i);
	}
	end(k);
}

static void pairs__can_be_fewer_never_none_and_one_after_reset(void **state)
{
	struct net_kit *k = begin(4, NULL);
	le16 n = le16_of(2);

	(void)state;
	assert_int_equal(winnet_control(&k->w, 4, 0, &n, 2), 0);
	assert_int_equal(fake.queues, 2);
	n = le16_of(0);
	assert_int_equal(winnet_control(&k->w, 4, 0, &n, 2), 1);
	n = le16_of(5);
	assert_int_equal(winnet_control(&k->w, 4, 0, &n, 2), 1);
	assert_int_equal(fake.queues, 2);
	(void)rig_reset(&k->w.r);
	assert_int_equal(fake.queues, 1);
	end(k);
}

static void a_driver_without_mq__finds_its_control_queue_at_2(void **state)
{
	const struct winnet_options o = { .drop = 1 << WN_MQ, .rx_fill = 8 };
	struct net_kit *k = begin(4, &o);
	const uint8_t on = 1;
	const le16 n = le16_of(2);

	(void)state;
	assert_int_equal(k->w.control, 2);
	assert_int_equal(winnet_control(&k->w, 0, 0, &on, 1), 0);
	assert_int_equal(winnet_control(&k->w, 4, 0, &n, 2), 1);
	winnet_send(&k->w, 0, fake.in, 60);
	assert_int_equal(fake.out[0], 1);
	end(k);
}

/* ---- offloads ---- */

static void offloads__follow_what_the_guest_takes_and_are_0_at_reset(void **state)
{
	static const struct {
		uint64_t features;
		unsigned want;
	} cases[] = {
		{ 0, 0 },
		{ 1 << WN_GUEST_CSUM, NET_CSUM },
		{ 1 << WN_CSUM, 0 }, /* the other direction */
		{ 1 << WN_GUEST_TSO4, 0 },
		{ 1 << WN_GUEST_CSUM | 1 << WN_GUEST_TSO4, NET_CSUM | NET_TSO4 },
		{ 1 << WN_GUEST_CSUM | 1 << WN_GUEST_ECN, NET_CSUM },
		{ 1 << WN_GUEST_CSUM | 1 << WN_GUEST_TSO6 | 1 << WN_GUEST_ECN,
		  NET_CSUM | NET_TSO6 | NET_ECN },
		{ 1ull << 54 | 1 << WN_GUEST_CSUM, NET_CSUM }, /* USO4 alone */
		{ 3ull << 54 | 1 << WN_GUEST_CSUM, NET_CSUM | NET_USO },
	};
	const uint64_t guest = 1ull << WN_CSUM | 1 << WN_GUEST_CSUM | 1 << WN_GUEST_TSO4 |
			       1 << WN_GUEST_TSO6 | 1 << WN_GUEST_OFFLOADS;
	struct net_kit *k = begin(1, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct winnet_options o = { .also = cases[i].features,
						  .drop = guest & ~cases[i].features,
						  .rx_fill = 4 };

		winnet_start(&k->w, k->pc, NK_SLOT, &o);
		assert_int_equal(fake.offloads, cases[i].want);
		(void)rig_reset(&k->w.r);
		assert_int_equal(fake.offloads, 0);
	}
	end(k);
}

static void guest_offloads__are_set_within_what_was_negotiated(void **state)
{
	struct net_kit *k = begin(1, NULL);
	le64 v = le64_of(1 << WN_GUEST_CSUM);

	(void)state;
	assert_int_equal(fake.offloads, NET_CSUM | NET_TSO4 | NET_TSO6);
	assert_int_equal(winnet_control(&k->w, 5, 0, &v, 8), 0);
	assert_int_equal(fake.offloads, NET_CSUM);
	v = le64_of(0);
	assert_int_equal(winnet_control(&k->w, 5, 0, &v, 8), 0);
	assert_int_equal(fake.offloads, 0);
	v = le64_of(1 << WN_GUEST_CSUM | 1 << WN_GUEST_ECN); /* not negotiated */
	assert_int_equal(winnet_control(&k->w, 5, 0, &v, 8), 1);
	v = le64_of(1 << WN_STATUS); /* negotiated, and no offload */
	assert_int_equal(winnet_control(&k->w, 5, 0, &v, 8), 1);
	assert_int_equal(fake.offloads, 0);
	end(k);
}

/* ---- addresses and modes ---- */

static void modes__reach_the_filter(void **state)
{
	struct net_kit *k = begin(1, NULL);
	const uint8_t on = 1, off = 0, two = 2;

	(void)state;
	assert_true(fake.filter.all); /* until the driver says otherwise */
	assert_int_equal(winnet_control(&k->w, 0, 0, &off, 1), 0);
	assert_false(fake.filter.all);
	assert_int_equal(fake.filter.count, 1);
	assert_memory_equal(fake.filter.mac[0], nk_mac, 6);
	assert_false(fake.filter.all_multicast);
	assert_int_equal(winnet_control(&k->w, 0, 1, &on, 1), 0);
	assert_true(fake.filter.all_multicast);
	assert_int_equal(winnet_control(&k->w, 0, 0, &two, 1), 1);
	assert_int_equal(winnet_control(&k->w, 0, 2, &on, 1), 1); /* of CTRL_RX_EXTRA */
	(void)rig_reset(&k->w.r);
	assert_true(fake.filter.all);
	end(k);
}

static uint32_t table(uint8_t *p, uint32_t unicast, uint32_t multicast)
{
	uint32_t at = 0;

	st32(p, unicast);
	for (at = 4; at < 4 + 6 * unicast; at++)
		p[at] = (uint8_t)(at * 2);
	st32(p + at, multicast);
	at += 4;
	for (uint32_t end_at = at + 6 * multicast; at < end_at; at++)
		p[at] = (uint8_t)(at | 1);
	return at;
}

static void mac_table__is_taken_whole_or_not_at_all(void **state)
{
	struct net_kit *k = begin(1, NULL);
	const uint8_t off = 0;
	uint8_t t[1024];
	uint32_t n = table(t, 2, 3);

	(void)state;
	assert_int_equal(winnet_control(&k->w, 0, 0, &off, 1), 0);
	assert_int_equal(winnet_control(&k->w, 1, 0, t, n), 0);
	assert_int_equal(fake.filter.count, 6);
	assert_memory_equal(fake.filter.mac[1], t + 4, 12);
	assert_memory_equal(fake.filter.mac[3], t + 20, 18);
	assert_int_equal(winnet_control(&k->w, 1, 0, t, n - 1), 1);
	assert_int_equal(winnet_control(&k->w, 1, 0, t, n + 1), 1);
	st32(t, 0x2aaaaaab); /* times 6 is 2 */
	assert_int_equal(winnet_control(&k->w, 1, 0, t, n), 1);
	assert_int_equal(fake.filter.count, 6);
	n = table(t, 10, 100); /* more than fit: everything passes */
	assert_int_equal(winnet_control(&k->w, 1, 0, t, n), 0);
	assert_true(fake.filter.all);
	n = table(t, 0, 0);
	assert_int_equal(winnet_control(&k->w, 1, 0, t, n), 0);
	assert_int_equal(fake.filter.count, 1);
	assert_false(fake.filter.all);
	end(k);
}

static void mac_address__is_set_by_command_and_the_own_one_after_reset(void **state)
{
	static const uint8_t other[6] = { 0x02, 0xaa, 0, 0, 0, 1 }, group[6] = { 0x01, 0, 0x5e };
	struct net_kit *k = begin(1, NULL);

	(void)state;
	assert_int_equal(winnet_control(&k->w, 1, 1, other, 6), 0);
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 1, 1), 0xaa);
	assert_int_equal(winnet_control(&k->w, 1, 1, group, 6), 1);
	assert_int_equal(winnet_control(&k->w, 1, 1, other, 5), 1);
	(void)rig_reset(&k->w.r);
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 1, 1), nk_mac[1]);
	end(k);
}

static void unknown_commands__are_errors_of_length_1(void **state)
{
	struct net_kit *k = begin(1, NULL);
	uint8_t data[8] = { 0 };

	(void)state;
	for (unsigned class = 0; class < 256; class += class < 8 ? 1 : 31)
		assert_int_equal(winnet_control(&k->w, class, 200, data, 8), 1);
	assert_int_equal(winnet_control(&k->w, 2, 0, data, 2), 1); /* VLAN */
	assert_int_equal(winnet_control(&k->w, 3, 0, data, 0), 1); /* ANNOUNCE_ACK */
	assert_int_equal(rig_common(&k->w.r, 20, 1) & VIRTIO_NEEDS_RESET, 0);
	end(k);
}

static void without_the_feature__a_command_is_an_error(void **state)
{
	const struct winnet_options o = {
		.drop = 1 << WN_CTRL_RX | 1 << WN_CTRL_MAC | 1 << WN_GUEST_OFFLOADS, .rx_fill = 4
	};
	struct net_kit *k = begin(1, &o);
	const uint8_t off = 0;
	const le64 none = le64_of(0);
	uint8_t t[8] = { 0 };

	(void)state;
	assert_int_equal(winnet_control(&k->w, 0, 0, &off, 1), 1);
	assert_int_equal(winnet_control(&k->w, 1, 0, t, 8), 1);
	assert_int_equal(winnet_control(&k->w, 1, 1, nk_mac, 6), 1);
	assert_int_equal(winnet_control(&k->w, 5, 0, &none, 8), 1);
	assert_true(fake.filter.all);
	end(k);
}

static void a_command_without_place_for_an_answer__needs_a_reset(void **state)
{
	struct net_kit *k = begin(1, NULL);
	struct winnet_queue *q = &k->w.queue[2];
	const uint64_t t = rig_now_ms();

	(void)state;
	guest_desc(k->pc->mem, q->ring.s.desc, 0, q->base + WN_BUFFERS, 3, 0, 0);
	guestring_put(&q->ring, 0);
	(void)guestring_show(&q->ring);
	rig_kick(&k->w.r, 2);
	while ((rig_common(&k->w.r, 20, 1) & VIRTIO_NEEDS_RESET) == 0)
		assert_in_range(rig_now_ms() - t, 0, 10000);
	(void)rig_reset(&k->w.r);
	end(k);
}

/* ---- commands while frames go by ---- */

static void *storm(void *arg)
{
	struct net_kit *k = arg;
	struct map_reader r;

	rig_thread_begin(k->pc, &r);
	for (unsigned i = 0; i < 4000; i++)
		winnet_send(&k->w, 1, fake.in[1], 60);
	rig_thread_end(k->pc);
	return NULL;
}

static void commands_under_traffic__are_answered(void **state)
{
	struct net_kit *k = begin(2, NULL);
	le64 v;
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, storm, k), 0);
	for (unsigned i = 0; i < 500; i++) {
		const uint8_t on = i & 1;
		const le16 n = le16_of((uint16_t)(1 + (i & 1)));

		v = le64_of(i & 2 ? 1 << WN_GUEST_CSUM : 0);
		assert_int_equal(winnet_control(&k->w, 5, 0, &v, 8), 0);
		assert_int_equal(winnet_control(&k->w, 0, 0, &on, 1), 0);
		assert_int_equal(winnet_control(&k->w, 4, 0, &n, 2), 0);
		virtio_net_set_link(k->d, i % 3 != 0);
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	end(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs__are_all_set_up_and_each_carries_frames),
		cmocka_unit_test(pairs__can_be_fewer_never_none_and_one_after_reset),
		cmocka_unit_test(a_driver_without_mq__finds_its_control_queue_at_2),
		cmocka_unit_test(offloads__follow_what_the_guest_takes_and_are_0_at_reset),
		cmocka_unit_test(guest_offloads__are_set_within_what_was_negotiated),
		cmocka_unit_test(modes__reach_the_filter),
		cmocka_unit_test(mac_table__is_taken_whole_or_not_at_all),
		cmocka_unit_test(mac_address__is_set_by_command_and_the_own_one_after_reset),
		cmocka_unit_test(unknown_commands__are_errors_of_length_1),
		cmocka_unit_test(without_the_feature__a_command_is_an_error),
		cmocka_unit_test(a_command_without_place_for_an_answer__needs_a_reset),
		cmocka_unit_test(commands_under_traffic__are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
