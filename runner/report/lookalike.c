/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookalike.c - the table of them.
 *
 * Code points and names are Unicode's; what each is taken for is what the usual
 * fonts draw. Letters and digits of the full-width block have no rows, nor have
 * variation selectors and tags: they are computed.
 */
#include "runner/report/lookalike.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/text.h"

struct row {
	uint32_t c;
	enum look look;
	const char *like, *name;
};

/* clang-format off */
/* In the order of code points. */
static const struct row rows[] = {
	{ 0x00a0, LOOK_BLANK, " ", "NO-BREAK SPACE" },
	{ 0x00ab, LOOK_MARK, "\"", "LEFT-POINTING DOUBLE ANGLE QUOTATION MARK" },
	{ 0x00ad, LOOK_HIDDEN, "", "SOFT HYPHEN" },
	{ 0x00b4, LOOK_MARK, "'", "ACUTE ACCENT" },
	{ 0x00bb, LOOK_MARK, "\"", "RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK" },
	{ 0x0131, LOOK_LETTER, "i", "LATIN SMALL LETTER DOTLESS I" },
	{ 0x017f, LOOK_LETTER, "s", "LATIN SMALL LETTER LONG S" },
	{ 0x02bc, LOOK_MARK, "'", "MODIFIER LETTER APOSTROPHE" },
	{ 0x034f, LOOK_HIDDEN, "", "COMBINING GRAPHEME JOINER" },
	{ 0x0391, LOOK_LETTER, "A", "GREEK CAPITAL LETTER ALPHA" },
	{ 0x0392, LOOK_LETTER, "B", "GREEK CAPITAL LETTER BETA" },
	{ 0x0395, LOOK_LETTER, "E", "GREEK CAPITAL LETTER EPSILON" },
	{ 0x0396, LOOK_LETTER, "Z", "GREEK CAPITAL LETTER ZETA" },
	{ 0x0397, LOOK_LETTER, "H", "GREEK CAPITAL LETTER ETA" },
	{ 0x0399, LOOK_LETTER, "I", "GREEK CAPITAL LETTER IOTA" },
	{ 0x039a, LOOK_LETTER, "K", "GREEK CAPITAL LETTER KAPPA" },
	{ 0x039c, LOOK_LETTER, "M", "GREEK CAPITAL LETTER MU" },
	{ 0x039d, LOOK_LETTER, "N", "GREEK CAPITAL LETTER NU" },
	{ 0x039f, LOOK_LETTER, "O", "GREEK CAPITAL LETTER OMICRON" },
	{ 0x03a1, LOOK_LETTER, "P", "GREEK CAPITAL LETTER RHO" },
	{ 0x03a4, LOOK_LETTER, "T", "GREEK CAPITAL LETTER TAU" },
	{ 0x03a5, LOOK_LETTER, "Y", "GREEK CAPITAL LETTER UPSILON" },
	{ 0x03a7, LOOK_LETTER, "X", "GREEK CAPITAL LETTER CHI" },
	{ 0x03b1, LOOK_LETTER, "a", "GREEK SMALL LETTER ALPHA" },
	{ 0x03b9, LOOK_LETTER, "i", "GREEK SMALL LETTER IOTA" },
	{ 0x03ba, LOOK_LETTER, "k", "GREEK SMALL LETTER KAPPA" },
	{ 0x03bd, LOOK_LETTER, "v", "GREEK SMALL LETTER NU" },
	{ 0x03bf, LOOK_LETTER, "o", "GREEK SMALL LETTER OMICRON" },
	{ 0x03c1, LOOK_LETTER, "p", "GREEK SMALL LETTER RHO" },
	{ 0x03c5, LOOK_LETTER, "u", "GREEK SMALL LETTER UPSILON" },
	{ 0x0405, LOOK_LETTER, "S", "CYRILLIC CAPITAL LETTER DZE" },
	{ 0x0406, LOOK_LETTER, "I", "CYRILLIC CAPITAL LETTER BYELORUSSIAN-UKRAINIAN I" },
	{ 0x0408, LOOK_LETTER, "J", "CYRILLIC CAPITAL LETTER JE" },
	{ 0x0410, LOOK_LETTER, "A", "CYRILLIC CAPITAL LETTER A" },
	{ 0x0412, LOOK_LETTER, "B", "CYRILLIC CAPITAL LETTER VE" },
	{ 0x0415, LOOK_LETTER, "E", "CYRILLIC CAPITAL LETTER IE" },
	{ 0x041a, LOOK_LETTER, "K", "CYRILLIC CAPITAL LETTER KA" },
	{ 0x041c, LOOK_LETTER, "M", "CYRILLIC CAPITAL LETTER EM" },
	{ 0x041d, LOOK_LETTER, "H", "CYRILLIC CAPITAL LETTER EN" },
	{ 0x041e, LOOK_LETTER, "O", "CYRILLIC CAPITAL LETTER O" },
	{ 0x0420, LOOK_LETTER, "P", "CYRILLIC CAPITAL LETTER ER" },
	{ 0x0421, LOOK_LETTER, "C", "CYRILLIC CAPITAL LETTER ES" },
	{ 0x0422, LOOK_LETTER, "T", "CYRILLIC CAPITAL LETTER TE" },
	{ 0x0423, LOOK_LETTER, "Y", "CYRILLIC CAPITAL LETTER U" },
	{ 0x0425, LOOK_LETTER, "X", "CYRILLIC CAPITAL LETTER HA" },
	{ 0x0430, LOOK_LETTER, "a", "CYRILLIC SMALL LETTER A" },
	{ 0x0435, LOOK_LETTER, "e", "CYRILLIC SMALL LETTER IE" },
	{ 0x043a, LOOK_LETTER, "k", "CYRILLIC SMALL LETTER KA" },
	{ 0x043c, LOOK_LETTER, "m", "CYRILLIC SMALL LETTER EM" },
	{ 0x043e, LOOK_LETTER, "o", "CYRILLIC SMALL LETTER O" },
	{ 0x043f, LOOK_LETTER, "n", "CYRILLIC SMALL LETTER PE" },
	{ 0x0440, LOOK_LETTER, "p", "CYRILLIC SMALL LETTER ER" },
	{ 0x0441, LOOK_LETTER, "c", "CYRILLIC SMALL LETTER ES" },
	{ 0x0442, LOOK_LETTER, "t", "CYRILLIC SMALL LETTER TE" },
	{ 0x0443, LOOK_LETTER, "y", "CYRILLIC SMALL LETTER U" },
	{ 0x0445, LOOK_LETTER, "x", "CYRILLIC SMALL LETTER HA" },
	{ 0x0455, LOOK_LETTER, "s", "CYRILLIC SMALL LETTER DZE" },
	{ 0x0456, LOOK_LETTER, "i", "CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I" },
	{ 0x0458, LOOK_LETTER, "j", "CYRILLIC SMALL LETTER JE" },
	{ 0x04bb, LOOK_LETTER, "h", "CYRILLIC SMALL LETTER SHHA" },
	{ 0x04cf, LOOK_LETTER, "l", "CYRILLIC SMALL LETTER PALOCHKA" },
	{ 0x0501, LOOK_LETTER, "d", "CYRILLIC SMALL LETTER KOMI DE" },
	{ 0x051b, LOOK_LETTER, "q", "CYRILLIC SMALL LETTER QA" },
	{ 0x051d, LOOK_LETTER, "w", "CYRILLIC SMALL LETTER WE" },
	{ 0x0570, LOOK_LETTER, "h", "ARMENIAN SMALL LETTER HO" },
	{ 0x0578, LOOK_LETTER, "n", "ARMENIAN SMALL LETTER VO" },
	{ 0x057d, LOOK_LETTER, "u", "ARMENIAN SMALL LETTER SEH" },
	{ 0x0585, LOOK_LETTER, "o", "ARMENIAN SMALL LETTER OH" },
	{ 0x0589, LOOK_MARK, ":", "ARMENIAN FULL STOP" },
	{ 0x05c3, LOOK_MARK, ":", "HEBREW PUNCTUATION SOF PASUQ" },
	{ 0x061c, LOOK_HIDDEN, "", "ARABIC LETTER MARK" },
	{ 0x115f, LOOK_HIDDEN, "", "HANGUL CHOSEONG FILLER" },
	{ 0x1160, LOOK_HIDDEN, "", "HANGUL JUNGSEONG FILLER" },
	{ 0x1680, LOOK_BLANK, " ", "OGHAM SPACE MARK" },
	{ 0x17b4, LOOK_HIDDEN, "", "KHMER VOWEL INHERENT AQ" },
	{ 0x17b5, LOOK_HIDDEN, "", "KHMER VOWEL INHERENT AA" },
	{ 0x180b, LOOK_HIDDEN, "", "MONGOLIAN FREE VARIATION SELECTOR ONE" },
	{ 0x180c, LOOK_HIDDEN, "", "MONGOLIAN FREE VARIATION SELECTOR TWO" },
	{ 0x180d, LOOK_HIDDEN, "", "MONGOLIAN FREE VARIATION SELECTOR THREE" },
	{ 0x180e, LOOK_HIDDEN, "", "MONGOLIAN VOWEL SEPARATOR" },
	{ 0x2000, LOOK_BLANK, " ", "EN QUAD" },
	{ 0x2001, LOOK_BLANK, " ", "EM QUAD" },
	{ 0x2002, LOOK_BLANK, " ", "EN SPACE" },
	{ 0x2003, LOOK_BLANK, " ", "EM SPACE" },
	{ 0x2004, LOOK_BLANK, " ", "THREE-PER-EM SPACE" },
	{ 0x2005, LOOK_BLANK, " ", "FOUR-PER-EM SPACE" },
	{ 0x2006, LOOK_BLANK, " ", "SIX-PER-EM SPACE" },
	{ 0x2007, LOOK_BLANK, " ", "FIGURE SPACE" },
	{ 0x2008, LOOK_BLANK, " ", "PUNCTUATION SPACE" },
	{ 0x2009, LOOK_BLANK, " ", "THIN SPACE" },
	{ 0x200a, LOOK_BLANK, " ", "HAIR SPACE" },
	{ 0x200b, LOOK_HIDDEN, "", "ZERO WIDTH SPACE" },
	{ 0x200c, LOOK_HIDDEN, "", "ZERO WIDTH NON-JOINER" },
	{ 0x200d, LOOK_HIDDEN, "", "ZERO WIDTH JOINER" },
	{ 0x200e, LOOK_HIDDEN, "", "LEFT-TO-RIGHT MARK" },
	{ 0x200f, LOOK_HIDDEN, "", "RIGHT-TO-LEFT MARK" },
	{ 0x2010, LOOK_MARK, "-", "HYPHEN" },
	{ 0x2011, LOOK_MARK, "-", "NON-BREAKING HYPHEN" },
	{ 0x2012, LOOK_MARK, "-", "FIGURE DASH" },
	{ 0x2013, LOOK_MARK, "-", "EN DASH" },
	{ 0x2014, LOOK_MARK, "-", "EM DASH" },
	{ 0x2015, LOOK_MARK, "-", "HORIZONTAL BAR" },
	{ 0x2018, LOOK_MARK, "'", "LEFT SINGLE QUOTATION MARK" },
	{ 0x2019, LOOK_MARK, "'", "RIGHT SINGLE QUOTATION MARK" },
	{ 0x201a, LOOK_MARK, "'", "SINGLE LOW-9 QUOTATION MARK" },
	{ 0x201b, LOOK_MARK, "'", "SINGLE HIGH-REVERSED-9 QUOTATION MARK" },
	{ 0x201c, LOOK_MARK, "\"", "LEFT DOUBLE QUOTATION MARK" },
	{ 0x201d, LOOK_MARK, "\"", "RIGHT DOUBLE QUOTATION MARK" },
	{ 0x201e, LOOK_MARK, "\"", "DOUBLE LOW-9 QUOTATION MARK" },
	{ 0x201f, LOOK_MARK, "\"", "DOUBLE HIGH-REVERSED-9 QUOTATION MARK" },
	{ 0x2022, LOOK_MARK, "-", "BULLET" },
	{ 0x2024, LOOK_MARK, ".", "ONE DOT LEADER" },
	{ 0x202f, LOOK_BLANK, " ", "NARROW NO-BREAK SPACE" },
	{ 0x2032, LOOK_MARK, "'", "PRIME" },
	{ 0x2033, LOOK_MARK, "\"", "DOUBLE PRIME" },
	{ 0x2039, LOOK_MARK, "'", "SINGLE LEFT-POINTING ANGLE QUOTATION MARK" },
	{ 0x203a, LOOK_MARK, "'", "SINGLE RIGHT-POINTING ANGLE QUOTATION MARK" },
	{ 0x2043, LOOK_MARK, "-", "HYPHEN BULLET" },
	{ 0x2044, LOOK_MARK, "/", "FRACTION SLASH" },
	{ 0x205f, LOOK_BLANK, " ", "MEDIUM MATHEMATICAL SPACE" },
	{ 0x2060, LOOK_HIDDEN, "", "WORD JOINER" },
	{ 0x2061, LOOK_HIDDEN, "", "FUNCTION APPLICATION" },
	{ 0x2062, LOOK_HIDDEN, "", "INVISIBLE TIMES" },
	{ 0x2063, LOOK_HIDDEN, "", "INVISIBLE SEPARATOR" },
	{ 0x2064, LOOK_HIDDEN, "", "INVISIBLE PLUS" },
	{ 0x2212, LOOK_MARK, "-", "MINUS SIGN" },
	{ 0x2215, LOOK_MARK, "/", "DIVISION SLASH" },
	{ 0x2217, LOOK_MARK, "*", "ASTERISK OPERATOR" },
	{ 0x2236, LOOK_MARK, ":", "RATIO" },
	{ 0x275b, LOOK_MARK, "'", "HEAVY SINGLE TURNED COMMA QUOTATION MARK ORNAMENT" },
	{ 0x275c, LOOK_MARK, "'", "HEAVY SINGLE COMMA QUOTATION MARK ORNAMENT" },
	{ 0x275d, LOOK_MARK, "\"", "HEAVY DOUBLE TURNED COMMA QUOTATION MARK ORNAMENT" },
	{ 0x275e, LOOK_MARK, "\"", "HEAVY DOUBLE COMMA QUOTATION MARK ORNAMENT" },
	{ 0x2800, LOOK_BLANK, " ", "BRAILLE PATTERN BLANK" },
	{ 0x3000, LOOK_BLANK, " ", "IDEOGRAPHIC SPACE" },
	{ 0x3001, LOOK_MARK, ",", "IDEOGRAPHIC COMMA" },
	{ 0x3002, LOOK_MARK, ".", "IDEOGRAPHIC FULL STOP" },
	{ 0x30fb, LOOK_MARK, "-", "KATAKANA MIDDLE DOT" },
	{ 0x3164, LOOK_HIDDEN, "", "HANGUL FILLER" },
	{ 0xa789, LOOK_MARK, ":", "MODIFIER LETTER COLON" },
	{ 0xfe13, LOOK_MARK, ":", "PRESENTATION FORM FOR VERTICAL COLON" },
	{ 0xfe50, LOOK_MARK, ",", "SMALL COMMA" },
	{ 0xfe55, LOOK_MARK, ":", "SMALL COLON" },
	{ 0xfe58, LOOK_MARK, "-", "SMALL EM DASH" },
	{ 0xfe63, LOOK_MARK, "-", "SMALL HYPHEN-MINUS" },
	{ 0xfeff, LOOK_HIDDEN, "", "BYTE ORDER MARK" },
	{ 0xff01, LOOK_MARK, "!", "FULLWIDTH EXCLAMATION MARK" },
	{ 0xff02, LOOK_MARK, "\"", "FULLWIDTH QUOTATION MARK" },
	{ 0xff03, LOOK_MARK, "#", "FULLWIDTH NUMBER SIGN" },
	{ 0xff04, LOOK_MARK, "$", "FULLWIDTH DOLLAR SIGN" },
	{ 0xff05, LOOK_MARK, "%", "FULLWIDTH PERCENT SIGN" },
	{ 0xff06, LOOK_MARK, "&", "FULLWIDTH AMPERSAND" },
	{ 0xff07, LOOK_MARK, "'", "FULLWIDTH APOSTROPHE" },
	{ 0xff08, LOOK_MARK, "(", "FULLWIDTH LEFT PARENTHESIS" },
	{ 0xff09, LOOK_MARK, ")", "FULLWIDTH RIGHT PARENTHESIS" },
	{ 0xff0a, LOOK_MARK, "*", "FULLWIDTH ASTERISK" },
	{ 0xff0b, LOOK_MARK, "+", "FULLWIDTH PLUS SIGN" },
	{ 0xff0c, LOOK_MARK, ",", "FULLWIDTH COMMA" },
	{ 0xff0d, LOOK_MARK, "-", "FULLWIDTH HYPHEN-MINUS" },
	{ 0xff0e, LOOK_MARK, ".", "FULLWIDTH FULL STOP" },
	{ 0xff0f, LOOK_MARK, "/", "FULLWIDTH SOLIDUS" },
	{ 0xff1a, LOOK_MARK, ":", "FULLWIDTH COLON" },
	{ 0xff1b, LOOK_MARK, ";", "FULLWIDTH SEMICOLON" },
	{ 0xff1c, LOOK_MARK, "<", "FULLWIDTH LESS-THAN SIGN" },
	{ 0xff1d, LOOK_MARK, "=", "FULLWIDTH EQUALS SIGN" },
	{ 0xff1e, LOOK_MARK, ">", "FULLWIDTH GREATER-THAN SIGN" },
	{ 0xff1f, LOOK_MARK, "?", "FULLWIDTH QUESTION MARK" },
	{ 0xff20, LOOK_MARK, "@", "FULLWIDTH COMMERCIAL AT" },
	{ 0xff3b, LOOK_MARK, "[", "FULLWIDTH LEFT SQUARE BRACKET" },
	{ 0xff3c, LOOK_MARK, "\\", "FULLWIDTH REVERSE SOLIDUS" },
	{ 0xff3d, LOOK_MARK, "]", "FULLWIDTH RIGHT SQUARE BRACKET" },
	{ 0xff3e, LOOK_MARK, "^", "FULLWIDTH CIRCUMFLEX ACCENT" },
	{ 0xff3f, LOOK_MARK, "_", "FULLWIDTH LOW LINE" },
	{ 0xff40, LOOK_MARK, "`", "FULLWIDTH GRAVE ACCENT" },
	{ 0xff5b, LOOK_MARK, "{", "FULLWIDTH LEFT CURLY BRACKET" },
	{ 0xff5c, LOOK_MARK, "|", "FULLWIDTH VERTICAL LINE" },
	{ 0xff5d, LOOK_MARK, "}", "FULLWIDTH RIGHT CURLY BRACKET" },
	{ 0xff5e, LOOK_MARK, "~", "FULLWIDTH TILDE" },
	{ 0xffa0, LOOK_HIDDEN, "", "HALFWIDTH HANGUL FILLER" },
};
/* clang-format on */

