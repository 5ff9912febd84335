/* SPDX-License-Identifier: Apache-2.0 */
/* test_chr.c - far ends of a serial port: pipes, files, terminals, ptys, sockets. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/clock.h"
#include "sill/console.h"

/* In the place of libc's: of this descriptor no loop can hear. */
static int no_watch_of = -1;

int epoll_ctl(int loop, int op, int fd, struct epoll_event *event)
{
	static int (*real)(int, int, int, struct epoll_event *);
	void *found;

	if (op == EPOLL_CTL_ADD && fd == no_watch_of) {
		errno = ENOSPC;
		return -1;
	}
	if (real == NULL) {
		found = dlsym(RTLD_NEXT, "epoll_ctl");
		memcpy(&real, &found, sizeof(real));
	}
	return real(loop, op, fd, event);
}

struct rig {
	struct loop *loop;
	struct chr *chr;
	unsigned notified;
	char dir[32];
	struct sockaddr_un addr;
	/* what run_until() looks at */
	int fd;
	char got[2 * CHAR_BUFFER];
	size_t got_n, want_n;
	unsigned key_count, taken;
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct sill_err e = { 0 };

	r->loop = loop_create(&e);
	assert_non_null(r->loop);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/sill-chr-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->addr.sun_family = AF_UNIX;
	(void)snprintf(r->addr.sun_path, sizeof(r->addr.sun_path), "%s/s", r->dir);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	chr_destroy(r->chr);
	loop_destroy(r->loop);
	(void)unlink(r->addr.sun_path);
	(void)rmdir(r->dir);
	free(r);
	return 0;
}

static void on_readable(void *ctx)
{
	struct rig *r = ctx;

	r->notified++;
}

static void open_chr(struct rig *r, enum sill_char_mode mode, int in_fd, int out_fd, int listen_fd)
{
	const struct chr_config c = {
		.mode = mode, .in_fd = in_fd, .out_fd = out_fd, .listen_fd = listen_fd
	};
	const struct chr_user u = { .readable = on_readable, .ctx = r };
	struct sill_err e = { 0 };

	r->chr = chr_create("serial0", &c, r->loop, &e);
	if (r->chr == NULL)
		print_error("%s\n", e.msg);
	assert_non_null(r->chr);
	chr_set_user(r->chr, &u);
}

struct wait {
	struct rig *rig;
	bool (*done)(struct rig *r);
	struct loop_timer tick;
	unsigned left;
	bool held;
};

static void wait_tick(void *ctx)
{
	struct wait *w = ctx;

	w->held = w->done(w->rig);
	if (w->held || --w->left == 0)
		loop_stop(w->rig->loop);
	else
		loop_timer_set(w->rig->loop, &w->tick, host_now() + 100000);
}

/* Run the loop until @done holds; false after five seconds without. */
static bool run_until(struct rig *r, bool (*done)(struct rig *r))
{
	struct wait w = { .rig = r, .done = done, .left = 50000 };
	struct sill_err e = { 0 };

	w.tick = (struct loop_timer){ .fn = wait_tick, .ctx = &w };
	loop_timer_set(r->loop, &w.tick, 0);
	assert_int_equal(loop_run(r->loop, &e), 0);
	return w.held;
}

