/* SPDX-License-Identifier: Apache-2.0 */
/* test_crash.c - a guest's crash: its words become one thing with a name, and what to look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runner/debug/crash.h"
#include "runner/sac/sac.h"

static const struct sill_crash d1 = { .code = 0xd1,
				      .parameter = { 0x28, 2, 0, 0xfffff80012345678 },
				      .has_code = true,
				      .has_parameters = true },
			       written = { .code = 0xd1,
					   .has_code = true,
					   .driver = "myfault.sys" },
			       unread = { 0 };
static const struct sill_event
	panic = { .kind = SILL_EVENT_CRASHED, .what = "panic" },
	dump = { .kind = SILL_EVENT_CRASHED, .what = "dump" },
	bug = { .kind = SILL_EVENT_CRASHED, .what = "bug-check", .crash = &d1 },
	serial = { .kind = SILL_EVENT_CRASHED, .what = "serial", .crash = &written },
	garbled = { .kind = SILL_EVENT_CRASHED, .what = "serial", .crash = &unread };

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "(null)";
}

static void crash_words__in_any_order_are_one_crash(void **state)
{
	const struct sill_event *const all[] = { &panic, &bug, &dump, &serial };

	(void)state;
	for (unsigned first = 0; first < 4; first++) {
		struct crash c = { 0 };
		json_t *o;

		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(crash_take(&c, all[(first + i) % 4], 1700000000 + i),
					 i == 0);
		o = crash_json(&c, SILL_GUEST_WINDOWS, "tail", 4);
		assert_string_equal(text_of(o, "when"), "2023-11-14T22:13:20Z");
		assert_string_equal(text_of(o, "code"), "0xd1");
		assert_string_equal(text_of(o, "name"), "DRIVER_IRQL_NOT_LESS_OR_EQUAL");
		assert_int_equal(json_array_size(json_object_get(o, "by")), 4);
		assert_string_equal(text_of(o, "driver"), "myfault.sys");
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(o, "parameters"), 3)),
			"0xfffff80012345678");
		assert_string_equal(text_of(o, "see"),
				    SAC_STOP_SEE "0xd1--driver-irql-not-less-or-equal");
		assert_string_equal(text_of(o, "tail"), "tail");
		json_decref(o);
	}
}

/* What a guest says again and again costs its host no file each time. */
static void crash_hear__does_nothing_for_what_was_said(void **state)
{
	const struct sill_event *const all[] = { &panic, &garbled, &serial, &bug, &dump };
	struct crash_ear ear = { 0 }; /* without a VM: nobody may be asked of it */

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_false(crash_knows(&ear.crash, all[i]));
		(void)crash_take(&ear.crash, all[i], 1700000000);
		assert_true(crash_knows(&ear.crash, all[i]));
	}
	for (unsigned i = 0; i < 5; i++)
		assert_false(crash_hear(&ear, all[i]));
	assert_true(crash_hear(&ear, &(struct sill_event){ .kind = SILL_EVENT_RESET }));
	assert_false(crash_knows(&ear.crash, &panic));
}

static void crash_text__names_what_windows_names(void **state)
{
	struct crash c = { 0 };
	char text[CRASH_TEXT];

	(void)state;
	(void)crash_take(&c, &bug, 0);
	crash_text(&c, SILL_GUEST_WINDOWS, text);
	assert_string_equal(text,
			    "bug check 0xd1 DRIVER_IRQL_NOT_LESS_OR_EQUAL (0x28, 0x2, 0x0, "
			    "0xfffff80012345678): a driver: network and storage drivers first");
	crash_text(&c, SILL_GUEST_LINUX, text); /* whose number is no bug check of Windows' */
	assert_string_equal(text, "bug check 0xd1 (0x28, 0x2, 0x0, 0xfffff80012345678)");
	c.said.code = 0x1000000d1; /* what no Windows says */
	crash_text(&c, SILL_GUEST_WINDOWS, text);
	assert_string_equal(text, "bug check 0x1000000d1 (0x28, 0x2, 0x0, 0xfffff80012345678)");
	c = (struct crash){ 0 };
	(void)crash_take(&c, &dump, 0);
	crash_text(&c, SILL_GUEST_WINDOWS, text);
	assert_string_equal(text, "by its own word, and writes a dump");
}

/* A serial port says what it says; the registers, which are exact, stay whatever comes there later. */
static void crash_serial__is_as_much_as_could_be_read(void **state)
{
	struct crash c = { 0 };
	char text[CRASH_TEXT];
	json_t *o;

	(void)state;
	assert_true(crash_take(&c, &garbled, 0));
	crash_text(&c, SILL_GUEST_WINDOWS, text);
	assert_string_equal(text, "bug check");
	assert_false(crash_take(&c, &serial, 0));
	crash_text(&c, SILL_GUEST_WINDOWS, text);
	assert_string_equal(text, "bug check 0xd1 DRIVER_IRQL_NOT_LESS_OR_EQUAL, by myfault.sys: a "
				  "driver: network and storage drivers first");
	o = crash_json(&c, SILL_GUEST_WINDOWS, NULL, 0);
	assert_string_equal(text_of(o, "code"), "0xd1");
	assert_string_equal(text_of(o, "driver"), "myfault.sys");
	assert_true(json_is_null(json_object_get(o, "parameters")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "by"), 0)),
			    "serial");
	json_decref(o);
	assert_false(crash_take(&c, &bug, 0));
	assert_false(crash_take(&c, &garbled, 0));
	crash_text(&c, SILL_GUEST_WINDOWS, text);
	assert_string_equal(text, "bug check 0xd1 DRIVER_IRQL_NOT_LESS_OR_EQUAL (0x28, 0x2, 0x0, "
				  "0xfffff80012345678), by myfault.sys: a driver: network and "
				  "storage drivers first");
}

/* The tail is the guest's: any bytes, of which the last ones are kept. */
static void crash_tail__of_any_bytes_is_text(void **state)
{
	static char tail[CRASH_TAIL + 100];
	struct crash c = { 0 };
	json_t *o;

	(void)state;
	for (size_t i = 0; i < sizeof(tail); i++)
		tail[i] = (char)(i * 7);
	(void)crash_take(&c, &panic, 0);
	o = crash_json(&c, SILL_GUEST_WINDOWS, tail, sizeof(tail));
	assert_non_null(o);
	assert_true(strlen(text_of(o, "tail")) > CRASH_TAIL / 2);
	assert_true(json_is_null(json_object_get(o, "code")));
	assert_true(json_is_null(json_object_get(o, "parameters")));
	json_decref(o);
	o = crash_json(&c, SILL_GUEST_WINDOWS, NULL, 0);
	assert_string_equal(text_of(o, "tail"), "");
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crash_words__in_any_order_are_one_crash),
		cmocka_unit_test(crash_hear__does_nothing_for_what_was_said),
		cmocka_unit_test(crash_text__names_what_windows_names),
		cmocka_unit_test(crash_serial__is_as_much_as_could_be_read),
		cmocka_unit_test(crash_tail__of_any_bytes_is_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
