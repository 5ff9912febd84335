/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.c - what a manifest's paths lead to, said before anything starts.
 *
 * Nothing is created or changed here, and nothing is opened that could wait or
 * act by being opened: only regular files and block devices are.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/chain.h"
#include "runner/host/files.h"
#include "runner/host/proc.h"
#include "runner/host/vars.h"
#include "runner/manifest/check.h"
#include "runner/manifest/lint.h"
#include "runner/manifest/scalar.h"
#include "runner/manifest/shares.h"
#include "runner/report/text.h"
#include "sill/check.h"
#include "sill/config.h"

enum {
	USES_MAX = SILL_MAX_DISKS * SILL_MAX_LAYERS * 2 + SILL_MAX_ZONES + 8,
	NEAR_MAX = 2000, /* names looked at for a "did you mean" */
};

/* A file the VM uses. */
struct use {
	const struct node *n;
	const char *abs;
	struct stat st;
	bool writes;
	bool unsaid; /* rules.c does not compare it: an image names it, or it could be a directory */
};

struct files {
	struct check *c;
	struct use uses[USES_MAX];
	size_t count;
};

const char *check_path(struct check *c, const struct node *n)
{
	const char *dir = n->at.src != NULL && n->at.src->dir != NULL ? n->at.src->dir : c->dir;
	const char *text = n->text, *p = text;
	size_t len = strlen(dir);

	/* The directory has no links: what leads out of it at once is told by its text, and one file has one path. */
	while (dir[0] == '/' && text[0] == '.') {
		const size_t dots = text[1] == '.' ? 2 : 1;

		if (text[dots] != '/' || text[dots + 1 + strspn(text + dots + 1, "/")] == '\0')
			break;
		while (dots == 2 && len > 0 && dir[--len] != '/')
			;
		text += dots;
		text += strspn(text, "/");
	}
	if (n->text[0] != '/')
		p = arena_printf(c->a, "%.*s/%s", (int)len, dir, text);
	c->no_memory |= p == NULL;
	return p;
}

/* @g is about a file whose directory is missing as well, all of @abs or what is before its last '/'. */
static void lacks_directory(struct check *c, struct diag *g, const char *abs, size_t n)
{
	g->lacks = arena_copy(c->a, abs, n);
	diag_hint_comment(g, c->d->src);
}

/* The name in the directory of @abs that is most like the one looked for. */
static void hint_near(struct check *c, struct diag *g, const char *abs)
{
	const char *base = strrchr(abs, '/') + 1;
	char dir[4096], best[256] = "", clean[TEXT_SHORT];
	unsigned least = ~0u, dist;
	const char *name;
	DIR *d;

	if (g->hint[0] != '\0' ||
	    snprintf(dir, sizeof(dir), "%.*s", (int)(base - abs), abs) >= (int)sizeof(dir))
		return;
	d = opendir(dir);
	if (d == NULL) {
		diag_hint(g, "there is no directory '%s' either",
			  text_clean(clean, sizeof(clean), dir, strlen(dir)));
		lacks_directory(c, g, dir, strlen(dir) - 1);
		return;
	}
	for (int i = 0; i < NEAR_MAX && (name = dir_next(d)) != NULL; i++) {
		if (name[0] != '.' && text_similar(base, name, &dist) && dist < least) {
			least = dist;
			(void)snprintf(best, sizeof(best), "%s", name);
		}
	}
	(void)closedir(d);
	if (best[0] != '\0')
		diag_hint(g, "did you mean '%s'?",
			  text_clean(clean, sizeof(clean), best, strlen(best)));
}

