/* SPDX-License-Identifier: Apache-2.0 */
/* test_console.c - sill console: a person at a real pseudo terminal, and a script, at a real port. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "core/clock.h"
#include "fake_sac.h"
#include "runner/cmd/cmd.h"
#include "runner/console/session.h"

enum { STALLED = 1 << 20 };

struct rig {
	struct loop *loop;
	struct chr *chr;
	struct loop_timer tick;
	struct sockaddr_un at;
	char dir[32];
	int master, slave;
	struct termios before;
	/* A shell, in a word: it has the session, and says how sill ended. 0: there is none. */
	pid_t shell, child;
	int news; /* of the shell: the child's pid, then its status */
	int status;
	char seen[16384]; /* what the terminal, or the pipe, shows */
	size_t seen_n;
	bool stalled; /* nobody reads it */
	const char *want;
	uint16_t cols, rows;
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

static void open_terminal(struct rig *r)
{
	const struct winsize size = { .ws_col = 100, .ws_row = 40 };
	char name[64];

	r->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	assert_true(r->master >= 0);
	assert_int_equal(grantpt(r->master), 0);
	assert_int_equal(unlockpt(r->master), 0);
	assert_int_equal(ptsname_r(r->master, name, sizeof(name)), 0);
	r->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(r->slave >= 0);
	assert_int_equal(ioctl(r->slave, TIOCSWINSZ, &size), 0);
	assert_int_equal(tcgetattr(r->slave, &r->before), 0);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct chr_config c = { .mode = SILL_CHAR_SOCKET, .in_fd = -1, .out_fd = -1 };
	const struct chr_user u = { .readable = on_readable, .resized = on_resized, .ctx = r };
	struct sill_err e = { 0 };

	assert_non_null(r);
	r->loop = loop_create(&e);
	assert_non_null(r->loop);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/sill-con-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->at.sun_family = AF_UNIX;
	(void)snprintf(r->at.sun_path, sizeof(r->at.sun_path), "%s/s", r->dir);
	c.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(c.listen_fd, (struct sockaddr *)&r->at, sizeof(r->at)), 0);
	assert_int_equal(listen(c.listen_fd, 4), 0);
	r->chr = chr_create("console", &c, r->loop, &e);
	assert_non_null(r->chr);
	chr_set_user(r->chr, &u);
	open_terminal(r);
	*state = r;
	return 0;
}

static void end_shell(struct rig *r)
{
	if (r->shell <= 0)
		return;
	(void)kill(-r->shell, SIGKILL);
	(void)waitpid(r->shell, NULL, 0);
	(void)close(r->news);
	r->shell = 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	end_shell(r);
	chr_destroy(r->chr);
	loop_destroy(r->loop);
	(void)close(r->master);
	(void)close(r->slave);
	(void)unlink(r->at.sun_path);
	(void)rmdir(r->dir);
	free(r);
	return 0;
}

