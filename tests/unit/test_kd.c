/* SPDX-License-Identifier: Apache-2.0 */
/* test_kd.c - a kernel debugger's line: what is seen of it, and that nobody waits for a debugger. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "base/limits.h"
#include "core/clock.h"
#include "kd_peer.h"

/* ---- packets ---- */

static struct kd_line all_of(const uint8_t *p, size_t n, size_t step)
{
	struct kd_line l = { 0 };

	for (size_t at = 0; at < n; at += step)
		kd_take(&l, p + at, n - at < step ? n - at : step);
	assert_int_equal(l.side.bytes, n);
	return l;
}

/* However the bytes come. */
static struct sill_kd_side seen(const uint8_t *p, size_t n)
{
	const struct sill_kd_side whole = all_of(p, n, n).side;

	for (size_t step = 1; step < 7; step++) {
		const struct sill_kd_side piece = all_of(p, n, step).side;

		assert_memory_equal(&piece, &whole, sizeof(whole));
	}
	return whole;
}

static void kd_packets__are_counted_however_they_come(void **state)
{
	uint8_t buf[8192];
	static uint8_t data[KD_DATA_MAX];
	struct sill_kd_side s;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i; /* leaders, break-ins and trailers among it */
	n += kd_packet(buf + n, KD_RESET, 0, NULL, 0);
	n += kd_packet(buf + n, KD_STATE_CHANGE, KD_FIRST_ID | KD_SYNC, data, 240);
	n += kd_packet(buf + n, KD_RESEND, 0, NULL, 0);
	n += kd_packet(buf + n, KD_MANIPULATE, KD_FIRST_ID, data, KD_DATA_MAX);
	n += kd_packet(buf + n, KD_ACK, KD_FIRST_ID, NULL, 0);
	n += kd_packet(buf + n, KD_TYPE_LAST, KD_FIRST_ID, data, 1);
	s = seen(buf, n);
	assert_int_equal(s.packets, 6);
	assert_int_equal(s.bad, 0);
	assert_int_equal(s.resets, 1);
	assert_int_equal(s.resends, 1);
	assert_int_equal(s.breaks, 0);
}

/* WinDbg's first bytes: a reset; Ctrl-Break sends the byte that stops. */
static void kd_break_in__is_seen_outside_of_packets_only(void **state)
{
	const uint8_t first[] = { 0x69, 0x69, 0x69, 0x69, 6, 0, 0,   0,   0,    0,
				  0,    0,    0,    0,    0, 0, 'b', 'x', 0x30, 'b' };
	const struct sill_kd_side s = seen(first, sizeof(first));
	uint8_t in[64];
	size_t n;

	(void)state;
	assert_int_equal(s.resets, 1);
	assert_int_equal(s.breaks, 2);
	n = kd_packet(in, KD_MANIPULATE, KD_FIRST_ID, "bbbb", 4);
	assert_int_equal(seen(in, n).breaks, 0);
	assert_int_equal(seen(in, n).packets, 1);
}

static void kd_line__is_understood_again_after_what_is_wrong(void **state)
{
	enum { AFTER = 200 }; /* longer than what a wrong length may hide */
	uint8_t good[64], buf[8192];
	const size_t n = kd_packet(good, KD_STATE_CHANGE, KD_FIRST_ID, "0i0i0000iiii", 12);

	(void)state;
	for (size_t lost = 0; lost < n;
	     lost++) { /* one byte is lost, another packet comes behind */
		memcpy(buf, good, lost);
		memcpy(buf + lost, good + lost + 1, n - lost - 1);
		memcpy(buf + n - 1, good, n);
		memcpy(buf + 2 * n - 1, good, n);
		assert_true(seen(buf, 3 * n - 1).packets >= 1);
	}
	for (size_t at = 0; at < n; at++) { /* one byte is wrong */
		const bool in_id = at >= 8 && at < 12, hides = at == 6;
		struct sill_kd_side s;

		for (size_t i = 0; i <= AFTER; i++)
			memcpy(buf + i * n, good, n);
		buf[at] ^= 0xff;
		s = seen(buf, (AFTER + 1) * n);
		if (hides)
			assert_in_range(s.packets, AFTER / 2, AFTER - 1);
		else
			assert_int_equal(s.packets, in_id ? AFTER + 1 : AFTER);
		assert_int_equal(s.bad, at >= 12 || hides ? 1 : 0);
	}
}

