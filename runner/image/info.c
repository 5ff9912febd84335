/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info.c - sill image info: what the headers of a chain say.
 *
 * The names of things are those of qemu-img, in both forms of the output.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runner/host/chain.h"
#include "runner/image/verbs.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

/* One image of the chain, as found. */
struct level {
	char path[PATH_MAX];
	bool told; /* the format is what the header says: nobody else does */
	struct sill_image_info info;
	struct sill_err err; /* why there is no info */
};

struct levels {
	struct level *level; /* owned */
	unsigned count;
};

static void add_level(void *ctx, const char *path, bool told, const struct sill_image_info *head)
{
	struct levels *c = ctx;
	struct level *l = &c->level[c->count++];

	(void)snprintf(l->path, sizeof(l->path), "%s", path);
	l->told = told;
	l->info = *head;
}

/* As far down as it goes; the last one may have failed. -1 and @e: so did the first. */
static int look_all(struct levels *c, const char *path, const enum sill_disk_format *format,
		    struct sill_err *e)
{
	const struct chain_want w = { .policy = &chain_heads,
				      .top = { .path = path,
					       .has_format = format != NULL,
					       .format = format != NULL ? *format : SILL_DISK_RAW },
				      .backing_auto = true,
				      .look_only = true,
				      .found = add_level,
				      .ctx = c };
	enum chain_blame unused;
	struct chain files;
	int failed;

	chain_init(&files);
	failed = chain_open(&files, &w, &unused, e);
	if (failed < 0 && c->count > 0) {
		struct level *l = &c->level[c->count];
		const bool has_path =
			c->count < SILL_MAX_LAYERS && files.layer[c->count].path != NULL;

		(void)snprintf(l->path, sizeof(l->path), "%s",
			       has_path ? files.layer[c->count].path
					: c->level[c->count - 1].info.backing);
		l->err = *e;
		c->count++;
		failed = 0;
	}
	chain_fini(&files);
	return failed;
}

/* --- for people ------------------------------------------------------------ */

static const char *clean(char *dst, const char *s)
{
	return text_clean(dst, 300, s, strlen(s));
}

static const char *yes(bool v)
{
	return v ? "true" : "false";
}

static void print_qcow2(const struct sill_image_info *f)
{
	char text[300];

	(void)printf("    compat: %s\n", f->version == 2 ? "0.10" : "1.1");
	(void)printf("    compression type: %s\n", f->zstd ? "zstd" : "zlib");
	if (f->version == 3) {
		(void)printf("    lazy refcounts: %s\n", yes(f->lazy_refcounts));
		(void)printf("    refcount bits: %u\n", f->refcount_bits);
		if (f->has_data_file) {
			(void)printf("    data file: %s\n", clean(text, f->data_file));
			(void)printf("    data file raw: %s\n", yes(f->data_raw));
		}
		(void)printf("    corrupt: %s\n", yes(f->corrupt));
		(void)printf("    extended l2: %s\n", yes(f->subclusters));
	} else {
		(void)printf("    refcount bits: %u\n", f->refcount_bits);
	}
	if (f->has_bitmaps)
		(void)fputs("    bitmaps: true\n", stdout);
	if (f->snapshots != 0)
		(void)printf("    internal snapshots: %u\n", f->snapshots);
	if (f->encrypted)
		(void)fputs("    encrypted: true\n", stdout);
}

static void print_specific(const struct sill_image_info *f)
{
	if (f->format == SILL_DISK_RAW)
		return;
	(void)fputs("Format specific information:\n", stdout);
	if (f->format == SILL_DISK_QCOW2) {
		print_qcow2(f);
		return;
	}
	(void)printf("    subformat: %s\n", f->differencing ? "differencing"
					    : f->fixed      ? "fixed"
							    : "dynamic");
	if (f->format == SILL_DISK_VHDX) {
		(void)printf("    logical sector size: %u\n", f->sector_size);
		(void)printf("    physical sector size: %u\n", f->physical_size);
		(void)printf("    log to replay: %s\n", yes(f->has_log));
	}
}

static bool is_other(const struct level *l)
{
	const enum sill_image_foreign_kind kind = l->info.foreign.kind;

	return l->told && kind != SILL_FOREIGN_NONE && kind != SILL_FOREIGN_OURS;
}

/* By the contents alone: nobody has named a format. */
static const char *format_of(const struct level *l)
{
	return is_other(l) ? l->info.foreign.name : sill_image_format_name(l->info.format);
}

