/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sac_shell.c - commands run in a command prompt behind SAC, whatever gets in their way.
 *
 * SILL_SAC_ROUNDS=1000 for so many Windowses, each of another kind (20 by itself).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAKE_FILE (512 * 1024)
#include "fake_sac.h"
#include "runner/sac/shell.h"

/* A Windows, and who talks to it. */
struct rig {
	struct fake_sac f;
	struct sac sac;
	struct screen *screen;
	struct sac_wire wire;
	struct sac_shell sh;
	struct sac_output out;
	struct sill_err e;
};

static uint64_t now_ms(void *ctx)
{
	const struct rig *r = ctx;

	return r->f.now;
}

static int hear(void *ctx, uint64_t until_ms, struct sill_err *e)
{
	struct rig *r = ctx;
	const char *p;
	const size_t n = fake_pass(&r->f, until_ms, &p);

	(void)e;
	if (n == 0)
		return 0;
	sac_take(&r->sac, (const uint8_t *)p, n);
	screen_take(r->screen, (const uint8_t *)p, n);
	return 1;
}

static int say(void *ctx, const uint8_t *p, size_t n, struct sill_err *e)
{
	struct rig *r = ctx;

	(void)e;
	fake_hear(&r->f, p, n);
	return 0;
}

/* One that has booted; @within_ms for all that is done with it. */
static struct rig *begin(const struct fake_sac *kind, uint64_t within_ms)
{
	static struct rig r;
	struct sill_err e;

	screen_destroy(r.screen);
	sac_output_fini(&r.out);
	memset(&r, 0, sizeof(r));
	r.f = *kind;
	r.screen = screen_create();
	assert_non_null(r.screen);
	r.wire = (struct sac_wire){ .now_ms = now_ms, .hear = hear, .send = say, .ctx = &r };
	fake_boot(&r.f);
	while (r.f.out_at < r.f.out_n)
		(void)hear(&r, r.f.now + 1000, &e);
	r.sh = (struct sac_shell){ .wire = &r.wire,
				   .sac = &r.sac,
				   .screen = r.screen,
				   .deadline_ms = r.f.now + within_ms };
	return &r;
}

static const struct sac_login admin = { .user = "Administrator", .password = "Passw00rd!!" };

/* Open, run, close. As sac_exec(). */
static int exec(struct rig *r, const char *command)
{
	int ret;

	if (sac_shell_open(&r->sh, &admin, &r->e) < 0)
		return -1;
	ret = sac_exec(&r->sh, command, &r->out, &r->e);
	sac_shell_close(&r->sh, SAC_EXEC_LAST);
	return ret;
}

static void ended(const struct rig *r)
{
	assert_false(r->f.exists);
	assert_int_equal(r->f.where, FAKE_SAC);
	assert_int_equal(r->f.file_n, 0);
}

static void expect_lines(const struct rig *r, int n)
{
	char want[128];
	size_t at = 0;

	for (int i = 0; i < n; i++) {
		const int k = snprintf(want, sizeof(want), "line %d\tof >>> %d:\xc3\xa4 C:\\>\r\n",
				       i, i * 7);

		assert_true(at + (size_t)k <= r->out.n);
		assert_memory_equal(r->out.text + at, want, (size_t)k);
		at += (size_t)k;
	}
	assert_int_equal(r->out.n, at);
}

static struct fake_sac plain_kind(void)
{
	return (struct fake_sac){ .random = 1, .user = "Administrator", .password = "Passw00rd!!" };
}

static void sac_exec__brings_text_and_status(void **state)
{
	struct fake_sac kind = plain_kind();
	struct rig *r = begin(&kind, 600000);

	(void)state;
	assert_int_equal(exec(r, "say hello  \"a > b\""), 0);
	assert_int_equal(r->out.n, 16);
	assert_memory_equal(r->out.text, "hello  \"a > b\"\r\n", 16);
	assert_int_equal(r->out.status, 0);
	ended(r);
	r = begin(&kind, 600000);
	assert_int_equal(exec(r, "fail -1073741510"), 0);
	assert_int_equal(r->out.status, -1073741510);
	assert_int_equal(r->out.n, 0);
}

