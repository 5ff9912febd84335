/* SPDX-License-Identifier: Apache-2.0 */
/* test_sac_password.c - the first line of --password-file, whoever has written it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cmd/sac.h"

#define BYTES(s) (s), sizeof(s) - 1

/* A file with it, whose mode is @mode. What is said on standard error is in @ret_said. */
static int read_file(const char *text, size_t n, mode_t mode, char ret[SAC_PASSWORD + 1],
		     char ret_said[256], struct sill_err *e)
{
	char path[] = "/tmp/sill-password-XXXXXX";
	const int fd = mkstemp(path), err = dup(STDERR_FILENO);
	const struct sac_call c = { .password_file = path };
	FILE *said = tmpfile();
	int done;

	assert_true(fd >= 0 && err >= 0);
	assert_non_null(said);
	assert_int_equal(write(fd, text, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_true(dup2(fileno(said), STDERR_FILENO) >= 0);
	done = sac_call_password(&c, ret, e);
	(void)fflush(stderr);
	assert_true(dup2(err, STDERR_FILENO) >= 0);
	ret_said[pread(fileno(said), ret_said, 255, 0)] = '\0';
	(void)fclose(said);
	(void)close(err);
	(void)close(fd);
	(void)unlink(path);
	return done;
}

static void password__is_the_first_line(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *password;
	} cases[] = {
		{ BYTES("Passw0rd\n"), "Passw0rd" },
		{ BYTES("Passw0rd"), "Passw0rd" },
		{ BYTES("Passw0rd\r\nmore\r\n"), "Passw0rd" },
		{ BYTES("\xef\xbb\xbfPassw0rd\r\n"), "Passw0rd" }, /* of Windows' Notepad */
		{ BYTES("Passw0rd\n\0\0"), "Passw0rd" },
		{ BYTES(" a b \n"), " a b " },
		{ BYTES(""), "" },
		{ BYTES("\n"), "" },
		{ BYTES("\xef\xbb\xbf"), "" },
	};
	char got[SAC_PASSWORD + 1], said[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sill_err e = { 0 };

		assert_int_equal(read_file(cases[i].text, cases[i].n, 0600, got, said, &e), 0);
		assert_string_equal(got, cases[i].password);
		assert_string_equal(said, "");
	}
}

static void password__of_the_greatest_length(void **state)
{
	char text[SAC_PASSWORD + 5], got[SAC_PASSWORD + 1], said[256];
	struct sill_err e = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "\xef\xbb\xbf", 3);
	text[3 + SAC_PASSWORD] = '\n';
	assert_int_equal(read_file(text, 4 + SAC_PASSWORD, 0600, got, said, &e), 0);
	assert_int_equal(strlen(got), SAC_PASSWORD);
	text[3 + SAC_PASSWORD] = 'x';
	assert_int_equal(read_file(text, 4 + SAC_PASSWORD, 0600, got, said, &e), -1);
	assert_non_null(strstr(e.msg, "at most 256 bytes"));
}

static void password__that_is_no_text_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *fault;
	} cases[] = {
		{ BYTES("\xff\xfeP\0a\0s\0s\0"), "is UTF-16" }, /* of PowerShell's > */
		{ BYTES("\xfe\xff\0P\0a\0s\0s"), "is UTF-16" },
		{ BYTES("Passw0rd\0x\n"), "its first line is no text" },
	};
	char got[SAC_PASSWORD + 1], said[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sill_err e = { 0 };

		assert_int_equal(read_file(cases[i].text, cases[i].n, 0600, got, said, &e), -1);
		assert_non_null(strstr(e.msg, cases[i].fault));
	}
}

static void password__that_others_may_read_is_told_of(void **state)
{
	char got[SAC_PASSWORD + 1], said[256];
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(read_file(BYTES("Passw0rd\n"), 0640, got, said, &e), 0);
	assert_string_equal(got, "Passw0rd");
	assert_non_null(strstr(said, "chmod 600"));
	assert_null(strstr(said, "Passw0rd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(password__is_the_first_line),
		cmocka_unit_test(password__of_the_greatest_length),
		cmocka_unit_test(password__that_is_no_text_is_refused),
		cmocka_unit_test(password__that_others_may_read_is_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
