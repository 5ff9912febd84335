/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.c - the commands in a shell script, as far as they start VMs.
 *
 * Quotes, comments, backslashes at the ends of lines, and variables that the text itself sets are understood
 * (POSIX.1-2017, XCU 2.2, 2.3, 2.6.2), and arrays as bash has them: NAME=(...), NAME+=(...), "${NAME[@]}". A variable that
 * the text does not set is not set where it asks: "${NAME-text}", "${NAME:-text}", "${NAME+text}", "${NAME:+text}". Nothing
 * is carried out: what a command would print is not known, and said so.
 */
#include "runner/import/import.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BYTES = 32 << 10, VARIABLES = 256, DEPTH = 8 };

struct shell {
	struct import *im;
	const char *at; /* NUL-terminated */
	unsigned line;
	json_t *vars;    /* owned: texts, and arrays of texts */
	char array[80];  /* the one whose words are being read; "": none */
	size_t array_at; /* behind these words of the command */
	bool array_more; /* it has some already */
	char *word;      /* WORD_BYTES, in the arena */
	size_t len;
	bool open; /* there is a word, though it may be empty */
	char **words;
	size_t count;
	unsigned depth;  /* of ${NAME+text} in such a text */
	size_t commands; /* of VMs */
};

/* ---- one command ---- */

struct program {
	const char *name;
	bool more; /* its builds have more behind that */
	int (*read)(struct import *im, char *const *words, size_t count);
};

static const struct program programs[] = {
	{ "cloud-hypervisor", true, import_ch },
	{ "qemu-system-x86_64", false, import_qemu },
	{ "qemu-system-i386", false, import_qemu },
	{ "qemu-kvm", false, import_qemu },
	{ "kvm", false, import_qemu },
};

static const struct program *program_of(const char *word)
{
	const char *base = strrchr(word, '/') != NULL ? strrchr(word, '/') + 1 : word;

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		const size_t n = strlen(programs[i].name);

		if (strncmp(base, programs[i].name, n) == 0 &&
		    (base[n] == '\0' || programs[i].more))
			return &programs[i];
	}
	return NULL;
}

/* What may stand before a command that it starts. */
static bool is_before(const char *word)
{
	static const char names[] =
		" sudo nohup env exec nice ionice taskset numactl setsid systemd-run time "
		"chrt command ";
	char padded[40];

	if (word[0] == '-' || strchr(word, '=') != NULL || isdigit((unsigned char)word[0]))
		return true;
	(void)snprintf(padded, sizeof(padded), " %.36s ", word);
	return strstr(names, padded) != NULL;
}

/* The program and where it stands in @words; NULL: it is in none of them. */
static const struct program *find_program(char *const *words, size_t count, size_t *ret_at)
{
	for (size_t i = 0; i < count; i++) {
		const struct program *p = program_of(words[i]);

		*ret_at = i;
		if (p != NULL || !is_before(words[i]))
			return p;
	}
	return NULL;
}

int import_command(struct import *im, char *const *words, size_t count)
{
	size_t at;
	const struct program *p = find_program(words, count, &at);

	if (p == NULL)
		return import_fail(im, "no command of Cloud Hypervisor or QEMU: '%.64s'",
				   count > 0 ? words[0] : "");
	return p->read(im, words + at + 1, count - at - 1);
}

/* Commands around a VM's for which Sill has a key or a verb. */
static const struct {
	const char *name, *arg, *why;
} others[] = {
	{ "sysctl", "ip_forward",
	  "not carried out; 'nat: on' in an entry of 'net' has the host forward" },
	{ "iptables", "MASQUERADE", "not carried out; 'nat: on' in an entry of 'net' does it" },
	{ "nft", "masquerade", "not carried out; 'nat: on' in an entry of 'net' does it" },
	{ "qemu-img", "create",
	  "not carried out; `sill image create -f FORMAT FILE SIZE` makes an image" },
	{ "socat", "TCP",
	  "not carried out; 'serial: {mode: tcp, connect: HOST:PORT}' connects a port" },
	{ "ch-remote", "", "not carried out; `sill ctl` speaks to a VM that runs" },
	{ "swtpm", "", "not carried out: Sill has no TPM yet" },
	{ "virtiofsd", "", "not carried out: Sill has no shared directories yet" },
};

