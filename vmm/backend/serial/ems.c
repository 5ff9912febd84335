/* SPDX-License-Identifier: Apache-2.0 */
/* ems.c - see ems.h. */
#include "backend/serial/ems.h"

#include <string.h>

enum { ESC = 0x1b, CODE_DIGITS = 8, PARAMETER_DIGITS = 16 };

static const char *past_blanks(const char *s)
{
	while (*s == ' ')
		s++;
	return s;
}

/* Behind @word, if @s begins with it; else NULL. */
static const char *past(const char *s, const char *word)
{
	const size_t n = strlen(word);

	return strncmp(s, word, n) == 0 ? s + n : NULL;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "0x" and 1..@max digits. Behind them, or NULL: there are none, or more. */
static const char *number(const char *s, unsigned max, uint64_t *ret)
{
	unsigned n = 0;

	*ret = 0;
	if (s[0] != '0' || (s[1] != 'x' && s[1] != 'X'))
		return NULL;
	for (s += 2; digit_of(*s) >= 0; s++, n++) {
		if (n == max)
			return NULL;
		*ret = *ret << 4 | (unsigned)digit_of(*s);
	}
	return n > 0 ? s : NULL;
}

/* What stands before </VALUE>. */
static void take_code(struct ems_line *l, const char *s)
{
	uint64_t code;

	s = past_blanks(s);
	s = number(s + (*s == '"'), CODE_DIGITS, &code);
	if (s == NULL || l->said.has_code || (*s != '\0' && *s != '"'))
		return;
	l->said.code = code;
	l->said.has_code = true;
}

/* Behind "*** STOP:". All of it, and of this bug check, or none. */
static bool take_parameters(struct ems_line *l, const char *s)
{
	struct sill_crash said = l->said;

	s = number(past_blanks(s), CODE_DIGITS, &said.code);
	if (s == NULL || said.has_parameters ||
	    (said.has_code && (uint32_t)said.code != (uint32_t)l->said.code))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		s = past_blanks(s);
		if (*s != (i == 0 ? '(' : ','))
			return false;
		s = number(past_blanks(s + 1), PARAMETER_DIGITS, &said.parameter[i]);
		if (s == NULL)
			return false;
	}
	if (*past_blanks(s) != ')')
		return false;
	said.has_code = said.has_parameters = true;
	l->said = said;
	return true;
}

static bool is_of_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

/* @s begins with a file's name, and @after follows it. */
static bool take_driver(struct ems_line *l, const char *s, const char *after)
{
	size_t n = 0;

	while (is_of_name(s[n]))
		n++;
	if (l->said.driver[0] != '\0' || n == 0 || n >= sizeof(l->said.driver) ||
	    past(s + n, after) == NULL)
		return false;
	memcpy(l->said.driver, s, n);
	l->said.driver[n] = '\0';
	return true;
}

/* A line has ended. */
static enum ems_news take_line(struct ems_line *l)
{
	const char *s = past_blanks(l->text), *rest;

	if (!l->ended)
		return EMS_NOTHING;
	rest = past(s, "*** STOP:");
	if (rest != NULL)
		return take_parameters(l, rest) ? EMS_WHOLE : EMS_NOTHING;
	rest = past(s, "The problem seems to be caused by the following file: ");
	if (rest != NULL)
		return take_driver(l, rest, "") ? EMS_MORE : EMS_NOTHING;
	rest = past(s, "***");
	if (rest != NULL)
		return take_driver(l, past_blanks(rest), " - Address ") ? EMS_MORE : EMS_NOTHING;
	return EMS_NOTHING;
}

/* The prompt behind a block, which may have been cut off. */
static enum ems_news take_prompt(struct ems_line *l)
{
	if (!l->blue || l->prompt || strcmp(past_blanks(l->text), "!SAC>") != 0)
		return EMS_NOTHING;
	l->prompt = l->ended = true;
	return EMS_WHOLE;
}

/* There was a '>'. */
static enum ems_news take_tag(struct ems_line *l)
{
	char *tag = strrchr(l->text, '<');

	if (tag == NULL || l->ended)
		return take_prompt(l);
	if (strcmp(tag, "<BP>") == 0) {
		l->inside = true;
	} else if (!l->inside) {
		return EMS_NOTHING;
	} else if (strcmp(tag, "<INSTANCE CLASSNAME=\"BLUESCREEN\">") == 0) {
		l->blue = true;
	} else if (past(tag, "<PROPERTY ") != NULL) {
		l->is_code = past(tag, "<PROPERTY NAME=\"STOPCODE\"") != NULL;
	} else if (strcmp(tag, "</VALUE>") == 0 && l->blue && l->is_code) {
		*tag = '\0';
		take_code(l, l->text);
	} else if (strcmp(tag, "</BP>") == 0) {
		l->inside = false;
		l->ended = l->blue;
		return l->ended ? EMS_MORE : EMS_NOTHING;
	}
	return EMS_NOTHING;
}

/* True: @b belongs to an escape sequence. What is painted at another place is another line. */
static bool is_escape(struct ems_line *l, uint8_t b)
{
	const uint8_t before = l->escape;

	if (b == ESC)
		l->escape = 1;
	else if (before == 1)
		l->escape = b == '[' ? 2 : 0;
	else if (before == 2 && b >= 0x40 && b <= 0x7e)
		l->escape = 0;
	return b == ESC || before != 0;
}

static enum ems_news take(struct ems_line *l, uint8_t b)
{
	enum ems_news news = EMS_NOTHING;
	const bool painted = l->escape == 2 && (b == 'H' || b == 'f');

	if (is_escape(l, b) ? !painted : b < ' ' && b != '\n')
		return EMS_NOTHING;
	if (b != '\n' && !painted) {
		if (b == '<' && l->too_long) {
			l->too_long = false; /* what it follows is of no interest */
			l->n = 0;
		}
		if (l->n == EMS_LINE - 1) {
			l->too_long = true;
			l->n = 0;
		}
		l->text[l->n++] = (char)b;
		if (b != '>')
			return EMS_NOTHING;
	}
	l->text[l->n] = '\0';
	if (!l->too_long)
		news = b == '>' ? take_tag(l) : take_line(l);
	l->n = 0;
	l->too_long = false;
	return news;
}

enum ems_news ems_take(struct ems_line *l, const uint8_t *p, size_t n)
{
	enum ems_news news = EMS_NOTHING;

	for (size_t i = 0; i < n; i++) {
		const enum ems_news more = take(l, p[i]);

		news = more > news ? more : news;
	}
	return news;
}
