/* SPDX-License-Identifier: Apache-2.0 */
/* salvage.c - what of an image could not be read: told, once the rest is copied. */
#include <string.h>

#include "runner/image/verbs.h"
#include "runner/report/text.h"

enum { LINES = 100 }; /* runs that are told; a damaged image has any number of them */

static void tell_run(void *ctx, uint64_t off, uint64_t length)
{
	unsigned *lines = ctx;
	char size[32];

	if ((*lines)++ < LINES)
		(void)fprintf(stderr, "sill: lost: bytes %llu to %llu (%s)\n",
			      (unsigned long long)off, (unsigned long long)(off + length - 1),
			      image_size_text(size, sizeof(size), length));
}

void image_tell_lost(struct sill_image *from, const char *in, const char *out)
{
	char from_name[160], to_name[160], lost[32], all[32];
	unsigned lines = 0;
	const uint64_t n = sill_image_lost(from, tell_run, &lines);

	if (n == 0)
		return;
	if (lines > LINES)
		(void)fprintf(stderr, "sill: lost: and in %u more places\n", lines - LINES);
	(void)fprintf(stderr, "sill: of '%s' %s of %s could not be read: zeroes in '%s'\n",
		      text_clean(from_name, sizeof(from_name), in, strlen(in)),
		      image_size_text(lost, sizeof(lost), n),
		      image_size_text(all, sizeof(all), sill_image_size(from)),
		      text_clean(to_name, sizeof(to_name), out, strlen(out)));
}
