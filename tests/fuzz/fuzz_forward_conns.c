/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_forward_conns.c - clients and guests that do anything to the forwards between them.
 *
 * The forwards are the real ones, turn by turn, at a time of the input's; the peers are sockets in a network namespace
 * with small buffers, so that every flow is soon full. Each byte of an input says what happens next, with one or two
 * after it: somebody connects, in crowds too, writes, reads, ends, resets; a guest is at other addresses, of which some
 * refuse, have no route or never answer; descriptors run out; hours pass.
 *
 * Every stream says whose it is, and has its bytes by their place. What arrives is what was sent, from the start and
 * in order. When nothing happens any more, all of it has arrived between two that still talk, the end of one too; what
 * has broken is broken on both sides; who waits has a place as soon as there is one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "require.h"
#include "runner/host/clock.h"
#include "runner/net/forward.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	PORT = 4000,
	PEERS = 340, /* all that have a place, and some that wait */
	UNSERVED =
		100, /* fewer than a listener's backlog, beyond which the kernel takes its time */
	ACTS = 400,
	NOBODY = 0xffff,
	DOORS = 3,    /* that guests listen at, */
	HOLE = DOORS, /* and where a guest may be that does not: */
	NO_ROUTE,
	REFUSED,
	PLACES,
	WAYS = 4,
	SETTLE_MS = 60000,
	LOOK_MS = 10 * 1000,
};

enum side { CLIENT, GUEST };

struct peer {
	int fd; /* -1: it has gone */
	unsigned other;
	uint64_t sent, got;
	bool ended, heard_end, broken;
	uint8_t head[2];
};

static struct {
	bool ready;
	struct forwards *f;
	struct forward_spec way[WAYS];
	uint64_t now;
	struct peer peer[2][PEERS];
	unsigned count[2];
	int door[DOORS];
	uint8_t find[FORWARD_TARGETS];
	bool hole; /* has been led to */
} w;

/* ---- where things are ---- */

static struct sockaddr_storage at4(uint32_t address, uint16_t port)
{
	const struct sockaddr_in in = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr = { htonl(address) } };
	struct sockaddr_storage ret = { 0 };

	memcpy(&ret, &in, sizeof(in));
	return ret;
}

