/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio_net_storm.c - a network card that is reset, paused, unplugged and reconfigured while frames go both ways,
 * under a driver that behaves as Windows', with rings of 1024: it ends each time, frames that arrive are what was
 * sent, and in the end threads, descriptors and mappings are as many as before.
 *
 * STORM_ROUNDS=N: so many resets; else 2,000, with ThreadSanitizer 500.
 */
#include "frame_kit.h"
#include "net_kit.h"

#include <pthread.h>

#include "tasks.h"

enum { FRAME = 300 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MAPS_MORE = 100000 }; /* a sanitizer's own, for each thread there has been */
#else
enum { MAPS_MORE = 50 };
#endif

#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 500 };
#else
enum { ROUNDS = 2000 };
#endif

static const struct winnet_options few = { .rx_fill = 48 };
static const struct winnet_options merged = { .also = 1 << WN_MRG, .rx_size = 1536, .rx_fill = 48 };

struct counts {
	unsigned tasks, files, maps;
};

static struct counts take_counts(void)
{
	struct counts c = { .tasks = tasks_alive(), .files = files_open() };
	FILE *f = fopen("/proc/self/maps", "re");
	int ch;

	while (f != NULL && (ch = fgetc(f)) != EOF)
		c.maps += ch == '\n';
	if (f != NULL)
		(void)fclose(f);
	return c;
}

/* Mappings within what the C library keeps for the next time: a leak is one for each round. */
static void assert_same(const struct counts *before)
{
	const struct counts now = take_counts();

	assert_int_equal(now.tasks, before->tasks);
	assert_int_equal(now.files, before->files);
	assert_in_range(now.maps, 0, before->maps + MAPS_MORE);
}

/* The host's side: sends without end, and takes what comes. */
struct host {
	pthread_t thread;
	int fd;
	bool end;                 /* atomic */
	unsigned long sent, came; /* its own until it is joined; but the first, atomic */
	unsigned long wrong;
};

static void *be_host(void *arg)
{
	struct host *h = arg;
	static uint8_t out[12 + FRAME], in[NK_MAX];
	uint8_t expected[FRAME];

	nk_fill(out + 12, FRAME, 1);
	nk_fill(expected, FRAME, 2);
	while (!__atomic_load_n(&h->end, __ATOMIC_ACQUIRE)) {
		struct pollfd p = { .fd = h->fd, .events = POLLIN };
		ssize_t n;

		for (unsigned i = 0; i < 8; i++)
			if (send(h->fd, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
				(void)__atomic_add_fetch(&h->sent, 1, __ATOMIC_RELAXED);
		while ((n = recv(h->fd, in, sizeof(in), MSG_DONTWAIT)) > 0) {
			h->came++;
			h->wrong += n != 12 + FRAME || memcmp(in + 12, expected, FRAME) != 0;
		}
		(void)poll(&p, 1, 1);
	}
	return NULL;
}

static void host_begin(struct host *h, int fd)
{
	*h = (struct host){ .fd = fd };
	assert_int_equal(pthread_create(&h->thread, NULL, be_host, h), 0);
}

static void host_end(struct host *h)
{
	__atomic_store_n(&h->end, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(h->thread, NULL), 0);
	assert_int_equal(h->wrong, 0);
}

static void put_some(struct net_kit *k, unsigned n)
{
	const struct winnet_header none = { 0 };
	uint8_t out[FRAME];

	nk_fill(out, FRAME, 2);
	for (unsigned i = 0; i < n; i++)
		winnet_put(&k->w, 0, &none, out, FRAME, 1 + i % 3);
}

/* One frame of the host's, whole. */
static void take_one(struct net_kit *k)
{
	static uint8_t in[2048], expected[FRAME];
	struct winnet_header h;

	nk_fill(expected, FRAME, 1);
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), FRAME);
	assert_memory_equal(in, expected, FRAME);
	assert_true(winnet_give(&k->w, 0));
}

static void wait_drained(struct net_kit *k)
{
	while (!dev_drained(k->d))
		sched_yield();
}

static void pause_and_go_on(struct net_kit *k)
{
	dev_pause(k->d);
	wait_drained(k);
	dev_resume(k->d);
}

/* The machine's reset, in place. */
static void reset_machine(struct net_kit *k)
{
	dev_reset(k->d);
	wait_drained(k);
}