/* A path as a shell would have it: "~/x", "$HOME/x". False: it is none. */
static bool hint_expand(struct diag *g, const char *text)
{
	static const char *const homes[] = { "~/", "$HOME/", "${HOME}/" };
	const char *home = getenv("HOME"); /* NOLINT(concurrency-mt-unsafe) */
	char clean[TEXT_SHORT], path[512];

	for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++) {
		const size_t len = strlen(homes[i]);

		if (strncmp(text, homes[i], len) != 0 || home == NULL || home[0] != '/' ||
		    snprintf(path, sizeof(path), "%s/%s", home, text + len) >= (int)sizeof(path))
			continue;
		diag_hint(g, "nothing is expanded here: write '%s'",
			  text_clean(clean, sizeof(clean), path, strlen(path)));
		return true;
	}
	if (text[0] != '~' && strchr(text, '$') == NULL)
		return false;
	diag_hint(g, "'%s' is not expanded here: write the path out", text[0] == '~' ? "~" : "$");
	return true;
}

static struct diag *fail_missing(struct check *c, const struct node *n, const char *abs)
{
	char clean[192];
	struct diag *g = check_fail(c, n, "no such file: '%s'",
				    text_clean(clean, sizeof(clean), abs, strlen(abs)));

	(void)hint_expand(g, n->text);
	return g;
}

/*
 * Look at the file that the member @path names and note that it is used. NULL when it is not there
 * (@may_be_missing: without a message) or of no use.
 */
static struct use *look(struct files *f, char *const *path, bool writes, bool may_be_missing)
{
	struct use *u = &f->uses[f->count];
	struct check *c = f->c;
	const struct node *n = place_at(c, path);

	if (*path == NULL || f->count == USES_MAX)
		return NULL;
	*u = (struct use){ .n = n, .abs = *path, .writes = writes };
	if (stat(u->abs, &u->st) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			(void)check_fail(c, n, "cannot look at it: %s", strerrordesc_np(errno));
		else if (!may_be_missing)
			hint_near(c, fail_missing(c, n, u->abs), u->abs);
		return NULL;
	}
	if (S_ISDIR(u->st.st_mode)) {
		diag_hint(check_fail(c, n, "is a directory"), "name a file in it");
		return NULL;
	}
	if (faccessat(AT_FDCWD, u->abs, R_OK, AT_EACCESS) < 0) {
		(void)check_fail(c, n, "cannot be read: %s", strerrordesc_np(errno));
		return NULL;
	}
	if (writes && faccessat(AT_FDCWD, u->abs, W_OK, AT_EACCESS) < 0) {
		(void)check_fail(c, n, "cannot be written: %s", strerrordesc_np(errno));
		return NULL;
	}
	f->count++;
	return u;
}

/* The same, for files whose content counts. */
static struct use *look_regular(struct files *f, char *const *path, bool writes,
				bool may_be_missing)
{
	struct use *u = look(f, path, writes, may_be_missing);

	if (u != NULL && !S_ISREG(u->st.st_mode)) {
		(void)check_fail(f->c, u->n, "is not a regular file");
		f->count--;
		return NULL;
	}
	return u;
}

/* @n bytes at @off of the file; false when they are not there. */
static bool peek(const struct use *u, off_t off, void *dst, size_t n)
{
	int fd = open(u->abs, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool ok;

	if (fd < 0)
		return false;
	ok = pread(fd, dst, n, off) == (ssize_t)n;
	(void)close(fd);
	return ok;
}

static bool is_elf(const struct use *u)
{
	char magic[4];

	return peek(u, 0, magic, sizeof(magic)) && memcmp(magic, "\177ELF", 4) == 0;
}

/* All bytes the same: 0x00 or 0xff, as in a file that was cut or never filled. */
static bool is_blank(const unsigned char *p, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (p[i] != p[0])
			return false;
	}
	return p[0] == 0x00 || p[0] == 0xff;
}

