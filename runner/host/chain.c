/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.c - follow the names in images, as far as the manifest does, or who asks.
 *
 * A relative name in an image is relative to the directory of the image. Two
 * names are the same when they lead to the same file.
 */
#include "runner/host/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/lock.h"
#include "runner/host/pathfd.h"
#include "runner/report/text.h"
#include "sill/image.h"

const struct chain_policy chain_manifest = { .by_manifest = true, .to_use = true };
const struct chain_policy chain_image = { .heads = false };
const struct chain_policy chain_heads = { .heads = true };

/* The walk: where it is. */
struct walk {
	struct chain *c;
	const struct chain_want *w;
	const struct chain_policy *p;
	enum chain_blame blame;
	struct sill_image_info head; /* of the last layer */
};

/* A name in an image, fit for a message. */
static const char *shown(char buf[TEXT_SHORT], const char *name)
{
	return text_clean(buf, TEXT_SHORT, name, strlen(name));
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static const struct chain_policy *policy_of(const struct chain_want *w)
{
	return w->policy != NULL ? w->policy : &chain_manifest;
}

/* An image in a message: a manifest's reader knows where it is. */
static const char *called(const struct chain_policy *p, const char *path)
{
	return p->by_manifest ? base_name(path) : path;
}

/* The image that names the next one. */
static const char *last_path(const struct walk *k)
{
	return k->c->count > 0 ? k->c->layer[k->c->count - 1].path : k->w->above;
}

void chain_init(struct chain *c)
{
	*c = (struct chain){ 0 };
	for (size_t i = 0; i < SILL_MAX_LAYERS; i++)
		c->layer[i].fd = c->layer[i].data_fd = -1;
}

void chain_fini(struct chain *c)
{
	for (size_t i = 0; i < SILL_MAX_LAYERS; i++) {
		struct chain_layer *l = &c->layer[i];

		if (l->fd >= 0)
			(void)close(l->fd);
		if (l->data_fd >= 0)
			(void)close(l->data_fd);
		free(l->path);
		free(l->data_path);
	}
	chain_init(c);
}

static int refuse_type(const char *path, const struct stat *st, struct sill_err *e)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "'%.150s' is neither a file nor a block device",
			    path);
}

/* With errno as open(2) left it. */
static int refuse_open(const struct chain_want *w, const char *path, bool writes,
		       struct sill_err *e)
{
	const bool denied = errno == EACCES || errno == EROFS;

	writes &= policy_of(w)->by_manifest;
	(void)sill_err_sys(e, errno, "open '%.150s'%s", path, writes ? " for writing" : "");
	return writes && denied ? sill_err_hint(e, "set readonly: on if the guest shall only read")
				: -1;
}

/* @found, by @path, opened. */
static int open_found(const struct chain_want *w, int found, const char *path,
		      const struct stat *st, bool writes, struct sill_err *e)
{
	const bool look_only = w->look_only;
	const int flags = (writes && !look_only ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY;
	/* For a block device O_EXCL means: and the host uses it for nothing else. */
	const int own = writes && S_ISBLK(st->st_mode) ? O_EXCL : 0;
	struct sill_err other = { 0 };
	int fd;

	if (refuse_type(path, st, e) < 0)
		return -1;
	if (writes && look_only && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
		return refuse_open(w, path, writes, e);
	fd = pathfd_open(found, path, flags | own);
	if (fd < 0 && errno == EBUSY && own != 0) {
		if (!lock_tell_owner(found, path, &other) || !look_only) {
			*e = other;
			return -1;
		}
		fd = pathfd_open(found, path, flags); /* a VM's: we only look */
	}
	return fd < 0 ? refuse_open(w, path, writes, e) : fd;
}

/*
 * A file or a block device, as open(2) has it. -1 and @e. Nothing else is even
 * opened: an image may name a device that acts by being opened, as a watchdog does.
 */
static int open_plain(const struct chain_want *w, const char *path, bool writes, struct sill_err *e)
{
	struct stat st;
	const int found = pathfd_find(path, &st);
	int fd;

	if (found < 0)
		return refuse_open(w, path, writes, e);
	fd = open_found(w, found, path, &st, writes, e);
	(void)close(found);
	return fd;
}

/* Raw bytes with nothing in them: a file that was never filled, a drive without a medium. */
static int refuse_empty(int fd, const char *path, struct sill_err *e)
{
	if (lseek(fd, 0, SEEK_END) != 0)
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "'%.150s' is empty", path);
}

/* After the head was read: it is read through the page cache. */
static int go_direct(struct walk *k, int fd, const char *path, struct sill_err *e)
{
	if (!k->w->direct || fcntl(fd, F_SETFL, O_DIRECT) == 0)
		return 0;
	k->blame = CHAIN_DIRECT;
	if (errno != EINVAL)
		return sill_err_sys(e, errno, "open '%.150s' with O_DIRECT", path);
	(void)sill_err_set(e, SILL_ERR_HOST, "the file system of '%.150s' has no O_DIRECT", path);
	return sill_err_hint(e, "set direct: off");
}

static int open_locked(const struct chain_want *w, const char *path, bool writes, int *ret_fd,
		       struct sill_err *e)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd = open_plain(w, path, writes, e);

		if (fd < 0)
			return -1;
		*ret_fd = fd;
		if (w->look_only)
			return 0;
		if (lock_image(fd, writes, path, e) < 0)
			return -1;
		if (!lock_is_late(fd, path))
			return 0;
		(void)close(fd);
		*ret_fd = -1;
	}
	return sill_err_set(e, SILL_ERR_HOST, "'%.150s' is replaced again and again", path);
}