static void tell_other(struct shell *s)
{
	const char *base =
		strrchr(s->words[0], '/') != NULL ? strrchr(s->words[0], '/') + 1 : s->words[0];

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcmp(base, others[i].name) != 0)
			continue;
		for (size_t j = 0; j < s->count; j++)
			if (strstr(s->words[j], others[i].arg) != NULL) {
				import_note(s->im, base, "%s", others[i].why);
				return;
			}
	}
}

/* ---- words ---- */

static int put(struct shell *s, char c)
{
	if (s->len + 1 >= WORD_BYTES)
		return import_fail(s->im, "line %u: a word longer than %d bytes", s->line,
				   WORD_BYTES);
	s->word[s->len++] = c;
	s->open = true;
	return 0;
}

static int end_word(struct shell *s)
{
	char *copy;

	if (!s->open)
		return 0;
	if (s->count >= IMPORT_WORDS)
		return import_fail(s->im, "line %u: more than %d words in a command", s->line,
				   IMPORT_WORDS);
	copy = arena_copy(&s->im->a, s->word, s->len);
	if (copy == NULL)
		return import_fail(s->im, "too much text");
	s->words[s->count++] = copy;
	s->len = 0;
	s->open = false;
	return 0;
}

/* How long the name of a variable at @p is; 0: there is none. */
static size_t name_length(const char *p)
{
	size_t n = 0;

	if (isdigit((unsigned char)p[0]))
		return 0;
	while (isalnum((unsigned char)p[n]) || p[n] == '_')
		n++;
	return n < 64 ? n : 0;
}

/* Outside of quotes, blanks in a value end words. */
static int put_value(struct shell *s, const char *v, bool quoted)
{
	for (; *v != '\0'; v++) {
		if (!quoted && isspace((unsigned char)*v)) {
			if (end_word(s) < 0)
				return -1;
		} else if (put(s, *v) < 0) {
			return -1;
		}
	}
	return 0;
}

static int put_literal(struct shell *s, size_t n)
{
	for (; n > 0 && *s->at != '\0'; n--, s->at++) {
		s->line += *s->at == '\n';
		if (put(s, *s->at) < 0)
			return -1;
	}
	return 0;
}

/* What begins at a '$' or '`' and what a shell would carry out, up to @close. */
static int put_command(struct shell *s, const char *close)
{
	const char *end = strchr(s->at + 1, close[0]);

	import_lost(s->im, "$(...)", "line %u: what a command prints is not known here", s->line);
	return put_literal(s, end != NULL ? (size_t)(end - s->at) + 1 : strlen(s->at));
}

/* All of @list: "${NAME[@]}" is a word each, also in quotes; "${NAME[*]}" in quotes is one (@joined). */
static int put_elements(struct shell *s, const json_t *list, bool quoted, bool joined)
{
	const size_t count = json_array_size(list);

	/* Quotes around nothing are a word, these are not. */
	if (count == 0 && s->len == 0 && !joined)
		s->open = false;
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && joined && put(s, ' ') < 0)
			return -1;
		if (i > 0 && !joined && end_word(s) < 0)
			return -1;
		s->open |= quoted;
		if (put_value(s, json_string_value(json_array_get(list, i)), quoted) < 0)
			return -1;
	}
	return 0;
}

static int put_quoted(struct shell *s);
static int put_variable(struct shell *s, bool quoted);

/* Does the subscript stand for all elements? */
static bool is_all(const char *sub)
{
	return strncmp(sub, "[@]", 3) == 0 || strncmp(sub, "[*]", 3) == 0;
}

/* What @var is at the subscript @sub, "": none, which of an array is its first. 0; 1: nothing is known; -1: im->err. */
static int put_value_at(struct shell *s, const json_t *var, const char *sub, bool quoted)
{
	const char *v = NULL;

	if (json_is_array(var) && is_all(sub))
		return put_elements(s, var, quoted, quoted && sub[1] == '*');
	if (sub[0] != '[')
		v = json_string_value(json_is_array(var) ? json_array_get(var, 0) : var);
	else if (isdigit((unsigned char)sub[1]))
		v = json_string_value(json_array_get(var, strtoul(sub + 1, NULL, 10)));
	return v != NULL ? put_value(s, v, quoted) : 1;
}

