/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c - sill image compare: is the same on two disks? */
#include "runner/image/verbs.h"

/* Exit statuses, those of qemu-img. CMD_DONE: it is the same. */
enum {
	DIFFERENT = 1,
	NOT_OPEN = 2, /* wrong usage, or an image that cannot be used */
	NOT_READ = 4,
};

struct request {
	struct image_want image[2];
	bool strict, quiet;
};

static void say(const struct request *r, const char *what)
{
	if (!r->quiet)
		(void)puts(what);
}

/* In qemu-img's words, and its order: of two sizes the larger one's end is looked at last. */
static int tell(const struct request *r, const struct sill_image_comparison *c, uint64_t common,
		bool same_size)
{
	const bool other_kind =
		r->strict && c->other_kind != UINT64_MAX && c->other_kind <= c->differs;

	if (!same_size && c->differs >= common)
		say(r, "Warning: Image size mismatch!");
	if (!r->quiet && other_kind)
		(void)printf("Strict mode: Offset %llu block status mismatch!\n",
			     (unsigned long long)c->other_kind);
	else if (!r->quiet && c->differs != UINT64_MAX)
		(void)printf("Content mismatch at offset %llu!\n", (unsigned long long)c->differs);
	if (other_kind || c->differs != UINT64_MAX)
		return DIFFERENT;
	say(r, "Images are identical.");
	return CMD_DONE;
}

static int compare_open(const struct request *r, struct sill_image *a, struct sill_image *b)
{
	struct image_progress bar = { .what = "compare", .quiet = r->quiet };
	const struct sill_image_compare c = {
		.a = a, .b = b, .progress = image_progress, .ctx = &bar
	};
	const uint64_t sizes[] = { sill_image_size(a), sill_image_size(b) };
	struct sill_image_comparison found;
	struct sill_err e = { 0 };
	int failed;

	if (r->strict && sizes[0] != sizes[1]) {
		say(r, "Strict mode: Image size mismatch!");
		return DIFFERENT;
	}
	failed = sill_image_compare(&c, &found, &e);
	image_progress_end(&bar);
	if (failed == 0)
		return tell(r, &found, sizes[0] < sizes[1] ? sizes[0] : sizes[1],
			    sizes[0] == sizes[1]);
	(void)cmd_error(&e);
	return NOT_READ;
}

static int compare(const struct request *r)
{
	struct sill_image *image[2] = { NULL, NULL };
	struct sill_err e = { 0 };
	int status = NOT_OPEN, failed = 0;

	image_catch_signals();
	for (unsigned i = 0; i < 2 && failed == 0; i++) {
		if (r->image[i].format == SILL_DISK_RAW)
			failed = image_check_raw(r->image[i].path, true, &e);
		if (failed == 0)
			image[i] = image_open(&r->image[i], &e);
		if (image[i] == NULL)
			failed = -1;
	}
	if (failed == 0)
		status = compare_open(r, image[0], image[1]);
	else
		(void)cmd_error(&e);
	sill_image_close(image[0]);
	sill_image_close(image[1]);
	return status;
}

static int run(int argc, char **argv)
{
	const struct verb *v = &image_verb_compare;
	const char *format[2] = { NULL, NULL };
	struct request r = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &format[0] },
		{ .name = "second-format", .letter = 'F', .text = &format[1] },
		{ .name = "strict", .letter = 's', .flag = &r.strict },
		{ .name = "quiet", .letter = 'q', .flag = &r.quiet },
	};
	/* clang-format on */
	int n = image_options(v, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : NOT_OPEN;
	if (n != 2) {
		(void)cmd_usage(v, "two files are needed");
		return NOT_OPEN;
	}
	for (unsigned i = 0; i < 2; i++) {
		r.image[i] = (struct image_want){ .path = argv[1 + i], .follow = true };
		if (image_arg_format_of(v, i == 0 ? "format" : "second-format", format[i],
					argv[1 + i], &r.image[i].format) < 0)
			return NOT_OPEN;
	}
	return compare(&r);
}

const struct verb image_verb_compare = {
	.name = "image compare",
	.args = "[OPTION]... FIRST SECOND",
	.summary = "tell whether the same is on two disks",
	.help = "What is below the images, by their headers, is read too. Of two sizes the larger\n"
		"one may have zeroes where the other ends. Space that is not allocated is not\n"
		"read.\n"
		"Exit status, as qemu-img has it: 0 the same, 1 different, 2 wrong usage or an\n"
		"image cannot be used, 4 it could not be read to the end.\n"
		"\n"
		"  -f, --format F          of FIRST; without it the header tells (never raw)\n"
		"  -F, --second-format F   of SECOND\n"
		"  -s, --strict            sizes and what is allocated have to be the same, too\n"
		"  -q, --quiet             the exit status is all\n",
	.run = run,
};
