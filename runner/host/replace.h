/* SPDX-License-Identifier: Apache-2.0 */
/* replace.h - a file gets another content: the old one or the new one is there at any time. */
#ifndef RUNNER_HOST_REPLACE_H
#define RUNNER_HOST_REPLACE_H

#include <stddef.h>
#include <sys/types.h>

/* All of @p; -1 and errno. */
int file_write_all(int fd, const void *p, size_t n);

/*
 * A new file in the place of @path, or of what it leads to, on the medium, with the old one's mode and owner; where
 * there was none, with @mode. Who may not give it to the old one's group does not give his own the group's rights.
 * -1 and errno: nothing has changed; ENODEV: it is no regular file.
 */
int file_replace(const char *path, const char *text, size_t n, mode_t mode);

#endif
