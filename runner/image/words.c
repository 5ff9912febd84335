/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.c - the words that people know from qemu-img.
 *
 * Ours are the documented ones. These are turned into them before the options are
 * looked at, so that a verb knows nothing of it: letters in a row (-pq), values that
 * follow at once (-fqcow2), sizes that begin with '-', -o k=v,k=v more than once.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runner/image/verbs.h"
#include "runner/report/text.h"

enum { MAX_OPTS = 48, MAX_O = 2048 };

/* What every verb takes, though it changes nothing or has another name here. */
struct common {
	bool progress, shared, quiet;
	const char *output, *cache, *source_cache, *format;
};

/* A command line in the making. */
struct line {
	const struct verb *verb;
	struct opt opts[MAX_OPTS];
	size_t count;
	char **out, **operand; /* both owned */
	int outs, operands;
	char *o; /* owned: all that -o said; NULL: nothing */
};

static struct opt *find(struct line *l, const char *name, char letter)
{
	for (size_t i = 0; i < l->count; i++)
		if ((name != NULL && strcmp(l->opts[i].name, name) == 0) ||
		    (letter != 0 && l->opts[i].letter == letter))
			return &l->opts[i];
	return NULL;
}

/* Unless the verb has it. */
static void offer(struct line *l, struct opt o)
{
	if (find(l, o.name, o.letter) == NULL && l->count < MAX_OPTS)
		l->opts[l->count++] = o;
}

static void offer_common(struct line *l, struct common *c)
{
	struct opt *keep = find(l, "keep", 0);

	if (keep != NULL && keep->letter == 0)
		keep->letter = 'd';
	if (find(l, "json", 0) != NULL)
		offer(l, (struct opt){ .name = "output", .text = &c->output });
	offer(l, (struct opt){ .name = "progress", .letter = 'p', .flag = &c->progress });
	offer(l, (struct opt){ .name = "force-share", .letter = 'U', .flag = &c->shared });
	offer(l, (struct opt){ .name = "quiet", .letter = 'q', .flag = &c->quiet });
	offer(l, (struct opt){ .name = "cache", .letter = 't', .text = &c->cache });
	offer(l, (struct opt){ .name = "source-cache", .letter = 'T', .text = &c->source_cache });
	offer(l, (struct opt){ .name = "format", .letter = 'f', .text = &c->format });
}

static int check_common(struct line *l, const struct common *c)
{
	static const char *const modes[] = { "none", "writeback", "writethrough", "directsync",
					     "unsafe" };
	const char *const caches[] = { c->cache, c->source_cache };
	struct opt *json = find(l, "json", 0);
	char shown[TEXT_SHORT];

	if (c->output != NULL && strcmp(c->output, "json") != 0 && strcmp(c->output, "human") != 0)
		return cmd_usage(l->verb, "--output is human or json"), -1;
	if (c->output != NULL && json != NULL)
		*json->flag = strcmp(c->output, "json") == 0;
	if (c->format != NULL && strcmp(c->format, "qcow2") != 0)
		return cmd_usage(l->verb, "--format: this verb is for qcow2 only, not for '%s'",
				 text_clean(shown, sizeof(shown), c->format, strlen(c->format))),
		       -1;
	for (size_t i = 0; i < sizeof(caches) / sizeof(caches[0]); i++) {
		bool known = caches[i] == NULL;

		for (size_t k = 0; k < sizeof(modes) / sizeof(modes[0]) && !known; k++)
			known = strcmp(caches[i], modes[k]) == 0;
		if (!known)
			return cmd_usage(l->verb,
					 "-%c is none, writeback, writethrough, directsync or "
					 "unsafe, and changes nothing here",
					 i == 0 ? 't' : 'T'),
			       -1;
	}
	return 0;
}

/* One more of them, behind those that were there. */
static int add_o(struct line *l, const char *value)
{
	const size_t had = l->o != NULL ? strlen(l->o) + 1 : 0, n = strlen(value);
	char *all;

	if (had + n >= MAX_O)
		return cmd_usage(l->verb, "-o is too long"), -1;
	all = realloc(l->o, had + n + 1);
	if (all == NULL)
		return cmd_usage(l->verb, "no memory"), -1;
	if (had != 0)
		all[had - 1] = ',';
	memcpy(all + had, value, n + 1);
	l->o = all;
	return 0;
}

