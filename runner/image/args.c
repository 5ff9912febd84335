/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - formats, sizes and numbers on a command line. */
#include <stdio.h>
#include <string.h>

#include "runner/image/verbs.h"
#include "runner/manifest/scalar.h"
#include "runner/report/text.h"

static const char *clean(char *dst, const char *s)
{
	return text_clean(dst, TEXT_SHORT, s, strlen(s));
}

int image_arg_format(const struct verb *v, const char *option, const char *text,
		     enum sill_disk_format *ret)
{
	const char *names[SILL_DISK_FORMATS];
	const char *near;
	char shown[TEXT_SHORT];

	if (text == NULL) {
		(void)cmd_usage(v, "--%s is missing: " SILL_IMAGE_FORMATS, option);
		return -1;
	}
	if (sill_image_format_find(strcmp(text, "vpc") == 0 ? "vhd" : text, ret))
		return 0;
	for (unsigned i = 0; i < SILL_DISK_FORMATS; i++)
		names[i] = sill_image_format_name((enum sill_disk_format)i);
	near = cmd_nearest(text, names, SILL_DISK_FORMATS);
	if (near != NULL)
		(void)cmd_usage(v, "--%s: there is no format '%s'; did you mean '%s'?", option,
				clean(shown, text), near);
	else
		(void)cmd_usage(v, "--%s: there is no format '%s': " SILL_IMAGE_FORMATS, option,
				clean(shown, text));
	return -1;
}

int image_arg_base_format(const struct verb *v, const char *option, const char *text,
			  enum sill_disk_format *ret)
{
	if (text == NULL) {
		(void)cmd_usage(v, "--%s is missing: raw or qcow2", option);
		return -1;
	}
	if (image_arg_format(v, option, text, ret) < 0)
		return -1;
	if (*ret == SILL_DISK_RAW || *ret == SILL_DISK_QCOW2)
		return 0;
	(void)cmd_usage(v, "--%s is raw or qcow2", option);
	return -1;
}

int image_arg_format_of(const struct verb *v, const char *option, const char *text,
			const char *path, enum sill_disk_format *ret)
{
	struct sill_image_info info;
	struct sill_err e = { 0 };
	char shown[TEXT_SHORT], what[64];

	if (text != NULL)
		return image_arg_format(v, option, text, ret);
	if (image_look(path, NULL, &info, &e) < 0) {
		(void)cmd_error(&e);
		return -1;
	}
	*ret = info.format;
	if (image_is_foreign(&info.foreign)) {
		(void)sill_err_set(&e, SILL_ERR_STATE, "'%s' is a %s", clean(shown, path),
				   image_foreign_text(&info.foreign, what, sizeof(what)));
		(void)image_foreign_hint(&info.foreign, "", &e);
		(void)cmd_error(&e);
		return -1;
	}
	if (*ret == SILL_DISK_RAW)
		return image_arg_format(v, option, NULL, ret);
	(void)fprintf(stderr, "sill: '%s' is %s, its header says so\n", clean(shown, path),
		      sill_image_format_name(*ret));
	return 0;
}

/*
 * A size as qemu-img takes it, where ours is stricter: a fraction, small letters, P and E, b for bytes.
 * Less than a byte is cut off. false: it is none, or too large.
 */
