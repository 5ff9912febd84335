/* SPDX-License-Identifier: Apache-2.0 */
/* shell.c - a channel is opened, logged in to and closed. See shell.h. */
#include "runner/sac/shell.h"

#include <ctype.h>
#include <string.h>

#include "runner/report/text.h"
#include "runner/sac/line.h"

enum {
	START_MS = 300000, /* for SAC's first words after firmware's */
	READY_MS = 180000, /* then for Windows' services */
	SILENCE_MS = 15000,
	OPEN_MS = 10000,  /* for a channel that was asked for */
	SHOW_MS = 10000,  /* for what a channel shows first */
	LOGIN_MS = 60000, /* for a login that is looked at */
	CLOSE_MS = 15000,
	LAST_MS = 30000, /* for each of SAC's commands behind it */
	TRIES = 3,
};

int sac_say(const struct sac_wire *w, struct sac_talk *t, struct sill_err *e)
{
	for (;;) {
		uint8_t send[SAC_SEND];
		uint64_t wake;
		size_t n;
		const enum sac_next next = sac_step(t, w->now_ms(w->ctx), send, &n, &wake);

		if (next == SAC_DONE)
			return 0;
		if (next == SAC_FAILED)
			return sill_err_set(e, SILL_ERR_STATE, "%s: %s", t->command, t->why);
		if ((n > 0 && w->send(w->ctx, send, n, e) < 0) || w->hear(w->ctx, wake, e) < 0)
			return -1;
	}
}

/* In the time that the shell has. */
static int say(struct sac_shell *sh, const char *command, bool ends, struct sill_err *e)
{
	struct sac_talk t = { .sac = sh->sac,
			      .command = command,
			      .ends = ends,
			      .deadline_ms = sh->deadline_ms,
			      .patient = sh->patient };

	return sac_say(sh->wire, &t, e);
}

/* ---- before there is a channel ---- */

static bool has_not_come(const struct sac *s)
{
	return s->side == SAC_FIRMWARE || s->side == SAC_BOOTMGR;
}

/*
 * SAC is there, and Windows' services are, without which there is no command prompt. Its word for that may be
 * of another language: who hears nothing for a while goes on, and tries.
 */
static int wait_for_windows(struct sac_shell *sh, struct sill_err *e)
{
	const struct sac_wire *w = sh->wire;
	const struct sac *s = sh->sac;
	uint64_t now = w->now_ms(w->ctx), until = now + START_MS;
	bool there = false;

	while ((has_not_come(s) || (s->side == SAC_WINDOWS && s->boots > 0 && !s->cmd_ready)) &&
	       now < until && now < sh->deadline_ms) {
		const int news =
			w->hear(w->ctx, until < sh->deadline_ms ? until : sh->deadline_ms, e);

		if (news < 0)
			return -1;
		now = w->now_ms(w->ctx);
		if (!has_not_come(s) && (!there || news > 0))
			until = now + SILENCE_MS;
		there = !has_not_come(s);
	}
	if (has_not_come(s))
		return sill_err_set(e, SILL_ERR_STATE, "Windows has not come: there is %s",
				    sac_side_name(s->side));
	if (s->side == SAC_BUGCHECK)
		return sill_err_set(e, SILL_ERR_STATE, "Windows has crashed, bug check 0x%x",
				    s->stopcode);
	return 0;
}

/* The first name such as Cmd0001 in @text, with something behind it. */
static const char *find_name(const char *text)
{
	for (const char *p = strstr(text, "Cmd"); p != NULL; p = strstr(p + 1, "Cmd")) {
		size_t digits = 0;

		while (isdigit((unsigned char)p[3 + digits]))
			digits++;
		if (digits == 4 && !isalnum((unsigned char)p[7]) && p[7] != '\0')
			return p;
	}
	return NULL;
}

static bool has_name(const struct sac_shell *sh)
{
	return find_name(sh->sac->text) != NULL;
}

static int ask_for_channel(struct sac_shell *sh, struct sill_err *e)
{
	const char *said;
	int found;

	if (say(sh, "cmd", false, e) < 0)
		return -1;
	/* The prompt comes before the event that tells the name. */
	found = line_await(sh, has_name, OPEN_MS, e);
	if (found < 0)
		return -1;
	if (found == 0) {
		said = sh->sac->text[0] == '\n' ? sh->sac->text + 1 : sh->sac->text;
		(void)sill_err_set(e, SILL_ERR_STATE, "SAC has opened no command prompt: %.*s",
				   (int)strcspn(said, "\n"), said);
		return sill_err_hint(e, "`sill sac VM ls` lists the channels; there can be nine");
	}
	memcpy(sh->channel, find_name(sh->sac->text), 7);
	sh->channel[7] = '\0';
	return 0;
}