static void look(void *ctx)
{
	struct rig *r = ctx;
	const ssize_t n =
		r->stalled ? 0
			   : read(r->master, r->seen + r->seen_n, sizeof(r->seen) - 1 - r->seen_n);

	if (n > 0)
		r->seen_n += (size_t)n;
	if (r->done(r))
		loop_stop(r->loop);
	else
		loop_timer_set(r->loop, &r->tick, host_now() + 200000);
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

static bool has_seen(struct rig *r)
{
	return memmem(r->seen, r->seen_n, r->want, strlen(r->want)) != NULL;
}

static void see(struct rig *r, const char *text)
{
	r->want = text;
	run_until(r, has_seen);
}

static bool has_ended(struct rig *r)
{
	return read(r->news, &r->status, sizeof(r->status)) == sizeof(r->status);
}

static int end_of(struct rig *r)
{
	run_until(r, has_ended);
	return r->status;
}

static bool is_raw(struct rig *r)
{
	struct termios now;

	assert_int_equal(tcgetattr(r->slave, &now), 0);
	return (now.c_lflag & (ICANON | ECHO | ISIG)) == 0;
}

static bool is_as_before(struct rig *r)
{
	struct termios now;

	assert_int_equal(tcgetattr(r->slave, &now), 0);
	return now.c_lflag == r->before.c_lflag && now.c_iflag == r->before.c_iflag &&
	       now.c_oflag == r->before.c_oflag;
}

/* In the shell. */
static void start_child(struct rig *r, const struct session *s, int (*fn)(const struct session *s),
			int news)
{
	pid_t child;
	int status;

	/* As from a terminal, whoever started us: what is ignored stays so in a child. */
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGQUIT, SIG_DFL);
	(void)setsid();
	(void)ioctl(r->slave, TIOCSCTTY, 0);
	for (int fd = 0; fd <= 2; fd++)
		(void)dup2(r->slave, fd);
	(void)close(r->master);
	child = fork();
	if (child == 0) {
		(void)close(news);
		status = fn(s);
		(void)fflush(NULL);
		_exit(status);
	}
	(void)!write(news, &child, sizeof(child));
	while (waitpid(child, &status, 0) < 0)
		;
	(void)!write(news, &status, sizeof(status));
	for (;;)
		(void)pause();
}

/* `sill console`, at the terminal. */
static void start(struct rig *r, const struct session *s, int (*fn)(const struct session *s))
{
	int news[2];

	end_shell(r);
	assert_int_equal(pipe(news), 0);
	(void)fflush(NULL);
	r->shell = fork();
	assert_true(r->shell >= 0);
	if (r->shell == 0)
		start_child(r, s, fn, news[1]);
	(void)close(news[1]);
	r->news = news[0];
	assert_int_equal(read(r->news, &r->child, sizeof(r->child)), sizeof(r->child));
	assert_int_equal(fcntl(r->news, F_SETFL, O_NONBLOCK), 0);
}

static void put(struct rig *r, const char *text)
{
	chr_write(r->chr, text, strlen(text));
}

static void type(struct rig *r, const char *keys)
{
	assert_int_equal(write(r->master, keys, strlen(keys)), strlen(keys));
}

static bool input_is_there(struct rig *r)
{
	return chr_has_input(r->chr);
}

static void expect_input(struct rig *r, const char *text)
{
	char got[64];
	size_t n = 0;

	while (n < strlen(text)) {
		run_until(r, input_is_there);
		n += chr_read(r->chr, got + n, sizeof(got) - n);
	}
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, n);
}

static void begin(struct rig *r)
{
	struct session s = { .name = r->at.sun_path, .port = SILL_PORT_CONSOLE };

	put(r, "old line\r\nSAC>");
	start(r, &s, session_person);
	see(r, "SAC>");
	assert_null(memmem(r->seen, r->seen_n, "old line", 8));
	run_until(r, is_raw);
}

static void console_person__types_and_leaves(void **state)
{
	struct rig *r = *state;

	begin(r);
	type(r, "i\r\001\001");
	expect_input(r, "i\r\001");
	type(r, "\0331\033@\033\t0");
	expect_input(r, "\0331\033@\033\t0");
	put(r, "\r\nNet: 10\r\n");
	see(r, "Net: 10");
	type(r, "\001h");
	see(r, "detach");
	type(r, "\001d");
	assert_int_equal(end_of(r), 0);
	assert_true(is_as_before(r));
	see(r, "\033[?25h"); /* what termios does not know of, too */
	see(r, "\033[?1000l");
	see(r, "\033[?2004l");
	see(r, "\0337\033[r\0338"); /* the cursor stays where it is */
}

static bool has_first_size(struct rig *r)
{
	return r->cols == 100 && r->rows == 40;
}

static bool has_second_size(struct rig *r)
{
	return r->cols == 132 && r->rows == 50;
}

static void console_person__tells_the_size(void **state)
{
	struct rig *r = *state;
	const struct winsize size = { .ws_col = 132, .ws_row = 50 };

	begin(r);
	run_until(r, has_first_size);
	assert_int_equal(ioctl(r->master, TIOCSWINSZ, &size), 0); /* and SIGWINCH */
	run_until(r, has_second_size);
}

