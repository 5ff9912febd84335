/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtio_net.c - a network card under a driver that behaves as Windows'. */
#include "frame_kit.h"
#include "net_kit.h"

#include "backend/throttle.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>

static const struct winnet_options plain = { 0 };
static const struct winnet_options large = { .rx_size = 65562, .rx_fill = 16 };
static const struct winnet_options merged = { .also = 1 << WN_MRG, .rx_size = 1536 };

static struct net_kit *begin(const struct winnet_options *o)
{
	struct net_kit *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	k->c.queue_size = WN_SIZE;
	nk_begin(k, o);
	return k;
}

static void end(struct net_kit *k)
{
	nk_end(k);
	free(k);
}

static uint8_t status_of(struct net_kit *k)
{
	return (uint8_t)rig_common(&k->w.r, 20, 1);
}

/* ---- what it says about itself ---- */

static void config__has_mac_link_and_an_exact_mtu(void **state)
{
	struct net_kit *k = calloc(1, sizeof(*k));

	(void)state;
	k->c.mtu = 1428;
	nk_begin(k, &plain);
	assert_memory_equal(k->w.mac, nk_mac, 6);
	assert_int_equal(k->w.mtu, 1428);
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 1);
	/* Read-only for a driver of virtio 1 */
	rig_set(&k->w.r, k->w.r.device.off, 1, 0x55);
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off, 1), nk_mac[0]);
	end(k);
}

static void features__are_what_windows_gets_along_with(void **state)
{
	struct net_kit *k = begin(&plain);
	const uint64_t f = k->w.offered;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		static const uint8_t yes[] = { 0,  1,  2,  5,  7,  8,  9,  11, 12,
					       13, 15, 16, 17, 18, 23, 28, 29, 32 };
		bool want = false;

		for (size_t i = 0; i < sizeof(yes); i++)
			want = want || yes[i] == bit;
		assert_int_equal(f >> bit & 1, want);
	}
	end(k);
}

static void without_checksums__nothing_is_offered_that_needs_them(void **state)
{
	struct net_kit *k = calloc(1, sizeof(*k));

	(void)state;
	k->c.no_csum = true;
	nk_begin(k, &plain);
	assert_int_equal(k->w.offered & 0x3f87, 0);
	end(k);
}

/* ---- frames from the guest ---- */

static void frames__go_out_as_they_are_whatever_their_pieces(void **state)
{
	static const struct {
		uint32_t n;
		unsigned pieces;
	} cases[] = { { 14, 1 }, { 60, 1 }, { 1514, 1 }, { 1514, 7 }, { 1518, 30 }, { 100, 20 } };
	struct net_kit *k = begin(&plain);
	const struct winnet_header h = { .flags = 1,
					 .csum_start = le16_of(14),
					 .csum_offset = le16_of(16),
					 .num_buffers = le16_of(7) };
	uint8_t data[1518];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		nk_fill(data, cases[i].n, (unsigned)i);
		winnet_put(&k->w, 0, &h, data, cases[i].n, cases[i].pieces);
		winnet_sent(&k->w, 0);
		assert_int_equal(nk_host_receive(k, 10000), 12 + cases[i].n);
		assert_memory_equal(k->frame, &h, 10);
		assert_memory_equal(k->frame + 12, data, cases[i].n);
	}
	assert_int_equal(nk_counters(k).tx_frames, ARRAY_LEN(cases));
	end(k);
}

static void segments_of_64_kib__go_out_whole(void **state)
{
	struct net_kit *k = begin(&large);
	const struct winnet_header h = {
		.flags = 1, .gso_type = 1, .hdr_len = le16_of(54), .gso_size = le16_of(1460)
	};
	uint8_t *data = malloc(65549);

	(void)state;
	nk_fill(data, 65549, 3);
	winnet_put(&k->w, 0, &h, data, 65549, 20);
	winnet_sent(&k->w, 0);
	assert_int_equal(nk_host_receive(k, 10000), 12 + 65549);
	assert_memory_equal(k->frame + 12, data, 65549);
	free(data);
	end(k);
}

static void frames_that_cannot_be__are_dropped_and_counted(void **state)
{
	struct net_kit *k = begin(&plain);
	const struct winnet_header none = { 0 }, gso = { .gso_type = 1 };
	uint8_t *data = calloc(1, 200000);

	(void)state;
	winnet_put(&k->w, 0, &none, data, 13, 1);   /* no Ethernet header */
	winnet_put(&k->w, 0, &none, data, 1519, 1); /* above the MTU, and not to be cut */
	winnet_put(&k->w, 0, &gso, data, 65554, 1); /* above all */
	winnet_put(&k->w, 0, &gso, data, 200000, 1);
	for (unsigned i = 0; i < 4; i++)
		winnet_sent(&k->w, 0);
	winnet_send(&k->w, 0, data, 60);
	assert_int_equal(nk_host_receive(k, 10000), 72);
	assert_int_equal(nk_host_receive(k, 0), 0);
	assert_int_equal(nk_counters(k).tx_dropped, 4);
	assert_int_equal(status_of(k) & VIRTIO_NEEDS_RESET, 0);
	free(data);
	end(k);
}

