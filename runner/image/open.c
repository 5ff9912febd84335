/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c - from a path to an image with all that is below it.
 *
 * A header may name any file of this host. So what it names is opened only for
 * a verb, or with an option, that says to follow it; host/chain.c does, by the
 * rules that hold for manifests too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/chain.h"
#include "runner/host/pathfd.h"
#include "runner/image/verbs.h"
#include "runner/report/text.h"

static const char *shown(char *dst, size_t size, const char *s)
{
	return text_clean(dst, size, s, strlen(s));
}

int image_open_file(const char *path, bool write, struct sill_err *e)
{
	const struct chain_want w = { .policy = &chain_image };

	return chain_open_file(&w, path, write, e);
}

int image_resolve(const char *path, const char *name, char ret[PATH_MAX], struct sill_err *e)
{
	char *p = chain_resolve(&chain_image, path, name, e);
	int n;

	if (p == NULL)
		return -1;
	n = snprintf(ret, PATH_MAX, "%s", p);
	free(p);
	if (n < 0 || n >= PATH_MAX)
		return sill_err_set(e, SILL_ERR_LIMIT, "'%.80s' names a file with too long a name",
				    path);
	return 0;
}

int image_header_name(const char *top, const char *base, char ret[PATH_MAX], struct sill_err *e)
{
	/* "a:b.raw" would be the file b.raw of a protocol a. */
	const char *here = chain_plain_name(base) == base ? "" : "./";
	char name[200];
	int n;

	if (base[0] != '/' && strchr(top, '/') != NULL) {
		if (realpath(base, ret) == NULL)
			return sill_err_sys(e, errno, "'%s'", shown(name, sizeof(name), base));
		return 0;
	}
	n = snprintf(ret, PATH_MAX, "%s%s", here, base);
	if (n >= 0 && n < PATH_MAX)
		return 0;
	return sill_err_sys(e, ENAMETOOLONG, "'%s'", shown(name, sizeof(name), base));
}

int image_look(const char *path, const enum sill_disk_format *format, struct sill_image_info *ret,
	       struct sill_err *e)
{
	/* Not locked: a running VM's header may be looked at. */
	const struct chain_want w = { .policy = &chain_image, .look_only = true };
	const int fd = chain_open_file(&w, path, false, e);
	enum sill_disk_format told;
	int failed = fd < 0 ? -1 : 0;

	if (failed == 0 && format == NULL)
		failed = sill_image_tell(fd, &told, e);
	if (failed == 0)
		failed = sill_image_info(fd, path, format != NULL ? *format : told, ret, e);
	if (fd >= 0)
		(void)close(fd);
	return failed;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (stat(a, &x) < 0 || stat(b, &y) < 0)
		return false;
	return pathfd_same(&x, &y);
}

int image_open_named(const struct image_named *n, char ret_path[PATH_MAX], struct sill_err *e)
{
	char said[120], given[120];
	int fd;

	(void)shown(said, sizeof(said), n->said);
	if (n->given == NULL) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%.100s' %s '%s', which would be written to",
				   n->path, n->relation, said);
		return sill_err_hint(e, "if that is meant, add --%s and its name", n->option);
	}
	if (n->said[0] == '\0')
		(void)snprintf(ret_path, PATH_MAX, "%s", n->given);
	else if (image_resolve(n->path, n->said, ret_path, e) < 0)
		return -1;
	/* The person's name is the one to trust, in case one of the two changes. */
	if (same_file(ret_path, n->given)) {
		fd = image_open_file(n->given, true, e);
		if (fd < 0 || pathfd_leads_to(ret_path, fd))
			return fd;
		(void)close(fd);
	}
	return sill_err_set(e, SILL_ERR_STATE, "'%.80s' %s '%s', not %s '%s'", n->path, n->relation,
			    said, strrchr(n->relation, ' ') + 1,
			    shown(given, sizeof(given), n->given));
}

int image_open_data_file(const char *path, const struct sill_image_info *f, const char *data_file,
			 const char *option, int *ret_fd, char ret_path[PATH_MAX],
			 struct sill_err *e)
{
	const struct image_named n = { path, f->data_file, data_file, "has its data in", option };

	*ret_fd = -1;
	if (!f->has_data_file && data_file == NULL)
		return 0;
	if (!f->has_data_file) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%.100s' has its data itself", path);
		return sill_err_hint(e, "leave --%s out", option);
	}
	*ret_fd = image_open_named(&n, ret_path, e);
	return *ret_fd < 0 ? -1 : 0;
}

int image_open_data(int fd, const char *path, bool write, struct sill_image **ret,
		    struct sill_err *e)
{
	struct sill_image_source s = { .path = path, .format = SILL_DISK_RAW, .readonly = !write };

	*ret = NULL;
	if (fd < 0)
		return 0;
	s.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s.fd < 0)
		return sill_err_sys(e, errno, "'%s'", path);
	*ret = sill_image_open(&s, e);
	return *ret == NULL ? -1 : 0;
}

/* The images of @c, each on the next, from the lowest up. */
static struct sill_image *stack(struct chain *c, bool write, bool salvage, struct sill_err *e)
{
	struct sill_image *below = NULL;

	for (size_t i = c->count; i-- > 0;) {
		struct chain_layer *l = &c->layer[i];
		struct sill_image_source s = { .fd = l->fd,
					       .path = l->path,
					       .format = l->format,
					       .readonly = i > 0 || !write,
					       .salvage = salvage,
					       .backing = below };

		if (l->data_fd >= 0 &&
		    image_open_data(l->data_fd, l->data_path, !s.readonly, &s.data, e) < 0) {
			sill_image_close(below);
			return NULL;
		}
		l->fd = -1;
		below = sill_image_open(&s, e);
		if (below == NULL)
			return NULL;
	}
	return below;
}

static struct sill_image *open_chain(const struct chain_want *w, const struct image_want *want,
				     struct sill_err *e)
{
	struct sill_image *i = NULL;
	enum chain_blame unused;
	struct chain c;

	chain_init(&c);
	if (chain_open(&c, w, &unused, e) == 0) {
		for (size_t k = 0; k < c.count && want->access != NULL; k++) {
			image_access_add(want->access, c.layer[k].fd);
			if (c.layer[k].data_fd >= 0)
				image_access_add(want->access, c.layer[k].data_fd);
		}
		i = stack(&c, want->write, want->salvage, e);
	}
	chain_fini(&c);
	return i;
}

int image_open_below(const char *path, const struct sill_image_info *f, int base_fd,
		     int base_data_fd, struct sill_image **ret, struct sill_err *e)
{
	const struct image_want want = { .path = path };
	const struct chain_want w = { .policy = &chain_image,
				      .above = path,
				      .above_head = f,
				      .backing_auto = true,
				      .is_open = base_fd >= 0,
				      .fd = base_fd,
				      .data_fd = base_data_fd };

	*ret = NULL;
	if (f->backing[0] == '\0')
		return 0;
	*ret = open_chain(&w, &want, e);
	return *ret == NULL ? -1 : 0;
}

struct sill_image *image_open(const struct image_want *want, struct sill_err *e)
{
	const struct chain_want w = {
		.policy = &chain_image,
		.top = { .path = want->path, .has_format = true, .format = want->format },
		.writes = want->write,
		.backing_auto = want->follow,
		.hint = want->hint,
		.above = want->above
	};

	return open_chain(&w, want, e);
}
