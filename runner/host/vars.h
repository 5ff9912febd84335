/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vars.h - UEFI variable stores: what one looks like, and where a new one comes from.
 */
#ifndef RUNNER_HOST_VARS_H
#define RUNNER_HOST_VARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/error.h"

/*
 * The template beside the firmware's code, by name: OVMF_CODE_4M.fd has
 * OVMF_VARS_4M.fd, OVMF_CODE_4M.ms.fd has OVMF_VARS_4M.ms.fd, and what has
 * none of its own takes the plain one. True when there is one; else @ret holds
 * the name that was looked for ("" when the code's name says nothing).
 */
bool vars_template(const char *code, char *ret, size_t size);

/*
 * Is the open file a variable store that is whole? 0, or -1 and why in @e:
 * the firmware volume's header must be there and its length that of the file.
 */
int vars_check(int fd, const char *path, struct sill_err *e);

/*
 * Create @path as a copy of @template: complete and on the disk under its
 * name, or not there at all. Mode 0600. 0, or -1.
 */
int vars_create(const char *path, const char *template, struct sill_err *e);

/*
 * Does the path name a build for Secure Boot, by Debian's names? Those need system
 * management mode, which this machine has not, and stop before their first output.
 */
bool vars_needs_smm(const char *path);

/* The same of the file that @path leads to, through links. */
bool vars_leads_to_smm(const char *path);

#endif
