/* SPDX-License-Identifier: Apache-2.0 */
/* fd.h - file descriptors that close themselves, and whole-buffer I/O. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

/* For set-up code: `auto_fd fd = open(...)`; hand it on with fd_take(&fd). */
#define auto_fd __attribute__((cleanup(fd_cleanup))) int

void fd_cleanup(int *fd);
int fd_take(int *fd);
/* Close and set to -1; accepts -1. Keeps errno. */
void fd_close(int *fd);

/* All @n bytes or -1 with errno (EIO at the end of the file). EINTR is retried. */
int fd_pread_full(int fd, void *p, size_t n, off_t off) MUST_CHECK;
int fd_pwrite_full(int fd, const void *p, size_t n, off_t off) MUST_CHECK;

#endif