static void a_full_socket__makes_frames_wait_and_loses_none(void **state)
{
	struct net_kit *k = begin(&plain);
	const struct winnet_header none = { 0 };
	const int small = 8192;
	uint8_t data[1514];
	unsigned got = 0, done = 0;

	(void)state;
	assert_int_equal(setsockopt(k->far, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (unsigned i = 0; i < 900; i++) {
		nk_fill(data, sizeof(data), i);
		winnet_put(&k->w, 0, &none, data, sizeof(data), 1);
	}
	for (; got < 900; got++) {
		assert_int_equal(nk_host_receive(k, 10000), 12 + sizeof(data));
		nk_fill(data, sizeof(data), got);
		assert_memory_equal(k->frame + 12, data, sizeof(data));
	}
	for (; done < 900; done++)
		winnet_sent(&k->w, 0);
	assert_int_equal(nk_counters(k).tx_dropped, 0);
	end(k);
}

/* ---- frames to the guest ---- */

static void one_frame(struct net_kit *k, uint32_t n, unsigned seed)
{
	static uint8_t out[NK_MAX], in[NK_MAX];
	struct winnet_header h;

	nk_fill(out, n, seed);
	assert_true(nk_host_send(k, out, n));
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), n);
	assert_memory_equal(in, out, n);
	assert_true(winnet_give(&k->w, 0));
}

static void frames__come_in_with_num_buffers_1_without_merging(void **state)
{
	struct net_kit *k = begin(&plain);
	static const uint32_t sizes[] = { 14, 60, 1514, 1518, 2036 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		one_frame(k, sizes[i], (unsigned)i);
	assert_int_equal(nk_counters(k).rx_frames, ARRAY_LEN(sizes));
	end(k);
}

static void large_frames__come_in_whole(void **state)
{
	struct net_kit *k = begin(&large);

	(void)state;
	one_frame(k, 65549, 1);
	one_frame(k, 60, 2);
	end(k);
}

static void merged_buffers__hold_a_frame_in_as_many_as_it_takes(void **state)
{
	struct net_kit *k = begin(&merged);
	static const uint32_t sizes[] = { 60, 1524, 1525, 3060, 3061, 65549, 14 };
	static uint8_t out[NK_MAX], in[NK_MAX];
	struct winnet_header h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		nk_fill(out, sizes[i], (unsigned)i);
		assert_true(nk_host_send(k, out, sizes[i]));
		assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), sizes[i]);
		assert_int_equal(le16_get(h.num_buffers), (sizes[i] + 12 + 1535) / 1536);
		assert_memory_equal(in, out, sizes[i]);
		for (unsigned n = le16_get(h.num_buffers); n > 0; n--)
			assert_true(winnet_give(&k->w, 0));
	}
	end(k);
}

static void a_frame_without_room__waits_for_buffers(void **state)
{
	/* A ring that never has the room that 64 KiB take is no reason not to begin. */
	const struct winnet_options few = { .also = 1 << WN_MRG, .rx_size = 1536, .rx_fill = 2 };
	struct net_kit *k = begin(&few);
	uint8_t out[9000], in[9000];
	struct winnet_header h;

	(void)state;
	nk_fill(out, sizeof(out), 5);
	assert_true(nk_host_send(k, out, 100));
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 100);
	assert_true(nk_host_send(k, out, sizeof(out))); /* six buffers; there is one */
	assert_false(winnet_has_frame(&k->w, 0, 50));
	for (unsigned i = 0; i < 5; i++) {
		assert_false(winnet_has_frame(&k->w, 0, 5));
		assert_true(winnet_give(&k->w, 0));
	}
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), sizeof(out));
	assert_memory_equal(in, out, sizeof(out));
	end(k);
}

static void a_frame_that_is_too_large_for_a_buffer__is_dropped_and_counted(void **state)
{
	struct net_kit *k = begin(&plain);
	uint8_t out[4000] = { 0 };

	(void)state;
	assert_true(nk_host_send(k, out, sizeof(out)));
	one_frame(k, 100, 1);
	assert_int_equal(nk_counters(k).rx_dropped, 1);
	end(k);
}

static void without_buffers__nobody_turns_in_circles(void **state)
{
	const struct winnet_options one = { .rx_fill = 1 };
	struct net_kit *k = begin(&one);
	struct timespec before, after;
	uint8_t out[60] = { 0 }, in[60];
	struct winnet_header h;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(nk_host_send(k, out, sizeof(out)));
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 60);
	(void)poll(NULL, 0, 50);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	(void)poll(NULL, 0, 300);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_in_range((after.tv_sec - before.tv_sec) * 1000 +
				(after.tv_nsec - before.tv_nsec) / 1000000,
			0, 60);
	for (unsigned i = 0; i < 2; i++) { /* and the kick starts it again */
		assert_true(winnet_give(&k->w, 0));
		assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 60);
	}
	end(k);
}

/* ---- turns ---- */

/* A far end in this process, which looks at what the card does with it. */
struct mirror {
	struct net net; /* first */
	struct net_kit *k;
	pthread_barrier_t go; /* of the first frame from the guest */
	unsigned sent;
	uint16_t shown; /* index of the used ring as the ninth frame came */
	/* Atomic. */
	uint32_t next; /* length of a frame for the guest, with its header; 0: none */
	int vectors;   /* that it was read into */
};

static ssize_t mirror_recv(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	struct mirror *m = (struct mirror *)(void *)n;
	const uint32_t next = __atomic_exchange_n(&m->next, 0, __ATOMIC_ACQ_REL);

	(void)queue;
	if (next == 0) {
		(void)eventfd_read(n->fd[0], &(eventfd_t){ 0 });
		return NET_AGAIN;
	}
	__atomic_store_n(&m->vectors, count, __ATOMIC_RELEASE);
	for (uint32_t left = next, i = 0; left > 0; i++) {
		const uint32_t part = left < iov[i].iov_len ? left : (uint32_t)iov[i].iov_len;

		memset(iov[i].iov_base, next & 0xff, part);
		left -= part;
	}
	return next;
}