/* Every kind of Windows that there is, and all that gets in the way. */
static struct fake_sac any_kind(unsigned i)
{
	static const char *const german[] = { "Benutzername: ", "Dom\xc3\xa4ne: ", "Kennwort: " };
	struct fake_sac kind = plain_kind();

	kind.random = i;
	kind.paints = i % 2 == 1;
	kind.nuls = i % 3 != 0;
	kind.delay_ms = i % 4 == 0 ? 0 : 40u << (i % 5);
	kind.eats = i % 7;
	kind.bounce_ms = i % 2 == 1 ? 1500 : 0;
	kind.stars = i % 5 != 0;
	kind.others = i % 4 == 3 ? i % 9 : 0;
	if (i % 6 == 5)
		memcpy(kind.questions, german, sizeof(german));
	if (i % 11 == 10)
		kind.user = NULL;
	return kind;
}

static unsigned rounds(void)
{
	const char *asked = getenv("SILL_SAC_ROUNDS");

	return asked != NULL ? (unsigned)strtoul(asked, NULL, 10) : 20;
}

static void sac_exec__is_right_in_every_run(void **state)
{
	char command[32];

	(void)state;
	for (unsigned i = 0; i < rounds(); i++) {
		const struct fake_sac kind = any_kind(i);
		struct rig *r = begin(&kind, 3600000);
		const int lines = (int)(i * 13 % 60);

		(void)snprintf(command, sizeof(command), "lines %d", lines);
		if (i % 4 == 2)
			(void)snprintf(command, sizeof(command), "fail %u", i);
		if (exec(r, command) < 0)
			fail_msg("round %u: %s", i, r->e.msg);
		assert_int_equal(r->out.status, i % 4 == 2 ? (int)i : 0);
		expect_lines(r, i % 4 == 2 ? 0 : lines);
		assert_int_equal(r->f.opened, 1);
		ended(r);
	}
}

/* Long ones, too; what is more than a MiB is cut, and said to be. */
static void sac_exec__brings_ten_thousand_lines(void **state)
{
	struct fake_sac kind = plain_kind();
	struct rig *r;

	(void)state;
	kind.paints = true;
	kind.nuls = true;
	r = begin(&kind, 24 * 3600000ull);
	if (exec(r, "lines 10000") < 0)
		fail_msg("%s", r->e.msg);
	expect_lines(r, 10000);
	assert_false(r->out.cut);
	ended(r);
}

/* Somebody has another prompt open, and the port shows it. */
static void sac_exec__leaves_another_prompt_alone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct fake_sac kind = any_kind(i);
		struct sill_err e = { 0 };
		struct rig *r;

		kind.others = 2;
		kind.eats = 0;
		r = begin(&kind, 3600000);
		fake_announce(&r->f, "Cmd0002", false);
		if (i % 2 == 1)
			fake_hear(&r->f, (const uint8_t *)" ", 1);
		while (r->f.out_at < r->f.out_n)
			(void)hear(r, r->f.now + 1000, &e);
		assert_int_equal(exec(r, "say it"), 0);
		assert_int_equal(r->out.n, 4);
		assert_string_equal(r->f.name, "Cmd0003");
		ended(r);
	}
}

/* Firmware, then SAC, then Windows' services: each takes its time. */
static void sac_exec__waits_for_windows(void **state)
{
	static const uint64_t starts[] = { 5000, 20000, 100000 };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct fake_sac kind = any_kind(i);
		struct rig *r;

		kind.eats = 0;
		kind.others = 0;
		kind.starts_in_ms = starts[i / 2];
		r = begin(&kind, 3600000);
		assert_int_equal(r->sac.side, SAC_BOOTMGR);
		if (exec(r, "say it") < 0)
			fail_msg("%u: %s", i, r->e.msg);
		assert_int_equal(r->out.n, 4);
		ended(r);
	}
}

