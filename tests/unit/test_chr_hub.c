/* SPDX-License-Identifier: Apache-2.0 */
/* test_chr_hub.c - many readers of one port: history, who writes, who is slow. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "base/le.h"
#include "base/limits.h"
#include "core/clock.h"
#include "sill/console.h"

enum { CLIENTS = 5, HISTORY = 256 * 1024, FLOOD_MIB = 16, LOG_MAX = 64 << 20 };

static uint64_t flood; /* bytes; SILL_SOCKET_MIB for more */

/* One that speaks in frames, or not. */
struct client {
	int fd;
	bool framed, answered, ended;
	uint8_t in[65536];
	size_t in_n;
	uint64_t got, lost, wrong; /* bytes of output; wrong: not what the guest wrote there */
	bool check, live;
	char text[256]; /* the newest output */
	size_t text_n;
	int pen;
	uint32_t whose;
	uint64_t ago, silent; /* the last answer, of so many */
	unsigned answers;
};

struct rig {
	struct loop *loop;
	struct chr *chr;
	struct loop_timer tick;
	struct sockaddr_un at;
	char dir[32];
	struct client client[CLIENTS];
	int log;
	uint16_t cols, rows;
	uint64_t want;
	uint64_t written;
	bool (*done)(struct rig *r);
};

static void on_readable(void *ctx)
{
	(void)ctx;
}

static void on_resized(void *ctx, uint16_t cols, uint16_t rows)
{
	struct rig *r = ctx;

	r->cols = cols;
	r->rows = rows;
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct chr_config c = { .mode = SILL_CHAR_SOCKET,
				.in_fd = -1,
				.out_fd = -1,
				.max_bytes = LOG_MAX,
				.history = HISTORY };
	const struct chr_user u = { .readable = on_readable, .resized = on_resized, .ctx = r };
	struct sill_err e = { 0 };

	assert_non_null(r);
	r->loop = loop_create(&e);
	assert_non_null(r->loop);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/sill-hub-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->at.sun_family = AF_UNIX;
	(void)snprintf(r->at.sun_path, sizeof(r->at.sun_path), "%s/s", r->dir);
	c.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(c.listen_fd, (struct sockaddr *)&r->at, sizeof(r->at)), 0);
	assert_int_equal(listen(c.listen_fd, CLIENTS), 0);
	r->log = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(r->log >= 0);
	c.out_fd = dup(r->log);
	r->chr = chr_create("serial", &c, r->loop, &e);
	assert_non_null(r->chr);
	chr_set_user(r->chr, &u);
	for (unsigned i = 0; i < CLIENTS; i++)
		r->client[i].fd = -1;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	for (unsigned i = 0; i < CLIENTS; i++) {
		if (r->client[i].fd >= 0)
			(void)close(r->client[i].fd);
	}
	chr_destroy(r->chr);
	loop_destroy(r->loop);
	(void)close(r->log);
	(void)unlink(r->at.sun_path);
	(void)rmdir(r->dir);
	free(r);
	return 0;
}

/* What the guest writes in a flood: no two places nearby look alike. */
static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos ^ (pos >> 8) * 31 ^ (pos >> 16) * 7);
}

static void take_output(struct client *c, const uint8_t *p, size_t n)
{
	for (size_t i = 0; c->check && i < n; i++)
		c->wrong += p[i] != byte_at(c->lost + c->got + i);
	for (size_t i = 0; !c->check && i < n && c->text_n < sizeof(c->text) - 1; i++)
		c->text[c->text_n++] = (char)p[i];
	c->got += n;
}

static void take_frame(struct client *c, uint8_t type, const uint8_t *p, size_t n)
{
	if (type == SILL_CONSOLE_OUTPUT)
		take_output(c, p, n);
	else if (type == SILL_CONSOLE_LOST)
		c->lost += ld64(p);
	else if (type == SILL_CONSOLE_LIVE)
		c->live = true;
	else if (type == SILL_CONSOLE_PEN) {
		assert_int_equal(n, 5);
		c->pen = p[0];
		c->whose = ld32(p + 1);
	} else if (type == SILL_CONSOLE_AGO) {
		assert_int_equal(n, 16);
		c->ago = ld64(p);
		c->silent = ld64(p + 8);
		c->answers++;
	} else {
		fail_msg("a frame of type %u", type);
	}
}