static void kd_head__of_no_packet_is_none(void **state)
{
	static const struct {
		uint8_t leader;
		uint16_t type, count;
	} cases[] = { { 0x30, 0, 4 },    { 0x30, 12, 4 }, { 0x30, KD_ACK, 4 }, { 0x30, 7, 0 },
		      { 0x30, 7, 4001 }, { 0x69, 7, 0 },  { 0x69, KD_ACK, 1 }, { 0x31, 7, 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t buf[64] = { 0 };
		size_t n = KD_HEAD;

		memset(buf, cases[i].leader, 4);
		st16(buf + 4, cases[i].type);
		st16(buf + 6, cases[i].count);
		n += kd_packet(buf + n, KD_ACK, KD_FIRST_ID, NULL, 0);
		assert_int_equal(seen(buf, n).packets, 1);
	}
}

/* ---- the port ---- */

struct rig {
	struct loop *loop;
	struct chr *chr;
	struct loop_timer tick;
	struct sockaddr_in at;
	int debugger; /* -1: none */
	struct kd_peer target, peer;
	uint64_t random;
	unsigned loses; /* one of so many bytes to the debugger is lost; 0: none */
	unsigned rounds, quiet;
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	const struct chr_config blank = { .mode = SILL_CHAR_TCP, .in_fd = -1, .out_fd = -1 };
	struct chr_config c = blank;
	struct sill_err e = { 0 };
	socklen_t size = sizeof(r->at);

	assert_non_null(r);
	r->loop = loop_create(&e);
	r->debugger = -1;
	r->at = (struct sockaddr_in){ .sin_family = AF_INET };
	r->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(c.listen_fd, (struct sockaddr *)&r->at, sizeof(r->at)), 0);
	assert_int_equal(listen(c.listen_fd, 4), 0);
	assert_int_equal(getsockname(c.listen_fd, (struct sockaddr *)&r->at, &size), 0);
	r->chr = chr_create("serial2", &c, r->loop, &e);
	assert_non_null(r->chr);
	chr_set_kd(r->chr);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	chr_destroy(r->chr);
	loop_destroy(r->loop);
	if (r->debugger >= 0)
		(void)close(r->debugger);
	free(r);
	return 0;
}

static bool (*done)(struct rig *r);

static void look(void *ctx)
{
	struct rig *r = ctx;

	if (done(r))
		loop_stop(r->loop);
	else
		loop_timer_set(r->loop, &r->tick, host_now() + 20000);
}

static void run_until(struct rig *r, bool (*held)(struct rig *r))
{
	struct sill_err e = { 0 };

	done = held;
	r->tick = (struct loop_timer){ .fn = look, .ctx = r };
	loop_timer_set(r->loop, &r->tick, 0);
	assert_int_equal(loop_run(r->loop, &e), 0);
}

static bool is_connected(struct rig *r)
{
	return chr_connected(r->chr);
}

static bool is_alone(struct rig *r)
{
	return !chr_connected(r->chr);
}

static void come(struct rig *r)
{
	const int one = 1;

	r->debugger = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(r->debugger, (struct sockaddr *)&r->at, sizeof(r->at)), 0);
	(void)setsockopt(r->debugger, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	run_until(r, is_connected);
}

static void go(struct rig *r)
{
	(void)close(r->debugger);
	r->debugger = -1;
	run_until(r, is_alone);
}

static enum sill_kd_state state_of(struct rig *r)
{
	struct sill_kd_seen seen_now;

	chr_kd(r->chr, &seen_now);
	assert_int_equal(seen_now.connected, r->debugger >= 0);
	return seen_now.state;
}

static uint32_t dice(struct rig *r, uint32_t sides)
{
	r->random = r->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(r->random >> 33) % sides;
}

