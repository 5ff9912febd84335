/* SPDX-License-Identifier: Apache-2.0 */
/* test_cmd.c - options of verbs, and the table of verbs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/cmd/habits.h"
#include "runner/cmd/verbs.h"
#include "runner/report/diag.h"

static struct verb verb = { .name = "try", .args = "FILE", .summary = "try it" };

static bool flag;
static const char *name;

static int parse(int argc, const char *const *args, char **ret_argv)
{
	static char words[8][32];
	const struct opt opts[] = {
		{ .name = "json", .letter = 'j', .flag = &flag },
		{ .name = "name", .text = &name },
	};

	flag = false;
	name = NULL;
	for (int i = 0; i < argc; i++) {
		(void)snprintf(words[i], sizeof(words[i]), "%s", args[i]);
		ret_argv[i] = words[i];
	}
	ret_argv[argc] = NULL;
	return cmd_options(&verb, argc, ret_argv, opts, 2);
}

static void cmd_options__takes_options_anywhere(void **state)
{
	const char *const args[] = { "try", "a", "--json", "b", "--name", "x", "c" };
	char *argv[9];

	(void)state;
	assert_int_equal(parse(7, args, argv), 3);
	assert_true(flag);
	assert_string_equal(name, "x");
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "b");
	assert_string_equal(argv[3], "c");
}

static void cmd_options__knows_letters_equals_and_the_end(void **state)
{
	const char *const args[] = { "try", "-j", "--name=y", "-", "--", "--json" };
	char *argv[9];

	(void)state;
	assert_int_equal(parse(6, args, argv), 2);
	assert_true(flag);
	assert_string_equal(name, "y");
	assert_string_equal(argv[1], "-");
	assert_string_equal(argv[2], "--json");
}

/* Letters in one word, and as much of a name as tells it from the others. */
static void cmd_options__are_as_those_of_other_programs(void **state)
{
	static const char *const args[] = { "try", "-jj", "a", "--na", "z", "b" };
	char *argv[9];

	(void)state;
	assert_int_equal(parse(6, args, argv), 2);
	assert_true(flag);
	assert_string_equal(name, "z");
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "b");
}

static void cmd_options__takes_color_for_every_verb(void **state)
{
	static const struct {
		const char *args[4];
		int argc, operands;
		bool wanted;
	} rows[] = {
		{ { "try", "--color", "always", "a" }, 4, 1, true },
		{ { "try", "--color=never", "a" }, 3, 1, false },
		{ { "try", "--color=sometimes", "a" }, 3, CMD_OPTS_BAD, false },
		{ { "try", "--color" }, 2, CMD_OPTS_BAD, false },
		{ { "try", "--color=auto" }, 2, 0, false },
	};
	FILE *f = fopen("/dev/null", "w");
	int keep = dup(2);
	char *argv[9];

	(void)state;
	assert_non_null(freopen("/dev/null", "w", stderr));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i].argc, rows[i].args, argv), rows[i].operands);
		assert_int_equal(colour_wanted(f), rows[i].wanted);
	}
	(void)fflush(stderr);
	assert_true(dup2(keep, 2) == 2);
	(void)close(keep);
	(void)fclose(f);
}

static void cmd_options__refuses_what_it_does_not_know(void **state)
{
	static const char *const bad[][3] = {
		{ "try", "--jsn", NULL },    { "try", "-x", NULL },
		{ "try", "--json=1", NULL }, { "try", "--name", NULL },
		{ "try", "--name=", NULL },  { "try", "-jx", NULL },
		{ "try", "--jsonx", NULL },  { "try", "--help=x", NULL },
	};
	int keep = dup(2);
	char *argv[9];

	(void)state;
	assert_non_null(freopen("/dev/null", "w", stderr));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(2, bad[i], argv), CMD_OPTS_BAD);
	(void)fflush(stderr);
	assert_true(dup2(keep, 2) == 2);
	(void)close(keep);
}

static void verb_table__is_whole_and_findable(void **state)
{
	size_t count = 0;

	(void)state;
	for (; verb_table[count] != NULL; count++) {
		const struct verb *v = verb_table[count];

		assert_ptr_equal(verb_find(v->name), v);
		assert_non_null(v->args);
		assert_non_null(v->summary);
		assert_non_null(v->run);
		assert_true(v->help == NULL || v->help[strlen(v->help) - 1] == '\n');
	}
	assert_true(count >= 6);
	assert_null(verb_find("nothing"));
}