static void take_in(struct client *c)
{
	size_t at = 0;

	if (!c->framed) {
		take_output(c, c->in, c->in_n);
		c->in_n = 0;
		return;
	}
	if (!c->answered) {
		static const char fixed[] = SILL_CONSOLE_HELLO;
		uint8_t *found = memmem(c->in, c->in_n, fixed, SILL_CONSOLE_HELLO_FIX);

		if (found == NULL || c->in_n - (size_t)(found - c->in) < SILL_CONSOLE_HELLO_SIZE)
			return;
		c->answered = true;
		at = (size_t)(found - c->in) + SILL_CONSOLE_HELLO_SIZE;
	}
	while (c->in_n - at >= SILL_CONSOLE_HEAD) {
		const size_t n = ld16(c->in + at + 2);

		assert_true(n <= SILL_CONSOLE_FRAME);
		if (c->in_n - at < SILL_CONSOLE_HEAD + n)
			break;
		take_frame(c, c->in[at], c->in + at + SILL_CONSOLE_HEAD, n);
		at += SILL_CONSOLE_HEAD + n;
	}
	c->in_n -= at;
	memmove(c->in, c->in + at, c->in_n);
}

/* Read what is there for all but those in @deaf. */
static void look_at_clients(struct rig *r, unsigned deaf)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &r->client[i];
		ssize_t n;

		while (c->fd >= 0 && (deaf & 1u << i) == 0) {
			n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, MSG_DONTWAIT);
			if (n <= 0) {
				c->ended = n == 0 || errno != EAGAIN;
				break;
			}
			c->in_n += (size_t)n;
			take_in(c);
		}
	}
}

static unsigned deaf;

static void look(void *ctx)
{
	struct rig *r = ctx;

	look_at_clients(r, deaf);
	if (r->done(r))
		loop_stop(r->loop);
	else
		loop_timer_set(r->loop, &r->tick, host_now() + 50000);
}

/* Run the loop until @held; who waits for ever is ended by who runs the tests. */
static void run_until(struct rig *r, bool (*held)(struct rig *r))
{
	struct sill_err e = { 0 };

	r->done = held;
	r->tick = (struct loop_timer){ .fn = look, .ctx = r };
	loop_timer_set(r->loop, &r->tick, 0);
	assert_int_equal(loop_run(r->loop, &e), 0);
}

static void say(struct client *c, uint8_t type, const void *p, size_t n)
{
	uint8_t head[SILL_CONSOLE_HEAD] = { type };

	st16(head + 2, (uint16_t)n);
	assert_int_equal(write(c->fd, head, sizeof(head)), sizeof(head));
	assert_int_equal(write(c->fd, p, n), n);
}

static struct client *join(struct rig *r, unsigned i, bool framed, uint8_t from)
{
	struct client *c = &r->client[i];

	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	c->framed = framed;
	assert_int_equal(connect(c->fd, (struct sockaddr *)&r->at, sizeof(r->at)), 0);
	if (framed) {
		static const char hello[] = SILL_CONSOLE_HELLO "0123456789abcdef\n";

		assert_int_equal(write(c->fd, hello, SILL_CONSOLE_HELLO_SIZE),
				 SILL_CONSOLE_HELLO_SIZE);
		say(c, SILL_CONSOLE_START, &from, 1);
	}
	return c;
}

static void put(struct rig *r, const char *text)
{
	chr_write(r->chr, text, strlen(text));
}

static bool first_is_live(struct rig *r)
{
	return r->client[0].live;
}

static bool two_are_live(struct rig *r)
{
	return r->client[0].live && r->client[1].live;
}

static bool first_has_wanted(struct rig *r)
{
	return r->client[0].got >= r->want;
}

static void hub_start__says_what_was_before(void **state)
{
	struct rig *r = *state;

	put(r, "Starting Windows\r\nSAC>");
	(void)join(r, 0, true, SILL_CONSOLE_FROM_ALL);
	(void)join(r, 1, true, SILL_CONSOLE_FROM_LINE);
	run_until(r, two_are_live);
	assert_string_equal(r->client[0].text, "Starting Windows\r\nSAC>");
	assert_string_equal(r->client[1].text, "SAC>");
	assert_int_equal(r->client[0].lost, 0);
	assert_int_equal(r->client[0].pen, SILL_CONSOLE_PEN_FREE);
	put(r, "cmd");
	r->want = 25;
	run_until(r, first_has_wanted);
	assert_string_equal(r->client[0].text, "Starting Windows\r\nSAC>cmd");
}

