/* SPDX-License-Identifier: Apache-2.0 */
/* test_gdb.c - GDB's remote serial protocol: packets as bytes, and what is answered to them by a VM of this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "gdb_kit.h"
#include "runner/gdb/gdb.h"

/* --- packets ------------------------------------------------------------- */

static enum gdb_byte feed(struct gdb_packet *p, const char *text)
{
	enum gdb_byte last = GDB_MORE;

	for (; *text != '\0'; text++) {
		assert_int_equal(last, GDB_MORE);
		last = gdb_packet_take(p, (uint8_t)*text);
	}
	return last;
}

static void packet__is_taken_with_its_sum_alone(void **state)
{
	static struct gdb_packet p;

	(void)state;
	p = (struct gdb_packet){ 0 };
	assert_int_equal(feed(&p, "+++noise$g#67"), GDB_PACKET_IN);
	assert_string_equal(p.data, "g");
	assert_int_equal(feed(&p, "$g#68"), GDB_BROKEN);
	assert_int_equal(feed(&p, "$g#x"), GDB_BROKEN);
	assert_int_equal(feed(&p, "$g#6x"), GDB_BROKEN);
	assert_int_equal(feed(&p, "$gg$g#67"), GDB_PACKET_IN); /* one that was cut off */
	assert_string_equal(p.data, "g");
	assert_int_equal(feed(&p, "$#00"), GDB_PACKET_IN);
	assert_int_equal(p.n, 0);
	assert_int_equal(feed(&p, "-"), GDB_AGAIN);
	assert_int_equal(feed(&p, "\x03"), GDB_STOP);
	assert_int_equal(feed(&p, "$}\x03#80"), GDB_PACKET_IN); /* an escaped '#' */
	assert_string_equal(p.data, "#");
}

static void packet__that_is_too_long_is_not_one(void **state)
{
	static struct gdb_packet p;

	(void)state;
	for (unsigned extra = 0; extra < 2; extra++) {
		uint8_t sum = 0;
		char end[4];

		p = (struct gdb_packet){ 0 };
		(void)gdb_packet_take(&p, '$');
		for (unsigned i = 0; i < GDB_PACKET + extra; i++) {
			assert_int_equal(gdb_packet_take(&p, 'a'), GDB_MORE);
			sum = (uint8_t)(sum + 'a');
		}
		(void)snprintf(end, sizeof(end), "#%02x", sum);
		assert_int_equal(feed(&p, end), extra == 0 ? GDB_PACKET_IN : GDB_BROKEN);
	}
	assert_int_equal(feed(&p, "$g#67"), GDB_PACKET_IN);
}

static void packet__comes_back_as_it_was_made(void **state)
{
	static char data[GDB_PACKET], wire[GDB_WIRE];
	static struct gdb_packet p;
	enum gdb_byte last = GDB_MORE;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < GDB_PACKET; i++)
		data[i] = (char)(i * 31);
	n = gdb_packet_make(data, sizeof(data), wire);
	p = (struct gdb_packet){ 0 };
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(last, GDB_MORE);
		last = gdb_packet_take(&p, (uint8_t)wire[i]);
	}
	assert_int_equal(last, GDB_PACKET_IN);
	assert_int_equal(p.n, GDB_PACKET);
	assert_memory_equal(p.data, data, sizeof(data));
	memset(data, '#', sizeof(data)); /* as long as it can be */
	assert_int_equal(gdb_packet_make(data, sizeof(data), wire), 2 * GDB_PACKET + 4);
	n = gdb_packet_make("OK", 2, wire);
	assert_int_equal(n, 6);
	assert_memory_equal(wire, "$OK#9a", 6);
}

/* --- the talk -------------------------------------------------------------- */

static struct gdb_talk talk;

/* What is answered to @packet. */
static const char *ask_then(const char *packet, enum gdb_then expected)
{
	static char in[GDB_PACKET + 1], out[GDB_PACKET + 1];

	(void)snprintf(in, sizeof(in), "%s", packet);
	talk.reply_n = 0;
	assert_int_equal(gdb_talk_packet(&talk, in, strlen(in)), expected);
	memcpy(out, talk.reply, talk.reply_n);
	out[talk.reply_n] = '\0';
	return out;
}

#define ASK(packet, expected) assert_string_equal(ask_then(packet, GDB_ANSWERS), expected)

