/* SPDX-License-Identifier: Apache-2.0 */
/* test_windbg.c - what to type in WinDbg and in the guest, for each kind of end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runner/debug/windbg.h"

static char listens[64], connects[64];

static struct sill_debug_config at(enum sill_kd kd, const char *listen, const char *connect)
{
	(void)snprintf(listens, sizeof(listens), "%s", listen != NULL ? listen : "");
	(void)snprintf(connects, sizeof(connects), "%s", connect != NULL ? connect : "");
	return (struct sill_debug_config){ .kd = kd,
					   .listen = listen != NULL ? listens : NULL,
					   .connect = connect != NULL ? connects : NULL };
}

static void windbg_listen__connects_to_an_address_that_leads_there(void **state)
{
	static const struct {
		const char *listen, *windbg, *vm;
	} cases[] = {
		{ "127.0.0.1:4445", "windbg -k com:ipport=4445,port=127.0.0.1",
		  "serial: {mode: tcp, connect: '127.0.0.1:4445'}" },
		{ "4445", "windbg -k com:ipport=4445,port=127.0.0.1",
		  "serial: {mode: tcp, connect: '127.0.0.1:4445'}" },
		{ "192.0.2.7:50", "windbg -k com:ipport=50,port=192.0.2.7",
		  "serial: {mode: tcp, connect: '192.0.2.7:50'}" },
		/* All of the host's, and IPv6, which WinDbg does not take: people say which. */
		{ "0.0.0.0:4445", "windbg -k com:ipport=4445,port=HOST",
		  "serial: {mode: tcp, connect: 'HOST:4445'}" },
		{ "[::1]:65535", "windbg -k com:ipport=65535,port=HOST",
		  "serial: {mode: tcp, connect: 'HOST:65535'}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct sill_debug_config d = at(SILL_KD_SERIAL2, cases[i].listen, NULL);
		struct windbg w;

		assert_true(windbg_make(&d, &w));
		assert_string_equal(w.windbg, cases[i].windbg);
		assert_string_equal(w.vm_port, cases[i].vm);
		assert_string_equal(
			w.vm_windbg,
			"set _NT_DEBUG_PORT=com1&set _NT_DEBUG_BAUD_RATE=115200&windbg -v -d -k");
	}
}

static void windbg_connect__is_the_debugger_vm_that_listens(void **state)
{
	static const struct {
		const char *connect, *vm;
	} cases[] = {
		{ "192.0.2.1:4445", "serial: {mode: tcp, listen: '192.0.2.1:4445'}" },
		{ "debugger.example:4445", "serial: {mode: tcp, listen: '0.0.0.0:4445'}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct sill_debug_config d = at(SILL_KD_SERIAL2, NULL, cases[i].connect);
		struct windbg w;

		assert_true(windbg_make(&d, &w));
		assert_string_equal(w.windbg, "");
		assert_string_equal(w.vm_port, cases[i].vm);
	}
}

static void windbg_guest__has_the_port_and_ems_off_where_it_was(void **state)
{
	struct sill_debug_config d = at(SILL_KD_SERIAL2, "4445", NULL);
	struct windbg w;

	(void)state;
	assert_true(windbg_make(&d, &w));
	assert_string_equal(w.guest[0], "bcdedit /dbgsettings serial debugport:2 baudrate:115200");
	assert_string_equal(w.guest[1], "bcdedit /debug on");
	assert_null(w.guest[2]);
	d.kd = SILL_KD_SERIAL;
	assert_true(windbg_make(&d, &w));
	assert_string_equal(w.guest[0], "bcdedit /ems off");
	assert_string_equal(w.guest[1], "bcdedit /bootems off");
	assert_string_equal(w.guest[2], "bcdedit /dbgsettings serial debugport:1 baudrate:115200");
	d.kd = SILL_KD_OFF;
	assert_false(windbg_make(&d, &w));
	assert_null(windbg_json(&d));
}

static void windbg_json__says_all_of_it(void **state)
{
	const struct sill_debug_config d = at(SILL_KD_SERIAL2, "4445", NULL);
	json_t *o = windbg_json(&d);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(o, "port")), "serial2");
	assert_string_equal(json_string_value(json_object_get(o, "listen")), "4445");
	assert_true(json_is_null(json_object_get(o, "connect")));
	assert_string_equal(json_string_value(json_object_get(o, "windbg")),
			    "windbg -k com:ipport=4445,port=127.0.0.1");
	assert_int_equal(json_array_size(json_object_get(o, "bcdedit")), 2);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windbg_listen__connects_to_an_address_that_leads_there),
		cmocka_unit_test(windbg_connect__is_the_debugger_vm_that_listens),
		cmocka_unit_test(windbg_guest__has_the_port_and_ems_off_where_it_was),
		cmocka_unit_test(windbg_json__says_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
