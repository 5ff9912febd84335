/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c - see line.h.
 *
 * Characters are lost where a prompt has just begun, and where one equals the one before it (it is taken for a
 * key that bounces). So the screen is compared with what was typed, and what is missing is typed again.
 */
#include "runner/sac/line.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "runner/report/text.h"

enum {
	QUIET_MS = 250,   /* a screen that is not painted just now */
	PACE_MS = 10,     /* from one character to the next */
	AHEAD = 8,        /* characters that have not been shown yet, at most */
	ECHO_MS = 1600,   /* for a character; as long a key bounces */
	SECRET_MS = 1000, /* for a star, if there are any */
	ENTER_MS = 3000,
	CODE_MS = 3000,
	TRIES = 6,
	ROOM = SCREEN_ROWS * SCREEN_COLS,
};

static uint64_t now_of(const struct sac_shell *sh)
{
	return sh->wire->now_ms(sh->wire->ctx);
}

/* Up to the cursor. Its length. */
static size_t row_of_cursor(const struct sac_shell *sh, char ret[SCREEN_COLS + 1])
{
	int row, col;

	screen_cursor(sh->screen, &row, &col);
	screen_row(sh->screen, row, ret);
	ret[col] = '\0';
	return (size_t)col;
}

static size_t without_blanks(const char *row, size_t n)
{
	while (n > 0 && row[n - 1] == ' ')
		n--;
	return n;
}

bool line_is_locked(const struct sac_shell *sh)
{
	char row[SCREEN_COLS + 1];
	size_t n;

	if (!sh->inside || sh->asked[0] == '\0')
		return false;
	n = without_blanks(row, row_of_cursor(sh, row));
	return n == strlen(sh->asked) && memcmp(row, sh->asked, n) == 0;
}

/* Is what we talk to still there? 0, or -1 and @e. */
static int look(const struct sac_shell *sh, struct sill_err *e)
{
	const struct sac *s = sh->sac;
	const struct sac_stop *stop = sac_stop_find(s->stopcode);

	if (s->side == SAC_BUGCHECK)
		return sill_err_set(e, SILL_ERR_STATE, "Windows has crashed, bug check 0x%x %s",
				    s->stopcode, stop != NULL ? stop->name : "");
	if (s->boots != sh->boots)
		return sill_err_set(e, SILL_ERR_STATE, "the machine has begun anew");
	if (s->side == SAC_LEAVING)
		return sill_err_set(e, SILL_ERR_STATE, "Windows shuts down");
	if (sh->inside && (s->side != SAC_CHANNEL || s->own))
		return sill_err_set(e, SILL_ERR_STATE, "channel %s has been left or closed",
				    sh->channel);
	if (now_of(sh) >= sh->deadline_ms)
		return sill_err_set(e, SILL_ERR_STATE, "the time for it is over");
	return line_is_locked(sh)
		       ? sill_err_set(e, SILL_ERR_STATE,
				      "channel %s has been locked: Windows asks who it is",
				      sh->channel)
		       : 0;
}

/* A bug check has begun: its code comes behind it. */
static void hear_code(struct sac_shell *sh)
{
	const uint64_t until = now_of(sh) + CODE_MS;
	struct sill_err e = { 0 };

	while (sh->sac->stopcode == 0 && sh->sac->side == SAC_BUGCHECK && now_of(sh) < until)
		if (sh->wire->hear(sh->wire->ctx, until, &e) < 0)
			return;
}

/* What comes until @until_ms, or the first of it. 1, 0, or -1 and @e. */
static int hear(struct sac_shell *sh, uint64_t until_ms, struct sill_err *e)
{
	int ret;

	if (look(sh, e) < 0)
		return -1;
	ret = sh->wire->hear(sh->wire->ctx, until_ms < sh->deadline_ms ? until_ms : sh->deadline_ms,
			     e);
	if (ret > 0)
		sh->heard_ms = now_of(sh);
	if (ret >= 0 && sh->sac->side == SAC_BUGCHECK)
		hear_code(sh);
	return ret < 0 || look(sh, e) < 0 ? -1 : ret;
}

