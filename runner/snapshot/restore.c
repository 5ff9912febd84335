/* SPDX-License-Identifier: Apache-2.0 */
/* restore.c - see snapshot.h: reading one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/snapshot/disks.h"
#include "runner/snapshot/head.h"
#include "runner/snapshot/snapshot.h"

enum {
	HEAD_MAX = 1 << 20,
	CONFIG_MAX = 4 << 20,
	STATE_MAX = 64 << 20, /* the engine writes no more */
};

/* Of the memory's file. */
struct range {
	uint64_t gpa, size;
	off_t at;
	bool done;
};

struct snapshot {
	int dir, memory; /* owned; -1: none */
	json_t *head;    /* owned */
	char *config;    /* owned */
	size_t config_size;
	struct range range[SNAPSHOT_RANGES];
	unsigned range_count;
};

/* ---- files ---- */

static int open_regular(int dir, const char *name, uint64_t *ret_size, struct sill_err *e)
{
	/* Not a FIFO, which would have us wait, nor a link to somewhere else. */
	const int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		(void)sill_err_sys(e, errno, "'%s'", name);
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*ret_size = (uint64_t)st.st_size;
		return fd;
	}
	(void)sill_err_set(e, SILL_ERR_STATE, "'%s' is not a file", name);
	(void)close(fd);
	return -1;
}

char *head_read_file(int dir, const char *name, size_t max, size_t *ret_size, struct sill_err *e)
{
	uint64_t size;
	const int fd = open_regular(dir, name, &size, e);
	char *text = NULL;
	ssize_t n = 0;
	size_t at = 0;

	if (fd < 0)
		return NULL;
	if (size > max)
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' is too large", name);
	else if ((text = malloc((size_t)size + 1)) == NULL)
		(void)sill_err_sys(e, ENOMEM, "'%s'", name);
	while (text != NULL && at < size && (n = read(fd, text + at, (size_t)size - at)) > 0)
		at += (size_t)n;
	(void)close(fd);
	if (text == NULL)
		return NULL;
	if (at < size) {
		(void)sill_err_sys(e, n < 0 ? errno : EIO, "read '%s'", name);
		free(text);
		return NULL;
	}
	text[at] = '\0';
	*ret_size = at;
	return text;
}

json_t *head_read(int dir, struct sill_err *e)
{
	size_t size;
	char *text = head_read_file(dir, HEAD_FILE, HEAD_MAX, &size, e);
	json_t *head = text != NULL ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const json_t *format = json_object_get(head, "format");

	if (text != NULL && !json_is_integer(format))
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' is damaged", HEAD_FILE);
	else if (text != NULL && json_integer_value(format) != SNAPSHOT_FORMAT)
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "the snapshot has format %lld; this Sill reads format %d",
				   (long long)json_integer_value(format), SNAPSHOT_FORMAT);
	free(text);
	if (json_integer_value(format) == SNAPSHOT_FORMAT)
		return head;
	json_decref(head);
	return NULL;
}

/* ---- the head ---- */

static int read_range(const json_t *o, struct range *ret, uint64_t *total)
{
	const json_t *at = json_object_get(o, "at"), *size = json_object_get(o, "size");

	if (!json_is_integer(at) || !json_is_integer(size) || json_integer_value(at) < 0 ||
	    json_integer_value(size) <= 0)
		return -1;
	*ret = (struct range){ .gpa = (uint64_t)json_integer_value(at),
			       .size = (uint64_t)json_integer_value(size),
			       .at = (off_t)*total };
	/* Each is less than 2^63, and so is what comes of two of them as unsigned. */
	*total += ret->size;
	return *total > INT64_MAX ? -1 : 0;
}

static int read_ranges(struct snapshot *s, uint64_t memory_size, struct sill_err *e)
{
	const json_t *list = json_object_get(s->head, "memory");
	uint64_t total = 0;

	if (json_array_size(list) == 0 || json_array_size(list) > SNAPSHOT_RANGES)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is damaged", HEAD_FILE);
	for (size_t i = 0; i < json_array_size(list); i++)
		if (read_range(json_array_get(list, i), &s->range[s->range_count++], &total) < 0)
			return sill_err_set(e, SILL_ERR_STATE, "'%s' is damaged", HEAD_FILE);
	if (total == memory_size)
		return 0;
	return sill_err_set(e, SILL_ERR_STATE, "the memory has %llu bytes, and its file has %llu",
			    (unsigned long long)total, (unsigned long long)memory_size);
}