/* The target as a guest: what it has to say goes out in pieces, down to single bytes. */
static bool target_turn(struct rig *r)
{
	struct kd_peer *t = &r->target;
	bool moved = t->out_n > 0;
	uint8_t in[64];
	size_t n;

	for (size_t at = 0; at < t->out_n; at += n) {
		n = 1 + dice(r, 40);
		if (n > t->out_n - at)
			n = t->out_n - at;
		chr_write(r->chr, t->out + at, n);
	}
	t->out_n = 0;
	while ((n = chr_read(r->chr, in, 1 + dice(r, sizeof(in)))) > 0) {
		kd_peer_take(t, in, n);
		moved = true;
	}
	return moved;
}

static bool debugger_turn(struct rig *r)
{
	struct kd_peer *d = &r->peer;
	bool moved = d->out_n > 0;
	uint8_t in[256];
	ssize_t n;

	if (d->out_n > 0)
		assert_int_equal(send(r->debugger, d->out, d->out_n, MSG_NOSIGNAL), d->out_n);
	d->out_n = 0;
	while ((n = recv(r->debugger, in, 1 + dice(r, sizeof(in)), MSG_DONTWAIT)) > 0) {
		size_t kept = 0;

		for (ssize_t i = 0; i < n; i++)
			if (r->loses == 0 || dice(r, r->loses) != 0)
				in[kept++] = in[i];
		kd_peer_take(d, in, kept);
		moved = true;
	}
	return moved;
}

/* Ask, get the answer, ask again; what has got lost is asked for again when nothing moves any more. */
static bool talk(struct rig *r)
{
	bool moved = target_turn(r);

	moved = debugger_turn(r) || moved;
	r->quiet = moved ? 0 : r->quiet + 1;
	if (r->peer.resets > 0 && !r->peer.unacked && r->peer.answers == r->peer.questions) {
		if (r->peer.answers == r->rounds)
			return true;
		kd_peer_ask(&r->peer);
	} else if (r->quiet > 20) {
		r->quiet = 0;
		if (r->peer.in_n > 0) {
			r->peer.in_n = 0; /* the rest of it is lost */
			kd_peer_control(&r->peer, KD_RESEND, 0);
		}
		if (r->peer.resets == 0)
			kd_peer_control(&r->peer, KD_RESET, 0);
		if (r->peer.unacked)
			kd_peer_again(&r->peer);
		if (r->target.unacked)
			kd_peer_again(&r->target);
	}
	return false;
}

static void kd_state__follows_what_both_say(void **state)
{
	struct rig *r = *state;
	uint8_t in[64];

	assert_int_equal(state_of(r), SILL_KD_SILENT);
	chr_write(r->chr, "SAC>", 4);
	assert_int_equal(state_of(r), SILL_KD_STRANGE);
	kd_peer_begin(&r->target, true);
	(void)target_turn(r);
	assert_int_equal(state_of(r), SILL_KD_WAITING);
	come(r);
	assert_int_equal(state_of(r), SILL_KD_WAITING); /* who is there has said nothing */
	kd_peer_begin(&r->peer, false);
	r->rounds = 3;
	run_until(r, talk);
	assert_int_equal(state_of(r), SILL_KD_ATTACHED);
	chr_guest_anew(r->chr); /* a reset: the debugger stays */
	while (chr_read(r->chr, in, sizeof(in)) > 0)
		continue;
	assert_int_equal(state_of(r), SILL_KD_SILENT);
	kd_peer_begin(&r->target, true);
	(void)target_turn(r);
	assert_int_equal(state_of(r), SILL_KD_WAITING);
	go(r);
	assert_int_equal(state_of(r), SILL_KD_WAITING);
}