static void stop(void *ctx)
{
	struct rig *r = ctx;

	loop_stop(r->loop);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Run the loop for @ms; returns the processor time it took in ms. */
static unsigned run_for(struct rig *r, unsigned ms)
{
	struct loop_timer t = { .fn = stop, .ctx = r };
	struct sill_err e = { 0 };
	uint64_t before = cpu_ns();

	loop_timer_set(r->loop, &t, host_now() + ms * 1000000ull);
	assert_int_equal(loop_run(r->loop, &e), 0);
	return (unsigned)((cpu_ns() - before) / 1000000);
}

/* A loop that spins takes all of the 40 ms. */
static void assert_does_not_spin(struct rig *r)
{
	assert_in_range(run_for(r, 40), 0, 20);
}

static bool has_input(struct rig *r)
{
	return chr_has_input(r->chr);
}

static bool connected(struct rig *r)
{
	return chr_connected(r->chr);
}

static bool is_connected(struct rig *r)
{
	return chr_connected(r->chr);
}

static bool not_connected(struct rig *r)
{
	return !chr_connected(r->chr);
}

/* Collect at r->fd until there are r->want_n bytes. */
static bool collected(struct rig *r)
{
	ssize_t n = read(r->fd, r->got + r->got_n, sizeof(r->got) - r->got_n);

	if (n > 0)
		r->got_n += (size_t)n;
	return r->got_n >= r->want_n;
}

static void set_nonblock(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static void expect_at(struct rig *r, int fd, const char *text)
{
	set_nonblock(fd);
	r->fd = fd;
	r->got_n = 0;
	r->want_n = strlen(text);
	if (!run_until(r, collected))
		print_error("got '%.*s', want '%s'\n", (int)r->got_n, r->got, text);
	assert_int_equal(r->got_n, r->want_n);
	assert_memory_equal(r->got, text, r->want_n);
}

static void expect_input(struct rig *r, const char *text)
{
	char got[256];
	size_t n = 0, want = strlen(text);

	while (n < want) {
		assert_true(run_until(r, has_input));
		n += chr_read(r->chr, got + n, sizeof(got) - n);
	}
	assert_int_equal(n, want);
	assert_memory_equal(got, text, want);
}

static void put(struct rig *r, const char *text)
{
	chr_write(r->chr, text, strlen(text));
}

static void put_at(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void stream_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

/* --- null, file ------------------------------------------------------------ */

static void chr_null__takes_everything_and_counts_nothing(void **state)
{
	struct rig *r = *state;
	char c;

	open_chr(r, SILL_CHAR_NULL, -1, -1, -1);
	for (unsigned i = 0; i < 3 * CHAR_BUFFER; i++)
		chr_write(r->chr, "x", 1);
	assert_true(chr_connected(r->chr));
	assert_int_equal(chr_dropped(r->chr), 0);
	assert_int_equal(chr_read(r->chr, &c, 1), 0);
	chr_drain(r->chr, 1000);
}

static void chr_create__refuses_mode_off(void **state)
{
	struct rig *r = *state;
	const struct chr_config c = { .in_fd = -1, .out_fd = -1, .listen_fd = -1 };
	struct sill_err e = { 0 };

	assert_null(chr_create("serial0", &c, r->loop, &e));
	assert_int_equal(e.code, SILL_ERR_INTERNAL);
}

static void chr_create__takes_the_descriptors_even_on_failure(void **state)
{
	struct rig *r = *state;
	struct sill_err e = { 0 };
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_null(chr_create("serial0",
			       &(struct chr_config){ .mode = SILL_CHAR_PTY,
						     .in_fd = pipes[0],
						     .out_fd = pipes[1],
						     .listen_fd = -1 },
			       r->loop, &e));
	assert_int_equal(e.code, SILL_ERR_HOST);
	assert_int_equal(fcntl(pipes[0], F_GETFD), -1);
	assert_int_equal(fcntl(pipes[1], F_GETFD), -1);
}

static void chr_file__gets_the_bytes(void **state)
{
	struct rig *r = *state;
	int fd = open(r->dir, O_TMPFILE | O_RDWR, 0600);
	char got[16] = { 0 };

	assert_true(fd >= 0);
	open_chr(r, SILL_CHAR_FILE, -1, dup(fd), -1);
	put(r, "boot");
	put(r, "ing");
	chr_drain(r->chr, 0);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 7);
	assert_string_equal(got, "booting");
	(void)close(fd);
}

static void chr_file__is_written_by_the_loop(void **state)
{
	struct rig *r = *state;
	int fd = open(r->dir, O_TMPFILE | O_RDWR, 0600);
	static char big[CHAR_BUFFER];

	open_chr(r, SILL_CHAR_FILE, -1, dup(fd), -1);
	memset(big, 'b', sizeof(big));
	chr_write(r->chr, big, sizeof(big));
	(void)run_for(r, 20);
	assert_int_equal(lseek(fd, 0, SEEK_END), sizeof(big));
	assert_int_equal(chr_dropped(r->chr), 0);
	assert_int_equal(chr_written(r->chr), sizeof(big));
	(void)close(fd);
}

static void chr_file__that_is_full_drops_and_counts(void **state)
{
	struct rig *r = *state;
	struct rlimit old, small;
	int fd = open(r->dir, O_TMPFILE | O_RDWR, 0600), null = open("/dev/null", O_WRONLY);
	int keep = dup(STDERR_FILENO);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ .rlim_cur = 4, .rlim_max = old.rlim_max };
	open_chr(r, SILL_CHAR_FILE, -1, dup(fd), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	/* The limit is also that of the log, which may be a file. */
	assert_true(dup2(null, STDERR_FILENO) >= 0);
	put(r, "123456"); /* the process is not killed by SIGXFSZ */
	chr_drain(r->chr, 1000);
	assert_true(dup2(keep, STDERR_FILENO) >= 0);
	(void)close(keep);
	(void)close(null);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(chr_dropped(r->chr), 2);
	put(r, "78");
	chr_drain(r->chr, 1000);
	assert_int_equal(lseek(fd, 0, SEEK_END), 6);
	(void)close(fd);
}

/* --- streams ---------------------------------------------------------------- */

static void chr_tty__bytes_go_both_ways(void **state)
{
	struct rig *r = *state;
	int pair[2];

	stream_pair(pair);
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	put(r, "login: ");
	expect_at(r, pair[1], "login: ");
	put_at(pair[1], "root\r");
	expect_input(r, "root\r");
	assert_true(r->notified > 0);
	(void)close(pair[1]);
}

static void chr_tty__input_ends_without_spinning(void **state)
{
	struct rig *r = *state;
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	open_chr(r, SILL_CHAR_TTY, in[0], out[1], -1);
	put_at(in[1], "last");
	(void)close(in[1]);
	expect_input(r, "last");
	assert_does_not_spin(r);
	put(r, "still there");
	expect_at(r, out[0], "still there");
	(void)close(out[0]);
}

static void chr_tty__a_reader_that_left_costs_no_signal(void **state)
{
	struct rig *r = *state;
	int out[2];

	assert_int_equal(pipe(out), 0);
	open_chr(r, SILL_CHAR_TTY, -1, out[1], -1);
	(void)close(out[0]);
	put(r, "lost");
	assert_does_not_spin(r);
	for (unsigned i = 0; i < 2 * CHAR_BUFFER; i++)
		chr_write(r->chr, "x", 1);
	assert_does_not_spin(r);
	assert_int_equal(chr_dropped(r->chr), CHAR_BUFFER + 4);
}

static void chr_tty__reads_a_file_as_fast_as_the_guest_takes_it(void **state)
{
	struct rig *r = *state;
	int fd = open(r->dir, O_TMPFILE | O_RDWR, 0600);
	int out[2];
	size_t have = 0;
	uint32_t v = 0, got = 0;

	for (uint32_t i = 0; i < 64 * 1024; i++)
		assert_int_equal(write(fd, &i, sizeof(i)), sizeof(i));
	(void)lseek(fd, 0, SEEK_SET);
	assert_int_equal(pipe(out), 0);
	open_chr(r, SILL_CHAR_TTY, fd, out[1], -1);
	while (v < 64 * 1024) {
		size_t n = chr_read(r->chr, (char *)&got + have, sizeof(got) - have);

		if (n == 0)
			assert_true(run_until(r, has_input));
		have += n;
		if (have == sizeof(got)) {
			assert_int_equal(got, v++);
			have = 0;
		}
	}
	assert_does_not_spin(r);
	(void)close(out[0]);
}

static void chr_tty__dev_null_is_an_input_that_ends(void **state)
{
	struct rig *r = *state;

	open_chr(r, SILL_CHAR_TTY, open("/dev/null", O_RDONLY), open("/dev/null", O_WRONLY), -1);
	put(r, "nothing");
	assert_does_not_spin(r);
	assert_int_equal(chr_dropped(r->chr), 0);
}

static void chr_write__keeps_the_newest_bytes(void **state)
{
	struct rig *r = *state;
	static char old[CHAR_BUFFER];
	int pair[2];

	stream_pair(pair);
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	memset(old, 'o', sizeof(old));
	chr_write(r->chr, old, sizeof(old)); /* the loop does not run */
	put(r, "newest");
	assert_int_equal(chr_dropped(r->chr), 6);
	set_nonblock(pair[1]);
	r->fd = pair[1];
	r->want_n = CHAR_BUFFER;
	assert_true(run_until(r, collected));
	assert_int_equal(r->got_n, CHAR_BUFFER);
	assert_memory_equal(r->got + CHAR_BUFFER - 8, "oonewest", 8);
	assert_int_equal(chr_dropped(r->chr), 6);
	(void)close(pair[1]);
}

static void chr_write__more_than_the_ring_keeps_its_end(void **state)
{
	struct rig *r = *state;
	static char big[CHAR_BUFFER + 10];
	int pair[2];

	stream_pair(pair);
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	put(r, "abc");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)i;
	chr_write(r->chr, big, sizeof(big));
	assert_int_equal(chr_dropped(r->chr), 13);
	set_nonblock(pair[1]);
	r->fd = pair[1];
	r->want_n = CHAR_BUFFER;
	assert_true(run_until(r, collected));
	assert_memory_equal(r->got, big + 10, CHAR_BUFFER);
	(void)close(pair[1]);
}

static void chr_write__a_slow_reader_gets_all_that_fits(void **state)
{
	struct rig *r = *state;
	static char big[CHAR_BUFFER];
	int pair[2], small = 4096;

	stream_pair(pair);
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	chr_write(r->chr, big, sizeof(big));
	assert_does_not_spin(r); /* stuck, waiting for EPOLLOUT */
	set_nonblock(pair[1]);
	r->fd = pair[1];
	r->want_n = CHAR_BUFFER;
	assert_true(run_until(r, collected));
	assert_memory_equal(r->got, big, sizeof(big));
	assert_int_equal(chr_dropped(r->chr), 0);
	(void)close(pair[1]);
}

static void chr_write__a_burst_is_few_system_calls(void **state)
{
	struct rig *r = *state;
	char piece[4096];
	unsigned packets = 0;
	size_t bytes = 0;
	int pair[2];

	/* Each send() is one packet. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	for (unsigned i = 0; i < 3000; i++)
		chr_write(r->chr, "x", 1);
	(void)run_for(r, 20);
	for (;;) {
		ssize_t n = recv(pair[1], piece, sizeof(piece), MSG_DONTWAIT);

		if (n <= 0)
			break;
		packets++;
		bytes += (size_t)n;
	}
	assert_int_equal(bytes, 3000);
	assert_in_range(packets, 1, 2);
	(void)close(pair[1]);
}

static void chr_read__slows_the_sender_down(void **state)
{
	struct rig *r = *state;
	char piece[1024];
	size_t sent = 0, taken = 0;
	int pair[2];
	ssize_t n;

	stream_pair(pair);
	set_nonblock(pair[1]);
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	for (unsigned i = 0; i < 10; i++) {
		memset(piece, (int)i, sizeof(piece));
		while ((n = write(pair[1], piece, sizeof(piece))) > 0)
			sent += (size_t)n;
		assert_does_not_spin(r); /* the ring is full and the socket readable */
	}
	assert_true(sent > 16 * 1024);
	(void)close(pair[1]);
	assert_does_not_spin(r); /* full, and a hang-up on top */
	while (taken < sent) {
		if (!chr_has_input(r->chr))
			assert_true(run_until(r, has_input));
		taken += chr_read(r->chr, piece, sizeof(piece));
	}
	assert_int_equal(taken, sent);
}