static void sac_exec__does_not_wait_for_ever(void **state)
{
	struct fake_sac kind = plain_kind();
	struct rig *r;

	(void)state;
	kind.starts_in_ms = 1000000;
	r = begin(&kind, 3600000);
	assert_int_equal(exec(r, "say it"), -1);
	assert_string_equal(r->e.msg, "Windows has not come: there is Windows Boot Manager");
	assert_int_equal(r->f.opened, 0);
}

/* In the middle of anything, a reset or a bug check is an error that says so, and no result. */
static void sac_exec__a_machine_that_breaks_is_no_answer(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) { /* five Enters until the result is known */
		struct fake_sac kind = any_kind(i);
		struct rig *r;
		int ret;

		kind.eats = 0;
		kind.breaks_after = 1 + i / 4;
		kind.breaks_by_crash = i % 4 == 2;
		r = begin(&kind, 3600000);
		ret = exec(r, "lines 3");
		assert_int_equal(ret, -1);
		assert_non_null(strstr(r->e.msg,
				       kind.breaks_by_crash ? "bug check 0xe2" : "has begun anew"));
		assert_null(r->out.text);
	}
}

static void sac_exec__a_command_may_end_the_machine(void **state)
{
	const struct fake_sac kind = plain_kind();
	struct rig *r = begin(&kind, 3600000);

	(void)state;
	assert_int_equal(exec(r, "reboot"), -1);
	assert_string_equal(r->e.msg, "the machine has begun anew");
	r = begin(&kind, 3600000);
	assert_int_equal(exec(r, "crash"), -1);
	assert_string_equal(r->e.msg,
			    "Windows has crashed, bug check 0xe2 MANUALLY_INITIATED_CRASH");
}

static void sac_exec__is_interrupted_when_its_time_is_over(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct fake_sac kind = any_kind(4 * i + i % 2);
		struct rig *r;

		kind.eats = 0;
		kind.user = NULL;
		r = begin(&kind, 400000);
		assert_int_equal(exec(r, "hang"), -1);
		assert_string_equal(r->e.msg, "the time for it is over");
		ended(r); /* the channel does not stay behind */
	}
}

static void sac_login__refused_is_said(void **state)
{
	struct fake_sac kind = plain_kind();
	struct sac_login login = admin;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct rig *r;

		kind.paints = i % 2 == 1;
		kind.stars = i / 2 == 1;
		login.password = "wrong";
		r = begin(&kind, 600000);
		assert_int_equal(sac_shell_open(&r->sh, &login, &r->e), -1);
		assert_string_equal(
			r->e.msg,
			"Windows refuses the login of 'Administrator': Unable to authenticate.");
		assert_false(r->f.exists);
		assert_int_equal(r->f.wrong, 1); /* once: accounts are locked for less */
	}
}

static void sac_login__without_a_user_is_said(void **state)
{
	const struct fake_sac kind = plain_kind();
	struct rig *r = begin(&kind, 600000);

	(void)state;
	assert_int_equal(sac_shell_open(&r->sh, &(struct sac_login){ 0 }, &r->e), -1);
	assert_string_equal(r->e.msg, "Windows asks who it is");
	assert_false(r->f.exists);
}

static void sac_login__knows_domains(void **state)
{
	struct fake_sac kind = plain_kind();
	struct sac_login login = admin;
	struct rig *r;

	(void)state;
	kind.domain = login.domain = "EXAMPLE";
	r = begin(&kind, 600000);
	assert_int_equal(sac_shell_open(&r->sh, &login, &r->e), 0);
	sac_shell_close(&r->sh, NULL);
	assert_false(r->f.exists);
}