static int set_up(void **state)
{
	const struct sill_debug_stop stop = { .why = SILL_DEBUG_ASKED };

	(void)state;
	memset(&kit, 0, sizeof(kit));
	kit.vcpus = 3;
	gdb_talk_begin(&talk, NULL, &stop);
	return 0;
}

static void session__begins_as_gdb_has_it(void **state)
{
	(void)state;
	ASK("qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+;xmlRegisters=i386",
	    "PacketSize=4000;QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+;"
	    "vContSupported+");
	ASK("vMustReplyEmpty", "");
	assert_false(talk.no_ack);
	ASK("QStartNoAckMode", "OK");
	assert_true(talk.no_ack);
	ASK("QProgramSignals:0", "");
	ASK("Hg0", "OK");
	ASK("qTStatus", "");
	ASK("?", "T02thread:1;");
	ASK("qfThreadInfo", "m1,2,3");
	ASK("qsThreadInfo", "l");
	ASK("qAttached", "1");
	ASK("Hc-1", "OK");
	ASK("qC", "QC1");
	ASK("qThreadExtraInfo,2", "764350552031"); /* vCPU 1 */
	ASK("vCont?", "vCont;c;C;s;S");
	ASK("T3", "OK");
	ASK("T4", "E01");
	ASK("Hg4", "E01");
	ASK("Tzz", "E01");
	ASK("!", "");
	ASK("", "");
}

static void description__comes_in_pieces_and_names_all_registers(void **state)
{
	char whole[GDB_XML] = "", packet[64];
	size_t n = 0;

	(void)state;
	do {
		const char *part;

		(void)snprintf(packet, sizeof(packet), "qXfer:features:read:target.xml:%zx,100", n);
		part = ask_then(packet, GDB_ANSWERS);
		assert_true(part[0] == 'm' || part[0] == 'l');
		assert_true(n + strlen(part) < sizeof(whole));
		memcpy(whole + n, part + 1, strlen(part));
		n += strlen(part) - 1;
	} while (talk.reply[0] == 'm');
	assert_int_equal(n, talk.xml_n);
	assert_non_null(strstr(whole, "<architecture>i386:x86-64</architecture>"));
	assert_non_null(strstr(whole, "<feature name=\"org.gnu.gdb.i386.core\"><reg name=\"rax\""));
	assert_non_null(strstr(whole, "<reg name=\"rip\" bitsize=\"64\" type=\"code_ptr\"/>"));
	assert_non_null(strstr(whole, "<union id=\"vec128\">"));
	assert_non_null(strstr(whole, "<reg name=\"cr3\" bitsize=\"64\" type=\"int64\"/>"));
	assert_string_equal(whole + n - strlen("</feature></target>"), "</feature></target>");
	ASK("qXfer:features:read:target.xml:100000,100", "E01");
	ASK("qXfer:features:read:other.xml:0,100", "E00");
	assert_int_equal(talk.block_size, KIT_BLOCK);
}

static void registers__are_the_chosen_vcpus(void **state)
{
	const char *all;

	(void)state;
	kit.block[1][0] = 0x12;
	kit.block[1][7] = 0x34;
	ASK("Hg2", "OK");
	ASK("p0", "1200000000000034");
	all = ask_then("g", GDB_ANSWERS);
	assert_int_equal(strlen(all), 2 * KIT_BLOCK);
	assert_memory_equal(all, "1200000000000034", 16);
	ASK("P1=0807060504030201", "OK"); /* rbx */
	assert_int_equal(kit.block[1][8], 8);
	assert_int_equal(kit.block[1][15], 1);
	ASK("P1=08070605040302", "E01");
	ASK("P1=080706050403020100", "E01");
	ASK("P1=08070605040302xx", "E01");
	ASK("P12=00000000", "E01"); /* cs: constant */
	ASK("pffff", "E01");
	ASK("p", "E01");
	ASK("G00", "E01");
	kit.runs = true;
	ASK("g", "E01");
	ASK("p0", "E01");
}