static void chr_destroy__writes_out_what_is_left(void **state)
{
	struct rig *r = *state;
	char got[32] = { 0 };
	int out[2];

	assert_int_equal(pipe(out), 0);
	open_chr(r, SILL_CHAR_TTY, -1, out[1], -1);
	put(r, "Power down\r\n");
	chr_destroy(r->chr);
	r->chr = NULL;
	assert_int_equal(read(out[0], got, sizeof(got)), 12);
	assert_string_equal(got, "Power down\r\n");
	(void)close(out[0]);
}

static void chr_drain__gives_up_in_time(void **state)
{
	struct rig *r = *state;
	static char big[CHAR_BUFFER];
	uint64_t before;
	int pair[2], small = 4096;

	stream_pair(pair);
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	chr_write(r->chr, big, sizeof(big));
	before = host_now();
	chr_drain(r->chr, 30);
	assert_in_range((host_now() - before) / 1000000, 29, 500);
	(void)close(pair[1]);
}

static void chr_inject_break__is_told_once(void **state)
{
	struct rig *r = *state;

	open_chr(r, SILL_CHAR_NULL, -1, -1, -1);
	(void)run_for(r, 1);
	r->notified = 0;
	assert_false(chr_take_break(r->chr));
	chr_inject_break(r->chr);
	(void)run_for(r, 1);
	assert_int_equal(r->notified, 1);
	assert_true(chr_take_break(r->chr));
	assert_false(chr_take_break(r->chr));
}

