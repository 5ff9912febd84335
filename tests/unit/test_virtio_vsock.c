/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio_vsock.c - the socket device behind its queues: packets in guest memory,
 * a driver that is reset, one that is loaded. What packets mean is test_vsock_mux's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backend/vsock/mux.h"
#include "base/buf.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/vsock.h"
#include "virtio_rig.h"

enum { RING = 0x10000, RING_STRIDE = 0x10000, DATA = 0x100000, PACKET = 0x2000 };
enum { RX = 0, TX = 1, EVENT = 2, CID = 3, PORT = 99, HEADER = 44, SLOT = 4 };

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct rig_virtio r;
	struct guestring g[3];
	unsigned next; /* TX buffer */
	struct sockaddr_un at;
	socklen_t at_len;
	int listen;
	int far; /* atomic; of the connection that the guest asked for */
};

static int on_connect(void *ctx, uint32_t port)
{
	struct rig *x = ctx;
	int fd[2];

	if (port != PORT || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	__atomic_store_n(&x->far, fd[0], __ATOMIC_SEQ_CST);
	return fd[1];
}

static void create_dev(void *ctx)
{
	struct rig *x = ctx;
	const struct virtio_vsock_config c = { .cid = CID,
					       .listen_fd = x->listen,
					       .connect = on_connect,
					       .connect_ctx = x,
					       .slot = SLOT };
	struct sill_err e = { 0 };

	x->d = dev_create(&virtio_vsock_ops, "vsock", &c, NO_GSI, &x->pc->env, &e);
	assert(x->d != NULL);
}

static void offer(struct rig *x, unsigned q, unsigned head, gpa_t gpa, uint32_t n)
{
	guest_desc(x->pc->mem, x->g[q].s.desc, head, gpa, n, q == TX ? 0 : VIRTQ_DESC_WRITE, 0);
	guestring_put(&x->g[q], head);
	if (guestring_show(&x->g[q]))
		rig_kick(&x->r, q);
}

static void drive(struct rig *x)
{
	rig_plug(&x->r, x->pc, SLOT);
	assert_true(rig_negotiate(&x->r, 1ull << VIRTIO_F_VERSION_1));
	for (unsigned i = 0; i < 3; i++) {
		(void)guestring_init(&x->g[i], x->pc->mem, 64, RING + i * RING_STRIDE);
		rig_queue(&x->r, i, &x->g[i]);
	}
	rig_driver_ok(&x->r);
	for (unsigned i = 0; i < 16; i++)
		offer(x, RX, i, DATA + (gpa_t)i * PACKET, PACKET);
	offer(x, EVENT, 0, DATA + (gpa_t)16 * PACKET, 8);
	x->next = 0;
}

static struct rig *rig_create(void)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	struct rig *x = calloc(1, sizeof(*x));

	x->far = -1;
	x->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(x->listen, (const struct sockaddr *)&any, sizeof(sa_family_t)), 0);
	x->at_len = sizeof(x->at);
	assert_int_equal(getsockname(x->listen, (struct sockaddr *)&x->at, &x->at_len), 0);
	assert_int_equal(listen(x->listen, 4), 0);
	x->pc = rig_pc_create();
	loop_call(x->pc->env.loop, create_dev, x);
	return x;
}

static void rig_free(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	if (x->far >= 0)
		close(x->far);
	free(x);
}

/* --- packets ------------------------------------------------------------------ */

static void send_to(struct rig *x, uint32_t host_port, enum vsock_op op, const char *data)
{
	const uint32_t n = (uint32_t)strlen(data);
	const gpa_t gpa = DATA + (gpa_t)(20 + x->next) * PACKET;
	uint8_t p[HEADER + 64] = { 0 };
	uint32_t len;

	st64(p, CID);
	st64(p + 8, VSOCK_HOST);
	st32(p + 16, 1000);
	st32(p + 20, host_port);
	st32(p + 24, n);
	st16(p + 28, VSOCK_STREAM);
	st16(p + 30, op);
	st32(p + 36, 65536);
	memcpy(p + HEADER, data, n);
	assert_int_equal(gmem_write(x->pc->mem, gpa, p, HEADER + n), 0);
	offer(x, TX, x->next, gpa, HEADER + n);
	assert_int_equal(rig_await(&x->g[TX], &len), x->next);
	assert_int_equal(len, 0);
	x->next = (x->next + 1) % 16;
}

/* The next packet; its buffer is offered again. Returns the host's port. */
static uint32_t get(struct rig *x, enum vsock_op op, const char *data)
{
	uint8_t p[PACKET];
	uint32_t len, head = rig_await(&x->g[RX], &len), port;

	assert_int_equal(gmem_read(x->pc->mem, DATA + (gpa_t)head * PACKET, p, sizeof(p)), 0);
	assert_int_equal(len, HEADER + strlen(data));
	assert_int_equal(ld64(p), VSOCK_HOST);
	assert_int_equal(ld64(p + 8), CID);
	port = ld32(p + 16);
	assert_int_equal(ld32(p + 20), 1000);
	assert_int_equal(ld32(p + 24), strlen(data));
	assert_int_equal(ld16(p + 28), VSOCK_STREAM);
	assert_int_equal(ld16(p + 30), op);
	assert_int_equal(ld32(p + 36), VSOCK_WINDOW);
	assert_memory_equal(p + HEADER, data, strlen(data));
	offer(x, RX, head, DATA + (gpa_t)head * PACKET, PACKET);
	return port;
}

static int connect_out(struct rig *x)
{
	send_to(x, PORT, VSOCK_REQUEST, "");
	assert_int_equal(get(x, VSOCK_RESPONSE, ""), PORT);
	return __atomic_load_n(&x->far, __ATOMIC_SEQ_CST);
}