/* ---- in the channel ---- */

static bool asks(const struct sac_shell *sh)
{
	return line_is_question(sh);
}

static bool asks_or_is_ready(const struct sac_shell *sh)
{
	return line_is_question(sh) || line_is_prompt(sh);
}

static bool is_announced(const struct sac_shell *sh)
{
	return sh->sac->side == SAC_CHANNEL;
}

/* Behind "any other key". */
static int enter_channel(struct sac_shell *sh, struct sill_err *e)
{
	char command[32] = "ch -sn ";

	memcpy(command + 7, sh->channel, sizeof(sh->channel));
	if (say(sh, command, true, e) < 0)
		return -1;
	if (!is_announced(sh))
		return sill_err_set(e, SILL_ERR_STATE, "SAC does not show its channel %s",
				    sh->channel);
	if (line_await(sh, is_announced, SHOW_MS, e) < 0)
		return -1;
	sh->inside = true;
	for (unsigned i = 0; i < TRIES && !asks_or_is_ready(sh); i++) {
		const int shown = line_send(sh, "\r", 1, e) < 0
					  ? -1
					  : line_await(sh, asks_or_is_ready, SHOW_MS, e);

		if (shown < 0)
			return -1;
	}
	if (asks_or_is_ready(sh))
		return 0;
	return sill_err_set(e, SILL_ERR_STATE, "channel %s shows neither a login nor a prompt",
			    sh->channel);
}

/* It was refused, or it is over: what the screen says about it. Always -1. */
static int refused(const struct sac_shell *sh, const struct sac_login *login, struct sill_err *e)
{
	char row[SCREEN_COLS + 1], said[SCREEN_COLS + 1] = "";
	int at, col;

	screen_cursor(sh->screen, &at, &col);
	while (--at >= 0 && said[0] == '\0') {
		size_t n = SCREEN_COLS;

		screen_row(sh->screen, at, row);
		while (n > 0 && row[n - 1] == ' ')
			row[--n] = '\0';
		/* An answer, or a question, is not why. */
		if (n > 0 && strchr(row, ':') == NULL)
			memcpy(said, row, n + 1);
	}
	(void)sill_err_set(e, SILL_ERR_STATE, "Windows refuses the login of '%s'%s%s", login->user,
			   said[0] != '\0' ? ": " : "", said);
	return sill_err_hint(e, "%s",
			     login->password == NULL
				     ? "--password-file names a file with the password"
			     : login->password[0] == '\0' ? "the password is empty"
							  : "user, domain or password is wrong");
}

static int log_in(struct sac_shell *sh, const struct sac_login *login, struct sill_err *e)
{
	const char *answers[] = { login->user, login->domain != NULL ? login->domain : "" };
	char asked[sizeof(sh->label)];
	int next = 1;

	if (login->user == NULL) {
		(void)sill_err_set(e, SILL_ERR_STATE, "Windows asks who it is");
		return sill_err_hint(e, "--user NAME --password-file FILE");
	}
	for (size_t i = 0; i < 2; i++) {
		line_label_question(sh);
		if (i == 0) {
			memcpy(asked, sh->label, sh->label_n);
			asked[sh->label_n] = '\0';
		}
		next = line_type(sh, answers[i], e) < 0 ? -1 : line_enter(sh, asks, SHOW_MS, e);
		if (next <= 0)
			return next < 0 ? -1
					: sill_err_set(e, SILL_ERR_STATE,
						       "the login does not go on");
	}
	line_label_question(sh);
	if (line_type_secret(sh, login->password != NULL ? login->password : "", e) < 0)
		return -1;
	sh->inside = false; /* it may be closed now: that is said in other words */
	next = line_enter(sh, asks_or_is_ready, LOGIN_MS, e);
	sh->inside = true;
	if (next < 0)
		return -1;
	if (next == 0 || !line_is_prompt(sh))
		return refused(sh, login, e);
	memcpy(sh->asked, asked, sizeof(asked));
	return 0;
}

/* A tab or an escape in the middle would lead out of the channel, and what is left be typed elsewhere. */
static bool has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return true;
	return false;
}

