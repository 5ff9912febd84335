/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_socket.c - frames through sockets: passt's stream, with a far end that is as
 * strict as passt was (a length that arrives in pieces, or a frame in more than two,
 * and it is out of step for ever), and one that cuts its own in any way.
 */
#include "net_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

static struct net *open_stream(int *far)
{
	struct sill_err e = { 0 };
	struct net *n;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*far = pair[1];
	n = net_socket_open(pair[0], &e);
	assert_non_null(n);
	return n;
}

static ssize_t send_frame(struct net *n, const void *p, size_t length)
{
	uint8_t header[12] = { 0 };
	struct iovec v[3] = { { header, 12 },
			      { (void *)(uintptr_t)p, length / 2 },
			      { (char *)(uintptr_t)p + length / 2, length - length / 2 } };

	return n->ops->send(n, 0, v, 3);
}

static uint32_t size_of(unsigned i)
{
	return 14 + (i * 7919u) % 65522u;
}

enum { FRAMES = 3000 };

/* Reads as passt of 2023: what one recv() gives, and once more for the rest of a frame. */
static void *strict(void *arg)
{
	const int fd = *(int *)arg;
	static uint8_t buffer[4 + 65535], want[65535];

	for (unsigned i = 0; i < FRAMES; i++) {
		const uint32_t n = size_of(i);
		ssize_t got = recv(fd, buffer, 4, 0);

		assert(got == 4); /* whole */
		assert((uint32_t)(buffer[0] << 24 | buffer[1] << 16 | buffer[2] << 8 | buffer[3]) ==
		       n);
		got = recv(fd, buffer, n, 0);
		if (got < (ssize_t)n)
			got += recv(fd, buffer + got, n - (size_t)got, MSG_WAITALL);
		nk_fill(want, n, i);
		assert(got == (ssize_t)n && memcmp(buffer, want, n) == 0);
		if (i % 64 == 0)
			(void)poll(NULL, 0, 1); /* let it fill */
	}
	return NULL;
}