static void kd_talk__is_right_in_pieces_and_with_bytes_lost(void **state)
{
	struct rig *r = *state;
	struct sill_kd_seen now;

	r->rounds = 300;
	r->loses = 1500;
	kd_peer_begin(&r->target, true);
	come(r);
	kd_peer_begin(&r->peer, false);
	run_until(r, talk);
	assert_int_equal(r->peer.wrong, 0);
	assert_int_equal(r->target.questions, r->rounds);
	assert_true(r->target.resent > 0); /* bytes were lost, and it was noticed */
	chr_kd(r->chr, &now);
	assert_int_equal(now.guest.bad + now.debugger.bad, 0); /* at the port none were */
	assert_true(now.guest.packets >= r->rounds && now.debugger.resends > 0);
}

static void kd_break_in__reaches_the_guest(void **state)
{
	struct rig *r = *state;
	struct sill_kd_seen now;

	kd_peer_begin(&r->target, true);
	come(r);
	kd_peer_begin(&r->peer, false);
	kd_peer_put(&r->peer, "b", 1);
	r->rounds = 1;
	run_until(r, talk);
	assert_int_equal(r->target.breaks, 1);
	chr_kd(r->chr, &now);
	assert_int_equal(now.debugger.breaks, 1);
}

/* One who goes in the middle of a packet, in its head or its data, hides nothing of the next one's. */
static void kd_debugger__that_goes_in_a_packet_hides_no_other(void **state)
{
	struct rig *r = *state;
	static uint8_t data[KD_DATA_MAX];
	uint8_t packet[KD_HEAD + KD_DATA_MAX + 1], in[64];
	struct sill_kd_seen now;

	kd_peer_begin(&r->target, true);
	(void)target_turn(r);
	(void)kd_packet(packet, KD_MANIPULATE, KD_FIRST_ID, data, KD_DATA_MAX);
	for (unsigned half = 3; half <= KD_HEAD + 9; half++) {
		come(r);
		assert_int_equal(send(r->debugger, packet, half, MSG_NOSIGNAL), half);
		go(r);
		while (chr_read(r->chr, in, sizeof(in)) > 0)
			continue;
	}
	come(r);
	kd_peer_begin(&r->peer, false);
	r->rounds = 1;
	run_until(r, talk);
	assert_int_equal(state_of(r), SILL_KD_ATTACHED);
	chr_kd(r->chr, &now);
	assert_int_equal(now.debugger.bad, 0);
	assert_true(now.debugger.packets >= 3); /* a reset, an acknowledgement, a question */
	assert_true(now.debugger.resets >= 1);
}

/* A guest that is reset in the middle of a packet, too: its first one afterwards counts. */
static void kd_guest__that_is_reset_in_a_packet_hides_no_other(void **state)
{
	struct rig *r = *state;
	static uint8_t data[KD_DATA_MAX];
	uint8_t packet[KD_HEAD + KD_DATA_MAX + 1];
	struct sill_kd_seen now;

	(void)kd_packet(packet, KD_STATE_CHANGE, KD_FIRST_ID, data, KD_DATA_MAX);
	for (unsigned half = 3; half <= KD_HEAD + 9; half++) {
		chr_write(r->chr, packet, half);
		chr_guest_anew(r->chr);
		kd_peer_begin(&r->target, true);
		(void)target_turn(r);
		assert_int_equal(state_of(r), SILL_KD_WAITING);
	}
	chr_kd(r->chr, &now);
	assert_int_equal(now.guest.packets, KD_HEAD + 9 - 3 + 1);
	assert_int_equal(now.guest.bad, 0);
}

/* Bytes that nobody listens to cost the guest no more than those to a far end that is null, and are not kept. */
static void kd_flood__without_a_debugger_is_taken_and_forgotten(void **state)
{
	enum { PIECE = 4096, PIECES = 1024 };
	struct rig *r = *state;
	static uint8_t noise[PIECE];
	uint8_t first = 0;

	memset(noise, 0x30, sizeof(noise));
	for (unsigned i = 0; i < PIECES; i++)
		chr_write(r->chr, noise, sizeof(noise));
	assert_int_equal(chr_written(r->chr), (uint64_t)PIECE * PIECES);
	assert_int_equal(chr_dropped(r->chr), 0);
	come(r);
	kd_peer_begin(&r->target, true);
	kd_peer_begin(&r->peer, false);
	(void)target_turn(r);
	chr_drain(r->chr, 1000);
	assert_int_equal(recv(r->debugger, &first, 1, 0), 1);
	assert_int_equal(first, KD_LEADER_DATA);
	assert_int_equal(recv(r->debugger, noise, sizeof(noise), MSG_DONTWAIT),
			 KD_HEAD + KD_ANSWER); /* one packet, and nothing before it */
}