/* What `sill help WORD` says on standard error. */
static void help_says(const char *word, char *text, size_t size)
{
	char verb_name[] = "help", given[32], path[] = "/tmp/sill-help.XXXXXX";
	char *argv[] = { verb_name, given, NULL };
	int keep = dup(2), fd = mkstemp(path);
	ssize_t n;

	(void)snprintf(given, sizeof(given), "%s", word);
	assert_true(fd >= 0 && keep >= 0 && unlink(path) == 0 && dup2(fd, 2) == 2);
	assert_int_equal(verb_help.run(2, argv), CMD_FAILED);
	(void)fflush(stderr);
	assert_true(dup2(keep, 2) == 2);
	n = pread(fd, text, size - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	(void)close(fd);
	(void)close(keep);
}

static void verb_help__knows_the_words_of_other_tools(void **state)
{
	static const char *const rows[][2] = {
		{ "start", "hint: sill up FILE, sill run FILE to stay with it\n" },
		{ "CHECK", "hint: sill validate FILE\n" },
		{ "qemu-img", "hint: sill image\n" },
		{ "attach", "hint: sill console NAME\n" },
		{ "ls", "hint: sill ps\n" },
		{ "exec", "sill sac NAME exec -- COMMAND" },
		{ "valdate", "hint: did you mean 'validate'?\n" },
		{ "frobnicate", "usage: sill VERB" },
	};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		help_says(rows[i][0], text, sizeof(text));
		assert_non_null(strstr(text, rows[i][1]));
	}
}

/* What the verb of @line, words with a blank between them, says on standard error. */
static void line_says(const char *line, char *ret, size_t size)
{
	char words[128], *argv[8], *rest, path[] = "/tmp/sill-line.XXXXXX";
	int keep = dup(2), fd = mkstemp(path), argc = 0;
	ssize_t n;

	(void)snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok_r(words, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
		argv[argc++] = w;
	argv[argc] = NULL;
	assert_true(fd >= 0 && keep >= 0 && unlink(path) == 0 && dup2(fd, 2) == 2);
	assert_int_equal(verb_find(argv[0])->run(argc, argv), CMD_FAILED);
	(void)fflush(stderr);
	assert_true(dup2(keep, 2) == 2);
	n = pread(fd, ret, size - 1, 0);
	ret[n > 0 ? n : 0] = '\0';
	(void)close(fd);
	(void)close(keep);
}

/* What the options of a verb are to @wanted. */
static const char *wanted;
static bool wanted_is_there;
static unsigned longer;

static void look_for(void *ctx, const struct opt *o)
{
	(void)ctx;
	wanted_is_there |= strncmp(wanted, o->name, strlen(o->name)) == 0 &&
			   strchr(" ,;", wanted[strlen(o->name)]) != NULL;
	longer += strncmp(wanted, o->name, strlen(wanted)) == 0;
}

static void look_for_letter(void *ctx, const struct opt *o)
{
	(void)ctx;
	wanted_is_there |= wanted[1] == '\0' && wanted[0] == o->letter;
}

/* None of @v's options is @word, nor what it is short for: but for these two, which are about something else. */
static void check_not_there(const struct verb *v, const char *word)
{
	const bool two = strncmp(word, "--", 2) == 0;

	wanted = word + strspn(word, "-");
	wanted_is_there = false;
	longer = 0;
	cmd_each_option(v, two ? look_for : look_for_letter, NULL);
	if (wanted_is_there ||
	    (longer == 1 && strcmp(word, "--all") != 0 && strcmp(word, "--var") != 0))
		fail_msg("%s has %s, or takes it for another", v->name, word);
}

/* As a value, or behind "--", it is what it is. */
static void check_value(const struct verb *v, const char *word)
{
	const char *const as_value[] = { v->name, "a", "--name", word, "b" };
	const char *const as_operand[] = { v->name, "a", "--", word };
	char *argv[9];

	verb.name = v->name;
	assert_int_equal(parse(5, as_value, argv), 2);
	assert_string_equal(name, word);
	assert_int_equal(parse(4, as_operand, argv), 2);
	assert_string_equal(argv[2], word);
	verb.name = "try";
}

/* Who types @word behind @v reads @say. */
static void check_said(const struct verb *v, const char *word, const char *say)
{
	static const char *const forms[][2] = { { "", "" }, { " a", " a" }, { "", "=x=y a" } };
	char line[128], text[4096];

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		/* `net list`, `ctl NAME stop` */
		if (word[0] != '-' && i != (v->verbs != NULL ? 0 : 1))
			continue;
		(void)snprintf(line, sizeof(line), "%s%s %s%s", v->name, forms[i][0], word,
			       forms[i][1]);
		line_says(line, text, sizeof(text));
		if (strstr(text, say) == NULL)
			fail_msg("%s: %s", line, text);
	}
}

/* What a row says can be typed: its options are the verb's, its verbs are there, and none of its words is. */
static void check_habit(const struct habit *h, const struct verb *v)
{
	char words[512], *rest, *word;

	(void)snprintf(words, sizeof(words), "%s", h->words);
	for (word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		assert_ptr_equal(habit_of(v->name, word), h->say);
		for (size_t i = 0; word[0] != '-' && v->word != NULL && v->word(i) != NULL; i++)
			assert_string_not_equal(word, v->word(i));
		check_said(v, word, h->say);
		if (word[0] != '-')
			continue;
		check_not_there(v, word);
		check_value(v, word);
	}
	if (strncmp(h->say, "--", 2) != 0)
		return;
	wanted = h->say + 2;
	wanted_is_there = false;
	cmd_each_option(v, look_for, NULL);
	if (!wanted_is_there)
		fail_msg("%s has no '%s'", v->name, h->say);
}

