/* SPDX-License-Identifier: Apache-2.0 */
/*
 * habits.h - what other programs call what Sill's verbs and options are.
 *
 * People type the words that their fingers know: those of docker, virsh, systemctl, kubectl, terraform, QEMU's monitor.
 */
#ifndef RUNNER_CMD_HABITS_H
#define RUNNER_CMD_HABITS_H

/*
 * What to say of @word, which @verb ("up", "net") does not know: an option with its dashes, or what it is to do. A
 * sentence or something to type; NULL: nobody calls it that. Static.
 */
const char *habit_of(const char *verb, const char *word);

/* The rows of the table, for tests; NULL behind the last. */
struct habit {
	const char *verb;  /* " up apply " */
	const char *words; /* " -d --detach " */
	const char *say;
};
const struct habit *habit_at(unsigned i);

#endif
