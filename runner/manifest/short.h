/* SPDX-License-Identifier: Apache-2.0 */
/*
 * short.h - short forms: what may be written in fewer words, made into the long form
 * before it is checked.
 */
#ifndef RUNNER_MANIFEST_SHORT_H
#define RUNNER_MANIFEST_SHORT_H

#include "runner/manifest/check.h"

/* A scalar @n becomes {@key: @n}. */
void short_unfold(struct check *c, const char *key, struct node *n);

/*
 * `cpus: 2`, `backing: base.img`, `host_cpus: 0-3`: the value @n of @row becomes the mapping
 * or the list it stands for. What is none of these is left as it is.
 */
void short_expand(struct check *c, const struct key *row, struct node *n);

/* A word that says on, off or as usual, `initramfs: none`, `gdb: on`: who writes so without quotes thinks of no file. */
bool short_is_no_path(const char *text);

/*
 * Readers of YAML 1.1 make false of `off`, and write that: it is off where off is a word. What
 * else means off, or on, to people is not to be taken for a file's name. False: said.
 */
bool short_off(struct check *c, const struct key *row, struct node *n);

#endif
