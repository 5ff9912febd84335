/* SPDX-License-Identifier: Apache-2.0 */
/* say.h - lines for the person while a VM runs, whose terminal may be in raw mode. Nobody's reader is waited for. Any thread. */
#ifndef RUNNER_CMD_SAY_H
#define RUNNER_CMD_SAY_H

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The line after it. */
void say_hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