/* --- keys of a terminal ------------------------------------------------------ */

/* Counts what it sees, and takes '!' out. */
static size_t on_keys(void *ctx, const uint8_t *keys, size_t n, uint8_t *ret)
{
	struct rig *r = ctx;
	size_t left = 0;

	r->key_count += (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		r->taken += keys[i] == '!';
		if (keys[i] != '!')
			ret[left++] = keys[i];
	}
	return left;
}

/* A terminal in raw mode: [0] is what the guest's keyboard is, [1] the person's end. */
static void terminal_pair(int pair[2])
{
	struct termios raw;

	assert_int_equal(openpty(&pair[1], &pair[0], NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(pair[0], &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(pair[0], TCSANOW, &raw), 0);
}

static bool four_keys(struct rig *r)
{
	return r->key_count == 4;
}

static void chr_keys__are_seen_and_may_be_taken(void **state)
{
	struct rig *r = *state;
	int pair[2];

	terminal_pair(pair);
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	chr_set_keys(r->chr, on_keys, r);
	put_at(pair[1], "x!y!");
	expect_input(r, "xy");
	assert_true(run_until(r, four_keys));
	assert_int_equal(r->taken, 2);
	(void)close(pair[1]);
}

/* A script's input is not a keyboard. */
static void chr_keys__are_those_of_a_terminal(void **state)
{
	struct rig *r = *state;
	int pair[2];

	stream_pair(pair);
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	chr_set_keys(r->chr, on_keys, r);
	put_at(pair[1], "a!b");
	expect_input(r, "a!b");
	assert_int_equal(r->key_count, 0);
	(void)close(pair[1]);
}

static bool one_taken(struct rig *r)
{
	return r->taken == 1;
}

static void chr_keys__are_seen_when_the_guest_takes_no_input(void **state)
{
	struct rig *r = *state;
	struct termios raw;
	int master, slave;
	char paste[1024];
	size_t sent = 0;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	open_chr(r, SILL_CHAR_TTY, dup(slave), dup(slave), -1);
	chr_set_keys(r->chr, on_keys, r);
	memset(paste, 'p', sizeof(paste));
	/* As fast as the loop takes it: the master's buffer is small, the machine may be busy. */
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	while (sent < 40 * sizeof(paste)) {
		ssize_t n = write(master, paste, sizeof(paste));

		assert_true(n > 0 || errno == EAGAIN);
		sent += n > 0 ? (size_t)n : 0;
		(void)run_for(r, 1);
	}
	assert_int_equal(fcntl(master, F_SETFL, 0), 0);
	put_at(master, "!");
	assert_true(run_until(r, one_taken));
	(void)close(master);
	(void)close(slave);
}

static void chr_tty__leaves_the_shared_description_blocking(void **state)
{
	struct rig *r = *state;
	int master, slave;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	open_chr(r, SILL_CHAR_TTY, dup(slave), dup(slave), -1);
	assert_int_equal(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
	put(r, "hi");
	expect_at(r, master, "hi");
	(void)close(master);
	assert_does_not_spin(r); /* the terminal has hung up */
	put(r, "lost");
	assert_does_not_spin(r);
	(void)close(slave);
}

/* --- pty ---------------------------------------------------------------------- */

static int open_pty(struct rig *r, char name[static 64])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, name, 64), 0);
	open_chr(r, SILL_CHAR_PTY, master, master, -1);
	return master;
}

