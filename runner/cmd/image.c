/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - sill image VERB: disk images without a VM. */
#include <string.h>

#include "runner/image/verbs.h"
#include "runner/report/text.h"

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
	const char *names[32];
	char clean[TEXT_SHORT];
	size_t count = 0;

	if (argc < 2)
		return cmd_usage(&verb_image, "which verb?");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		cmd_print_help(stdout, &verb_image);
		return CMD_DONE;
	}
	for (; verbs[count] != NULL && count < sizeof(names) / sizeof(names[0]); count++) {
		names[count] = verbs[count]->name + strlen("image ");
		if (strcmp(argv[1], names[count]) == 0)
			return run_verb(verbs[count], argc - 1, argv + 1);
	}
	(void)text_clean(clean, sizeof(clean), argv[1], strlen(argv[1]));
	if (cmd_nearest(argv[1], names, count) != NULL)
		return cmd_usage(&verb_image, "unknown verb '%s'; did you mean '%s'?", clean,
				 cmd_nearest(argv[1], names, count));
	return cmd_usage(&verb_image, "unknown verb '%s'", clean);
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
