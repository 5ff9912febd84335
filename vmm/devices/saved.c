/* SPDX-License-Identifier: Apache-2.0 */
/* saved.c - see saved.h. */
#include "devices/saved.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/pci.h"
#include "devices/dev.h"

enum { TAG_DEVICE = SAVE_TAG('D', 'E', 'V', 'I'), VERSION = 1 };

/* Longer than any type or id there is. */
enum { NAME_ROOM = 64 };

/* Two devices of one type never share an id; those of two types may. */
static int compare(const char *id, const char *type, const struct dev *d)
{
	const int order = strcmp(id, d->id);

	return order != 0 ? order : strcmp(type, d->ops->type);
}

static int by_id(const void *a, const void *b)
{
	const struct dev *const *x = a, *const *y = b;

	return compare((*x)->id, (*x)->ops->type, *y);
}

/* The list as a sorted array; NULL: no memory. */
static struct dev **sort(struct dev *list, size_t *ret_count, struct sill_err *e)
{
	struct dev **sorted;
	size_t n = 0;

	for (struct dev *d = list; d != NULL; d = d->next)
		n++;
	sorted = calloc(n + 1, sizeof(struct dev *));
	if (sorted == NULL) {
		(void)sill_err_sys(e, ENOMEM, "state of the devices");
		return NULL;
	}
	n = 0;
	for (struct dev *d = list; d != NULL; d = d->next)
		sorted[n++] = d;
	qsort(sorted, n, sizeof(struct dev *), by_id);
	*ret_count = n;
	return sorted;
}

static int save_one(struct dev *d, struct saver *s, struct sill_err *e)
{
	struct saver inner;
	int ret;

	if (!dev_drained(d))
		return sill_err_set(e, SILL_ERR_STATE, "%s has work in flight", d->id);
	save_begin(s, TAG_DEVICE, VERSION);
	save_str(s, d->id);
	save_str(s, d->ops->type);
	save_init(&inner, s->out);
	ret = dev_save(d, &inner);
	save_end(s);
	return ret < 0 ? sill_err_set(e, SILL_ERR_STATE, "%s cannot be saved now", d->id) : 0;
}

int devices_save(struct dev *list, struct pci_bus *pci, struct saver *s, struct sill_err *e)
{
	size_t count = 0;
	struct dev **sorted = sort(list, &count, e);
	int ret = 0;

	if (sorted == NULL)
		return -1;
	if (pci != NULL)
		pci_bus_save(pci, s);
	for (size_t i = 0; i < count && ret == 0; i++)
		ret = save_one(sorted[i], s, e);
	free(sorted);
	return ret;
}

static int lacks(const struct dev *d, struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_STATE, "the state has no device '%s' (%s)", d->id,
			    d->ops->type);
}

/* The next device's record into @d, which is the next one of the machine or NULL. */
static int load_one(struct dev *d, struct loader *l, struct sill_err *e)
{
	char id[NAME_ROOM], type[NAME_ROOM];
	struct loader inner;

	(void)load_begin(l, TAG_DEVICE, VERSION);
	load_str(l, id, sizeof(id));
	load_str(l, type, sizeof(type));
	inner = load_rest(l);
	if (load_end(l, "the devices", e) < 0)
		return -1;
	if (d != NULL && compare(id, type, d) > 0)
		return lacks(d, e);
	if (d == NULL || compare(id, type, d) < 0)
		return sill_err_set(e, SILL_ERR_STATE,
				    "the state has a device '%s' (%s) which this machine has not, "
				    "or has it twice",
				    id, type);
	if (dev_load(d, &inner, e) < 0)
		return -1;
	return load_done(&inner, d->id, e);
}

int devices_load(struct dev *list, struct pci_bus *pci, struct loader *l, struct sill_err *e)
{
	size_t count = 0, i = 0;
	struct dev **sorted = sort(list, &count, e);
	int ret;

	if (sorted == NULL)
		return -1;
	ret = pci != NULL ? pci_bus_load(pci, l, e) : 0;
	while (ret == 0 && load_peek(l) == TAG_DEVICE) {
		ret = load_one(i < count ? sorted[i] : NULL, l, e);
		i++;
	}
	if (ret == 0 && i < count)
		ret = lacks(sorted[i], e);
	free(sorted);
	return ret;
}