/* @filled: an empty text does not count, nor do many of them. */
static bool is_set(const json_t *var, const char *sub, bool filled)
{
	const size_t at = isdigit((unsigned char)sub[sub[0] == '[']) ? strtoul(sub + 1, NULL, 10)
								     : 0,
		     end = is_all(sub) ? json_array_size(var) : at + 1;

	if (json_is_string(var))
		return sub[0] != '[' && (!filled || json_string_length(var) > 0);
	for (size_t i = at; i < end; i++)
		if (json_is_string(json_array_get(var, i)) &&
		    (!filled || json_string_length(json_array_get(var, i)) > 0))
			return true;
	return false;
}

/* Up to the brace that closes what is open at @p; NULL: none does. */
static const char *closing(const char *p)
{
	unsigned open = 1;

	for (; *p != '\0'; p++) {
		open += p[0] == '$' && p[1] == '{';
		open -= *p == '}';
		if (open == 0)
			return p;
	}
	return NULL;
}

/* The text up to @end, as if it stood where "${NAME+text}" does. */
static int put_text(struct shell *s, const char *end, bool quoted)
{
	int done = 0;

	if (s->depth >= DEPTH)
		return import_fail(s->im, "line %u: ${...} within each other", s->line);
	s->depth++;
	while (done == 0 && s->at < end) {
		if (*s->at == '"' || (*s->at == '\'' && !quoted)) {
			done = put_quoted(s);
		} else if (*s->at == '$') {
			done = put_variable(s, quoted);
		} else if (!quoted && isspace((unsigned char)*s->at)) {
			s->line += *s->at++ == '\n';
			done = end_word(s);
		} else {
			done = put_literal(s, 1);
		}
	}
	s->depth--;
	return done;
}

/*
 * What is between the braces behind the name, up to @close: "", "[1]", ":-text", "[@]+text". 0; 1: it cannot be known;
 * -1: im->err.
 */
static int put_braces(struct shell *s, const json_t *var, const char *sub, const char *close,
		      bool quoted)
{
	const char *op = sub[0] == '[' ? strchr(sub, ']') : sub;
	bool filled, set;

	op += sub[0] == '[' && op != NULL;
	if (op == NULL || op > close)
		return 1;
	filled = op[0] == ':';
	op += filled;
	if (op == close && !filled)
		return put_value_at(s, var, sub, quoted);
	if (*op != '-' && *op != '+')
		return 1;
	set = is_set(var, sub, filled);
	if (set && *op == '-')
		return put_value_at(s, var, sub, quoted);
	if (!set && *op == '+') /* nothing, as all elements of an empty array are, also in quotes */
		return is_all(sub) ? put_elements(s, NULL, quoted, false) : 0;
	s->at = op + 1;
	return put_text(s, close, quoted);
}

/* "$NAME", "${NAME}", "${NAME:-text}", "${NAME+text}"; of an array its first. */
static int put_variable(struct shell *s, bool quoted)
{
	const bool braces = s->at[1] == '{';
	const char *name = s->at + (braces ? 2 : 1);
	const size_t n = name_length(name);
	const char *close = braces ? closing(name) : NULL;
	const json_t *var;
	const char *end;
	char text[80];
	int done;

	if (s->at[1] == '(')
		return put_command(s, ")");
	if (n == 0 || (braces && close == NULL))
		return put_literal(s, 1);
	end = braces ? close + 1 : name + n;
	(void)snprintf(text, sizeof(text), "$%.*s", (int)n, name);
	var = json_object_get(s->vars, text + 1);
	done = braces ? put_braces(s, var, name + n, close, quoted)
		      : put_value_at(s, var, "", quoted);
	if (done == 0)
		s->at = end;
	if (done <= 0)
		return done;
	import_lost(s->im, text, "line %u: the text does not say what it stands for", s->line);
	return put_literal(s, (size_t)(end - s->at));
}

static int put_quoted(struct shell *s)
{
	const char quote = *s->at++;

	s->open = true;
	while (*s->at != quote) {
		if (*s->at == '\0')
			return import_fail(s->im, "line %u: a quote that is not closed", s->line);
		if (quote == '"' && s->at[0] == '\\' && s->at[1] == '\n') {
			s->line++;
			s->at += 2;
			continue;
		}
		if (quote == '"' && *s->at == '$') {
			if (put_variable(s, true) < 0)
				return -1;
			continue;
		}
		if (quote == '"' && *s->at == '\\' && s->at[1] != '\0' &&
		    strchr("\"\\$`", s->at[1]))
			s->at++;
		if (put_literal(s, 1) < 0)
			return -1;
	}
	s->at++;
	return 0;
}

