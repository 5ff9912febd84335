/* SPDX-License-Identifier: Apache-2.0 */
/* body.c - see body.h. */
#include "runner/api/body.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/report/json.h"
#include "sill/image.h"

static struct host_facts facts; /* the manifests borrow it */

static void ask_host(void)
{
	host_facts_get(&facts, -1);
	facts.has_room = false; /* the start finds that out */
}

static const struct host_facts *host_facts(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, ask_host);
	return &facts;
}

/* A sentence for each mistake. */
static void fail_diags(struct api_call *c, const struct diags *d)
{
	json_t *list = json_array();
	char text[1024];

	(void)json_array_append_new(list, json_string("The VM's configuration is not valid"));
	for (size_t i = 0; i < d->count; i++) {
		const struct diag *g = &d->list[i];

		(void)snprintf(text, sizeof(text), "%s%s%s%s%s", g->path,
			       g->path[0] != '\0' ? ": " : "", g->msg,
			       g->hint[0] != '\0' ? "; " : "", g->hint);
		(void)json_array_append_new(list, json_text(text));
	}
	api_json(c, list);
	c->status = 400;
}

/* Takes @mf, NULL when there was no memory. */
static struct mfile *take(struct api_call *c, struct mfile *mf)
{
	if (mf == NULL) {
		api_fail(c, 503, "no memory for the VM's configuration");
		return NULL;
	}
	if (mf->diags.total == 0 && mf->count == 1)
		return mf;
	fail_diags(c, &mf->diags);
	mfile_destroy(mf);
	return NULL;
}

struct mfile *body_check(struct api_call *c, const json_t *manifest, bool host)
{
	char *text = json_dumps(manifest, JSON_COMPACT);
	struct mfile *mf;

	if (text == NULL)
		return take(c, NULL);
	mf = mfile_load_text("vm.json", text, strlen(text), host ? host_facts() : NULL);
	free(text);
	return take(c, mf);
}

struct mfile *body_check_text(struct api_call *c, const char *text, size_t size)
{
	return take(c, mfile_load_text("config.json", text, size, host_facts()));
}

/* Raw, where the file cannot be looked at: who opens it says why. */
static const char *format_of(const char *path)
{
	static const char *const names[] = {
#define FORMAT(NAME, name) [SILL_DISK_##NAME] = #name,
#include "sill/formats.def"
#undef FORMAT
	};
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	enum sill_disk_format format = SILL_DISK_RAW;
	struct sill_err unused = { 0 };

	if (fd >= 0) {
		if (sill_image_tell(fd, &format, &unused) < 0)
			format = SILL_DISK_RAW;
		(void)close(fd);
	}
	return names[format];
}

void body_find_formats(json_t *disks)
{
	for (size_t i = 0; i < json_array_size(disks); i++) {
		json_t *disk = json_array_get(disks, i);
		const char *path = json_string_value(json_object_get(disk, "path"));

		if (path != NULL && json_object_get(disk, "format") == NULL)
			(void)json_object_set_new(disk, "format", json_string(format_of(path)));
	}
}

void body_fit_nested(json_t *manifest)
{
	if (host_facts()->nested == HOST_NO)
		(void)json_object_del(json_object_get(manifest, "cpus"), "nested");
}

void body_fail(struct api_call *c, const char *what, const struct vmconfig_err *e)
{
	api_fail_err(c, what, &e->err);
	c->status = e->lacks ? 501 : 400;
}