static int compare(const void *key, const void *row)
{
	uint32_t c = *(const uint32_t *)key;
	const struct row *r = row;

	return c == r->c ? 0 : c < r->c ? -1 : 1;
}

static bool between(uint32_t c, uint32_t first, uint32_t last)
{
	return c >= first && c <= last;
}

bool lookalike_joins(uint32_t c)
{
	return c == 0x200c || c == 0x200d || between(c, 0xfe00, 0xfe0f) ||
	       between(c, 0xe0020, 0xe007f) || between(c, 0xe0100, 0xe01ef);
}

static void set(struct lookalike *ret, enum look look, const char *like, const char *name)
{
	ret->look = look;
	(void)snprintf(ret->like, sizeof(ret->like), "%s", like);
	(void)snprintf(ret->name, sizeof(ret->name), "U+%04X %s", ret->c, name);
}

/* A full-width letter or digit; @ascii is the one it stands for. */
static void set_full_width(struct lookalike *ret, char ascii)
{
	static const char *const digits[] = { "ZERO", "ONE", "TWO",   "THREE", "FOUR",
					      "FIVE", "SIX", "SEVEN", "EIGHT", "NINE" };
	char like[2] = { ascii, '\0' }, name[48];

	if (between((uint32_t)ascii, '0', '9'))
		(void)snprintf(name, sizeof(name), "FULLWIDTH DIGIT %s", digits[ascii - '0']);
	else
		(void)snprintf(name, sizeof(name), "FULLWIDTH LATIN %s LETTER %c",
			       ascii >= 'a' ? "SMALL" : "CAPITAL", ascii & ~0x20);
	set(ret, LOOK_LETTER, like, name);
}

