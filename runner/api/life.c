/* SPDX-License-Identifier: Apache-2.0 */
/* life.c - see life.h. A state under a mutex; nobody holds it while the engine is asked. */
#include "runner/api/life.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runner/api/event.h"
#include "runner/api/hot.h"
#include "runner/manifest/emit.h"
#include "runner/snapshot/snapshot.h"

struct life {
	struct events *events;  /* borrowed */
	const char *const name; /* borrowed */
	const bool again;
	int wake; /* owned eventfd: life_wait() looks again */

	pthread_mutex_t mutex; /* the fields below; a leaf but for sill_vm_stop() */
	pthread_cond_t changed;
	enum life_state state;
	const struct mfile *borrowed_mf; /* borrowed: never destroyed here */
	struct mfile *mf, *booted; /* owned unless borrowed; what was said last, and what runs */
	const struct mdoc *doc;    /* of mf */
	struct sill_config
		said; /* of doc, with what was changed since; what it points to is doc's */
	struct sill_config lent_value; /* likewise, of booted: no change comes to it */
	json_t *manifest;              /* owned: of said */
	struct sill_vm *vm;            /* borrowed while there is one */
	unsigned users;                /* who hold it */
	struct cables *cables;         /* likewise */
	struct ready *ready;           /* likewise */
	bool want_boot, quit, over;
	bool stay;       /* the guest's own end is not ours */
	bool asked_down; /* the end that comes was asked for here: one can boot again */
	uint64_t ends;   /* how often a boot, or a run, has ended */
	struct sill_err boot_err;
	struct lent_tap lent[SILL_MAX_NETS]; /* owned descriptors */
	unsigned lent_count;
	struct vmconfig_ends ports;  /* the ports */
	struct life_restore restore; /* owned: from */
	const char *writes;          /* static: what is made of it just now; NULL: nothing */
	char *written;               /* owned: where the last snapshot is, of what there is now */
	struct hot *vsock;           /* owned: of one that came later; NULL: none */
	json_t *groups;              /* owned: also those that no disk is in; NULL: none */
};

