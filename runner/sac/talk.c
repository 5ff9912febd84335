/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.c - one command at SAC's prompt: reach it, type, hear. See sac.h.
 *
 * Characters may be eaten, so each is typed when the one before has been echoed, and again when it has not
 * come back. A line that is not what it should be is taken back before Enter is pressed.
 */
#include "runner/sac/sac.h"

#include <string.h>

enum {
	REACH_MS = 2000, /* for a prompt */
	ECHO_MS =
		1600, /* for a character; one that comes again sooner may be taken for a key that bounces */
	ANSWER_MS = 20000, /* for the next prompt; commands that look for hardware take seconds */
	MORE_MS = 300,     /* of silence behind what looks like a page's end */
	PAGES_MS = 120000, /* for all pages of an answer */
	TRIES = 5,
};

enum { BEGIN, REACH, ECHO, SETTLE, ERASE, ANSWER };

static enum sac_next fail(struct sac_talk *t, const char *why)
{
	t->why = why;
	return SAC_FAILED;
}

/* What was typed, as the line shows it. NULL: the line does not begin with a prompt. */
static const char *shown(const struct sac *s)
{
	const char *p = strstr(s->line, "SAC>");

	return p == s->line || (p == s->line + 1 && s->line[0] == '!') ? p + 4 : NULL;
}

/* A listing of SAC's stops at the end of a page. Such a line of somebody else's is none of ours. */
static bool is_paged(const struct sac *s)
{
	const bool ours = s->side == SAC_WINDOWS || s->side == SAC_BUGCHECK ||
			  (s->side == SAC_CHANNEL && s->own);

	return ours && sac_at_more(s);
}

/* Enter wakes a prompt, and shows the channel that is announced; Esc Tab 0 leads back to SAC's own. */
static size_t reach(struct sac_talk *t, uint64_t now_ms, uint8_t *send)
{
	/* Somebody's listing, at the end of a page: Ctrl-C in place of a word ends it. */
	const bool paged = is_paged(t->sac);
	const bool second = t->reached % 2 == 1 && t->sac->stopcode == 0;
	const bool other = t->sac->side == SAC_CHANNEL && !t->sac->own ? true : second;

	t->state = REACH;
	t->views = t->sac->views;
	t->prompts = t->sac->prompts;
	t->due_ms = now_ms + REACH_MS;
	t->reached++;
	if (paged) {
		sac_take_more(t->sac);
		memcpy(send, "\x03\r", 2);
		return 2;
	}
	memcpy(send, other ? "\x1b\t0" : "\r", other ? 3 : 1);
	return other ? 3 : 1;
}

static size_t type(struct sac_talk *t, uint64_t now_ms, uint8_t *send)
{
	t->state = ECHO;
	t->due_ms = now_ms + ECHO_MS;
	send[0] = (uint8_t)t->command[t->typed];
	return 1;
}

/* A line that is wrong, or the end of one that is right. What is sent, or 0. */
static size_t echoed(struct sac_talk *t, uint64_t now_ms, uint8_t *send)
{
	const char *line = shown(t->sac);
	const size_t n = line != NULL ? strlen(line) : 0;

	if (line == NULL)
		return reach(t, now_ms, send);
	if (n > strlen(t->command) || memcmp(line, t->command, n) != 0) {
		t->state = ERASE;
		t->before = n;
		t->due_ms = now_ms + ECHO_MS;
		t->tries++;
		send[0] = '\b';
		return 1;
	}
	t->typed = n;
	if (t->again) {
		t->again = false;
		t->state = SETTLE;
		t->due_ms = now_ms + ECHO_MS;
		return 0;
	}
	if (t->command[n] != '\0')
		return type(t, now_ms, send);
	t->state = ANSWER;
	t->due_ms = now_ms + ANSWER_MS;
	t->pages_ms = now_ms + PAGES_MS;
	t->prompts = t->sac->prompts;
	t->sac->text_n = 0;
	send[0] = '\r';
	return 1;
}

