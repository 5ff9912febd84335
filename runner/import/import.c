/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - see import.h: what readers share. */
#include "runner/import/import.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/manifest/scalar.h"
#include "runner/report/json.h"
#include "runner/report/text.h"
#include "sill/image.h"

enum { NAME_BYTES = 63 };

void import_fini(struct import *im)
{
	json_decref(im->vms);
	json_decref(im->lost);
	json_decref(im->notes);
	arena_fini(&im->a);
}

bool import_is_text(const char *s, size_t n)
{
	uint32_t c;

	while (n > 0) {
		const size_t len = utf8_next(s, n, &c);

		if (len == 0 || c == 0)
			return false;
		s += len;
		n -= len;
	}
	return true;
}

int import_fail(struct import *im, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sill_err_set(&im->err, SILL_ERR_MANIFEST, "%s", text);
}

static void tell(struct import *im, json_t **list, const char *what, const char *why)
{
	char clean[128], said[400];
	json_t *entry;

	if (*list == NULL)
		*list = json_array();
	if (json_array_size(*list) >= IMPORT_LOSSES)
		return;
	(void)text_clean(clean, sizeof(clean), what, strlen(what));
	(void)text_clean(said, sizeof(said), why, strlen(why));
	entry = json_pack("{s:O?,s:s,s:s}", "vm", json_object_get(im->about, "name"), "what", clean,
			  "why", said);
	(void)json_array_append_new(*list, entry);
}

