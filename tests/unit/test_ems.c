/* SPDX-License-Identifier: Apache-2.0 */
/* test_ems.c - a Windows' bug check among what a guest writes to a serial port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "backend/serial/ems.h"
#include "devices/dev.h"
#include "devices/legacy/debugcon.h"

/* As Windows writes it, with its bells. */
#define BLOCK                                                                            \
	"\a\a\a<?xml>\a<BP>\r\n<INSTANCE CLASSNAME=\"BLUESCREEN\">\r\n<PROPERTY "        \
	"NAME=\"STOPCODE\" TYPE=\"string\">"                                             \
	"<VALUE>\"0xD1\"</VALUE></PROPERTY>\r\n<machine-info>\r\n<name>web</name>\r\n</" \
	"machine-info>\r\n</INSTANCE>"                                                   \
	"\r\n</BP>\a"
#define CAUSE "The problem seems to be caused by the following file: myfault.sys\r\n"
#define STOP                    \
	"*** STOP: 0x000000D1 " \
	"(0x0000000000000028,0x0000000000000002,0x0000000000000000,0xFFFFF80012345678)\r\n"
#define PLACE                                                                             \
	"***  netkvm.sys - Address FFFFF80012345678 base at FFFFF80012340000, DateStamp " \
	"5a3b1c2d\r\n"

static struct ems_line heard(const char *text, size_t step, unsigned *ret_more, bool *ret_whole)
{
	const size_t n = strlen(text);
	struct ems_line l = { 0 };

	*ret_more = 0;
	*ret_whole = false;
	for (size_t at = 0; at < n; at += step) {
		const enum ems_news news =
			ems_take(&l, (const uint8_t *)text + at, n - at < step ? n - at : step);

		*ret_more += news != EMS_NOTHING;
		*ret_whole |= news == EMS_WHOLE;
	}
	return l;
}

/* However the bytes come. */
static struct sill_crash said(const char *text, bool *ret_any, bool *ret_whole)
{
	unsigned more;
	const struct sill_crash whole = heard(text, strlen(text) + 1, &more, ret_whole).said;

	*ret_any = more > 0;
	for (size_t step = 1; step < 9; step++) {
		bool is_whole;
		const struct sill_crash piece = heard(text, step, &more, &is_whole).said;

		assert_int_equal(is_whole, *ret_whole);
		assert_int_equal(more > 0, *ret_any);
		assert_true(more <= 4);
		assert_true(piece.code == whole.code && piece.has_code == whole.has_code &&
			    piece.has_parameters == whole.has_parameters);
		assert_memory_equal(piece.parameter, whole.parameter, sizeof(whole.parameter));
		assert_string_equal(piece.driver, whole.driver);
	}
	return whole;
}

static void ems_block__has_the_code(void **state)
{
	static const char *const texts[] = {
		BLOCK,
		/* on one line, and behind another prompt */
		"SAC><BP><INSTANCE CLASSNAME=\"BLUESCREEN\"><PROPERTY NAME=\"STOPCODE\" "
		"TYPE=\"string\">"
		"<VALUE>\"0xD1\"</VALUE></PROPERTY><machine-info></machine-info></BP>",
		/* with what a screen is painted with */
		"\x1b[2J\x1b[01;01Hxx\x1b[3;1H" BLOCK,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		bool any, whole;
		const struct sill_crash c = said(texts[i], &any, &whole);

		assert_true(any && c.has_code);
		assert_int_equal(c.code, 0xd1);
		assert_false(whole || c.has_parameters);
		assert_string_equal(c.driver, "");
	}
}

static void ems_text__has_parameters_and_driver(void **state)
{
	bool any, whole;
	struct sill_crash c;

	(void)state;
	c = said(BLOCK "\r\nA problem has been detected\r\n" CAUSE STOP PLACE, &any, &whole);
	assert_true(any && whole && c.has_code && c.has_parameters);
	assert_int_equal(c.parameter[0], 0x28);
	assert_int_equal(c.parameter[1], 2);
	assert_int_equal(c.parameter[2], 0);
	assert_true(c.parameter[3] == 0xfffff80012345678);
	assert_string_equal(c.driver, "myfault.sys");
	c = said(BLOCK STOP PLACE, &any, &whole);
	assert_string_equal(c.driver, "netkvm.sys");
	/* of another bug check: somebody shows an old one */
	c = said(BLOCK "*** STOP: 0x0000000A (0x1, 0x2, 0x3, 0x4)\r\n", &any, &whole);
	assert_false(whole || c.has_parameters);
	assert_int_equal(c.code, 0xd1);
}

static void ems_prompt__is_the_end_of_a_bug_check_only(void **state)
{
	bool any, whole;
	struct sill_crash c = said(BLOCK "\r\n!SAC>", &any, &whole);

	(void)state;
	assert_true(whole && c.has_code);
	c = said("The SAC will become unavailable soon.  The computer is shutting down.\r\n!SAC>",
		 &any, &whole);
	assert_false(any);
	/* bytes were lost */
	c = said("<BP><INSTANCE CLASSNAME=\"BLUESCREEN\"><PROPERTY NAME=\"STOP\r\n!SAC>", &any,
		 &whole);
	assert_true(whole);
	assert_false(c.has_code);
}

/* The guest's text is anything: it is never more than it is. */
static void ems_text__of_no_bug_check_is_none(void **state)
{
	static const char *const texts[] = {
		STOP CAUSE PLACE "!SAC>",
		"<BP></BP><BP><INSTANCE CLASSNAME=\"OTHER\"></BP>!SAC>" STOP,
		"<INSTANCE CLASSNAME=\"BLUESCREEN\"><PROPERTY "
		"NAME=\"STOPCODE\"><VALUE>\"0xD1\"</VALUE></BP>",
		"SAC>type <BP>\r\nSAC>",
		"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		bool any, whole;

		(void)said(texts[i], &any, &whole);
		assert_false(any);
	}
}