/* Has what is waited for come? */
static bool is_news(const struct sac_talk *t)
{
	const char *line = shown(t->sac);

	switch (t->state) {
	case BEGIN:
		return line != NULL; /* what somebody has left there is taken back, not run */
	case SETTLE:
		return line == NULL || strlen(line) != t->typed;
	case REACH:
		return t->sac->views != t->views ||
		       (t->sac->prompts != t->prompts && sac_at_prompt(t->sac));
	case ECHO:
		return line == NULL || strlen(line) > t->typed;
	case ERASE:
		return line == NULL || strlen(line) < t->before;
	default:
		return false;
	}
}

static bool has_answered(const struct sac_talk *t)
{
	if (t->sac->prompts != t->prompts && sac_at_prompt(t->sac))
		return true;
	return t->ends && (t->sac->side != SAC_WINDOWS || strstr(t->sac->text, "<BP>") != NULL);
}

/* A page of the answer has ended: Enter, once nothing more comes. What is sent, or 0. */
static size_t turn_page(struct sac_talk *t, uint64_t now_ms, uint8_t *send)
{
	if (!is_paged(t->sac)) {
		t->more = 0;
		return 0;
	}
	if (t->more != t->sac->text_n) {
		t->more = t->sac->text_n;
		t->more_ms = now_ms + MORE_MS;
	}
	if (now_ms < t->more_ms)
		return 0;
	sac_take_more(t->sac);
	t->more = 0;
	t->due_ms = now_ms + ANSWER_MS;
	if (t->due_ms > t->pages_ms)
		t->due_ms = t->pages_ms;
	send[0] = '\r';
	return 1;
}

static uint64_t wake_of(const struct sac_talk *t)
{
	uint64_t wake = t->due_ms;

	if (t->more != 0 && t->more_ms < wake)
		wake = t->more_ms;
	return t->deadline_ms != 0 && t->deadline_ms < wake ? t->deadline_ms : wake;
}

static bool is_late(const struct sac_talk *t, uint64_t now_ms)
{
	return t->deadline_ms != 0 && now_ms >= t->deadline_ms;
}

enum sac_next sac_step(struct sac_talk *t, uint64_t now_ms, uint8_t *send, size_t *ret_n,
		       uint64_t *ret_wake_ms)
{
	*ret_n = 0;
	if (t->state != ANSWER && is_late(t, now_ms))
		return fail(t, "the time for it is over");
	if (t->state == BEGIN)
		t->boots = t->sac->boots;
	if (t->state == ANSWER) {
		const bool anew = t->boots != t->sac->boots;

		if (anew && !t->ends)
			return fail(t, "the machine has begun anew");
		/* One that begins anew has gone down: what it said of that may have been lost in it. */
		if (anew || has_answered(t))
			return SAC_DONE;
		if (is_late(t, now_ms))
			return fail(t, "the time for it is over");
		if (now_ms >= t->due_ms)
			return fail(t, now_ms < t->pages_ms ? "no answer has come"
							    : "the answer does not end");
		*ret_n = turn_page(t, now_ms, send);
	} else if (t->boots != t->sac->boots) {
		return fail(t, "the machine has begun anew");
	} else if (is_news(t)) {
		*ret_n = echoed(t, now_ms, send);
	} else if (t->state == BEGIN || now_ms >= t->due_ms) {
		if (!t->patient && t->tries + t->reached >= TRIES)
			return fail(t, "nobody answers at the prompt");
		if (t->state != ECHO) {
			/* A line that stands there is taken back: Enter would run it. */
			t->tries += t->state == REACH && shown(t->sac) != NULL;
			*ret_n = echoed(t, now_ms, send);
		} else {
			t->tries++;
			t->again = true;
			*ret_n = type(t, now_ms, send); /* it was eaten */
		}
	}
	if (!t->patient && t->tries + t->reached > 2 * TRIES)
		return fail(t, "what is typed does not come back as it should");
	*ret_wake_ms = wake_of(t);
	return SAC_WAIT;
}
