/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the value that a VM is (sill/config.h) as text, and back.
 *
 * The text is the effective manifest as a program writes it for programs: YAML
 * with every key that has a value, sizes in bytes. libcyaml writes and reads
 * it by the same rows that manifests are checked by. A value is the same after
 * both.
 */
#ifndef SCHEMA_STORE_H
#define SCHEMA_STORE_H

#include <stddef.h>

#include "sill/config.h"
#include "sill/error.h"

/* The caller frees the text, which is not terminated. NULL: @e. */
char *store_save(const struct sill_config *c, size_t *ret_size, struct sill_err *e);
/*
 * 0 and a value that the caller owns; or -1 and @e, when the text is no such value. Each member is one that
 * its row allows, or not there; whether a VM can be what all of them say is asked as of every value.
 */
int store_load(const char *text, size_t size, struct sill_config *ret, struct sill_err *e);

#endif