static void console_person__ends_with_the_vm(void **state)
{
	struct rig *r = *state;

	begin(r);
	chr_destroy(r->chr);
	r->chr = NULL;
	see(r, "has ended");
	assert_int_equal(end_of(r), 0);
	assert_true(is_as_before(r));
}

static void assert_ends_by_sigterm(struct rig *r)
{
	assert_int_equal(kill(r->child, SIGTERM), 0);
	assert_int_equal(end_of(r), SIGTERM);
	assert_true(is_as_before(r));
}

static void console_person__leaves_the_terminal_to_signals(void **state)
{
	struct rig *r = *state;

	begin(r);
	assert_ends_by_sigterm(r);
}

/* More has been written than terminal, socket and port hold. */
static bool is_stuck(struct rig *r)
{
	static const char line[] = "more than the terminal takes, and more, and more, and more\r\n";

	for (unsigned i = 0; i < 100; i++)
		put(r, line);
	return chr_written(r->chr) > STALLED;
}

static void begin_stalled(struct rig *r)
{
	begin(r);
	r->stalled = true;
	run_until(r, is_stuck);
}

static void console_person__is_ended_at_a_terminal_that_takes_nothing(void **state)
{
	struct rig *r = *state;

	begin_stalled(r);
	assert_ends_by_sigterm(r);
}

static void console_person__leaves_a_terminal_that_takes_nothing(void **state)
{
	struct rig *r = *state;

	begin_stalled(r);
	type(r, "\001d");
	assert_int_equal(end_of(r), 0);
	assert_true(is_as_before(r));
}

static void console_person__leaves_the_terminal_when_killed(void **state)
{
	struct rig *r = *state;

	begin(r);
	assert_int_equal(kill(r->child, SIGKILL), 0);
	assert_int_equal(end_of(r), SIGKILL);
	run_until(r, is_as_before);
}

static void console_person__hears_who_writes(void **state)
{
	struct rig *r = *state;
	int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	begin(r);
	assert_int_equal(connect(other, (struct sockaddr *)&r->at, sizeof(r->at)), 0);
	assert_int_equal(write(other, "x", 1), 1);
	expect_input(r, "x");
	see(r, "writes here");
	type(r, "no\001t");
	see(r, "you may write");
	type(r, "yes");
	expect_input(r, "yes");
	(void)close(other);
}

static void console_person__that_only_looks_sends_nothing(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .read_only = true, .history = true };

	put(r, "old line\r\nSAC>");
	start(r, &s, session_person);
	see(r, "old line");
	run_until(r, is_raw);
	type(r, "shutdown\r\001h");
	see(r, "detach");
	assert_false(chr_has_input(r->chr));
	type(r, "\001d");
	assert_int_equal(end_of(r), 0);
}

static void console_script__finds_what_comes_after_what_it_sent(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path,
			     .send = "i\\r",
			     .expect = "^Net: [0-9]+$|SAC>",
			     .within_ms = 60000 };

	put(r, "SAC>");
	start(r, &s, session_script);
	expect_input(r, "i\r");
	assert_false(has_ended(r));
	put(r, "i\r\nNet: ");
	put(r, "1");
	put(r, "0\r\n");
	assert_int_equal(end_of(r), 0);
	assert_true(is_as_before(r));
}

static void console_script__says_that_it_has_not_come(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .expect = "login:", .within_ms = 20 };

	put(r, "SAC>");
	start(r, &s, session_script);
	assert_int_equal(end_of(r), 1 << 8);
	see(r, "'login:' has not come within 20 ms");
}

static void hear_bytes(int fd, size_t n)
{
	char got[64];

	assert_true(n <= sizeof(got));
	assert_int_equal(recv(fd, got, n, MSG_WAITALL), n);
}