static struct sockaddr_storage at6(uint16_t port)
{
	const struct sockaddr_in6 in = { .sin6_family = AF_INET6,
					 .sin6_port = htons(port),
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_storage ret = { 0 };

	memcpy(&ret, &in, sizeof(in));
	return ret;
}

static socklen_t length(const struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static struct sockaddr_storage place(unsigned i)
{
	static const uint32_t addresses[PLACES] = { 0x7f000002,
						    0x7f000003,
						    0,
						    [HOLE] = 0x7f000005,
						    [NO_ROUTE] = 0xcb007101,
						    [REFUSED] = 0x7f000006 };

	return addresses[i] == 0 ? at6(PORT) : at4(addresses[i], PORT);
}

static unsigned find(void *ctx, struct sockaddr_storage to[FORWARD_TARGETS])
{
	unsigned n = 0;

	(void)ctx;
	for (unsigned i = 0; i < FORWARD_TARGETS; i++) {
		const unsigned where = w.find[i];

		if (where >= PLACES)
			continue;
		w.hole = w.hole || where == HOLE;
		to[n++] = place(where);
	}
	return n;
}

static int open_socket(const struct sockaddr_storage *at)
{
	return socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int listen_at(const struct sockaddr_storage *at, int backlog)
{
	const int fd = open_socket(at), on = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)at, length(at)) == 0 && listen(fd, backlog) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static void reset(int fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)close(fd);
}

/* ---- streams ---- */

static uint8_t byte_at(enum side side, unsigned index, uint64_t at)
{
	if (at < 2)
		return (uint8_t)(index >> 8 * at);
	return (uint8_t)((at * 2654435761u + (index * 2 + side) * 40503u) >> 13);
}

static bool is_there(const struct peer *p)
{
	return p->fd >= 0 && !p->broken;
}

static bool is_unserved(const struct peer *p)
{
	return is_there(p) && !p->heard_end && p->other == NOBODY;
}

static void write_some(enum side side, unsigned index, size_t n, int flags)
{
	struct peer *p = &w.peer[side][index];
	uint8_t block[16384];
	ssize_t done;

	if (!is_there(p) || p->ended)
		return;
	for (size_t i = 0; i < n; i++)
		block[i] = byte_at(side, index, p->sent + i);
	done = send(p->fd, block, n, MSG_NOSIGNAL | flags);
	if (done >= 0)
		p->sent += (uint64_t)done;
	else
		p->broken = errno != EAGAIN && errno != ENOTCONN;
}

/* Whose stream it is. */
static void meet(enum side side, unsigned index)
{
	struct peer *p = &w.peer[side][index], *o;

	p->other = p->head[0] | (unsigned)p->head[1] << 8;
	require(p->other < w.count[!side]);
	o = &w.peer[!side][p->other];
	/* A guest that has gone before anything was sent to it: another one may have its client. */
	require(o->other == NOBODY || o->other == index || w.peer[side][o->other].fd < 0);
}

static void check_bytes(enum side side, unsigned index, const uint8_t *block, size_t n)
{
	struct peer *p = &w.peer[side][index];

	for (size_t i = 0; i < n; i++, p->got++) {
		if (p->got >= 2) {
			require(block[i] == byte_at(!side, p->other, p->got));
			continue;
		}
		p->head[p->got] = block[i];
		if (p->got == 1)
			meet(side, index);
	}
}

static bool read_some(enum side side, unsigned index, size_t most)
{
	struct peer *p = &w.peer[side][index];
	uint8_t block[16384];
	ssize_t n;

	if (!is_there(p) || p->heard_end)
		return false;
	n = recv(p->fd, block, most, 0);
	if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
		return false;
	if (n > 0)
		check_bytes(side, index, block, (size_t)n);
	else if (n == 0)
		p->heard_end = true;
	else
		p->broken = true;
	return true;
}

static void greet(enum side side, unsigned index)
{
	const uint64_t sent = w.peer[side][index].sent;

	if (sent < 2)
		write_some(side, index, 2 - (size_t)sent, 0);
}

/* ---- who comes and goes ---- */

static void add_peer(enum side side, int fd)
{
	w.peer[side][w.count[side]++] = (struct peer){ .fd = fd, .other = NOBODY };
	greet(side, w.count[side] - 1);
}

static bool accept_one(unsigned door)
{
	const int fd = w.door[door] >= 0
			       ? accept4(w.door[door], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
			       : -1;

	if (fd < 0)
		return false;
	if (w.count[GUEST] < PEERS)
		add_peer(GUEST, fd);
	else
		reset(fd);
	return true;
}

static void connect_one(unsigned way, unsigned source)
{
	static const uint32_t sources[] = { 0x7f000001, 0x0a090801, 0x0a090802, 0x7f000001 };
	const struct forward_spec *s = &w.way[way % WAYS];
	const struct sockaddr_storage to = s->v4 ? at4(0x7f000001, s->host_port)
						 : at6(s->host_port),
				      from = at4(sources[source % 4], 0);
	unsigned unserved = 0;
	int fd;

	for (unsigned i = 0; i < w.count[CLIENT]; i++)
		unserved += is_unserved(&w.peer[CLIENT][i]);
	if (w.count[CLIENT] == PEERS || unserved >= UNSERVED)
		return;
	fd = open_socket(&to);
	if (fd < 0)
		return; /* a host without IPv6 */
	if ((!s->v4 || bind(fd, (const struct sockaddr *)&from, length(&from)) == 0) &&
	    (connect(fd, (const struct sockaddr *)&to, length(&to)) == 0 || errno == EINPROGRESS))
		add_peer(CLIENT, fd);
	else
		(void)close(fd);
}

static void leave(enum side side, unsigned index, bool in_peace)
{
	struct peer *p = &w.peer[side][index];

	if (p->fd < 0)
		return;
	if (in_peace)
		(void)close(p->fd);
	else
		reset(p->fd);
	p->fd = -1;
}

static void end(enum side side, unsigned index)
{
	struct peer *p = &w.peer[side][index];

	if (is_there(p) && p->sent >= 2 && shutdown(p->fd, SHUT_WR) == 0)
		p->ended = true;
}

static void turn_door(unsigned door, bool open)
{
	const struct sockaddr_storage at = place(door);

	if (!open && w.door[door] >= 0) {
		(void)close(w.door[door]);
		w.door[door] = -1;
	} else if (open && w.door[door] < 0) {
		w.door[door] = listen_at(&at, 4 * PEERS);
	}
}

static bool guests_accept(void)
{
	bool ret = false;

	for (unsigned i = 0; i < DOORS; i++)
		while (accept_one(i))
			ret = true;
	return ret;
}

static void crowd(unsigned way, unsigned source, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		connect_one(way, source);
		(void)forwards_turn(w.f, w.now);
		(void)guests_accept();
		for (unsigned g = 0; g < w.count[GUEST]; g++)
			if (w.peer[GUEST][g].other == NOBODY)
				(void)read_some(GUEST, g, 2);
	}
}

/* A turn with @more descriptors and no others. */
static void turn_poor(unsigned more)
{
	const int lowest = open("/", O_PATH | O_CLOEXEC);
	struct rlimit all, few;

	require(lowest >= 0 && getrlimit(RLIMIT_NOFILE, &all) == 0);
	(void)close(lowest);
	few = (struct rlimit){ (rlim_t)lowest + more, all.rlim_max };
	require(setrlimit(RLIMIT_NOFILE, &few) == 0);
	(void)forwards_turn(w.f, w.now);
	require(setrlimit(RLIMIT_NOFILE, &all) == 0);
}

/* ---- what has to be true when nothing happens any more ---- */

static bool step(void)
{
	bool ret = forwards_turn(w.f, w.now) > 0;

	ret |= guests_accept();
	for (unsigned side = CLIENT; side <= GUEST; side++)
		for (unsigned i = 0; i < w.count[side]; i++) {
			greet(side, i);
			while (read_some(side, i, 16384))
				ret = true;
		}
	return ret;
}

/* One way, between two that are there. */
static bool has_all(const struct peer *from, const struct peer *to)
{
	return to->got == from->sent && to->heard_end == from->ended;
}

static bool is_settled(enum side side, const struct peer *p)
{
	const struct peer *o = p->other == NOBODY ? NULL : &w.peer[!side][p->other];

	if (p->fd < 0)
		return true;
	if (o == NULL) /* a client may have to wait; a guest's has said who it is, or has broken */
		return side == CLIENT || p->heard_end || p->broken;
	if (o->fd < 0)
		return p->heard_end || p->broken;
	if (p->broken) /* who has heard the end may not be told any more */
		return o->broken || o->heard_end;
	return o->broken ? p->heard_end : has_all(o, p);
}

static bool all_settled(void)
{
	for (unsigned side = CLIENT; side <= GUEST; side++)
		for (unsigned i = 0; i < w.count[side]; i++)
			if (!is_settled(side, &w.peer[side][i]))
				return false;
	return true;
}

static struct forward_count total(void)
{
	struct forward_count ret = { 0 }, one;