static ssize_t mirror_send(struct net *n, unsigned queue, const struct iovec *iov, int count)
{
	struct mirror *m = (struct mirror *)(void *)n;
	const struct guestring *g = &m->k->w.queue[1].ring;
	uint16_t idx;

	(void)queue;
	(void)iov;
	(void)count;
	if (m->sent == 0)
		(void)pthread_barrier_wait(&m->go);
	if (++m->sent == 9)
		m->shown = gmem_load_index(g->mem, g->s.used + 2, &idx) == 0 ? idx : 0;
	return 1;
}

static void mirror_close(struct net *n)
{
	(void)n;
}

static const struct net_ops mirror_ops = {
	.kind = "mirror", .recv = mirror_recv, .send = mirror_send, .close = mirror_close
};

static void begin_mirror(struct mirror *m, const struct winnet_options *o)
{
	m->net = (struct net){ .ops = &mirror_ops, .queues = 1, .news = -1 };
	m->net.fd[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->net.to_guest = NET_CSUM | NET_TSO4 | NET_TSO6;
	assert_int_equal(pthread_barrier_init(&m->go, NULL, 2), 0);
	m->k = calloc(1, sizeof(*m->k));
	assert_non_null(m->k);
	m->k->c.queue_size = WN_SIZE;
	m->k->c.net = &m->net;
	nk_begin(m->k, o);
}

static void end_mirror(struct mirror *m)
{
	end(m->k);
	(void)pthread_barrier_destroy(&m->go);
}

/* Else guest and card would wait for each other in turn. */
static void frames_of_a_long_turn__are_done_before_its_end(void **state)
{
	static struct mirror m;
	const uint8_t out[60] = { 0 };

	(void)state;
	begin_mirror(&m, &plain);
	for (unsigned i = 0; i < 20; i++)
		winnet_put(&m.k->w, 0, &(struct winnet_header){ 0 }, out, sizeof(out), 1);
	(void)pthread_barrier_wait(&m.go);
	for (unsigned i = 0; i < 20; i++)
		winnet_sent(&m.k->w, 0);
	assert_int_equal(m.shown, 8);
	end_mirror(&m);
}

/* A frame of @n bytes for the guest: how many vectors was it read into? */
static int mirror_vectors(struct mirror *m, uint32_t n)
{
	static uint8_t in[NK_MAX];
	const uint64_t one = 1;
	struct winnet_header h;

	__atomic_store_n(&m->next, 12 + n, __ATOMIC_RELEASE);
	assert_int_equal(write(m->net.fd[0], &one, sizeof(one)), sizeof(one));
	assert_int_equal(winnet_receive(&m->k->w, 0, in, sizeof(in), &h), n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(in[i], (12 + n) & 0xff);
	for (unsigned i = le16_get(h.num_buffers); i > 0; i--)
		assert_true(winnet_give(&m->k->w, 0));
	return __atomic_load_n(&m->vectors, __ATOMIC_ACQUIRE);
}

static void small_frames__take_no_more_buffers_than_they_need(void **state)
{
	static struct mirror m;
	int n = 0;

	(void)state;
	begin_mirror(&m, &merged);
	assert_int_equal(mirror_vectors(&m, 60), 2); /* a buffer, and what is for the rest */
	assert_int_equal(mirror_vectors(&m, 1500), 2);
	(void)mirror_vectors(&m, 65000);
	assert_true(mirror_vectors(&m, 65000) > 42); /* it expects them now, */
	for (unsigned i = 0; i < 40; i++)
		n = mirror_vectors(&m, 60);
	assert_int_equal(n, 2); /* and not any more */
	end_mirror(&m);
}

/* How is the card's thread scheduled? -1: there is none. */
static int policy_of_thread(void)
{
	DIR *d = opendir("/proc/self/task");
	int policy = -1;

	assert_non_null(d);
	for (struct dirent *t; (t = readdir(d)) != NULL;) {
		char path[300], name[32] = { 0 };
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", t->d_name);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		if (fgets(name, sizeof(name), f) != NULL && strcmp(name, "net0/q0\n") == 0)
			policy = sched_getscheduler((pid_t)strtoull(t->d_name, NULL, 10));
		(void)fclose(f);
	}
	(void)closedir(d);
	return policy;
}

/* With a processor for each, nobody is pushed aside. */
static void on_one_processor__who_makes_frames_is_not_interrupted(void **state)
{
	cpu_set_t all, one;
	struct net_kit *k;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	k = begin(&plain);
	assert_int_equal(policy_of_thread(), SCHED_BATCH);
	end(k);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) == 1)
		return;
	k = begin(&plain);
	assert_int_equal(policy_of_thread(), SCHED_OTHER);
	end(k);
}

/* ---- both ways at full speed ---- */

enum { STORM = 20000 };

static void *storm_host(void *arg)
{
	struct net_kit *k = arg;
	uint8_t out[1514];

	for (unsigned i = 0; i < STORM; i++) {
		const uint32_t n = 14 + i % 1500;

		nk_fill(out, n, i);
		while (!nk_host_send(k, out, n))
			sched_yield();
	}
	return NULL;
}