/* Between its look and its word: a port of this file, whose pen is free, and then another one's. */
static void console_script__says_that_another_was_first(void **state)
{
	static const char free_and_live[] = {
		SILL_CONSOLE_PEN,  0, 5, 0, SILL_CONSOLE_PEN_FREE, 0, 0, 0, 0,
		SILL_CONSOLE_LIVE, 0, 0, 0
	};
	static const char taken[] = {
		SILL_CONSOLE_PEN, 0, 5, 0, SILL_CONSOLE_PEN_TAKEN, 77, 0, 0, 0
	};
	struct rig *r = *state;
	struct sockaddr_un at = r->at;
	struct session s = { .name = at.sun_path, .send = "id\\r", .within_ms = 60000 };
	const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char hello[SILL_CONSOLE_HELLO_SIZE];
	int fd;

	at.sun_path[strlen(at.sun_path) - 1] = 'f';
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	start(r, &s, session_script);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(recv(fd, hello, sizeof(hello), MSG_WAITALL), sizeof(hello));
	hear_bytes(fd, SILL_CONSOLE_HEAD + 1);
	assert_int_equal(write(fd, hello, sizeof(hello)), sizeof(hello));
	assert_int_equal(write(fd, free_and_live, sizeof(free_and_live)), sizeof(free_and_live));
	hear_bytes(fd, SILL_CONSOLE_HEAD + 3);
	assert_int_equal(write(fd, taken, sizeof(taken)), sizeof(taken));
	assert_int_equal(end_of(r), 1 << 8);
	see(r, "process 77 writes there: nothing was sent");
	(void)close(fd);
	(void)close(listener);
	assert_int_equal(unlink(at.sun_path), 0);
}

/* A Windows whose name is asked for; it has read what was typed up to Enter. */
static bool windows_was_asked(struct rig *r)
{
	char got[64];
	const size_t n = chr_read(r->chr, got, sizeof(got));

	for (size_t i = 0; i < n; i++) {
		if (got[i] == '\r')
			put(r, "\r\n  Computer name: WIN\x1b[31m-1\r\nSAC>");
		else
			chr_write(r->chr, &got[i], 1);
	}
	return has_ended(r);
}

static int ask_sac(const struct session *s)
{
	char verb[] = "sac";
	char *argv[] = { verb, (char *)(uintptr_t)s->name, (char *)(uintptr_t)s->send, NULL };

	return verb_sac.run(3, argv);
}

static void console_sac__asks_windows(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .send = "id" };

	put(r, "Computer is booting, SAC started and initialized.\r\nSAC>");
	start(r, &s, ask_sac);
	run_until(r, windows_was_asked);
	assert_int_equal(r->status, 0);
	see(r, "Computer name: WIN-1");
	assert_null(memmem(r->seen, r->seen_n, "SAC>", 4));
	assert_null(memmem(r->seen, r->seen_n, "\x1b", 1));
}

/* From a script. */
static int ask_sac_unseen(const struct session *s)
{
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
		return 99;
	return ask_sac(s);
}

static void console_sac__does_not_end_windows_unasked(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .send = "shutdown" };

	put(r, "SAC>");
	start(r, &s, ask_sac_unseen);
	assert_int_equal(end_of(r), 1 << 8);
	see(r, "--yes");
	start(r, &s, ask_sac);
	see(r, "Do it? [y/N]");
	type(r, "n\r");
	assert_int_equal(end_of(r), 1 << 8);
	assert_false(chr_has_input(r->chr));
	r->seen_n = 0;
	start(r, &s, ask_sac);
	see(r, "Do it? [y/N]");
	type(r, "y\r");
	run_until(r, input_is_there);
}

static void console_sac__names_a_bug_check(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .send = "status" };

	put(r,
	    "<BP>\r\n<PROPERTY NAME=\"STOPCODE\" TYPE=\"string\"><VALUE>\"0x7B\"</VALUE></PROPERTY>"
	    "\r\n</BP>\r\n!SAC>");
	start(r, &s, ask_sac);
	assert_int_equal(end_of(r), 0);
	see(r, "0x7b INACCESSIBLE_BOOT_DEVICE");
}

