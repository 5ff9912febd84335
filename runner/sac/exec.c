/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - a command in a command prompt, its output and its exit status. See shell.h.
 *
 * A screen loses lines that go by faster than it is painted, and tabs, and what is wider than it is. So the output
 * goes to a file; certutil writes it as lines of Base64 (64 characters each, a head and an end around them), and
 * findstr shows twenty of them at a time, each with its number.
 */
#include "runner/sac/shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "runner/sac/line.h"

enum {
	SILENCE_MS = 60000, /* of a prompt that has something to say */
	STOP_MS = 10000,    /* for a command that was interrupted */
	PAGE = 20,          /* lines of a screen of 24 */
	WIDTH = 64,         /* of a line of Base64 */
	TRIES = 5,
	WORD = 7, /* bytes of a command's word that are looked at: else, and what is behind rem */
};

void sac_output_fini(struct sac_output *o)
{
	free(o->text);
	*o = (struct sac_output){ 0 };
}

/* A command as it is read: where the next word stands, and what was before it. */
struct reading {
	enum { ARGUMENT, COMMAND, IN_IF } at;
	bool ifs, loops;
};

/* The length of the word at @p, up to one of @ends that is not quoted; its first bytes, without carets, into @ret. */
static size_t take_word(const char *p, const char *ends, char ret[WORD + 1])
{
	bool quoted = false;
	size_t n = 0, got = 0;

	for (; p[n] != '\0' && (quoted || strchr(ends, p[n]) == NULL); n++) {
		if (p[n] == '^' && !quoted && p[n + 1] != '\0')
			n++;
		else if (p[n] == '"')
			quoted = !quoted;
		if (got < WORD)
			ret[got++] = p[n];
	}
	ret[got] = '\0';
	return n;
}

/* The length of the redirection at @p, with its target. */
static size_t take_redirection(const char *p)
{
	char word[WORD + 1];
	size_t n = strspn(p, "<>");

	n += p[n] == '&';
	n += strspn(p + n, " \t,;=");
	return n + take_word(p + n, " \t,;=()&|<>", word);
}

/* An option may be behind it: if/i. */
static bool is_word(const char *word, const char *which)
{
	const size_t n = strlen(which);

	return strncasecmp(word, which, n) == 0 && (word[n] == '\0' || word[n] == '/');
}

/* What begins so takes all that follows on the line, the parenthesis behind it, too: rem, or a label. */
static bool is_comment(const char *word)
{
	return word[0] == ':' ||
	       (strncasecmp(word, "rem", 3) == 0 && strchr(" \t,;=.:/+([&|<>)", word[3]) != NULL);
}

static void read_sign(struct reading *r, char sign)
{
	if (sign == '&' || sign == '|' || (sign == '(' && r->at != IN_IF))
		r->at = COMMAND;
	else if (sign == ')')
		r->at = r->ifs ? IN_IF : ARGUMENT;
}

static void read_word(struct reading *r, const char *word)
{
	const bool begins_if = r->at == COMMAND && is_word(word, "if");

	r->ifs |= begins_if;
	r->loops |= r->at != ARGUMENT && is_word(word, "for");
	if ((r->loops && is_word(word, "do")) || (r->ifs && is_word(word, "else")))
		r->at = COMMAND;
	else if (r->at == COMMAND)
		r->at = begins_if ? IN_IF : ARGUMENT;
}

/*
 * Does a command of @p begin with a rem or a label? Where the condition of an if ends is not looked for: there a
 * word among the others is taken for one, too.
 */
static bool has_comment(const char *p)
{
	static const char signs[] = " \t@,;=()&|";
	struct reading r = { .at = COMMAND };

	while (*p != '\0') {
		char word[WORD + 1];

		if (*p == '<' || *p == '>') {
			p += take_redirection(p);
		} else if (strchr(signs, *p) != NULL) {
			read_sign(&r, *p++);
		} else {
			const char first = *p;
			const size_t n = take_word(p, " \t@,;=()&|<>", word);

			p += n;
			/* The number of what is redirected is no word. */
			if (n == 1 && first >= '0' && first <= '9' && (*p == '<' || *p == '>'))
				continue;
			if (r.at != ARGUMENT && is_comment(word))
				return true;
			read_word(&r, word);
		}
	}
	return false;
}