int chain_open_file(const struct chain_want *w, const char *path, bool writes, struct sill_err *e)
{
	int fd = -1;

	if (open_locked(w, path, writes, &fd, e) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static bool same_path(const char *a, const char *b)
{
	struct stat x, y;

	return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 && pathfd_same(&x, &y));
}

/* Is it in the chain already? A file that is locked twice would wait for itself. */
static const char *find_twice(const struct walk *k, const char *path)
{
	for (size_t i = 0; i < k->c->count; i++) {
		const struct chain_layer *l = &k->c->layer[i];

		if (same_path(l->path, path))
			return l->path;
		if (l->data_path != NULL && same_path(l->data_path, path))
			return l->data_path;
	}
	return k->w->above != NULL && same_path(k->w->above, path) ? k->w->above : NULL;
}

static int refuse_loop(const char *image, const char *named, bool itself, struct sill_err *e)
{
	(void)sill_err_set(e, SILL_ERR_HOST, "'%.100s' names '%.100s', which is %s: a loop", image,
			   named, itself ? "itself" : "above it");
	return sill_err_hint(e, "no image can be made on itself: the name in it is wrong");
}

/* @said: what the last image calls it. */
static int check_twice(const struct walk *k, const char *path, const char *said, struct sill_err *e)
{
	const char *before = find_twice(k, path), *last = last_path(k);

	if (before == NULL)
		return 0;
	return refuse_loop(called(k->p, last), k->p->by_manifest ? base_name(before) : said,
			   before == last, e);
}

int chain_check_loop(const char *image, const char *path, const char *said, struct sill_err *e)
{
	return same_path(image, path) ? refuse_loop(image, said, true, e) : 0;
}

/*
 * "nbd://host", "json:{...}": words for other programs. What follows "file:" is a name
 * whatever it holds, as in QEMU.
 */
const char *chain_plain_name(const char *name)
{
	const char *colon = strchr(name, ':'), *slash = strchr(name, '/');

	if (strncmp(name, "file:", 5) == 0)
		return name + 5;
	return colon == NULL || (slash != NULL && slash < colon) ? name : NULL;
}

char *chain_resolve(const struct chain_policy *policy, const char *path, const char *name,
		    struct sill_err *e)
{
	const char *plain = chain_plain_name(name), *slash = strrchr(path, '/');
	char buf[TEXT_SHORT];
	char *p = NULL;

	if (plain == NULL || plain[0] == '\0') {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "'%.100s' names '%s', which is not a file's name",
				   called(policy, path), shown(buf, name));
		(void)sill_err_hint(e, "only files and block devices can be opened");
		return NULL;
	}
	if (plain[0] == '/' || plain != name || slash == NULL)
		p = strdup(plain);
	else if (asprintf(&p, "%.*s/%s", (int)(slash - path), path, plain) < 0)
		p = NULL;
	if (p == NULL)
		(void)sill_err_sys(e, ENOMEM, "'%.100s'", path);
	return p;
}

/* --- the data file ------------------------------------------------------ */

static int refuse_data(const struct walk *k, const char *wanted, struct sill_err *e)
{
	const char *image = base_name(k->c->layer[k->c->count - 1].path);
	char name[TEXT_SHORT];

	(void)shown(name, k->head.data_file);
	if (!k->head.has_data_file) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%.100s' has its data itself", image);
		return sill_err_hint(e, "remove data_file");
	}
	if (name[0] == '\0') {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "'%.100s' has its data in another file, and does not say which",
				   image);
		return sill_err_hint(e, "name it: data_file: PATH");
	}
	if (wanted == NULL) {
		(void)sill_err_set(
			e, SILL_ERR_HOST,
			"'%.100s' has its data in '%s', which the manifest does not name", image,
			name);
		return sill_err_hint(e,
				     "add 'data_file: %s', or 'data_file: auto' to take what the "
				     "image says",
				     name);
	}
	(void)sill_err_set(e, SILL_ERR_HOST, "'%.80s' has its data in '%s', not in '%.80s'", image,
			   name, base_name(wanted));
	return sill_err_hint(e, "write 'data_file: %s', or correct the name in the image", name);
}

