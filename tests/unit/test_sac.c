/* SPDX-License-Identifier: Apache-2.0 */
/* test_sac.c - SAC is heard and spoken to: a machine of ours that talks like it, with all its habits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runner/sac/ip.h"
#include "runner/sac/sac.h"

enum { OUT = 4096, RUNS = 1000 };

/* A Windows with SAC, in a time of its own. */
struct fake {
	uint64_t now, busy_until, random;
	char typed[256], out[OUT];
	size_t typed_n, out_at, out_n;
	bool in_channel, crashed, resets; /* resets: in the middle of an answer */
	bool eats_erasing;
	unsigned eats; /* one of so many characters is lost; 0: none */
	char ran[256]; /* the last line it was given */
};

static uint32_t dice(struct fake *f, uint32_t sides)
{
	f->random = f->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(f->random >> 33) % sides;
}

static void out(struct fake *f, const char *text)
{
	for (; *text != '\0' && f->out_n < OUT - 1; text++) {
		f->out[f->out_n++] = *text;
		if (dice(f, 20) == 0 && f->out_n < OUT - 1)
			f->out[f->out_n++] = '\0'; /* it sends NULs now and then */
	}
}

static void begin_anew(struct fake *f)
{
	f->in_channel = f->crashed = false;
	f->typed_n = 0;
	out(f,
	    "\x1b[2J\x1b[01;01HBdsDxe: loading Boot0001 \"Windows Boot Manager\"\r\n"
	    "<?xml version=\"1.0\"?>\r\n<machine-info>\r\n<name>WIN</name>\r\n</machine-info>\r\n"
	    "Computer is booting, SAC started and initialized.\r\n\r\n"
	    "Use the \"ch -?\" command for information about using channels.\r\n"
	    "Use the \"?\" command for general help.\r\n\r\nSAC>");
}

static void run_line(struct fake *f)
{
	f->typed[f->typed_n] = '\0';
	memcpy(f->ran, f->typed, f->typed_n + 1);
	f->typed_n = 0;
	out(f, "\r\n");
	if (f->resets && f->ran[0] != '\0') {
		out(f, "Net: 10, Ip=192.168");
		begin_anew(f);
		return;
	}
	if (strcmp(f->ran, "i") == 0)
		out(f,
		    "Net: 10, Ip=192.168.249.2  Subnet=255.255.255.0  Gateway=192.168.249.1\r\n");
	else if (strcmp(f->ran, "shutdown") == 0)
		out(f, "The SAC will become unavailable soon.  The computer is shutting down.\r\n");
	else if (strcmp(f->ran, "crashdump") == 0) {
		f->crashed = true;
		out(f, "<BP>\r\n<INSTANCE CLASSNAME=\"BLUESCREEN\">\r\n"
		       "<PROPERTY NAME=\"STOPCODE\" "
		       "TYPE=\"string\"><VALUE>\"0xE2\"</VALUE></PROPERTY>\r\n</BP>\r\n");
	}
	out(f, f->crashed ? "!SAC>" : "SAC>");
}

static void hear_in_channel(struct fake *f, const uint8_t *p, size_t n)
{
	if (n >= 3 && memcmp(p, "\x1b\t0", 3) == 0) {
		f->in_channel = false;
		out(f,
		    "\x1b[2J\r\n<channel-switch>\r\n<name>SAC</name>\r\n</channel-switch>\r\nSAC>");
	} else {
		out(f, "\r\nPassword: ");
	}
}

static void hear(struct fake *f, const uint8_t *p, size_t n)
{
	if (f->in_channel) {
		hear_in_channel(f, p, n);
		return;
	}
	if (n >= 3 && p[0] == 0x1b) {
		out(f, "\r\nSAC>");
		f->typed_n = 0;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		char echo[2] = { (char)p[i] };

		if (p[i] == '\r')
			run_line(f);
		else if (f->eats != 0 && dice(f, f->eats) == 0)
			continue;
		else if (f->eats_erasing && p[i] == '\b')
			continue;
		else if (p[i] == '\b') {
			if (f->typed_n > 0 && f->typed_n--)
				out(f, "\b \b");
		} else if (f->typed_n < sizeof(f->typed) - 1) {
			f->typed[f->typed_n++] = (char)p[i];
			out(f, echo);
		}
	}
}