	for (unsigned i = 0; i < WAYS; i++) {
		if (!forwards_count(w.f, &w.way[i], &one))
			continue;
		require(one.taken >= one.open);
		ret.taken += one.taken;
		ret.open += one.open;
		ret.to_guest += one.to_guest;
		ret.from_guest += one.from_guest;
	}
	return ret;
}

static void __attribute__((noreturn)) tell_and_fail(void)
{
	for (unsigned side = CLIENT; side <= GUEST; side++)
		for (unsigned i = 0; i < w.count[side]; i++) {
			const struct peer *p = &w.peer[side][i];

			(void)fprintf(stderr, "%s %u: other %u, sent %llu, got %llu%s%s%s%s%s\n",
				      side == CLIENT ? "client" : "guest", i, p->other,
				      (unsigned long long)p->sent, (unsigned long long)p->got,
				      p->fd < 0 ? ", gone" : "", p->ended ? ", ended" : "",
				      p->heard_end ? ", heard the end" : "",
				      p->broken ? ", broken" : "",
				      is_settled(side, p) ? "" : " <--");
		}
	abort();
}

/* Until @is_over. The kernel may need a moment; nobody else can help. */
static void settle(bool (*is_over)(void))
{
	const uint64_t until = clock_ms() + SETTLE_MS;

	for (;;) {
		if (step())
			continue;
		if (is_over())
			return;
		if (clock_ms() >= until)
			tell_and_fail();
		(void)poll(NULL, 0, 1);
	}
}

static void check_counts(void)
{
	uint64_t sent[2] = { 0 }, got[2] = { 0 };
	struct forward_count c = total();

	for (unsigned side = CLIENT; side <= GUEST; side++)
		for (unsigned i = 0; i < w.count[side]; i++) {
			sent[side] += w.peer[side][i].sent;
			got[side] += w.peer[side][i].got;
		}
	require(got[GUEST] <= c.to_guest && c.to_guest <= sent[CLIENT]);
	require(got[CLIENT] <= c.from_guest && c.from_guest <= sent[GUEST]);
	require(c.taken <= w.count[CLIENT] && c.open <= FORWARD_SHARED + WAYS * FORWARD_OWN);
}

static bool nobody_waits(void)
{
	for (unsigned i = 0; i < w.count[CLIENT]; i++)
		if (is_unserved(&w.peer[CLIENT][i]))
			return false;
	return true;
}

static bool nothing_is_open(void)
{
	return total().open == 0;
}

static void leave_all_but_who_waits(void)
{
	for (unsigned side = CLIENT; side <= GUEST; side++)
		for (unsigned i = 0; i < w.count[side]; i++)
			if (side == GUEST || !is_unserved(&w.peer[side][i]))
				leave(side, i, false);
}

/* All who wait have a place, at once, when those who have one leave: they are fewer. */
static void serve_all(void)
{
	memset(w.find, REFUSED, sizeof(w.find));
	w.find[0] = 0;
	turn_door(0, true);
	w.now +=
		LOOK_MS; /* who lacked descriptors tries again, and nobody has been silent for too long */
	settle(all_settled);
	leave_all_but_who_waits();
	settle(nobody_waits);
	leave_all_but_who_waits();
	settle(nothing_is_open);
}

/* ---- an input ---- */

struct input {
	const uint8_t *at, *end;
};

static uint8_t take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static unsigned take_peer(struct input *in, enum side side)
{
	const unsigned i = take(in);

	/* The latest ones are near. */
	return w.count[side] - 1 - i % w.count[side];
}

static void act_on_peer(struct input *in, unsigned what)
{
	const enum side side = what % 2;
	const unsigned size = take(in), n = 1u << size % 15;
	unsigned i;

	if (w.count[side] == 0)
		return;
	i = take_peer(in, side);
	switch (what / 2 % 6) {
	case 0:
		write_some(side, i, n, size / 15 == 0 ? MSG_OOB : 0);
		return;
	case 1:
		(void)read_some(side, i, n);
		return;
	case 2:
		end(side, i);
		return;
	case 3:
		leave(side, i, true);
		return;
	case 4:
		leave(side, i, false);
		return;
	default:
		for (unsigned more = 0; more < 16; more++)
			write_some(side, i, 16384, 0);
	}
}

static void act(struct input *in)
{
	const unsigned what = take(in) % 32;
	uint8_t n;

	switch (what) {
	case 12:
	case 13:
		n = take(in);
		connect_one(n, n / WAYS);
		return;
	case 14:
		n = take(in);
		crowd(n, n / WAYS, take(in));
		return;
	case 15:
		(void)accept_one(take(in) % DOORS);
		return;
	case 16:
		for (unsigned i = 0; i < FORWARD_TARGETS; i++)
			w.find[i] = take(in) % (PLACES + 1);
		return;
	case 17:
		w.now += 1u << take(in) % 24;
		break;
	case 18:
		turn_poor(take(in) % 4);
		return;
	case 19:
		n = take(in);
		turn_door(n % DOORS, n / DOORS % 2 == 0);
		return;
	case 20:
		(void)step();
		return;
	default:
		if (what < 12) {
			act_on_peer(in, what);
			return;
		}
	}
	(void)forwards_turn(w.f, w.now);
}

static void begin(void)
{
	static const char *const texts[WAYS] = { "127.0.0.1:5000:4000", "0.0.0.0:5001:4000",
						 "[::1]:5000:4000", "127.0.0.1:5002:4000" };
	struct sill_err e = { 0 };

	w.count[CLIENT] = w.count[GUEST] = 0;
	w.hole = false;
	w.now = 1;
	memset(w.find, 0, sizeof(w.find));
	w.f = forwards_create(&e);
	require(w.f != NULL);
	for (unsigned i = 0; i < DOORS; i++)
		turn_door(i, true);
	for (unsigned i = 0; i < WAYS; i++) {
		require(forward_read(texts[i], &w.way[i], &e) == 0);
		if (i == 1)
			require(forwards_add(w.f, &w.way[i], 0x7f000002, &e) == 0);
		else
			require(forwards_add_found(w.f, &w.way[i], find, NULL, &e) == 0 ||
				w.way[i].v6);
	}
	require(forwards_watch(w.f, &e) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	if (!w.ready)
		return 0;
	begin();
	for (unsigned i = 0; i < ACTS && in.at < in.end; i++)
		act(&in);
	settle(all_settled);
	check_counts();
	if (!w.hole)
		serve_all();
	for (unsigned side = CLIENT; side <= GUEST; side++)
		for (unsigned i = 0; i < w.count[side]; i++)
			leave(side, i, false);
	forwards_destroy(w.f);
	w.count[GUEST] = PEERS;
	(void)guests_accept(); /* none is left to the next input */
	return 0;
}

/* ---- a network for it ---- */

static void set(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	(void)close(fd);
}

static bool set_loopback(void)
{
	static const char *const names[] = { "lo", "lo:1", "lo:2" };
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = true;

	for (unsigned i = 0; i < 3; i++) {
		const struct sockaddr_storage at = at4(i == 0 ? 0x7f000001 : 0x0a090800 + i, 0);
		struct ifreq r = { 0 };

		(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", names[i]);
		if (i == 0) {
			r.ifr_mtu = 1500;
			ok = ok && ioctl(s, SIOCSIFMTU, &r) == 0;
			r.ifr_flags = IFF_UP;
			ok = ok && ioctl(s, SIOCSIFFLAGS, &r) == 0;
			continue;
		}
		memcpy(&r.ifr_addr, &at, sizeof(r.ifr_addr));
		ok = ok && ioctl(s, SIOCSIFADDR, &r) == 0;
	}
	(void)close(s);
	return ok;
}

/* A guest whose kernel answers nobody: who has filled its backlog stays. */
static void make_hole(void)
{
	const struct sockaddr_storage at = place(HOLE);

	require(listen_at(&at, 0) >= 0);
	for (unsigned i = 0; i < 2; i++) {
		const int fd = open_socket(&at);

		require(fd >= 0);
		(void)connect(fd, (const struct sockaddr *)&at, length(&at));
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct rlimit limit;

	(void)argc;
	(void)argv;
	if ((unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) ||
	    !set_loopback()) {
		(void)fprintf(stderr, "no network namespace for it: nothing is tried\n");
		return 0;
	}
	require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	set("/proc/sys/net/ipv4/tcp_wmem", "4096 8192 16384");
	set("/proc/sys/net/ipv4/tcp_rmem", "4096 8192 16384");
	set("/proc/sys/net/ipv4/tcp_max_tw_buckets", "0");
	memset(w.door, -1, sizeof(w.door));
	make_hole();
	w.ready = limit.rlim_cur >= 5 * PEERS;
	return 0;
}
