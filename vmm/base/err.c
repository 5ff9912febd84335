/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - fill a caller's error struct. */
#include "base/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/clean.h"

/* True when @e is still free to take an error. */
static bool claim(struct sill_err *e, enum sill_err_code code)
{
	if (e->code != SILL_ERR_NONE)
		return false;
	e->code = code;
	return true;
}

int sill_err_set(struct sill_err *e, enum sill_err_code code, const char *fmt, ...)
{
	va_list ap;

	if (!claim(e, code))
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	clean_text(e->msg, sizeof(e->msg));
	return -1;
}

int sill_err_sys(struct sill_err *e, int sys, const char *fmt, ...)
{
	const char *known = strerrordesc_np(sys), *text = known != NULL ? known : "unknown error";
	const size_t room = sizeof(e->msg) - strlen(": ") - strlen(text);
	va_list ap;
	size_t len;

	if (!claim(e, SILL_ERR_HOST))
		return -1;
	e->sys = sys;
	/* A long path must not push the reason out. */
	va_start(ap, fmt);
	(void)vsnprintf(e->msg, room, fmt, ap);
	va_end(ap);
	clean_text(e->msg, room);
	len = strlen(e->msg);
	(void)snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", text);
	return -1;
}

void sill_err_wrap(struct sill_err *e, const char *fmt, ...)
{
	char old[sizeof(e->msg)];
	va_list ap;
	size_t len;

	(void)snprintf(old, sizeof(old), "%s", e->msg);
	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	len = strlen(e->msg);
	(void)snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", old);
	clean_text(e->msg, sizeof(e->msg));
}

int sill_err_hint(struct sill_err *e, const char *fmt, ...)
{
	va_list ap;

	if (e->hint[0] != '\0')
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
	clean_text(e->hint, sizeof(e->hint));
	return -1;
}