/* Of the disk in it; 0: the file does not say, or is none. */
static uint64_t size_of(const struct level *l)
{
	return is_other(l) && l->info.foreign.kind != SILL_FOREIGN_CONTENT ? l->info.foreign.size
									   : l->info.size;
}

static void print_use(const struct sill_image_foreign *f)
{
	struct sill_err e = { 0 };

	(void)image_foreign_hint(f, "", &e);
	(void)printf("to use it: %s\n", e.hint[0] != '\0' ? e.hint : "it is a disk in format raw");
}

static void print_level(const struct level *l)
{
	const struct sill_image_info *f = &l->info;
	char text[300], path[PATH_MAX];
	struct sill_err unused = { 0 };

	(void)printf("image: %s\n", clean(text, l->path));
	if (l->err.code != SILL_ERR_NONE) {
		(void)printf("cannot be read: %s\n", l->err.msg);
		return;
	}
	(void)printf("file format: %s%s\n", format_of(l),
		     !l->told ? ""
		     : f->format == SILL_DISK_RAW && !is_other(l)
			     ? " (no header that is known is in "
			       "it)"
			     : " (its header says so)");
	if (is_other(l))
		print_use(&f->foreign);
	if (!is_other(l) || size_of(l) != 0) {
		(void)printf("virtual size: %s", image_size_text(text, sizeof(text), size_of(l)));
		(void)printf(" (%llu bytes)\n", (unsigned long long)size_of(l));
	}
	(void)printf("disk size: %s\n", image_size_text(text, sizeof(text), f->host_bytes));
	if (f->block_size != 0)
		(void)printf("cluster_size: %u\n", f->block_size);
	if (f->dirty)
		(void)fputs("cleanly shut down: no\n", stdout);
	if (f->backing[0] != '\0') {
		(void)printf("backing file: %s", clean(text, f->backing));
		if (image_resolve(l->path, f->backing, path, &unused) == 0 &&
		    strcmp(path, f->backing) != 0)
			(void)printf(" (actual path: %s)", clean(text, path));
		(void)printf("\nbacking file format: %s\n",
			     f->backing_format_said[0] != '\0' ? clean(text, f->backing_format_said)
							       : "not said");
	}
	print_specific(f);
}

static void print_tree(const struct levels *c)
{
	char text[300];

	for (unsigned i = 0; i < c->count; i++) {
		const struct level *l = &c->level[i];

		(void)printf("%*s%s%s: ", i == 0 ? 0 : (int)(i - 1) * 3, "", i == 0 ? "" : "└─ ",
			     clean(text, l->path));
		if (l->err.code != SILL_ERR_NONE) {
			(void)printf("cannot be read\n");
			continue;
		}
		(void)printf("%s, ", format_of(l));
		(void)printf("%s, ", image_size_text(text, sizeof(text), size_of(l)));
		(void)printf("%s on the host\n",
			     image_size_text(text, sizeof(text), l->info.host_bytes));
	}
	(void)putchar('\n');
}

static void print_all(const struct levels *c)
{
	if (c->count > 1)
		print_tree(c);
	for (unsigned i = 0; i < c->count; i++) {
		if (i > 0)
			(void)putchar('\n');
		print_level(&c->level[i]);
	}
}

/* --- for programs ---------------------------------------------------------- */

static void set(json_t *o, const char *key, json_t *take_v)
{
	(void)json_object_set_new(o, key, take_v);
}

static json_t *specific_json(const struct sill_image_info *f)
{
	json_t *o = json_object(), *data = json_object();

	set(o, "type", json_string(sill_image_format_name(f->format)));
	if (f->format == SILL_DISK_QCOW2) {
		set(data, "compat", json_string(f->version == 2 ? "0.10" : "1.1"));
		set(data, "compression-type", json_string(f->zstd ? "zstd" : "zlib"));
		set(data, "refcount-bits", json_integer(f->refcount_bits));
		if (f->version == 3) {
			set(data, "lazy-refcounts", json_boolean(f->lazy_refcounts));
			set(data, "corrupt", json_boolean(f->corrupt));
			set(data, "extended-l2", json_boolean(f->subclusters));
		}
		if (f->has_data_file) {
			set(data, "data-file", json_text(f->data_file));
			set(data, "data-file-raw", json_boolean(f->data_raw));
		}
		set(data, "has-bitmaps", json_boolean(f->has_bitmaps));
		set(data, "snapshots", json_integer(f->snapshots));
		set(data, "encrypted", json_boolean(f->encrypted));
	} else {
		set(data, "subformat",
		    json_string(f->differencing ? "differencing"
				: f->fixed      ? "fixed"
						: "dynamic"));
		if (f->format == SILL_DISK_VHDX) {
			set(data, "logical-sector-size", json_integer(f->sector_size));
			set(data, "physical-sector-size", json_integer(f->physical_size));
			set(data, "log", json_boolean(f->has_log));
		}
	}
	set(o, "data", data);
	return o;
}

