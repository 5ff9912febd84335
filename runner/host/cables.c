/* SPDX-License-Identifier: Apache-2.0 */
/* cables.c - see cables.h. */
#include "runner/host/cables.h"

#include <stdlib.h>
#include <string.h>

#include "runner/host/worker.h"

void cables_init(struct cables *cs)
{
	*cs = (struct cables){ .mutex = PTHREAD_MUTEX_INITIALIZER,
			       .gone = PTHREAD_COND_INITIALIZER };
}

/* The mutex is held, as in all below. NULL: there is no room. */
static struct cable **find_room(struct cables *cs)
{
	for (unsigned i = 0; i < SILL_MAX_NETS; i++)
		if (cs->list[i] == NULL)
			return &cs->list[i];
	return NULL;
}

/* The place of the card's: of two that have its id, the older one is of the card that is there. NULL: there is none. */
static struct cable **find(struct cables *cs, const char *id)
{
	struct cable **ret = NULL;

	for (unsigned i = 0; i < SILL_MAX_NETS; i++) {
		const struct cable *c = cs->list[i];

		if (c != NULL && strcmp(c->id, id) == 0 &&
		    (ret == NULL || c->number < (*ret)->number))
			ret = &cs->list[i];
	}
	return ret;
}

static int add(struct cables *cs, struct cable *c, struct sill_err *e)
{
	struct cable **place = find_room(cs);

	if (place == NULL)
		return sill_err_set(e, SILL_ERR_LIMIT, "more than %u network cards", SILL_MAX_NETS);
	c->number = cs->added++;
	*place = c;
	return 0;
}

int cables_add(struct cables *cs, struct cable *take, struct sill_err *e)
{
	int ret;

	(void)pthread_mutex_lock(&cs->mutex);
	ret = add(cs, take, e);
	(void)pthread_mutex_unlock(&cs->mutex);
	if (ret < 0)
		cable_destroy(take);
	return ret;
}

struct cable *cables_at(const struct cables *cs, unsigned at)
{
	return cs->list[at];
}

struct cable *cables_take(struct cables *cs, unsigned at)
{
	struct cable *c = cs->list[at];

	cs->list[at] = NULL;
	return c;
}

int cables_start(struct cables *cs, struct sill_vm *vm, usernet_say say, struct sill_err *e)
{
	int ret = 0;

	(void)pthread_mutex_lock(&cs->mutex);
	cs->vm = vm;
	cs->say = say;
	for (unsigned i = 0; i < SILL_MAX_NETS && ret == 0; i++)
		if (cs->list[i] != NULL)
			ret = cable_start(cs->list[i], vm, say, e);
	(void)pthread_mutex_unlock(&cs->mutex);
	return ret;
}

/* Nobody else knows it any more. */
static void end(struct cable *c)
{
	cable_stop(c);
	cable_destroy(c);
}

int cables_plug(struct cables *cs, struct cable *take, struct sill_err *e)
{
	int ret;

	(void)pthread_mutex_lock(&cs->mutex);
	if (cs->closed || cs->vm == NULL)
		ret = sill_err_set(e, SILL_ERR_STATE, "the VM does not run");
	else
		ret = cable_start(take, cs->vm, cs->say, e);
	if (ret == 0)
		ret = add(cs, take, e);
	(void)pthread_mutex_unlock(&cs->mutex);
	if (ret < 0)
		end(take);
	return ret;
}

/* ---- those that go ---- */

struct ending {
	struct cables *cs;
	struct cable *c; /* owned */
};

/* The mutex is held. */
static void has_gone(struct cables *cs)
{
	cs->going--;
	(void)pthread_cond_broadcast(&cs->gone);
}

static void *end_it(void *arg)
{
	struct ending *n = arg;
	struct cables *cs = n->cs;

	end(n->c);
	free(n);
	(void)pthread_mutex_lock(&cs->mutex);
	has_gone(cs);
	(void)pthread_mutex_unlock(&cs->mutex);
	return NULL;
}

/* False: no thread, no memory. */
static bool send_off(struct cables *cs, struct cable *c)
{
	struct ending *n = malloc(sizeof(*n));
	struct sill_err unused = { 0 };
	pthread_t thread;

	if (n == NULL)
		return false;
	*n = (struct ending){ cs, c };
	if (worker_start(&thread, end_it, n, "the end of a card", &unused) < 0) {
		free(n);
		return false;
	}
	(void)pthread_detach(thread);
	return true;
}

/* The mutex is held. @place NULL: there was none. */
static void let_go(struct cables *cs, struct cable **place)
{
	if (place == NULL || cs->closed)
		return;
	cs->going++;
	if (!send_off(cs, *place)) {
		(*place)->next = cs->late;
		cs->late = *place;
		(void)pthread_cond_broadcast(&cs->gone); /* who waits ends it */
	}
	*place = NULL;
}

void cables_remove(struct cables *cs, const char *id)
{
	(void)pthread_mutex_lock(&cs->mutex);
	let_go(cs, find(cs, id));
	(void)pthread_mutex_unlock(&cs->mutex);
}

void cables_unplug(struct cables *cs, const struct cable *c)
{
	struct cable **place = NULL;

	(void)pthread_mutex_lock(&cs->mutex);
	for (unsigned i = 0; i < SILL_MAX_NETS; i++)
		if (cs->list[i] == c)
			place = &cs->list[i];
	let_go(cs, place);
	(void)pthread_mutex_unlock(&cs->mutex);
}

void cables_settle(struct cables *cs)
{
	struct cable *c;

	(void)pthread_mutex_lock(&cs->mutex);
	while (cs->going > 0) {
		c = cs->late;
		if (c == NULL) {
			(void)pthread_cond_wait(&cs->gone, &cs->mutex);
			continue;
		}
		cs->late = c->next;
		(void)pthread_mutex_unlock(&cs->mutex);
		end(c);
		(void)pthread_mutex_lock(&cs->mutex);
		has_gone(cs);
	}
	(void)pthread_mutex_unlock(&cs->mutex);
}

void cables_stop(struct cables *cs)
{
	(void)pthread_mutex_lock(&cs->mutex);
	cs->closed = true; /* from here on the list is what it is */
	(void)pthread_mutex_unlock(&cs->mutex);
	for (unsigned i = 0; i < SILL_MAX_NETS; i++)
		if (cs->list[i] != NULL)
			cable_stop(cs->list[i]);
	cables_settle(cs);
}

void cables_fini(struct cables *cs)
{
	cables_settle(cs);
	for (unsigned i = 0; i < SILL_MAX_NETS; i++)
		cable_destroy(cables_take(cs, i));
}

bool cables_count(struct cables *cs, const char *id, const struct forward_spec *s,
		  struct forward_count *ret)
{
	struct cable **at;
	bool known;

	(void)pthread_mutex_lock(&cs->mutex);
	at = find(cs, id);
	known = at != NULL && (*at)->forwards != NULL && forwards_count((*at)->forwards, s, ret);
	(void)pthread_mutex_unlock(&cs->mutex);
	return known;
}