/* ---- before Windows speaks ---- */

static const char firmware[] = "\x1b[2J\x1b[001;001HBdsDxe: loading Boot0001 \"bib 0000 iiii\"\r\n";

/* What @guest has for who is at the far end, byte for byte. */
static void expect_debugger(struct rig *r, const void *want, size_t n)
{
	uint8_t got[1024];
	size_t at = 0;

	chr_drain(r->chr, 0);
	while (at < n) {
		const ssize_t more = recv(r->debugger, got + at, sizeof(got) - at, 0);

		assert_true(more > 0);
		at += (size_t)more;
	}
	assert_int_equal(at, n);
	assert_memory_equal(got, want, n);
	assert_int_equal(recv(r->debugger, got, 1, MSG_DONTWAIT), -1);
}

/* What is said in a piece of @step bytes at a time. */
static void write_in(struct rig *r, const void *what, size_t n, size_t step)
{
	for (size_t at = 0; at < n; at += step)
		chr_write(r->chr, (const uint8_t *)what + at, n - at < step ? n - at : step);
}

/* Firmware's console is nothing for a debugger; from Windows' first packet on every byte is, until a reset. */
static void kd_gate__opens_with_the_guests_first_packet(void **state)
{
	static const size_t steps[] = { 1, 3, 16, 1024 };
	struct rig *r = *state;
	uint8_t said[512];
	size_t n;

	come(r);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		chr_guest_anew(r->chr);
		write_in(r, firmware, sizeof(firmware), steps[i]);
		expect_debugger(r, "", 0);
		n = kd_packet(said, KD_STATE_CHANGE, KD_FIRST_ID | KD_SYNC, "bbb", 3);
		memcpy(said + n, firmware, sizeof(firmware)); /* neither packet nor lost */
		n += sizeof(firmware);
		said[n++] = 0x13;
		write_in(r, said, n, steps[i]);
		expect_debugger(r, said, n);
		assert_int_equal(state_of(r), SILL_KD_WAITING);
		chr_guest_anew(r->chr); /* one that controls the line is one, too */
		n = kd_packet(said, KD_RESET, 0, NULL, 0);
		write_in(r, said, n, steps[i]);
		expect_debugger(r, said, n);
	}
}

/* Half a head that was begun before a reset is none of the packet behind it. */
static void kd_gate__knows_no_head_of_before_a_reset(void **state)
{
	struct rig *r = *state;
	uint8_t said[64];
	const size_t n = kd_packet(said, KD_STATE_CHANGE, KD_FIRST_ID, "x", 1);

	come(r);
	for (size_t half = 1; half < KD_HEAD; half++) {
		chr_guest_anew(r->chr);
		chr_write(r->chr, said, half);
		chr_guest_anew(r->chr);
		chr_write(r->chr, said + half, n - half);
		expect_debugger(r, "", 0);
		chr_write(r->chr, said, n);
		expect_debugger(r, said, n);
	}
}

static size_t wanted_n;

static bool has_sent(struct rig *r)
{
	struct sill_kd_seen now;

	chr_kd(r->chr, &now);
	return now.debugger.bytes >= wanted_n;
}

/* In one piece, and taken before the next. */
static void send_to_guest(struct rig *r, const void *p, size_t n)
{
	wanted_n += n;
	assert_int_equal(send(r->debugger, p, n, MSG_NOSIGNAL), n);
	run_until(r, has_sent);
}

static void expect_guest(struct rig *r, const void *want, size_t n)
{
	uint8_t got[1024];

	assert_int_equal(chr_read(r->chr, got, sizeof(got)), n);
	assert_memory_equal(got, want, n);
}

