/* SPDX-License-Identifier: Apache-2.0 */
/* qemudisk.c - QEMU's drives, block nodes and disks. */
#include "runner/import/qemu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/scalar.h"

enum { NODES_DEEP = 8 };

/* ---- what there is ---- */

void qemu_drive(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, NULL);

	if (import_is(qemu_opt(o, "if"), "pflash")) {
		qemu_flash(q, qemu_opt(o, "file"));
		json_decref(o);
		return;
	}
	(void)json_array_append_new(q->drives, o);
}

void qemu_simple_drive(struct qemu *q, const char *file, const char *media)
{
	(void)json_array_append_new(
		q->drives, json_pack("{s:s,s:s,s:s}", "file", file, "media", media, "if", "ide"));
}

/* The first is the code, the second the variables. */
void qemu_flash(struct qemu *q, const char *file)
{
	static const char *const keys[] = { "code", "vars" };

	if (file == NULL || q->flashes >= 2)
		import_lost(q->im, "-pflash",
			    "there is code, and there are variables, and no third");
	else
		import_text(import_map(q->m, "firmware"), keys[q->flashes++], file);
}

/* Nodes stand on each other: what the upper ones say holds. The caller owns the drive. */
static json_t *drive_of_node(struct qemu *q, const char *name)
{
	json_t *drive = json_object();
	const json_t *o = json_object_get(q->nodes, name);

	for (int i = 0; o != NULL && i < NODES_DEEP; i++) {
		static const char *const same[] = { "read-only", "cache.direct", "cache.no-flush",
						    "discard",   "aio",          "server",
						    "host",      "url" };
		const char *driver = qemu_opt(o, "driver"), *below = qemu_opt(o, "file");
		const char *file = qemu_opt(o, "filename");

		if (driver != NULL && !qemu_one_of(" file host_device host_cdrom ", driver) &&
		    json_object_get(drive, "format") == NULL)
			import_text(drive, "format", driver);
		for (size_t k = 0; k < sizeof(same) / sizeof(same[0]); k++)
			if (json_object_get(drive, same[k]) == NULL)
				import_text(drive, same[k], qemu_opt(o, same[k]));
		if (file == NULL)
			file = qemu_opt(o, "file.filename");
		if (json_object_get(drive, "aio") == NULL)
			import_text(drive, "aio", qemu_opt(o, "file.aio"));
		import_text(drive, "file", file);
		o = below != NULL ? json_object_get(q->nodes, below) : NULL;
	}
	return drive;
}

const char *qemu_node_file(struct qemu *q, const char *name)
{
	json_t *drive = drive_of_node(q, name);
	const char *file = qemu_opt(drive, "file");
	const char *copy = file != NULL ? arena_copy(&q->im->a, file, strlen(file)) : NULL;

	json_decref(drive);
	return copy;
}

/* ---- one disk ---- */

static void set_cache(json_t *disk, const json_t *o)
{
	const char *cache = qemu_opt(o, "cache");

	if (qemu_one_of(" none directsync ", cache) || qemu_is_on(o, "cache.direct"))
		(void)json_object_set_new(disk, "direct", json_true());
	if (qemu_one_of(" writethrough directsync ", cache))
		import_text(disk, "cache", "writethrough");
	else if (import_is(cache, "unsafe") || qemu_is_on(o, "cache.no-flush"))
		import_text(disk, "cache", "unsafe");
	if (import_is(qemu_opt(o, "aio"), "threads"))
		import_text(disk, "io", "threads");
	else if (qemu_opt(o, "aio") != NULL)
		import_text(disk, "io", "uring");
	if (qemu_one_of(" ignore off ", qemu_opt(o, "discard")))
		import_text(disk, "discard", "ignore");
}

static void set_number(json_t *to, const char *key, const char *text)
{
	uint64_t n;

	if (text != NULL && scalar_uint(text, &n) == SCALAR_OK && n > 0 && n <= INT64_MAX)
		(void)json_object_set_new(to, key, json_integer((json_int_t)n));
}

static void set_bytes(json_t *to, const char *key, const char *text)
{
	uint64_t n;

	if (text != NULL && scalar_uint(text, &n) == SCALAR_OK && n > 0)
		import_size(to, key, n);
}

static const char *either(const json_t *o, const char *a, const char *b)
{
	return qemu_opt(o, a) != NULL ? qemu_opt(o, a) : qemu_opt(o, b);
}

static void set_limit(json_t *disk, const json_t *o)
{
	json_t *limit = import_map(disk, "rate_limit");

	set_bytes(limit, "bandwidth", either(o, "throttling.bps-total", "bps"));
	set_bytes(limit, "bandwidth_burst", either(o, "throttling.bps-total-max", "bps_max"));
	set_number(limit, "ops", either(o, "throttling.iops-total", "iops"));
	set_number(limit, "ops_burst", either(o, "throttling.iops-total-max", "iops_max"));
	if (json_object_size(limit) == 0)
		(void)json_object_del(disk, "rate_limit");
}

static void set_error(json_t *disk, const json_t *drive, const json_t *dev)
{
	static const char *const words[][2] = { { "report", "report" },
						{ "stop", "stop" },
						{ "enospc", "enospc-stop" } };
	const char *theirs = either(drive, "werror", "rerror");

	if (theirs == NULL)
		theirs = either(dev, "werror", "rerror");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (import_is(words[i][0], theirs))
			import_text(disk, "on_error", words[i][1]);
}