/* Who asks does not follow names, or there is none. */
static int refuse_follow(const struct walk *k, const char *name, struct sill_err *e)
{
	char said[TEXT_SHORT];

	(void)sill_err_set(e, SILL_ERR_STATE, "'%.100s' is made on top of '%s'", last_path(k),
			   shown(said, name));
	return sill_err_hint(e, "%s",
			     k->w->hint != NULL ? k->w->hint : "add --chain to read that too");
}

/* Where it is; owned by the caller. NULL: nowhere, which is no error; or @ret is -1, and @e. */
static char *find_data(struct walk *k, const struct chain_name *name, int *ret, struct sill_err *e)
{
	const char *wanted = name != NULL ? name->data_file : NULL;
	const char *in_head = k->head.data_file;
	const bool take_it = (wanted != NULL && strcmp(wanted, "auto") == 0) || name == NULL;
	char *said = NULL;

	*ret = 0;
	if (!k->head.has_data_file && (wanted == NULL || take_it))
		return NULL;
	k->blame = CHAIN_DATA_FILE;
	*ret = -1;
	if (!k->p->by_manifest && !k->w->backing_auto)
		return (void)refuse_follow(k, in_head, e), NULL;
	if (!k->p->by_manifest && in_head[0] == '\0')
		return (void)sill_err_set(e, SILL_ERR_HOST,
					  "the image does not say where its data are"),
		       NULL;
	if (!k->head.has_data_file || (in_head[0] == '\0' && (take_it || wanted == NULL)) ||
	    (wanted == NULL && !take_it))
		return (void)refuse_data(k, wanted, e), NULL;
	if (in_head[0] != '\0') {
		said = chain_resolve(k->p, last_path(k), in_head, e);
		if (said == NULL)
			return NULL;
		if (!take_it && !same_path(said, wanted)) {
			free(said);
			return (void)refuse_data(k, wanted, e), NULL;
		}
	}
	if (!take_it) {
		free(said);
		said = strdup(wanted);
		if (said == NULL)
			(void)sill_err_sys(e, ENOMEM, "'%.100s'", wanted);
	}
	return said;
}

static int dup_file(int fd, const char *path, int *ret_fd, struct sill_err *e)
{
	*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? sill_err_sys(e, errno, "'%.150s'", path) : 0;
}

static int open_data(struct walk *k, const struct chain_name *name, bool writes, struct sill_err *e)
{
	const bool is_open = k->c->count == 1 && k->w->is_open && k->w->data_fd >= 0;
	struct chain_layer *l = &k->c->layer[k->c->count - 1];
	int ret;
	char *path = find_data(k, name, &ret, e);

	if (path == NULL)
		return ret;
	if (check_twice(k, path, k->head.data_file, e) < 0) {
		free(path);
		return -1;
	}
	l->data_path = path;
	if (is_open)
		return dup_file(k->w->data_fd, path, &l->data_fd, e);
	if (open_locked(k->w, path, writes, &l->data_fd, e) < 0 ||
	    (k->p->to_use && refuse_empty(l->data_fd, path, e) < 0))
		return -1;
	return go_direct(k, l->data_fd, path, e);
}

/* --- one image ---------------------------------------------------------- */

static int refuse_corrupt(const struct chain_layer *l, struct sill_err *e)
{
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "qcow2 image '%.150s' is marked as corrupt and must not be written to",
			   l->path);
	return sill_err_hint(e, "save a copy, then: sill image check -f qcow2 --repair FILE");
}

/*
 * Most likely the manifest is wrong, and the guest would write over the image.
 * But a guest can write anything onto a raw disk, and does not shut its owner out with it.
 */
static int refuse_look(const struct chain_layer *l, const struct sill_image_info *h, bool top,
		       struct sill_err *e)
{
	const char *like = sill_image_format_name(h->looks_like);

	(void)sill_err_set(e, SILL_ERR_HOST, "'%.150s' is not raw: it is a %s image",
			   top ? base_name(l->path) : l->path, like);
	if (!top)
		return sill_err_hint(e,
				     "sill image rebase --unsafe corrects the image above; or, if "
				     "a guest wrote that onto its raw disk: format_check: off");
	return sill_err_hint(e,
			     "write 'format: %s'; or, if a guest has written that image onto its "
			     "raw disk, 'format_check: off'",
			     like);
}