/* ---- commands ---- */

/* "NAME=..." or "NAME+=...": where its value begins; 0: it is none. */
static size_t value_at(const char *word)
{
	const size_t n = name_length(word);

	if (n > 0 && word[n] == '=')
		return n + 1;
	return n > 0 && word[n] == '+' && word[n + 1] == '=' ? n + 2 : 0;
}

static bool is_assignment(const char *word)
{
	return value_at(word) > 0;
}

/* Of an array it is the first. */
static void set_variable(struct shell *s, const char *name, json_t *take_value)
{
	json_t *old = json_object_get(s->vars, name);

	if (!json_is_array(old))
		(void)json_object_set_new(s->vars, name, take_value);
	else if (json_array_size(old) == 0)
		(void)json_array_append_new(old, take_value);
	else
		(void)json_array_set_new(old, 0, take_value);
}

static int set_variables(struct shell *s)
{
	for (size_t i = 0; i < s->count && is_assignment(s->words[i]); i++) {
		char name[80];
		const size_t n = name_length(s->words[i]);
		const char *value = s->words[i] + value_at(s->words[i]), *was = NULL;
		const json_t *old;

		(void)snprintf(name, sizeof(name), "%.*s", (int)n, s->words[i]);
		old = json_object_get(s->vars, name);
		if (s->words[i][n] == '+')
			was = json_string_value(json_is_array(old) ? json_array_get(old, 0) : old);
		if (was != NULL && strlen(was) + strlen(value) >= WORD_BYTES)
			return import_fail(s->im, "line %u: a word longer than %d bytes", s->line,
					   WORD_BYTES);
		if (json_object_size(s->vars) >= VARIABLES)
			return import_fail(s->im, "line %u: more than %d variables", s->line,
					   VARIABLES);
		set_variable(s, name, json_sprintf("%s%s", was != NULL ? was : "", value));
	}
	return 0;
}

static int end_command(struct shell *s)
{
	size_t at;
	int ret = 0;

	if (end_word(s) < 0)
		return -1;
	if (s->count > 0 && strcmp(s->words[0], "export") == 0) {
		s->words[0] = s->words[s->count - 1];
		s->count = 1;
	}
	if (find_program(s->words, s->count, &at) != NULL) {
		s->commands++;
		ret = import_command(s->im, s->words, s->count);
	} else if (s->count > 0 && is_assignment(s->words[0])) {
		ret = set_variables(s);
	} else if (s->count > 0) {
		tell_other(s);
	}
	s->count = 0;
	return ret;
}

/* ---- arrays ---- */

/* At the '(' behind "NAME=" or "NAME+=", which is no word of the command. False: it is another one. */
static bool begin_array(struct shell *s)
{
	s->word[s->len] = '\0';
	if (s->len == 0 || s->array[0] != '\0' || value_at(s->word) != s->len)
		return false;
	(void)snprintf(s->array, sizeof(s->array), "%.*s", (int)name_length(s->word), s->word);
	s->array_more = s->word[s->len - 2] == '+';
	s->array_at = s->count;
	s->len = 0;
	s->open = false;
	s->at++;
	return true;
}

/* Behind its last word. */
static int end_array(struct shell *s)
{
	json_t *old = json_object_get(s->vars, s->array), *list;

	if (end_word(s) < 0)
		return -1;
	list = json_is_array(old) && s->array_more ? json_copy(old) : json_array();
	if (json_is_string(old) && s->array_more)
		(void)json_array_append(list, old);
	for (size_t i = s->array_at; i < s->count; i++)
		(void)json_array_append_new(list, json_string(s->words[i]));
	s->count = s->array_at;
	if (json_object_size(s->vars) >= VARIABLES || json_array_size(list) > IMPORT_WORDS) {
		json_decref(list);
		return import_fail(s->im, "line %u: more than %d variables, or %d words in one",
				   s->line, VARIABLES, IMPORT_WORDS);
	}
	(void)json_object_set_new(s->vars, s->array, list);
	s->array[0] = '\0';
	return 0;
}

