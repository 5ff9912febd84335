/* SPDX-License-Identifier: Apache-2.0 */
/* hardware.c - a machine that is made to be looked at. */
#include "runner/plan/hardware.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/doctor.h"
#include "runner/host/facts.h"
#include "runner/host/files.h"
#include "runner/report/json.h"
#include "runner/report/text.h"
#include "sill/hardware.h"
#include "sill/vm.h"

enum { STAND_IN = 1 << 20 /* bytes of a disk */ };

/* --- a manifest of stand-ins --- */

static void clear(char **s)
{
	free(*s);
	*s = NULL;
}

static void clear_list(char ***list, unsigned *count)
{
	for (unsigned i = 0; i < *count; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
	*count = 0;
}

/* "DIR/NAME", in the place of @s. */
static int lead_to(char **s, const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -1;
	free(*s);
	*s = path;
	return 0;
}

static int disk_stand_in(struct sill_disk_config *d, const char *dir)
{
	int fd, done = -1;

	for (unsigned i = 0; i < d->backing_count; i++) {
		free(d->backing[i].path);
		free(d->backing[i].data_file);
	}
	free(d->backing);
	d->backing = NULL;
	d->backing_count = 0;
	clear(&d->data_file);
	clear(&d->ephemeral);
	clear(&d->rate_limit.group);
	d->format = SILL_DISK_RAW;
	d->direct = d->format_check = false;
	d->affinity_count = 0;
	if (lead_to(&d->path, dir, d->id) < 0)
		return -1;
	fd = open(d->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		done = ftruncate(fd, STAND_IN);
	if (fd >= 0)
		(void)close(fd);
	return done;
}

static void net_stand_in(struct sill_net_config *n)
{
	clear(&n->tap);
	clear(&n->bridge);
	clear(&n->macvtap);
	clear(&n->address);
	clear(&n->ipv6);
	clear(&n->rx_limit.group);
	clear(&n->tx_limit.group);
	clear_list(&n->dns, &n->dns_count);
	clear_list(&n->forward, &n->forward_count);
	n->fd_count = n->affinity_count = 0;
	n->user = n->nat = n->isolate = false;
	n->none = true;
	n->dhcp = n->nat6 = SILL_DHCP_OFF;
	n->antispoof = SILL_ANTISPOOF_OFF;
	n->vhost = SILL_VHOST_OFF;
}

static void port_stand_in(struct sill_char_config *p)
{
	if (p->mode == SILL_CHAR_OFF)
		return;
	clear(&p->path);
	clear(&p->log);
	clear(&p->listen);
	clear(&p->connect);
	p->mode = SILL_CHAR_NULL;
}

static void memory_stand_in(struct sill_memory_config *m)
{
	m->shared = m->hugepages = m->prefault = m->mergeable = m->reserve = false;
	for (unsigned i = 0; i < m->zones_count; i++) {
		struct sill_memory_zone *z = &m->zones[i];

		z->shared = z->hugepages = z->prefault = z->mergeable = z->reserve = false;
		z->host_numa_node_count = 0;
		clear(&z->file);
	}
}

/* What the machine would use of the host is in @dir. -1 and errno. */
static int stand_ins(struct sill_config *c, const char *dir)
{
	memory_stand_in(&c->memory);
	c->cpus.affinity_count = 0;
	for (unsigned i = 0; i < c->disk_count; i++)
		if (disk_stand_in(&c->disk[i], dir) < 0)
			return -1;
	for (unsigned i = 0; i < c->net_count; i++)
		net_stand_in(&c->net[i]);
	port_stand_in(&c->serial);
	port_stand_in(&c->serial2);
	port_stand_in(&c->debug_console);
	port_stand_in(&c->console);
	c->debug.kd = SILL_KD_OFF;
	clear(&c->debug.gdb);
	clear(&c->debug.key);
	clear(&c->debug.card);
	clear(&c->api.socket);
	if (c->firmware.vars != NULL && lead_to(&c->firmware.vars, dir, "vars") < 0)
		return -1;
	return c->vsock.cid == 0 ? 0 : lead_to(&c->vsock.socket, dir, "vsock");
}

/* --- the machine --- */

static void take(void *ctx, const char *what, const char *value)
{
	(void)json_object_set_new(ctx, what, json_text(value));
}

static int look(struct vmfiles *f, const struct sill_config *c, json_t *ret, struct sill_err *e)
{
	struct sill_files files = { 0 };
	struct sill_vm *vm = NULL;
	struct sill_config own;
	int done = -1;

	if (sill_config_copy(&own, c, e) < 0)
		return -1;
	if (host_give(&files, e) == 0 && vmfiles_open(f, e) == 0 && vmfiles_create(f, e) == 0 &&
	    vmfiles_settle(f, &own, e) == 0 && vmfiles_give(f, &files, e) == 0)
		vm = sill_vm_create(&own, &files, e);
	if (vm != NULL)
		done = sill_vm_hardware(vm, take, ret, e);
	if (vm != NULL)
		sill_vm_destroy(vm);
	sill_files_close(&files);
	sill_config_free(&own);
	return done;
}

static void remove_all(const struct sill_config *c, const char *dir)
{
	for (unsigned i = 0; i < c->disk_count; i++)
		(void)unlink(c->disk[i].path);
	if (c->firmware.vars != NULL)
		(void)unlink(c->firmware.vars);
	if (c->vsock.socket != NULL)
		(void)unlink(c->vsock.socket);
	(void)rmdir(dir);
}

json_t *hardware_of(const struct sill_config *c, struct sill_err *e)
{
	const char *tmp = secure_getenv("TMPDIR");
	char dir[PATH_MAX];
	struct sill_config own;
	struct vmfiles *f = calloc(1, sizeof(*f));
	json_t *ret = json_object();
	int done = -1;

	(void)snprintf(dir, sizeof(dir), "%s/sill-XXXXXX",
		       tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
	if (f == NULL || ret == NULL || mkdtemp(dir) == NULL) {
		(void)sill_err_sys(e, errno, "a directory for stand-ins");
		goto out;
	}
	if (sill_config_copy(&own, c, e) < 0) {
		(void)rmdir(dir);
		goto out;
	}
	if (stand_ins(&own, dir) < 0) {
		(void)sill_err_sys(e, errno, "stand-ins in '%s'", dir);
	} else {
		vmfiles_init(f, &own);
		done = look(f, &own, ret, e);
		vmfiles_fini(f);
	}
	remove_all(&own, dir);
	sill_config_free(&own);
out:
	free(f);
	if (done == 0)
		return ret;
	json_decref(ret);
	return NULL;
}

/* --- what is locked --- */

void hardware_lock_path(const char *file, char *ret, size_t size)
{
	const char *base = strrchr(file, '/') != NULL ? strrchr(file, '/') : file;
	const char *dot = strrchr(base, '.');
	const int n = (int)(dot != NULL ? (size_t)(dot - file) : strlen(file));

	(void)snprintf(ret, size, "%.*s.lock.json", n, file);
}

static void read_lock(struct hardware_lock *l, const char *file)
{
	char path[PATH_MAX];
	json_error_t why;
	json_t *o;

	hardware_lock_fini(l);
	l->file = strdup(file); /* without memory it is read again */
	hardware_lock_path(file, path, sizeof(path));
	if (access(path, F_OK) < 0)
		return;
	o = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	l->vms = json_incref(json_object_get(o, "vms"));
	if (o == NULL)
		(void)sill_err_set(&l->e, SILL_ERR_HOST, "%s:%d: %s", path, why.line, why.text);
	json_decref(o);
}

json_t *hardware_locked(struct hardware_lock *l, const char *file, const char *name,
			struct sill_err *e)
{
	if (l->file == NULL || strcmp(l->file, file) != 0)
		read_lock(l, file);
	if (l->e.code != SILL_ERR_NONE)
		*e = l->e;
	return json_incref(json_object_get(l->vms, name));
}

void hardware_lock_fini(struct hardware_lock *l)
{
	free(l->file);
	json_decref(l->vms);
	*l = (struct hardware_lock){ 0 };
}

static int by_what(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

json_t *hardware_diff(json_t *locked, json_t *now)
{
	const size_t most = json_object_size(locked) + json_object_size(now);
	const char **names = calloc(most + 1, sizeof(*names)), *name;
	json_t *ret = json_array(), *value;
	size_t count = 0;

	if (names == NULL)
		return ret;
	/* clang-format off */
	json_object_foreach(locked, name, value)
		if (!json_equal(value, json_object_get(now, name)))
			names[count++] = name;
	json_object_foreach(now, name, value)
		if (json_object_get(locked, name) == NULL)
			names[count++] = name;
	/* clang-format on */
	qsort(names, count, sizeof(*names), by_what);
	for (size_t i = 0; i < count; i++) {
		json_t *was = json_object_get(locked, names[i]),
		       *is = json_object_get(now, names[i]);

		(void)json_array_append_new(ret, json_pack("{s:s,s:O?,s:O?}", "what", names[i],
							   "locked", was, "now", is));
	}
	free(names);
	return ret;
}

static const char *value_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "none";
}

void hardware_print(FILE *f, const json_t *diff)
{
	size_t i;
	const json_t *o;

	json_array_foreach(diff, i, o) text_say(f, "  hardware  %s: %s -> %s", value_of(o, "what"),
						value_of(o, "locked"), value_of(o, "now"));
}