/* A debugger that speaks first is heard; another machine's console is not, for its words would be keys. */
static void kd_gate__lets_packets_and_break_ins_in(void **state)
{
	struct rig *r = *state;
	uint8_t sent[512];
	size_t n, half;

	come(r);
	wanted_n = 0;
	send_to_guest(r, firmware, sizeof(firmware));
	send_to_guest(r, "bob", 3);
	expect_guest(r, "", 0);
	send_to_guest(r, "b", 1);
	send_to_guest(r, "bb", 2);
	expect_guest(r, "bbb", 3);
	n = kd_packet(sent, KD_RESET, 0, NULL, 0);
	n += kd_packet(sent + n, KD_MANIPULATE, KD_FIRST_ID, "0i0b", 4);
	sent[n++] = KD_BREAK_IN;
	send_to_guest(r, sent, n);
	expect_guest(r, sent, n);
	for (half = 1; half < n; half++) { /* in two pieces, with somebody's text around */
		send_to_guest(r, firmware, sizeof(firmware));
		send_to_guest(r, sent, half);
		send_to_guest(r, sent + half, n - half);
		expect_guest(r, sent, n);
	}
}

static bool has_some_or_all(struct rig *r)
{
	return chr_has_input(r->chr) || has_sent(r);
}

/* What is sent faster than the guest reads waits: of a head that is held back nothing is lost either. */
static void kd_gate__counts_what_it_holds_as_taken(void **state)
{
	enum { PACKETS = 1100 }; /* more than the guest's room */
	static uint8_t sent[1 + PACKETS * KD_HEAD], got[sizeof(sent)];
	struct rig *r = *state;
	size_t n = 1, at = 0, now;

	come(r);
	sent[0] = KD_BREAK_IN;
	for (unsigned i = 0; i < PACKETS; i++)
		n += kd_packet(sent + n, KD_RESET, 0, NULL, 0);
	assert_int_equal(n, sizeof(sent));
	assert_int_equal(send(r->debugger, sent, n, MSG_NOSIGNAL), n);
	wanted_n = 16 * 1024 - KD_HEAD; /* its room is all but full before it reads */
	run_until(r, has_sent);
	wanted_n = n;
	do {
		run_until(r, has_some_or_all);
		now = chr_read(r->chr, got + at, n - at);
		at += now;
	} while (now > 0 && at < n);
	assert_int_equal(at, n);
	assert_memory_equal(got, sent, n);
}

/* Neither when the guest begins to speak, nor when it is reset, a packet that comes just then is torn. */
static void kd_gate__tears_no_packet_when_it_moves(void **state)
{
	struct rig *r = *state;
	uint8_t sent[64], hello[64];
	const size_t n = kd_packet(sent, KD_MANIPULATE, KD_FIRST_ID, "question", 8);
	const size_t hello_n = kd_packet(hello, KD_STATE_CHANGE, KD_FIRST_ID, "x", 1);

	come(r);
	wanted_n = 0;
	for (size_t half = 1; half < n; half++) {
		chr_guest_anew(r->chr);
		send_to_guest(r, sent, half);
		chr_write(r->chr, hello, hello_n);
		send_to_guest(r, sent + half, n - half);
		expect_guest(r, sent, n);
		send_to_guest(r, sent, half);
		chr_guest_anew(r->chr);
		send_to_guest(r, sent + half, n - half);
		expect_guest(r, sent, n);
	}
}

static void kd_debugger__that_comes_goes_and_never_reads_costs_nothing(void **state)
{
	enum { PIECE = 4096, PIECES = 256 };
	struct rig *r = *state;
	static uint8_t noise[PIECE];
	uint64_t said = 0;

	memset(noise, 'x', sizeof(noise));
	for (unsigned visit = 0; visit < 20; visit++) {
		come(r);
		kd_peer_begin(&r->target, true);
		(void)target_turn(r);
		said += KD_HEAD + KD_ANSWER + 1;
		for (unsigned i = 0; i < PIECES; i++)
			chr_write(r->chr, noise, sizeof(noise));
		if (visit % 2 == 0)
			chr_guest_anew(r->chr);
		go(r);
	}
	assert_int_equal(chr_written(r->chr), 20ull * PIECE * PIECES + said);
	come(r);
	kd_peer_begin(&r->target, true);
	kd_peer_begin(&r->peer, false);
	r->rounds = 10;
	run_until(r, talk);
	assert_int_equal(r->peer.wrong, 0);
	assert_int_equal(state_of(r), SILL_KD_ATTACHED);
}

