/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_vhost.c - the card whose rings the host's kernel serves. The kernel is one of ours: ioctl() is this
 * file's, knows a descriptor for /dev/vhost-net, refuses what the real one refuses, and serves rings through the
 * addresses it was told.
 */
#include "net_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "backend/net/vhost.h"

struct ring {
	unsigned num;
	uint16_t next;
	struct vhost_vring_addr addr;
	int kick, call, err, backend;
	unsigned frames;
	pthread_t thread;
	int end; /* eventfd */
};

static struct kernel {
	pthread_mutex_t mutex; /* call, of both */
	int fd;
	bool owned, refuses, refuses_memory;
	uint64_t features, memory_bytes;
	unsigned regions, tables, starts, stops;
	struct ring ring[2];
} kernel = { .mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

static uint16_t at16(uint64_t base, unsigned off)
{
	uint16_t v;

	__atomic_load((const uint16_t *)(uintptr_t)(base + off), &v, __ATOMIC_ACQUIRE);
	return v;
}

/* One buffer of the ring is used, with @n bytes written into it. False: there is none. */
static bool use(struct ring *r, uint32_t n)
{
	const uint16_t mask = (uint16_t)(r->num - 1);
	uint16_t next = (uint16_t)(r->next + 1);
	const uint64_t one = 1;
	uint32_t elem[2];

	if (at16(r->addr.avail_user_addr, 2) == r->next)
		return false;
	elem[0] = at16(r->addr.avail_user_addr, 4 + 2u * (r->next & mask));
	elem[1] = n;
	memcpy((void *)(uintptr_t)(r->addr.used_user_addr + 4 + 8u * (r->next & mask)), elem, 8);
	(void)__atomic_add_fetch(&r->frames, 1, __ATOMIC_RELAXED); /* before anybody hears of it */
	__atomic_store((uint16_t *)(uintptr_t)(r->addr.used_user_addr + 2), &next,
		       __ATOMIC_RELEASE);
	r->next = next;
	(void)pthread_mutex_lock(&kernel.mutex);
	assert(r->call < 0 || write(r->call, &one, sizeof(one)) == sizeof(one));
	(void)pthread_mutex_unlock(&kernel.mutex);
	return true;
}

/* With what the driver offers next. True: it has meanwhile. */
static bool ask_for_kick(struct ring *r)
{
	uint16_t *event = (uint16_t *)(uintptr_t)(r->addr.used_user_addr + 4 + 8ul * r->num);

	(void)__atomic_exchange_n(event, r->next, __ATOMIC_SEQ_CST); /* before the look */
	return at16(r->addr.avail_user_addr, 2) != r->next;
}

static void *serve(void *arg)
{
	struct ring *r = arg;

	for (;;) {
		struct pollfd p[2] = { { .fd = r->kick, .events = POLLIN },
				       { .fd = r->end, .events = POLLIN } };
		uint64_t count;

		if (poll(p, 2, -1) < 0 || (p[1].revents & POLLIN) != 0)
			return NULL;
		(void)!read(r->kick, &count, sizeof(count));
		while (r == &kernel.ring[1] && (use(r, 0) || ask_for_kick(r)))
			;
	}
}

static int set_backend(struct ring *r, int fd)
{
	const uint64_t one = 1;

	if (fd >= 0) {
		assert(r->backend < 0 && kernel.owned && kernel.regions > 0 && r->num > 0 &&
		       r->kick >= 0);
		r->backend = fd;
		r->end = eventfd(0, EFD_CLOEXEC);
		kernel.starts++;
		return pthread_create(&r->thread, NULL, serve, r);
	}
	if (r->backend < 0)
		return 0; /* it stands already */
	assert(write(r->end, &one, sizeof(one)) == sizeof(one));
	(void)pthread_join(r->thread, NULL);
	close(r->end);
	r->backend = -1;
	kernel.stops++;
	return 0;
}

static int set_table(const struct vhost_memory *m)
{
	assert(kernel.owned && m->padding == 0 && m->nregions <= 64);
	if (kernel.refuses_memory) {
		errno = ENOMEM;
		return -1;
	}
	kernel.tables++;
	kernel.regions = m->nregions;
	kernel.memory_bytes = 0;
	for (unsigned i = 0; i < m->nregions; i++)
		kernel.memory_bytes += m->regions[i].memory_size;
	return 0;
}

static int set_ring(unsigned long what, void *p)
{
	const struct vhost_vring_file f = *(struct vhost_vring_file *)p;
	struct vhost_vring_state *s = p;
	struct ring *r = &kernel.ring[f.index];

	assert(f.index < 2 && kernel.owned);
	switch (what) {
	case VHOST_SET_VRING_NUM:
		r->num = s->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		assert(r->backend < 0);
		r->next = (uint16_t)s->num;
		return 0;
	case VHOST_GET_VRING_BASE:
		s->num = r->next;
		return 0;
	case VHOST_SET_VRING_ADDR:
		r->addr = *(struct vhost_vring_addr *)p;
		return 0;
	case VHOST_SET_VRING_KICK:
		r->kick = f.fd;
		return 0;
	case VHOST_SET_VRING_ERR:
		r->err = f.fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		(void)pthread_mutex_lock(&kernel.mutex);
		r->call = f.fd;
		(void)pthread_mutex_unlock(&kernel.mutex);
		return 0;
	default:
		assert(what == VHOST_NET_SET_BACKEND);
		if (kernel.refuses && f.fd >= 0) {
			errno = EBADFD;
			return -1;
		}
		return set_backend(r, f.fd);
	}
}

int ioctl(int fd, unsigned long what, ...)
{
	va_list ap;
	void *p;

	va_start(ap, what);
	p = va_arg(ap, void *);
	va_end(ap);
	if (fd != kernel.fd || fd < 0)
		return (int)syscall(SYS_ioctl, fd, what, p);
	switch (what) {
	case VHOST_SET_OWNER:
		assert(!kernel.owned);
		kernel.owned = true;
		return 0;
	case VHOST_GET_FEATURES:
		*(uint64_t *)p = 1ull << 15 | 1ull << 24 | 1ull << 26 | 1ull << 27 | 1ull << 28 |
				 1ull << 29 | 1ull << 32 | 1ull << 33;
		return 0;
	case VHOST_SET_FEATURES:
		kernel.features = *(uint64_t *)p;
		return 0;
	case VHOST_SET_MEM_TABLE:
		return set_table(p);
	default:
		return set_ring(what, p);
	}
}

/* ---- */

static const struct winnet_options plain = { .rx_fill = 64 };

static int kept;

static struct net_kit *begin(int ear)
{
	struct net_kit *k = calloc(1, sizeof(*k));
	struct sill_err e = { 0 };

	assert_non_null(k);
	kernel.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	kernel.owned = kernel.refuses = kernel.refuses_memory = false;
	kernel.features = kernel.starts = kernel.stops = kernel.tables = 0;
	for (unsigned i = 0; i < 2; i++)
		kernel.ring[i] = (struct ring){ .kick = -1, .call = -1, .err = -1, .backend = -1 };
	k->c.vhost[0] = vhost_create(kernel.fd, &e);
	if (k->c.vhost[0] == NULL)
		fail_msg("%s", e.msg);
	k->c.ear_fd = ear;
	k->c.kept_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	kept = k->c.kept_fd;
	return k;
}

static void end(struct net_kit *k)
{
	nk_end(k);
	assert_int_equal(kernel.starts, kernel.stops);
	for (unsigned i = 0; i < 2; i++)
		assert_true(kernel.ring[i].kick < 0 && kernel.ring[i].call < 0 &&
			    kernel.ring[i].err < 0);
	assert_int_equal(fcntl(kernel.fd, F_GETFD), -1);
	assert_int_equal(fcntl(kept, F_GETFD), -1);
	kernel.fd = -1;
	free(k);
}

/* Both queues' loop has done what it was asked to. */
static void meet(struct net_kit *k)
{
	const struct virtio *v = k->d->state;

	loop_call(v->queue[0].loop, rig_nothing, NULL);
}

static void vhost__serves_both_rings_and_interrupts_the_guest_itself(void **state)
{
	struct net_kit *k = begin(-1);
	uint8_t out[100] = { 0 };

	(void)state;
	nk_begin(k, &plain);
	meet(k);
	assert_int_equal(kernel.starts, 2);
	assert_int_equal(kernel.features & 1ull << 27, 0);
	assert_int_equal(kernel.features & 1ull << 33, 0);
	assert_int_equal(kernel.features >> 32 & 1, 1);
	assert_true(kernel.memory_bytes > 0);
	/* The vector's own eventfd: nobody of ours is in between. */
	assert_int_equal(kernel.ring[0].call, k->pc->message_fd[1]);
	assert_int_equal(kernel.ring[1].call, k->pc->message_fd[2]);
	for (unsigned i = 0; i < 1000; i++)
		winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(__atomic_load_n(&kernel.ring[1].frames, __ATOMIC_RELAXED), 1000);
	assert_int_equal(nk_counters(k).tx_frames, 0);
	while (rig_message(k->pc, 1, 0))
		;
	assert_true(use(&kernel.ring[0], 72));
	assert_true(rig_message(k->pc, 1, 10000));
	end(k);
}

static void a_masked_vector__loses_nothing_and_delivers_nothing(void **state)
{
	struct net_kit *k = begin(-1);
	const struct rig_virtio *r = &k->w.r;

	(void)state;
	nk_begin(k, &plain);
	meet(k);
	for (unsigned i = 0; i < 20; i++) {
		while (rig_message(k->pc, 1, 0))
			;
		rig_set(r, r->msix_table + 16 + 12, 4, 1);
		assert_int_not_equal(kernel.ring[0].call, k->pc->message_fd[1]);
		assert_true(use(&kernel.ring[0], 72));
		while ((rig_get(r, VIRTIO_PBA, 4) & 2) == 0)
			(void)sched_yield(); /* the queue's loop has yet to hear of it */
		assert_false(rig_message(k->pc, 1, 0));
		rig_set(r, r->msix_table + 16 + 12, 4, 0);
		assert_int_equal(kernel.ring[0].call, k->pc->message_fd[1]);
		assert_true(rig_message(k->pc, 1, 10000));
		assert_true(use(&kernel.ring[0], 72));
		assert_true(rig_message(k->pc, 1, 10000));
	}
	/* The whole function, and off. */
	rig_msix(r, false);
	assert_int_not_equal(kernel.ring[0].call, k->pc->message_fd[1]);
	rig_msix(r, true);
	assert_int_equal(kernel.ring[0].call, k->pc->message_fd[1]);
	end(k);
}

static void resets_and_pauses__take_the_rings_back_where_they_stand(void **state)
{
	struct net_kit *k = begin(-1);
	uint8_t out[100] = { 0 };
	uint16_t next;

	(void)state;
	nk_begin(k, &plain);
	for (unsigned i = 0; i < 50; i++) {
		const struct virtio *v = k->d->state;

		meet(k);
		for (unsigned j = 0; j < 7; j++)
			winnet_send(&k->w, 0, out, sizeof(out));
		assert_true(use(&kernel.ring[0], 72));
		next = kernel.ring[1].next;
		dev_pause(k->d);
		while (!dev_drained(k->d))
			meet(k);
		assert_int_equal(kernel.ring[0].backend, -1);
		assert_int_equal(kernel.ring[1].backend, -1);
		assert_int_equal(v->queue[1].ring.last_avail, next);
		assert_int_equal(v->queue[1].ring.used_idx, next);
		dev_resume(k->d);
		meet(k);
		assert_int_equal(kernel.ring[1].next, next);
		winnet_send(&k->w, 0, out, sizeof(out));
		assert_in_range(rig_reset(&k->w.r), 0, 5000);
		assert_int_equal(kernel.starts, kernel.stops);
		winnet_start(&k->w, k->pc, NK_SLOT, &plain);
		meet(k);
		assert_int_equal(kernel.ring[1].next, 0);
	}
	end(k);
}

static void a_link_that_is_down__sends_nothing(void **state)
{
	struct net_kit *k = begin(-1);
	uint8_t out[100] = { 0 };

	(void)state;
	nk_begin(k, &plain);
	meet(k);
	winnet_send(&k->w, 0, out, sizeof(out));
	virtio_net_set_link(k->d, false);
	meet(k);
	assert_int_equal(kernel.ring[1].backend, -1);
	for (unsigned i = 0; i < 10; i++)
		winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(__atomic_load_n(&kernel.ring[1].frames, __ATOMIC_RELAXED), 1);
	assert_int_equal(nk_counters(k).tx_dropped, 10);
	virtio_net_set_link(k->d, true);
	meet(k);
	winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(__atomic_load_n(&kernel.ring[1].frames, __ATOMIC_RELAXED), 2);
	end(k);
}

static void one_that_refuses__leaves_the_frames_to_us(void **state)
{
	struct net_kit *k = begin(-1);
	uint8_t out[100] = { 0 };

	(void)state;
	kernel.refuses = true;
	nk_begin(k, &plain);
	winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(nk_host_receive(k, 10000), 112);
	assert_int_equal(nk_counters(k).tx_frames, 1);
	end(k);
}

static void a_broken_ring__is_a_device_that_needs_a_reset(void **state)
{
	struct net_kit *k = begin(-1);
	const uint64_t one = 1;

	(void)state;
	nk_begin(k, &plain);
	meet(k);
	while (rig_message(k->pc, WN_CONFIG_MESSAGE, 0))
		;
	assert_int_equal(write(kernel.ring[1].err, &one, sizeof(one)), sizeof(one));
	assert_true(rig_message(k->pc, WN_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_common(&k->w.r, 20, 1) & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
	assert_in_range(rig_reset(&k->w.r), 0, 5000);
	winnet_start(&k->w, k->pc, NK_SLOT, &plain);
	meet(k);
	assert_true(kernel.ring[1].backend >= 0);
	end(k);
}

static void memory_that_comes__is_told(void **state)
{
	struct net_kit *k = begin(-1);
	struct sill_err e = { 0 };
	void *more = aligned_alloc(4096, 1 << 20);
	uint64_t before;
	unsigned tables;

	(void)state;
	assert_non_null(more);
	nk_begin(k, &plain);
	meet(k);
	before = kernel.memory_bytes;
	tables = kernel.tables;
	assert_int_equal(gmem_add(k->pc->mem, 1ull << 40, 1 << 20, more, GMEM_RAM, &e), 0);
	virtio_net_memory_changed(k->d);
	assert_int_equal(kernel.tables, tables + 1);
	assert_int_equal(kernel.memory_bytes, before + (1 << 20));
	end(k);
	free(more);
}

/* It would go on with memory that is somebody else's by then. */
static void memory_that_it_cannot_be_told_of__ends_it_at_once(void **state)
{
	struct net_kit *k = begin(-1);
	struct virtio_net_state now;
	uint8_t out[100] = { 0 };

	(void)state;
	nk_begin(k, &plain);
	meet(k);
	winnet_send(&k->w, 0, out, sizeof(out));
	virtio_net_look(k->d, &now);
	assert_true(now.vhost);
	assert_int_equal(now.vhost_queues, 2);
	kernel.refuses_memory = true;
	virtio_net_memory_changed(k->d);
	assert_int_equal(kernel.ring[0].backend, -1);
	assert_int_equal(kernel.ring[1].backend, -1);
	meet(k);
	virtio_net_look(k->d, &now);
	assert_int_equal(now.vhost_queues, 0);
	winnet_send(&k->w, 0, out, sizeof(out));
	assert_int_equal(nk_host_receive(k, 10000), 112);
	assert_true(nk_host_send(k, out, sizeof(out)));
	assert_int_equal(winnet_receive(&k->w, 0, out, sizeof(out), &(struct winnet_header){ 0 }),
			 sizeof(out));
	assert_int_equal(__atomic_load_n(&kernel.ring[1].frames, __ATOMIC_RELAXED), 1);
	end(k);
}

static void the_ear__hears_dhcp_and_answers_by_itself(void **state)
{
	struct dhcp_config d = { .address = 0xc0a8f902, .host = 0xc0a8f901, .prefix = 24 };
	uint8_t f[342] = { 0 }, reply[2048];
	struct net_kit *k;
	int pair[2];
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	k = begin(pair[0]);
	memcpy(d.mac, nk_mac, 6);
	k->c.dhcp = &d;
	nk_begin(k, &plain);
	memset(f, 0xff, 6);
	memcpy(f + 6, nk_mac, 6);
	memcpy(f + 12, "\x08\x00\x45\x00", 4);
	f[16] = (342 - 14) >> 8;
	f[17] = (342 - 14) & 255;
	f[22] = 64;
	f[23] = 17;
	memset(f + 30, 0xff, 4);
	memcpy(f + 34, "\0\x44\0\x43", 4);
	f[38] = (342 - 34) >> 8;
	f[39] = (342 - 34) & 255;
	memcpy(f + 42, "\1\1\6", 3);
	memcpy(f + 46, "abcd", 4);
	memcpy(f + 70, nk_mac, 6);
	memcpy(f + 278, "\x63\x82\x53\x63\x35\x01\x01\xff", 8);
	/* Not for us, then a DISCOVER. */
	assert_int_equal(send(pair[1], f, 60, 0), 60);
	assert_int_equal(send(pair[1], f, sizeof(f), 0), sizeof(f));
	n = recv(pair[1], reply, sizeof(reply), 0);
	assert_true(n >= 342);
	assert_memory_equal(reply + 46, "abcd", 4);
	assert_memory_equal(reply + 58, "\xc0\xa8\xf9\x02", 4);
	end(k);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vhost__serves_both_rings_and_interrupts_the_guest_itself),
		cmocka_unit_test(a_masked_vector__loses_nothing_and_delivers_nothing),
		cmocka_unit_test(resets_and_pauses__take_the_rings_back_where_they_stand),
		cmocka_unit_test(a_link_that_is_down__sends_nothing),
		cmocka_unit_test(one_that_refuses__leaves_the_frames_to_us),
		cmocka_unit_test(a_broken_ring__is_a_device_that_needs_a_reset),
		cmocka_unit_test(memory_that_comes__is_told),
		cmocka_unit_test(memory_that_it_cannot_be_told_of__ends_it_at_once),
		cmocka_unit_test(the_ear__hears_dhcp_and_answers_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
