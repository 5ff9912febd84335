/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd.h - what every verb provides.
 *
 * To add a verb: write runner/cmd/<name>.c ending in verb_<name>, and add one
 * line to verbs.def. Nothing else changes.
 */
#ifndef RUNNER_CMD_CMD_H
#define RUNNER_CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sill/error.h"

/* Exit statuses of the program. They are a promise. */
enum {
	CMD_DONE = 0,     /* done; run: the guest powered off, or was stopped on request */
	CMD_FAILED = 1,   /* wrong usage, or anything that has no status of its own */
	CMD_MANIFEST = 2, /* the manifest is wrong; nothing was started */
	CMD_HOST = 3,     /* the host lacks something or failed */
	CMD_GUEST = 4,    /* the guest cannot go on */
	CMD_NOT_READY = 5 /* up --wait: it runs, and its guest is not up in its time */
};

struct verb {
	const char *name;
	const char *args;                /* as in the usage line */
	const char *summary;             /* one line, lower case, no full stop */
	const char *help;                /* what else there is to say; may be NULL */
	const struct verb *const *verbs; /* verbs of its own, "name verb"; NULL: none */
	const char *(*word)(
		size_t i); /* what VERB in @args may be; NULL behind the last. NULL: any verb */
	int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

#define VERB(name) extern const struct verb verb_##name;
#include "runner/cmd/verbs.def"
#undef VERB

/* The verb or key most like @name among @count names, or NULL. */
const char *cmd_nearest(const char *name, const char *const *names, size_t count);

/*
 * For a verb with verbs of its own: the one that argv[1] names. NULL: there is none, and that was said, or
 * the help was asked for; then *ret_status is what to end with.
 */
const struct verb *cmd_verb_of(const struct verb *v, int argc, char **argv, int *ret_status);

/* The values of an option that may be given more than once, in their order. Public struct. */
struct opt_list {
	const char *items[64];
	size_t count;
};

/* An option: exactly one of flag, text and list is set. */
struct opt {
	const char *name; /* without "--" */
	char letter;      /* 0: none */
	bool *flag;
	const char **text;
	struct opt_list *list;
};

enum { CMD_OPTS_HELP = -1, CMD_OPTS_BAD = -2 };

/*
 * Take the options out of argv. Returns the number of operands, which are then
 * argv[1] and on; CMD_OPTS_HELP when the help was asked for and printed, or
 * CMD_OPTS_BAD when a mistake was reported.
 */
int cmd_options(const struct verb *v, int argc, char **argv, const struct opt *opts, size_t count);

/* @fn of each option that @v takes, --help and --color among them. */
void cmd_each_option(const struct verb *v, void (*fn)(void *ctx, const struct opt *o), void *ctx);

/* @word, behind the VM's name @first, is none of @v's words: what may be meant. Returns CMD_FAILED. */
int cmd_no_word(const struct verb *v, const char *first, const char *word);

/* "sill VERB: message" and how to get help, on stderr. Returns CMD_FAILED. */
int cmd_usage(const struct verb *v, const char *fmt, ...) SILL_PRINTF(2, 3);

/* "60s", "500ms", "60": @ret_ms, a day or so at most. False: it is no time. */
bool cmd_time(const char *text, uint64_t *ret_ms);

/* Ask the person at the terminal. */
bool cmd_is_yes(const char *question);

/* An error on stderr: "sill: message", then the hint. Returns the exit status that goes with it. */
int cmd_error(const struct sill_err *e);

/*
 * What was printed so far is out: CMD_DONE. Else CMD_FAILED, and said on stderr, but of a reader who has gone.
 */
int cmd_flush(void);

void cmd_print_help(FILE *f, const struct verb *v);

#endif
