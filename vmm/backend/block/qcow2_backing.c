/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_backing.c - another name in the header for what the image is made on top of.
 *
 * Where it can be, the new name is written beside the old one first; then the
 * first sector, which says where the name is and what format is meant, is
 * replaced: by one write of one sector. Where the extension that names the
 * format is not in that sector, or there is no room, the whole beginning of the
 * cluster is written at once.
 */
#include <string.h>

#include "backend/block/qcow2.h"
#include "backend/block/qcow2_look.h"
#include "sill/image.h"

enum {
	HEAD = 8192, /* header, extensions and name together have less */
	SECTOR = 512,
	FORMAT_EXT = 16, /* bytes of the extension that names the format */
	NO_ROOM = -1,    /* no errno */
};

struct head {
	struct qcow2_file file;
	const char *path;
	uint8_t old[HEAD], new[HEAD];
	uint64_t room;     /* of the cluster, at most HEAD */
	uint64_t ext_at;   /* where extensions begin */
	uint64_t ext_end;  /* behind the one that ends them */
	uint64_t name_end; /* of the old one; 0: none */
	uint64_t format;   /* where that extension is; 0: none */
};

static int bad(const struct head *h, struct sill_err *e, const char *what)
{
	return sill_err_set(e, SILL_ERR_HOST, "qcow2 image '%s': %s", h->path, what);
}

static int parse(struct head *h, struct sill_err *e)
{
	struct qcow2_head x;

	qcow2_parse(&x, h->old, HEAD);
	if ((x.faults & QCOW2_IS_NONE) != 0)
		return bad(h, e, "its header is damaged, or it is none");
	if (qcow2_refuse(&x, QCOW2_BAD_LENGTH | QCOW2_BAD_EXTENSION, h->path, e) < 0)
		return -1;
	if (x.ext_end == 0)
		return bad(h, e, "its header extensions do not end");
	h->room = x.cluster < HEAD ? x.cluster : HEAD;
	h->ext_at = x.length;
	h->ext_end = x.ext_end;
	if (x.name_at != 0)
		h->name_end = x.name_at + x.name_n;
	if (x.backing_format.at != 0)
		h->format = x.backing_format.at - 8;
	return 0;
}

static void name_at(struct head *h, uint64_t at, const char *name)
{
	const size_t n = strlen(name);

	memcpy(h->new + at, name, n);
	qcow2_put_be64(h->new + QCOW2_AT_NAME, at);
	qcow2_put_be32(h->new + QCOW2_AT_NAME_LENGTH, (uint32_t)n);
}

static void format_at(uint8_t *p, const char *format)
{
	memset(p, 0, FORMAT_EXT);
	qcow2_put_be32(p, QCOW2_EXT_BACKING_FORMAT);
	qcow2_put_be32(p + 4, (uint32_t)strlen(format));
	memcpy(p + 8, format, strlen(format));
}

static int put(struct head *h, uint64_t at, uint64_t n)
{
	int err = qcow2_pwrite(&h->file, h->new + at, n, at);

	return err == 0 ? qcow2_sync(&h->file) : err;
}

/* A place for @n bytes that is free now; 0: there is none. */
static uint64_t find_place(const struct head *h, size_t n)
{
	const uint64_t name = qcow2_be64(h->old + QCOW2_AT_NAME);
	const uint64_t behind = h->name_end > h->ext_end ? h->name_end : h->ext_end;

	if (name == 0 || name >= h->ext_end + n)
		return n <= h->room - h->ext_end ? h->ext_end : 0;
	return behind <= h->room && n <= h->room - behind ? behind : 0;
}

/* Name first, then the sector. NO_ROOM: it cannot be done like that. */
static int in_two_steps(struct head *h, const char *name, const char *format)
{
	const uint64_t at = name != NULL ? find_place(h, strlen(name)) : 0;
	int err;

	memcpy(h->new, h->old, HEAD);
	if (name == NULL || at == 0 || h->format == 0 || h->format + FORMAT_EXT > SECTOR ||
	    (qcow2_be32(h->old + h->format + 4) + 7) / 8 != 1)
		return NO_ROOM;
	name_at(h, at, name);
	err = put(h, at, strlen(name));
	if (err != 0)
		return err;
	format_at(h->new + h->format, format);
	return put(h, 0, SECTOR);
}

/* Header, extensions, name, as if it were new. */
static int at_once(struct head *h, const char *name, const char *format, struct sill_err *e)
{
	uint64_t to = h->ext_at, end;
	int err;

	memset(h->new, 0, HEAD);
	memcpy(h->new, h->old, h->ext_at);
	qcow2_put_be64(h->new + QCOW2_AT_NAME, 0);
	qcow2_put_be32(h->new + QCOW2_AT_NAME_LENGTH, 0);
	if (name != NULL) {
		if (h->room - to < FORMAT_EXT)
			return bad(h, e, "there is no room for the name in its header");
		format_at(h->new + to, format);
		to += FORMAT_EXT;
	}
	for (uint64_t at = h->ext_at; at < h->ext_end - 8;) {
		const uint64_t n = qcow2_ext_size(qcow2_be32(h->old + at + 4));

		if (qcow2_be32(h->old + at) != QCOW2_EXT_BACKING_FORMAT) {
			if (n > h->room - to)
				return bad(h, e, "there is no room for the name in its header");
			memcpy(h->new + to, h->old + at, n);
			to += n;
		}
		at += n;
	}
	to += 8;
	if (to > h->room || (name != NULL && strlen(name) > h->room - to))
		return bad(h, e, "there is no room for the name in its header");
	if (name != NULL) {
		name_at(h, to, name);
		to += strlen(name);
	}
	end = h->name_end > h->ext_end ? h->name_end : h->ext_end;
	end = end > to ? end : to;
	end = (end + SECTOR - 1) / SECTOR * SECTOR;
	err = put(h, 0, end < h->room ? end : h->room);
	return err != 0 ? sill_err_sys(e, err, "header of '%s'", h->path) : 0;
}

static int set_backing(struct head *h, const char *name, const char *format, struct sill_err *e)
{
	int err = qcow2_pread(&h->file, h->old, HEAD, 0);

	if (err != 0)
		return sill_err_sys(e, err, "header of '%s'", h->path);
	if (parse(h, e) < 0)
		return -1;
	if (name != NULL && strlen(name) > SILL_IMAGE_MAX_NAME)
		return sill_err_set(e, SILL_ERR_LIMIT, "the name of the backing file is too long");
	err = in_two_steps(h, name, format);
	if (err == NO_ROOM)
		return at_once(h, name, format, e);
	return err != 0 ? sill_err_sys(e, err, "header of '%s'", h->path) : 0;
}

int qcow2_set_backing(int fd, const char *path, const char *name, const char *format,
		      struct sill_err *e)
{
	struct head h = { .path = path };
	int err = qcow2_file_init(&h.file, fd, false), ret;

	ret = err != 0 ? sill_err_sys(e, err, "'%s'", path) : set_backing(&h, name, format, e);
	qcow2_file_fini(&h.file);
	return ret;
}
