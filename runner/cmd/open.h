/* SPDX-License-Identifier: Apache-2.0 */
/* open.h - how the verbs that need one right manifest get it. */
#ifndef RUNNER_CMD_OPEN_H
#define RUNNER_CMD_OPEN_H

#include <stdbool.h>

#include "runner/cmd/cmd.h"
#include "runner/manifest/manifest.h"

/*
 * What the command line adds to every manifest that is opened: --set and --var-file, which each verb that
 * opens some has in its options. For the whole program, set once.
 */
extern struct opt_list open_sets, open_var_files;
/* clang-format off */
#define OPEN_OPTS \
	{ .name = "set", .list = &open_sets }, { .name = "var-file", .list = &open_var_files }
#define OPEN_ARGS "[--set NAME=VALUE] [--var-file FILE]"
#define OPEN_HELP \
	"  --set NAME=VALUE\n" \
	"               the variable NAME, or the key NAME (memory.size, disk.ID.path), is VALUE\n" \
	"  --var-file FILE\n" \
	"               a mapping with variables (docs/COMPOSE.md)\n"
/* clang-format on */

/*
 * Between these are several files: a variable that --set names is one of any of them. How many are of none, which is
 * a mistake, said on stderr, or in *@ret, which the caller frees, unless that is NULL.
 */
void open_many(void);
size_t open_many_end(json_t **ret);

/* An open /dev/kvm to ask the host by, borrowed while a manifest is opened; -1: it is opened for that. */
extern int open_kvm;

/* The same for who opens manifests himself; NULL: said, a file cannot be read. Good until the end. */
const struct compose_extra *open_extra(void);

/*
 * FILE#NAME is the VM NAME of FILE, unless there is a file of that name: the operand is cut, and
 * *ret_name set where it was not.
 */
void open_choose(char *operand, const char **ret_name);

/*
 * Load @path; its mistakes are said on stderr. When @name is not NULL, a VM of
 * that name must be in it. CMD_DONE and *ret_f (the caller destroys it), or the
 * exit status.
 */
int cmd_open(const char *path, const char *name, bool ask_host, struct mfile **ret_f);
/* As it is, with what the command line adds, and the host asked: nothing is said. The caller destroys it. NULL: no memory. */
struct mfile *open_quietly(const char *path);
/* As cmd_open(), of @text, which is said to be @path, and has one VM; asks the host. */
int cmd_open_text(const char *path, const char *text, size_t size, struct mfile **ret_f);

#endif