static int open_all(struct snapshot *s, const char *dir, struct sill_err *e)
{
	uint64_t memory_size = 0;

	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return sill_err_sys(e, errno, "open the directory");
	s->head = head_read(s->dir, e);
	if (s->head == NULL)
		return -1;
	s->config = head_read_file(s->dir, HEAD_CONFIG, CONFIG_MAX, &s->config_size, e);
	if (s->config == NULL)
		return -1;
	s->memory = open_regular(s->dir, HEAD_MEMORY, &memory_size, e);
	return s->memory < 0 ? -1 : read_ranges(s, memory_size, e);
}

struct snapshot *snapshot_open(const char *dir, struct sill_err *e)
{
	struct snapshot *s = malloc(sizeof(*s));

	if (s == NULL) {
		(void)sill_err_sys(e, ENOMEM, "the snapshot '%s'", dir);
		return NULL;
	}
	*s = (struct snapshot){ .dir = -1, .memory = -1 };
	if (open_all(s, dir, e) == 0)
		return s;
	sill_err_wrap(e, "the snapshot '%s'", dir);
	snapshot_close(s);
	return NULL;
}

void snapshot_close(struct snapshot *s)
{
	if (s == NULL)
		return;
	if (s->memory >= 0)
		(void)close(s->memory);
	if (s->dir >= 0)
		(void)close(s->dir);
	json_decref(s->head);
	free(s->config);
	free(s);
}

const char *snapshot_config(const struct snapshot *s, size_t *ret_size)
{
	*ret_size = s->config_size;
	return s->config;
}

int snapshot_check_disks(const struct snapshot *s, const struct sill_config *m, struct sill_err *e)
{
	return disks_check(json_object_get(s->head, "disks"), m, e);
}

/* ---- into a VM ---- */

/* Those that the VM has by now, and that are not filled yet. */
static int fill(struct snapshot *s, struct sill_vm *vm, struct sill_err *e)
{
	struct sill_ram_range has[SNAPSHOT_RANGES];
	const unsigned count = sill_vm_ram_ranges(vm, has, SNAPSHOT_RANGES);

	for (unsigned i = 0; i < count && i < SNAPSHOT_RANGES; i++) {
		for (unsigned j = 0; j < s->range_count; j++) {
			struct range *r = &s->range[j];

			if (r->done || r->gpa != has[i].gpa || r->size != has[i].size)
				continue;
			if (sparse_read(s->memory, r->at, &has[i], e) < 0)
				return -1;
			r->done = true;
		}
	}
	return 0;
}

static int check_filled(const struct snapshot *s, struct sill_vm *vm, struct sill_err *e)
{
	struct sill_ram_range has[SNAPSHOT_RANGES];
	bool all = sill_vm_ram_ranges(vm, has, SNAPSHOT_RANGES) == s->range_count;

	for (unsigned i = 0; i < s->range_count; i++)
		all &= s->range[i].done;
	return all ? 0
		   : sill_err_set(e, SILL_ERR_STATE,
				  "the snapshot's memory is not that of its configuration");
}

/* What the guest has seen of random numbers and names is no longer its alone. */
static int renew(struct sill_vm *vm, struct sill_err *e)
{
	const char *said = sill_vm_config(vm)->platform.vmgenid;
	uint8_t id[16];

	if (said == NULL || strcmp(said, "off") == 0)
		return 0;
	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return sill_err_sys(e, errno, "make a generation id");
	return sill_vm_new_generation(vm, id, e);
}

int snapshot_load(struct snapshot *s, struct sill_vm *vm, struct sill_err *e)
{
	size_t size = 0;
	char *state = head_read_file(s->dir, HEAD_STATE, STATE_MAX, &size, e);
	int ret = -1;

	/* First what was there at the start: some of the state is written into it. */
	if (state != NULL && fill(s, vm, e) == 0 && sill_vm_load(vm, state, size, e) == 0 &&
	    fill(s, vm, e) == 0 && check_filled(s, vm, e) == 0)
		ret = renew(vm, e);
	free(state);
	if (ret < 0)
		sill_err_wrap(e, "the snapshot");
	return ret;
}
