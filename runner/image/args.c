/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - formats, sizes and numbers on a command line. */
#include <string.h>

#include "runner/image/image.h"
#include "runner/manifest/scalar.h"
#include "runner/report/text.h"

static const char *clean(char *dst, const char *s)
{
	return text_clean(dst, TEXT_SHORT, s, strlen(s));
}

int image_arg_format(const struct verb *v, const char *option, const char *text,
		     enum sill_disk_format *ret)
{
	static const char *const names[] = { "raw", "qcow2", "vhd", "vhdx" };
	const char *near;
	char shown[TEXT_SHORT];

	if (text == NULL) {
		(void)cmd_usage(v, "--%s is missing: raw, qcow2, vhd or vhdx", option);
		return -1;
	}
	if (sill_image_format_find(text, ret))
		return 0;
	near = strcmp(text, "vpc") == 0 ? "vhd" : cmd_nearest(text, names, 4);
	if (near != NULL)
		(void)cmd_usage(v, "--%s: there is no format '%s'; did you mean '%s'?", option,
				clean(shown, text), near);
	else
		(void)cmd_usage(v, "--%s: there is no format '%s': raw, qcow2, vhd or vhdx", option,
				clean(shown, text));
	return -1;
}

int image_arg_size(const struct verb *v, const char *what, const char *text, uint64_t *ret)
{
	char shown[TEXT_SHORT], guess[32];

	switch (scalar_size(text, ret)) {
	case SCALAR_OK:
		return 0;
	case SCALAR_NO_UNIT:
		/* As qemu-img has it: bytes, if they are sectors too. */
		if (scalar_uint(text, ret) == SCALAR_OK && *ret % 512 == 0 && *ret != 0)
			return 0;
		(void)cmd_usage(v, "%s: '%s' has no unit; write %sM or %sG", what,
				clean(shown, text), clean(guess, text), guess);
		return -1;
	case SCALAR_BIG:
		(void)cmd_usage(v, "%s: '%s' is too large", what, clean(shown, text));
		return -1;
	case SCALAR_NOT:
	case SCALAR_OCTAL:
	case SCALAR_UNIT:
		break;
	}
	if (scalar_size_guess(text, guess, sizeof(guess)))
		(void)cmd_usage(v, "%s: '%s' is not a size; did you mean %s?", what,
				clean(shown, text), guess);
	else
		(void)cmd_usage(v, "%s: '%s' is not a size; write for example 20G", what,
				clean(shown, text));
	return -1;
}

int image_arg_number(const struct verb *v, const char *option, const char *text, unsigned max,
		     unsigned *ret)
{
	char shown[TEXT_SHORT];
	uint64_t n;

	if (scalar_uint(text, &n) == SCALAR_OK && n >= 1 && n <= max) {
		*ret = (unsigned)n;
		return 0;
	}
	(void)cmd_usage(v, "--%s: '%s' is not a number from 1 to %u", option, clean(shown, text),
			max);
	return -1;
}

char *image_size_text(char *dst, size_t size, uint64_t v)
{
	static const char units[] = "KMGTPE";
	double x = (double)v;
	int unit = -1;

	while (x >= 1000 && unit < 5) {
		x /= 1024;
		unit++;
	}
	if (unit < 0)
		(void)snprintf(dst, size, "%llu B", (unsigned long long)v);
	else
		(void)snprintf(dst, size, "%0.3g %ciB", x, units[unit]);
	return dst;
}