static void every_frame__comes_in_its_order_at_full_speed(void **state)
{
	static const struct winnet_options *const ways[] = { &plain, &merged };

	(void)state;
	for (size_t way = 0; way < ARRAY_LEN(ways); way++) {
		struct net_kit *k = begin(ways[way]);
		uint8_t out[1514], in[2048];
		struct winnet_header h;
		pthread_t t;

		assert_int_equal(pthread_create(&t, NULL, storm_host, k), 0);
		for (unsigned i = 0; i < STORM; i++) {
			const uint32_t n = 14 + i % 1500;

			assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), n);
			nk_fill(out, n, i);
			assert_memory_equal(in, out, n);
			assert_true(winnet_give(&k->w, 0));
		}
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(nk_counters(k).rx_dropped, 0);
		end(k);
	}
}

/* ---- an address for the guest ---- */

/* For the address that it was offered. */
static uint32_t request(uint8_t *p, const uint8_t mac[6])
{
	const uint32_t n = fk_discover(p, mac);

	memcpy(p + 278 + 4, "\x35\x01\x03\x32\x04\xc0\xa8\xf9\x02\xff", 10);
	return n;
}

/* As Windows asks for a router. */
static uint32_t solicit(uint8_t *p, uint8_t type)
{
	const uint32_t n = 14 + 40 + (type == 133 ? 8 : 24);

	memset(p, 0, n);
	memcpy(p, "\x33\x33\0\0\0\2", 6);
	memcpy(p + 6, nk_mac, 6);
	memcpy(p + 12, "\x86\xdd\x60\0\0\0\0\0\x3a\xff", 10);
	p[19] = (uint8_t)(n - 54);
	p[54] = type;
	memcpy(p + 62, "\xfd\1\2\3\4\5\6\7\x9c\x4d\1\2\3\4\5\6", type == 133 ? 0 : 16);
	return n;
}

static void a_router__is_asked_of_the_card_and_a_neighbour_is_not(void **state)
{
	const struct ndp_config ndp = { .host_mac = { 0xfe },
					.host = { 0xfd, 1, 2, 3, 4, 5, 6, 7, [15] = 1 } };
	struct net_kit *k = calloc(1, sizeof(*k));
	uint8_t out[400], in[2048];
	struct virtio_net_state now;
	struct winnet_header h;

	(void)state;
	k->c.ndp = &ndp;
	nk_begin(k, &plain);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.guest6[0], 0);
	for (unsigned i = 0; i < 50; i++) {
		winnet_send(&k->w, 0, out, solicit(out, 133));
		assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 54 + 16 + 8 + 32);
		assert_int_equal(in[54], 134);
		assert_memory_equal(in + 54 + 16 + 8 + 16, ndp.host, 8);
		assert_int_equal(h.flags, 0);
		assert_int_equal(le16_get(h.num_buffers), 1);
		assert_true(winnet_give(&k->w, 0));
	}
	assert_int_equal(nk_host_receive(k, 0), 0);
	assert_int_equal(nk_counters(k).ndp_answers, 50);
	/* Whether somebody has an address is the host's kernel's to say; that the guest takes it is noted. */
	winnet_send(&k->w, 0, out, solicit(out, 135));
	assert_int_equal(nk_host_receive(k, 2000), 12 + 78);
	virtio_net_look(k->d, &now);
	assert_memory_equal(now.guest6, out + 62, 16);
	nk_end(k);
	free(k);
}

static void dhcp__is_answered_by_the_card_and_nothing_else_is(void **state)
{
	static const uint8_t other[6] = { 0x02, 9, 9, 9, 9, 9 };
	const struct dhcp_config dhcp = {
		.host_mac = { 0xfe }, .address = 0xc0a8f902, .host = 0xc0a8f901, .prefix = 24
	};
	struct net_kit *k = calloc(1, sizeof(*k));
	uint8_t out[400], in[2048];
	struct virtio_net_state now;
	struct winnet_header h;

	(void)state;
	k->c.dhcp = &dhcp;
	nk_begin(k, &plain);
	virtio_net_look(k->d, &now);
	assert_true(now.link && now.driver);
	assert_int_equal(now.pairs, 1);
	assert_int_equal(now.max_pairs, 1);
	for (unsigned i = 0; i < 50; i++) {
		winnet_send(&k->w, 0, out, fk_discover(out, nk_mac));
		assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) >= 342);
		assert_memory_equal(in, nk_mac, 6);
		assert_memory_equal(in + 58, "\xc0\xa8\xf9\x02", 4); /* yiaddr */
		assert_int_equal(h.flags, 0);
		assert_int_equal(le16_get(h.num_buffers), 1);
		assert_true(winnet_give(&k->w, 0));
	}
	assert_int_equal(nk_host_receive(k, 0), 0);
	assert_int_equal(nk_counters(k).dhcp_answers, 50);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.lease_s, 0); /* offers alone */
	winnet_send(&k->w, 0, out, request(out, nk_mac));
	assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) >= 342);
	assert_true(winnet_give(&k->w, 0));
	virtio_net_look(k->d, &now);
	assert_in_range(now.lease_s, 3000, 3600);
	virtio_net_set_link(k->d, false);
	virtio_net_look(k->d, &now);
	assert_false(now.link);
	virtio_net_set_link(k->d, true);
	/* Somebody behind the guest asks: not our business, until the card has that address. */
	winnet_send(&k->w, 0, out, fk_discover(out, other));
	assert_int_equal(nk_host_receive(k, 10000), 354);
	assert_int_equal(winnet_control(&k->w, 1, 1, other, 6), 0);
	winnet_send(&k->w, 0, out, fk_discover(out, other));
	assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) >= 342);
	assert_memory_equal(in, other, 6);
	end(k);
}

/* ---- KDNET ---- */

