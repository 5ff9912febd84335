/* SPDX-License-Identifier: Apache-2.0 */
/* dev.c - the frame around every device: life, lock, the door to the maps. */
#include "devices/dev.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

NO_LOCK_CHECK void dev_take(struct dev *d)
{
	lock_take(&d->lock);
}

NO_LOCK_CHECK void dev_drop(struct dev *d)
{
	lock_drop(&d->lock);
}

enum io_result dev_io(struct dev *d, unsigned region, struct io *io)
{
	enum io_result r;

	dev_take(d);
	r = d->ops->io(d, region, io);
	dev_drop(d);
	return r;
}

static enum io_result target_io(void *ctx, unsigned region, struct io *io)
{
	return dev_io(ctx, region, io);
}

struct dev *dev_create(const struct dev_ops *ops, const char *id, const void *config, unsigned gsi,
		       const struct dev_env *env, struct sill_err *e)
{
	struct dev *d = calloc(1, sizeof(*d));

	assert(ops->init != NULL && ops->io != NULL && ops->reset != NULL);

	if (d == NULL) {
		(void)sill_err_sys(e, ENOMEM, "%s", id);
		return NULL;
	}
	lock_init(&d->lock, RANK_DEV);
	d->id = strdup(id);
	d->state = calloc(1, ops->state_size != 0 ? ops->state_size : 1);
	if (d->id == NULL || d->state == NULL) {
		(void)sill_err_sys(e, ENOMEM, "%s", id);
		goto fail;
	}
	d->ops = ops; /* before init(), whose last step puts the device where vCPUs can reach it */
	d->env = env;
	d->config = config;
	d->target = (struct io_target){ .io = target_io, .ctx = d, .name = d->id };
	d->irq = (struct irq_line){ .irqs = env->irqs, .gsi = gsi };
	if (ops->init(d, e) < 0) {
		sill_err_wrap(e, "%s", id);
		goto fail;
	}
	d->config = NULL; /* borrowed for init() only */
	d->made = true;
	dev_reset(d);
	return d;

fail:
	dev_destroy(d);
	return NULL;
}

void dev_destroy(struct dev *d)
{
	if (d == NULL)
		return;
	if (d->made && d->ops->fini != NULL)
		d->ops->fini(d);
	if (d->target.guest_errors != 0)
		log_line(LOG_DEBUG, "%s: %llu accesses were wrong", d->id,
			 (unsigned long long)d->target.guest_errors);
	irq_line_set(&d->irq, false);
	lock_fini(&d->lock);
	free(d->state);
	free((void *)(uintptr_t)d->id);
	free(d);
}

/* A callback that most devices do not have. */
static void call(struct dev *d, void (*fn)(struct dev *d))
{
	if (fn == NULL)
		return;
	dev_take(d);
	fn(d);
	dev_drop(d);
}

void dev_reset(struct dev *d)
{
	call(d, d->ops->reset);
}

void dev_pause(struct dev *d)
{
	call(d, d->ops->pause);
}

void dev_resume(struct dev *d)
{
	call(d, d->ops->resume);
}

void dev_stop(struct dev *d)
{
	call(d, d->ops->stop);
}

bool dev_drained(struct dev *d)
{
	bool drained;

	if (d->ops->drained == NULL)
		return true;
	dev_take(d);
	drained = d->ops->drained(d);
	dev_drop(d);
	return drained;
}

int dev_save(struct dev *d, struct saver *s)
{
	int ret = 0;

	if (d->ops->save == NULL)
		return 0;
	dev_take(d);
	ret = d->ops->save(d, s);
	dev_drop(d);
	return ret;
}

int dev_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	int ret = 0;

	if (d->ops->load == NULL)
		return 0;
	dev_take(d);
	ret = d->ops->load(d, l, e);
	dev_drop(d);
	return ret;
}

int dev_map(struct dev *d, struct map *m, uint64_t base, uint64_t size, unsigned region,
	    struct sill_err *e)
{
	const struct map_region r = {
		.base = base, .size = size, .target = &d->target, .region = region
	};

	return map_add(m, &r, e);
}

void dev_answered(struct dev *d)
{
	if (d->env->answered != NULL)
		d->env->answered(d->env->ctx);
}

void dev_listens(struct dev *d)
{
	if (d->env->listens != NULL)
		d->env->listens(d->env->ctx);
}

void dev_progress(struct dev *d)
{
	if (d->env->progress != NULL)
		d->env->progress(d->env->ctx);
}