static void check_code(struct files *f, const struct use *u, const struct node *vars)
{
	unsigned char vector[16];
	struct diag *g = NULL;

	/* The name itself is looked at by lint.c. */
	if (vars_leads_to_smm(u->abs) && !vars_needs_smm(u->n->text))
		f->c->smm = u->n;
	if (is_elf(u)) {
		if (vars != NULL)
			diag_hint(check_fail_key(f->c, vars,
						 "this firmware (an ELF) has no variable store"),
				  "remove it, or use a flash image such as OVMF_CODE_4M.fd");
		return;
	}
	if (!sill_check_flash((uint64_t)u->st.st_size))
		g = check_fail(f->c, u->n, "%lld bytes: not a flash image",
			       (long long)u->st.st_size);
	else if (!peek(u, u->st.st_size - 16, vector, sizeof(vector)) ||
		 is_blank(vector, sizeof(vector)))
		g = check_fail(f->c, u->n,
			       "no reset vector in its last 16 bytes: not a flash image, or cut");
	if (g != NULL)
		diag_hint(g, "the package ovmf has /usr/share/OVMF/OVMF_CODE_4M.fd");
}

/* The directory a new file goes to. */
static bool check_new(struct check *c, const struct node *n, const char *abs)
{
	const char *slash = strrchr(abs, '/');
	const char *dir = arena_copy(c->a, abs, slash == abs ? 1 : (size_t)(slash - abs));
	char clean[192];
	struct stat st;

	if (dir == NULL) {
		c->no_memory = true;
		return false;
	}
	(void)text_clean(clean, sizeof(clean), dir, strlen(dir));
	if (stat(dir, &st) < 0) {
		const int why = errno;
		struct diag *g = check_fail(c, n, "cannot be created: '%s': %s", clean,
					    strerrordesc_np(why));

		if (why == ENOENT) {
			if (!hint_expand(g, n->text))
				diag_hint(g, "create the directory first");
			lacks_directory(c, g, dir, strlen(dir));
		}
		return false;
	}
	if (!S_ISDIR(st.st_mode) || faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0) {
		(void)check_fail(c, n, "cannot be created: '%s': %s", clean,
				 S_ISDIR(st.st_mode) ? "not writable" : "not a directory");
		return false;
	}
	return true;
}

/* What the new store will be a copy of. */
static void check_template(struct check *c, const struct node *vars, const char *template)
{
	const int fd = open(template, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct sill_err e = { 0 };

	if (fd >= 0 && vars_check(fd, template, &e) < 0)
		diag_hint(check_fail(c, vars, "does not exist, and its template: %s", e.msg),
			  "install the firmware anew, or copy a store here by hand");
	if (fd >= 0)
		(void)close(fd);
}

static void check_new_vars(struct check *c, const struct sill_config *v, const struct use *code)
{
	const struct node *vars = place_at(c, &v->firmware.vars);
	char template[4096], clean[192];
	struct diag *g;

	if (code == NULL || is_elf(code) || !check_new(c, vars, v->firmware.vars))
		return;
	if (vars_template(code->abs, template, sizeof(template))) {
		check_template(c, vars, template);
		return;
	}
	g = check_fail(c, vars, "does not exist, and there is no template to create it from");
	if (template[0] != '\0')
		diag_hint(g, "looked for '%s'; or copy one here by hand",
			  text_clean(clean, sizeof(clean), template, strlen(template)));
	else
		diag_hint(
			g,
			"the code's file name has no CODE to be replaced by VARS; copy one here by "
			"hand");
}

/* Does it belong to the distribution, under whatever name? */
static bool is_installed(const char *path)
{
	static const char *const roots[] = { "/usr/", "/nix/store/", "/gnu/store/", "/snap/" };
	char real[PATH_MAX];

	if (realpath(path, real) == NULL)
		return false;
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		if (strncmp(real, roots[i], strlen(roots[i])) == 0)
			return true;
	}
	return false;
}

/* What new stores are made from: a VM that writes to it writes into all that come later. */
static bool check_own_store(struct check *c, const struct sill_config *v, const struct use *code)
{
	const char *abs = v->firmware.vars;
	char template[PATH_MAX];
	struct stat ours, st;
	bool shared = is_installed(abs);

	if (code != NULL && stat(abs, &ours) == 0 &&
	    vars_template(code->abs, template, sizeof(template)) && is_installed(template) &&
	    stat(template, &st) == 0)
		shared |= st.st_dev == ours.st_dev && st.st_ino == ours.st_ino;
	if (shared)
		diag_hint(
			check_fail(c, place_at(c, &v->firmware.vars),
				   "is the distribution's, which the stores of VMs are made from"),
			"name a file of the VM's own, such as 'NAME.vars.fd': the first run makes "
			"it from the template");
	return !shared;
}