/* "-x" for every x that there is. */
static char *letter_word(char c)
{
	static char words[128][3];
	char *w = words[(unsigned char)c % 128];

	w[0] = '-';
	w[1] = c;
	w[2] = '\0';
	return w;
}

/* Said here: what follows is not what was written. */
static int needs_value(const struct line *l, const char *name)
{
	(void)cmd_usage(l->verb, "--%s needs a value", name);
	return -1;
}

/* -x with its value, which is the rest of the word or the next one. Returns the words used up, or -1. */
static int add_value(struct line *l, const struct opt *o, char *rest, char *next)
{
	static char none[] = "--no-backing";
	char *value = *rest != '\0' ? rest : next;

	if (value != NULL && value[0] == '\0' && find(l, "no-backing", 0) != NULL &&
	    strcmp(o->name, "backing") == 0) {
		l->out[l->outs++] = none; /* rebase -b '' */
	} else if (o->letter == 'o' && value != NULL && value[0] != '\0') {
		if (add_o(l, value) < 0)
			return -1;
	} else if (value == NULL) {
		return needs_value(l, o->name);
	} else {
		l->out[l->outs++] = letter_word(o->letter);
		l->out[l->outs++] = value;
	}
	return *rest == '\0' ? 2 : 1;
}

static int add_letters(struct line *l, char *word, char *next)
{
	for (char *p = word + 1; *p != '\0'; p++) {
		const struct opt *o = find(l, NULL, *p);

		if (o == NULL) { /* the message is to show what was written */
			l->out[l->outs++] = p == word + 1 ? word : letter_word(*p);
			return 1;
		}
		if (o->text != NULL)
			return add_value(l, o, p + 1, next);
		l->out[l->outs++] = letter_word(*p);
	}
	return 1;
}

static int add_long(struct line *l, char *word, char *next)
{
	const struct opt *o = find(l, word + 2, 0);
	const bool takes = (o != NULL && o->text != NULL) || strcmp(word, "--color") == 0;

	if (takes && next == NULL)
		return needs_value(l, word + 2);
	if (o != NULL && o->letter == 'o')
		return add_o(l, next) < 0 ? -1 : 2;
	l->out[l->outs++] = word;
	if (!takes)
		return 1;
	l->out[l->outs++] = next;
	return 2;
}

static int rewrite(struct line *l, int argc, char **argv)
{
	bool only_operands = false;

	for (int i = 1; i < argc;) {
		char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
		int used = 1;

		if (only_operands || word[0] != '-' || word[1] == '\0' ||
		    isdigit((unsigned char)word[1]) || word[1] == '.')
			l->operand[l->operands++] = word;
		else if (strcmp(word, "--") == 0)
			only_operands = true;
		else if (word[1] == '-')
			used = add_long(l, word, next);
		else
			used = add_letters(l, word, next);
		if (used < 0)
			return -1;
		i += used;
	}
	return 0;
}

/* The options as they were given, and the operands behind them. Returns their number, as cmd_options(). */
static int read_line(struct line *l, int argc, char **argv)
{
	static char end[] = "--";
	int n;

	if (rewrite(l, argc, argv) < 0)
		return CMD_OPTS_BAD;
	if (l->o != NULL) {
		l->out[l->outs++] = letter_word('o');
		l->out[l->outs++] = l->o;
	}
	l->out[l->outs++] = end;
	for (int i = 0; i < l->operands; i++)
		l->out[l->outs++] = l->operand[i];
	l->out[l->outs] = NULL;
	n = cmd_options(l->verb, l->outs, l->out, l->opts, l->count);
	for (int i = 1; i <= n; i++)
		argv[i] = l->out[i];
	return n;
}

int image_options(const struct verb *v, int argc, char **argv, const struct opt *opts, size_t count)
{
	/* Kept to the end of the program: what -o said is looked at by who asked for it. */
	static struct line l;
	struct common c = { 0 };
	size_t most = 8;
	int n = CMD_OPTS_BAD;

	free(l.o);
	l = (struct line){ .verb = v };
	for (size_t i = 0; i < count; i++)
		offer(&l, opts[i]);
	offer_common(&l, &c);
	for (int i = 0; i < argc; i++)
		most += strlen(argv[i]) + 3;
	l.out = calloc(most, sizeof(*l.out));
	l.operand = calloc(most, sizeof(*l.operand));
	if (l.out == NULL || l.operand == NULL) {
		(void)cmd_usage(v, "no memory");
	} else {
		l.out[l.outs++] = argv[0];
		n = read_line(&l, argc, argv);
	}
	if (n >= 0 && check_common(&l, &c) < 0)
		n = CMD_OPTS_BAD;
	free(l.out);
	free(l.operand);
	l.out = l.operand = NULL;
	return n;
}

