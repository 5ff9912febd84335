/* SPDX-License-Identifier: Apache-2.0 */
/*
 * screen.h - the screen that a command prompt behind SAC paints: 80 columns, 24 rows, VT100 and VT-UTF8.
 *
 * Up to Windows Server 2019 the prompt's console is painted again and again, in any order; later ones write as
 * they go, but blanks as movements of the cursor. What is on the screen is the same in both. What comes is a
 * stranger's: it changes the screen and nothing else. On the caller's thread; no locks.
 */
#ifndef RUNNER_SAC_SCREEN_H
#define RUNNER_SAC_SCREEN_H

#include <stddef.h>
#include <stdint.h>

enum { SCREEN_ROWS = 24, SCREEN_COLS = 80 };
#define SCREEN_HALF UINT32_MAX

struct screen;

/* Empty, the cursor at its top left. NULL: no memory. */
struct screen *screen_create(void);
void screen_destroy(struct screen *s); /* NULL is fine */

/* What has come from the port; NULs are left out. */
void screen_take(struct screen *s, const uint8_t *p, size_t n);

/* Where the cursor is: 0 to SCREEN_ROWS - 1, 0 to SCREEN_COLS - 1 (also behind the last column). */
void screen_cursor(const struct screen *s, int *ret_row, int *ret_col);

/*
 * The row as text, one byte a column: ASCII as it is, '?' for all other characters, blanks where nothing is.
 * Ends with a NUL; @row is in range.
 */
void screen_row(const struct screen *s, int row, char ret[SCREEN_COLS + 1]);
/* The row's characters, one a column, blanks where nothing is; SCREEN_HALF: it is the one's before, which is wide. */
void screen_chars(const struct screen *s, int row, uint32_t ret[SCREEN_COLS]);

#endif
