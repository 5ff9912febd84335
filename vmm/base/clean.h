/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean.h - words from outside in a message.
 *
 * File names, names in images and what a guest or a host says may hold anything,
 * also what a terminal takes for a command or turns round. Errors (err.c) and log
 * lines (log.c) pass through here as a whole, so that nobody has to think of it.
 */
#ifndef BASE_CLEAN_H
#define BASE_CLEAN_H

#include <stddef.h>

/*
 * Make the text @s, in a buffer of @size bytes, printable: control characters, direction
 * marks and bytes that are not UTF-8 become \xNN. What gets too long by that is cut, and
 * so is a character that was cut already at the end of a full buffer.
 */
void clean_text(char *s, size_t size);

#endif