static void check_vars(struct files *f, const struct sill_config *v, const struct use *code)
{
	const struct node *vars = place_at(f->c, &v->firmware.vars);
	struct sill_err e = { 0 };
	struct use *u;
	uint64_t sum;
	int fd;

	if (v->firmware.vars == NULL || !check_own_store(f->c, v, code))
		return;
	u = look_regular(f, &v->firmware.vars, true, true);
	if (u == NULL) {
		struct stat st;

		if (stat(v->firmware.vars, &st) < 0 && errno == ENOENT)
			check_new_vars(f->c, v, code);
		return;
	}
	fd = open(u->abs, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || vars_check(fd, vars->text, &e) < 0)
		diag_hint(check_fail(f->c, vars, "%s", fd < 0 ? "cannot be opened" : e.msg), "%s",
			  e.hint);
	if (fd >= 0)
		(void)close(fd);
	if (e.code != SILL_ERR_NONE || code == NULL || is_elf(code))
		return;
	/* The two halves of one flash image are a power of two together: 2 MiB or 4 MiB. */
	sum = (uint64_t)u->st.st_size + (uint64_t)code->st.st_size;
	if ((sum & (sum - 1)) != 0)
		diag_other(check_fail(f->c, vars,
				      "%lld bytes: does not belong to this firmware's code of "
				      "%lld bytes",
				      (long long)u->st.st_size, (long long)code->st.st_size),
			   code->n->at, "the code");
}

/* The file at @path, if there is one, as @role of @files. */
static void add_file(struct sill_files *files, enum sill_file_role role, const char *path)
{
	struct sill_file file = { .role = role };
	struct sill_err e = { 0 };

	file.fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file.fd >= 0)
		(void)sill_files_add(files, &file, &e);
}

/* What the engine itself would say of them, once it had them. */
static void ask_engine(struct files *f, const struct sill_config *v)
{
	const bool kernel = v->kernel != NULL;
	const enum sill_file_role image = kernel ? SILL_FILE_KERNEL : SILL_FILE_CODE;
	const void *const members[] = {
		[SILL_BOOT_IMAGE] = kernel ? &v->kernel : &v->firmware.code,
		[SILL_BOOT_VARS] = &v->firmware.vars,
		[SILL_BOOT_INITRAMFS] = &v->initramfs,
		[SILL_BOOT_CMDLINE] = &v->cmdline,
	};
	struct sill_files files = { 0 };
	enum sill_boot_part part;
	struct sill_err e = { 0 };
	int ret = 0;

	add_file(&files, image, kernel ? v->kernel : v->firmware.code);
	add_file(&files, SILL_FILE_VARS, kernel ? NULL : v->firmware.vars);
	add_file(&files, SILL_FILE_INITRAMFS, kernel ? v->initramfs : NULL);
	if (sill_files_find(&files, image, NULL, 0) != NULL)
		ret = sill_check_boot(&files, kernel ? v->cmdline : NULL,
				      v->memory.size != 0 ? v->memory.size : UINT64_MAX, &part, &e);
	if (ret < 0)
		diag_hint(check_fail(f->c, place_at(f->c, members[part]), "%s", e.msg), "%s",
			  e.hint);
	sill_files_close(&files);
}

static void check_boot(struct files *f, const struct sill_config *v)
{
	const size_t said = f->c->d->total;
	struct use *code, *kernel;

	code = look_regular(f, &v->firmware.code, false, false);
	if (code != NULL)
		check_code(f, code, place_at(f->c, &v->firmware.vars));
	check_vars(f, v, code);
	kernel = look_regular(f, &v->kernel, false, false);
	(void)look_regular(f, &v->initramfs, false, false);
	if (f->c->d->total == said && (kernel != NULL) != (code != NULL))
		ask_engine(f, v);
}