/* Windows' debugger: no BAR, no interrupt, hardly a feature, and an address by DHCP. */
static void kdnet__works_by_the_window_alone_and_leaves_the_card_to_its_driver(void **state)
{
	static const struct dhcp_config dhcp = {
		.host_mac = { 0xfe }, .address = 0xc0a8f902, .host = 0xc0a8f901, .prefix = 24
	};
	static const struct winnet_options poller = {
		.drop = ~(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC |
			  1 << WN_MAC | 1 << WN_STATUS),
		.rx_fill = 8,
		.by_window = true,
	};
	struct net_kit *k = calloc(1, sizeof(*k));
	uint8_t out[400], in[2048];
	struct winnet_header h;

	(void)state;
	k->c.dhcp = &dhcp;
	nk_begin(k, &poller);
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 1); /* link up */
	assert_memory_equal(k->w.mac, nk_mac, 6);
	winnet_send(&k->w, 0, out, fk_discover(out, nk_mac));
	assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) >= 342);
	assert_memory_equal(in + 58, "\xc0\xa8\xf9\x02", 4); /* yiaddr */
	assert_int_equal(h.flags, 0);                        /* its checksum is whole */
	for (unsigned i = 0; i < 100; i++) {
		nk_fill(out, 60 + i, i);
		winnet_send(&k->w, 0, out, 60 + i);
		assert_int_equal(nk_host_receive(k, 10000), 12 + 60 + i);
		assert_memory_equal(k->frame + 12, out, 60 + i);
		assert_true(nk_host_send(k, out, 60 + i));
		assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 60 + i);
		assert_memory_equal(in, out, 60 + i);
		assert_true(winnet_give(&k->w, 0));
	}
	assert_false(rig_message(k->pc, 1, 0));
	winnet_start(&k->w, k->pc, NK_SLOT, &plain);
	one_frame(k, 1514, 7);
	end(k);
}

/* ---- link ---- */

static void link_down__is_told_and_stops_both_ways(void **state)
{
	struct net_kit *k = begin(&plain);
	uint8_t out[60] = { 0 };

	(void)state;
	while (rig_message(k->pc, WN_CONFIG_MESSAGE, 0))
		;
	virtio_net_set_link(k->d, false);
	assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 0);
	winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(nk_host_receive(k, 20), 0);
	assert_int_equal(nk_counters(k).tx_dropped, 1);
	assert_true(nk_host_send(k, out, sizeof(out)));
	assert_false(winnet_has_frame(&k->w, 0, 50));
	virtio_net_set_link(k->d, true);
	assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 1);
	assert_true(winnet_has_frame(&k->w, 0, 10000));
	virtio_net_set_link(k->d, true); /* no change, no interrupt */
	assert_false(rig_message(k->pc, WN_CONFIG_MESSAGE, 20));
	end(k);
}

static void a_far_end_that_goes_away__is_a_link_that_is_down(void **state)
{
	struct net_kit *k = begin(&plain);
	uint8_t out[60] = { 0 };

	(void)state;
	while (rig_message(k->pc, WN_CONFIG_MESSAGE, 0))
		;
	close(k->far);
	k->far = -1;
	assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 0);
	winnet_send(&k->w, 0, out, sizeof(out)); /* dropped, not stuck */
	(void)rig_reset(&k->w.r);
	winnet_start(&k->w, k->pc, NK_SLOT, &plain);
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 0);
	end(k);
}

/* ---- limits ---- */

static void limits__hold_frames_back_both_ways(void **state)
{
	const struct throttle_limits l = { .ops = 500, .ops_burst = 1 };
	struct net_kit *k = calloc(1, sizeof(*k));
	struct throttle rx, tx;
	uint8_t out[100] = { 0 }, in[2048];
	const uint64_t start = rig_now_ms();
	uint64_t half;

	(void)state;
	throttle_init(&rx, &l);
	throttle_init(&tx, &l);
	k->c.rx_throttle = &rx;
	k->c.tx_throttle = &tx;
	nk_begin(k, &plain);
	for (unsigned i = 0; i < 40; i++)
		assert_true(nk_host_send(k, out, sizeof(out)));
	for (unsigned i = 0; i < 40; i++) {
		struct winnet_header h;

		assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), sizeof(out));
		assert_true(winnet_give(&k->w, 0));
	}
	/* 40 at 2 ms each, less the burst, the one at once and rounding. However busy the machine, not faster. */
	half = rig_now_ms();
	assert_true(half - start >= 74);
	for (unsigned i = 0; i < 40; i++)
		winnet_put(&k->w, 0, &(struct winnet_header){ 0 }, out, sizeof(out), 1);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(nk_host_receive(k, 10000), 12 + sizeof(out));
		winnet_sent(&k->w, 0);
	}
	assert_true(rig_now_ms() - half >= 74);
	end(k);
}

static void limits__a_reset_and_the_end_wait_for_nobody(void **state)
{
	const struct throttle_limits l = { .bytes = 1, .bytes_burst = 1 };
	struct net_kit *k = calloc(1, sizeof(*k));
	struct throttle rx, tx;
	uint8_t out[100] = { 0 }, in[2048];
	struct winnet_header h;

	(void)state;
	throttle_init(&rx, &l);
	throttle_init(&tx, &l);
	k->c.rx_throttle = &rx;
	k->c.tx_throttle = &tx;
	nk_begin(k, &plain);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(nk_host_send(k, out, sizeof(out)));
		winnet_put(&k->w, 0, &(struct winnet_header){ 0 }, out, sizeof(out), 1);
	}
	/* One of each goes whole, and is paid for with a minute and more. */
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), sizeof(out));
	assert_int_equal(nk_host_receive(k, 10000), 12 + sizeof(out));
	winnet_sent(&k->w, 0);
	assert_false(winnet_has_frame(&k->w, 0, 20));
	assert_int_equal(nk_host_receive(k, 20), 0);
	assert_in_range(rig_reset(&k->w.r), 0, 5000);
	winnet_start(&k->w, k->pc, NK_SLOT, &plain);
	winnet_put(&k->w, 0, &(struct winnet_header){ 0 }, out, sizeof(out), 1);
	end(k);
}

