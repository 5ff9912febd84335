/* SPDX-License-Identifier: Apache-2.0 */
/* disk_rules.c - what the keys of a disk ask of each other. */
#include <inttypes.h>
#include <string.h>

#include "runner/manifest/check.h"
#include "runner/report/text.h"
#include "sill/config.h"

bool disk_is_written(const struct check *c, const struct sill_disk_config *d)
{
	const struct node *readonly = place_at(c, &d->readonly);
	const struct node *ephemeral = place_at(c, &d->ephemeral);

	/* From a mistake nothing is concluded. */
	if ((readonly != NULL && !readonly->ok) || (ephemeral != NULL && !ephemeral->ok))
		return false;
	return !d->readonly && !sill_disk_ephemeral(d);
}

/* A key that only a qcow2 image can have a use for: a @what. @format: of that image, if it is right. */
static void check_qcow2_only(struct check *c, const struct node *n, const struct node *format,
			     const char *what)
{
	if (n != NULL && format != NULL && strcmp(format->text, "qcow2") != 0)
		diag_other(check_fail_key(c, n, "a %s image has no %s", format->text, what),
			   format->at, "the format");
}

/* `auto` is a word about all images: it stands alone. */
static void check_backing(struct check *c, const struct sill_disk_config *d)
{
	const struct node *list = place_ok(c, &d->backing), *format = place_ok(c, &d->format);

	check_qcow2_only(c, place_at(c, &d->backing), format, "backing file");
	check_qcow2_only(c, place_at(c, &d->data_file), format, "data file");
	for (unsigned i = 0; list != NULL && i < d->backing_count; i++) {
		const struct sill_backing *b = &d->backing[i];

		check_qcow2_only(c, place_at(c, &b->data_file), place_ok(c, &b->format),
				 "data file");
		if (b->path == NULL || strcmp(b->path, "auto") != 0)
			continue;
		if (d->backing_count > 1 || place_map(c, b)->count > 1)
			diag_hint(check_fail(c, place_ok(c, &b->path), "'auto' stands alone"),
				  "write 'backing: auto'; a file of that name is './auto'");
	}
}

static void check_ephemeral(struct check *c, const struct sill_disk_config *d)
{
	const struct node *n = place_ok(c, &d->ephemeral), *format = place_ok(c, &d->format);
	const struct node *limit = place_at(c, &d->ephemeral_limit);
	char buf[TEXT_SHORT];
	struct diag *g;

	if (n != NULL && !sill_disk_ephemeral(d) && limit != NULL && !limit->implied)
		diag_hint(check_fail_key(c, limit, "means something only with ephemeral"),
			  "add 'ephemeral: on', or remove it");
	if (!sill_disk_ephemeral(d))
		return;
	/* `no` is not to be taken for a file's name: what the guest writes would be gone. */
	if (!key_is_word(n->row, n->text) && strchr(n->text, '/') == NULL)
		diag_hint(check_fail(c, n, "neither on, off nor ram, and not a path with a '/'"),
			  "write on or off; a file or directory here is './%s'",
			  text_clean(buf, sizeof(buf), n->text, n->len));
	if (d->readonly) {
		g = check_fail_key(c, n, "on a disk that the guest cannot write to");
		diag_other(g, place_ok(c, &d->readonly)->at, "readonly");
		diag_hint(g, "remove one of them");
	}
	if (format != NULL && d->format != SILL_DISK_RAW && d->format != SILL_DISK_QCOW2) {
		g = check_fail_key(c, n, "a throw-away layer cannot lie on a %s image",
				   format->text);
		diag_other(g, format->at, "the format");
		diag_hint(g, "convert the image to qcow2, or copy it");
	}
}

static void check_sizes(struct check *c, const struct sill_disk_config *d)
{
	const struct node *queue = place_ok(c, &d->queue_size), *format = place_ok(c, &d->format);
	const struct node *logical = place_ok(c, &d->logical_sector_size);
	const struct node *physical = place_ok(c, &d->physical_sector_size);

	if (queue != NULL && !is_power_of_two(d->queue_size))
		diag_hint(check_fail(c, queue, "%u is not a power of two", d->queue_size),
			  "128, 256, 512 ...");
	if (logical != NULL && d->logical_sector_size != 512 && d->logical_sector_size != 4096) {
		diag_hint(check_fail(c, logical, "sectors have 512 or 4096 bytes, not %u",
				     d->logical_sector_size),
			  "leave the key out: 512 is what nearly all disks have");
		return;
	}
	if (logical != NULL && format != NULL && d->format == SILL_DISK_VHDX)
		diag_hint(
			check_fail_key(c, logical, "a vhdx image says itself what its sectors are"),
			"remove it");
	if (physical != NULL && !is_power_of_two(d->physical_sector_size))
		diag_hint(check_fail(c, physical, "%u is not a power of two",
				     d->physical_sector_size),
			  "512 or 4096");
	else if (physical != NULL && logical != NULL &&
		 d->physical_sector_size < d->logical_sector_size)
		diag_other(check_fail(c, physical, "%u: smaller than the logical sectors",
				      d->physical_sector_size),
			   logical->at, "those");
}

void check_disk_rules(struct check *c, const struct sill_config *v)
{
	const struct sill_rate_limit *limits[SILL_MAX_DISKS];

	for (unsigned i = 0; i < v->disk_count; i++) {
		const struct sill_disk_config *d = &v->disk[i];

		check_backing(c, d);
		check_ephemeral(c, d);
		check_sizes(c, d);
		check_host_cpus(c, &d->affinity, d->affinity_count);
		if (i < SILL_MAX_DISKS)
			limits[i] = &d->rate_limit;
	}
	check_rates(c, limits, v->disk_count < SILL_MAX_DISKS ? v->disk_count : SILL_MAX_DISKS,
		    "disks");
}