int line_await(struct sac_shell *sh, bool (*is)(const struct sac_shell *sh), uint64_t silence_ms,
	       struct sill_err *e)
{
	sh->heard_ms = now_of(sh);
	for (;;) {
		const uint64_t quiet = now_of(sh) - sh->heard_ms;

		if (quiet >= QUIET_MS && is(sh))
			return 1;
		if (quiet >= silence_ms)
			return 0;
		if (hear(sh, sh->heard_ms + (quiet < QUIET_MS ? QUIET_MS : silence_ms), e) < 0)
			return -1;
	}
}

int line_send(struct sac_shell *sh, const char *p, size_t n, struct sill_err *e)
{
	return sh->wire->send(sh->wire->ctx, (const uint8_t *)p, n, e);
}

/* ---- what the cursor's row is ---- */

/* The length of the prompt that @row begins with; 0: there is none. No path has a '>' in it. */
static size_t prompt_of(const char *row)
{
	const char *end;

	if (!isalpha((unsigned char)row[0]) || row[1] != ':' || row[2] != '\\')
		return 0;
	end = strchr(row, '>');
	return end != NULL ? (size_t)(end - row) + 1 : 0;
}

bool line_is_prompt(const struct sac_shell *sh)
{
	char row[SCREEN_COLS + 1];
	const size_t n = row_of_cursor(sh, row);

	return n > 0 && prompt_of(row) == n;
}

bool line_is_question(const struct sac_shell *sh)
{
	char row[SCREEN_COLS + 1];
	const size_t all = row_of_cursor(sh, row), n = without_blanks(row, all);

	/* A colon of another script is one of the letters that are not told apart. */
	if (n < 2 || all - n > 2 || (row[n - 1] != ':' && row[n - 1] != '?'))
		return false;
	/* The last one, which is painted once more. */
	return n != without_blanks(sh->label, sh->label_n) || memcmp(row, sh->label, n) != 0;
}

void line_label_prompt(struct sac_shell *sh)
{
	(void)row_of_cursor(sh, sh->label);
	sh->label_n = prompt_of(sh->label);
}

void line_label_question(struct sac_shell *sh)
{
	sh->label_n = without_blanks(sh->label, row_of_cursor(sh, sh->label));
}

/* What stands behind the label, up to the cursor. Its length in characters; -1: there is no label. */
static int shown(const struct sac_shell *sh, uint32_t ret[ROOM + 1])
{
	char row[SCREEN_COLS + 1];
	uint32_t chars[SCREEN_COLS];
	int first, last, col, n = 0;

	screen_cursor(sh->screen, &last, &col);
	for (first = last; first >= 0; first--) {
		screen_row(sh->screen, first, row);
		if (sh->label_n > 0 && memcmp(row, sh->label, sh->label_n) == 0)
			break;
	}
	if (first < 0 || (first == last && col < (int)sh->label_n))
		return -1;
	for (int r = first; r <= last; r++) {
		const int from = r == first ? (int)sh->label_n : 0;
		const int to = r == last ? col : SCREEN_COLS;

		screen_chars(sh->screen, r, chars);
		for (int at = from; at < to; at++)
			if (chars[at] != SCREEN_HALF)
				ret[n++] = chars[at];
	}
	/* Behind the last column the cursor stays on it. */
	if (col == SCREEN_COLS - 1 && chars[col] != ' ' && chars[col] != SCREEN_HALF)
		ret[n++] = chars[col];
	/* The blank behind a question is the question's, whether it has been painted yet or not. */
	for (; n > 0 && ret[0] == ' ' && sh->label[sh->label_n - 1] != '>'; n--)
		memmove(ret, ret + 1, ((size_t)n - 1) * sizeof(ret[0]));
	return n;
}