#define CODE(value)                                                                        \
	"<BP><INSTANCE CLASSNAME=\"BLUESCREEN\"><PROPERTY NAME=\"STOPCODE\"><VALUE>" value \
	"</VALUE></BP>"

static void ems_block__with_no_code_in_it_is_a_bug_check_without_one(void **state)
{
	static const char *const codes[] = {
		"",         "\"\"",           "\"0x\"",    "\"0x1ffffffff\"",
		"\"-0x1\"", "\"0xD1; rm -rf", "\"0x12g\"", "\"\x1b]0;x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		char text[256];
		bool any, whole;
		struct sill_crash c;

		(void)snprintf(text, sizeof(text), CODE("%s"), codes[i]);
		c = said(text, &any, &whole);
		assert_true(any);
		assert_false(c.has_code);
	}
}

static void ems_driver__is_a_files_name(void **state)
{
	static char text[8192];
	static const char *const names[] = { "", " ", "a\x1b[31mb", "..\\x", "a b", "\xff.sys" };
	bool any, whole;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(text, sizeof(text), BLOCK "\r\n***  %s - Address 1\r\n", names[i]);
		assert_string_equal(said(text, &any, &whole).driver,
				    i == 2 ? "ab" : "" /* without the colour */);
	}
	for (size_t n = SILL_CRASH_DRIVER - 2; n < 2000; n++) {
		(void)snprintf(text, sizeof(text), BLOCK "\r\n***  %0*d - Address 1\r\n", (int)n,
			       0);
		assert_int_equal(strlen(said(text, &any, &whole).driver),
				 n < SILL_CRASH_DRIVER ? n : 0);
	}
}

/* A line of any length before it, and in it. */
static void ems_line__that_is_too_long_hides_nothing_behind_it(void **state)
{
	static char text[4096];
	bool any, whole;

	(void)state;
	for (int n = 0; n < 1000; n += 7) {
		(void)snprintf(text, sizeof(text), "%0*d" BLOCK "%0*d\r\n" STOP, n, 0, n, 0);
		assert_true(said(text, &any, &whole).has_parameters);
	}
}

/* ---- of a port ---- */

struct ear {
	unsigned n, whole;
	struct sill_crash said;
};

static void hear(void *ctx, const struct sill_crash *said, bool whole)
{
	struct ear *ear = ctx;

	ear->n++;
	ear->whole += whole;
	ear->said = *said;
}

/* Also of one that nobody reads; again and again, but once until the guest begins anew. */
static void ems_port__tells_who_listens(void **state)
{
	static const char text[] = BLOCK CAUSE STOP PLACE "!SAC>";
	struct chr_config c = {
		.mode = SILL_CHAR_NULL, .in_fd = -1, .out_fd = -1, .listen_fd = -1
	};
	struct sill_err e = { 0 };
	struct loop *loop = loop_create(&e);
	struct chr *port = chr_create("serial", &c, loop, &e);
	struct ear ear = { 0 };

	(void)state;
	assert_non_null(port);
	chr_write(port, text, strlen(text));
	chr_set_bug(port, hear, &ear);
	for (unsigned boot = 1; boot <= 3; boot++) {
		for (unsigned i = 0; i < 100; i++)
			for (size_t at = 0; at < strlen(text); at++)
				chr_write(port, text + at, 1);
		assert_int_equal(ear.n, 4 * boot);
		assert_int_equal(ear.whole, 2 * boot);
		assert_string_equal(ear.said.driver, "myfault.sys");
		chr_guest_anew(port);
	}
	chr_destroy(port);
	loop_destroy(loop);
}

/* A debug console, too, begins anew with its guest. */
static void ems_debug_console__listens_again_after_a_reset(void **state)
{
	static const char text[] = BLOCK STOP "!SAC>";
	struct chr_config c = {
		.mode = SILL_CHAR_NULL, .in_fd = -1, .out_fd = -1, .listen_fd = -1
	};
	struct sill_err e = { 0 };
	struct loop *loop = loop_create(&e);
	struct chr *port = chr_create("debug_console", &c, loop, &e);
	const struct debugcon_config config = { port };
	const struct dev_env env = { .loop = loop };
	struct dev *d = dev_create(&debugcon_ops, "debug_console", &config, NO_GSI, &env, &e);
	struct ear ear = { 0 };
	unsigned before;

	(void)state;
	assert_non_null(d);
	chr_set_bug(port, hear, &ear);
	for (unsigned i = 0; i < 100; i++)
		chr_write(port, text, strlen(text));
	before = ear.n;
	assert_true(before > 0);
	dev_reset(d);
	chr_write(port, text, strlen(text));
	assert_true(ear.n > before);
	dev_destroy(d);
	chr_destroy(port);
	loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ems_block__has_the_code),
		cmocka_unit_test(ems_debug_console__listens_again_after_a_reset),
		cmocka_unit_test(ems_text__has_parameters_and_driver),
		cmocka_unit_test(ems_prompt__is_the_end_of_a_bug_check_only),
		cmocka_unit_test(ems_text__of_no_bug_check_is_none),
		cmocka_unit_test(ems_block__with_no_code_in_it_is_a_bug_check_without_one),
		cmocka_unit_test(ems_driver__is_a_files_name),
		cmocka_unit_test(ems_line__that_is_too_long_hides_nothing_behind_it),
		cmocka_unit_test(ems_port__tells_who_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