bool lookalike_find(uint32_t c, struct lookalike *ret)
{
	const struct row *r;

	ret->c = c;
	if (c < rows[0].c)
		return false;
	r = bsearch(&c, rows, sizeof(rows) / sizeof(rows[0]), sizeof(rows[0]), compare);
	if (r != NULL)
		set(ret, r->look, r->like, r->name);
	else if (between(c, 0xff10, 0xff5a))
		set_full_width(ret, (char)(c - 0xfee0));
	else if (between(c, 0xfe00, 0xfe0f) || between(c, 0xe0100, 0xe01ef))
		set(ret, LOOK_HIDDEN, "", "VARIATION SELECTOR");
	else if (between(c, 0xe0000, 0xe007f))
		set(ret, LOOK_HIDDEN, "", "TAG");
	else if (between(c, 0x206a, 0x206f))
		set(ret, LOOK_HIDDEN, "", "DEPRECATED FORMAT CHARACTER");
	else
		return false;
	return true;
}

size_t lookalike_in(const char *s, size_t n, unsigned looks, struct lookalike *ret)
{
	bool after_other = false; /* the last character is not ASCII, and can be seen */

	for (size_t i = 0; i < n;) {
		uint32_t c = 0;
		size_t len = utf8_next(s + i, n - i, &c);

		if (len > 1 && !(after_other && lookalike_joins(c) && (looks & LOOK_JOINED) == 0) &&
		    lookalike_find(c, ret) && (ret->look & looks) != 0)
			return i;
		after_other = len > 1;
		i += len > 0 ? len : 1;
	}
	return n;
}

char *lookalike_plain(char *dst, size_t size, const char *s, size_t n)
{
	struct lookalike l;
	size_t used = 0;

	for (size_t i = 0; i < n;) {
		uint32_t c = 0;
		size_t len = utf8_next(s + i, n - i, &c), take = len > 0 ? len : 1;
		bool other = len > 1 && lookalike_find(c, &l);
		const char *part = other ? l.like : s + i;
		size_t part_len = other ? strlen(l.like) : take;

		if (used + part_len >= size)
			break;
		memcpy(dst + used, part, part_len);
		used += part_len;
		i += take;
	}
	if (size > 0)
		dst[used] = '\0';
	return dst;
}