/* What the image above names was what the manifest names, before; is it what was opened? */
static int refuse_other(const struct chain_layer *l, const char *path, struct sill_err *e)
{
	if (pathfd_leads_to(path, l->fd))
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "'%.150s' is replaced while it is opened", path);
}

static int read_head(struct walk *k, const struct chain_layer *l, bool top, struct sill_err *e)
{
	if (k->p->to_use)
		return sill_image_head(l->fd, top ? base_name(l->path) : l->path, l->format,
				       &k->head, e);
	return sill_image_info(l->fd, l->path, l->format, &k->head, e);
}

/* The one that layer[count].path leads to. @format NULL: its header tells. */
static int open_layer(struct walk *k, const enum sill_disk_format *format,
		      const struct chain_name *name, struct sill_err *e)
{
	const bool first = k->c->count == 0, top = first && k->w->above_head == NULL;
	const bool writes = top && k->w->writes;
	struct chain_layer *l = &k->c->layer[k->c->count];

	if (l->path == NULL)
		return sill_err_sys(e, ENOMEM, "the images of a disk");
	k->blame = top ? CHAIN_PATH : CHAIN_BACKING;
	if (first && k->w->is_open) {
		if (dup_file(k->w->fd, l->path, &l->fd, e) < 0)
			return -1;
	} else if (open_locked(k->w, l->path, writes, &l->fd, e) < 0) {
		return -1;
	}
	if (format != NULL)
		l->format = *format;
	if ((name != NULL && refuse_other(l, name->path, e) < 0) ||
	    (format == NULL && sill_image_tell(l->fd, &l->format, e) < 0) ||
	    (k->p->to_use && l->format == SILL_DISK_RAW && refuse_empty(l->fd, l->path, e) < 0))
		return -1;
	if (top)
		k->blame = CHAIN_FORMAT;
	if (read_head(k, l, top, e) < 0)
		return -1;
	if (k->p->to_use && k->head.looks_like != SILL_DISK_RAW && !k->w->any_head)
		return refuse_look(l, &k->head, top, e);
	if (k->w->found != NULL)
		k->w->found(k->w->ctx, l->path, format == NULL, &k->head);
	l->direct = k->w->direct;
	if (k->c->count++ == 0) {
		k->c->size = k->head.size;
		k->c->foreign = k->head.foreign;
	}
	k->blame = top ? CHAIN_PATH : CHAIN_BACKING;
	if (k->p->to_use && k->head.corrupt && writes)
		return refuse_corrupt(l, e);
	if (go_direct(k, l->fd, l->path, e) < 0)
		return -1;
	k->blame = top ? CHAIN_PATH : CHAIN_BACKING;
	return k->p->heads ? 0 : open_data(k, name, writes, e);
}

/* --- from one to the next ----------------------------------------------- */

/* The manifest's word on what is below the last layer, or NULL. */
static const struct chain_name *next_name(const struct walk *k)
{
	const size_t i = k->c->count - 1;

	return k->p->by_manifest && i < k->w->backing_count ? &k->w->backing[i] : NULL;
}

static int refuse_backing(const struct walk *k, const struct chain_name *name, struct sill_err *e)
{
	const char *image = base_name(last_path(k));
	char said[TEXT_SHORT];

	if (!k->p->by_manifest)
		return refuse_follow(k, k->head.backing, e);
	(void)shown(said, k->head.backing);
	if (name == NULL) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "'%.80s' is made on '%s', which the manifest does not name",
				   image, said);
		return sill_err_hint(e,
				     k->c->count == 1
					     ? "add 'backing: %s', or 'backing: auto' to take "
					       "what the images say"
					     : "add it to backing, or write 'backing: auto' "
					       "(%s)",
				     said);
	}
	(void)sill_err_set(e, SILL_ERR_HOST, "'%.80s' is made on '%s', not on '%.80s'", image, said,
			   base_name(name->path));
	return sill_err_hint(e,
			     "write 'backing: %s'; or, if it was moved, correct the name in the "
			     "image: sill image rebase --unsafe",
			     said);
}

static int refuse_format(const struct walk *k, struct sill_err *e)
{
	char backing[TEXT_SHORT], format[TEXT_SHORT];
	const char *image = called(k->p, last_path(k));

	(void)shown(format, k->head.backing_format_said);
	(void)shown(backing, k->head.backing);
	if (k->p->by_manifest)
		(void)sill_err_set(e, SILL_ERR_HOST, "'%.80s' is made on '%s', which is a %s image",
				   image, backing, format);
	else
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "'%.80s' says that what is below it is a '%s' image", image,
				   format);
	return sill_err_hint(e, "only raw and qcow2 can be below an image");
}

