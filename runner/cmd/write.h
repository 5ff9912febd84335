/* SPDX-License-Identifier: Apache-2.0 */
/* write.h - a file of text for a person, whole or not at all. */
#ifndef RUNNER_CMD_WRITE_H
#define RUNNER_CMD_WRITE_H

#include <stdbool.h>
#include <sys/types.h>

/* Of a new file that is nobody's secret: as open(2) makes it, by the umask. No other thread may make files meanwhile. */
mode_t cmd_mode(void);

/*
 * @path has all of @text, or is as it was; one that is there is replaced with @force only, as file_replace()
 * does. Says on stderr what keeps it. Returns the exit status.
 */
int cmd_write_file(const char *verb, const char *path, const char *text, bool force);

#endif