/* A raw image has something in it. Of a device check_chain() says it. */
static bool check_raw(struct files *f, const struct use *u)
{
	if (!S_ISREG(u->st.st_mode) || u->st.st_size != 0)
		return true;
	diag_hint(check_fail(f->c, u->n, "is empty"), "truncate -s 20G FILE makes an empty disk");
	return false;
}

/* The node about what is below the @count-th image: its entry; else the list, else @none. */
static const struct node *nth_backing(const struct check *c, const struct sill_disk_config *d,
				      size_t count, const struct node *none)
{
	const struct node *list = place_at(c, &d->backing);

	if (list == NULL)
		return none;
	return count > 0 && count <= d->backing_count ? place_map(c, &d->backing[count - 1]) : list;
}

/* A file the images have led to. */
static void add_use(struct files *f, const struct node *n, const char *path, bool writes)
{
	struct use *u = &f->uses[f->count];

	if (path == NULL || f->count == USES_MAX)
		return;
	*u = (struct use){ .n = n,
			   .abs = arena_copy(f->c->a, path, strlen(path)),
			   .writes = writes,
			   .unsaid = true };
	f->c->no_memory |= u->abs == NULL;
	if (u->abs != NULL && stat(u->abs, &u->st) == 0) {
		f->count++;
		shares_collect_image(f->c, n, &u->st, writes);
	}
}

/* A disk is whole sectors. */
static void check_sectors(struct check *c, const struct sill_disk_config *d, uint64_t size)
{
	if (d->logical_sector_size == 4096 && size % 4096 != 0)
		diag_hint(check_fail(c, place_ok(c, &d->logical_sector_size),
				     "the disk of %" PRIu64 " bytes is not whole sectors of 4096",
				     size),
			  "leave the key out, or make the image larger");
}

/* The throw-away layer is an image as well. */
static void check_height(struct check *c, const struct sill_disk_config *d, size_t count)
{
	if (sill_disk_ephemeral(d) && count == SILL_MAX_LAYERS)
		diag_hint(check_fail_key(c, place_ok(c, &d->ephemeral),
					 "more than %u images on top of each other, with the "
					 "throw-away layer",
					 SILL_MAX_LAYERS),
			  "sill image commit or convert makes one of several");
}

/* A raw disk that is none; its name may have said so already (lint.c). */
static void note_foreign(struct check *c, const struct sill_disk_config *d,
			 const struct sill_image_foreign *what, const struct node *n)
{
	const bool is_foreign = what->kind == SILL_FOREIGN_DISK ||
				what->kind == SILL_FOREIGN_PACKED ||
				what->kind == SILL_FOREIGN_ARCHIVE;

	if (is_foreign && d->format_check && !lint_is_foreign_name(n->text) &&
	    c->foreign_count < sizeof(c->foreign) / sizeof(c->foreign[0]))
		c->foreign[c->foreign_count++] = n;
}

/* The files that an image stands on: are they there, and the manifest's? */
static void check_chain(struct files *f, const struct sill_disk_config *d, const struct use *u)
{
	const struct node *backing = place_at(f->c, &d->backing),
			  *data = place_at(f->c, &d->data_file);
	const struct node *blame[] = {
		[CHAIN_PATH] = u->n,
		[CHAIN_FORMAT] = place_at(f->c, &d->format),
		[CHAIN_BACKING] = backing != NULL ? backing : u->n,
		[CHAIN_DATA_FILE] = data != NULL ? data : u->n,
		[CHAIN_DIRECT] = place_at(f->c, &d->direct),
	};
	struct chain_name names[SILL_MAX_LAYERS];
	enum chain_blame why = CHAIN_PATH;
	struct chain_want w;
	struct sill_err e = { 0 };
	struct chain chain;

	if (d->format != SILL_DISK_QCOW2 && (backing != NULL || data != NULL))
		return;
	vmfiles_want(&w, d, names);
	w.look_only = true;
	chain_init(&chain);
	if (chain_open(&chain, &w, &why, &e) < 0)
		diag_hint(check_fail(f->c,
				     why == CHAIN_BACKING ? nth_backing(f->c, d, chain.count, u->n)
							  : blame[why],
				     "%s", e.msg),
			  "%s", e.hint);
	else {
		note_foreign(f->c, d, &chain.foreign, u->n);
		check_sectors(f->c, d, chain.size);
		check_height(f->c, d, chain.count);
	}
	for (size_t i = 0; i < chain.count; i++) {
		if (i > 0)
			add_use(f, blame[CHAIN_BACKING], chain.layer[i].path, false);
		add_use(f, blame[CHAIN_DATA_FILE], chain.layer[i].data_path, i == 0 && u->writes);
	}
	chain_fini(&chain);
}

