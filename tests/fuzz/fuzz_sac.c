/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sac.c - a serial port that says anything: to who types at SAC, and to who reads frames (sill/console.h).
 *
 * Input: the first byte says how many bytes come at a time; the rest is what comes. No more is typed than was
 * asked for, and Enter only behind a line that is the command and nothing else.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runner/console/conlink.h"
#include "runner/sac/sac.h"
#include "runner/sac/screen.h"

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
	return 0;
}
