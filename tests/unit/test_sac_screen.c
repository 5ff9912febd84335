/* SPDX-License-Identifier: Apache-2.0 */
/* test_sac_screen.c - what is on a command prompt's screen, however it came there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runner/sac/screen.h"

static int setup(void **state)
{
	*state = screen_create();
	assert_non_null(*state);
	return 0;
}

static int teardown(void **state)
{
	screen_destroy(*state);
	return 0;
}

static void take(struct screen *s, const char *text)
{
	screen_take(s, (const uint8_t *)text, strlen(text));
}

/* The row is @text and blanks. */
static void see(const struct screen *s, int row, const char *text)
{
	char got[SCREEN_COLS + 1];
	size_t n = SCREEN_COLS;

	screen_row(s, row, got);
	assert_int_equal(strlen(got), SCREEN_COLS);
	while (n > 0 && got[n - 1] == ' ')
		got[--n] = '\0';
	assert_string_equal(got, text);
}

static void at(const struct screen *s, int row, int col)
{
	int r, c;

	screen_cursor(s, &r, &c);
	assert_int_equal(r, row);
	assert_int_equal(c, col);
}

static void screen__is_what_was_written(void **state)
{
	struct screen *s = *state;

	at(s, 0, 0);
	take(s, "C:\\Windows\\system32>echo a\r\na\r\n\r\nC:\\Windows\\system32>");
	see(s, 0, "C:\\Windows\\system32>echo a");
	see(s, 1, "a");
	see(s, 3, "C:\\Windows\\system32>");
	at(s, 3, 20);
	take(s, "xy\b \b");
	see(s, 3, "C:\\Windows\\system32>x");
	at(s, 3, 21);
}

/* The same text, painted from below, in pieces, with movements for blanks. */
static void screen__is_the_same_when_it_is_painted(void **state)
{
	struct screen *s = *state;

	take(s, "old\r\nold\r\nold\x1b[2J\x1b[04;01HC:\\Windows\\system32>\x1b[2;1Ha\x1b[K"
		"\x1b[01;01HC:\\Windows\\system32>echo\x1b[1Ca\x1b[0;37;40m\x1b[04;21H");
	see(s, 0, "C:\\Windows\\system32>echo a");
	see(s, 1, "a");
	see(s, 2, "");
	see(s, 3, "C:\\Windows\\system32>");
	at(s, 3, 20);
}

static void screen__leaves_nuls_out(void **state)
{
	struct screen *s = *state;

	screen_take(s, (const uint8_t *)"\0a\0\x1b\0[1\0C\0b\0", 11);
	see(s, 0, "a b");
	screen_take(s, (const uint8_t *)"", 0);
	at(s, 0, 3);
}

static void screen__wraps_and_scrolls(void **state)
{
	struct screen *s = *state;
	char line[SCREEN_COLS + 2];

	memset(line, 'x', SCREEN_COLS);
	line[SCREEN_COLS] = 'y';
	line[SCREEN_COLS + 1] = '\0';
	take(s, line);
	see(s, 1, "y");
	at(s, 1, 1);
	for (int i = 0; i < SCREEN_ROWS; i++)
		take(s, "\r\nz");
	see(s, 0, "z");
	see(s, SCREEN_ROWS - 1, "z");
	at(s, SCREEN_ROWS - 1, 1);
}

static void screen__shows_other_letters_as_one_column(void **state)
{
	struct screen *s = *state;

	take(s, "Dom\xc3\xa4ne  :");
	see(s, 0, "Dom?ne  :");
	at(s, 0, 9);
	/* Also when it comes in halves, with NULs in it. */
	take(s, "\r\nDom\xc3");
	screen_take(s,
		    (const uint8_t *)"\0\xa4"
				     "ne:\xe2\x82",
		    8);
	take(s, "\xac");
	see(s, 1, "Dom?ne:?");
	at(s, 1, 8);
	take(s, "\x1b[1;10H\xff\xc3(");
	see(s, 0, "Dom?ne  :?\?(");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(screen__is_what_was_written),
		TEST(screen__is_the_same_when_it_is_painted),
		TEST(screen__leaves_nuls_out),
		TEST(screen__wraps_and_scrolls),
		TEST(screen__shows_other_letters_as_one_column),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