static json_t *level_json(const struct levels *c, unsigned i)
{
	const struct level *l = &c->level[i];
	const struct sill_image_info *f = &l->info;
	json_t *o = json_object();
	char path[PATH_MAX];
	struct sill_err unused = { 0 };

	set(o, "filename", json_text(l->path));
	if (l->err.code != SILL_ERR_NONE) {
		set(o, "error", json_text(l->err.msg));
		return o;
	}
	set(o, "format", json_string(format_of(l)));
	set(o, "format-told-by-header", json_boolean(l->told));
	if (!is_other(l) || size_of(l) != 0)
		set(o, "virtual-size", json_integer((json_int_t)size_of(l)));
	set(o, "actual-size", json_integer((json_int_t)f->host_bytes));
	set(o, "file-size", json_integer((json_int_t)f->file_size));
	if (f->block_size != 0)
		set(o, "cluster-size", json_integer(f->block_size));
	if (f->format != SILL_DISK_RAW) {
		set(o, "dirty-flag", json_boolean(f->dirty));
		set(o, "format-specific", specific_json(f));
	}
	if (f->backing[0] == '\0')
		return o;
	set(o, "backing-filename", json_text(f->backing));
	if (image_resolve(l->path, f->backing, path, &unused) == 0)
		set(o, "full-backing-filename", json_text(path));
	if (f->backing_format_said[0] != '\0')
		set(o, "backing-filename-format", json_text(f->backing_format_said));
	if (i + 1 < c->count)
		set(o, "backing-image", level_json(c, i + 1));
	return o;
}

/* As qemu-img has it: an array, from the top down. */
static json_t *list_json(const struct levels *c)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < c->count; i++) {
		json_t *o = level_json(c, i);

		(void)json_object_del(o, "backing-image");
		(void)json_array_append_new(list, o);
	}
	return list;
}

/* --- the verb -------------------------------------------------------------- */

enum form { TEXT, NESTED, LIST };

static int show(const char *path, const enum sill_disk_format *format, enum form form)
{
	struct levels c = { .level = calloc(SILL_IMAGE_MAX_DEPTH + 1, sizeof(*c.level)) };
	struct sill_err e = { 0 };
	int ret = CMD_DONE;

	if (c.level == NULL) {
		(void)sill_err_sys(&e, ENOMEM, "info");
		return cmd_error(&e);
	}
	if (look_all(&c, path, format, &e) < 0) {
		ret = cmd_error(&e);
	} else {
		if (form == TEXT)
			print_all(&c);
		else
			ret = json_print(stdout,
					 form == NESTED ? level_json(&c, 0) : list_json(&c)) < 0
				      ? CMD_FAILED
				      : CMD_DONE;
		if (c.level[c.count - 1].err.code != SILL_ERR_NONE)
			ret = cmd_error(&c.level[c.count - 1].err);
	}
	free(c.level);
	return ret;
}

static int run(int argc, char **argv)
{
	enum sill_disk_format format;
	const char *word = NULL;
	bool json = false, list = false;
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "json", .flag = &json },
		{ .name = "format", .letter = 'f', .text = &word },
		{ .name = "backing-chain", .flag = &list },
	};
	/* clang-format on */
	int n = image_options(&image_verb_info, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&image_verb_info, "one file is needed");
	if (word != NULL && image_arg_format(&image_verb_info, "format", word, &format) < 0)
		return CMD_FAILED;
	return show(argv[1], word != NULL ? &format : NULL, !json ? TEXT : list ? LIST : NESTED);
}

const struct verb image_verb_info = {
	.name = "image info",
	.args = "[--json] [--format F] FILE",
	.summary = "tell what an image is, and what it is made on top of",
	.help = "Only headers are read, also those of files that are in use. Without --format\n"
		"the header tells the format, and the output says so: a guest can write the\n"
		"header of another format into a raw disk, so nothing else believes it. Other\n"
		"programs' images, packed files and archives are named too (vmdk, vdi, xz, zip,\n"
		"iso9660 ...), with what has to be done to use them.\n"
		"\n"
		"  -f, --format F   " SILL_IMAGE_FORMATS "\n"
		"      --json       one object; what is below is its 'backing-image'\n"
		"      --backing-chain\n"
		"                   with --json: an array instead, from the top down\n",
	.run = run,
};
