/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - the open files of a VM, by role, id and layer: see sill/files.h. */
#include "sill/files.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

struct sill_file_entry {
	struct sill_file file; /* its id is below, set on the way out: entries move */
	char id[SILL_FILE_ID_MAX + 1];
};

void sill_files_init(struct sill_files *f)
{
	*f = (struct sill_files){ 0 };
}

static struct sill_file_entry *find(const struct sill_files *f, enum sill_file_role role,
				    const char *id, unsigned layer)
{
	for (size_t i = 0; i < f->count; i++) {
		struct sill_file_entry *n = &f->entry[i];

		if (n->file.role == role && n->file.layer == layer &&
		    strcmp(n->id, id != NULL ? id : "") == 0)
			return n;
	}
	return NULL;
}

static int make_room(struct sill_files *f, struct sill_err *e)
{
	const size_t room = f->room == 0 ? 16 : 2 * f->room;
	struct sill_file_entry *more;

	if (f->count < f->room)
		return 0;
	more = realloc(f->entry, room * sizeof(*more));
	if (more == NULL)
		return sill_err_sys(e, ENOMEM, "open files");
	f->entry = more;
	f->room = room;
	return 0;
}

int sill_files_add(struct sill_files *f, const struct sill_file *file, struct sill_err *e)
{
	const char *id = file->id != NULL ? file->id : "";
	const size_t len = strlen(id);
	struct sill_file_entry *n;
	int fd = file->fd;

	assert(fd >= 0 || file->role == SILL_FILE_DIAL);
	if (len > SILL_FILE_ID_MAX || find(f, file->role, id, file->layer) != NULL) {
		fd_close(&fd);
		return sill_err_set(e, SILL_ERR_INTERNAL, "file %d of '%.64s', layer %u: %s",
				    (int)file->role, id, file->layer,
				    len > SILL_FILE_ID_MAX ? "a long name" : "there already");
	}
	if (make_room(f, e) < 0) {
		fd_close(&fd);
		return -1;
	}
	n = &f->entry[f->count++];
	n->file = *file;
	memcpy(n->id, id, len + 1);
	return 0;
}

const struct sill_file *sill_files_find(const struct sill_files *f, enum sill_file_role role,
					const char *id, unsigned layer)
{
	struct sill_file_entry *n = find(f, role, id, layer);

	if (n == NULL)
		return NULL;
	n->file.id = n->id;
	return &n->file;
}

int sill_files_take(struct sill_files *f, enum sill_file_role role, const char *id, unsigned layer)
{
	struct sill_file_entry *n = find(f, role, id, layer);
	int fd;

	if (n == NULL)
		return -1;
	fd = n->file.fd;
	*n = f->entry[--f->count];
	return fd;
}

void sill_files_close(struct sill_files *f)
{
	if (f->begun != NULL)
		f->give_up(f->begun);
	for (size_t i = 0; i < f->count; i++)
		fd_close(&f->entry[i].file.fd);
	free(f->entry);
	sill_files_init(f);
}
