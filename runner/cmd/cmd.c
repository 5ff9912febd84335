/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.c - find a verb, take its options, say what is wrong. */
#include "runner/cmd/cmd.h"

#include <stdarg.h>
#include <string.h>

#include "runner/report/diag.h"
#include "runner/report/text.h"

const struct verb *const verb_table[] = {
#define VERB(name) &verb_##name,
#include "runner/cmd/verbs.def"
#undef VERB
	NULL,
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; verb_table[i] != NULL; i++) {
		if (strcmp(verb_table[i]->name, name) == 0)
			return verb_table[i];
	}
	return NULL;
}

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

static int bad_option(const struct verb *v, const char *given, const struct opt *opts, size_t count)
{
	const char *best = NULL;
	unsigned least = ~0u, dist;
	char clean[TEXT_SHORT];

	for (size_t i = 0; i < count && strncmp(given, "--", 2) == 0; i++) {
		if (text_similar(given + 2, opts[i].name, &dist) && dist < least) {
			least = dist;
			best = opts[i].name;
		}
	}
	(void)text_clean(clean, sizeof(clean), given, strlen(given));
	if (best != NULL)
		(void)cmd_usage(v, "unknown option '%s'; did you mean '--%s'?", clean, best);
	else
		(void)cmd_usage(v, "unknown option '%s'", clean);
	return CMD_OPTS_BAD;
}

static const struct opt *find_opt(const char *arg, const struct opt *opts, size_t count,
				  const char **ret_value)
{
	*ret_value = NULL;
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(opts[i].name);

		if (arg[1] != '-') {
			if (opts[i].letter != 0 && arg[1] == opts[i].letter && arg[2] == '\0')
				return &opts[i];
			continue;
		}
		if (strncmp(arg + 2, opts[i].name, len) != 0 ||
		    (arg[2 + len] != '\0' && arg[2 + len] != '='))
			continue;
		if (arg[2 + len] == '=')
			*ret_value = arg + 2 + len + 1;
		return &opts[i];
	}
	return NULL;
}

/* --color WHEN, which every verb takes. The arguments it used up, or -1 when the mistake was reported. */
static int take_colour(const struct verb *v, char **args)
{
	const char *text = args[0] + strlen("--color");
	char clean[TEXT_SHORT];
	int used = 1;

	if (*text == '=') {
		text++;
	} else {
		text = args[1] != NULL ? args[1] : "";
		used = 2;
	}
	if (colour_set(text) == 0)
		return used;
	(void)text_clean(clean, sizeof(clean), text, strlen(text));
	(void)cmd_usage(v, "--color is auto, always or never, not '%s'", clean);
	return -1;
}

static bool is_colour(const char *arg)
{
	return strcmp(arg, "--color") == 0 || strncmp(arg, "--color=", strlen("--color=")) == 0;
}

int cmd_options(const struct verb *v, int argc, char **argv, const struct opt *opts, size_t count)
{
	bool only_operands = false;
	int operands = 0;

	for (int i = 1; i < argc; i++) {
		const struct opt *o;
		const char *value;

		if (only_operands || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[1 + operands++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			only_operands = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			cmd_print_help(stdout, v);
			return CMD_OPTS_HELP;
		}
		if (is_colour(argv[i])) {
			int used = take_colour(v, argv + i);

			if (used < 0)
				return CMD_OPTS_BAD;
			i += used - 1;
			continue;
		}
		o = find_opt(argv[i], opts, count, &value);
		if (o == NULL)
			return bad_option(v, argv[i], opts, count);
		if (o->flag != NULL && value != NULL) {
			(void)cmd_usage(v, "--%s takes no value", o->name);
			return CMD_OPTS_BAD;
		}
		if (o->flag != NULL) {
			*o->flag = true;
			continue;
		}
		if (value == NULL && i + 1 < argc)
			value = argv[++i];
		if (value == NULL || value[0] == '\0') {
			(void)cmd_usage(v, "--%s needs a value", o->name);
			return CMD_OPTS_BAD;
		}
		*o->text = value;
	}
	return operands;
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