/* Names of any script, wherever the screen is painted; as many stars as characters. */
static void sac_login__takes_names_of_any_script(void **state)
{
	static const struct sac_login logins[] = {
		{ "J\xc3\xb6rg", "B\xc3\x9cRO",
		  "Stra\xc3\x9f"
		  "e\xe2\x82\xac\xe2\x82\xac" },
		{ "\xd0\x90\xd0\xb4\xd0\xbc\xd0\xb8\xd0\xbd", NULL, "\xc3\xa4" },
		{ "Admin", NULL,
		  "\xf0\x9f\x94\x91"
		  "1" },
	};

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		struct fake_sac kind = any_kind(i);
		struct rig *r;

		kind.user = logins[i % 3].user;
		kind.domain = logins[i % 3].domain;
		kind.password = logins[i % 3].password;
		kind.others = kind.eats = 0;
		r = begin(&kind, 600000);
		if (sac_shell_open(&r->sh, &logins[i % 3], &r->e) < 0)
			fail_msg("%u: %s", i, r->e.msg);
		assert_string_equal(r->f.password_seen, logins[i % 3].password);
		sac_shell_close(&r->sh, NULL);
		ended(r);
	}
}

/* A channel that is locked in the middle asks anew: nothing is typed at its question, and it is closed. */
static void sac_exec__in_a_locked_channel_is_said(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct fake_sac kind = any_kind(i);
		struct rig *r;

		kind.eats = kind.others = 0;
		kind.locks_after = 1 + i % 5;
		r = begin(&kind, 3600000);
		assert_int_equal(exec(r, "lines 3"), -1);
		assert_string_equal(r->e.msg,
				    "channel Cmd0001 has been locked: Windows asks who it is");
		assert_false(r->f.exists);
		assert_int_equal(r->f.wrong, 0);
		assert_null(r->out.text);
	}
}

static int ask(struct rig *r, const char *command)
{
	struct sac_talk t = { .sac = &r->sac, .command = command };

	return sac_say(&r->wire, &t, &r->e);
}

/* Listings that stop at each page are turned over, also while a command prompt is looked for in them. */
static void sac_say__turns_pages(void **state)
{
	static const char *const mores[] = { NULL, "--More--",
					     "--- Weiter mit der "
					     "Eingabetaste ---" };

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		struct fake_sac kind = any_kind(i);
		struct rig *r;
		char name[16];

		kind.eats = 0;
		kind.others = 8;
		kind.page = 1 + i / 3;
		kind.more = mores[i % 3];
		r = begin(&kind, 3600000);
		assert_int_equal(ask(r, "ch"), 0);
		for (unsigned k = 1; k <= 8; k++) {
			(void)snprintf(name, sizeof(name), "    Cmd%04u\n", k);
			assert_non_null(strstr(r->sac.text, name));
		}
		assert_null(strstr(r->sac.text, "--"));
		if (exec(r, "say it") < 0)
			fail_msg("%u: %s", i, r->e.msg);
		assert_int_equal(r->out.n, 4);
		ended(r);
	}
}

/* SAC does not answer: what is said to it has no more time than all the rest. */
static void sac_shell__waits_for_sac_until_its_time_is_over(void **state)
{
	const struct fake_sac kind = plain_kind();
	struct rig *r = begin(&kind, 3000);
	const uint64_t start = r->f.now;

	(void)state;
	r->sh.deadline_ms = start + 3000;
	r->f.speaks = false;
	assert_int_equal(sac_shell_open(&r->sh, &admin, &r->e), -1);
	assert_string_equal(r->e.msg, "cmd: the time for it is over");
	assert_int_equal(r->f.now - start, 3000);
}

/* Somebody has left a listing in the middle. */
static void sac_say__ends_a_listing_that_stands_there(void **state)
{
	struct fake_sac kind = plain_kind();
	struct rig *r;
	struct sill_err e;

	(void)state;
	kind.others = 8;
	kind.page = 2;
	r = begin(&kind, 3600000);
	fake_hear(&r->f, (const uint8_t *)"ch\r", 3);
	while (r->f.out_at < r->f.out_n)
		(void)hear(r, r->f.now + 1000, &e);
	assert_true(sac_at_more(&r->sac));
	assert_int_equal(ask(r, "id"), 0);
	assert_non_null(strstr(r->sac.text, "Computer name: WIN\n"));
	assert_null(strstr(r->sac.text, "Cmd"));
}