/* SAC takes UTF-8 (its channels are of type VT-UTF8), and each character is compared with what the screen shows. */
static bool is_shown(const char *s)
{
	size_t n = strlen(s), more;
	uint32_t c;

	if (n > SAC_NAME)
		return false;
	for (; n > 0; s += more, n -= more) {
		more = utf8_next(s, n, &c);
		if (more == 0 || !utf8_printable(c) || utf8_width(c) == 0)
			return false;
	}
	return true;
}

static bool is_utf8(const char *s)
{
	size_t n = strlen(s), more = 1;
	uint32_t c;

	for (; n > 0 && more > 0; s += more, n -= more)
		more = utf8_next(s, n, &c);
	return more > 0;
}

static int check_login(const struct sac_login *l, struct sill_err *e)
{
	if ((l->user != NULL && !is_shown(l->user)) ||
	    (l->domain != NULL && !is_shown(l->domain))) {
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "user and domain are UTF-8, of %d bytes at most", SAC_NAME);
		return sill_err_hint(e, "without control characters and combining ones");
	}
	if (l->password != NULL && has_control(l->password))
		return sill_err_set(e, SILL_ERR_STATE, "the password has a control character");
	if (l->password != NULL && !is_utf8(l->password))
		return sill_err_set(e, SILL_ERR_STATE, "the password is not UTF-8");
	return 0;
}

int sac_shell_open(struct sac_shell *sh, const struct sac_login *login, struct sill_err *e)
{
	uint64_t start = 0;

	if (login != NULL && check_login(login, e) < 0)
		return -1;
	for (;;) {
		uint64_t now;
		bool ready;

		if (wait_for_windows(sh, e) < 0)
			return -1;
		ready = sh->sac->cmd_ready || sh->sac->boots == 0;
		if (start == 0)
			start = sh->wire->now_ms(sh->wire->ctx);
		sh->boots = sh->sac->boots;
		if (ask_for_channel(sh, e) == 0)
			break;
		now = sh->wire->now_ms(sh->wire->ctx);
		if (ready || now >= start + READY_MS || now >= sh->deadline_ms)
			return -1;
		*e = (struct sill_err){ 0 };
	}
	if (enter_channel(sh, e) < 0 ||
	    (!line_is_prompt(sh) && login != NULL && log_in(sh, login, e) < 0)) {
		sac_shell_close(sh, NULL);
		return -1;
	}
	sh->at_prompt = login != NULL;
	return 0;
}

/* As sac_shell_run(), until @is. */
static int run(struct sac_shell *sh, const char *line, bool (*is)(const struct sac_shell *sh),
	       uint64_t silence_ms, struct sill_err *e)
{
	line_label_prompt(sh);
	sh->at_prompt = false;
	return line_type(sh, line, e) < 0 ? -1 : line_enter(sh, is, silence_ms, e);
}

int sac_shell_run(struct sac_shell *sh, const char *line, uint64_t silence_ms, struct sill_err *e)
{
	const int ret = run(sh, line, line_is_prompt, silence_ms, e);

	sh->at_prompt = ret > 0;
	return ret;
}

static bool is_outside(const struct sac_shell *sh)
{
	return sh->sac->own || sh->sac->side != SAC_CHANNEL;
}

/* What closes the channel has a time of its own: somebody is logged in there. */
static void say_last(struct sac_shell *sh, const char *command)
{
	struct sill_err e = { 0 };

	sh->deadline_ms = sh->wire->now_ms(sh->wire->ctx) + LAST_MS;
	(void)say(sh, command, false, &e);
}

void sac_shell_close(struct sac_shell *sh, const char *last)
{
	const struct sac_wire *w = sh->wire;
	char command[32] = "ch -cn ";
	struct sill_err e = { 0 };

	sh->inside = false;
	if (sh->boots != sh->sac->boots || sh->sac->side == SAC_BUGCHECK || sh->channel[0] == '\0')
		return;
	sh->deadline_ms = w->now_ms(w->ctx) + CLOSE_MS;
	if (sh->at_prompt && (last == NULL || sac_shell_run(sh, last, CLOSE_MS, &e) > 0) &&
	    run(sh, "exit", is_outside, CLOSE_MS, &e) > 0) {
		/* Back to a prompt, for who comes next; that it is closed is seen there. */
		say_last(sh, "ch");
		if (strstr(sh->sac->text, sh->channel) == NULL)
			return;
	}
	memcpy(command + 7, sh->channel, sizeof(sh->channel));
	say_last(sh, command);
}