static void limits__change_while_frames_wait_both_ways(void **state)
{
	const struct throttle_limits slow = { .bytes = 1, .bytes_burst = 1 }, none = { 0 };
	struct net_kit *k = calloc(1, sizeof(*k));
	struct throttle rx, tx;
	uint8_t out[100] = { 0 }, in[2048];
	struct winnet_header h;

	(void)state;
	throttle_init(&rx, &none);
	throttle_init(&tx, &none);
	k->c.rx_throttle = &rx;
	k->c.tx_throttle = &tx;
	nk_begin(k, &plain);
	for (unsigned i = 0; i < 20; i++) {
		const struct throttle_limits fast = { .bytes = i % 2 != 0 ? 0 : 1 << 30 };

		throttle_set(&rx, host_now(), &slow);
		throttle_set(&tx, host_now(), &slow);
		/* Of two the second would wait for a minute and more. */
		for (unsigned j = 0; j < 2; j++) {
			assert_true(nk_host_send(k, out, sizeof(out)));
			winnet_put(&k->w, 0, &(struct winnet_header){ 0 }, out, sizeof(out), 1);
		}
		for (unsigned j = 0; j < 2; j++) {
			assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), sizeof(out));
			assert_true(winnet_give(&k->w, 0));
			assert_int_equal(nk_host_receive(k, 10000), 12 + sizeof(out));
			winnet_sent(&k->w, 0);
			throttle_set(&rx, host_now(), &fast);
			throttle_set(&tx, host_now(), &fast);
			virtio_look_again(k->d);
		}
	}
	end(k);
}

/* ---- reset, pause, save ---- */

static void resets_in_a_storm__end_and_nothing_comes_after_them(void **state)
{
	const struct winnet_header none = { 0 };
	struct net_kit *k = begin(&plain);
	uint8_t out[1514] = { 0 }, before[2048], after[2048];

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		const gpa_t buffers = k->w.queue[0].base + WN_BUFFERS;

		for (unsigned i = 0; i < 40; i++) {
			winnet_put(&k->w, 0, &none, out, 100 + i, 3);
			(void)nk_host_send(k, out, 100 + i);
		}
		assert_in_range(rig_reset(&k->w.r), 0, 5000);
		/* Nobody writes into buffers of a driver that has gone. */
		assert_int_equal(gmem_read(k->pc->mem, buffers, before, sizeof(before)), 0);
		for (unsigned i = 0; i < 5; i++)
			(void)nk_host_send(k, out, 1000);
		assert_int_equal(gmem_read(k->pc->mem, buffers, after, sizeof(after)), 0);
		assert_memory_equal(before, after, sizeof(after));
		while (nk_host_receive(k, 0) > 0)
			;
		winnet_start(&k->w, k->pc, NK_SLOT, round % 2 != 0 ? &plain : &merged);
	}
	(void)rig_reset(&k->w.r);
	winnet_start(&k->w, k->pc, NK_SLOT, &plain);
	while (winnet_has_frame(&k->w, 0, 20)) {
		struct winnet_header h;

		(void)winnet_receive(&k->w, 0, before, sizeof(before), &h);
		assert_true(winnet_give(&k->w, 0));
	}
	one_frame(k, 777, 7);
	end(k);
}

static void reset__forgets_frames_that_were_in_hand(void **state)
{
	const struct winnet_options few = { .also = 1 << WN_MRG, .rx_size = 1536, .rx_fill = 1 };
	struct net_kit *k = begin(&few);
	uint8_t out[9000] = { 0 };

	(void)state;
	assert_true(nk_host_send(k, out, sizeof(out)));
	assert_false(winnet_has_frame(&k->w, 0, 50)); /* in our hands: no room */
	(void)rig_reset(&k->w.r);
	winnet_start(&k->w, k->pc, NK_SLOT, &plain);
	one_frame(k, 60, 1);
	end(k);
}

static void wait_drained(struct net_kit *k)
{
	while (!dev_drained(k->d))
		sched_yield();
}

static void pause__stops_both_ways_and_resume_goes_on(void **state)
{
	struct net_kit *k = begin(&plain);
	const struct winnet_header none = { 0 };
	uint8_t out[60] = { 0 }, in[60];
	struct winnet_header h;

	(void)state;
	dev_pause(k->d);
	wait_drained(k);
	winnet_put(&k->w, 0, &none, out, sizeof(out), 1);
	assert_true(nk_host_send(k, out, sizeof(out)));
	assert_int_equal(nk_host_receive(k, 30), 0);
	assert_false(winnet_has_frame(&k->w, 0, 30));
	dev_resume(k->d);
	winnet_sent(&k->w, 0);
	assert_int_equal(nk_host_receive(k, 10000), 72);
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 60);
	end(k);
}

static void save(struct net_kit *k, struct buf *b)
{
	struct saver s;

	dev_pause(k->d);
	wait_drained(k);
	buf_init(b, 1 << 16);
	save_init(&s, b);
	assert_int_equal(dev_save(k->d, &s), 0);
}