/* Time goes by up to @until, and what the machine has to say comes in pieces. */
static void pass(struct fake *f, struct sac *s, uint64_t until)
{
	if (f->out_at == f->out_n) {
		f->out_at = f->out_n = 0;
		f->now = until;
		return;
	}
	if (f->busy_until <= f->now)
		f->busy_until = f->now + dice(f, 900);
	if (f->busy_until > until) {
		f->now = until;
		return;
	}
	f->now = f->busy_until;
	{
		const size_t left = f->out_n - f->out_at, n = 1 + dice(f, 40);
		const size_t take = n < left ? n : left;

		sac_take(s, (const uint8_t *)f->out + f->out_at, take);
		f->out_at += take;
	}
}

static enum sac_next talk(struct fake *f, struct sac *s, struct sac_talk *t)
{
	for (;;) {
		uint8_t send[SAC_SEND];
		uint64_t wake = 0;
		size_t n;
		const enum sac_next next = sac_step(t, f->now, send, &n, &wake);

		if (next != SAC_WAIT)
			return next;
		hear(f, send, n);
		pass(f, s, wake);
	}
}

static struct sac *heard(const char *text)
{
	static struct sac s;

	memset(&s, 0, sizeof(s));
	sac_take(&s, (const uint8_t *)text, strlen(text));
	return &s;
}

static void sac_side__is_known_by_its_words(void **state)
{
	(void)state;
	assert_int_equal(heard("")->side, SAC_NOTHING);
	assert_int_equal(heard("BdsDxe: loading Boot0001")->side, SAC_FIRMWARE);
	assert_int_equal(heard("[    0.000000] Linux version 6.1.0")->side, SAC_LINUX);
	assert_int_equal(heard("Computer is booting, SAC started and initialized.\r\n")->side,
			 SAC_WINDOWS);
	assert_int_equal(heard("SAC>cmd\r\nUse any other key to view this channel.")->side,
			 SAC_CHANNEL);
	assert_int_equal(heard("The SAC will become unavailable soon.")->side, SAC_LEAVING);
	assert_true(heard("x\r\nEVENT: The CMD command is now available.\r\nSAC>")->cmd_ready);
	assert_true(sac_at_prompt(heard("\x1b[0m\x1b[2J\r\nS\x1b[1CAC>")));
	assert_false(sac_at_prompt(heard("SAC>shutdown")));
	assert_true(sac_at_prompt(heard("SAC>x\b \b")));
}

static void sac_stop__is_read_and_named(void **state)
{
	const struct sac *s =
		heard("<BP>\r\n<INSTANCE CLASSNAME=\"BLUESCREEN\">\r\n<PROPERTY NAME=\"STOPCODE\""
		      " TYPE=\"string\"><VALUE>\"0xD1\"</VALUE></PROPERTY>\r\n</BP>\r\n!SAC>");

	(void)state;
	assert_int_equal(s->side, SAC_BUGCHECK);
	assert_int_equal(s->stopcode, 0xd1);
	assert_string_equal(sac_stop_find(0xd1)->name, "DRIVER_IRQL_NOT_LESS_OR_EQUAL");
	assert_string_equal(sac_stop_find(0x7b)->name, "INACCESSIBLE_BOOT_DEVICE");
	assert_null(sac_stop_find(0xdead));
}

/* Each word counts once, also at the end of a line that has no room for more. */
static void sac_take__counts_a_word_once(void **state)
{
	static const char loads[] = "BdsDxe: loading";
	char line[SAC_LINE + 100];
	const struct sac *s;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	memcpy(line + SAC_LINE - 1 - strlen(loads), loads, strlen(loads));
	s = heard(line);
	assert_int_equal(s->side, SAC_FIRMWARE);
	assert_int_equal(s->boots, 1);
	assert_int_equal(s->line_n, SAC_LINE - 1);
}