static void a_stream__carries_whole_frames_past_a_full_socket(void **state)
{
	int far;
	struct net *n = open_stream(&far);
	uint8_t *p = malloc(65535);
	const int small = 4096;
	pthread_t t;

	(void)state;
	assert_int_equal(setsockopt(n->fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(pthread_create(&t, NULL, strict, &far), 0);
	for (unsigned i = 0; i < FRAMES; i++) {
		ssize_t r;

		nk_fill(p, size_of(i), i);
		while ((r = send_frame(n, p, size_of(i))) == NET_AGAIN)
			sched_yield();
		assert_true(r > 0);
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	net_close(n);
	close(far);
	free(p);
}

static void frames_that_end_the_connection_of_some__are_not_sent(void **state)
{
	static uint8_t p[65536];
	int far;
	struct net *n = open_stream(&far);

	(void)state;
	assert_int_equal(send_frame(n, p, 13), NET_DROPPED);
	assert_int_equal(send_frame(n, p, 65536), NET_DROPPED);
	assert_int_equal(recv(far, p, 1, MSG_DONTWAIT), -1);
	net_close(n);
	close(far);
}

static ssize_t receive(struct net *n, uint8_t *p)
{
	const struct iovec v = { p, NET_HEADER + NET_FRAME_MAX };

	return n->ops->recv(n, 0, &v, 1);
}

static void a_stream_in_any_pieces__is_put_together(void **state)
{
	static uint8_t in[NET_HEADER + NET_FRAME_MAX], out[4 * 4 + 400];
	int far;
	struct net *n = open_stream(&far);
	size_t total = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const uint32_t size = 14 + 50 * i;

		memset(out + total, 0, 4);
		out[total + 3] = (uint8_t)size;
		nk_fill(out + total + 4, size, i);
		total += 4 + size;
	}
	for (size_t piece = 1; piece <= total; piece += 1 + piece / 4) {
		unsigned got = 0;

		for (size_t at = 0; at < total; at += piece) {
			const size_t part = piece < total - at ? piece : total - at;
			ssize_t r;

			assert_int_equal(send(far, out + at, part, 0), part);
			while ((r = receive(n, in)) > 0) {
				uint8_t want[400];

				assert_int_equal(r, 12 + 14 + 50 * got);
				nk_fill(want, (uint32_t)r - 12, got++);
				assert_memory_equal(in + 12, want, (size_t)r - 12);
			}
			assert_int_equal(r, NET_AGAIN);
		}
		assert_int_equal(got, 4);
	}
	net_close(n);
	close(far);
}

static void the_header__says_that_checksums_are_right_to_whom_asks(void **state)
{
	static uint8_t in[NET_HEADER + NET_FRAME_MAX];
	static const uint8_t zero[12];
	uint8_t out[4 + 60] = { 0, 0, 0, 60 };
	int far;
	struct net *n = open_stream(&far);

	(void)state;
	assert_int_equal(send(far, out, sizeof(out), 0), sizeof(out));
	assert_int_equal(receive(n, in), 72);
	assert_memory_equal(in, zero, 12);
	n->ops->set_offloads(n, NET_CSUM);
	assert_int_equal(send(far, out, sizeof(out), 0), sizeof(out));
	assert_int_equal(receive(n, in), 72);
	assert_int_equal(in[0], 2);
	net_close(n);
	close(far);
}

static void a_length_that_cannot_be__is_the_end(void **state)
{
	static uint8_t in[NET_HEADER + NET_FRAME_MAX];
	static const uint8_t small[4 + 3] = { 0, 0, 0, 3 }, large[4] = { 0, 1, 0, 0 };
	int far;
	struct net *n = open_stream(&far);

	(void)state;
	assert_int_equal(send(far, small, sizeof(small), 0), sizeof(small));
	assert_int_equal(receive(n, in), NET_DROPPED);
	assert_int_equal(receive(n, in), NET_AGAIN);
	assert_int_equal(send(far, large, sizeof(large), 0), sizeof(large));
	assert_int_equal(receive(n, in), NET_GONE);
	assert_int_equal(receive(n, in), NET_GONE);
	assert_int_equal(send_frame(n, in, 60), NET_GONE);
	net_close(n);
	close(far);
}

static void the_end_of_the_far_end__is_the_end(void **state)
{
	static uint8_t in[NET_HEADER + NET_FRAME_MAX];
	int far;
	struct net *n = open_stream(&far);

	(void)state;
	close(far);
	assert_int_equal(receive(n, in), NET_GONE);
	n = (net_close(n), open_stream(&far));
	close(far);
	assert_int_equal(send_frame(n, in, 60), NET_GONE);
	net_close(n);
}

static void the_card_on_a_stream__passes_frames_both_ways(void **state)
{
	const struct winnet_options o = { .rx_fill = 8 };
	struct net_kit *k = calloc(1, sizeof(*k));
	uint8_t out[4 + 1000] = { 0, 0, 1000 >> 8, 1000 & 0xff }, in[2048];
	struct winnet_header h;
	int far;

	(void)state;
	assert_non_null(k);
	k->c.net = open_stream(&far);
	nk_begin(k, &o);
	assert_int_equal(k->w.offered >> WN_HOST_TSO4 & 1, 1);
	assert_int_equal(k->w.offered >> WN_GUEST_TSO4 & 1, 0);
	nk_fill(out + 4, 1000, 1);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(send(far, out, sizeof(out), 0), sizeof(out));
		assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 1000);
		assert_memory_equal(in, out + 4, 1000);
		assert_int_equal(le16_get(h.num_buffers), 1);
		assert_int_equal(h.flags, 2);
		assert_true(winnet_give(&k->w, 0));
		winnet_send(&k->w, 0, out + 4, 1000);
		assert_int_equal(recv(far, in, 1004, MSG_WAITALL), 1004);
		assert_memory_equal(in, out, 1004);
	}
	nk_end(k);
	free(k);
	close(far);
}

static int renewed(struct net_kit *k)
{
	struct sill_err e = { 0 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	if (virtio_net_renew(k->d, pair[0], &e) < 0)
		fail_msg("%s", e.msg);
	return pair[1];
}

static bool link_is_up(struct net_kit *k)
{
	return rig_get(&k->w.r, k->w.r.device.off + 6, 2) == 1;
}

/* The driver gives no buffer, and sends nothing: nobody reads or writes the socket. */
static void a_far_end_that_goes_while_nobody_reads__is_noticed_and_replaced(void **state)
{
	const struct winnet_options o = { .rx_fill = 1 };
	struct net_kit *k = calloc(1, sizeof(*k));
	uint8_t out[4 + 100] = { 0, 0, 0, 100 }, in[2048];
	struct winnet_header h;
	int far;

	(void)state;
	assert_non_null(k);
	k->c.net = open_stream(&far);
	nk_begin(k, &o);
	while (rig_message(k->pc, WN_CONFIG_MESSAGE, 0))
		;
	/* The only buffer there is. */
	assert_int_equal(send(far, out, sizeof(out), 0), sizeof(out));
	assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 100);
	for (unsigned i = 0; i < 5; i++) {
		close(far);
		assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
		assert_false(link_is_up(k));
		far = renewed(k);
		assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
		assert_true(link_is_up(k));
	}
	nk_end(k);
	free(k);
	close(far);
}