static void memory__is_the_vcpus_or_the_machines(void **state)
{
	(void)state;
	memcpy(kit.memory, "\x01\x02\x03\xab", 4);
	ASK("m0,4", "010203ab");
	ASK("Hg3", "OK");
	ASK("mfe,10", "0000"); /* as far as there is memory */
	assert_int_equal(kit.at.vcpu, 2);
	ASK("m100,1", "E14");
	ASK("m0", "E01");
	ASK("m0,4x", "E01");
	ASK("m12345678123456789,1", "E01"); /* 17 digits */
	ASK("M4,2:beef", "OK");
	assert_memory_equal(kit.memory + 4, "\xbe\xef", 2);
	ASK("M4,2:be", "E01");
	ASK("M4,2:beefbe", "E01");
	ASK("M4,ffffffff:be", "E01");
	ASK("Mff,2:beef", "E14");
	ASK("X8,3:abc", "OK");
	assert_memory_equal(kit.memory + 8, "abc", 3);
	ASK("X8,0:", "OK");
	ASK("X8,3:ab", "E01");
	ASK("qqemu.PhyMemMode", "0");
	ASK("Qqemu.PhyMemMode:1", "OK");
	ASK("qqemu.PhyMemMode", "1");
	ASK("m0,1", "01");
	assert_int_equal(kit.at.vcpu, SILL_DEBUG_PHYSICAL);
	ASK("Qqemu.PhyMemMode:2", "E01");
	ASK("qRcmd,70687973206f6666", "61646472657373657320617265207468652076435055277"
				      "30a"); /* phys off */
	ASK("m0,1", "01");
	assert_int_equal(kit.at.vcpu, 2);
}

static void points__are_set_and_cleared_by_kind(void **state)
{
	(void)state;
	ASK("Z0,1000,1", "OK");
	assert_int_equal(kit.kind, SILL_DEBUG_SOFT);
	assert_int_equal(kit.at.address, 0x1000);
	ASK("Z1,2000,1;X1,0", "OK"); /* with a condition, which is not ours */
	assert_int_equal(kit.kind, SILL_DEBUG_HARD);
	ASK("Z2,3000,8", "OK");
	assert_int_equal(kit.kind, SILL_DEBUG_WRITE);
	assert_int_equal(kit.size, 8);
	ASK("Z3,3000,8", ""); /* gdb does it by Z4 */
	ASK("Z4,3000,8", "OK");
	assert_int_equal(kit.kind, SILL_DEBUG_ACCESS);
	assert_int_equal(kit.points, 4);
	ASK("z0,1000,1", "OK");
	ASK("z4,3000,8", "OK");
	assert_int_equal(kit.points, 2);
	ASK("Z5,0,1", "");
	ASK("Z0,1000", "E01");
	/* The processor stops at linear addresses, whatever memory is looked at. */
	ASK("Hg2", "OK");
	ASK("Qqemu.PhyMemMode:1", "OK");
	ASK("Z0,1000,1", "OK");
	assert_int_equal(kit.at.vcpu, 1);
	kit.full = true;
	ASK("Z1,5000,1", "E14");
}

static void target__is_what_gdb_takes(void **state)
{
	static const struct {
		const char *where, *target;
	} rows[] = {
		{ "1234", "127.0.0.1:1234" }, /* gdb takes a number alone for a serial line */
		{ ":1234", ":1234" },           { "192.0.2.1:1234", "192.0.2.1:1234" },
		{ "[::1]:1234", "[::1]:1234" }, { "0.0.0.0:1234", "HOST:1234" },
		{ "[::]:1234", "HOST:1234" },   { "vm.gdb", "vm.gdb" },
		{ "/run/vm:1", "/run/vm:1" },   { "./1234", "./1234" },
	};
	char got[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gdb_target(rows[i].where, got, sizeof(got));
		assert_string_equal(got, rows[i].target);
	}
	gdb_target("1234", got, 1);
	assert_string_equal(got, "");
}

static void check_acts(enum sill_debug_act a, enum sill_debug_act b, enum sill_debug_act c)
{
	assert_int_equal(kit.act[0], a);
	assert_int_equal(kit.act[1], b);
	assert_int_equal(kit.act[2], c);
	kit.runs = false;
}