static void sac_talk__is_right_in_every_run(void **state)
{
	unsigned done = 0;

	(void)state;
	for (unsigned i = 0; i < RUNS; i++) {
		static struct fake f;
		struct sac *s = heard("");
		struct sac_talk t = { .sac = s, .command = "i" };

		f = (struct fake){ .random = i, .eats = i % 3 == 0 ? 6 : 0 };
		begin_anew(&f);
		f.in_channel = i % 5 == 1;
		while (f.out_at < f.out_n)
			pass(&f, s, f.now + 1000);
		if (f.in_channel)
			sac_take(s, (const uint8_t *)"\r\nUsername: ", 12);
		if (i % 7 == 2) { /* somebody has left a line there */
			hear(&f, (const uint8_t *)"shutdown", 8);
			while (f.out_at < f.out_n)
				pass(&f, s, f.now + 1000);
		}
		if (talk(&f, s, &t) != SAC_DONE) {
			assert_true(f.eats != 0); /* it may give up, but not answer wrong */
			assert_string_not_equal(f.ran, "shutdown");
			continue;
		}
		done++;
		assert_string_equal(f.ran, "i");
		assert_non_null(strstr(s->text, "Net: 10, Ip=192.168.249.2  Subnet=255.255.255.0  "
						"Gateway=192.168.249.1\n"));
	}
	assert_true(done >= RUNS * 9 / 10);
}

static void sac_talk__a_line_that_stays_is_not_run(void **state)
{
	static struct fake f;
	struct sac *s = heard("SAC>shutdown");
	struct sac_talk t = { .sac = s, .command = "i" };

	(void)state;
	f = (struct fake){ .random = 1, .typed = "shutdown", .typed_n = 8, .eats_erasing = true };
	assert_int_equal(talk(&f, s, &t), SAC_FAILED);
	assert_string_equal(f.ran, "");
}

static void sac_talk__a_reset_in_the_middle_is_no_answer(void **state)
{
	static struct fake f;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		struct sac *s = heard("SAC>");
		struct sac_talk t = { .sac = s, .command = "i" };

		f = (struct fake){ .random = i, .resets = true };
		assert_int_equal(talk(&f, s, &t), SAC_FAILED);
		assert_string_equal(t.why, "the machine has begun anew");
	}
}

static void sac_talk__the_machine_may_go_down_with_it(void **state)
{
	static struct fake f;
	struct sac *s = heard("SAC>");
	struct sac_talk t = { .sac = s, .command = "shutdown", .ends = true };
	struct sac_talk crash = { .sac = s, .command = "crashdump", .ends = true };

	(void)state;
	f = (struct fake){ .random = 1 };
	assert_int_equal(talk(&f, s, &t), SAC_DONE);
	assert_int_equal(s->side, SAC_LEAVING);
	f = (struct fake){ .random = 2 };
	s = heard("SAC>");
	assert_int_equal(talk(&f, s, &crash), SAC_DONE);
	assert_int_equal(s->side, SAC_BUGCHECK);
}

static void sac_talk__that_it_is_up_again_says_that_it_went_down(void **state)
{
	static struct fake f;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		struct sac *s = heard("SAC>");
		struct sac_talk t = { .sac = s, .command = "restart", .ends = true };

		f = (struct fake){ .random = i, .resets = true };
		assert_int_equal(talk(&f, s, &t), SAC_DONE);
	}
}

/* Output without an end, pages without an end, and noise: each is given up, and what is heard stays in bounds. */
static void sac_talk__of_one_who_never_ends_ends(void **state)
{
	static const char *const says[] = {
		"Net: 10, Ip=1.2.3.4\r\n",
		"SAC>x",
		"----Press <Enter> for more----",
		"\x1b[2J\x1b[1;1H",
		"\b \b",
		"\0\0\xff\xfe\x80",
		"SAC>\x1b",
		"<BP>\"0x\"STOPCODE\"",
	};

	(void)state;
	for (unsigned i = 0; i < 3 * sizeof(says) / sizeof(says[0]); i++) {
		const char *text = says[i / 3];
		const size_t n = i / 3 == 5 ? 5 : strlen(text);
		struct sac *s = heard("Computer is booting, SAC started and initialized.\r\nSAC>");
		struct sac_talk t = { .sac = s, .command = "i", .ends = i % 3 == 2 };
		uint64_t now = 0, wake;
		enum sac_next next;

		do {
			uint8_t send[SAC_SEND];
			size_t sent;

			next = sac_step(&t, now, send, &sent, &wake);
			assert_true(sent <= SAC_SEND);
			/* As typed at times, so that it comes to the answer. */
			if (i % 3 > 0 && sent == 1 && send[0] > ' ')
				sac_take(s, send, 1);
			else
				sac_take(s, (const uint8_t *)text, n);
			assert_true(s->text_n < SAC_TEXT && s->line_n < SAC_LINE);
			now += 250;
		} while (next == SAC_WAIT && now < 60000);
		assert_int_not_equal(next, SAC_WAIT);
	}
}