/* Another card of this configuration takes over what is in @b. */
static int take_over(struct net_kit *k, const struct buf *b)
{
	struct sill_err e = { 0 };
	struct loader l;

	rig_dev_destroy(k->pc, k->d);
	if (k->far >= 0)
		close(k->far);
	nk_create(k);
	wait_drained(k);
	dev_pause(k->d);
	load_init(&l, b->data, b->size);
	return dev_load(k->d, &l, &e);
}

/* It goes on; the bus, which has its own state, is as it was. */
static void go_on(struct net_kit *k)
{
	rig_plug(&k->w.r, k->pc, NK_SLOT);
	for (unsigned i = 0; i <= k->w.control + 1; i++)
		rig_vector(&k->w.r, i, i);
	rig_msix(&k->w.r, true);
	while (rig_message(k->pc, WN_CONFIG_MESSAGE, 0))
		;
	dev_resume(k->d);
}

static void saved_and_loaded__it_goes_on_where_it_was(void **state)
{
	static const uint8_t mac[6] = { 0x02, 9, 9, 9, 9, 9 };
	struct net_kit *k = begin(&merged);
	struct buf b;

	(void)state;
	assert_int_equal(winnet_control(&k->w, 1, 1, mac, 6), 0);
	for (unsigned i = 0; i < 30; i++)
		one_frame(k, 60 + i, i);
	save(k, &b);
	assert_int_equal(take_over(k, &b), 0);
	buf_fini(&b);
	go_on(k);
	assert_false(rig_message(k->pc, WN_CONFIG_MESSAGE, 20)); /* all is as the driver has it */
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 5, 1), 9);
	one_frame(k, 1000, 1);
	winnet_send(&k->w, 0, nk_mac, 6);
	assert_int_equal(nk_counters(k).tx_dropped, 1);
	end(k);
}

/* A driver that was told of one link asks about another only if it is told. */
static void loaded_with_another_link__the_driver_is_told(void **state)
{
	struct net_kit *k = begin(&plain);
	struct buf up, down;

	(void)state;
	save(k, &up);
	dev_resume(k->d);
	close(k->far);
	k->far = -1;
	while (rig_get(&k->w.r, k->w.r.device.off + 6, 2) != 0)
		sched_yield();
	save(k, &down);

	assert_int_equal(take_over(k, &down), 0);
	buf_fini(&down);
	save(k, &down); /* before it has gone on */
	assert_int_equal(take_over(k, &down), 0);
	go_on(k);
	assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 1);
	one_frame(k, 1000, 1);
	dev_pause(k->d); /* once is enough */
	wait_drained(k);
	go_on(k);
	assert_false(rig_message(k->pc, WN_CONFIG_MESSAGE, 20));

	k->c.link_down = true;
	assert_int_equal(take_over(k, &up), 0);
	go_on(k);
	assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 0);
	buf_fini(&up);
	buf_fini(&down);
	end(k);
}

/* A paused card whose guest has got both of its addresses, and has had them for ten minutes, in @b. */
static void save_with_addresses(struct net_kit *k, struct buf *b)
{
	struct winnet_header h;
	uint8_t out[400], in[2048];

	nk_begin(k, &plain);
	winnet_send(&k->w, 0, out, request(out, nk_mac));
	assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) >= 342);
	winnet_send(&k->w, 0, out, solicit(out, 135));
	assert_int_equal(nk_host_receive(k, 10000), 12 + 78);
	vmclock_freeze(&k->pc->clock);
	vmclock_set(&k->pc->clock, vmclock_now(&k->pc->clock) + 600 * 1000000000ull);
	save(k, b);
}

static void saved_and_loaded__the_guest_has_its_addresses_and_for_as_long(void **state)
{
	static const uint8_t guest6[16] = {
		0xfd, 1, 2, 3, 4, 5, 6, 7, 0x9c, 0x4d, 1, 2, 3, 4, 5, 6
	};
	struct dhcp_config dhcp = {
		.host_mac = { 0xfe }, .address = 0xc0a8f902, .host = 0xc0a8f901, .prefix = 24
	};
	struct ndp_config ndp = { .host_mac = { 0xfe },
				  .host = { 0xfd, 1, 2, 3, 4, 5, 6, 7, [15] = 1 } };
	struct net_kit *k = calloc(1, sizeof(*k));
	struct virtio_net_state now;
	uint32_t left;
	struct buf b;

	(void)state;
	k->c.dhcp = &dhcp;
	k->c.ndp = &ndp;
	save_with_addresses(k, &b);
	virtio_net_look(k->d, &now);
	left = now.lease_s;
	assert_in_range(left, 2900, 3000); /* of the guest's time, of which the test takes little */

	vmclock_set(&k->pc->clock, 5); /* another machine's */
	assert_int_equal(take_over(k, &b), 0);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.lease_s, left);
	assert_memory_equal(now.guest6, guest6, 16);
	vmclock_set(&k->pc->clock, 5 + (left + 1) * 1000000000ull);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.lease_s, 0);

	/* Here is another network: the guest is to find that out, and nobody to be sent to where it was. */
	dhcp.address++;
	ndp.host[7]++;
	assert_int_equal(take_over(k, &b), 0);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.lease_s, 0);
	assert_int_equal(now.guest6[0], 0);
	dev_resume(k->d);
	buf_fini(&b);
	nk_end(k);
	free(k);
}