/* Output that was sent before the hello was heard comes in front of the answer, and is not counted. */
static void hub_hello__may_come_in_pieces(void **state)
{
	static const char hello[] = SILL_CONSOLE_HELLO "fedcba9876543210\n";
	struct rig *r = *state;
	struct client *c = join(r, 0, false, 0);
	const uint8_t from = SILL_CONSOLE_FROM_ALL;

	put(r, "before");
	r->want = 6;
	run_until(r, first_has_wanted);
	c->framed = true;
	c->got = c->text_n = 0;
	for (unsigned i = 0; i < SILL_CONSOLE_HELLO_SIZE; i++)
		assert_int_equal(write(c->fd, hello + i, 1), 1);
	say(c, SILL_CONSOLE_START, &from, 1);
	run_until(r, first_is_live);
	assert_string_equal(c->text, "before");
}

static bool input_is_there(struct rig *r)
{
	return chr_has_input(r->chr);
}

static void expect_input(struct rig *r, const char *text)
{
	char got[64] = { 0 };

	run_until(r, input_is_there);
	assert_int_equal(chr_read(r->chr, got, sizeof(got)), strlen(text));
	assert_string_equal(got, text);
}

static void hub_hello__that_is_none_is_input(void **state)
{
	struct rig *r = *state;
	struct client *c = join(r, 0, false, 0);
	char got[64];

	assert_int_equal(write(c->fd, SILL_CONSOLE_HELLO "x", SILL_CONSOLE_HELLO_FIX + 1),
			 SILL_CONSOLE_HELLO_FIX + 1);
	run_until(r, input_is_there);
	assert_int_equal(chr_read(r->chr, got, sizeof(got)), SILL_CONSOLE_HELLO_FIX + 1);
	assert_memory_equal(got, SILL_CONSOLE_HELLO "x", SILL_CONSOLE_HELLO_FIX + 1);
}

static bool first_has_pen(struct rig *r)
{
	return r->client[0].pen == SILL_CONSOLE_PEN_YOURS;
}

static bool second_is_told(struct rig *r)
{
	return r->client[1].pen == SILL_CONSOLE_PEN_TAKEN;
}

static bool second_has_pen(struct rig *r)
{
	return r->client[1].pen == SILL_CONSOLE_PEN_YOURS &&
	       r->client[0].pen == SILL_CONSOLE_PEN_TAKEN;
}

static bool first_may_write(struct rig *r)
{
	return r->client[0].pen == SILL_CONSOLE_PEN_FREE;
}

static void hub_pen__is_with_one_at_a_time(void **state)
{
	struct rig *r = *state;
	struct client *a = join(r, 0, true, 0), *b = join(r, 1, true, 0);

	run_until(r, two_are_live);
	say(a, SILL_CONSOLE_INPUT, "id\r", 3);
	expect_input(r, "id\r");
	run_until(r, first_has_pen);
	run_until(r, second_is_told);
	assert_int_equal(b->whose, getpid());
	b->pen = -1;
	say(b, SILL_CONSOLE_INPUT, "shutdown\r", 9);
	run_until(r, second_is_told); /* once more: it has been refused */
	assert_false(chr_has_input(r->chr));
	say(b, SILL_CONSOLE_TAKE, NULL, 0);
	run_until(r, second_has_pen);
	say(b, SILL_CONSOLE_INPUT, "t\r", 2);
	expect_input(r, "t\r");
	say(b, SILL_CONSOLE_GIVE, NULL, 0);
	run_until(r, first_may_write);
	say(b, SILL_CONSOLE_INPUT, "i\r", 2);
	expect_input(r, "i\r");
	(void)close(b->fd);
	b->fd = -1;
	run_until(r, first_may_write);
}