static void chr_pty__nobody_there_costs_no_time(void **state)
{
	struct rig *r = *state;
	char name[64];

	(void)open_pty(r, name);
	assert_false(chr_connected(r->chr));
	put(r, "into the void");
	assert_does_not_spin(r);
	assert_int_equal(chr_dropped(r->chr), 0);
}

static void chr_pty__who_comes_late_sees_what_was_said(void **state)
{
	struct rig *r = *state;
	char name[64], all[64];
	int fd;

	(void)open_pty(r, name);
	put(r, "Computer is booting\n");
	(void)run_for(r, 5);
	fd = open(name, O_RDWR | O_NOCTTY);
	assert_true(fd >= 0);
	expect_at(r, fd, "Computer is booting\n"); /* raw: the newline is not two characters */
	assert_true(chr_connected(r->chr));
	put_at(fd, "cmd\r");
	expect_input(r, "cmd\r");
	assert_int_equal(chr_read(r->chr, all, sizeof(all)), 0); /* nothing was echoed */

	(void)close(fd);
	assert_true(run_until(r, not_connected));
	assert_does_not_spin(r);
	put(r, "second");
	(void)run_for(r, 5);
	fd = open(name, O_RDWR | O_NOCTTY);
	expect_at(r, fd, "second");
	(void)close(fd);
}