/* A Windows with a command prompt, in this time. */
static struct fake_sac windows;

/* Before anybody is there: what comes later is another start. */
static void boot_windows(struct rig *r)
{
	const char *said;
	size_t n;

	fake_boot(&windows);
	while ((n = fake_pass(&windows, windows.now, &said)) > 0)
		chr_write(r->chr, said, n);
}

static bool windows_works(struct rig *r)
{
	char got[64];
	const char *said;
	size_t n;

	windows.now = host_now() / 1000000;
	while ((n = chr_read(r->chr, got, sizeof(got))) > 0)
		fake_hear(&windows, (const uint8_t *)got, n);
	while ((n = fake_pass(&windows, windows.now, &said)) > 0)
		chr_write(r->chr, said, n);
	return has_ended(r);
}

/* s->send is the command, s->expect the password's file. */
static int exec_sac(const struct session *s)
{
	char words[][16] = { "sac", "--user", "admin", "--password-file", "exec", "--" };
	char *argv[] = { words[0],
			 words[1],
			 words[2],
			 words[3],
			 (char *)(uintptr_t)s->expect,
			 (char *)(uintptr_t)s->name,
			 words[4],
			 words[5],
			 (char *)(uintptr_t)s->send,
			 NULL };

	return verb_sac.run(9, argv);
}

/* `ip` and the words of s->send. */
static int ip_sac(const struct session *s)
{
	char words[][16] = { "sac", "ip" }, rest[64];
	char *argv[8] = { words[0], (char *)(uintptr_t)s->name, words[1] }, *save = NULL;
	int n = 3;

	(void)snprintf(rest, sizeof(rest), "%s", s->send);
	for (char *w = strtok_r(rest, " ", &save); w != NULL && n < 7;
	     w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	return verb_sac.run(n, argv);
}

static void set_address(struct rig *r, const struct fake_sac *kind, int status)
{
	struct session s = { .name = r->at.sun_path,
			     .send = "set 192.168.249.2 255.255.255.0 192.168.249.1" };

	windows = *kind;
	boot_windows(r);
	start(r, &s, ip_sac);
	run_until(r, windows_works);
	assert_int_equal(r->status, status << 8);
}

static void console_sac__sets_the_address(void **state)
{
	struct rig *r = *state;

	set_address(r, &(struct fake_sac){ .random = 1, .nuls = true }, 0);
	assert_string_equal(windows.address, "192.168.249.2");
}

static void console_sac__does_not_guess_an_interface(void **state)
{
	struct rig *r = *state;

	set_address(r, &(struct fake_sac){ .random = 1, .cards = 2 }, 1);
	see(r, "not one network interface");
	assert_string_equal(windows.address, "");
}

static bool windows_shows(struct rig *r)
{
	return windows_works(r) || has_seen(r);
}

static int cmd_sac(const struct session *s)
{
	char words[][8] = { "sac", "cmd" };
	char *argv[] = { words[0], (char *)(uintptr_t)s->name, words[1], NULL };

	return verb_sac.run(3, argv);
}

/* To the login that a person answers; the prompt does not stay behind. */
static void console_sac__is_a_prompt_for_a_person(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path };

	windows = (struct fake_sac){ .random = 9, .user = "admin", .password = "secret" };
	boot_windows(r);
	start(r, &s, cmd_sac);
	r->want = "Username:";
	run_until(r, windows_shows);
	run_until(r, is_raw);
	type(r, "admin\r\rsecret\r");
	r->want = "system32>";
	run_until(r, windows_shows);
	assert_true(windows.exists);
	type(r, "\001d");
	run_until(r, windows_works);
	assert_int_equal(r->status, 0);
	assert_false(windows.exists);
	assert_true(is_as_before(r));
}

static char input[64]; /* a FIFO */

static int session_without_keys(const struct session *s)
{
	const int in = open(input, O_RDONLY | O_CLOEXEC);

	return in >= 0 && dup2(in, STDIN_FILENO) >= 0 ? session_person(s) : 99;
}