/* Where the layer of an ephemeral disk goes: a directory, or a name that is free. */
static void check_layer(struct check *c, const struct sill_disk_config *d)
{
	const struct node *n = place_ok(c, &d->ephemeral);
	const char *abs = d->ephemeral;
	struct stat st;

	if (n == NULL || strchr(n->text, '/') == NULL)
		return;
	if (lstat(abs, &st) < 0)
		(void)check_new(c, n, abs);
	else if (S_ISLNK(st.st_mode) && stat(abs, &st) < 0)
		diag_hint(check_fail(c, n, "is a symbolic link that leads nowhere"),
			  "name a directory, or a file that is not there");
	else if (!S_ISDIR(st.st_mode))
		diag_hint(check_fail(c, n, "exists already, and would be overwritten"),
			  "name a directory, or a file that is not there");
	else if (faccessat(AT_FDCWD, abs, W_OK | X_OK, AT_EACCESS) < 0)
		(void)check_fail(c, n, "the directory is not writable");
}

/*
 * May what the image says be compared with what the manifest says of it? Not with a
 * mistake in that, nor with a key that nobody knows: it may be meant for that.
 */
static bool is_comparable(const struct check *c, const struct sill_disk_config *d)
{
	const void *const about[] = { &d->format,   &d->backing,   &d->data_file,   &d->direct,
				      &d->readonly, &d->ephemeral, &d->format_check };
	const struct node *disk = place_map(c, d);

	for (size_t i = 0; i < disk->count; i++) {
		if (!disk->items[i]->ok && disk->items[i]->row == NULL)
			return false;
	}
	for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++) {
		const struct node *n = place_at(c, about[i]);

		if (n != NULL && !n->ok)
			return false;
	}
	return true;
}

static void check_disk(struct files *f, const struct sill_disk_config *d)
{
	struct use *u = look(f, &d->path, disk_is_written(f->c, d), false);

	check_layer(f->c, d);
	if (u == NULL)
		return;
	if (!S_ISREG(u->st.st_mode) && !S_ISBLK(u->st.st_mode)) {
		(void)check_fail(f->c, u->n, "is neither a file nor a block device");
		return;
	}
	if (place_ok(f->c, &d->format) == NULL || (d->format == SILL_DISK_RAW && !check_raw(f, u)))
		return;
	if (is_comparable(f->c, d))
		check_chain(f, d, u);
}

/* A socket that nobody listens at is replaced. */
static void check_socket(struct files *f, char *const *path)
{
	const struct node *n = place_at(f->c, path);
	struct stat st;

	if (stat(*path, &st) < 0 || S_ISSOCK(st.st_mode))
		(void)check_new(f->c, n, *path);
	else
		diag_hint(check_fail(f->c, n, "exists and is not a socket"),
			  "move it away, or choose another path");
}

/* A file that output goes to. */
static void check_output(struct files *f, char *const *path)
{
	const struct node *n = place_at(f->c, path);
	struct stat st;

	if (stat(*path, &st) < 0)
		(void)check_new(f->c, n, *path);
	else if (S_ISSOCK(st.st_mode))
		(void)check_fail(f->c, n, "is a socket");
	else
		(void)look(f, path, true, false);
}