static void chr_pty__input_of_somebody_who_left_at_once(void **state)
{
	struct rig *r = *state;
	char name[64];
	int fd;

	(void)open_pty(r, name);
	fd = open(name, O_RDWR | O_NOCTTY);
	put_at(fd, "echo hi\r");
	(void)close(fd);
	expect_input(r, "echo hi\r");
	assert_true(run_until(r, not_connected));
	assert_does_not_spin(r);
}

/* A host that has no room for one more watch; somebody comes and goes all the time. */
static void chr_pty__says_a_few_times_that_there_is_no_input(void **state)
{
	struct rig *r = *state;
	char name[64], *text = NULL;
	unsigned lines = 0;
	size_t n = 0;
	FILE *log;

	no_watch_of = open_pty(r, name);
	log = open_memstream(&text, &n);
	assert_non_null(log);
	sill_log_to(log, LOG_INFO);
	for (int i = 0; i < 20; i++) {
		int fd = open(name, O_RDWR | O_NOCTTY);

		assert_true(fd >= 0);
		assert_true(run_until(r, is_connected));
		(void)close(fd);
		assert_true(run_until(r, not_connected));
	}
	no_watch_of = -1;
	sill_log_to(NULL, LOG_INFO);
	(void)fclose(log);
	for (const char *p = text; (p = strstr(p, "no more input")) != NULL; p++)
		lines++;
	free(text);
	assert_int_equal(lines, 5);
}

static void chr_pty__a_reader_that_stops_reading(void **state)
{
	struct rig *r = *state;
	static char big[CHAR_BUFFER];
	char name[64];
	int fd;

	(void)open_pty(r, name);
	fd = open(name, O_RDWR | O_NOCTTY);
	assert_true(run_until(r, connected));
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 3);
	chr_write(r->chr, big, sizeof(big));
	assert_does_not_spin(r);
	set_nonblock(fd);
	r->fd = fd;
	r->want_n = CHAR_BUFFER;
	assert_true(run_until(r, collected));
	assert_memory_equal(r->got, big, sizeof(big));
	(void)close(fd);
}

static void *late_reader(void *ctx)
{
	struct rig *r = ctx;

	(void)poll(NULL, 0, 20);
	r->got_n = (size_t)read(r->fd, r->got, sizeof(r->got));
	return NULL;
}

static void chr_pty__the_last_words_wait_for_the_reader(void **state)
{
	struct rig *r = *state;
	char name[64];
	pthread_t reader;

	(void)open_pty(r, name);
	r->fd = open(name, O_RDWR | O_NOCTTY);
	assert_true(run_until(r, connected));
	put(r, "Power down\n");
	assert_int_equal(pthread_create(&reader, NULL, late_reader, r), 0);
	chr_drain(r->chr, 5000);
	chr_destroy(r->chr); /* the kernel forgets what is unread then */
	r->chr = NULL;
	(void)pthread_join(reader, NULL);
	assert_int_equal(r->got_n, 11);
	assert_memory_equal(r->got, "Power down\n", 11);
	(void)close(r->fd);
}

/* --- socket ------------------------------------------------------------------- */

static void open_socket(struct rig *r)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&r->addr, sizeof(r->addr)), 0);
	assert_int_equal(listen(fd, 4), 0);
	open_chr(r, SILL_CHAR_SOCKET, -1, -1, fd);
}

static int client(struct rig *r)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&r->addr, sizeof(r->addr)), 0);
	return fd;
}

static void chr_socket__a_client_gets_the_backlog_and_talks(void **state)
{
	struct rig *r = *state;
	int fd;

	open_socket(r);
	put(r, "SAC>");
	assert_does_not_spin(r);
	assert_false(chr_connected(r->chr));
	fd = client(r);
	expect_at(r, fd, "SAC>");
	assert_true(chr_connected(r->chr));
	put_at(fd, "cmd");
	expect_input(r, "cmd");
	(void)close(fd);
	assert_true(run_until(r, not_connected));
	assert_does_not_spin(r);
}

static void chr_socket__the_user_hears_of_coming_and_going(void **state)
{
	struct rig *r = *state;
	unsigned before;
	int fd;

	open_socket(r);
	(void)run_for(r, 2);
	before = r->notified;
	fd = client(r);
	assert_true(run_until(r, connected));
	assert_true(r->notified > before);
	before = r->notified;
	(void)close(fd);
	assert_true(run_until(r, not_connected));
	assert_true(r->notified > before);
}