/* Between its parentheses lines and what ends commands elsewhere mean nothing. As take_special(). */
static int take_in_array(struct shell *s)
{
	switch (*s->at) {
	case '\n':
		s->line++;
		s->at++;
		return end_word(s);
	case ')':
		s->at++;
		return end_array(s);
	default:
		return strchr(" \t\r'\"$`", *s->at) != NULL ? 2 : 1;
	}
}

/* A command goes on in the next line though there is no backslash: no other begins with '-'. */
static bool goes_on(const struct shell *s)
{
	const char *p = s->at + 1;

	while (*p == ' ' || *p == '\t')
		p++;
	return s->count > 0 && *p == '-';
}

static int take_newline(struct shell *s)
{
	size_t at;

	s->line++;
	if (end_word(s) < 0)
		return -1;
	if (!goes_on(s) || find_program(s->words, s->count, &at) == NULL)
		return end_command(s);
	import_note(s->im, "-",
		    "line %u goes on with the command, though the line before has no '\\'",
		    s->line);
	return 0;
}

/* ">FILE", "2>&1": the number is no word of the command, and neither is the file. */
static int skip_redirection(struct shell *s)
{
	if (s->len == 1 && isdigit((unsigned char)s->word[0])) {
		s->len = 0;
		s->open = false;
	}
	if (end_word(s) < 0)
		return -1;
	while (*s->at == '>' || *s->at == '<' || *s->at == '&')
		s->at++;
	while (*s->at == ' ' || *s->at == '\t')
		s->at++;
	while (*s->at != '\0' && strchr(" \t\n;|&", *s->at) == NULL)
		s->at++;
	return 0;
}

/* What is no part of a plain word. 0: done, 1: it is one, -1: im->err. */
static int take_special(struct shell *s)
{
	const int in = s->array[0] != '\0' ? take_in_array(s) : 2;

	if (in != 2)
		return in;
	switch (*s->at) {
	case '\n':
		return take_newline(s) < 0 ? -1 : (s->at++, 0);
	case ' ':
	case '\t':
	case '\r':
		s->at++;
		return end_word(s);
	case ';':
	case '|':
	case ')':
		s->at++;
		return end_command(s);
	case '(':
		if (begin_array(s))
			return 0;
		s->at++;
		return end_command(s);
	case '&':
		if (s->at[1] == '>')
			return skip_redirection(s);
		s->at++;
		return end_command(s);
	case '<':
	case '>':
		return skip_redirection(s);
	case '\'':
	case '"':
		return put_quoted(s);
	case '$':
		return put_variable(s, false);
	case '`':
		return put_command(s, "`");
	default:
		return 1;
	}
}

static int take(struct shell *s)
{
	const int ret = take_special(s);

	if (ret <= 0)
		return ret;
	if (*s->at == '#' && !s->open) {
		s->at += strcspn(s->at, "\n");
		return 0;
	}
	if (*s->at == '\\' && s->at[1] == '\r' && s->at[2] == '\n')
		s->at++;
	if (*s->at == '\\' && s->at[1] == '\n') {
		s->line++;
		s->at += 2;
		return 0;
	}
	if (*s->at == '\\' && s->at[1] != '\0')
		s->at++;
	return put_literal(s, 1);
}

int import_script(struct import *im, const char *text, size_t size)
{
	struct shell s = { .im = im, .line = 1, .vars = json_object() };
	int ret = 0;

	s.at = arena_copy(&im->a, text, size);
	s.word = arena_alloc(&im->a, WORD_BYTES);
	s.words = arena_alloc(&im->a, IMPORT_WORDS * sizeof(*s.words));
	if (s.at == NULL || s.word == NULL || s.words == NULL)
		ret = import_fail(im, "too much text");
	while (ret == 0 && *s.at != '\0')
		ret = take(&s);
	if (ret == 0 && s.array[0] != '\0')
		ret = import_fail(im, "the parenthesis of '%s' is not closed", s.array);
	if (ret == 0)
		ret = end_command(&s);
	if (ret == 0 && s.commands == 0)
		ret = import_fail(im, "there is no command of Cloud Hypervisor or QEMU in it");
	json_decref(s.vars);
	return ret;
}