static void a_far_end_that_has_gone__is_replaced(void **state)
{
	const struct winnet_options o = { .rx_fill = 8 };
	struct net_kit *k = calloc(1, sizeof(*k));
	uint8_t out[4 + 100] = { 0, 0, 0, 100 }, in[2048];
	struct winnet_header h;
	int far, pair[2], number;
	struct sill_err e = { 0 };

	(void)state;
	assert_non_null(k);
	k->c.net = open_stream(&far);
	number = k->c.net->fd[0];
	nk_begin(k, &o);
	nk_fill(out + 4, 100, 3);
	while (rig_message(k->pc, WN_CONFIG_MESSAGE, 0))
		;
	for (unsigned i = 0; i < 20; i++) {
		/* In the middle of a frame. */
		assert_int_equal(send(far, out, 50, 0), 50);
		close(far);
		assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
		assert_false(link_is_up(k));
		winnet_send(&k->w, 0, out + 4, 100); /* lost */
		far = renewed(k);
		assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
		assert_true(link_is_up(k));
		assert_int_equal(send(far, out, sizeof(out), 0), sizeof(out));
		assert_int_equal(winnet_receive(&k->w, 0, in, sizeof(in), &h), 100);
		assert_memory_equal(in, out + 4, 100);
		assert_true(winnet_give(&k->w, 0));
		winnet_send(&k->w, 0, out + 4, 100);
		assert_int_equal(recv(far, in, 104, MSG_WAITALL), 104);
		assert_memory_equal(in, out, 104);
	}
	/* Another one while there is one: likewise. */
	close(far);
	far = renewed(k);
	assert_true(link_is_up(k));
	/* Not of that kind: refused, and the one there is stays. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(virtio_net_renew(k->d, pair[0], &e), -1);
	assert_int_equal(fcntl(pair[0], F_GETFD), -1);
	close(pair[1]);
	winnet_send(&k->w, 0, out + 4, 100);
	assert_int_equal(recv(far, in, 104, MSG_WAITALL), 104);
	assert_int_equal(fcntl(number, F_GETFD), FD_CLOEXEC);
	nk_end(k);
	free(k);
	close(far);
}

/* What has become of it last is what is told: whoever is to find another one must hear of the loss. */
static void a_far_end_that_goes_as_soon_as_it_has_come__is_told_as_lost(void **state)
{
	const struct winnet_options o = { .rx_fill = 8 };
	struct net_kit *k = calloc(1, sizeof(*k));
	int far;

	(void)state;
	assert_non_null(k);
	k->c.net = open_stream(&far);
	nk_begin(k, &o);
	close(far);
	for (unsigned i = 0; i < 500; i++) {
		const uint64_t start = rig_now_ms();
		struct sill_err e = { 0 };
		int pair[2];

		while (virtio_net_news(k->d) != VIRTIO_NET_LOST) {
			assert_true(rig_now_ms() - start < 10000);
			(void)sched_yield();
		}
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		close(pair[1]);
		if (virtio_net_renew(k->d, pair[0], &e) < 0)
			fail_msg("%s", e.msg);
	}
	nk_end(k);
	free(k);
}

static void what_is_no_socket_of_ours__is_refused(void **state)
{
	struct sill_err e = { 0 };

	(void)state;
	assert_null(net_socket_open(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), &e));
	assert_non_null(strstr(e.msg, "network socket"));
	e = (struct sill_err){ 0 };
	assert_null(net_socket_open(open("/dev/null", O_RDWR | O_CLOEXEC), &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream__carries_whole_frames_past_a_full_socket),
		cmocka_unit_test(frames_that_end_the_connection_of_some__are_not_sent),
		cmocka_unit_test(a_stream_in_any_pieces__is_put_together),
		cmocka_unit_test(the_header__says_that_checksums_are_right_to_whom_asks),
		cmocka_unit_test(a_length_that_cannot_be__is_the_end),
		cmocka_unit_test(the_end_of_the_far_end__is_the_end),
		cmocka_unit_test(the_card_on_a_stream__passes_frames_both_ways),
		cmocka_unit_test(a_far_end_that_goes_while_nobody_reads__is_noticed_and_replaced),
		cmocka_unit_test(a_far_end_that_has_gone__is_replaced),
		cmocka_unit_test(a_far_end_that_goes_as_soon_as_it_has_come__is_told_as_lost),
		cmocka_unit_test(what_is_no_socket_of_ours__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