int sac_exec_check(const char *command, struct sill_err *e)
{
	int depth = 0;
	bool quoted = false;

	if (strlen(command) > SAC_COMMAND)
		return sill_err_set(e, SILL_ERR_LIMIT, "a command has at most %d bytes",
				    SAC_COMMAND);
	for (const char *p = command; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~') {
			(void)sill_err_set(e, SILL_ERR_STATE, "a command is printable ASCII");
			return sill_err_hint(e, "powershell -EncodedCommand takes the rest");
		}
	}
	for (const char *p = command; *p != '\0' && depth >= 0; p++) {
		if (*p == '^' && !quoted) {
			if (*++p == '\0')
				return sill_err_set(e, SILL_ERR_STATE,
						    "a command does not end with ^");
		} else if (*p == '"') {
			quoted = !quoted;
		} else if (!quoted) {
			depth += (*p == '(') - (*p == ')');
		}
	}
	if (has_comment(command)) {
		(void)sill_err_set(e, SILL_ERR_STATE, "a command has no rem and no label in it");
		return sill_err_hint(
			e, "they take the rest of the line, with what is behind the command");
	}
	if (!quoted && depth == 0)
		return command[0] != '\0' ? 0 : sill_err_set(e, SILL_ERR_STATE, "no command");
	(void)sill_err_set(e, SILL_ERR_STATE, "the command's %s are not in pairs",
			   quoted ? "quotes" : "parentheses");
	return sill_err_hint(e, quoted ? "a single quote is written ^\""
				       : "a single parenthesis is written ^( or ^)");
}

/* Type @line; the prompt must come. 0, or -1 and @e. */
static int run(struct sac_shell *sh, const char *line, struct sill_err *e)
{
	const int ret = sac_shell_run(sh, line, SILENCE_MS, e);

	if (ret == 0)
		return sill_err_set(e, SILL_ERR_STATE, "the prompt does not come back");
	return ret < 0 ? -1 : 0;
}

/* The channel is ours as before, and the machine has not begun anew. */
static bool is_inside(const struct sac_shell *sh)
{
	return sh->sac->boots == sh->boots && sh->sac->side == SAC_CHANNEL && !sh->sac->own;
}

/*
 * It takes as long as it takes. When the time is over, or nobody waits any more, it is interrupted: the channel
 * shall not stay behind.
 */
static int run_command(struct sac_shell *sh, const char *command, struct sill_err *e)
{
	char line[SAC_COMMAND + 64];
	struct sill_err after = { 0 };

	(void)snprintf(line, sizeof(line), "(echo.&%s)<nul >\"%%s_%%\" 2>&1", command);
	if (sac_shell_run(sh, line, LINE_NO_SILENCE, e) > 0)
		return 0;
	(void)sill_err_set(e, SILL_ERR_STATE, "the command does not end");
	if (!is_inside(sh) || line_is_locked(sh))
		return -1;
	sh->deadline_ms = sh->wire->now_ms(sh->wire->ctx) + STOP_MS;
	if (line_send(sh, "\x03", 1, &after) == 0)
		sh->at_prompt = line_await(sh, line_is_prompt, STOP_MS, &after) > 0;
	return -1;
}

/* The row that says it twice, so that half of it is none. */
static bool find_status(const struct sac_shell *sh, int32_t *ret)
{
	char row[SCREEN_COLS + 1];
	int first, second, end;

	for (int r = 0; r < SCREEN_ROWS; r++) {
		end = 0;
		screen_row(sh->screen, r, row);
		if (sscanf(row, "__END_%d_%d__%n", &first, &second, &end) == 2 && end > 0 &&
		    first == second) {
			*ret = first;
			return true;
		}
	}
	return false;
}

static int get_status(struct sac_shell *sh, int32_t *ret, struct sill_err *e)
{
	for (unsigned i = 0; i < TRIES; i++) {
		if (run(sh, "cls&echo __END_%errorlevel%_%errorlevel%__", e) < 0)
			return -1;
		if (find_status(sh, ret))
			return 0;
	}
	return sill_err_set(e, SILL_ERR_STATE, "the exit status does not come through");
}

/* ---- the output ---- */

static int value_of(char c)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(letters, c) : NULL;

	return at != NULL ? (int)(at - letters) : -1;
}

/* A line of Base64 into @ret, of WIDTH bytes. The number of them, or -1: it is none. */
static int decode(const char *p, size_t n, char *ret)
{
	size_t pads = 0, got = 0;

	while (pads < 2 && n > pads && p[n - 1 - pads] == '=')
		pads++;
	if (n == 0 || n > WIDTH || n % 4 != 0)
		return -1;
	for (size_t i = 0; i < n; i += 4) {
		uint32_t v = 0;

		for (size_t j = i; j < i + 4; j++) {
			const int d = j >= n - pads ? 0 : value_of(p[j]);

			if (d < 0)
				return -1;
			v = v << 6 | (uint32_t)d;
		}
		for (int shift = 16; shift >= 0; shift -= 8)
			ret[got++] = (char)(v >> shift);
	}
	return (int)(got - pads);
}

