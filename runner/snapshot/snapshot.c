/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c - see snapshot.h: writing one. */
#include "runner/snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "runner/manifest/restate.h"
#include "runner/snapshot/disks.h"
#include "runner/snapshot/head.h"

const char *snapshot_path(const char *url, struct sill_err *e)
{
	static const char scheme[] = "file://";

	if (strncmp(url, scheme, sizeof(scheme) - 1) == 0 && url[sizeof(scheme) - 1] == '/')
		return url + sizeof(scheme) - 1;
	(void)sill_err_set(e, SILL_ERR_MANIFEST, "'%s' is no file:///PATH", url);
	return NULL;
}

/* ---- files of the directory ---- */

/* A descriptor with a lock, so that two do not write into it at once. -1 and @e. */
static int open_dir(const char *dir, struct sill_err *e)
{
	const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		(void)sill_err_sys(e, errno, "open the directory '%s'", dir);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	(void)sill_err_sys(e, errno, "'%s': another snapshot is being written there", dir);
	(void)close(fd);
	return -1;
}

static void beside(char ret[32], const char *name)
{
	(void)snprintf(ret, 32, ".%.20s.new", name);
}

/* A new file that is not there by its name yet. */
static int begin_file(int dir, const char *name, struct sill_err *e)
{
	char other[32];
	int fd;

	beside(other, name);
	fd = openat(dir, other, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		(void)sill_err_sys(e, errno, "make '%s'", name);
	return fd;
}

/* On the medium, and by its name. Closes @fd. */
static int end_file(int dir, const char *name, int fd, struct sill_err *e)
{
	char other[32];
	int err = fsync(fd) == 0 ? 0 : errno;

	beside(other, name);
	if (close(fd) < 0 && err == 0)
		err = errno;
	if (err == 0 && renameat(dir, other, dir, name) < 0)
		err = errno;
	return err == 0 ? 0 : sill_err_sys(e, err, "write '%s'", name);
}

static int write_file(int dir, const char *name, const void *p, size_t n, struct sill_err *e)
{
	const int fd = begin_file(dir, name, e);
	int err;

	if (fd < 0)
		return -1;
	err = sparse_put(fd, p, n, 0);
	if (err == 0)
		return end_file(dir, name, fd, e);
	(void)close(fd);
	return sill_err_sys(e, err, "write '%s'", name);
}

static int write_memory(int dir, const struct sill_ram_range *r, unsigned count,
			const struct sparse_told *told, struct sill_err *e)
{
	const int fd = begin_file(dir, HEAD_MEMORY, e);

	if (fd < 0)
		return -1;
	if (sparse_write(fd, 0, r, count, told, e) == 0)
		return end_file(dir, HEAD_MEMORY, fd, e);
	(void)close(fd);
	return -1;
}

static const char *const all_names[] = { HEAD_FILE, HEAD_MEMORY, HEAD_STATE, HEAD_CONFIG };

/* None of the names is taken: what has one of them later is ours, to be replaced and removed. */
static int check_free(int dir, const char *path, struct sill_err *e)
{
	if (faccessat(dir, HEAD_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' has a snapshot in it already", path);
	for (size_t i = 0; i < sizeof(all_names) / sizeof(all_names[0]); i++) {
		if (faccessat(dir, all_names[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "'%s' has a '%s' in it, which a snapshot would replace", path,
				   all_names[i]);
		return sill_err_hint(e, "name an empty directory, or remove that file");
	}
	return 0;
}

static void remove_all(int dir)
{
	for (size_t i = 0; i < sizeof(all_names) / sizeof(all_names[0]); i++) {
		char other[32];

		beside(other, all_names[i]);
		(void)unlinkat(dir, other, 0);
		(void)unlinkat(dir, all_names[i], 0);
	}
}

static int write_head(int dir, json_t *take_head, struct sill_err *e)
{
	char *text = take_head != NULL ? json_dumps(take_head, JSON_INDENT(2)) : NULL;
	int ret = text != NULL ? write_file(dir, HEAD_FILE, text, strlen(text), e)
			       : sill_err_sys(e, ENOMEM, "the head of the snapshot");

	free(text);
	json_decref(take_head);
	if (ret == 0 && fsync(dir) < 0)
		ret = sill_err_sys(e, errno, "write the snapshot's directory");
	return ret;
}

/* ---- what is written ---- */

/* What a start after its end would ask the guest to take, which may have been said since. */
static void set_plugged(struct sill_memory_config *m, const struct sill_memory_config *said)
{
	m->hotplugged_size = said->hotplugged_size;
	for (unsigned i = 0; i < m->zones_count && i < said->zones_count; i++)
		m->zones[i].hotplugged_size = said->zones[i].hotplugged_size;
}

/* As the VM was made and its devices are now. What came of vCPUs and memory since is in the state. */
static int value_of(struct sill_vm *vm, const struct sill_config *said, struct sill_config *ret,
		    struct sill_err *e)
{
	if (sill_vm_config_now(vm, ret, e) < 0)
		return -1;
	ret->cpus.boot = sill_vm_config(vm)->cpus.boot;
	ret->memory.size = sill_vm_config(vm)->memory.size;
	set_plugged(&ret->memory, said != NULL ? &said->memory : &sill_vm_config(vm)->memory);
	/* Name servers of the host are those of the host where it goes on. */
	for (unsigned i = 0; said != NULL && i < ret->net_count; i++)
		for (unsigned j = 0; j < said->net_count; j++)
			if (strcmp(ret->net[i].id, said->net[j].id) == 0 &&
			    said->net[j].dns_count == 1 && ret->net[i].dns_count > 0 &&
			    strcmp(said->net[j].dns[0], "host") == 0) {
				while (ret->net[i].dns_count > 1)
					free(ret->net[i].dns[--ret->net[i].dns_count]);
				free(ret->net[i].dns[0]);
				ret->net[i].dns[0] = strdup("host");
				if (ret->net[i].dns[0] == NULL)
					return sill_err_sys(e, ENOMEM, "the configuration");
			}
	for (unsigned i = 0; i < ret->memory.zones_count; i++)
		if (ret->memory.zones[i].file != NULL)
			return sill_err_set(e, SILL_ERR_STATE,
					    "memory zone %s is in a file, which others may change",
					    ret->memory.zones[i].id);
	for (unsigned i = 0; i < ret->disk_count; i++)
		if (sill_disk_ephemeral(&ret->disk[i]))
			return sill_err_set(e, SILL_ERR_STATE,
					    "%s: what is written to it is thrown away (ephemeral): "
					    "nothing can go on from there",
					    ret->disk[i].id);
	return 0;
}

static json_t *head_of(const struct sill_config *m, const struct sill_ram_range *r, unsigned count,
		       size_t state_size, struct sill_err *e)
{
	json_t *disks = disks_mark(m, e), *memory = json_array();

	if (disks == NULL) {
		json_decref(memory);
		return NULL;
	}
	for (unsigned i = 0; i < count; i++)
		(void)json_array_append_new(memory,
					    json_pack("{s:I,s:I}", "at", (json_int_t)r[i].gpa,
						      "size", (json_int_t)r[i].size));
	return json_pack("{s:i,s:s,s:I,s:o,s:o}", "format", SNAPSHOT_FORMAT, "sill", SILL_VERSION,
			 "state_size", (json_int_t)state_size, "memory", memory, "disks", disks);
}

struct parts {
	struct sill_config config; /* owned */
	char *text;                /* owned: the configuration as text */
	void *state;               /* owned */
	size_t state_size;
};

static int write_parts(struct sill_vm *vm, const struct parts *p, int dir,
		       const struct sparse_told *told, struct sill_err *e)
{
	struct sill_ram_range r[SNAPSHOT_RANGES];
	const unsigned count = sill_vm_ram_ranges(vm, r, SNAPSHOT_RANGES);

	if (count > SNAPSHOT_RANGES)
		return sill_err_set(e, SILL_ERR_LIMIT, "the memory has too many pieces");
	if (write_file(dir, HEAD_CONFIG, p->text, strlen(p->text), e) < 0 ||
	    write_file(dir, HEAD_STATE, p->state, p->state_size, e) < 0 ||
	    write_memory(dir, r, count, told, e) < 0)
		return -1;
	return write_head(dir, head_of(&p->config, r, count, p->state_size, e), e);
}

static int write_frozen(struct sill_vm *vm, const struct sill_config *said, int dir,
			const struct snapshot_told *told, struct sill_err *e)
{
	struct parts p = { 0 };
	int ret = -1;

	if (sill_vm_freeze(vm, SILL_PICTURE_STATE, &p.state, &p.state_size, e) < 0)
		return -1;
	if (value_of(vm, said, &p.config, e) == 0)
		p.text = manifest_restate(&p.config);
	if (p.text == NULL)
		(void)sill_err_sys(e, ENOMEM, "the configuration"); /* the first error counts */
	else
		ret = write_parts(vm, &p, dir, &told->memory, e);
	if (ret == 0)
		told->written(told->ctx);
	sill_vm_thaw(vm);
	free(p.text);
	free(p.state);
	sill_config_free(&p.config);
	return ret;
}

int snapshot_write(struct sill_vm *vm, const struct sill_config *said, const char *dir,
		   const struct snapshot_told *told, struct sill_err *e)
{
	const int fd = open_dir(dir, e);
	int ret;

	if (fd < 0)
		return -1;
	if (check_free(fd, dir, e) < 0) {
		(void)close(fd);
		return -1;
	}
	ret = write_frozen(vm, said, fd, told, e);
	if (ret < 0) {
		remove_all(fd);
		sill_err_wrap(e, "'%s'", dir);
	}
	(void)close(fd);
	return ret;
}

int snapshot_renew(const char *dir, const struct sill_config *m, struct sill_err *e)
{
	const int fd = open_dir(dir, e);
	json_t *head = fd >= 0 ? head_read(fd, e) : NULL;
	json_t *disks = head != NULL ? disks_mark(m, e) : NULL;
	int ret = -1;

	if (disks != NULL && json_object_set_new(head, "disks", disks) == 0)
		ret = write_head(fd, json_incref(head), e);
	json_decref(head);
	if (fd >= 0)
		(void)close(fd);
	return ret;
}