static bool loose_size(const char *text, uint64_t *ret)
{
	static const char units[] = "bkmgtpe";
	uint64_t whole = 0, part = 0, scale = 1;
	const char *p = text, *unit;
	unsigned shift;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(whole, 10u, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return false;
	if (p == text)
		return false;
	/* Nine digits are enough for a size; what follows is less than a sector of any. */
	for (p += *p == '.'; *p >= '0' && *p <= '9'; p++)
		if (scale < 1000000000) {
			part = part * 10 + (uint64_t)(*p - '0');
			scale *= 10;
		}
	unit = *p != '\0' ? strchr(units, *p | 0x20) : NULL;
	if (unit == NULL || (p[1] != '\0' && (*unit == 'b' || strcmp(p + 1, "iB") != 0)))
		return false;
	shift = 10 * (unsigned)(unit - units);
	if (whole > UINT64_MAX >> shift)
		return false;
	*ret = whole << shift;
	return !__builtin_add_overflow(
		*ret, (uint64_t)((unsigned __int128)part * (1ull << shift) / scale), ret);
}

/* Disks have whole sectors. */
static int whole_sectors(const struct verb *v, const char *what, const char *text, uint64_t *ret)
{
	const uint64_t size = *ret;
	char shown[TEXT_SHORT];

	if (size == 0)
		return cmd_usage(v, "%s: '%s' is nothing; write for example 20G", what,
				 clean(shown, text)),
		       -1;
	if (size > UINT64_MAX - 511)
		return cmd_usage(v, "%s: '%s' is too large", what, clean(shown, text)), -1;
	*ret = (size + 511) & ~511ull;
	if (*ret != size)
		(void)fprintf(stderr, "sill: %s: rounded up to whole sectors: %llu bytes\n", what,
			      (unsigned long long)*ret);
	return 0;
}

int image_arg_size(const struct verb *v, const char *what, const char *text, uint64_t *ret)
{
	enum { SURELY_BYTES = 1024 * 1024 };
	char shown[TEXT_SHORT], guess[32];

	switch (scalar_size(text, ret)) {
	case SCALAR_OK:
		return whole_sectors(v, what, text, ret);
	case SCALAR_NO_UNIT:
		/* As qemu-img has it: bytes, unless it looks as if a unit was forgotten. */
		if (scalar_uint(text, ret) == SCALAR_OK &&
		    (*ret % 512 == 0 || *ret >= SURELY_BYTES))
			return whole_sectors(v, what, text, ret);
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
	if (loose_size(text, ret))
		return whole_sectors(v, what, text, ret);
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

static int prealloc_word(const struct verb *v, const char *text, enum sill_image_prealloc *ret)
{
	if (text == NULL || strcmp(text, "off") == 0)
		*ret = SILL_PREALLOC_OFF;
	else if (strcmp(text, "metadata") == 0)
		*ret = SILL_PREALLOC_METADATA;
	else if (strcmp(text, "full") == 0 || strcmp(text, "falloc") == 0)
		*ret = SILL_PREALLOC_FULL;
	else
		return cmd_usage(v, "--preallocation is off, metadata or full"), -1;
	return 0;
}

/* One of two words. */
static int choice(const struct verb *v, const char *option, const char *text, const char *a,
		  const char *b, bool *ret_first)
{
	*ret_first = text != NULL && strcmp(text, a) == 0;
	if (text == NULL || *ret_first || strcmp(text, b) == 0)
		return 0;
	return cmd_usage(v, "--%s is %s or %s", option, a, b), -1;
}

/* Versions are numbered otherwise by qemu-img. */
static const char *version_word(const char *text)
{
	if (text != NULL && strcmp(text, "0.10") == 0)
		return "v2";
	return text != NULL && strcmp(text, "1.1") == 0 ? "v3" : text;
}

int image_words_read(const struct verb *v, struct image_words *w, struct sill_image_options *o)
{
	uint64_t n = 0;
	bool v2;

	if (image_words_o(v, w) < 0 || image_words_refuse(v, w) < 0 ||
	    prealloc_word(v, w->prealloc, &o->prealloc) < 0 ||
	    choice(v, "compat", version_word(w->compat), "v2", "v3", &v2) < 0 ||
	    choice(v, "compression-type", w->compression, "zstd", "zlib", &o->zstd) < 0 ||
	    choice(v, "subformat", w->subformat, "fixed", "dynamic", &o->fixed) < 0)
		return -1;
	if (w->block != NULL && image_arg_size(v, "cluster size", w->block, &n) < 0)
		return -1;
	if (w->refcount_bits != NULL &&
	    image_arg_number(v, "refcount-bits", w->refcount_bits, 64, &o->refcount_bits) < 0)
		return -1;
	if (w->sector != NULL &&
	    image_arg_number(v, "sector-size", w->sector, 4096, &o->sector_size) < 0)
		return -1;
	o->block_size = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
	if (w->compat != NULL)
		o->version = v2 ? 2 : 3;
	o->subclusters = w->subclusters;
	o->lazy_refcounts = w->lazy;
	return 0;
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
