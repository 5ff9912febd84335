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

#include "runner/debug/kdnet.h"
#include "runner/debug/windbg.h"

static char listens[64], connects[64];

static struct sill_config at(enum sill_kd kd, const char *listen, const char *connect)
{
	(void)snprintf(listens, sizeof(listens), "%s", listen != NULL ? listen : "");
	(void)snprintf(connects, sizeof(connects), "%s", connect != NULL ? connect : "");
	return (struct sill_config){ .debug = { .kd = kd,
						.listen = listen != NULL ? listens : NULL,
						.connect = connect != NULL ? connects : NULL } };
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
		const struct sill_config d = at(SILL_KD_SERIAL2, cases[i].listen, NULL);
		struct windbg w;

		assert_true(windbg_make(&d, 0, &w));
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
		const struct sill_config d = at(SILL_KD_SERIAL2, NULL, cases[i].connect);
		struct windbg w;

		assert_true(windbg_make(&d, 0, &w));
		assert_string_equal(w.windbg, "");
		assert_string_equal(w.vm_port, cases[i].vm);
	}
}

static void windbg_guest__has_the_port_and_ems_off_where_it_was(void **state)
{
	struct sill_config d = at(SILL_KD_SERIAL2, "4445", NULL);
	struct windbg w;

	(void)state;
	assert_true(windbg_make(&d, 0, &w));
	assert_string_equal(w.guest[0], "bcdedit /dbgsettings serial debugport:2 baudrate:115200");
	assert_string_equal(w.guest[1], "bcdedit /debug on");
	assert_string_equal(w.guest[2], "");
	d.debug.kd = SILL_KD_SERIAL;
	assert_true(windbg_make(&d, 0, &w));
	assert_string_equal(w.guest[0], "bcdedit /ems off");
	assert_string_equal(w.guest[1], "bcdedit /bootems off");
	assert_string_equal(w.guest[2], "bcdedit /dbgsettings serial debugport:1 baudrate:115200");
	d.debug.kd = SILL_KD_OFF;
	assert_false(windbg_make(&d, 0, &w));
	assert_null(windbg_json(&d, 0));
}

static void windbg_json__says_all_of_it(void **state)
{
	const struct sill_config d = at(SILL_KD_SERIAL2, "4445", NULL);
	json_t *o = windbg_json(&d, 0);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(o, "port")), "serial2");
	assert_string_equal(json_string_value(json_object_get(o, "listen")), "4445");
	assert_true(json_is_null(json_object_get(o, "connect")));
	assert_string_equal(json_string_value(json_object_get(o, "windbg")),
			    "windbg -k com:ipport=4445,port=127.0.0.1");
	assert_int_equal(json_array_size(json_object_get(o, "bcdedit")), 2);
	json_decref(o);
}

/* The card is the second of two; WinDbg waits, and bcdedit has the card's place. */
static void windbg_net__has_key_port_and_the_place_of_the_card(void **state)
{
	char first[] = "net0", second[] = "lan", key[] = "1.2.3.zz";
	struct sill_net_config net[] = { { .id = first }, { .id = second } };
	struct sill_config d = at(SILL_KD_NET, NULL, "192.0.2.7:50001");
	struct windbg w;
	json_t *o;

	(void)state;
	d.net = net;
	d.net_count = 2;
	d.debug.key = key;
	d.debug.card = second;
	assert_true(windbg_make(&d, 17, &w));
	assert_string_equal(w.windbg, "windbg -k net:port=50001,key=1.2.3.zz");
	assert_string_equal(w.vm_port, "");
	assert_string_equal(w.guest[0],
			    "bcdedit /dbgsettings net hostip:192.0.2.7 port:50001 key:1.2.3.zz");
	assert_string_equal(w.guest[1], "bcdedit /set \"{dbgsettings}\" busparams 0.17.0");
	assert_string_equal(w.guest[2], "bcdedit /debug on");
	assert_string_equal(w.guest[3], "");
	assert_true(windbg_make(&d, 0, &w));
	assert_string_equal(w.guest[1], "bcdedit /debug on");
	o = windbg_seen_json(&d, 17, &(struct sill_kd_seen){ 0 });
	assert_string_equal(json_string_value(json_object_get(o, "port")), "lan");
	assert_null(json_object_get(o, "state"));
	json_decref(o);
}

static void kdnet_key__is_four_numbers_of_64_bits(void **state)
{
	static const char *const right[] = {
		"1.2.3.4", "0.0.0.0", "3w5e11264sgsf.3w5e11264sgsf.3w5e11264sgsf.3w5e11264sgsf"
	};
	static const char *const wrong[] = { "1.2.3",
					     "1.2.3.4.5",
					     "1.2.3.",
					     ".1.2.3",
					     "1..2.3",
					     "A.2.3.4",
					     "1.2.3.-",
					     "3w5e11264sgsg.2.3.4",
					     "1.2.3.10000000000000",
					     "" };
	struct sill_err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		assert_int_equal(kdnet_check_key(right[i], &e), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(kdnet_check_key(wrong[i], &e), -1);
	assert_true(e.hint[0] != '\0');
}

static void kdnet_end__is_a_machine_that_a_guest_can_call(void **state)
{
	static const char *const wrong[] = {
		"50000",         "wks7:50000",      "[fd00::1]:50000", "127.0.0.1:50000",
		"0.0.0.0:50000", "224.0.0.1:50000", "10.0.0.1:49151",  "10.0.0.1:65536",
		"10.0.0.1",      "localhost:50000", "10.0.0.256:50000"
	};
	struct sill_err e = { 0 };
	struct kdnet_end at;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(kdnet_read_end(wrong[i], &at, &e), -1);
	assert_int_equal(kdnet_read_end("10.1.2.3:49152", &at, &e), 0);
	assert_int_equal(at.address, 0x0a010203);
	assert_int_equal(at.port, 49152);
	assert_int_equal(kdnet_read_end("10.1.2.3:65535", &at, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windbg_listen__connects_to_an_address_that_leads_there),
		cmocka_unit_test(windbg_connect__is_the_debugger_vm_that_listens),
		cmocka_unit_test(windbg_guest__has_the_port_and_ems_off_where_it_was),
		cmocka_unit_test(windbg_json__says_all_of_it),
		cmocka_unit_test(windbg_net__has_key_port_and_the_place_of_the_card),
		cmocka_unit_test(kdnet_key__is_four_numbers_of_64_bits),
		cmocka_unit_test(kdnet_end__is_a_machine_that_a_guest_can_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
