/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks.c - see disks.h.
 *
 * A file's time of change is the kernel's, for every write. Of a block device it says nothing, and only the
 * size is looked at.
 */
#include "runner/snapshot/disks.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include "runner/report/json.h"

struct mark {
	json_int_t size, changed_ns; /* 0: nobody can tell */
};

static int device_size(const char *path, json_int_t *ret)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t n = 0;
	int err = 0;

	if (fd < 0)
		return errno;
	if (ioctl(fd, BLKGETSIZE64, &n) < 0)
		err = errno;
	(void)close(fd);
	*ret = (json_int_t)n;
	return err;
}

static int look(const char *path, struct mark *ret, struct sill_err *e)
{
	struct stat st;
	int err = 0;

	*ret = (struct mark){ 0 };
	if (stat(path, &st) < 0)
		return sill_err_sys(e, errno, "'%s'", path);
	if (S_ISBLK(st.st_mode)) {
		err = device_size(path, &ret->size);
		return err == 0 ? 0 : sill_err_sys(e, err, "'%s'", path);
	}
	ret->size = st.st_size;
	ret->changed_ns = (json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return 0;
}

static int add(json_t *list, const char *path, struct sill_err *e)
{
	struct mark m;
	json_t *o;

	if (path == NULL)
		return 0;
	if (look(path, &m, e) < 0)
		return -1;
	o = json_pack("{s:o,s:I,s:I}", "path", json_text(path), "size", m.size, "changed_ns",
		      m.changed_ns);
	if (json_array_append_new(list, o) < 0)
		return sill_err_sys(e, ENOMEM, "the list of images");
	return 0;
}

static int add_disk(json_t *list, const struct sill_disk_config *d, struct sill_err *e)
{
	if (add(list, d->path, e) < 0 || add(list, d->data_file, e) < 0)
		return -1;
	for (unsigned i = 0; i < d->backing_count; i++)
		if (add(list, d->backing[i].path, e) < 0 ||
		    add(list, d->backing[i].data_file, e) < 0)
			return -1;
	return 0;
}

json_t *disks_mark(const struct sill_config *m, struct sill_err *e)
{
	json_t *list = json_array();

	if (list == NULL) {
		(void)sill_err_sys(e, ENOMEM, "the list of images");
		return NULL;
	}
	for (unsigned i = 0; i < m->disk_count; i++) {
		if (add_disk(list, &m->disk[i], e) == 0)
			continue;
		sill_err_wrap(e, "%s", m->disk[i].id);
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *what_differs(const json_t *was, const json_t *is)
{
	if (number(was, "size") != number(is, "size"))
		return "has another size now";
	return number(was, "changed_ns") != number(is, "changed_ns") ? "has been written to since"
								     : NULL;
}

int disks_check(const json_t *list, const struct sill_config *m, struct sill_err *e)
{
	json_t *now = disks_mark(m, e);
	int ret = 0;

	if (now == NULL)
		return -1;
	if (json_array_size(now) != json_array_size(list))
		ret = sill_err_set(e, SILL_ERR_STATE,
				   "the snapshot names %zu images, its configuration has %zu",
				   json_array_size(list), json_array_size(now));
	for (size_t i = 0; i < json_array_size(now) && ret == 0; i++) {
		const json_t *is = json_array_get(now, i);
		const char *why = what_differs(json_array_get(list, i), is);

		if (why == NULL)
			continue;
		ret = sill_err_set(e, SILL_ERR_STATE,
				   "the image '%.120s' %s: the guest would find another disk than "
				   "it left",
				   json_string_value(json_object_get(is, "path")), why);
		(void)sill_err_hint(e, "put back the image as it was, with its time (cp -p)");
	}
	json_decref(now);
	return ret;
}
