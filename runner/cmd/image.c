/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - sill image VERB: disk images without a VM. */
#include "runner/image/verbs.h"

static const struct verb *const verbs[] = {
#define IMAGE_VERB(name) &image_verb_##name,
#include "runner/image/verbs.def"
#undef IMAGE_VERB
	NULL,
};

/* What was stopped on request ends as the signal would have ended it. */
static int run_verb(const struct verb *v, int argc, char **argv)
{
	const int status = v->run(argc, argv);

	if (status != CMD_DONE)
		image_end_interrupted();
	return status;
}

static int run(int argc, char **argv)
{
	int status;
	const struct verb *v = cmd_verb_of(&verb_image, argc, argv, &status);

	return v != NULL ? run_verb(v, argc - 1, argv + 1) : status;
}

const struct verb verb_image = {
	.name = "image",
	.args = "VERB ...",
	.summary = "make, look at, convert and repair disk images",
	.help = "`sill image VERB --help` tells all about one.\n"
		"\n"
		"A format is always named, and never guessed from what an image holds; only what\n"
		"just reads takes it from the header, and says so. Words of qemu-img are\n"
		"understood. Images that a VM uses are locked:\n"
		"they cannot be written to, nor read while the VM writes. Whatever happens on the\n"
		"way, an image is whole: the old one, or the new one.\n",
	.verbs = verbs,
	.run = run,
};