/* ---- typing ---- */

struct typing {
	const char *text;
	uint32_t chars[ROOM];        /* the text's, */
	uint16_t at[ROOM + 1];       /* and where in it each begins */
	size_t n, sent, right, best; /* in characters */
	int extra, least; /* characters shown that are wrong; -1: there is no such line */
	unsigned tries;   /* since it last went on */
	bool again;       /* a character was typed twice: its first echo may still come */
	uint64_t last_ms; /* when something was typed, or came */
};

static void compare(const struct sac_shell *sh, struct typing *t)
{
	uint32_t line[ROOM + 1];
	const int n = shown(sh, line);

	t->right = 0;
	t->extra = -1;
	if (n < 0)
		return;
	while (t->right < (size_t)n && t->right < t->n && line[t->right] == t->chars[t->right])
		t->right++;
	t->extra = n - (int)t->right;
	if ((t->extra == 0 && t->right > t->best) || (t->extra > 0 && t->extra < t->least))
		t->tries = 0;
	if (t->extra == 0 && t->right > t->best)
		t->best = t->right;
	t->least = t->extra;
	if (t->sent < t->right)
		t->sent = t->right;
}

/* A few at a time, once some have come; none behind one that may bounce. */
static bool may_type(const struct typing *t)
{
	const size_t ahead = t->best >= 4 && !t->again ? AHEAD : 1, n = t->sent;

	if (t->extra != 0 || n == t->n || n - t->right >= ahead)
		return false;
	return n == t->right ||
	       (t->chars[n] != t->chars[n - 1] && (n < 2 || t->chars[n - 1] != t->chars[n - 2]));
}

/* It has been silent for long: some of it was eaten, or something else stands there. */
static int mend(struct sac_shell *sh, struct typing *t, struct sill_err *e)
{
	if (++t->tries > TRIES)
		return sill_err_set(e, SILL_ERR_STATE,
				    "what is typed does not come back as it should");
	t->again = true;
	t->sent = t->right;
	return t->extra > 0 ? line_send(sh, "\b", 1, e) : 0; /* more of them would bounce */
}

/* Its characters. 0, or -1 and @e: it is not UTF-8, or no screen has room for it. */
static int take_text(struct typing *t, const char *text, struct sill_err *e)
{
	const size_t bytes = strlen(text);
	size_t at = 0;

	t->text = text;
	while (at < bytes && t->n < ROOM) {
		const size_t more = utf8_next(text + at, bytes - at, &t->chars[t->n]);

		if (more == 0)
			break;
		t->at[t->n++] = (uint16_t)at;
		at += more;
	}
	t->at[t->n] = (uint16_t)at;
	return at == bytes ? 0 : sill_err_set(e, SILL_ERR_LIMIT, "it cannot be typed");
}

int line_type(struct sac_shell *sh, const char *text, struct sill_err *e)
{
	struct typing t = { .last_ms = now_of(sh) };
	uint64_t until;

	if (take_text(&t, text, e) < 0)
		return -1;
	for (;;) {
		const uint64_t now = now_of(sh);
		int news;

		compare(sh, &t);
		until = t.last_ms + ECHO_MS;
		if (t.extra == 0 && t.right == t.n && (!t.again || now >= until)) {
			sh->typed_n = (int)t.n;
			return 0;
		}
		if (may_type(&t)) {
			if (line_send(sh, text + t.at[t.sent],
				      (size_t)(t.at[t.sent + 1] - t.at[t.sent]), e) < 0)
				return -1;
			t.sent++;
			t.last_ms = now;
			until = now + PACE_MS;
		} else if (now >= until) {
			if (mend(sh, &t, e) < 0)
				return -1;
			t.last_ms = now;
			continue;
		}
		news = hear(sh, until, e);
		if (news < 0)
			return -1;
		if (news > 0)
			t.last_ms = now_of(sh);
	}
}