static unsigned rounds_wanted(void)
{
	const char *text = getenv("STORM_ROUNDS");

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : ROUNDS;
}

static void resets_by_the_thousand__leave_nothing(void **state)
{
	const unsigned rounds = rounds_wanted();
	struct net_kit *k = calloc(1, sizeof(*k));
	struct counts before;
	struct host h;

	(void)state;
	k->c.queue_size = WN_SIZE;
	nk_begin(k, &few);
	assert_int_equal(k->w.queue[0].ring.s.size, WN_SIZE);
	host_begin(&h, k->far);
	take_one(k);
	before = take_counts();
	for (unsigned i = 0; i < rounds; i++) {
		put_some(k, 1 + i % 20);
		if (i % 4 == 0)
			take_one(k);
		if (i % 7 == 0)
			pause_and_go_on(k);
		if (i % 50 == 49)
			reset_machine(k);
		else
			assert_in_range(rig_reset(&k->w.r), 0, 60000);
		winnet_start(&k->w, k->pc, NK_SLOT, i % 2 != 0 ? &few : &merged);
	}
	take_one(k);
	put_some(k, 1);
	winnet_sent(&k->w, 0);
	assert_same(&before);
	host_end(&h);
	assert_true(h.came > 0);
	nk_end(k);
	free(k);
}

static void unplugged_under_traffic__it_gives_all_back(void **state)
{
	struct rig_pc *pc = rig_pc_create();
	struct counts before = { 0 };

	(void)state;
	for (unsigned i = 0; i < 101; i++) {
		struct net_kit *k = calloc(1, sizeof(*k));
		struct host h;

		if (i == 1) /* after what is made once */
			before = take_counts();
		k->pc = pc;
		k->c.queue_size = WN_SIZE;
		nk_create(k);
		winnet_start(&k->w, pc, NK_SLOT, i % 2 != 0 ? &few : &merged);
		host_begin(&h, k->far);
		take_one(k);
		put_some(k, 20);
		rig_dev_destroy(pc, k->d);
		host_end(&h);
		close(k->far);
		free(k);
	}
	assert_same(&before);
	rig_pc_destroy(pc);
}

/* Both ways, each size with its own bytes. */
static void pass_both_ways(struct net_kit *k, uint32_t n, unsigned seed, bool gso)
{
	static uint8_t out[NK_MAX], in[NK_MAX];
	const struct winnet_header h = { .flags = gso,
					 .gso_type = gso,
					 .hdr_len = le16_of(gso ? 54 : 0),
					 .gso_size = le16_of(gso ? 1460 : 0) };
	struct winnet_header got;

	nk_fill(out, n, seed);
	winnet_put(&k->w, 0, &h, out, n, 1 + seed % 20);
	winnet_sent(&k->w, 0);
	assert_int_equal(nk_host_receive(k, 10000), 12 + n);
	assert_memory_equal(k->frame + 12, out, n);
	nk_fill(out, n, seed + 1);
	assert_true(nk_host_send(k, out, n));
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &got), n);
	assert_memory_equal(in, out, n);
	for (unsigned i = le16_get(got.num_buffers); i > 0; i--)
		assert_true(winnet_give(&k->w, 0));
}

static void jumbo_frames_and_whole_segments__come_as_they_were_sent(void **state)
{
	static const uint32_t jumbo[] = { 14, 60, 1514, 1515, 9013, 9014, 9018 },
			      segments[] = { 9019, 32768, 65535, 65549 };
	static const struct winnet_options ways[] = {
		{ .rx_size = 65562, .rx_fill = 16 },
		{ .also = 1 << WN_MRG, .rx_size = 1536 },
		{ .also = 1 << WN_MRG, .rx_size = 4096, .rx_fill = 256 },
	};

	(void)state;
	for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
		struct net_kit *k = calloc(1, sizeof(*k));

		k->c.queue_size = WN_SIZE;
		k->c.mtu = 9000;
		nk_begin(k, &ways[w]);
		assert_int_equal(k->w.mtu, 9000);
		for (unsigned i = 0; i < 3 * ARRAY_LEN(jumbo); i++)
			pass_both_ways(k, jumbo[i % ARRAY_LEN(jumbo)], i, false);
		for (unsigned i = 0; i < 3 * ARRAY_LEN(segments); i++)
			pass_both_ways(k, segments[i % ARRAY_LEN(segments)], i, true);
		nk_end(k);
		free(k);
	}
}