/* Where it would show, one character of it is typed, and taken back. */
static void sac_login__does_not_show_the_password(void **state)
{
	const struct sac_login other = { .user = "Administrator",
					 .password = "\xc3\xa4"
						     "bc" };
	struct fake_sac kind = plain_kind();
	struct rig *r;

	(void)state;
	kind.clear = true;
	r = begin(&kind, 600000);
	assert_int_equal(sac_shell_open(&r->sh, &admin, &r->e), -1);
	assert_string_equal(r->e.msg, "the password would show on the screen: it is not typed");
	assert_int_equal(r->f.typed_n, 0);
	assert_string_equal(r->f.password_seen, "");
	r = begin(&kind, 600000);
	assert_int_equal(sac_shell_open(&r->sh, &other, &r->e), -1);
	assert_string_equal(r->e.msg, "the password would show on the screen: it is not typed");
	assert_int_equal(r->f.typed_n, 0);
}

/* Before anything is typed: behind an escape and a tab the rest would be typed at SAC's own prompt, where it shows. */
static void sac_login__takes_what_can_be_typed(void **state)
{
	static char longer[SAC_NAME + 2];
	static const struct {
		struct sac_login login;
		const char *why;
	} rows[] = {
		{ { "J\xf6rg", NULL, "x" }, "user and domain are UTF-8, of 256 bytes at most" },
		{ { "admin\rx", NULL, "x" }, "user and domain are UTF-8, of 256 bytes at most" },
		{ { "admin", "D\t", "x" }, "user and domain are UTF-8, of 256 bytes at most" },
		{ { "o\xcc\x88", NULL, "x" }, "user and domain are UTF-8, of 256 bytes at most" },
		{ { longer, NULL, "x" }, "user and domain are UTF-8, of 256 bytes at most" },
		{ { "admin", NULL, "a\xe4" }, "the password is not UTF-8" },
		{ { "admin", NULL, "a\x1b\t0b" }, "the password has a control character" },
		{ { "admin", NULL, "a\x7f" }, "the password has a control character" },
	};
	const struct fake_sac kind = plain_kind();
	struct rig *r;

	(void)state;
	memset(longer, 'a', SAC_NAME + 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = begin(&kind, 600000);
		assert_int_equal(sac_shell_open(&r->sh, &rows[i].login, &r->e), -1);
		assert_string_equal(r->e.msg, rows[i].why);
		assert_string_equal(r->sh.channel, "");
	}
}

static void sac_shell__nine_prompts_are_all_there_are(void **state)
{
	struct fake_sac kind = plain_kind();
	struct rig *r;

	(void)state;
	kind.others = 9;
	r = begin(&kind, 600000);
	assert_int_equal(sac_shell_open(&r->sh, &admin, &r->e), -1);
	assert_string_equal(r->e.msg,
			    "SAC has opened no command prompt: Failed to create the channel.");
}