static const char more[] = "----Press <Enter> for more----";

/* Who turns page after page, at @page_ms each, until it fails. The time of that. */
static uint64_t time_of_pages(struct sac_talk *t, uint64_t page_ms)
{
	uint64_t now = 0, wake, due = 0;

	while (now < 24 * 3600000ull) {
		uint8_t send[SAC_SEND];
		size_t n;

		if (sac_step(t, now, send, &n, &wake) != SAC_WAIT)
			break;
		if (n == 1 && send[0] == '\r')
			due = now + page_ms;
		else
			sac_take(t->sac, send, n); /* its echo */
		if (due == 0 && n > 0)
			continue;
		now = due != 0 && due < wake ? due : wake;
		if (now == due) {
			sac_take(t->sac, (const uint8_t *)"\r\nline\r\n", 8);
			sac_take(t->sac, (const uint8_t *)more, strlen(more));
			due = 0;
		}
	}
	return now;
}

/* However late each of them comes. */
static void sac_talk__of_pages_without_an_end_ends(void **state)
{
	struct sac_talk t = { .sac = heard("SAC>"), .command = "i" };

	(void)state;
	assert_in_range(time_of_pages(&t, 15000), 110000, 120000);
	assert_string_equal(t.why, "the answer does not end");
	t = (struct sac_talk){ .sac = heard("SAC>"), .command = "i" };
	assert_in_range(time_of_pages(&t, 1), 110000, 120000);
	assert_string_equal(t.why, "the answer does not end");
	t = (struct sac_talk){ .sac = heard("SAC>"), .command = "i", .deadline_ms = 60000 };
	assert_int_equal(time_of_pages(&t, 15000), 60000);
	assert_string_equal(t.why, "the time for it is over");
}