static void chr_socket__every_client_reads_all(void **state)
{
	struct rig *r = *state;
	int fd[SILL_CONSOLE_READERS], one_more;
	char c;

	open_socket(r);
	put(r, "first ");
	for (unsigned i = 0; i < SILL_CONSOLE_READERS; i++) {
		fd[i] = client(r);
		expect_at(r, fd[i], "first ");
	}
	one_more = client(r);
	set_nonblock(one_more);
	r->fd = one_more;
	(void)run_for(r, 5);
	assert_int_equal(recv(one_more, &c, 1, MSG_DONTWAIT), 0);
	put(r, "second");
	for (unsigned i = 0; i < SILL_CONSOLE_READERS; i++)
		expect_at(r, fd[i], "second");
	assert_int_equal(chr_dropped(r->chr), 0);
	for (unsigned i = 0; i < SILL_CONSOLE_READERS; i++)
		(void)close(fd[i]);
	(void)close(one_more);
	assert_true(run_until(r, not_connected));
	assert_does_not_spin(r);
}

static void chr_socket__reconnecting_at_once_works(void **state)
{
	struct rig *r = *state;
	int fd = -1;

	open_socket(r);
	for (unsigned i = 0; i < 50; i++) {
		(void)close(fd);
		fd = client(r);
		put_at(fd, "x");
		expect_input(r, "x");
	}
	put(r, "last");
	expect_at(r, fd, "last");
	(void)close(fd);
}

static void chr_socket__half_closed_still_receives(void **state)
{
	struct rig *r = *state;
	int fd;

	open_socket(r);
	fd = client(r);
	put_at(fd, "uptime\r");
	(void)shutdown(fd, SHUT_WR);
	expect_input(r, "uptime\r");
	assert_does_not_spin(r);
	assert_true(chr_connected(r->chr));
	put(r, "up 3 days");
	expect_at(r, fd, "up 3 days");
	(void)close(fd);
	assert_true(run_until(r, not_connected));
}

static void chr_socket__input_of_a_client_that_left_is_not_lost(void **state)
{
	struct rig *r = *state;
	static char piece[32 * 1024];
	size_t taken = 0;
	int fd;

	open_socket(r);
	fd = client(r);
	memset(piece, 'i', sizeof(piece));
	assert_int_equal(write(fd, piece, sizeof(piece)), sizeof(piece));
	(void)run_for(r, 5); /* the ring is full */
	(void)close(fd);
	put(r, "answer"); /* finds nobody */
	assert_does_not_spin(r);
	assert_false(chr_connected(r->chr));
	while (taken < sizeof(piece)) {
		if (!chr_has_input(r->chr))
			assert_true(run_until(r, has_input));
		taken += chr_read(r->chr, piece, 1000);
	}
	fd = client(r);
	expect_at(r, fd, "answer");
	(void)close(fd);
}

static void chr_socket__a_new_client_replaces_one_that_left_unnoticed(void **state)
{
	struct rig *r = *state;
	static char piece[32 * 1024];
	int fd;

	open_socket(r);
	fd = client(r);
	assert_int_equal(write(fd, piece, sizeof(piece)), sizeof(piece));
	(void)run_for(r, 5); /* the ring is full: nobody watches the socket */
	(void)close(fd);
	fd = client(r);
	(void)run_for(r, 5);
	put(r, "welcome");
	expect_at(r, fd, "welcome");
	(void)close(fd);
}

static void chr_socket__a_client_that_does_not_read_then_leaves(void **state)
{
	struct rig *r = *state;
	static char big[CHAR_BUFFER];
	int fd;

	open_socket(r);
	fd = client(r);
	assert_true(run_until(r, connected));
	for (unsigned i = 0; i < 16; i++) {
		chr_write(r->chr, big, sizeof(big));
		(void)run_for(r, 2);
	}
	assert_does_not_spin(r);
	(void)close(fd);
	assert_true(run_until(r, not_connected));
	assert_true(chr_dropped(r->chr) > 0);
	assert_does_not_spin(r);
}

/* --- threads ------------------------------------------------------------------- */

static void *loop_thread(void *ctx)
{
	struct rig *r = ctx;
	struct sill_err e = { 0 };

	(void)loop_run(r->loop, &e);
	return NULL;
}

enum { TALK = 120 * 1000 };

struct talk {
	int fd;
	uint64_t read_bytes;
};