static void check_char(struct files *f, const struct sill_char_config *s)
{
	if (place_ok(f->c, &s->mode) == NULL)
		return;
	if (s->path != NULL && s->mode == SILL_CHAR_SOCKET)
		check_socket(f, &s->path);
	else if (s->path != NULL && s->mode == SILL_CHAR_FILE)
		check_output(f, &s->path);
	if (s->log != NULL && s->mode == SILL_CHAR_SOCKET)
		check_output(f, &s->log);
}

static void check_rng(struct files *f, const struct sill_rng_config *r)
{
	struct use *u = sill_rng_wanted(r) ? look(f, &r->src, false, false) : NULL;

	if (u == NULL)
		return;
	if (!S_ISREG(u->st.st_mode) && !S_ISCHR(u->st.st_mode))
		(void)check_fail(f->c, u->n, "is neither a file nor a character device");
	f->count--; /* random devices are there to be shared */
}

/* A file of at least that size; or a directory, where one is made. */
static void check_zone(struct files *f, const struct sill_memory_zone *z)
{
	const struct node *n = place_ok(f->c, &z->file);
	char is[32], want[32];
	struct use *u;
	struct stat st;

	if (n == NULL)
		return;
	if (stat(z->file, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (faccessat(AT_FDCWD, z->file, W_OK | X_OK, AT_EACCESS) < 0)
			(void)check_fail(f->c, n, "the directory is not writable");
		return;
	}
	u = look_regular(f, &z->file, z->shared, false);
	if (u == NULL)
		return;
	u->unsaid = true;
	if (place_ok(f->c, &z->size) != NULL && (uint64_t)u->st.st_size < z->size)
		diag_hint(check_fail(f->c, u->n, "has %s, and the zone %s",
				     scalar_size_text(is, sizeof(is), (uint64_t)u->st.st_size),
				     scalar_size_text(want, sizeof(want), z->size)),
			  "truncate -s %s FILE makes it larger", want);
}

static bool same_file(const struct use *a, const struct use *b)
{
	if (strcmp(a->abs, b->abs) == 0 && !a->unsaid && !b->unsaid)
		return false; /* rules.c has said it */
	if (S_ISBLK(a->st.st_mode) && S_ISBLK(b->st.st_mode))
		return a->st.st_rdev == b->st.st_rdev;
	return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino &&
	       !S_ISCHR(a->st.st_mode) && !S_ISFIFO(a->st.st_mode);
}

/* One file in two roles is a mistake, unless both only read it. */
static void check_shared(struct files *f)
{
	for (size_t i = 0; i < f->count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct use *a = &f->uses[i], *b = &f->uses[j];

			if (!same_file(a, b) || (!a->writes && !b->writes))
				continue;
			diag_other(check_fail(f->c, a->n, "is the same file as %s", b->n->path),
				   b->n->at, "that one");
			break;
		}
	}
}

void check_files(struct check *c, const struct sill_config *v)
{
	/* Half a megabyte, hardly ever used: not to be made anew for each document. */
	static struct files room;
	struct files *f = &room;

	if (c->host == NULL)
		return;
	f->c = c;
	f->count = 0;
	check_boot(f, v);
	for (unsigned i = 0; i < v->memory.zones_count; i++)
		check_zone(f, &v->memory.zones[i]);
	for (unsigned i = 0; i < v->disk_count; i++)
		check_disk(f, &v->disk[i]);
	for (unsigned p = 0; p < SILL_PORTS; p++)
		check_char(f, sill_port_config(v, p));
	if (place_ok(f->c, &v->vsock.socket) != NULL)
		check_socket(f, &v->vsock.socket);
	if (place_ok(f->c, &v->api.socket) != NULL)
		check_socket(f, &v->api.socket);
	if (place_ok(f->c, &v->debug.gdb) != NULL && strchr(v->debug.gdb, '/') != NULL)
		check_socket(f, &v->debug.gdb);
	check_rng(f, &v->rng);
	check_shared(f);
}