static void habits__say_what_can_be_typed(void **state)
{
	const struct habit *h;

	(void)state;
	for (unsigned i = 0; (h = habit_at(i)) != NULL; i++) {
		char text[256], *rest, *word;

		(void)snprintf(text, sizeof(text), "%s", h->verb);
		for (word = strtok_r(text, " ", &rest); word != NULL;
		     word = strtok_r(NULL, " ", &rest)) {
			assert_non_null(verb_find(word));
			check_habit(h, verb_find(word));
		}
		for (const char *p = h->say; (p = strstr(p, "sill ")) != NULL;) {
			p += strlen("sill ");
			(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(p, " ;,"), p);
			assert_non_null(verb_find(text));
		}
	}
	assert_null(habit_of("down", "--"));
	assert_null(habit_of("down", ""));
	assert_null(habit_of("down", "-t --time"));
	assert_null(habit_of("up", "--force")); /* another verb's */
}

static void verbs__know_the_words_of_other_tools(void **state)
{
	static const char *const rows[][2] = {
		{ "up -d a.yaml", "unknown option '-d': it is in the background without it\n" },
		{ "up --file=a.yaml", "'--file=a.yaml': the file stands alone" },
		{ "apply --dry-run a.yaml", "'--dry-run': sill plan tells" },
		{ "down --force a", "'--force': --now\n" },
		{ "down --all", "unknown option '--all': name them" }, /* no --allow-hollow-kvm */
		{ "down --all=1", "'--all=1': name them" },
		{ "up --var size=4G a.yaml", "'--var': --set NAME=VALUE\n" },
		{ "up --var=size=4G a.yaml", "'--var=size=4G': --set NAME=VALUE\n" },
		{ "import -hda x", "'-hda': a command stands behind" },
		{ "console web --send --command", "sill: no VM named 'web'" },
		{ "down --frobnicate a", "unknown option '--frobnicate'\n" },
		{ "fmt -w a.yaml", "unknown option '-w': files are written without it" },
		{ "ctl a stop", "there is no 'stop': shutdown, at once" },
		{ "ctl a paus", "there is no 'paus'; is it 'pause'?" },
		{ "ctl info a", "there is no 'a': the VM's name comes first, sill ctl a info\n" },
		{ "ctl a frobnicate", "there is no 'frobnicate'\n" },
		{ "sac a reboot", "there is no 'reboot': restart\n" },
		{ "sac status a", "the VM's name comes first, sill sac a status\n" },
		{ "net list", "unknown verb 'list': sill net status NAME" },
		{ "net stauts a", "unknown verb 'stauts'; did you mean 'status'?" },
		{ "image clone a b", "unknown verb 'clone': convert\n" },
	};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		line_says(rows[i][0], text, sizeof(text));
		if (strstr(text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], text);
	}
}

static void cmd_nearest__guesses_or_is_silent(void **state)
{
	static const char *const names[] = { "validate", "version", "help" };

	(void)state;
	assert_string_equal(cmd_nearest("valdate", names, 3), "validate");
	assert_string_equal(cmd_nearest("hlep", names, 3), "help");
	assert_null(cmd_nearest("frobnicate", names, 3));
}

static void cmd_error__maps_codes_to_exit_statuses(void **state)
{
	static const struct {
		enum sill_err_code code;
		int status;
	} map[] = {
		{ SILL_ERR_MANIFEST, 2 }, { SILL_ERR_HOST, 3 },  { SILL_ERR_LIMIT, 3 },
		{ SILL_ERR_GUEST, 4 },    { SILL_ERR_STATE, 1 }, { SILL_ERR_INTERNAL, 1 },
	};
	int keep = dup(2);

	(void)state;
	assert_non_null(freopen("/dev/null", "w", stderr));
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		const struct sill_err e = { .code = map[i].code, .msg = "m", .hint = "h" };

		assert_int_equal(cmd_error(&e), map[i].status);
	}
	(void)fflush(stderr);
	assert_true(dup2(keep, 2) == 2);
	(void)close(keep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmd_options__takes_options_anywhere),
		cmocka_unit_test(cmd_options__knows_letters_equals_and_the_end),
		cmocka_unit_test(cmd_options__are_as_those_of_other_programs),
		cmocka_unit_test(cmd_options__takes_color_for_every_verb),
		cmocka_unit_test(cmd_options__refuses_what_it_does_not_know),
		cmocka_unit_test(verb_table__is_whole_and_findable),
		cmocka_unit_test(verb_help__knows_the_words_of_other_tools),
		cmocka_unit_test(habits__say_what_can_be_typed),
		cmocka_unit_test(verbs__know_the_words_of_other_tools),
		cmocka_unit_test(cmd_nearest__guesses_or_is_silent),
		cmocka_unit_test(cmd_error__maps_codes_to_exit_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