/* A URL or a format of QEMU's own instead of a file. */
static bool is_remote(const char *file)
{
	static const char *const begins[] = { "nbd:", "nbd+", "http:",   "https:", "iscsi:",
					      "rbd:", "ssh:", "nfs:",    "json:",  "gluster",
					      "fat:", "ftp:", "sheepdog" };

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(file, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

static bool is_cd(const json_t *drive, const char *driver)
{
	return import_is(qemu_opt(drive, "media"), "cdrom") ||
	       qemu_one_of(" ide-cd scsi-cd ", driver);
}

/* What is not carried because Sill has only virtio disks. */
static void tell_kind(struct qemu *q, const json_t *drive, const char *driver, const char *file)
{
	const char *bus = driver != NULL ? driver : qemu_opt(drive, "if");

	if (is_cd(drive, driver))
		import_lost(
			q->im, file,
			"Sill has no CD-ROM drive: it becomes a disk that can only be read, from "
			"which Setup of Windows does not start");
	else if (bus == NULL || (strncmp(bus, "virtio", 6) != 0 && strcmp(bus, "scsi-block") != 0))
		import_note(q->im, file,
			    "the disk is a virtio one: the guest needs its driver (for Windows: "
			    "viostor)");
}

static const char drive_keys[] = " file if id index bus unit media format cache cache.direct "
				 "cache.no-flush cache.writeback aio discard readonly "
				 "read-only snapshot serial werror rerror detect-zeroes node-name "
				 "addr bps iops bps_max iops_max throttling.bps-total "
				 "throttling.bps-total-max throttling.iops-total "
				 "throttling.iops-total-max copy-on-read locking file.locking ";
static const char device_keys[] = " driver drive id serial bootindex bus addr num-queues "
				  "queue-size logical_block_size physical_block_size "
				  "disable-legacy disable-modern iothread write-cache share-rw "
				  "scsi config-wce werror rerror unit lun channel "
				  "scsi-id removable rotation_rate multifunction acpi-index "
				  "vectors product vendor device_id discard_granularity "
				  "ioeventfd model wwn ver ";

static void set_disk(struct qemu *q, json_t *disk, const json_t *drive, const json_t *dev)
{
	const char *format = qemu_opt(drive, "format");
	const char *id =
		either(dev, "id", "id") != NULL ? qemu_opt(dev, "id") : qemu_opt(drive, "id");

	if (format != NULL)
		import_text(disk, "format", strcmp(format, "vpc") == 0 ? "vhd" : format);
	else if (is_cd(drive, qemu_opt(dev, "driver")))
		import_text(disk, "format", "raw");
	if (qemu_is_on(drive, "readonly") || qemu_is_on(drive, "read-only") ||
	    is_cd(drive, qemu_opt(dev, "driver")))
		(void)json_object_set_new(disk, "readonly", json_true());
	if (qemu_is_on(drive, "snapshot") ||
	    (q->snapshot && json_object_get(disk, "readonly") == NULL))
		import_text(disk, "ephemeral", "ram");
	set_cache(disk, drive);
	set_limit(disk, drive);
	set_error(disk, drive, dev);
	import_text(disk, "serial",
		    qemu_opt(dev, "serial") != NULL ? qemu_opt(dev, "serial")
						    : qemu_opt(drive, "serial"));
	import_text(disk, "id", id);
	set_number(disk, "queues", qemu_opt(dev, "num-queues"));
	set_number(disk, "queue_size", qemu_opt(dev, "queue-size"));
	set_number(disk, "logical_sector_size", qemu_opt(dev, "logical_block_size"));
	set_number(disk, "physical_sector_size", qemu_opt(dev, "physical_block_size"));
	qemu_rest(q, drive, drive_keys, "-drive");
	qemu_rest(q, dev, device_keys, "-device");
}

static void add_disk(struct qemu *q, const json_t *drive, const json_t *dev)
{
	const char *file = qemu_opt(drive, "file");

	if (file != NULL && strncmp(file, "file:", 5) == 0)
		file += strncmp(file, "file:///", 8) == 0 ? 7 : 5;
	if (file == NULL || file[0] == '\0') {
		/* An empty CD-ROM drive has nothing to lose. */
		if (!is_cd(drive, qemu_opt(dev, "driver")))
			import_lost(q->im, "-drive", "it names no file of the host");
	} else if (is_remote(file) || qemu_one_of(" floppy sd mtd ", qemu_opt(drive, "if"))) {
		import_lost(q->im, file, "Sill has disks of files and block devices only");
	} else {
		json_t *disk = import_entry(q->m, "disk");

		import_text(disk, "path", file);
		tell_kind(q, drive, qemu_opt(dev, "driver"), file);
		set_disk(q, disk, drive, dev);
	}
}

void qemu_disk_device(struct qemu *q, const json_t *dev)
{
	const char *id = qemu_opt(dev, "drive");
	json_t *made;

	for (size_t i = 0; id != NULL && i < json_array_size(q->drives); i++) {
		json_t *drive = json_array_get(q->drives, i);

		if (!import_is(qemu_opt(drive, "id"), id))
			continue;
		add_disk(q, drive, dev);
		(void)json_object_set_new(drive, "if", json_string("none"));
		return;
	}
	if (id == NULL || json_object_get(q->nodes, id) == NULL) {
		if (!is_cd(NULL, qemu_opt(dev, "driver")))
			import_lost(q->im, id != NULL ? id : "-device",
				    "there is no drive of this id");
		return;
	}
	made = drive_of_node(q, id);
	add_disk(q, made, dev);
	json_decref(made);
}

void qemu_other_drives(struct qemu *q)
{
	json_t *none = json_object();

	for (size_t i = 0; i < json_array_size(q->drives); i++) {
		const json_t *drive = json_array_get(q->drives, i);

		if (!import_is(qemu_opt(drive, "if"), "none"))
			add_disk(q, drive, none);
	}
	json_decref(none);
}
