/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - read what the kernel tells in /proc and /sys. */
#ifndef RUNNER_HOST_PROC_H
#define RUNNER_HOST_PROC_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next name in @d, or NULL. @d is used by one thread only. */
const char *dir_next(DIR *d);

/* The decimal number at the beginning of @s, after @prefix; false when there is none. */
bool number_after(const char *s, const char *prefix, uint64_t *ret_v);

/* The number that is all of a file in /sys; 0 when it cannot be read. */
uint64_t proc_number(const char *path);

/* A module's switch in /sys: Y or 1; false too when it cannot be read. */
bool proc_flag(const char *path);

/* The lines "@names[i]:  N kB" of /proc/meminfo in bytes; 0 for what is not there. Reads it once. */
void proc_meminfo(const char *const *names, uint64_t *ret, size_t count);

#endif