void import_lost(struct import *im, const char *what, const char *fmt, ...)
{
	char why[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	im->lost_count++;
	tell(im, &im->lost, what, why);
}

void import_note(struct import *im, const char *what, const char *fmt, ...)
{
	char why[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	tell(im, &im->notes, what, why);
}

/* ---- names ---- */

static bool is_taken(const struct import *im, const char *name)
{
	for (size_t i = 0; i < json_array_size(im->vms); i++)
		if (import_is(name, json_string_value(
					    json_object_get(json_array_get(im->vms, i), "name"))))
			return true;
	return false;
}

/* What a VM may be called, made of @from; letters that it may not have become '-'. */
static void make_name(char dst[NAME_BYTES + 1], const char *from)
{
	size_t n = 0;

	for (; *from != '\0' && n < NAME_BYTES - 4; from++) {
		const unsigned char c = (unsigned char)*from;
		const bool good = isalnum(c) || (n > 0 && (c == '.' || c == '_' || c == '-'));

		if (good || (n > 0 && dst[n - 1] != '-'))
			dst[n++] = good ? (char)c : '-';
	}
	while (n > 0 && dst[n - 1] == '-')
		n--;
	dst[n] = '\0';
	if (n == 0)
		(void)snprintf(dst, NAME_BYTES + 1, "vm");
}

json_t *import_vm(struct import *im, const char *name)
{
	const char *from = im->name != NULL && json_array_size(im->vms) == 0 ? im->name : name;
	char text[NAME_BYTES + 1];
	size_t n;
	json_t *m;

	if (im->vms == NULL)
		im->vms = json_array();
	if (json_array_size(im->vms) >= IMPORT_VMS) {
		(void)import_fail(im, "more than %d VMs", IMPORT_VMS);
		return NULL;
	}
	make_name(text, from != NULL ? from : im->fallback != NULL ? im->fallback : "vm");
	n = strlen(text);
	for (int i = 2; is_taken(im, text); i++)
		(void)snprintf(text + n, sizeof(text) - n, "-%d", i);
	m = json_pack("{s:i,s:s}", "sill", 1, "name", text);
	(void)json_array_append_new(im->vms, m);
	im->about = m;
	if (from != NULL && strcmp(from, text) != 0)
		import_note(im, "name", "'%s' is '%s' here", from, text);
	if (im->guest != NULL)
		(void)json_object_set_new(m, "guest", json_string(im->guest));
	return m;
}

/* ---- values ---- */

json_t *import_map(json_t *m, const char *key)
{
	json_t *o = json_object_get(m, key);

	if (!json_is_object(o)) {
		o = json_object();
		(void)json_object_set_new(m, key, o);
	}
	return o;
}

json_t *import_entry(json_t *m, const char *key)
{
	json_t *list = json_object_get(m, key), *o = json_object();

	if (list == NULL) {
		list = json_array();
		(void)json_object_set_new(m, key, list);
	}
	(void)json_array_append_new(list, o);
	return o;
}

void import_text(json_t *m, const char *key, const char *s)
{
	if (s != NULL)
		(void)json_object_set_new(m, key, json_text(s));
}

void import_size(json_t *m, const char *key, uint64_t bytes)
{
	char text[32];

	if (bytes == 0 || bytes % 1024 != 0)
		(void)snprintf(text, sizeof(text), "%" PRIu64, bytes);
	else
		(void)scalar_size_text(text, sizeof(text), bytes);
	(void)json_object_set_new(m, key, json_string(text));
}

bool import_is(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

void import_uefi(json_t *m)
{
	json_t *f = import_map(m, "firmware");
	const char *name = json_string_value(json_object_get(m, "name"));

	(void)json_object_set_new(f, "code", json_string("/usr/share/OVMF/OVMF_CODE_4M.fd"));
	(void)json_object_set_new(f, "vars", json_sprintf("%s.vars.fd", name));
}

/* ---- formats ---- */

static bool tell_by_file(const char *path, const char **ret)
{
	enum sill_disk_format format;
	struct sill_err unused = { 0 };
	struct stat st;
	bool told = false;
	int fd;

	/* What is opened must be a file or a disk: to open something else may do something. */
	if (stat(path, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0) {
		told = sill_image_tell(fd, &format, &unused) == 0;
		(void)close(fd);
	}
	if (told)
		*ret = sill_image_format_name(format);
	return told;
}

static bool ends_with(const char *s, const char *end)
{
	const size_t n = strlen(s), len = strlen(end);

	return n > len && strcasecmp(s + n - len, end) == 0;
}

/* A format that Sill does not read; as a raw disk, the guest would destroy it. */
static bool is_foreign(const char *path, const char *format)
{
	static const char *const ends[] = { ".vmdk", ".vdi", ".qed", ".hdd" };
	static const char ours[] = " raw qcow2 vhd vhdx ";
	char word[24];

	(void)snprintf(word, sizeof(word), " %.20s ", format != NULL ? format : "raw");
	for (size_t i = 0; format == NULL && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_with(path, ends[i]))
			return true;
	return strstr(ours, word) == NULL;
}

static const char *tell_by_name(const char *path)
{
	static const char *const ends[][2] = { { ".qcow2", "qcow2" },
					       { ".qcow", "qcow2" },
					       { ".vhdx", "vhdx" },
					       { ".vhd", "vhd" },
					       { ".vpc", "vhd" } };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_with(path, ends[i][0]))
			return ends[i][1];
	return "raw";
}

static void format_disk(struct import *im, size_t i, json_t *disk, bool look)
{
	const char *path = json_string_value(json_object_get(disk, "path"));
	const char *format = NULL;
	char what[48];
	bool told;

	if (path == NULL || json_object_get(disk, "format") != NULL)
		return;
	told = look && tell_by_file(path, &format);
	if (!told)
		format = tell_by_name(path);
	(void)json_object_set_new(disk, "format", json_string(format));
	(void)snprintf(what, sizeof(what), "disk[%zu].format", i);
	import_note(im, what, "'%s' is taken to be %s by its %s", path, format,
		    told ? "contents" : "name");
}

static void leave_foreign(struct import *im, json_t *disks)
{
	for (size_t i = json_array_size(disks); i-- > 0;) {
		const json_t *disk = json_array_get(disks, i);
		const char *path = json_string_value(json_object_get(disk, "path"));

		if (path == NULL ||
		    !is_foreign(path, json_string_value(json_object_get(disk, "format"))))
			continue;
		import_lost(im, path,
			    "Sill does not read its format; `qemu-img convert -O qcow2` makes a "
			    "disk of it");
		(void)json_array_remove(disks, i);
	}
}

void import_formats(struct import *im, bool look)
{
	for (size_t v = 0; v < json_array_size(im->vms); v++) {
		json_t *disks = json_object_get(json_array_get(im->vms, v), "disk");

		im->about = json_array_get(im->vms, v);
		leave_foreign(im, disks);
		for (size_t i = 0; i < json_array_size(disks); i++)
			format_disk(im, i, json_array_get(disks, i), look);
	}
}
