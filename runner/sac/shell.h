/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.h - a command prompt of Windows, in a channel of SAC's: opened, logged in to, spoken to, closed.
 *
 *   sac_shell_open -> { sac_shell_run, sac_exec }* -> sac_shell_close
 *
 * Nothing is opened here, and the clock is the caller's: struct sac_wire. Prompts are known by their shape, not
 * by their words, which are those of Windows' language: three questions that end in a colon, then X:\...>.
 * What is typed is compared with what the screen shows before Enter is pressed, but for the password. All of it
 * on the caller's thread.
 */
#ifndef RUNNER_SAC_SHELL_H
#define RUNNER_SAC_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/sac/sac.h"
#include "runner/sac/screen.h"
#include "sill/error.h"

enum {
	SAC_COMMAND =
		1000, /* bytes of a command, at most: it must stay on the screen while it is typed */
	SAC_OUTPUT = 1024 * 1024, /* bytes of its output that are fetched, at most */
	SAC_NAME = 256,           /* Windows' UNLEN (lmcons.h) */
};

/* The port, as the caller has it. */
struct sac_wire {
	uint64_t (*now_ms)(void *ctx);
	/*
	 * Wait until @until_ms for something from the port, and give it to sac_take() and screen_take().
	 * 1: something has come; 0: nothing has; -1 and @e.
	 */
	int (*hear)(void *ctx, uint64_t until_ms, struct sill_err *e);
	/* 0, or -1 and @e. */
	int (*send)(void *ctx, const uint8_t *p, size_t n, struct sill_err *e);
	void *ctx;
};

/* One command at SAC's own prompt, as @t has it; the answer is in @t->sac->text. 0, or -1 and @e. */
int sac_say(const struct sac_wire *w, struct sac_talk *t, struct sill_err *e);

/* Borrowed; NULL: none. UTF-8, without control characters; user and domain of SAC_NAME bytes at most. */
struct sac_login {
	const char *user, *domain, *password;
};

/* Public struct. Zeroed but for the first five. */
struct sac_shell {
	const struct sac_wire *wire; /* borrowed */
	struct sac *sac;             /* borrowed, with all that the port has said */
	struct screen *screen;       /* borrowed */
	uint64_t
		deadline_ms; /* what is not done then fails; sac_shell_close() takes some seconds more */
	bool patient;        /* see struct sac_talk */
	char channel[16]; /* its name, from sac_shell_open() on */
	/* private */
	bool inside, at_prompt;
	unsigned boots;
	uint64_t heard_ms;
	char label[SCREEN_COLS + 1]; /* what the line begins with that is typed at */
	size_t label_n;
	int typed_n; /* characters of the line behind the label, before Enter */
	char asked
		[SCREEN_COLS +
		 1]; /* the login's first question, once it has been answered; "": there was none */
};

/* A channel of our own, at its prompt, or with @login NULL at what it asks. -1 and @e: there is none, or it is closed again. */
int sac_shell_open(struct sac_shell *sh, const struct sac_login *login, struct sill_err *e);
/*
 * Type @line (printable ASCII) and wait for the next prompt, for @silence_ms of silence at most. 1: it has come,
 * 0: it has not, -1 and @e.
 */
int sac_shell_run(struct sac_shell *sh, const char *line, uint64_t silence_ms, struct sill_err *e);
/* Close the channel, as far as the machine is still there; @last, if not NULL, is run in it before. */
void sac_shell_close(struct sac_shell *sh, const char *last);

/* Public struct: what a command has said. Zeroed; sac_output_fini(). */
struct sac_output {
	char *text; /* owned; its bytes, standard output and error; may have NULs in it */
	size_t n;
	bool cut;       /* there was more than SAC_OUTPUT */
	int32_t status; /* its exit status */
};
void sac_output_fini(struct sac_output *o);

/* What sac_shell_close() runs last then: it takes the files away. */
#define SAC_EXEC_LAST "del \"%s_%*\""

/* Can @command be typed? 0, or -1 and @e. */
int sac_exec_check(const char *command, struct sill_err *e);
/*
 * Run @command. Its output goes through a file in Windows' %TEMP% and comes back as numbered lines of Base64:
 * whatever the screen does, it is what was written, and asked for again if it is not. 0, or -1 and @e.
 */
int sac_exec(struct sac_shell *sh, const char *command, struct sac_output *ret, struct sill_err *e);

#endif
