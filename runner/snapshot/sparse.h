/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sparse.h - a guest's memory as a file, with holes where it is zero.
 *
 * Ranges lie in the file one behind the other, in the order of the list.
 */
#ifndef RUNNER_SNAPSHOT_SPARSE_H
#define RUNNER_SNAPSHOT_SPARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sill/error.h"
#include "sill/vm.h"

/* How far it has got, in bytes of memory; from time to time. False: give up. */
typedef bool (*sparse_fn)(void *ctx, uint64_t done, uint64_t size);

/* Public struct: who is told. @fn NULL: nobody. */
struct sparse_told {
	sparse_fn fn;
	void *ctx;
};

/* Into a new file from @at on, whose size it sets. 0, or -1 and @e. */
int sparse_write(int fd, off_t at, const struct sill_ram_range *r, unsigned count,
		 const struct sparse_told *told, struct sill_err *e);
/* One range, all zero, from the file at @at. Likewise. */
int sparse_read(int fd, off_t at, const struct sill_ram_range *r, struct sill_err *e);
/* All of @n bytes at @off, or an errno. */
int sparse_put(int fd, const void *p, size_t n, off_t off);

#endif
