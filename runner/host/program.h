/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - a program of others that runs beside the VM, and has nothing of ours but one descriptor, by which it
 * learns that we have ended.
 *
 * Its words (standard error) go to a memory file that cannot grow: the last line is shown when it fails.
 * Each is one thread's at a time.
 */
#ifndef RUNNER_HOST_PROGRAM_H
#define RUNNER_HOST_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sill/error.h"

enum {
	PROGRAM_FD = 3, /* the number of its descriptor */
	PROGRAM_WHY = 128,
	PROGRAM_WORDS = 4096, /* bytes that it may say */
	PROGRAM_ARGS = 280,   /* words of its command line, and bytes of each */
	PROGRAM_ARG = 128,
};

/* Public struct: a command line that is made word by word. Zeroed: of none. */
struct program_line {
	unsigned n;
	char *argv[PROGRAM_ARGS + 1]; /* of text[], or constants */
	char text[PROGRAM_ARGS][PROGRAM_ARG];
};
/* One more word, which is not empty and has room. */
void __attribute__((format(printf, 2, 3)))
program_arg(struct program_line *l, const char *fmt, ...);

/* Public struct: one that runs. Descriptors are owned; -1: none. */
struct program {
	pid_t pid; /* 0: none */
	int pidfd; /* readable when it has ended */
	int log;
};

void program_init(struct program *p);
/*
 * Start @argv, which is found by PATH, with @theirs as PROGRAM_FD. In a session of its own: Ctrl-C is not for it. 0, or -1
 * and @e, whose sys is ENOENT where there is no such program.
 */
int program_start(struct program *p, char *const argv[], int theirs, struct sill_err *e);
/* All that it has said. */
void program_read(const struct program *p, char ret[PROGRAM_WORDS + 1]);
/* The last line that it has said; "": none. */
void program_words(const struct program *p, char ret[PROGRAM_WHY]);
/* Has it said @text? */
bool program_says(const struct program *p, const char *text);
/* How it does: true when it runs, or waits for a disk or a processor, and CPU time that it has had, in ms. */
bool program_is_at_work(const struct program *p, uint64_t *ret_cpu_ms);
/* Once it has ended: collect it. @why: "it was killed by SIGKILL", "exit status 1: ..." */
void program_collect(struct program *p, char why[PROGRAM_WHY]);
/* End it. Harmless when there is none. */
void program_stop(struct program *p);

#endif
