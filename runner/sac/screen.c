/* SPDX-License-Identifier: Apache-2.0 */
/* screen.c - on libvterm, which knows the sequences. See screen.h. */
#include "runner/sac/screen.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <vterm.h>

struct screen {
	VTerm *term;         /* owned */
	VTermScreen *screen; /* the term's */
	VTermState *state;   /* likewise */
	size_t in_n;
	uint8_t in[256]; /* between two calls: half a character, or nothing */
};

/* What it would answer to questions about itself: nobody waits for that. */
static void drop(const char *s, size_t n, void *ctx)
{
	(void)s;
	(void)n;
	(void)ctx;
}

struct screen *screen_create(void)
{
	struct screen *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->term = vterm_new(SCREEN_ROWS, SCREEN_COLS);
	if (s->term == NULL) {
		free(s);
		return NULL;
	}
	vterm_set_utf8(s->term, 1);
	vterm_output_set_callback(s->term, drop, NULL);
	s->screen = vterm_obtain_screen(s->term);
	s->state = vterm_obtain_state(s->term);
	vterm_screen_reset(s->screen, 1);
	return s;
}

void screen_destroy(struct screen *s)
{
	if (s == NULL)
		return;
	vterm_free(s->term);
	free(s);
}

/* How many of the @n bytes at the end of @p begin a UTF-8 character that goes on behind them: 0 to 3. */
static size_t half_of(const uint8_t *p, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		const uint8_t c = p[n - back];
		const size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if (c < 0x80 || c >= 0xc0)
			return whole > back ? back : 0;
	}
	return 0;
}

/* libvterm wants characters whole: half of one comes out as another, twice. */
void screen_take(struct screen *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != 0)
			s->in[s->in_n++] = p[i];
		if (s->in_n == sizeof(s->in) || i == n - 1) {
			const size_t half = half_of(s->in, s->in_n), whole = s->in_n - half;

			if (whole > 0)
				(void)vterm_input_write(s->term, (const char *)s->in, whole);
			memmove(s->in, s->in + whole, half);
			s->in_n = half;
		}
	}
}

void screen_cursor(const struct screen *s, int *ret_row, int *ret_col)
{
	VTermPos at = { 0 };

	vterm_state_get_cursorpos(s->state, &at);
	*ret_row = at.row;
	*ret_col = at.col;
}

void screen_chars(const struct screen *s, int row, uint32_t ret[SCREEN_COLS])
{
	assert(row >= 0 && row < SCREEN_ROWS);
	for (int col = 0; col < SCREEN_COLS; col++) {
		const VTermPos at = { .row = row, .col = col };
		VTermScreenCell cell = { 0 };

		(void)vterm_screen_get_cell(s->screen, at, &cell);
		ret[col] = cell.chars[0] != 0 ? cell.chars[0] : ' ';
	}
}

void screen_row(const struct screen *s, int row, char ret[SCREEN_COLS + 1])
{
	uint32_t chars[SCREEN_COLS];

	screen_chars(s, row, chars);
	for (int col = 0; col < SCREEN_COLS; col++)
		ret[col] = chars[col] >= ' ' && chars[col] <= '~' ? (char)chars[col] : '?';
	ret[SCREEN_COLS] = '\0';
}