/* The screen's row for line @number, without its number. NULL: it is not there. */
static const char *find_line(const struct sac_shell *sh, unsigned number, char row[SCREEN_COLS + 1])
{
	char head[16];
	const int n = snprintf(head, sizeof(head), "%u:", number);

	for (int r = 0; r < SCREEN_ROWS; r++) {
		size_t end = SCREEN_COLS;

		screen_row(sh->screen, r, row);
		if (memcmp(row, head, (size_t)n) != 0)
			continue;
		while (end > 0 && row[end - 1] == ' ')
			row[--end] = '\0';
		return row + n;
	}
	return NULL;
}

/* Lines @first to @last, which the screen shows, into @o. 1: that was the end; 0; -1: they are not all there. */
static int take_page(const struct sac_shell *sh, unsigned first, unsigned last,
		     struct sac_output *o)
{
	const size_t before = o->n;
	char row[SCREEN_COLS + 1], bytes[WIDTH];

	for (unsigned i = first; i <= last; i++) {
		const char *line = find_line(sh, i, row);
		int n;

		if (line != NULL && i == 1 && strncmp(line, "-----BEGIN", 10) == 0)
			continue;
		if (line != NULL && i > 1 && strncmp(line, "-----END", 8) == 0)
			return 1;
		n = line != NULL ? decode(line, strlen(line), bytes) : -1;
		/* All but the last are full. */
		if (n < 0 || o->n % (WIDTH / 4 * 3) != 0) {
			o->n = before;
			return -1;
		}
		memcpy(o->text + o->n, bytes, (size_t)n);
		o->n += (size_t)n;
	}
	return 0;
}

/* What findstr looks for: lines 1 to 19, 20 to 39 ... */
static void page_line(unsigned page, char *ret, size_t size)
{
	if (page == 0)
		(void)snprintf(ret, size,
			       "cls&findstr /n \"^\" \"%%s_%%b\"|findstr \"^[1-9]: ^1[0-9]:\"");
	else
		(void)snprintf(ret, size,
			       "cls&findstr /n \"^\" \"%%s_%%b\"|findstr \"^%u[0-9]: ^%u[0-9]:\"",
			       2 * page, 2 * page + 1);
}

static int get_page(struct sac_shell *sh, unsigned page, struct sac_output *o, struct sill_err *e)
{
	const unsigned first = page == 0 ? 1 : page * PAGE;
	char line[96];

	page_line(page, line, sizeof(line));
	for (unsigned i = 0; i < TRIES; i++) {
		int end;

		if (run(sh, line, e) < 0)
			return -1;
		end = take_page(sh, first, page * PAGE + PAGE - 1, o);
		if (end >= 0)
			return end;
	}
	(void)sill_err_set(e, SILL_ERR_STATE, "the command's output does not come through");
	return sill_err_hint(e, "has this Windows a certutil?");
}

static int get_output(struct sac_shell *sh, struct sac_output *o, struct sill_err *e)
{
	int end = 0;

	o->text = malloc(SAC_OUTPUT + PAGE * WIDTH);
	if (o->text == NULL)
		return sill_err_sys(e, ENOMEM, "the command's output");
	if (run(sh, "certutil -f -encode \"%s_%\" \"%s_%b\">nul", e) < 0)
		return -1;
	for (unsigned page = 0; end == 0 && o->n <= SAC_OUTPUT; page++) {
		end = get_page(sh, page, o, e);
		if (end < 0)
			return -1;
	}
	o->cut = end == 0;
	/* The file begins with an empty line of ours: certutil takes no empty file. */
	if (o->n < 2 || memcmp(o->text, "\r\n", 2) != 0)
		return sill_err_set(e, SILL_ERR_STATE, "the command's output has been changed");
	o->n -= 2;
	memmove(o->text, o->text + 2, o->n);
	return 0;
}

int sac_exec(struct sac_shell *sh, const char *command, struct sac_output *ret, struct sill_err *e)
{
	struct sac_output o = { 0 };
	char line[96];
	uint32_t name = 0;

	if (sac_exec_check(command, e) < 0)
		return -1;
	if (getrandom(&name, sizeof(name), GRND_NONBLOCK) != (ssize_t)sizeof(name))
		name = (uint32_t)sh->wire->now_ms(sh->wire->ctx);
	(void)snprintf(line, sizeof(line), "set s_=%%TEMP%%\\sill%08x&chcp 65001>nul", name);
	/* chcp sets the exit status to 0, and what is written to files to UTF-8. */
	if (run(sh, line, e) < 0 || run_command(sh, command, e) < 0 ||
	    get_status(sh, &o.status, e) < 0 || get_output(sh, &o, e) < 0) {
		sac_output_fini(&o);
		return -1;
	}
	*ret = o;
	return 0;
}