/* Until @until_ms, whatever comes. 0, or -1 and @e. */
static int pass(struct sac_shell *sh, uint64_t until_ms, struct sill_err *e)
{
	while (now_of(sh) < until_ms)
		if (hear(sh, until_ms, e) < 0)
			return -1;
	return 0;
}

/* What stands behind the label once nothing more comes. Its length, or -1 and @e. */
static int settle(struct sac_shell *sh, uint32_t ret[ROOM + 1], struct sill_err *e)
{
	for (unsigned i = 0; i < TRIES; i++) {
		const uint64_t heard = sh->heard_ms;
		int n;

		if (pass(sh, now_of(sh) + SECRET_MS, e) < 0)
			return -1;
		n = shown(sh, ret);
		if (n >= 0 && sh->heard_ms == heard)
			return n;
	}
	return sill_err_set(e, SILL_ERR_STATE, "the question for the password is gone");
}

/* The first one decides: where it shows as it is, it is taken back. 0, or -1 and @e. */
static int look_at_first(struct sac_shell *sh, uint32_t c, struct sill_err *e)
{
	uint32_t line[ROOM + 1];
	const int n = settle(sh, line, e);

	if (n <= 0 || line[0] != c || c == '*')
		return n < 0 ? -1 : 0;
	(void)line_send(sh, "\b", 1, e);
	return sill_err_set(e, SILL_ERR_STATE,
			    "the password would show on the screen: it is not typed");
}

/* Once. The number of characters that show, or -1 and @e. */
static int type_blind(struct sac_shell *sh, const struct typing *t, struct sill_err *e)
{
	uint32_t line[ROOM + 1];

	for (size_t i = 0; i < t->n; i++) {
		const bool bounces = i > 0 && t->chars[i] == t->chars[i - 1];

		if ((bounces && pass(sh, now_of(sh) + ECHO_MS, e) < 0) ||
		    line_send(sh, t->text + t->at[i], (size_t)(t->at[i + 1] - t->at[i]), e) < 0)
			return -1;
		if ((i == 0 ? look_at_first(sh, t->chars[0], e)
			    : pass(sh, now_of(sh) + 2 * PACE_MS, e)) < 0)
			return -1;
	}
	return settle(sh, line, e);
}

/* As many are taken back as show. 0, or -1 and @e. */
static int take_back(struct sac_shell *sh, int n, struct sill_err *e)
{
	for (; n > 0; n--)
		if (line_send(sh, "\b", 1, e) < 0 || pass(sh, now_of(sh) + ECHO_MS, e) < 0)
			return -1;
	return 0;
}

int line_type_secret(struct sac_shell *sh, const char *text, struct sill_err *e)
{
	struct typing t = { 0 };
	int done = take_text(&t, text, e), tries = 0;

	while (done == 0) {
		const int stars = type_blind(sh, &t, e);

		if (stars == 0 || stars == (int)t.n) {
			sh->typed_n = stars;
			break;
		}
		/* Some were eaten; which of them, nobody knows. */
		done = stars < 0 ? -1 : take_back(sh, stars, e);
		if (done == 0 && ++tries == TRIES)
			done = sill_err_set(e, SILL_ERR_STATE,
					    "the password does not come through");
	}
	explicit_bzero(&t, sizeof(t));
	return done;
}

int line_enter(struct sac_shell *sh, bool (*is)(const struct sac_shell *sh), uint64_t silence_ms,
	       struct sill_err *e)
{
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t line[ROOM + 1];
		int ret;

		if (line_send(sh, "\r", 1, e) < 0)
			return -1;
		ret = line_await(sh, is, ENTER_MS, e);
		if (ret != 0)
			return ret;
		/* It may have been eaten, too. */
		if (shown(sh, line) != sh->typed_n)
			break;
	}
	return line_await(sh, is, silence_ms, e);
}