/* --- -o ---------------------------------------------------------------------- */

static int read_bool(const struct verb *v, const char *key, const char *text, bool *ret)
{
	*ret = strcmp(text, "on") == 0 || strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
	if (*ret || strcmp(text, "off") == 0 || strcmp(text, "false") == 0 ||
	    strcmp(text, "no") == 0)
		return 0;
	return cmd_usage(v, "-o %s is on or off", key), -1;
}

static int set_flag(const struct verb *v, struct image_words *w, const char *key, const char *value)
{
	bool on;

	if (read_bool(v, key, value, &on) < 0)
		return -1;
	if (strcmp(key, "lazy_refcounts") == 0)
		w->lazy = on;
	else if (strcmp(key, "extended_l2") == 0)
		w->subclusters = on;
	else if (!on) /* what we do anyway */
		return cmd_usage(v, "-o %s=off cannot be had: it is always on here", key), -1;
	return 0;
}

static int set_word(const struct verb *v, struct image_words *w, const char *key, const char *value)
{
	const struct {
		const char *key;
		const char **text; /* NULL: a flag */
	} keys[] = {
		{ "cluster_size", &w->block },
		{ "block_size", &w->block },
		{ "preallocation", &w->prealloc },
		{ "compat", &w->compat },
		{ "refcount_bits", &w->refcount_bits },
		{ "subformat", &w->subformat },
		{ "compression_type", &w->compression },
		{ "size", &w->size },
		{ "backing_file", &w->backing },
		{ "backing_fmt", &w->backing_format },
		{ "lazy_refcounts", NULL },
		{ "extended_l2", NULL },
		{ "force_size", NULL },
		{ "block_state_zero", NULL },
	};
	const char *names[sizeof(keys) / sizeof(keys[0])], *near;
	char shown[TEXT_SHORT];
	size_t i = 0;

	for (; i < sizeof(keys) / sizeof(keys[0]); i++) {
		names[i] = keys[i].key;
		if (strcmp(key, keys[i].key) == 0)
			break;
	}
	if (i < sizeof(keys) / sizeof(keys[0]) && keys[i].text == NULL)
		return set_flag(v, w, key, value);
	if (i < sizeof(keys) / sizeof(keys[0])) {
		*keys[i].text = value;
		return 0;
	}
	near = cmd_nearest(key, names, i);
	(void)text_clean(shown, sizeof(shown), key, strlen(key));
	if (near != NULL)
		(void)cmd_usage(v, "-o: there is no '%s'; did you mean '%s'?", shown, near);
	else
		(void)cmd_usage(v,
				"-o: there is no '%s': cluster_size, block_size, preallocation, "
				"compat, refcount_bits, lazy_refcounts, extended_l2, "
				"compression_type, subformat, backing_file, backing_fmt, size",
				shown);
	return -1;
}

int image_words_refuse(const struct verb *v, const struct image_words *w)
{
	if (w->size == NULL && w->backing == NULL && w->backing_format == NULL)
		return 0;
	return cmd_usage(v, "-o size and -o backing_file are for `sill image create`"), -1;
}

int image_words_o(const struct verb *v, struct image_words *w)
{
	static char kept[MAX_O]; /* what is in @w points here */
	char *rest = kept, *item;

	if (w->qemu == NULL)
		return 0;
	if ((size_t)snprintf(kept, sizeof(kept), "%s", w->qemu) >= sizeof(kept))
		return cmd_usage(v, "-o is too long"), -1;
	while ((item = strsep(&rest, ",")) != NULL) {
		char *value = strchr(item, '=');

		if (item[0] == '\0')
			continue;
		if (value != NULL)
			*value++ = '\0';
		/* A flag by its name alone is on. */
		if (set_word(v, w, item, value != NULL ? value : "on") < 0)
			return -1;
	}
	return 0;
}