/* As `sill sac VM cmd <FILE`: it is over when nobody types any more and the guest is silent. */
static void console_person__without_keys_is_over_when_the_guest_is_silent(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .history = true, .quiet_ms = 50 };
	int fd;

	(void)snprintf(input, sizeof(input), "%s/input", r->dir);
	assert_int_equal(mkfifo(input, 0600), 0);
	put(r, "said before\r\n");
	start(r, &s, session_without_keys);
	fd = open(input, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(unlink(input), 0);
	see(r, "said before");
	(void)close(fd); /* its input ends here, not before */
	assert_int_equal(end_of(r), 0);
}

static void write_password(const char *path)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "secret\r\nno", 10), 10);
	assert_int_equal(close(fd), 0);
}

static void console_sac__runs_a_command(void **state)
{
	struct rig *r = *state;
	char path[64];
	struct session s = { .name = r->at.sun_path, .send = "fail 3", .expect = path };

	(void)snprintf(path, sizeof(path), "%s/password", r->dir);
	write_password(path);
	windows = (struct fake_sac){
		.random = 7, .nuls = true, .stars = true, .user = "admin", .password = "secret"
	};
	boot_windows(r);
	start(r, &s, exec_sac);
	run_until(r, windows_works);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(r->status, 3 << 8);
	assert_false(windows.exists);
	assert_null(memmem(r->seen, r->seen_n, "secret", 6));
}

static bool windows_hangs(struct rig *r)
{
	return windows_works(r) || windows.where == FAKE_HANGS;
}

static void console_sac__ends_when_another_takes_over(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .send = "hang", .expect = "/dev/null" };
	const struct conlink_user nobody = { 0 };
	struct conlink other;
	struct sill_err e = { 0 };
	int fd;

	windows = (struct fake_sac){ .random = 8 };
	boot_windows(r);
	start(r, &s, exec_sac);
	run_until(r, windows_hangs);
	conlink_init(&other, &nobody);
	fd = conlink_connect(&other, r->at.sun_path, SILL_PORT_SERIAL, SILL_CONSOLE_FROM_LINE, &e);
	assert_true(fd >= 0);
	assert_int_equal(conlink_send(fd, SILL_CONSOLE_TAKE, NULL, 0, &e), 0);
	run_until(r, windows_works);
	assert_int_equal(r->status, 125 << 8);
	see(r, "has taken over");
	(void)close(fd);
}

/* Ctrl-C, or a kill: nobody stays logged in there. */
static void console_sac__closes_its_prompt_when_it_is_interrupted(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .send = "hang", .expect = "/dev/null" };

	windows = (struct fake_sac){ .random = 8 };
	boot_windows(r);
	start(r, &s, exec_sac);
	run_until(r, windows_hangs);
	assert_int_equal(kill(r->child, SIGINT), 0);
	run_until(r, windows_works);
	assert_int_equal(r->status, SIGINT);
	assert_false(windows.exists);
	see(r, "interrupted");
}

static char keys[16];

static bool was_typed_at(struct rig *r)
{
	return has_ended(r) || chr_read(r->chr, keys, sizeof(keys)) > 0;
}

/* In each verb that waits for Windows: it ends as by the signal, and says so. */
static void console_sac__ends_by_ctrl_c_whatever_it_does(void **state)
{
	static const char *const verbs[] = { "ls", "id", "time", "ip", "cmd" };
	struct rig *r = *state;

	put(r, "SAC>");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		struct session s = { .name = r->at.sun_path, .send = verbs[i] };

		start(r, &s, ask_sac);
		run_until(r, was_typed_at);
		assert_int_equal(kill(r->child, SIGINT), 0);
		assert_int_equal(end_of(r), SIGINT);
		see(r, "interrupted");
		while (chr_read(r->chr, keys, sizeof(keys)) > 0)
			;
	}
}