/* The far end: sends a counter in every fourth byte position, reads everything. */
static void *far_thread(void *ctx)
{
	struct talk *t = ctx;
	uint32_t next = 0;
	char buf[8192];
	bool sending = true;

	set_nonblock(t->fd);
	for (;;) {
		ssize_t n;

		if (sending && write(t->fd, &next, sizeof(next)) == sizeof(next))
			sending = ++next < TALK / 4;
		n = recv(t->fd, buf, sizeof(buf), 0);
		if (n == 0)
			return NULL;
		if (n > 0)
			t->read_bytes += (uint64_t)n;
	}
}

static void chr_threads__device_loop_and_far_end_at_once(void **state)
{
	struct rig *r = *state;
	struct talk talk;
	pthread_t loop, far;
	uint32_t next = 0, v;
	size_t have = 0;
	uint64_t written = 0;
	int pair[2];

	stream_pair(pair);
	talk = (struct talk){ .fd = pair[1] };
	open_chr(r, SILL_CHAR_TTY, pair[0], pair[0], -1);
	assert_int_equal(pthread_create(&loop, NULL, loop_thread, r), 0);
	assert_int_equal(pthread_create(&far, NULL, far_thread, &talk), 0);
	/* This thread is the device: writes bytes and blocks, reads odd amounts. */
	while (next < TALK / 4) {
		static const char block[3000];
		size_t n = written % 1000 == 0 ? sizeof(block) : 1;

		chr_write(r->chr, block, n);
		written += n;
		have += chr_read(r->chr, (char *)&v + have, sizeof(v) - have);
		if (have == sizeof(v)) {
			assert_int_equal(v, next);
			next++;
			have = 0;
		}
		if (written % 512 == 0)
			chr_inject_break(r->chr);
		(void)chr_take_break(r->chr);
		(void)chr_connected(r->chr);
	}
	loop_stop(r->loop);
	(void)pthread_join(loop, NULL);
	chr_drain(r->chr, 5000);
	written -= chr_dropped(r->chr);
	chr_destroy(r->chr);
	r->chr = NULL;
	(void)pthread_join(far, NULL);
	assert_int_equal(talk.read_bytes, written);
	(void)close(pair[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chr_null__takes_everything_and_counts_nothing),
		TEST(chr_create__refuses_mode_off),
		TEST(chr_create__takes_the_descriptors_even_on_failure),
		TEST(chr_file__gets_the_bytes),
		TEST(chr_file__is_written_by_the_loop),
		TEST(chr_file__that_is_full_drops_and_counts),
		TEST(chr_tty__bytes_go_both_ways),
		TEST(chr_tty__input_ends_without_spinning),
		TEST(chr_tty__a_reader_that_left_costs_no_signal),
		TEST(chr_tty__reads_a_file_as_fast_as_the_guest_takes_it),
		TEST(chr_tty__dev_null_is_an_input_that_ends),
		TEST(chr_write__keeps_the_newest_bytes),
		TEST(chr_write__more_than_the_ring_keeps_its_end),
		TEST(chr_write__a_slow_reader_gets_all_that_fits),
		TEST(chr_write__a_burst_is_few_system_calls),
		TEST(chr_read__slows_the_sender_down),
		TEST(chr_destroy__writes_out_what_is_left),
		TEST(chr_drain__gives_up_in_time),
		TEST(chr_inject_break__is_told_once),
		TEST(chr_keys__are_seen_and_may_be_taken),
		TEST(chr_keys__are_those_of_a_terminal),
		TEST(chr_keys__are_seen_when_the_guest_takes_no_input),
		TEST(chr_tty__leaves_the_shared_description_blocking),
		TEST(chr_pty__nobody_there_costs_no_time),
		TEST(chr_pty__who_comes_late_sees_what_was_said),
		TEST(chr_pty__input_of_somebody_who_left_at_once),
		TEST(chr_pty__says_a_few_times_that_there_is_no_input),
		TEST(chr_pty__a_reader_that_stops_reading),
		TEST(chr_pty__the_last_words_wait_for_the_reader),
		TEST(chr_socket__a_client_gets_the_backlog_and_talks),
		TEST(chr_socket__the_user_hears_of_coming_and_going),
		TEST(chr_socket__every_client_reads_all),
		TEST(chr_socket__reconnecting_at_once_works),
		TEST(chr_socket__half_closed_still_receives),
		TEST(chr_socket__input_of_a_client_that_left_is_not_lost),
		TEST(chr_socket__a_new_client_replaces_one_that_left_unnoticed),
		TEST(chr_socket__a_client_that_does_not_read_then_leaves),
		TEST(chr_threads__device_loop_and_far_end_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
