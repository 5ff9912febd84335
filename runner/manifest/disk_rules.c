/* SPDX-License-Identifier: Apache-2.0 */
/* disk_rules.c - what the keys of a disk ask of each other. */
#include <inttypes.h>
#include <string.h>

#include "runner/manifest/check.h"
#include "runner/report/text.h"
#include "sill/config.h"

/* Written, and not a default. */
static const struct node *written(const struct node *map, const char *key)
{
	const struct node *n = node_find(map, key);

	return n != NULL && !n->implied ? n : NULL;
}

bool disk_is_ephemeral(const struct node *disk)
{
	const struct node *n = node_ok(disk, "ephemeral");

	return n != NULL && strcmp(n->text, "off") != 0 && strcmp(n->text, "false") != 0;
}

bool disk_is_written(const struct node *disk)
{
	const struct node *readonly = node_find(disk, "readonly");
	const struct node *ephemeral = node_find(disk, "ephemeral");

	/* From a mistake nothing is concluded. */
	if ((readonly != NULL && !readonly->ok) || (ephemeral != NULL && !ephemeral->ok))
		return false;
	return (readonly == NULL || readonly->num == 0) && !disk_is_ephemeral(disk);
}

/* Keys that only a qcow2 image can have a use for. */
static void check_qcow2_only(struct check *c, const struct node *map, const char *key)
{
	const struct node *n = node_find(map, key), *format = node_ok(map, "format");

	if (n != NULL && format != NULL && strcmp(format->text, "qcow2") != 0)
		diag_other(
			check_fail_key(c, n, "a %s image has no %s", format->text,
				       strcmp(key, "backing") == 0 ? "backing file" : "data file"),
			format->at, "the format");
}

/* `auto` is a word about all images: it stands alone. */
static void check_backing(struct check *c, const struct node *disk)
{
	const struct node *list = node_ok(disk, "backing");

	check_qcow2_only(c, disk, "backing");
	check_qcow2_only(c, disk, "data_file");
	for (size_t i = 0; list != NULL && i < list->count; i++) {
		const struct node *path = node_ok(list->items[i], "path");

		check_qcow2_only(c, list->items[i], "data_file");
		if (path == NULL || strcmp(path->text, "auto") != 0)
			continue;
		if (list->count > 1 || list->items[0]->count > 1)
			diag_hint(check_fail(c, path, "'auto' stands alone"),
				  "write 'backing: auto'; a file of that name is './auto'");
	}
}

static void check_ephemeral(struct check *c, const struct node *disk)
{
	const struct node *n = node_ok(disk, "ephemeral"), *format = node_ok(disk, "format");
	const struct node *readonly = node_ok(disk, "readonly");
	const struct node *limit = written(disk, "ephemeral_limit");
	char buf[TEXT_SHORT];
	struct diag *g;

	if (n != NULL && !disk_is_ephemeral(disk) && limit != NULL)
		diag_hint(check_fail_key(c, limit, "means something only with ephemeral"),
			  "add 'ephemeral: on', or remove it");
	if (!disk_is_ephemeral(disk))
		return;
	/* `no` is not to be taken for a file's name: what the guest writes would be gone. */
	if (!key_is_word(n->row, n->text) && strchr(n->text, '/') == NULL)
		diag_hint(check_fail(c, n, "neither on, off nor ram, and not a path with a '/'"),
			  "write on or off; a file or directory here is './%s'",
			  text_clean(buf, sizeof(buf), n->text, n->len));
	if (readonly != NULL && readonly->num != 0) {
		g = check_fail_key(c, n, "on a disk that the guest cannot write to");
		diag_other(g, readonly->at, "readonly");
		diag_hint(g, "remove one of them");
	}
	if (format != NULL && format->num != SILL_DISK_RAW && format->num != SILL_DISK_QCOW2) {
		g = check_fail_key(c, n, "a throw-away layer cannot lie on a %s image",
				   format->text);
		diag_other(g, format->at, "the format");
		diag_hint(g, "convert the image to qcow2, or copy it");
	}
}

static bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static void check_sizes(struct check *c, const struct node *disk)
{
	const struct node *queue = node_ok(disk, "queue_size"), *format = node_ok(disk, "format");
	const struct node *logical = node_ok(disk, "logical_sector_size");
	const struct node *physical = node_ok(disk, "physical_sector_size");

	if (queue != NULL && !is_power_of_two(queue->num))
		diag_hint(check_fail(c, queue, "%" PRIu64 " is not a power of two", queue->num),
			  "128, 256, 512 ...");
	if (logical != NULL && logical->num != 512 && logical->num != 4096) {
		diag_hint(check_fail(c, logical, "sectors have 512 or 4096 bytes, not %" PRIu64,
				     logical->num),
			  "leave the key out: 512 is what nearly all disks have");
		return;
	}
	if (logical != NULL && format != NULL && format->num == SILL_DISK_VHDX)
		diag_hint(
			check_fail_key(c, logical, "a vhdx image says itself what its sectors are"),
			"remove it");
	if (physical != NULL && !is_power_of_two(physical->num))
		diag_hint(
			check_fail(c, physical, "%" PRIu64 " is not a power of two", physical->num),
			"512 or 4096");
	else if (physical != NULL && logical != NULL && physical->num < logical->num)
		diag_other(check_fail(c, physical, "%" PRIu64 ": smaller than the logical sectors",
				      physical->num),
			   logical->at, "those");
}

static const char *const limits[] = { "bandwidth", "ops", "bandwidth_burst", "ops_burst" };
enum { LIMITS = sizeof(limits) / sizeof(limits[0]) };

/* The limit that the disks of @group share, said by a disk before @end; NULL: by none. */
static const struct node *group_limit(const struct node *list, const char *group, size_t end)
{
	for (size_t i = 0; i < end && i < list->count; i++) {
		const struct node *rate = node_find(list->items[i], "rate_limit");
		const struct node *name = node_find(rate, "group");

		/* A key that is written wrong may stand for this group. */
		if (rate != NULL && !rate->ok && rate->count == 0)
			return rate;
		if (name != NULL && (!name->ok || strcmp(name->text, group) == 0) &&
		    (node_find(rate, "bandwidth") != NULL || node_find(rate, "ops") != NULL))
			return rate;
	}
	return NULL;
}

/* Two disks of a group that both say what the limit is, say the same. */
static void check_group(struct check *c, const struct node *rate, const struct node *other)
{
	struct diag *g;

	for (unsigned i = 0; i < LIMITS; i++) {
		const struct node *a = node_ok(rate, limits[i]), *b = node_ok(other, limits[i]);

		if ((a == NULL) == (b == NULL) && (a == NULL || a->num == b->num))
			continue;
		g = check_fail_key(c, a != NULL ? a : rate,
				   "the disks of a group have one limit, and another is given "
				   "elsewhere");
		diag_other(g, other->key_at, "there");
		diag_hint(g, "let one disk state the limit, and the others only name the group");
		return;
	}
}

static void check_rate(struct check *c, const struct node *list, size_t i)
{
	const struct node *rate = node_ok(list->items[i], "rate_limit"),
			  *group = node_ok(rate, "group");
	const bool any = node_find(rate, "bandwidth") != NULL || node_find(rate, "ops") != NULL;
	const struct node *shared = group != NULL ? group_limit(list, group->text, i) : NULL;

	if (rate == NULL)
		return;
	for (unsigned k = 0; k < 2; k++) {
		const struct node *burst = node_find(rate, limits[k + 2]);

		if (burst != NULL && node_find(rate, limits[k]) == NULL)
			diag_hint(check_fail_key(c, burst, "a burst without a limit"),
				  "add '%s: ...'", limits[k]);
	}
	if (any && shared != NULL && rate->ok && shared->ok)
		check_group(c, rate, shared);
	if (!any && rate->ok &&
	    (group == NULL || group_limit(list, group->text, list->count) == NULL))
		diag_hint(check_fail_key(c, rate, "limits nothing: neither bandwidth nor ops"),
			  group != NULL ? "one disk of the group states the limit"
					: "for example {bandwidth: 200M}");
}

void check_disk_rules(struct check *c, const struct node *root)
{
	const struct node *list = node_at(root, "disk");

	for (size_t i = 0; list != NULL && list->type == NODE_LIST && i < list->count; i++) {
		const struct node *disk = list->items[i];

		if (disk->type != NODE_MAP)
			continue;
		check_backing(c, disk);
		check_ephemeral(c, disk);
		check_sizes(c, disk);
		check_host_cpus(c, node_ok(disk, "affinity"));
		check_rate(c, list, i);
	}
}