static void console_sac__says_what_a_command_says(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path,
			     .send = "say a \"b\" > c",
			     .expect = "/dev/null" };

	windows = (struct fake_sac){ .random = 8, .paints = true };
	boot_windows(r);
	start(r, &s, exec_sac);
	run_until(r, windows_works);
	assert_int_equal(r->status, 0);
	see(r, "a \"b\" > c\r\n");
	assert_int_equal(r->seen_n, 11);
}

/* At a terminal, too, tabs are tabs. */
static void console_sac__shows_what_a_command_says(void **state)
{
	struct rig *r = *state;
	struct session s = { .name = r->at.sun_path, .send = "lines 2", .expect = "/dev/null" };

	windows = (struct fake_sac){ .random = 8 };
	boot_windows(r);
	start(r, &s, exec_sac);
	run_until(r, windows_works);
	assert_int_equal(r->status, 0);
	see(r, "line 1\tof >>> 7:\xc3\xa4 C:\\>\r\n");
}

/* None of the statuses that a command may have. */
static void console_sac__says_so_when_exec_is_called_wrongly(void **state)
{
	static const char *const calls[][7] = {
		{ "sac", "--within", "never", "vm", "exec", "--", "x" },
		{ "sac", "--no-such", "vm", "exec", "--", "x" },
		{ "sac", "--port", "console", "vm", "exec", "--", "x" },
		{ "sac", "vm", "exec" },
		{ "sac", "vm", "ls", "exec" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char *argv[8] = { NULL };
		int argc = 0;

		for (; argc < 7 && calls[i][argc] != NULL; argc++)
			argv[argc] = (char *)(uintptr_t)calls[i][argc];
		assert_int_equal(verb_sac.run(argc, argv), i < 4 ? 125 : 1);
	}
}

static void session_unescape__is_as_in_c(void **state)
{
	uint8_t got[16];

	(void)state;
	assert_int_equal(session_unescape("a\\r\\x1b\\\\\\e", got, sizeof(got)), 5);
	assert_memory_equal(got, "a\r\x1b\\\x1b", 5);
	assert_int_equal(session_unescape("\\x00", got, sizeof(got)), 1);
	assert_int_equal(session_unescape("\\", got, sizeof(got)), -1);
	assert_int_equal(session_unescape("\\x1", got, sizeof(got)), -1);
	assert_int_equal(session_unescape("\\q", got, sizeof(got)), -1);
	assert_int_equal(session_unescape("12345678901234567", got, sizeof(got)), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(console_person__types_and_leaves),
		TEST(console_person__tells_the_size),
		TEST(console_person__ends_with_the_vm),
		TEST(console_person__leaves_the_terminal_to_signals),
		TEST(console_person__is_ended_at_a_terminal_that_takes_nothing),
		TEST(console_person__leaves_a_terminal_that_takes_nothing),
		TEST(console_person__leaves_the_terminal_when_killed),
		TEST(console_person__hears_who_writes),
		TEST(console_person__that_only_looks_sends_nothing),
		TEST(console_script__finds_what_comes_after_what_it_sent),
		TEST(console_script__says_that_another_was_first),
		TEST(console_script__says_that_it_has_not_come),
		TEST(console_sac__asks_windows),
		TEST(console_sac__does_not_end_windows_unasked),
		TEST(console_sac__names_a_bug_check),
		TEST(console_sac__sets_the_address),
		TEST(console_sac__does_not_guess_an_interface),
		TEST(console_sac__is_a_prompt_for_a_person),
		TEST(console_person__without_keys_is_over_when_the_guest_is_silent),
		TEST(console_sac__runs_a_command),
		TEST(console_sac__says_what_a_command_says),
		TEST(console_sac__ends_when_another_takes_over),
		TEST(console_sac__closes_its_prompt_when_it_is_interrupted),
		TEST(console_sac__ends_by_ctrl_c_whatever_it_does),
		TEST(console_sac__shows_what_a_command_says),
		cmocka_unit_test(console_sac__says_so_when_exec_is_called_wrongly),
		cmocka_unit_test(session_unescape__is_as_in_c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