static void expect(int fd, const char *text)
{
	char got[64] = "";
	size_t n = 0;

	while (n < strlen(text)) {
		const ssize_t r = read(fd, got + n, sizeof(got) - 1 - n);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_string_equal(got, text);
}

static void vsock__tells_its_cid_and_carries_bytes(void **state)
{
	struct rig *x = rig_create();
	int fd;

	(void)state;
	drive(x);
	assert_int_equal(rig_cfg(&x->r, 2, 2), 0x1040 + 19);
	assert_int_equal(rig_get(&x->r, x->r.device.off, 4), CID);
	assert_int_equal(rig_get(&x->r, x->r.device.off + 4, 4), 0);
	fd = connect_out(x);
	send_to(x, PORT, VSOCK_RW, "ping");
	expect(fd, "ping");
	assert_int_equal(write(fd, "pong", 4), 4);
	assert_int_equal(get(x, VSOCK_RW, "pong"), PORT);
	rig_free(x);
}

static void vsock__a_program_of_the_host_reaches_the_guest(void **state)
{
	static const char greeting[] = "CONNECT 1000\nhello";
	struct rig *x = rig_create();
	uint32_t port;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	/* It may be earlier than the guest's driver. */
	assert_int_equal(connect(fd, (const struct sockaddr *)&x->at, x->at_len), 0);
	assert_int_equal(write(fd, greeting, sizeof(greeting) - 1), sizeof(greeting) - 1);
	drive(x);
	port = get(x, VSOCK_REQUEST, "");
	send_to(x, port, VSOCK_RESPONSE, "");
	expect(fd, "OK 1073741824\n");
	(void)get(x, VSOCK_RW, "hello");
	close(fd);
	rig_free(x);
}

static bool is_closed(int fd)
{
	struct pollfd p = { .fd = fd };
	char byte;

	return poll(&p, 1, 60000) == 1 && (p.revents & POLLHUP) != 0 && read(fd, &byte, 1) == 0;
}

static void vsock__a_reset_of_the_driver_ends_its_connections(void **state)
{
	struct rig *x = rig_create();
	int fd;

	(void)state;
	drive(x);
	fd = connect_out(x);
	(void)rig_reset(&x->r);
	assert_true(is_closed(fd));
	close(fd);
	drive(x);
	fd = connect_out(x); /* the same ports */
	send_to(x, PORT, VSOCK_RW, "again");
	expect(fd, "again");
	rig_free(x);
}

static void call_pause(void *ctx)
{
	dev_pause(ctx);
}

static void call_resume(void *ctx)
{
	dev_resume(ctx);
}

static void pause_dev(struct rig *x)
{
	loop_call(x->pc->env.loop, call_pause, x->d);
	while (!dev_drained(x->d))
		sched_yield();
}

static void vsock__connections_outlast_a_pause(void **state)
{
	struct rig *x = rig_create();
	uint32_t head, len;
	int fd;

	(void)state;
	drive(x);
	fd = connect_out(x);
	pause_dev(x);
	assert_int_equal(write(fd, "late", 4), 4);
	assert_false(guestring_get(&x->g[RX], &head, &len));
	loop_call(x->pc->env.loop, call_resume, x->d);
	(void)get(x, VSOCK_RW, "late");
	rig_free(x);
}

static void vsock__a_load_tells_that_connections_are_lost(void **state)
{
	struct rig *x = rig_create();
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf out;
	uint32_t len, event = 0xff;

	(void)state;
	drive(x);
	(void)connect_out(x);
	pause_dev(x);
	buf_init(&out, 65536);
	save_init(&s, &out);
	assert_int_equal(dev_save(x->d, &s), 0);
	/* As in a new process: reset, then loaded. */
	dev_reset(x->d);
	while (!dev_drained(x->d))
		sched_yield();
	load_init(&l, out.data, out.size);
	assert_int_equal(dev_load(x->d, &l, &e), 0);
	assert_true(is_closed(x->far));
	loop_call(x->pc->env.loop, call_resume, x->d);
	assert_int_equal(rig_await(&x->g[EVENT], &len), 0);
	assert_int_equal(len, 4);
	assert_int_equal(gmem_read(x->pc->mem, DATA + (gpa_t)16 * PACKET, &event, 4), 0);
	assert_int_equal(event, 0); /* VIRTIO_VSOCK_EVENT_TRANSPORT_RESET */
	buf_fini(&out);
	rig_free(x);
}

/* No room for a byte of data, or no room for a header. */
static void vsock__buffers_that_are_too_small_break_the_queue(void **state)
{
	(void)state;
	for (unsigned q = 0; q < 2; q++) {
		struct rig *x = rig_create();

		drive(x);
		if (q == RX) {
			for (unsigned i = 0; i < 17; i++) { /* behind the good ones */
				send_to(x, 5, VSOCK_RW, "");
				if (i < 16)
					(void)rig_await(&x->g[RX], &(uint32_t){ 0 });
				else
					offer(x, RX, 20, DATA, HEADER);
			}
		} else {
			offer(x, TX, 0, DATA, HEADER - 1);
		}
		while ((rig_common(&x->r, 20, 1) & VIRTIO_NEEDS_RESET) == 0)
			sched_yield();
		rig_free(x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vsock__tells_its_cid_and_carries_bytes),
		cmocka_unit_test(vsock__a_program_of_the_host_reaches_the_guest),
		cmocka_unit_test(vsock__a_reset_of_the_driver_ends_its_connections),
		cmocka_unit_test(vsock__connections_outlast_a_pause),
		cmocka_unit_test(vsock__a_load_tells_that_connections_are_lost),
		cmocka_unit_test(vsock__buffers_that_are_too_small_break_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
