/* SPDX-License-Identifier: Apache-2.0 */
/* line.h - lines of a command prompt's screen: waited for, recognized, typed. For shell.c and exec.c. */
#ifndef RUNNER_SAC_LINE_H
#define RUNNER_SAC_LINE_H

#include "runner/sac/shell.h"

enum { LINE_NO_SILENCE = 24 * 3600 * 1000 }; /* silence is no fault */

/*
 * Until @is says so while nothing comes. 1: it does; 0: nothing has come for @silence_ms; -1 and @e: the time is
 * over, or the channel is gone.
 */
int line_await(struct sac_shell *sh, bool (*is)(const struct sac_shell *sh), uint64_t silence_ms,
	       struct sill_err *e);

/* The cursor is behind X:\...> and nothing else. */
bool line_is_prompt(const struct sac_shell *sh);
/* The cursor is behind a text with a colon at its end, which is not the label. */
bool line_is_question(const struct sac_shell *sh);

/* The login's first question stands there again: SAC's `lock`, or nobody has typed for too long. */
bool line_is_locked(const struct sac_shell *sh);

/* From now on it is typed behind the prompt of the cursor's row, or behind its question. */
void line_label_prompt(struct sac_shell *sh);
void line_label_question(struct sac_shell *sh);

/* These return 0, or -1 and @e. */
int line_send(struct sac_shell *sh, const char *p, size_t n, struct sill_err *e);
/* Until the line shows it. */
int line_type(struct sac_shell *sh, const char *text, struct sill_err *e);
/* What shows as stars, or not at all; it is not typed where it shows. */
int line_type_secret(struct sac_shell *sh, const char *text, struct sill_err *e);
/* Enter, behind what was typed; then as line_await(). */
int line_enter(struct sac_shell *sh, bool (*is)(const struct sac_shell *sh), uint64_t silence_ms,
	       struct sill_err *e);

#endif