/* Where the lease begins in @b: its address comes first, and is nowhere else in there. */
static size_t find_lease(const struct buf *b)
{
	const uint8_t *found = memmem(b->data, b->size, "\x02\xf9\xa8\xc0", 4);

	assert_non_null(found);
	return (size_t)(found - b->data);
}

static void addresses_that_cannot_be__are_refused_or_forgotten(void **state)
{
	static const uint8_t second[8] = { 0, 0xca, 0x9a, 0x3b }; /* 10^9: a second */
	const struct dhcp_config dhcp = {
		.host_mac = { 0xfe }, .address = 0xc0a8f902, .host = 0xc0a8f901, .prefix = 24
	};
	const struct ndp_config ndp = { .host_mac = { 0xfe },
					.host = { 0xfd, 1, 2, 3, 4, 5, 6, 7, [15] = 1 } };
	struct net_kit *k = calloc(1, sizeof(*k));
	struct virtio_net_state now;
	uint8_t most[8], older[4];
	struct buf b;
	size_t at;

	(void)state;
	k->c.dhcp = &dhcp;
	k->c.ndp = &ndp;
	save_with_addresses(k, &b);
	at = find_lease(&b) + 4;

	buf_put(&b, at, second, 8);
	assert_int_equal(take_over(k, &b), 0);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.lease_s, 1);
	st64(most, UINT32_MAX * 1000000000ull);
	buf_put(&b, at, most, 8);
	assert_int_equal(take_over(k, &b), 0);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.lease_s, UINT32_MAX);
	st64(most, UINT32_MAX * 1000000000ull + 1);
	buf_put(&b, at, most, 8);
	assert_int_equal(take_over(k, &b), -1);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.lease_s, 0);

	/* The host's own is nobody to be sent to by the guest's name. */
	buf_put(&b, at, second, 8);
	buf_put(&b, at + 8, ndp.host, 16);
	assert_int_equal(take_over(k, &b), 0);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.guest6[0], 0);
	/* As it was written before there were addresses in it. */
	st32(older, 2);
	buf_put(&b, 4, older, 4);
	assert_int_equal(take_over(k, &b), -1);
	dev_resume(k->d);
	buf_fini(&b);
	nk_end(k);
	free(k);
}

static void a_damaged_state__is_refused(void **state)
{
	struct net_kit *k = begin(&merged);
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf b;

	(void)state;
	dev_pause(k->d);
	wait_drained(k);
	buf_init(&b, 1 << 16);
	save_init(&s, &b);
	assert_int_equal(dev_save(k->d, &s), 0);
	for (size_t cut = 0; cut < b.size; cut += 3) {
		dev_reset(k->d);
		wait_drained(k);
		load_init(&l, b.data, cut);
		e = (struct sill_err){ 0 };
		assert_int_equal(dev_load(k->d, &l, &e), -1);
	}
	buf_fini(&b);
	dev_resume(k->d);
	end(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config__has_mac_link_and_an_exact_mtu),
		cmocka_unit_test(features__are_what_windows_gets_along_with),
		cmocka_unit_test(without_checksums__nothing_is_offered_that_needs_them),
		cmocka_unit_test(frames__go_out_as_they_are_whatever_their_pieces),
		cmocka_unit_test(segments_of_64_kib__go_out_whole),
		cmocka_unit_test(frames_that_cannot_be__are_dropped_and_counted),
		cmocka_unit_test(a_full_socket__makes_frames_wait_and_loses_none),
		cmocka_unit_test(frames__come_in_with_num_buffers_1_without_merging),
		cmocka_unit_test(large_frames__come_in_whole),
		cmocka_unit_test(merged_buffers__hold_a_frame_in_as_many_as_it_takes),
		cmocka_unit_test(a_frame_without_room__waits_for_buffers),
		cmocka_unit_test(a_frame_that_is_too_large_for_a_buffer__is_dropped_and_counted),
		cmocka_unit_test(without_buffers__nobody_turns_in_circles),
		cmocka_unit_test(frames_of_a_long_turn__are_done_before_its_end),
		cmocka_unit_test(small_frames__take_no_more_buffers_than_they_need),
		cmocka_unit_test(on_one_processor__who_makes_frames_is_not_interrupted),
		cmocka_unit_test(every_frame__comes_in_its_order_at_full_speed),
		cmocka_unit_test(dhcp__is_answered_by_the_card_and_nothing_else_is),
		cmocka_unit_test(a_router__is_asked_of_the_card_and_a_neighbour_is_not),
		cmocka_unit_test(limits__hold_frames_back_both_ways),
		cmocka_unit_test(limits__change_while_frames_wait_both_ways),
		cmocka_unit_test(limits__a_reset_and_the_end_wait_for_nobody),
		cmocka_unit_test(
			kdnet__works_by_the_window_alone_and_leaves_the_card_to_its_driver),
		cmocka_unit_test(link_down__is_told_and_stops_both_ways),
		cmocka_unit_test(a_far_end_that_goes_away__is_a_link_that_is_down),
		cmocka_unit_test(resets_in_a_storm__end_and_nothing_comes_after_them),
		cmocka_unit_test(reset__forgets_frames_that_were_in_hand),
		cmocka_unit_test(pause__stops_both_ways_and_resume_goes_on),
		cmocka_unit_test(saved_and_loaded__it_goes_on_where_it_was),
		cmocka_unit_test(loaded_with_another_link__the_driver_is_told),
		cmocka_unit_test(saved_and_loaded__the_guest_has_its_addresses_and_for_as_long),
		cmocka_unit_test(addresses_that_cannot_be__are_refused_or_forgotten),
		cmocka_unit_test(a_damaged_state__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
