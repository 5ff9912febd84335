/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal.c - a line to stderr is an entry with fields, if stderr is the journal's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runner/host/journal.h"

static char dir[] = "/tmp/sill-test-XXXXXX";
static struct sockaddr_un at = { .sun_family = AF_UNIX };
static int server, stream[2], kept;

/* A journal that listens, and standard error is a pipe that is said to be its. */
static int set_up(void **state)
{
	char where[64];
	struct stat st;

	(void)state;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	if (mkdtemp(dir) == NULL || pipe2(stream, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/socket", dir);
	server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	kept = dup(STDERR_FILENO);
	if (bind(server, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    dup2(stream[1], STDERR_FILENO) < 0 || fstat(STDERR_FILENO, &st) < 0)
		return -1;
	(void)snprintf(where, sizeof(where), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return setenv("JOURNAL_STREAM", where, 1) | setenv("SILL_JOURNAL_SOCKET", at.sun_path, 1);
}

static int tear_down(void **state)
{
	(void)state;
	(void)dup2(kept, STDERR_FILENO);
	(void)close(kept);
	(void)close(server);
	(void)close(stream[0]);
	(void)close(stream[1]);
	(void)unlink(at.sun_path);
	return rmdir(dir);
}

/* What has come at @fd; "": nothing. */
static const char *next(int fd)
{
	static char text[1024];
	const ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void expect(int level, const char *message)
{
	char want[256];

	(void)snprintf(want, sizeof(want),
		       "PRIORITY=%d\nSYSLOG_IDENTIFIER=sill\nSILL_VM=web\nMESSAGE=%s\n", level,
		       message);
	assert_string_equal(next(server), want);
}

static void a_line__is_an_entry_of_its_own_level(void **state)
{
	FILE *const was = stderr;
	struct journal j = { 0 };

	(void)state;
	assert_true(journal_begin(&j, "web"));
	(void)fputs("sill: error: a\nsill: warn: b\nsill: warning: c\n\nsill: info: d\n", stderr);
	(void)fputs("sill: debug: e\nsill: 'web' is ready\n   hint: f\nsill: errors\n", stderr);
	expect(3, "error: a");
	expect(4, "warn: b");
	expect(4, "warning: c");
	expect(6, "info: d");
	expect(7, "debug: e");
	expect(6, "'web' is ready");
	expect(6, "   hint: f");
	expect(6, "errors");
	j.level = JOURNAL_ERROR;
	(void)fprintf(stderr, "sill: %s", "cannot");
	assert_string_equal(next(server), ""); /* no line yet */
	journal_end(&j);
	expect(3, "cannot");
	assert_string_equal(next(server), "");
	assert_string_equal(next(stream[0]), "");
	assert_ptr_equal(stderr, was);
	journal_end(&j);
}

static void a_journal_that_takes_no_more__has_it_on_its_stream(void **state)
{
	struct journal j = { 0 };

	(void)state;
	assert_true(journal_begin(&j, "web"));
	(void)close(server);
	(void)fputs("sill: warn: b\n", stderr);
	assert_string_equal(next(stream[0]), "sill: warn: b\n");
	journal_end(&j);
}

static void another_stderr__stays_what_it_is(void **state)
{
	FILE *const was = stderr;
	struct journal j = { 0 };

	(void)state;
	assert_int_equal(unlink(at.sun_path), 0);
	assert_false(journal_begin(&j, "web")); /* nobody listens */
	assert_int_equal(dup2(stream[0], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(setenv("JOURNAL_STREAM", "8:1", 1), 0);
	assert_false(journal_begin(&j, "web")); /* another file */
	assert_int_equal(setenv("JOURNAL_STREAM", "junk", 1), 0);
	assert_false(journal_begin(&j, "web"));
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	assert_false(journal_begin(&j, "web"));
	assert_ptr_equal(stderr, was);
	journal_end(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line__is_an_entry_of_its_own_level, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_journal_that_takes_no_more__has_it_on_its_stream,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_stderr__stays_what_it_is, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