static void sac_exec_check__takes_what_can_be_typed(void **state)
{
	static const struct {
		const char *command, *why;
	} cases[] = {
		{ "dir", NULL },
		{ "echo \"(\" & (echo a)", NULL },
		{ "echo :^)", NULL },
		{ "echo ^\"", NULL },
		{ "", "no command" },
		{ "echo a)", "the command's parentheses are not in pairs" },
		{ "(echo a", "the command's parentheses are not in pairs" },
		{ "echo \"a", "the command's quotes are not in pairs" },
		{ "echo a^", "a command does not end with ^" },
		{ "rem", "a command has no rem and no label in it" },
		{ "echo a&rem b", "a command has no rem and no label in it" },
		{ "echo a | ( @REM b )", "a command has no rem and no label in it" },
		{ " :again", "a command has no rem and no label in it" },
		{ "if 1==1 rem x", "a command has no rem and no label in it" },
		{ "if/i not a==b rem", "a command has no rem and no label in it" },
		{ "if a==(1 rem x)", "a command has no rem and no label in it" },
		{ "if (1)==(1) @rem x", "a command has no rem and no label in it" },
		{ "if 1==1 (echo a) else rem x", "a command has no rem and no label in it" },
		{ "if 1==1 (echo a)ELSE(REM x)", "a command has no rem and no label in it" },
		{ "for %i in (1) do rem x", "a command has no rem and no label in it" },
		{ "for/l %i in (1,1,2) do@rem x", "a command has no rem and no label in it" },
		{ "if 1==1 for %i in (1) do rem", "a command has no rem and no label in it" },
		{ ">nul rem x", "a command has no rem and no label in it" },
		{ "dir & 2>\"a b\" <nul rem x", "a command has no rem and no label in it" },
		{ "2>&1 rem x", "a command has no rem and no label in it" },
		{ ">a@b rem x", "a command has no rem and no label in it" },
		{ ">nul :x", "a command has no rem and no label in it" },
		{ "r^em x", "a command has no rem and no label in it" },
		{ "echo rem", NULL },
		{ "echo do rem else rem if rem", NULL },
		{ "echo a 2>&1 rem >nul rem", NULL },
		{ "if \"rem\"==\"rem\" (echo a & echo rem) else echo rem", NULL },
		{ "for %i in (1) do echo rem %i", NULL },
		{ "\"rem\" x", NULL },
		{ "echo ^\x07", "a command is printable ASCII" },
		{ "remove.exe & echo rem & echo \"&rem\" & echo ^&rem :x", NULL },
		{ "echo %PATH%!a! 5>x \\ ' ` ~ $ # @", NULL },
		{ "echo \x07", "a command is printable ASCII" },
		{ "echo \xc3\xa4", "a command is printable ASCII" },
	};
	char longer[SAC_COMMAND + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sill_err e = { 0 };

		assert_int_equal(sac_exec_check(cases[i].command, &e),
				 cases[i].why == NULL ? 0 : -1);
		assert_string_equal(e.msg, cases[i].why != NULL ? cases[i].why : "");
		if (cases[i].why != NULL && strstr(cases[i].why, "quotes") != NULL)
			assert_string_equal(e.hint, "a single quote is written ^\"");
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(sac_exec_check(longer, &(struct sill_err){ 0 }), -1);
	assert_int_equal(sac_exec_check(longer + 1, &(struct sill_err){ 0 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sac_exec__brings_text_and_status),
		cmocka_unit_test(sac_exec__is_right_in_every_run),
		cmocka_unit_test(sac_exec__brings_ten_thousand_lines),
		cmocka_unit_test(sac_exec__leaves_another_prompt_alone),
		cmocka_unit_test(sac_exec__waits_for_windows),
		cmocka_unit_test(sac_exec__does_not_wait_for_ever),
		cmocka_unit_test(sac_exec__a_machine_that_breaks_is_no_answer),
		cmocka_unit_test(sac_exec__a_command_may_end_the_machine),
		cmocka_unit_test(sac_exec__is_interrupted_when_its_time_is_over),
		cmocka_unit_test(sac_login__refused_is_said),
		cmocka_unit_test(sac_login__without_a_user_is_said),
		cmocka_unit_test(sac_login__knows_domains),
		cmocka_unit_test(sac_login__does_not_show_the_password),
		cmocka_unit_test(sac_login__takes_names_of_any_script),
		cmocka_unit_test(sac_exec__in_a_locked_channel_is_said),
		cmocka_unit_test(sac_say__turns_pages),
		cmocka_unit_test(sac_shell__waits_for_sac_until_its_time_is_over),
		cmocka_unit_test(sac_say__ends_a_listing_that_stands_there),
		cmocka_unit_test(sac_login__takes_what_can_be_typed),
		cmocka_unit_test(sac_shell__nine_prompts_are_all_there_are),
		cmocka_unit_test(sac_exec_check__takes_what_can_be_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