static int refuse_guess(const struct walk *k, struct sill_err *e)
{
	const char *image = called(k->p, last_path(k));
	char backing[TEXT_SHORT];

	(void)shown(backing, k->head.backing);
	if (!k->p->by_manifest) {
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "'%.80s' does not say which format '%s' below it has", image,
				   backing);
		return sill_err_hint(e, "say it once: sill image rebase --unsafe --backing FILE "
					"--backing-format F TOP");
	}
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "'%.80s' does not say of what format '%s' is, and nobody guesses", image,
			   backing);
	return sill_err_hint(e, "if it is qcow2, write 'backing: [{path: %s, format: qcow2}]'",
			     backing);
}

/* Who says it: the image above; where that does not, the manifest; nobody else. */
static int find_format(const struct walk *k, const struct chain_name *name,
		       enum sill_disk_format *ret, bool *ret_told, struct sill_err *e)
{
	const char *said = k->head.backing_format_said;
	const bool is_known = k->head.has_backing_format;
	char backing[TEXT_SHORT];

	*ret = k->head.backing_format;
	*ret_told = k->p->heads && !is_known;
	if (k->p->heads)
		return 0;
	if (said[0] != '\0' && (!is_known || (*ret != SILL_DISK_RAW && *ret != SILL_DISK_QCOW2)))
		return refuse_format(k, e);
	if (name != NULL && name->has_format && said[0] != '\0' && name->format != *ret)
		return sill_err_set(e, SILL_ERR_HOST, "'%.80s' says that '%s' is %s, not %s",
				    base_name(last_path(k)), shown(backing, k->head.backing), said,
				    sill_image_format_name(name->format));
	if (said[0] != '\0')
		return 0;
	if (name == NULL || !name->has_format)
		return refuse_guess(k, e);
	*ret = name->format;
	return 0;
}

static int open_next(struct walk *k, struct sill_err *e)
{
	const struct chain_name *name = next_name(k);
	enum sill_disk_format format = SILL_DISK_RAW;
	struct chain_layer *l;
	bool told;

	k->blame = CHAIN_BACKING;
	if (name == NULL && !k->w->backing_auto)
		return refuse_backing(k, NULL, e);
	if (k->c->count + (k->w->above != NULL) >= SILL_MAX_LAYERS)
		return sill_err_set(e, SILL_ERR_LIMIT, "more than %u images on top of each other",
				    SILL_MAX_LAYERS);
	l = &k->c->layer[k->c->count];
	l->path = chain_resolve(k->p, last_path(k), k->head.backing, e);
	if (l->path == NULL)
		return -1;
	if (name != NULL && !same_path(l->path, name->path))
		return refuse_backing(k, name, e);
	if (find_format(k, name, &format, &told, e) < 0 ||
	    check_twice(k, l->path, k->head.backing, e) < 0)
		return -1;
	return open_layer(k, told ? NULL : &format, name, e);
}

static int walk(struct walk *k, struct sill_err *e)
{
	const struct chain_want *w = k->w;

	if (w->above_head != NULL) {
		k->head = *w->above_head;
	} else {
		k->c->layer[0].path = strdup(w->top.path);
		if (open_layer(k, w->top.has_format ? &w->top.format : NULL,
			       k->p->by_manifest ? &w->top : NULL, e) < 0)
			return -1;
	}
	while (k->head.backing[0] != '\0') {
		if (open_next(k, e) < 0)
			return -1;
	}
	if (w->backing_count < k->c->count || !k->p->by_manifest)
		return 0;
	k->blame = CHAIN_BACKING;
	(void)sill_err_set(e, SILL_ERR_HOST, "'%.150s' is not made on another image",
			   base_name(last_path(k)));
	return sill_err_hint(e, k->c->count == 1 ? "remove backing"
						 : "remove what is behind it in backing");
}

int chain_open(struct chain *c, const struct chain_want *w, enum chain_blame *ret_blame,
	       struct sill_err *e)
{
	struct walk *k = calloc(1, sizeof(*k));
	int ret;

	*ret_blame = CHAIN_PATH;
	if (k == NULL)
		return sill_err_sys(e, ENOMEM, "'%.150s'", w->top.path);
	k->c = c;
	k->w = w;
	k->p = policy_of(w);
	ret = walk(k, e);
	*ret_blame = k->blame;
	free(k);
	return ret;
}