struct life *life_create(struct events *ev, const char *name, bool again)
{
	struct life *l = malloc(sizeof(*l));
	const struct life fresh = { .events = ev,
				    .name = name,
				    .again = again,
				    .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	if (l == NULL || fresh.wake < 0) {
		if (fresh.wake >= 0)
			(void)close(fresh.wake);
		free(l);
		return NULL;
	}
	memcpy(l, &fresh, sizeof(fresh));
	(void)pthread_mutex_init(&l->mutex, NULL);
	(void)pthread_cond_init(&l->changed, NULL);
	return l;
}

static void drop(const struct life *l, struct mfile *mf)
{
	if (mf != l->borrowed_mf)
		mfile_destroy(mf);
}

static void close_lent(struct lent_tap *t)
{
	while (t->count > 0)
		(void)close(t->fd[--t->count]);
}

void life_destroy(struct life *l)
{
	if (l == NULL)
		return;
	if (l->booted != l->mf)
		drop(l, l->booted);
	drop(l, l->mf);
	json_decref(l->manifest);
	json_decref(l->groups);
	snapshot_close(l->restore.from);
	free(l->written);
	while (l->lent_count > 0)
		close_lent(&l->lent[--l->lent_count]);
	hot_destroy(l->vsock);
	(void)close(l->wake);
	(void)pthread_cond_destroy(&l->changed);
	(void)pthread_mutex_destroy(&l->mutex);
	free(l);
}

static void lock(struct life *l)
{
	(void)pthread_mutex_lock(&l->mutex);
}

static void unlock(struct life *l)
{
	(void)pthread_mutex_unlock(&l->mutex);
}

static void wake(const struct life *l)
{
	const uint64_t one = 1;

	(void)!write(l->wake, &one, sizeof(one)); /* full: it will look */
}

/* With the mutex. */
static void set_state(struct life *l, enum life_state s)
{
	l->state = s;
	(void)pthread_cond_broadcast(&l->changed);
}

/* With the mutex: @mf is what is said from now on; NULL: nothing. */
static void set_doc(struct life *l, struct mfile *mf, const struct mdoc *doc)
{
	if (l->mf != l->booted)
		drop(l, l->mf);
	l->mf = mf;
	l->doc = doc;
	l->said = mf != NULL ? *doc->m : (struct sill_config){ 0 };
	json_decref(l->manifest);
	l->manifest = mf != NULL ? emit_json(&mf->check, doc->root, EMIT_EFFECTIVE) : NULL;
}

/* With the mutex; nobody boots from it. */
static void drop_restore(struct life *l)
{
	snapshot_close(l->restore.from);
	l->restore = (struct life_restore){ 0 };
}

static int fail_state(struct sill_err *e, const char *what)
{
	return sill_err_set(e, SILL_ERR_STATE, "%s", what);
}

/* ---- the program's first thread ---- */

void life_begin(struct life *l, struct mfile *mf, const struct mdoc *doc)
{
	lock(l);
	l->borrowed_mf = mf;
	set_doc(l, mf, doc);
	l->booted = mf;
	l->asked_down = false;
	set_state(l, LIFE_BOOTING);
	unlock(l);
	events_add(l->events, "vm", "booting", NULL);
}

/* With the mutex. */
static const struct sill_config *begin_boot(struct life *l)
{
	l->want_boot = false;
	l->asked_down = false;
	l->booted = l->mf;
	l->boot_err = (struct sill_err){ 0 };
	l->lent_value = l->said;
	set_state(l, LIFE_BOOTING);
	return &l->lent_value;
}

bool life_wait(struct life *l, int signal_fd, const struct sill_config **ret_m)
{
	struct pollfd fds[] = {
		{ .fd = l->wake, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};
	bool quit = false, boot = false;
	uint64_t n;

	while (!quit && !boot) {
		lock(l);
		quit = l->quit || l->over;
		boot = !quit && l->want_boot;
		if (boot)
			*ret_m = begin_boot(l);
		unlock(l);
		if (quit || boot)
			break;
		if (poll(fds, 2, -1) < 0)
			continue;
		(void)!read(l->wake, &n, sizeof(n));
		if (fds[1].revents != 0)
			life_quit(l);
	}
	if (boot)
		events_add(l->events, "vm", "booting", NULL);
	return boot;
}

void life_up(struct life *l, struct sill_vm *vm)
{
	lock(l);
	l->vm = vm;
	if (l->quit || l->asked_down)
		sill_vm_stop(vm);
	unlock(l);
}

/* From here on the last snapshot is not of what there is: the guest runs, or its disks are others. */
static bool ends_snapshot(const struct sill_event *event)
{
	return event->kind == SILL_EVENT_RESUMED || event->kind == SILL_EVENT_RESET ||
	       ((event->kind == SILL_EVENT_ADDED || event->kind == SILL_EVENT_REMOVED) &&
		event->device == SILL_DEVICE_DISK);
}

/* Which, and where it is or was, as add-disk has said. */
static json_t *device_of(const struct sill_event *event)
{
	char bdf[HOT_BDF];

	if (event->kind != SILL_EVENT_ADDED && event->kind != SILL_EVENT_REMOVED)
		return json_pack("{s:s}", "id", event->id);
	hot_bdf_at(event->slot, bdf);
	return json_pack("{s:s,s:s}", "id", event->id, "bdf", bdf);
}

void life_event(struct life *l, const struct sill_event *event)
{
	static const char *const names[] = {
		[SILL_EVENT_DISK] = "disk-error",        [SILL_EVENT_RUNNING] = "booted",
		[SILL_EVENT_PAUSED] = "paused",          [SILL_EVENT_RESUMED] = "resumed",
		[SILL_EVENT_RESET] = "rebooted",         [SILL_EVENT_CPUS] = "resized",
		[SILL_EVENT_MEMORY] = "resized",         [SILL_EVENT_ENDING] = "shutdown",
		[SILL_EVENT_ADDED] = "device-added",     [SILL_EVENT_REMOVED] = "device-removed",
		[SILL_EVENT_UNANSWERED] = "device-kept", [SILL_EVENT_CRASHED] = "panic",
		[SILL_EVENT_CUT_OFF] = "net-cut-off",    [SILL_EVENT_CONNECTED] = "net-connected",
	};
	const size_t count = sizeof(names) / sizeof(names[0]);
	struct cables *cs = life_cables(l);
	json_t *more = NULL;

	/* Before anybody hears of it, and puts another one in its place. */
	if (event->kind == SILL_EVENT_REMOVED && event->device == SILL_DEVICE_NET && cs != NULL)
		cables_remove(cs, event->id);
	if (event->kind == SILL_EVENT_DISK)
		more = json_pack("{s:s,s:s,s:s}", "id", event->id, "request", event->what, "error",
				 strerrorname_np(event->sys));
	else if (event->kind == SILL_EVENT_CPUS || event->kind == SILL_EVENT_MEMORY)
		more = json_pack("{s:s}", event->kind == SILL_EVENT_CPUS ? "vcpus" : "memory",
				 event->what);
	else if (event->id != NULL)
		more = device_of(event);
	else if (event->what != NULL)
		more = json_pack("{s:s}", "reason", event->what);
	events_add(l->events, event->kind == SILL_EVENT_CRASHED ? "guest" : "vm",
		   event->kind < count && names[event->kind] != NULL ? names[event->kind] : "other",
		   more);
	lock(l);
	if (event->kind == SILL_EVENT_RUNNING && l->state == LIFE_BOOTING)
		set_state(l, LIFE_RUNNING);
	else if (event->kind == SILL_EVENT_ENDING)
		set_state(l, LIFE_ENDING);
	if (ends_snapshot(event)) {
		free(l->written);
		l->written = NULL;
	}
	unlock(l);
}

void life_let_go(struct life *l)
{
	lock(l);
	set_state(l, LIFE_ENDING);
	l->vm = NULL;
	while (l->users > 0)
		(void)pthread_cond_wait(&l->changed, &l->mutex);
	l->cables = NULL;
	l->ready = NULL;
	unlock(l);
}

void life_down(struct life *l, const struct sill_err *e)
{
	life_keep_vsock(l, NULL);
	lock(l);
	if (e != NULL)
		l->boot_err = *e;
	l->ends++;
	if (l->booted != l->mf)
		drop(l, l->booted);
	l->booted = NULL;
	drop_restore(l);
	free(l->written);
	l->written = NULL;
	/* The guest's own end is the process's, too; a boot that failed is not. */
	l->over |= (!l->asked_down && !l->stay && e == NULL) || !l->again;
	set_state(l, l->mf != NULL ? LIFE_CREATED : LIFE_NONE);
	unlock(l);
}

void life_set_stay(struct life *l, bool stay)
{
	lock(l);
	l->stay = stay;
	unlock(l);
}

void life_set_ends(struct life *l, const struct vmconfig_ends *ends)
{
	lock(l);
	l->ports = *ends;
	unlock(l);
}

bool life_is_over(struct life *l)
{
	bool over;

	lock(l);
	over = l->over || l->quit;
	unlock(l);
	return over;
}

/* ---- any thread ---- */

enum life_state life_state(struct life *l)
{
	enum life_state s;

	lock(l);
	s = l->state;
	unlock(l);
	return s;
}

/* With the mutex. */
static int check_settable(const struct life *l, struct sill_err *e)
{
	if (!l->again && l->state != LIFE_RUNNING)
		return fail_state(e, "this process has its one VM already");
	if (l->state != LIFE_NONE && l->state != LIFE_CREATED && l->state != LIFE_RUNNING)
		return fail_state(e, "the VM is between two states; ask again");
	return 0;
}

int life_set(struct life *l, struct mfile *take_mf, struct sill_err *e)
{
	int ret;

	lock(l);
	ret = check_settable(l, e);
	if (ret == 0)
		set_doc(l, take_mf, &take_mf->docs[0]);
	if (ret == 0 && l->state == LIFE_NONE)
		set_state(l, LIFE_CREATED);
	unlock(l);
	if (ret < 0)
		mfile_destroy(take_mf);
	return ret;
}

int life_set_vcpus(struct life *l, unsigned boot, struct sill_err *e)
{
	int ret;

	lock(l);
	ret = check_settable(l, e);
	if (ret == 0 && (l->doc == NULL || boot == 0 || boot > l->said.cpus.max))
		ret = sill_err_set(e, SILL_ERR_LIMIT, "%u vCPUs: 1 to %u are possible (cpus.max)",
				   boot, l->said.cpus.max);
	if (ret == 0) {
		l->said.cpus.boot = (uint16_t)boot;
		(void)json_object_set_new(json_object_get(l->manifest, "cpus"), "boot",
					  json_integer(boot));
	}
	unlock(l);
	return ret;
}

void life_set_groups(struct life *l, json_t *take)
{
	json_t *before;

	lock(l);
	before = l->groups;
	l->groups = take;
	unlock(l);
	json_decref(before);
}

/* Of a member that others may put another in place of. */
static json_t *copy_of(struct life *l, json_t *const *member)
{
	json_t *copy;

	lock(l);
	copy = json_deep_copy(*member);
	unlock(l);
	return copy;
}

json_t *life_groups(struct life *l)
{
	return copy_of(l, &l->groups);
}

const char *life_name(const struct life *l)
{
	return l->name;
}

void life_ends(struct life *l, struct vmconfig_ends *ret)
{
	lock(l);
	*ret = l->ports;
	unlock(l);
}

/* With the mutex: have what runs end, and wait for that. */
static void stop_and_wait(struct life *l)
{
	const uint64_t ends = l->ends;

	l->asked_down = true;
	if (l->vm != NULL)
		sill_vm_stop(l->vm);
	while (l->ends == ends)
		(void)pthread_cond_wait(&l->changed, &l->mutex);
}

int life_shutdown(struct life *l, struct sill_err *e)
{
	int ret = 0;

	lock(l);
	if (l->state == LIFE_NONE || l->state == LIFE_CREATED)
		ret = fail_state(e, "the VM does not run");
	else
		stop_and_wait(l);
	unlock(l);
	return ret;
}

int life_forget(struct life *l, struct sill_err *e)
{
	int ret = 0;

	lock(l);
	if (l->state == LIFE_NONE)
		ret = fail_state(e, "there is no VM");
	else if (l->state != LIFE_CREATED)
		stop_and_wait(l);
	if (ret == 0 && l->again && l->state == LIFE_CREATED && !l->want_boot) {
		set_doc(l, NULL, NULL);
		while (l->lent_count > 0)
			close_lent(&l->lent[--l->lent_count]);
		drop_restore(l);
		json_decref(l->groups);
		l->groups = NULL;
		set_state(l, LIFE_NONE);
	}
	unlock(l);
	if (ret == 0)
		events_add(l->events, "vm", "deleted", NULL);
	return ret;
}

int life_boot(struct life *l, struct sill_err *e)
{
	uint64_t ends;
	int ret = 0;

	lock(l);
	ends = l->ends;
	if (l->state != LIFE_CREATED || l->want_boot || l->quit || l->over) {
		ret = fail_state(e, l->state == LIFE_NONE ? "there is no VM"
							  : "the VM runs, or is about to");
	} else {
		l->want_boot = true;
		wake(l);
		while (l->ends == ends && l->state != LIFE_RUNNING && !l->quit)
			(void)pthread_cond_wait(&l->changed, &l->mutex);
		if (l->ends != ends && l->boot_err.code != SILL_ERR_NONE) {
			*e = l->boot_err;
			ret = -1;
		} else if (l->ends == ends && l->state != LIFE_RUNNING) {
			ret = fail_state(e, "the process ends");
		}
	}
	unlock(l);
	return ret;
}

void life_quit(struct life *l)
{
	lock(l);
	l->quit = true;
	if (l->vm != NULL)
		sill_vm_stop(l->vm);
	(void)pthread_cond_broadcast(&l->changed);
	unlock(l);
	wake(l);
}

struct sill_vm *life_hold(struct life *l)
{
	struct sill_vm *vm = NULL;

	lock(l);
	if (l->state == LIFE_RUNNING && l->vm != NULL) {
		vm = l->vm;
		l->users++;
	}
	unlock(l);
	return vm;
}

void life_release(struct life *l)
{
	lock(l);
	l->users--;
	(void)pthread_cond_broadcast(&l->changed);
	unlock(l);
}

void life_set_restore(struct life *l, const struct life_restore *take_r)
{
	lock(l);
	snapshot_close(l->restore.from);
	l->restore = *take_r;
	unlock(l);
}

struct life_restore life_restore(struct life *l)
{
	struct life_restore r;

	lock(l);
	r = l->restore;
	unlock(l);
	return r;
}

void life_set_written(struct life *l, const char *dir)
{
	lock(l);
	free(l->written);
	l->written = dir != NULL ? strdup(dir) : NULL; /* without memory nothing is renewed */
	unlock(l);
}

const char *life_written(struct life *l)
{
	const char *dir;

	lock(l);
	dir = l->written;
	unlock(l);
	return dir;
}

void life_set_writes(struct life *l, const char *what)
{
	lock(l);
	l->writes = what;
	unlock(l);
}

const char *life_writes(struct life *l)
{
	const char *what;

	lock(l);
	what = l->writes;
	unlock(l);
	return what;
}

void life_keep_vsock(struct life *l, struct hot *take)
{
	struct hot *old;

	lock(l);
	old = l->vsock;
	l->vsock = take;
	unlock(l);
	hot_destroy(old);
}

void life_set_cables(struct life *l, struct cables *cs)
{
	lock(l);
	l->cables = cs;
	unlock(l);
}

struct cables *life_cables(struct life *l)
{
	struct cables *cs;

	lock(l);
	cs = l->cables;
	unlock(l);
	return cs;
}

void life_set_ready(struct life *l, struct ready *r)
{
	lock(l);
	l->ready = r;
	unlock(l);
}

struct ready *life_ready(struct life *l)
{
	struct ready *r;

	lock(l);
	r = l->ready;
	unlock(l);
	return r;
}

int life_value(struct life *l, struct sill_config *ret, struct sill_err *e)
{
	int done;

	lock(l);
	if (l->vm != NULL)
		done = sill_vm_config_now(l->vm, ret, e);
	else if (l->doc != NULL)
		done = sill_config_copy(ret, &l->said, e);
	else
		done = fail_state(e, "there is no VM");
	unlock(l);
	return done;
}

int life_said(struct life *l, struct sill_config *ret, struct sill_err *e)
{
	int done;

	lock(l);
	done = l->doc != NULL ? sill_config_copy(ret, &l->said, e)
			      : fail_state(e, "there is no VM");
	unlock(l);
	return done;
}

json_t *life_manifest(struct life *l)
{
	return copy_of(l, &l->manifest);
}

/* ---- taps that others have made ---- */

/* With the mutex. */
static void drop_lent(struct life *l, const char *id)
{
	for (unsigned i = 0; i < l->lent_count; i++) {
		if (strcmp(l->lent[i].id, id) != 0)
			continue;
		close_lent(&l->lent[i]);
		l->lent[i] = l->lent[--l->lent_count];
		return;
	}
}

int life_lend(struct life *l, const char *id, const int *fds, unsigned n, struct sill_err *e)
{
	struct lent_tap t = { .count = 0 };
	int ret = 0;

	(void)snprintf(t.id, sizeof(t.id), "%s", id);
	for (; t.count < n && t.count < SILL_MAX_NET_QUEUES && ret == 0; t.count++) {
		t.fd[t.count] = fcntl(fds[t.count], F_DUPFD_CLOEXEC, 3);
		if (t.fd[t.count] < 0) {
			ret = sill_err_sys(e, errno, "a tap's descriptor");
			break;
		}
	}
	lock(l);
	drop_lent(l, id);
	if (ret == 0 && l->lent_count == SILL_MAX_NETS)
		ret = sill_err_set(e, SILL_ERR_LIMIT, "more than %u network cards", SILL_MAX_NETS);
	if (ret == 0)
		l->lent[l->lent_count++] = t;
	unlock(l);
	if (ret < 0)
		close_lent(&t);
	return ret;
}

void life_lend_no_more(struct life *l, const char *id)
{
	lock(l);
	drop_lent(l, id);
	unlock(l);
}

unsigned life_lent(struct life *l, const struct lent_tap **ret)
{
	*ret = l->lent;
	return l->lent_count;
}
