/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.h - what others call what Sill has a key for, or has not.
 *
 * People bring names along from cloud-hypervisor, QEMU, libvirt, Lima, compose
 * files and Proxmox. The hint is a line that can be typed as it stands.
 */
#ifndef RUNNER_MANIFEST_FOREIGN_H
#define RUNNER_MANIFEST_FOREIGN_H

#include "runner/manifest/check.h"

/*
 * @key, with @value, is not known in @s. If it is somebody else's name for something, put
 * what to write instead into the hint of @g. *ret_row: the row of @s it stands for, or NULL
 * when it stands for none of this section's.
 */
bool foreign_hint(const struct section *s, const struct node *key, const struct node *value,
		  struct diag *g, const struct key **ret_row);

/*
 * Is @text, which may be NULL, what the rules about @row's key take: a MAC address, a port forward? True for keys
 * whose text may be anything.
 */
bool foreign_has_form(const struct key *row, const char *text);

/* Is @text right for @row when it is written in quotes? */
bool foreign_is_right_quoted(const struct key *row, const char *text);

/* The hint for @value, which is none of @row's words but may be somebody else's; or NULL. */
const char *foreign_word(const struct key *row, const struct node *value);

/*
 * Is @n, where a word or a number is due, another language's variable: $size, {{ size }}, $(size), %size%? Said then, with
 * how it is written here.
 */
bool foreign_variable(struct check *c, const struct node *n);

#endif