enum { UNREAD_LOST = 4 * CHAR_BUFFER, UNREAD_MAX = 64 << 20 };
static uint64_t unread; /* bytes written */

static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos ^ (pos >> 8) * 31 ^ (pos >> 16) * 7);
}

/* A piece in each turn of the loop, which passes it on while it can. */
static bool has_lost(struct rig *r)
{
	uint8_t piece[4096];

	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = byte_at(unread + i);
	chr_write(r->chr, piece, sizeof(piece));
	unread += sizeof(piece);
	return chr_dropped(r->chr) >= UNREAD_LOST || unread >= UNREAD_MAX;
}

static bool is_passed_on(struct rig *r)
{
	static uint8_t newest[CHAR_BUFFER];
	static uint64_t got;
	uint8_t in[4096];
	ssize_t n;

	while ((n = recv(r->debugger, in, sizeof(in), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++, got++) {
			assert_true(got >= CHAR_BUFFER || in[i] == byte_at(got));
			newest[got % CHAR_BUFFER] = in[i];
		}
	if (got + chr_dropped(r->chr) < unread)
		return false;
	assert_int_equal(got + chr_dropped(r->chr), unread);
	for (uint64_t back = 1; back <= CHAR_BUFFER; back++)
		assert_int_equal(newest[(got - back) % CHAR_BUFFER], byte_at(unread - back));
	return true;
}

/* Nothing is mixed: the first bytes are there, the newest, and as many are missing as were counted. */
static void kd_flood__that_is_not_read_loses_the_oldest(void **state)
{
	struct rig *r = *state;

	come(r);
	kd_peer_begin(&r->target, true);
	(void)target_turn(r);
	expect_debugger(r, r->target.last, r->target.last_n);
	run_until(r, has_lost);
	assert_in_range(chr_dropped(r->chr), UNREAD_LOST, unread);
	run_until(r, is_passed_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kd_packets__are_counted_however_they_come),
		cmocka_unit_test(kd_break_in__is_seen_outside_of_packets_only),
		cmocka_unit_test(kd_line__is_understood_again_after_what_is_wrong),
		cmocka_unit_test(kd_head__of_no_packet_is_none),
		cmocka_unit_test_setup_teardown(kd_state__follows_what_both_say, setup, teardown),
		cmocka_unit_test_setup_teardown(kd_talk__is_right_in_pieces_and_with_bytes_lost,
						setup, teardown),
		cmocka_unit_test_setup_teardown(kd_break_in__reaches_the_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(kd_debugger__that_goes_in_a_packet_hides_no_other,
						setup, teardown),
		cmocka_unit_test_setup_teardown(kd_guest__that_is_reset_in_a_packet_hides_no_other,
						setup, teardown),
		cmocka_unit_test_setup_teardown(kd_flood__without_a_debugger_is_taken_and_forgotten,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			kd_debugger__that_comes_goes_and_never_reads_costs_nothing, setup,
			teardown),
		cmocka_unit_test_setup_teardown(kd_flood__that_is_not_read_loses_the_oldest, setup,
						teardown),
		cmocka_unit_test_setup_teardown(kd_gate__opens_with_the_guests_first_packet, setup,
						teardown),
		cmocka_unit_test_setup_teardown(kd_gate__knows_no_head_of_before_a_reset, setup,
						teardown),
		cmocka_unit_test_setup_teardown(kd_gate__lets_packets_and_break_ins_in, setup,
						teardown),
		cmocka_unit_test_setup_teardown(kd_gate__counts_what_it_holds_as_taken, setup,
						teardown),
		cmocka_unit_test_setup_teardown(kd_gate__tears_no_packet_when_it_moves, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