/* Of whoever has a line that looks so, SAC's own is the only one that is a listing's end. */
static void sac_talk__ends_nobody_elses_listing(void **state)
{
	static const struct {
		const char *heard, *sent;
	} rows[] = {
		{ "SAC>t\r\nx\r\n----Press <Enter> for more----", "\x03\r" },
		{ "!SAC>t\r\nx\r\n----Press <Enter> for more----", "\x03\r" },
		{ "63d02270-8aa4-11d5\r\nUse any other key to view this channel.\r\n"
		  "----Press <Enter> for more----",
		  "\x03\r" },
		{ "63d02271-8aa4-11d5\r\nUse any other key to view this channel.\r\n-- More --",
		  "\x1b\t0" },
		{ "SAC>\r\nUsername: x\r\n-- More --", "\x1b\t0" },
		{ "[    0.000000] Linux version 6.1.0\r\n--More--", "\r" },
		{ "--More--", "\r" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sac_talk t = { .sac = heard(rows[i].heard), .command = "i" };
		uint8_t send[SAC_SEND];
		uint64_t wake;
		size_t n;

		assert_true(sac_at_more(t.sac));
		assert_int_equal(sac_step(&t, 0, send, &n, &wake), SAC_WAIT);
		assert_int_equal(n, strlen(rows[i].sent));
		assert_memory_equal(send, rows[i].sent, n);
	}
}

/* However the line is gone over that ended the page. */
static void sac_take__loses_nothing_of_a_page(void **state)
{
	static const struct {
		const char *end, *comes, *text;
	} rows[] = {
		{ more, "\r                              \r  b\r\n", "a\n  b\n" },
		{ more, "\r                              \r\r\nb\r\n", "a\n\nb\n" },
		{ more, "\r                              \r\n  b\r\n", "a\n\n  b\n" },
		{ "--More--", "\r                              \r b\r\n", "a\n b\n" },
		{ "--More--", "\r        \r\r\nb\r\n", "a\n\nb\n" },
		{ "--More--", "\r          b\r\n", "a\n  b\n" },
		{ "--More--", "\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b  b\r\n", "a\n  b\n" },
		{ "--More--", "\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b\r\nb\r\n", "a\n\nb\n" },
		{ "--More--", "\b\b\b\b\b\b\b\b        \b\b\b\b\b\b\b\bb\r\n", "a\nb\n" },
		{ more, "\r\n  b\r\n", "a\n  b\n" },
		{ more, "\r\n\r\nb\r\n", "a\n\nb\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sac *s = heard("a\r\n");

		sac_take(s, (const uint8_t *)rows[i].end, strlen(rows[i].end));
		assert_true(sac_at_more(s));
		sac_take_more(s);
		sac_take(s, (const uint8_t *)rows[i].comes, strlen(rows[i].comes));
		assert_string_equal(s->text, rows[i].text);
	}
}

/* Nobody is there: it ends by itself. */
static void sac_talk__of_nobody_ends(void **state)
{
	struct sac *s = heard("");
	struct sac_talk t = { .sac = s, .command = "i" };
	uint64_t now = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		uint8_t send[SAC_SEND];
		size_t n;

		if (sac_step(&t, now, send, &n, &now) != SAC_WAIT) {
			assert_string_equal(t.why, "nobody answers at the prompt");
			return;
		}
	}
	fail();
}

/* Who says how long waits so long for a prompt that comes late; and no longer. */
static void sac_talk__that_is_patient_waits_for_a_late_prompt(void **state)
{
	for (unsigned late = 0; late < 2; late++) {
		struct sac *s = heard("");
		struct sac_talk t = {
			.sac = s, .command = "i", .patient = true, .deadline_ms = 60000
		};
		const uint64_t comes = late == 0 ? 40000 : UINT64_MAX;
		enum sac_next next = SAC_WAIT;
		uint64_t now = 0;
		unsigned sent = 0;

		(void)state;
		while (next == SAC_WAIT && now < comes) {
			uint8_t send[SAC_SEND];
			size_t n;

			next = sac_step(&t, now, send, &n, &now);
			sent += n > 0;
		}
		assert_in_range(sent, 20, 31); /* one each two seconds */
		if (late == 0) {
			uint8_t send[SAC_SEND];
			size_t n;

			assert_int_equal(next, SAC_WAIT);
			sac_take(s, (const uint8_t *)"\r\nSAC>", 6);
			assert_int_equal(sac_step(&t, now, send, &n, &now), SAC_WAIT);
			assert_int_equal(n, 1);
			assert_int_equal(send[0], 'i');
		} else {
			assert_int_equal(next, SAC_FAILED);
			assert_string_equal(t.why, "the time for it is over");
			assert_int_equal(now, 60000);
		}
	}
}

static void sac_ip_interface__is_the_only_one(void **state)
{
	(void)state;
	assert_int_equal(sac_ip_interface("Net: 10, Ip=1.2.3.4\nNet: 10, Ip=fe80::1\n"), 10);
	assert_int_equal(sac_ip_interface("Net: 10, Ip=1.2.3.4\nNet: 1, Ip=1.2.3.5\n"), -1);
	assert_int_equal(sac_ip_interface("no IP addresses"), -1);
	assert_int_equal(sac_ip_interface("Net: x"), -1);
}

static void sac_ip_check__takes_what_a_machine_can_have(void **state)
{
	static const struct {
		struct sac_ip ip;
		const char *fault; /* NULL: none */
	} cases[] = {
		{ { "192.168.249.2", "255.255.255.0", "192.168.249.1" }, NULL },
		{ { "10.0.0.5", "255.0.0.0", "0.0.0.0" }, NULL },
		{ { "10.0.0.0", "255.255.255.254", "10.0.0.1" }, NULL },
		{ { "10.0.0.5", "255.255.255.255", "0.0.0.0" }, NULL },
		{ { "10.0.0.5", "10.0.0.1", "255.255.255.0" }, "'10.0.0.1' is no mask" },
		{ { "10.0.0.5", "255.0.255.0", "10.0.0.1" }, "'255.0.255.0' is no mask" },
		{ { "10.0.0.5", "0.0.0.0", "10.0.0.1" }, "'0.0.0.0' is no mask" },
		{ { "10.0.0.5", "255.255.255.0", "10.0.1.1" }, "is not in the network" },
		{ { "10.0.0.5", "255.255.255.0", "10.0.0.5" }, "its own gateway" },
		{ { "10.0.0.0", "255.255.255.0", "10.0.0.1" }, "not the address of a machine" },
		{ { "10.0.0.255", "255.255.255.0", "10.0.0.1" }, "not the address of a machine" },
		{ { "127.0.0.1", "255.0.0.0", "0.0.0.0" }, "not the address of a machine" },
		{ { "224.0.0.5", "255.0.0.0", "0.0.0.0" }, "not the address of a machine" },
		{ { "10.0.0", "255.255.255.0", "10.0.0.1" }, "'10.0.0' is no IPv4 address" },
		{ { "10.0.0.5", "/24", "10.0.0.1" }, "'/24' is no IPv4 address" },
		{ { "10.0.0.5", "255.255.255.0", "x" }, "'x' is no IPv4 address" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sill_err e = { 0 };

		assert_int_equal(sac_ip_check(&cases[i].ip, &e), cases[i].fault != NULL ? -1 : 0);
		if (cases[i].fault != NULL)
			assert_non_null(strstr(e.msg, cases[i].fault));
	}
}

static void sac_ip_has__is_all_of_it(void **state)
{
	(void)state;
	assert_true(sac_ip_has("Net: 10, Ip=1.2.3.4  Subnet=255.0.0.0", "1.2.3.4"));
	assert_true(sac_ip_has("Net: 10, Ip=fe80::1\nNet: 10, Ip=1.2.3.4", "1.2.3.4"));
	assert_false(sac_ip_has("Net: 10, Ip=1.2.3.40", "1.2.3.4"));
	assert_false(sac_ip_has("Net: 10, Ip=1.2.3.5  Gateway=1.2.3.4", "1.2.3.4"));
}

static void sac_ip_auto__is_what_dhcp_gives(void **state)
{
	char host[] = "192.168.249.1/24", small[] = "10.0.0.6/30";
	struct sill_net_config nets[] = { { .address = host },
					  { .address = small, .dhcp = SILL_DHCP_ON },
					  { .address = host, .dhcp = SILL_DHCP_ON } };
	struct sill_config c = { .net = nets, .net_count = 2 };
	struct sill_err e = { 0 };
	struct sac_ip ip;

	(void)state;
	assert_int_equal(sac_ip_auto(&c, &ip, &e), 0);
	assert_string_equal(ip.address, "10.0.0.5");
	assert_string_equal(ip.mask, "255.255.255.252");
	assert_string_equal(ip.gateway, "10.0.0.6");
	c.net_count = 3;
	assert_int_equal(sac_ip_auto(&c, &ip, &e), -1);
	assert_string_equal(e.msg, "more than one of the VM's cards give an address to its guest");
	e = (struct sill_err){ 0 };
	c.net_count = 1;
	assert_int_equal(sac_ip_auto(&c, &ip, &e), -1);
	assert_string_equal(e.msg, "none of the VM's cards gives an address to its guest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sac_side__is_known_by_its_words),
		cmocka_unit_test(sac_stop__is_read_and_named),
		cmocka_unit_test(sac_take__counts_a_word_once),
		cmocka_unit_test(sac_talk__is_right_in_every_run),
		cmocka_unit_test(sac_talk__a_line_that_stays_is_not_run),
		cmocka_unit_test(sac_talk__a_reset_in_the_middle_is_no_answer),
		cmocka_unit_test(sac_talk__the_machine_may_go_down_with_it),
		cmocka_unit_test(sac_ip_interface__is_the_only_one),
		cmocka_unit_test(sac_ip_check__takes_what_a_machine_can_have),
		cmocka_unit_test(sac_ip_has__is_all_of_it),
		cmocka_unit_test(sac_ip_auto__is_what_dhcp_gives),
		cmocka_unit_test(sac_talk__that_it_is_up_again_says_that_it_went_down),
		cmocka_unit_test(sac_talk__of_one_who_never_ends_ends),
		cmocka_unit_test(sac_talk__of_nobody_ends),
		cmocka_unit_test(sac_talk__that_is_patient_waits_for_a_late_prompt),
		cmocka_unit_test(sac_talk__of_pages_without_an_end_ends),
		cmocka_unit_test(sac_talk__ends_nobody_elses_listing),
		cmocka_unit_test(sac_take__loses_nothing_of_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