/* Cable, offloads, modes and pauses, all while frames go both ways; nothing that arrives is damaged. */
static void changes_under_traffic__damage_nothing(void **state)
{
	struct net_kit *k = calloc(1, sizeof(*k));
	struct host h;

	(void)state;
	k->c.queue_size = WN_SIZE;
	nk_begin(k, &few);
	host_begin(&h, k->far);
	for (unsigned i = 0; i < 300; i++) {
		const le64 offloads =
			le64_of(i % 3 == 0   ? 0
				: i % 3 == 1 ? 1 << WN_GUEST_CSUM
					     : 1 << WN_GUEST_CSUM | 1 << WN_GUEST_TSO4);
		const uint8_t on = i & 1;

		put_some(k, 1 + i % 10);
		virtio_net_set_link(k->d, false);
		assert_int_equal(winnet_control(&k->w, 5, 0, &offloads, 8), 0);
		assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 0);
		virtio_net_set_link(k->d, true);
		assert_int_equal(rig_get(&k->w.r, k->w.r.device.off + 6, 2), 1);
		assert_int_equal(winnet_control(&k->w, 0, 0, &on, 1), 0);
		if (i % 5 == 0)
			pause_and_go_on(k);
		take_one(k);
		for (unsigned n = 1 + i % 10; n > 0; n--)
			winnet_sent(&k->w, 0);
	}
	host_end(&h);
	assert_true(h.came > 0);
	nk_end(k);
	free(k);
}

/*
 * A guest that asks for an address without end, and has no buffer for an answer: nobody waits for it, nothing grows, and
 * what it sends beside that goes out. It hears the last answer alone, and after a reset none.
 */
static void a_flood_of_questions__holds_nobody_up(void **state)
{
	static const struct winnet_options one = { .rx_fill = 1 };
	static const struct dhcp_config dhcp = {
		.host_mac = { 0xfe }, .address = 0xc0a8f902, .host = 0xc0a8f901, .prefix = 24
	};
	struct net_kit *k = calloc(1, sizeof(*k));
	uint8_t out[FK_DISCOVER], in[2048];
	struct winnet_header h;
	struct counts before;

	(void)state;
	k->c.dhcp = &dhcp;
	nk_begin(k, &one);
	before = take_counts();
	(void)fk_discover(out, nk_mac);
	fk_put32(out + 46, 1); /* xid */
	winnet_send(&k->w, 0, out, FK_DISCOVER);
	assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) >= 300);
	assert_memory_equal(in + 46, "\0\0\0\1", 4); /* and there is no buffer any more */
	for (unsigned i = 2; i <= 2000; i++) {
		(void)fk_discover(out, nk_mac);
		fk_put32(out + 46, i);
		winnet_send(&k->w, 0, out, FK_DISCOVER);
		if (i % 100 != 0)
			continue;
		nk_fill(out, FRAME, i);
		winnet_send(&k->w, 0, out, FRAME);
		assert_int_equal(nk_host_receive(k, 60000), 12 + FRAME);
		assert_memory_equal(k->frame + 12, out, FRAME);
	}
	assert_int_equal(nk_counters(k).dhcp_answers, 2000);
	assert_same(&before);
	assert_true(winnet_give(&k->w, 0));
	assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) >= 300);
	/* One may have been on its way into the ring when the next came. */
	if (memcmp(in + 46, "\0\0\x07\xd0", 4) != 0) {
		assert_true(winnet_give(&k->w, 0));
		assert_true(winnet_receive(&k->w, 0, in, sizeof(in), &h) >= 300);
		assert_memory_equal(in + 46, "\0\0\x07\xd0", 4);
	}
	winnet_send(&k->w, 0, out, fk_discover(out, nk_mac));
	assert_int_equal(nk_counters(k).dhcp_answers, 2001);
	reset_machine(k);
	winnet_start(&k->w, k->pc, NK_SLOT, &few);
	nk_fill(in, FRAME, 1);
	assert_true(nk_host_send(k, in, FRAME));
	take_one(k);
	nk_end(k);
	free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resets_by_the_thousand__leave_nothing),
		cmocka_unit_test(unplugged_under_traffic__it_gives_all_back),
		cmocka_unit_test(jumbo_frames_and_whole_segments__come_as_they_were_sent),
		cmocka_unit_test(changes_under_traffic__damage_nothing),
		cmocka_unit_test(a_flood_of_questions__holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
