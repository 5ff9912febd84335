/* SPDX-License-Identifier: Apache-2.0 */
/* say.c - see say.h. */
#include "runner/cmd/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "runner/host/std.h"
#include "runner/report/text.h"

void say(const char *fmt, ...)
{
	const bool raw = isatty(STDERR_FILENO) == 1;
	va_list ap;

	va_start(ap, fmt);
	if (std_error_ready())
		text_vsay(stderr, raw ? "\r\nsill: " : "sill: ", raw ? "\r\n" : "\n", fmt, ap);
	va_end(ap);
}

void say_hint(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (std_error_ready())
		text_vsay(stderr, "   hint: ", isatty(STDERR_FILENO) == 1 ? "\r\n" : "\n", fmt, ap);
	va_end(ap);
}
