/* SPDX-License-Identifier: Apache-2.0 */
/* create.c - sill image create: a new, empty image. */
#include <string.h>

#include "runner/image/image.h"
#include "runner/report/text.h"

struct words {
	const char *format, *size, *cluster, *prealloc, *compat, *refcount_bits, *sector,
		*subformat;
	bool subclusters, lazy, force;
};

static int prealloc_word(const char *text, enum sill_image_prealloc *ret)
{
	if (text == NULL || strcmp(text, "off") == 0)
		*ret = SILL_PREALLOC_OFF;
	else if (strcmp(text, "metadata") == 0)
		*ret = SILL_PREALLOC_METADATA;
	else if (strcmp(text, "full") == 0)
		*ret = SILL_PREALLOC_FULL;
	else
		return cmd_usage(&image_verb_create, "--preallocation is off, metadata or full"),
		       -1;
	return 0;
}

static int read_words(const struct words *w, struct sill_image_options *o)
{
	const struct verb *v = &image_verb_create;
	uint64_t n;

	if (image_arg_format(v, "format", w->format, &o->format) < 0 ||
	    image_arg_size(v, "size", w->size, &o->size) < 0 ||
	    prealloc_word(w->prealloc, &o->prealloc) < 0)
		return -1;
	if (w->cluster != NULL) {
		if (image_arg_size(v, "cluster size", w->cluster, &n) < 0)
			return -1;
		o->block_size = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
	}
	if (w->refcount_bits != NULL &&
	    image_arg_number(v, "refcount-bits", w->refcount_bits, 64, &o->refcount_bits) < 0)
		return -1;
	if (w->sector != NULL &&
	    image_arg_number(v, "sector-size", w->sector, 4096, &o->sector_size) < 0)
		return -1;
	if (w->compat != NULL) {
		if (strcmp(w->compat, "v2") != 0 && strcmp(w->compat, "v3") != 0)
			return cmd_usage(v, "--compat is v2 or v3"), -1;
		o->version = w->compat[1] == '2' ? 2 : 3;
	}
	if (w->subformat != NULL) {
		if (strcmp(w->subformat, "fixed") != 0 && strcmp(w->subformat, "dynamic") != 0)
			return cmd_usage(v, "--subformat is fixed or dynamic"), -1;
		o->fixed = w->subformat[0] == 'f';
	}
	o->subclusters = w->subclusters;
	o->lazy_refcounts = w->lazy;
	return 0;
}

static int create(const char *path, const struct sill_image_options *o, bool force)
{
	struct sill_err e = { 0 };
	struct newfile n;
	int ret = CMD_DONE;

	if (newfile_open(&n, path, force, &e) < 0 || sill_image_create(n.fd, o, &e) < 0 ||
	    newfile_commit(&n, &e) < 0)
		ret = cmd_error(&e);
	newfile_abort(&n);
	return ret;
}

static int run(int argc, char **argv)
{
	struct sill_image_options o = { 0 };
	struct words w = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .text = &w.format },
		{ .name = "size", .text = &w.size },
		{ .name = "cluster-size", .text = &w.cluster },
		{ .name = "block-size", .text = &w.cluster },
		{ .name = "preallocation", .text = &w.prealloc },
		{ .name = "compat", .text = &w.compat },
		{ .name = "refcount-bits", .text = &w.refcount_bits },
		{ .name = "sector-size", .text = &w.sector },
		{ .name = "subformat", .text = &w.subformat },
		{ .name = "subclusters", .flag = &w.subclusters },
		{ .name = "lazy-refcounts", .flag = &w.lazy },
		{ .name = "force", .flag = &w.force },
	};
	/* clang-format on */
	int n = cmd_options(&image_verb_create, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n == 2 && w.size == NULL)
		w.size = argv[2];
	else if (n != 1 || w.size == NULL)
		return cmd_usage(&image_verb_create, "one file and one size are needed");
	if (read_words(&w, &o) < 0)
		return CMD_FAILED;
	return create(argv[1], &o, w.force);
}

const struct verb image_verb_create = {
	.name = "image create",
	.args = "--format F [OPTION]... FILE SIZE",
	.summary = "make an empty image",
	.help = "FILE appears when it is whole; what is there already is not touched.\n"
		"SIZE has a unit, K M G or T, all powers of 1024: 20G.\n"
		"\n"
		"  -f, --format F           raw, qcow2, vhd or vhdx\n"
		"      --size SIZE          instead of the operand\n"
		"      --preallocation P    off, metadata (qcow2: the tables), full (host space "
		"too)\n"
		"      --cluster-size N     qcow2: 512 to 2M (64K); vhd and vhdx: size of a block\n"
		"                           (2M, 32M), also --block-size\n"
		"      --subclusters        qcow2: 32 subclusters in a cluster (extended L2)\n"
		"      --compat V           qcow2: v2 or v3 (v3)\n"
		"      --refcount-bits N    qcow2: 1, 2, 4 ... 64 (16)\n"
		"      --lazy-refcounts     qcow2: other programs may update refcounts lazily\n"
		"      --subformat S        vhd, vhdx: dynamic (usual) or fixed\n"
		"      --sector-size N      vhdx: 512 or 4096 bytes a sector (512)\n"
		"      --force              put it in the place of a file that is there\n"
		"\n"
		"An image on top of another: `sill image overlay`.\n",
	.run = run,
};