/* The guest takes nothing: the pen's holder is not read any more, the others are. */
static void hub_pen__can_be_taken_from_one_who_waits(void **state)
{
	struct rig *r = *state;
	struct client *a = join(r, 0, false, 0), *b;
	static uint8_t paste[48 * 1024];
	size_t n = 0;

	assert_int_equal(write(a->fd, paste, sizeof(paste)), sizeof(paste));
	run_until(r, input_is_there);
	b = join(r, 1, true, 0);
	say(b, SILL_CONSOLE_TAKE, NULL, 0);
	r->client[0].pen = SILL_CONSOLE_PEN_TAKEN;
	run_until(r, second_has_pen);
	say(b, SILL_CONSOLE_INPUT, "\x1b", 1);
	while (n == 0 || paste[n - 1] != 0x1b) {
		run_until(r, input_is_there);
		n = chr_read(r->chr, paste, sizeof(paste));
	}
	assert_int_equal(b->pen, SILL_CONSOLE_PEN_YOURS);
}

static bool has_size(struct rig *r)
{
	return r->rows == 50;
}

/* What he had sent is refused, and he is heard again. */
static void hub_pen__is_lost_and_its_holder_heard(void **state)
{
	struct rig *r = *state;
	static const uint8_t paste[SILL_CONSOLE_FRAME];
	static const uint8_t size[4] = { 132, 0, 50, 0 };
	struct client *a = join(r, 0, true, 0), *b = join(r, 1, true, 0);

	run_until(r, two_are_live);
	for (unsigned i = 0; i < 48 * 1024 / SILL_CONSOLE_FRAME; i++)
		say(a, SILL_CONSOLE_INPUT, paste, sizeof(paste));
	run_until(r, first_has_pen);
	say(b, SILL_CONSOLE_TAKE, NULL, 0);
	run_until(r, second_has_pen);
	say(a, SILL_CONSOLE_SIZE, size, sizeof(size));
	run_until(r, has_size);
	assert_int_equal(r->cols, 132);
}

static bool has_break(struct rig *r)
{
	return chr_take_break(r->chr);
}

static bool first_has_ended(struct rig *r)
{
	return r->client[0].ended;
}

static void hub_frames__size_break_and_none_other(void **state)
{
	struct rig *r = *state;
	struct client *c = join(r, 0, true, 0);
	static const uint8_t size[] = { 132, 0, 50, 0 };

	say(c, SILL_CONSOLE_SIZE, size, sizeof(size));
	run_until(r, has_size);
	assert_int_equal(r->cols, 132);
	say(c, SILL_CONSOLE_BREAK, NULL, 0);
	run_until(r, has_break);
	say(c, 'z', "?", 1);
	run_until(r, first_has_ended);
}

static bool first_is_answered(struct rig *r)
{
	return r->client[0].answers == r->want;
}

/* What it is told of the byte that is @back before the newest. */
static uint64_t ask_when(struct rig *r, uint64_t back)
{
	uint8_t what[8];

	st64(what, back);
	r->want = r->client[0].answers + 1;
	say(&r->client[0], SILL_CONSOLE_WHEN, what, sizeof(what));
	run_until(r, first_is_answered);
	return r->client[0].ago;
}

static bool time_is_over(struct rig *r)
{
	return host_now() >= r->want;
}

static void hub_when__tells_how_long_ago_it_was(void **state)
{
	struct rig *r = *state;
	struct client *c = join(r, 0, true, SILL_CONSOLE_FROM_ALL);
	uint64_t before;

	run_until(r, first_is_live);
	assert_true(ask_when(r, 0) == UINT64_MAX && c->silent == UINT64_MAX);
	put(r, "Firmware");
	r->want = 8;
	run_until(r, first_has_wanted);
	r->want = host_now() + 2000000000; /* the time is what is looked at */
	run_until(r, time_is_over);
	(void)ask_when(r, 8);
	assert_true(c->ago >= 2000 && c->silent >= 2000 && c->silent <= c->ago);
	before = c->silent;
	put(r, "SAC>");
	r->want = 12;
	run_until(r, first_has_wanted);
	/* Both at once, or nearly. */
	assert_true(ask_when(r, 4) + 2000 <= ask_when(r, 12));
	assert_true(ask_when(r, 1000) >= before);
	assert_true(c->silent + 2000 <= c->ago);
}

