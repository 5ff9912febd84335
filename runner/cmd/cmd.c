/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.c - take the options of a verb, say what is wrong. */
#include "runner/cmd/cmd.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runner/cmd/habits.h"
#include "runner/report/diag.h"
#include "runner/report/text.h"

const char *cmd_nearest(const char *name, const char *const *names, size_t count)
{
	unsigned least = ~0u, dist;
	const char *best = NULL;

	for (size_t i = 0; i < count; i++) {
		if (text_similar(name, names[i], &dist) && dist < least) {
			least = dist;
			best = names[i];
		}
	}
	return best;
}

const struct verb *cmd_verb_of(const struct verb *v, int argc, char **argv, int *ret_status)
{
	const char *names[32];
	char clean[TEXT_SHORT];
	size_t count = 0;

	*ret_status = CMD_FAILED;
	if (argc < 2) {
		(void)cmd_usage(v, "which verb?");
		return NULL;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		cmd_print_help(stdout, v);
		*ret_status = CMD_DONE;
		return NULL;
	}
	for (; v->verbs[count] != NULL && count < sizeof(names) / sizeof(names[0]); count++) {
		names[count] = v->verbs[count]->name + strlen(v->name) + 1;
		if (strcmp(argv[1], names[count]) == 0)
			return v->verbs[count];
	}
	(void)text_clean(clean, sizeof(clean), argv[1], strlen(argv[1]));
	if (habit_of(v->name, argv[1]) != NULL)
		(void)cmd_usage(v, "unknown verb '%s': %s", clean, habit_of(v->name, argv[1]));
	else if (cmd_nearest(argv[1], names, count) != NULL)
		(void)cmd_usage(v, "unknown verb '%s'; did you mean '%s'?", clean,
				cmd_nearest(argv[1], names, count));
	else
		(void)cmd_usage(v, "unknown verb '%s'", clean);
	return NULL;
}

int cmd_no_word(const struct verb *v, const char *first, const char *word)
{
	const char *names[64];
	size_t count = 0;
	bool turned = false;

	for (; count < sizeof(names) / sizeof(names[0]) && v->word(count) != NULL; count++) {
		names[count] = v->word(count);
		turned |= strcmp(names[count], first) == 0;
	}
	if (turned)
		return cmd_usage(v, "there is no '%s': the VM's name comes first, sill %s %s %s",
				 word, v->name, word, first);
	if (habit_of(v->name, word) != NULL)
		return cmd_usage(v, "there is no '%s': %s", word, habit_of(v->name, word));
	if (cmd_nearest(word, names, count) != NULL)
		return cmd_usage(v, "there is no '%s'; is it '%s'?", word,
				 cmd_nearest(word, names, count));
	return cmd_usage(v, "there is no '%s'", word);
}

int cmd_usage(const struct verb *v, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	(void)fprintf(stderr, "sill %s: ", v->name);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_say(stderr, "%s", text);
	(void)fprintf(stderr, "usage: sill %s %s\n`sill help %s` tells more\n", v->name, v->args,
		      v->name);
	return CMD_FAILED;
}

void cmd_print_help(FILE *f, const struct verb *v)
{
	(void)fprintf(f, "usage: sill %s %s\n\n%s\n", v->name, v->args, v->summary);
	if (v->verbs != NULL)
		(void)fputc('\n', f);
	for (size_t i = 0; v->verbs != NULL && v->verbs[i] != NULL; i++)
		(void)fprintf(f, "  %-16s %s\n", v->verbs[i]->name, v->verbs[i]->summary);
	if (v->help != NULL)
		(void)fprintf(f, "\n%s", v->help);
}

/* What is to be said of the option @given; "--file=x" is "--file". */
static const char *habit_of_option(const struct verb *v, const char *given)
{
	const size_t n = strcspn(given, "=");
	char bare[TEXT_SHORT];

	if (n >= sizeof(bare))
		return NULL;
	(void)snprintf(bare, sizeof(bare), "%.*s", (int)n, given);
	return habit_of(v->name, bare);
}