static void going_on__is_each_vcpus(void **state)
{
	const enum sill_debug_act STAY = SILL_DEBUG_STAY, GO = SILL_DEBUG_GO,
				  STEP = SILL_DEBUG_GO_STEP;

	(void)state;
	(void)ask_then("vCont;c", GDB_RUNS);
	check_acts(GO, GO, GO);
	(void)ask_then("vCont;s:2;c", GDB_RUNS);
	check_acts(GO, STEP, GO);
	(void)ask_then("vCont;s:3", GDB_RUNS);
	check_acts(STAY, STAY, STEP);
	(void)ask_then("vCont;S05:1;C02:2", GDB_RUNS);
	check_acts(STEP, GO, STAY);
	(void)ask_then("vCont;c:-1", GDB_RUNS);
	check_acts(GO, GO, GO);
	(void)ask_then("c", GDB_RUNS);
	check_acts(GO, GO, GO);
	ASK("Hg2", "OK");
	(void)ask_then("s", GDB_RUNS);
	check_acts(GO, STEP, GO);
	ASK("Hc3", "OK");
	(void)ask_then("S05", GDB_RUNS);
	check_acts(STAY, STAY, STEP);
	(void)ask_then("c", GDB_RUNS);
	check_acts(STAY, STAY, GO);
	ASK("vCont", "E01");
	ASK("vCont;", "E01");
	ASK("vCont;x", "E01");
	ASK("vCont;c:zz", "E01");
	ASK("vCont;C", "E01");
	ASK("vCont;c:4", "E01"); /* nobody goes */
	ASK("c1000", "E01");
}

static void stops__say_why(void **state)
{
	static const struct {
		struct sill_debug_stop stop;
		const char *said;
	} cases[] = {
		{ { .why = SILL_DEBUG_ASKED }, "T02thread:1;" },
		{ { .why = SILL_DEBUG_STEP, .vcpu = 2 }, "T05thread:3;" },
		{ { SILL_DEBUG_POINT, SILL_DEBUG_SOFT, 1, 0x1000 }, "T05swbreak:;thread:2;" },
		{ { SILL_DEBUG_POINT, SILL_DEBUG_HARD, 1, 0x1000 }, "T05hwbreak:;thread:2;" },
		{ { SILL_DEBUG_POINT, SILL_DEBUG_WRITE, 0, 0xffffffff81000000 },
		  "T05watch:ffffffff81000000;thread:1;" },
		{ { SILL_DEBUG_POINT, SILL_DEBUG_ACCESS, 0, 8 }, "T05awatch:8;thread:1;" },
	};

	(void)state;
	(void)ask_then("qSupported:swbreak+;hwbreak+", GDB_ANSWERS);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char said[64] = "";

		gdb_talk_stopped(&talk, &cases[i].stop);
		memcpy(said, talk.reply, talk.reply_n);
		assert_string_equal(said, cases[i].said);
		ASK("?", cases[i].said);
		assert_int_equal(talk.looks_at, cases[i].stop.vcpu);
	}
	/* One that does not know the words. */
	(void)ask_then("qSupported", GDB_ANSWERS);
	gdb_talk_stopped(&talk, &cases[2].stop);
	ASK("?", "T05thread:2;");
	gdb_talk_ended(&talk);
	assert_memory_equal(talk.reply, "W00", talk.reply_n);
}

static void leaving__is_answered(void **state)
{
	(void)state;
	assert_string_equal(ask_then("D", GDB_LEAVES), "OK");
	assert_string_equal(ask_then("D;1", GDB_LEAVES), "OK");
	assert_string_equal(ask_then("k", GDB_KILLS), "OK");
	assert_string_equal(ask_then("vKill;1", GDB_KILLS), "OK");
	(void)ask_then("qRcmd,7265736574", GDB_RESETS);
	assert_int_equal(kit.resets, 1);
	assert_non_null(strstr(ask_then("qRcmd,68656c70", GDB_ANSWERS), "70687973")); /* phys */
	ASK("qRcmd,7", "E01");
	ASK("qRcmd,zz", "E01");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packet__is_taken_with_its_sum_alone),
		cmocka_unit_test(packet__that_is_too_long_is_not_one),
		cmocka_unit_test(packet__comes_back_as_it_was_made),
		cmocka_unit_test(target__is_what_gdb_takes),
		cmocka_unit_test_setup(session__begins_as_gdb_has_it, set_up),
		cmocka_unit_test_setup(description__comes_in_pieces_and_names_all_registers,
				       set_up),
		cmocka_unit_test_setup(registers__are_the_chosen_vcpus, set_up),
		cmocka_unit_test_setup(memory__is_the_vcpus_or_the_machines, set_up),
		cmocka_unit_test_setup(points__are_set_and_cleared_by_kind, set_up),
		cmocka_unit_test_setup(going_on__is_each_vcpus, set_up),
		cmocka_unit_test_setup(stops__say_why, set_up),
		cmocka_unit_test_setup(leaving__is_answered, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