static bool all_heard(struct rig *r)
{
	static uint8_t piece[8192];

	/* As fast as those who read: then they lose nothing, and the guest is the only one who decides. */
	for (unsigned i = 0; i < CLIENTS; i++) {
		if ((deaf & 1u << i) == 0 && r->client[i].got + HISTORY / 2 < r->written)
			return false;
	}
	if (r->written < flood) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = byte_at(r->written + i);
		chr_write(r->chr, piece, sizeof(piece));
		r->written += sizeof(piece);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		if ((deaf & 1u << i) == 0 && r->client[i].got < flood)
			return false;
	}
	return true;
}

static bool sleeper_has_the_rest(struct rig *r)
{
	return r->client[4].got + r->client[4].lost >= flood;
}

static void hub_readers__one_that_stops_costs_the_others_nothing(void **state)
{
	const char *mib = getenv("SILL_SOCKET_MIB");
	struct rig *r = *state;

	flood = (mib != NULL ? strtoull(mib, NULL, 10) : FLOOD_MIB) << 20;
	for (unsigned i = 0; i < CLIENTS; i++)
		join(r, i, i % 2 == 0, SILL_CONSOLE_FROM_ALL)->check = true;
	deaf = 1u << 4;
	run_until(r, all_heard);
	deaf = 0;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(r->client[i].got, flood);
		assert_int_equal(r->client[i].lost, 0);
		assert_int_equal(r->client[i].wrong, 0);
	}
	run_until(r, sleeper_has_the_rest);
	assert_int_equal(r->client[4].got + r->client[4].lost, flood);
	assert_true(r->client[4].lost > flood / 2);
	assert_true(r->client[4].got >= HISTORY);
	assert_int_equal(r->client[4].wrong, 0);
	assert_int_equal(chr_dropped(r->chr), r->client[4].lost);
}

static void hub_history__keeps_the_newest(void **state)
{
	struct rig *r = *state;

	while (r->written < 3 * HISTORY) {
		const uint8_t b = byte_at(r->written++);

		chr_write(r->chr, &b, 1);
	}
	r->client[0].check = true;
	r->client[0].lost = 2 * HISTORY; /* before its time */
	(void)join(r, 0, true, SILL_CONSOLE_FROM_ALL);
	run_until(r, first_is_live);
	assert_int_equal(r->client[0].got, HISTORY);
	assert_int_equal(r->client[0].wrong, 0);
	assert_int_equal(chr_dropped(r->chr), 0);
}

static bool log_has_it(struct rig *r)
{
	struct stat st;

	return fstat(r->log, &st) == 0 && (uint64_t)st.st_size >= r->want;
}

/* The file without the time in front of each line is what the guest wrote. */
static void hub_log__is_the_output_with_the_time(void **state)
{
	static const char text[] = "BdsDxe: loading\r\n\n\x1b[2JSAC>";
	struct rig *r = *state;
	char got[512];
	size_t n = 0, at = 0;
	ssize_t size;

	put(r, "BdsDxe: load");
	r->want = 25 + 12;
	run_until(r, log_has_it);
	put(r, text + 12);
	r->want = 3 * 25 + sizeof(text) - 1;
	run_until(r, log_has_it);
	size = pread(r->log, got, sizeof(got), 0);
	assert_int_equal(size, r->want);
	while (at < (size_t)size) {
		assert_memory_equal(got + at, "20", 2);
		assert_int_equal(got[at + 10], 'T');
		assert_int_equal(got[at + 23], 'Z');
		assert_int_equal(got[at + 24], ' ');
		at += 25;
		do
			got[n++] = got[at++];
		while (got[n - 1] != '\n' && at < (size_t)size);
	}
	assert_int_equal(n, sizeof(text) - 1);
	assert_memory_equal(got, text, n);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hub_start__says_what_was_before),
		TEST(hub_hello__may_come_in_pieces),
		TEST(hub_hello__that_is_none_is_input),
		TEST(hub_pen__is_with_one_at_a_time),
		TEST(hub_pen__can_be_taken_from_one_who_waits),
		TEST(hub_pen__is_lost_and_its_holder_heard),
		TEST(hub_frames__size_break_and_none_other),
		TEST(hub_when__tells_how_long_ago_it_was),
		TEST(hub_readers__one_that_stops_costs_the_others_nothing),
		TEST(hub_history__keeps_the_newest),
		TEST(hub_log__is_the_output_with_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