static int bad_option(const struct verb *v, const char *given, const struct opt *opts, size_t count)
{
	const char *best = NULL, *habit = habit_of_option(v, given);
	unsigned least = ~0u, dist;
	char clean[TEXT_SHORT];

	for (size_t i = 0; i < count && strncmp(given, "--", 2) == 0; i++) {
		if (text_similar(given + 2, opts[i].name, &dist) && dist < least) {
			least = dist;
			best = opts[i].name;
		}
	}
	(void)text_clean(clean, sizeof(clean), given, strlen(given));
	if (habit != NULL)
		(void)cmd_usage(v, "unknown option '%s': %s", clean, habit);
	else if (best != NULL)
		(void)cmd_usage(v, "unknown option '%s'; did you mean '--%s'?", clean, best);
	else
		(void)cmd_usage(v, "unknown option '%s'", clean);
	return CMD_OPTS_BAD;
}

/* --color WHEN, which every verb takes. -1 when the mistake was reported. */
static int take_colour(const struct verb *v, const char *text)
{
	char clean[TEXT_SHORT];

	if (colour_set(text) == 0)
		return 0;
	(void)text_clean(clean, sizeof(clean), text, strlen(text));
	(void)cmd_usage(v, "--color is auto, always or never, not '%s'", clean);
	return -1;
}

enum {
	MAX_OPTS = 32, /* of one verb */
	NAMED = 256,   /* what getopt_long() returns for opts[0]; beyond every letter */
	NO_VALUE = ':',
};

/* What getopt_long() knows an option by: its letter, or else its place. */
static int opt_code(const struct opt *opts, size_t i)
{
	return opts[i].letter != 0 ? opts[i].letter : NAMED + (int)i;
}

static const struct opt *opt_of(const struct opt *opts, size_t count, int code)
{
	for (size_t i = 0; i < count; i++)
		if (opt_code(opts, i) == code)
			return &opts[i];
	return NULL;
}

/* The tables of getopt_long() for @opts, --help and --color. */
static void make_tables(const struct opt *opts, size_t count, struct option table[MAX_OPTS + 3],
			char letters[2 * MAX_OPTS + 3])
{
	size_t n = 0;

	assert(count <= MAX_OPTS);
	letters[n++] = NO_VALUE;
	letters[n++] = 'h';
	for (size_t i = 0; i < count; i++) {
		table[i] = (struct option){ .name = opts[i].name,
					    .has_arg = opts[i].flag == NULL,
					    .val = opt_code(opts, i) };
		if (opts[i].letter == 0)
			continue;
		letters[n++] = opts[i].letter;
		if (opts[i].flag == NULL)
			letters[n++] = ':';
	}
	letters[n] = '\0';
	table[count] = (struct option){ .name = "help", .val = 'h' };
	table[count + 1] = (struct option){ .name = "color", .has_arg = 1, .val = NAMED - 1 };
	table[count + 2] = (struct option){ 0 };
}

/* What getopt_long() took of @word is done with. */
static int take_option(const struct verb *v, const char *word, int code, const struct opt *opts,
		       size_t count)
{
	const int about = code == '?' || code == NO_VALUE ? optopt : code;
	const struct opt *o = opt_of(opts, count, about);

	if (about == 'h' || about == NAMED - 1) {
		if (code == 'h')
			cmd_print_help(stdout, v);
		if (code == 'h' || code == '?')
			return code == 'h' ? CMD_OPTS_HELP : bad_option(v, word, opts, count);
		return take_colour(v, code == NO_VALUE ? "" : optarg) < 0 ? CMD_OPTS_BAD : 0;
	}
	if (o == NULL && optopt != 0) /* a letter, which may stand among others */
		return bad_option(v, (char[]){ '-', (char)optopt, '\0' }, opts, count);
	if (o == NULL)
		return bad_option(v, word, opts, count);
	if (code == '?') {
		(void)cmd_usage(v, "--%s takes no value", o->name);
		return CMD_OPTS_BAD;
	}
	if (o->flag != NULL) {
		*o->flag = true;
		return 0;
	}
	if (code == NO_VALUE || optarg[0] == '\0') {
		(void)cmd_usage(v, "--%s needs a value", o->name);
		return CMD_OPTS_BAD;
	}
	if (o->list == NULL) {
		*o->text = optarg;
	} else if (o->list->count < sizeof(o->list->items) / sizeof(o->list->items[0])) {
		o->list->items[o->list->count++] = optarg;
	} else {
		(void)cmd_usage(v, "--%s is there too often", o->name);
		return CMD_OPTS_BAD;
	}
	return 0;
}

