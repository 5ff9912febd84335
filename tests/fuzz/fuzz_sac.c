/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sac.c - a serial port that says anything: to who types at SAC and at a command prompt behind it, and to
 * who reads frames (sill/console.h).
 *
 * Input: the first byte says how many bytes come at a time; the rest is what comes. No more is typed than was
 * asked for, and Enter only behind a line that is the command and nothing else.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runner/console/conlink.h"
#include "runner/sac/sac.h"
#include "runner/sac/shell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_output(void *ctx, const uint8_t *p, size_t n)
{
	sac_take(ctx, p, n);
}

static void check(const struct sac *s)
{
	assert(s->line_n < SAC_LINE && s->text_n < SAC_TEXT && s->side < SAC_SIDES);
	assert(strlen(s->line) == s->line_n && memchr(s->line, 0x1b, s->line_n) == NULL);
	assert(sac_side_name(s->side) != NULL);
}

/* A screen of any bytes is a screen. */
static void check_screen(const uint8_t *data, size_t size)
{
	struct screen *s = screen_create();
	char row[SCREEN_COLS + 1];
	int r, c;

	if (s == NULL)
		abort();
	screen_take(s, data, size);
	screen_cursor(s, &r, &c);
	assert(r >= 0 && r < SCREEN_ROWS && c >= 0 && c < SCREEN_COLS);
	for (r = 0; r < SCREEN_ROWS; r++) {
		screen_row(s, r, row);
		assert(strlen(row) == SCREEN_COLS);
	}
	screen_destroy(s);
}

/* A port for a shell: what comes, in pieces, in a time of its own. */
struct port {
	const uint8_t *data;
	size_t size, step;
	uint64_t now;
	struct sac sac;
	struct screen *screen;
};

static uint64_t now_ms(void *ctx)
{
	const struct port *p = ctx;

	return p->now;
}

static int hear(void *ctx, uint64_t until_ms, struct sill_err *e)
{
	struct port *p = ctx;
	size_t n = p->size < p->step ? p->size : p->step;
	const uint8_t *nul = memchr(p->data, 0, n);

	(void)e;
	/* A NUL says nothing, so it stands for the time that goes by. */
	n = nul != NULL ? (size_t)(nul - p->data) : n;
	if (n == 0) {
		p->now = until_ms > p->now ? until_ms : p->now;
		p->size -= nul != NULL;
		p->data += nul != NULL;
		return 0;
	}
	p->now += p->data[0];
	sac_take(&p->sac, p->data, n);
	screen_take(p->screen, p->data, n);
	p->data += n;
	p->size -= n;
	return 1;
}

/* The password's letters are nobody else's. */
static int say(void *ctx, const uint8_t *bytes, size_t n, struct sill_err *e)
{
	const struct port *p = ctx;
	char row[SCREEN_COLS + 1];
	int r, c;

	(void)e;
	if (n != 1 || strchr("JQVW", bytes[0]) == NULL || bytes[0] == 0)
		return 0;
	/* It goes where a question is, and what came of it before does not show. */
	screen_cursor(p->screen, &r, &c);
	screen_row(p->screen, r, row);
	assert(memmem(row, (size_t)c, "JQVW", 4) == NULL);
	return 0;
}

/* Whoever is there: it ends, and what it brings is whole. */
static void check_shell(const uint8_t *data, size_t size, size_t step)
{
	static struct port p;
	const struct sac_login login = { .user = "u", .password = "JQVW" };
	const struct sac_wire wire = { .now_ms = now_ms, .hear = hear, .send = say, .ctx = &p };
	struct sac_shell sh = { .wire = &wire, .sac = &p.sac, .deadline_ms = 100000 };
	struct sac_output o = { 0 };
	struct sill_err e = { 0 };

	p = (struct port){ .data = data, .size = size, .step = step, .screen = screen_create() };
	if (p.screen == NULL)
		abort();
	sh.screen = p.screen;
	if (sac_shell_open(&sh, &login, &e) == 0) {
		if (sac_exec(&sh, "dir", &o, &e) == 0)
			assert(o.text != NULL && o.n <= SAC_OUTPUT + 64 * 20);
		else
			assert(o.text == NULL && e.code != SILL_ERR_NONE);
		sac_output_fini(&o);
		sac_shell_close(&sh, SAC_EXEC_LAST);
	} else {
		assert(e.code != SILL_ERR_NONE);
	}
	screen_destroy(p.screen);
}

/* One piece has come. False: the conversation is over. */
static bool go_on(struct sac_talk *t, uint64_t *now)
{
	uint8_t send[SAC_SEND];
	uint64_t wake = 0;
	size_t n;
	const enum sac_next next = sac_step(t, *now, send, &n, &wake);

	assert(n <= SAC_SEND);
	/* Enter goes to a prompt with the command, or to what shows no prompt at all. */
	if (n == 1 && send[0] == '\r' && strncmp(t->sac->line, "SAC>", 4) == 0)
		assert(strcmp(t->sac->line, "SAC>s") == 0);
	assert(next != SAC_FAILED || t->why != NULL);
	*now += 700;
	return next == SAC_WAIT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sac s, behind;
	struct sac_talk t = { .sac = &s, .command = "s" };
	const struct conlink_user user = { .output = on_output, .ctx = &behind };
	struct conlink l;
	uint64_t now = 0;
	size_t step;

	if (size < 1)
		return 0;
	s = behind = (struct sac){ 0 };
	conlink_init(&l, &user);
	assert(conlink_take(&l, l.hello, sizeof(l.hello)) == 0 && l.answered);
	step = 1 + data[0];
	for (size_t at = 1; at < size; at += step) {
		const size_t n = size - at < step ? size - at : step;

		sac_take(&s, data + at, n);
		check(&s);
		if (!go_on(&t, &now))
			t = (struct sac_talk){ .sac = &s, .command = "s", .ends = at % 2 == 0 };
	}
	(void)conlink_take(&l, data + 1, size - 1);
	check(&behind);
	check_screen(data + 1, size - 1);
	check_shell(data + 1, size - 1, 1 + data[0]);
	return 0;
}