/* Not NULL while the options are only to be told. */
static void (*teller)(void *ctx, const struct opt *o);
static void *teller_ctx;

void cmd_each_option(const struct verb *v, void (*fn)(void *ctx, const struct opt *o), void *ctx)
{
	char name[32];
	char *argv[] = { name, NULL };

	(void)snprintf(name, sizeof(name), "%s", v->name);
	teller = fn;
	teller_ctx = ctx;
	(void)v->run(1, argv);
	teller = NULL;
}

static int tell_options(const struct opt *opts, size_t count)
{
	static bool help;
	static const char *color;
	const struct opt help_opt = { .name = "help", .letter = 'h', .flag = &help },
			 color_opt = { .name = "color", .text = &color };

	for (size_t i = 0; i < count; i++)
		teller(teller_ctx, &opts[i]);
	teller(teller_ctx, &help_opt);
	teller(teller_ctx, &color_opt);
	return CMD_OPTS_HELP;
}

/* The word with an option that getopt_long() reads next, which is no value of another; NULL: there is none. */
static const char *next_word(int argc, char **argv)
{
	for (int i = optind != 0 ? optind : 1; i < argc; i++)
		if (argv[i][0] == '-' && argv[i][1] != '\0')
			return argv[i];
	return NULL;
}

int cmd_options(const struct verb *v, int argc, char **argv, const struct opt *opts, size_t count)
{
	struct option table[MAX_OPTS + 3];
	char letters[2 * MAX_OPTS + 3];
	const char *word = NULL, *before;
	int code, ret;

	if (teller != NULL)
		return tell_options(opts, count);
	make_tables(opts, count, table, letters);
	optind = 0; /* from the beginning, whoever has called before */
	opterr = 0;
	for (;;) {
		before = word;
		word = next_word(argc, argv);
		code = getopt_long(argc, argv, letters, table, NULL);
		if (code == -1 || word == NULL)
			break;
		/* `down --all` is no short form of --allow-hollow-kvm. Letters may stand together. */
		if (word != before && habit_of_option(v, word) != NULL)
			return bad_option(v, word, opts, count);
		ret = take_option(v, word, code, opts, count);
		if (ret != 0)
			return ret;
	}
	for (int i = optind; i < argc; i++)
		argv[1 + i - optind] = argv[i];
	return argc - optind;
}

bool cmd_is_yes(const char *question)
{
	char line[16];

	(void)printf("%s [y/N] ", question);
	(void)fflush(stdout);
	return fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

bool cmd_time(const char *text, uint64_t *ret_ms)
{
	char *end;
	const unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || n > 86400)
		return false;
	*ret_ms = strcmp(end, "ms") == 0 ? n : n * 1000;
	return end[0] == '\0' || strcmp(end, "s") == 0 || strcmp(end, "ms") == 0;
}

int cmd_flush(void)
{
	static bool said; /* once in the program */
	const int err = fflush(stdout) != 0 ? errno : 0;
	const bool bad = ferror(stdout) != 0;

	if (bad && err != EPIPE && !said)
		(void)fprintf(stderr, "sill: standard output: %s\n",
			      err != 0 ? strerrordesc_np(err) : "not all of it is written");
	said |= bad;
	return bad ? CMD_FAILED : CMD_DONE;
}

int cmd_error(const struct sill_err *e)
{
	(void)fprintf(stderr, "sill: %s%s\n", e->code == SILL_ERR_INTERNAL ? "bug: " : "", e->msg);
	if (e->hint[0] != '\0')
		(void)fprintf(stderr, "   hint: %s\n", e->hint);
	switch (e->code) {
	case SILL_ERR_MANIFEST:
		return CMD_MANIFEST;
	case SILL_ERR_HOST:
	case SILL_ERR_LIMIT:
		return CMD_HOST;
	case SILL_ERR_GUEST:
		return CMD_GUEST;
	case SILL_ERR_NONE:
	case SILL_ERR_STATE:
	case SILL_ERR_INTERNAL:
		break;
	}
	return CMD_FAILED;
}
