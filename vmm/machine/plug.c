/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug.c - see plug.h.
 *
 * struct plugged says of a device how it came. Threads other than the main loop's
 * find it under the machine's mutex, and hold it (users) while they use it.
 *
 * How one goes: it is stopped; the main loop looks again whenever something has
 * ended; when all has, and nobody holds it, the vCPUs are parked, so that none is
 * inside, and it is destroyed, which takes it off the bus. So a driver that finds
 * it gone may use the memory of its requests for something else. Nobody waits.
 *
 * Or the guest gives it up (devices/acpi/pcihp.h), because it was asked or by itself:
 * then it is off the bus first, and goes like this from there.
 */
#include "machine/plug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/serial/chr.h"
#include "base/fd.h"
#include "base/log.h"
#include "devices/acpi/pcihp.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"
#include "machine/limits.h"
#include "machine/machine.h"
#include "machine/make.h"

struct plugged {
	enum sill_device_kind kind;
	struct dev *dev; /* borrowed from the machine's list; NULL: it is being destroyed */
	struct chr *chr; /* the console's, which owns it; else NULL */
	struct limits
		*limits[2]; /* held; of a disk, of a card to and from the guest; NULL: no such */
	unsigned slot;
	struct machine *machine; /* borrowed */
	struct wish wish;        /* that the guest knows of it, or gives it up */
	unsigned reads;          /* how often it has read that it is asked for it */
	bool silent, hidden;     /* told that it does not answer; taken off the bus at a reset */
	const char *why;         /* it goes, a literal */
	/* Under the machine's mutex. */
	unsigned users;
	bool asked, ejected; /* the guest, for it; by the guest */
	uint64_t ticket;     /* on its way out: which one; 0: it stays */
	struct plugged *next;
};

/* Who has read a request twice, and then lets so much time pass, does not answer. */
static const uint64_t NO_ANSWER_NS = 5000000000ull;
enum { NO_ANSWER_READS = 2 };

/* --- finding ------------------------------------------------------------ */

/* The mutex is held, or this is the main loop. @id NULL: any. */
static struct plugged *find(const struct machine *m, enum sill_device_kind kind, const char *id)
{
	struct plugged *p = m->plugged;

	while (p != NULL &&
	       (p->kind != kind || p->dev == NULL || (id != NULL && strcmp(p->dev->id, id) != 0)))
		p = p->next;
	return p;
}

/* Any thread: it stays until release(). NULL: there is none. */
static struct plugged *hold(struct machine *m, enum sill_device_kind kind, const char *id)
{
	struct plugged *p;

	(void)pthread_mutex_lock(&m->mutex);
	p = find(m, kind, id);
	if (p != NULL && p->ticket != 0)
		p = NULL;
	if (p != NULL)
		p->users++;
	(void)pthread_mutex_unlock(&m->mutex);
	return p;
}

static void release(struct machine *m, struct plugged *p)
{
	bool last;

	(void)pthread_mutex_lock(&m->mutex);
	p->users--;
	last = p->users == 0 && p->ticket != 0;
	(void)pthread_mutex_unlock(&m->mutex);
	if (last && m->env.progress != NULL)
		m->env.progress(m->env.ctx);
}

/* --- plugging ----------------------------------------------------------- */

static void append(struct machine *m, struct plugged *p)
{
	struct plugged **last = &m->plugged;

	(void)pthread_mutex_lock(&m->mutex);
	while (*last != NULL)
		last = &(*last)->next;
	*last = p;
	(void)pthread_mutex_unlock(&m->mutex);
}

/* The main loop, or with the mutex. @fixed: bits of slots. */
static void info_of(const struct machine *m, const struct plugged *p, uint32_t fixed,
		    struct sill_device_info *ret)
{
	*ret = (struct sill_device_info){
		.kind = p->kind,
		.stage = p->ticket != 0 || p->ejected ? SILL_DEVICE_LEAVING
			 : p->asked                   ? SILL_DEVICE_ASKED
						      : SILL_DEVICE_HERE,
		.slot = (uint8_t)p->slot,
		.removable = m->pcihp != NULL && (fixed >> p->slot & 1) == 0,
	};
	(void)snprintf(ret->id, sizeof(ret->id), "%s", p->dev->id);
}

static void tell(struct machine *m, enum machine_word w, const struct sill_device_info *d,
		 const char *why)
{
	if (m->ear.fn != NULL)
		m->ear.fn(m->ear.ctx, w, d, why);
}

void machine_tell_links(struct machine *m)
{
	for (struct plugged *p = m->plugged; p != NULL; p = p->next) {
		struct sill_device_info info;
		enum virtio_net_news news;

		if (p->kind != SILL_DEVICE_NET || p->dev == NULL)
			continue;
		news = virtio_net_news(p->dev);
		if (news == VIRTIO_NET_NOTHING)
			continue;
		info_of(m, p, 0, &info);
		tell(m, news == VIRTIO_NET_LOST ? MACHINE_CUT_OFF : MACHINE_CONNECTED, &info, NULL);
	}
}

/* The wish: the guest has read that it has come, or gives it up. */
static bool tell_again(void *ctx, uint64_t waited_ns)
{
	struct plugged *p = ctx;
	struct machine *m = p->machine;
	struct sill_device_info info;

	if (p->ticket != 0 || p->ejected)
		return false;
	if (!p->asked)
		return pcihp_tell_again(m->pcihp, p->slot);
	p->reads += p->reads < NO_ANSWER_READS && pcihp_has_read(m->pcihp, p->slot);
	pcihp_ask(m->pcihp, p->slot);
	if (p->reads == NO_ANSWER_READS && waited_ns >= NO_ANSWER_NS && !p->silent) {
		p->silent = true;
		info_of(m, p, 0, &info);
		tell(m, MACHINE_UNANSWERED, &info, "the guest does not answer");
	}
	return true;
}

/* NULL: it has failed. */
static struct plugged *put_in(struct machine *m, const struct sill_device *d,
			      struct sill_files *files, struct sill_err *e)
{
	const char *id = sill_device_id(d);
	struct made made;
	struct plugged *p;

	if (find(m, d->kind, id) != NULL) {
		(void)sill_err_set(e, SILL_ERR_STATE, "there is a device '%s' already", id);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		(void)sill_err_sys(e, ENOMEM, "%s", id);
		return NULL;
	}
	p->kind = d->kind;
	p->machine = m;
	p->wish = (struct wish){ .again = tell_again, .ctx = p };
	if (make_device(m, d, files, &made, e) < 0) {
		free(p);
		return NULL;
	}
	p->dev = made.dev;
	p->chr = made.chr;
	p->limits[0] = made.limits[0];
	p->limits[1] = made.limits[1];
	p->slot = virtio_func(p->dev)->slot;
	if (m->paused)
		dev_pause(p->dev);
	if (m->stopped)
		dev_stop(p->dev);
	append(m, p);
	return p;
}

static void set_limits(struct machine *m, struct limits *l, const struct sill_rate_limit *r)
{
	limits_set(l, r);
	for (const struct plugged *p = m->plugged; p != NULL; p = p->next)
		if (p->dev != NULL && (p->limits[0] == l || p->limits[1] == l))
			virtio_look_again(p->dev);
}

/* The group has what one says that comes: nobody says anything else, or it left the group with what it said. */
static void tell_group(struct machine *m, struct limits *l, const struct sill_rate_limit *r)
{
	if (r->group != NULL && sill_rate_limit_states(r))
		set_limits(m, l, r);
}

int machine_plug(struct machine *m, const struct sill_device *d, struct sill_files *files,
		 struct sill_err *e)
{
	struct plugged *p = put_in(m, d, files, e);

	if (p == NULL)
		return -1;
	if (d->kind == SILL_DEVICE_DISK)
		tell_group(m, p->limits[0], &d->disk->rate_limit);
	if (d->kind == SILL_DEVICE_NET) {
		tell_group(m, p->limits[0], &d->net->rx_limit);
		tell_group(m, p->limits[1], &d->net->tx_limit);
	}
	if (m->pcihp == NULL)
		return 0;
	pcihp_added(m->pcihp, p->slot);
	wish_made(&m->wishes, &p->wish);
	return 0;
}

static void fix(struct machine *m, const struct plugged *p)
{
	if (m->pcihp != NULL && p != NULL)
		pcihp_fix(m->pcihp, p->slot);
}

struct plugging {
	struct machine *m;
	struct sill_files *files;
	bool with_slot; /* those that ask for one, or the others */
	struct sill_err *e;
};

static int plug_one(void *ctx, const struct sill_device *d)
{
	struct plugging *p = ctx;

	if ((sill_device_slot(d) != 0) != p->with_slot)
		return 0;
	return put_in(p->m, d, p->files, p->e) != NULL ? 0 : -1;
}

int machine_plug_all(struct machine *m, const struct sill_config *c, struct sill_files *files,
		     struct sill_err *e)
{
	struct plugging p = { .m = m, .files = files, .with_slot = true, .e = e };
	struct limits *groups[LIMITS_MAX] = { NULL };
	int ret;

	ret = limits_hold(m, c, groups, e);
	/* Slots that are asked for are taken before the others are handed out. */
	if (ret == 0)
		ret = sill_device_each(c, plug_one, &p);
	p.with_slot = false;
	if (ret == 0)
		ret = sill_device_each(c, plug_one, &p);
	if (ret == 0 && c->guest == SILL_GUEST_WINDOWS && c->disk_count != 0)
		fix(m, find(m, SILL_DEVICE_DISK, c->disk[0].id));
	for (size_t i = 0; i < LIMITS_MAX; i++)
		limits_put(m, groups[i]);
	return ret;
}

/* --- telling, and asking, the guest --------------------------------------- */

void machine_tell_added(struct machine *m, const struct sill_device *d)
{
	const struct plugged *p = find(m, d->kind, sill_device_id(d));
	struct sill_device_info info;

	if (p == NULL)
		return;
	info_of(m, p, 0, &info);
	tell(m, MACHINE_ADDED, &info, NULL);
}

static void set_asked(struct machine *m, struct plugged *p, bool asked)
{
	(void)pthread_mutex_lock(&m->mutex);
	p->asked = asked;
	(void)pthread_mutex_unlock(&m->mutex);
}

int machine_eject(struct machine *m, enum sill_device_kind kind, const char *id, struct sill_err *e)
{
	struct plugged *p = find(m, kind, id);

	if (p == NULL)
		return sill_err_set(e, SILL_ERR_STATE, "there is no device '%s'",
				    id != NULL ? id : device_type(kind));
	if (p->ticket != 0 || p->ejected)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is being taken out already",
				    p->dev->id);
	if (m->pcihp == NULL)
		return sill_err_set(e, SILL_ERR_STATE,
				    "'%s': this machine has no way to ask the guest for it",
				    p->dev->id);
	if ((pcihp_fixed(m->pcihp) >> p->slot & 1) != 0)
		return sill_err_set(e, SILL_ERR_STATE,
				    "'%s' is fixed in PCI slot %u while the machine runs",
				    p->dev->id, p->slot);
	set_asked(m, p, true);
	p->reads = 0;
	p->silent = false;
	pcihp_ask(m->pcihp, p->slot);
	wish_made(&m->wishes, &p->wish);
	return 0;
}

bool machine_next_ejected(struct machine *m, struct sill_device_info *ret)
{
	struct plugged *p = m->plugged;

	if (m->pcihp != NULL && pcihp_take_ejected(m->pcihp) != 0)
		m->ejects = true;
	/* Its slot may have another device by now: what counts is whether it is on the bus. */
	while (m->ejects && p != NULL &&
	       (p->dev == NULL || p->ejected || p->hidden ||
		pci_bus_has(m->pci, virtio_func(p->dev))))
		p = p->next;
	if (!m->ejects || p == NULL) {
		m->ejects = false;
		return false;
	}
	(void)pthread_mutex_lock(&m->mutex);
	p->ejected = true;
	(void)pthread_mutex_unlock(&m->mutex);
	if (p->ticket == 0)
		p->why = "ejected by the guest";
	info_of(m, p, 0, ret);
	return true;
}

bool machine_next_asked(struct machine *m, struct sill_device_info *ret)
{
	for (struct plugged *p = m->plugged; p != NULL; p = p->next) {
		if (p->dev == NULL || !p->asked || p->ticket != 0)
			continue;
		p->why = "taken out at a reset";
		info_of(m, p, 0, ret);
		return true;
	}
	return false;
}

void machine_hide(struct machine *m, const struct sill_device_info *d)
{
	struct plugged *p = find(m, d->kind, d->id);

	if (p == NULL || p->ejected || !pci_bus_has(m->pci, virtio_func(p->dev)))
		return;
	p->hidden = true;
	pci_bus_remove(m->pci, virtio_func(p->dev));
}

void machine_loaded(struct machine *m)
{
	const uint32_t asked = m->pcihp != NULL ? pcihp_asked(m->pcihp) : 0;

	(void)pthread_mutex_lock(&m->mutex);
	for (struct plugged *p = m->plugged; p != NULL; p = p->next)
		p->slot = virtio_func(p->dev)->slot;
	(void)pthread_mutex_unlock(&m->mutex);
	for (struct plugged *p = m->plugged; p != NULL; p = p->next) {
		if ((asked >> p->slot & 1) == 0)
			continue;
		set_asked(m, p, true);
		wish_made(&m->wishes, &p->wish);
	}
}

size_t machine_devices(struct machine *m, struct sill_device_info *ret, size_t room)
{
	const uint32_t fixed = m->pcihp != NULL ? pcihp_fixed(m->pcihp) : 0;
	const bool heard = m->pcihp != NULL && pcihp_heard(m->pcihp);
	size_t n = 0;

	(void)pthread_mutex_lock(&m->mutex);
	for (const struct plugged *p = m->plugged; p != NULL; p = p->next) {
		if (p->dev == NULL)
			continue;
		if (n < room) {
			info_of(m, p, fixed, &ret[n]);
			ret[n].heard = heard;
		}
		n++;
	}
	(void)pthread_mutex_unlock(&m->mutex);
	return n;
}

/* --- unplugging --------------------------------------------------------- */

int machine_unplug(struct machine *m, enum sill_device_kind kind, const char *id,
		   uint64_t *ret_ticket, struct sill_err *e)
{
	struct plugged *p = find(m, kind, id);

	if (p == NULL)
		return sill_err_set(e, SILL_ERR_STATE, "there is no device '%s'",
				    id != NULL ? id : device_type(kind));
	if (p->ticket != 0)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is being taken out already",
				    p->dev->id);
	(void)pthread_mutex_lock(&m->mutex);
	p->ticket = ++m->tickets;
	(void)pthread_mutex_unlock(&m->mutex);
	*ret_ticket = p->ticket;
	if (p->why == NULL)
		p->why = "taken out";
	wish_over(&m->wishes, &p->wish);
	dev_stop(p->dev);
	return 0;
}

bool machine_is_leaving(struct machine *m, uint64_t ticket)
{
	struct plugged *p;

	(void)pthread_mutex_lock(&m->mutex);
	p = m->plugged;
	while (p != NULL && (p->ticket == 0 || (ticket != 0 && p->ticket != ticket)))
		p = p->next;
	(void)pthread_mutex_unlock(&m->mutex);
	return p != NULL;
}

static bool at_rest(struct machine *m, const struct plugged *p)
{
	bool held;

	(void)pthread_mutex_lock(&m->mutex);
	held = p->users > 0;
	(void)pthread_mutex_unlock(&m->mutex);
	return p->ticket != 0 && !held && dev_drained(p->dev);
}

bool machine_can_let_go(struct machine *m)
{
	for (const struct plugged *p = m->plugged; p != NULL; p = p->next)
		if (p->ticket != 0 && at_rest(m, p))
			return true;
	return false;
}

/* It is in no list any more. */
static void forget(struct machine *m, struct plugged *p)
{
	limits_put(m, p->limits[0]);
	limits_put(m, p->limits[1]);
	wish_over(&m->wishes, &p->wish);
	free(p);
}

/* Other threads cannot find it from here on; the entry stays until all is given back. */
static struct dev *take_dev(struct machine *m, struct plugged *p)
{
	struct dev *d = p->dev;

	if (p->chr != NULL)
		(void)__atomic_add_fetch(&m->gone_written, chr_written(p->chr), __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&m->mutex);
	p->dev = NULL;
	(void)pthread_mutex_unlock(&m->mutex);
	return d;
}

void machine_let_go(struct machine *m)
{
	struct plugged **at = &m->plugged;
	struct sill_device_info info;

	while (*at != NULL) {
		struct plugged *p = *at;
		struct dev *d;

		if (!at_rest(m, p)) {
			at = &p->next;
			continue;
		}
		info_of(m, p, 0, &info);
		d = take_dev(m, p);
		virtio_fail_held(d);
		machine_remove_device(m, d);
		if (m->pcihp != NULL && !p->ejected && !p->hidden)
			pcihp_gone(m->pcihp, p->slot);
		(void)pthread_mutex_lock(&m->mutex);
		*at = p->next;
		(void)pthread_mutex_unlock(&m->mutex);
		tell(m, MACHINE_REMOVED, &info, p->why);
		forget(m, p);
	}
}

void machine_forget_plugged(struct machine *m)
{
	while (m->plugged != NULL) {
		struct plugged *p = m->plugged;

		m->plugged = p->next;
		forget(m, p);
	}
}

/* --- what others may ask ------------------------------------------------ */

/* Hold the first device behind @after, which is held and let go of; NULL: the first of all. */
static struct plugged *hold_next(struct machine *m, struct plugged *after)
{
	struct plugged *p;

	(void)pthread_mutex_lock(&m->mutex);
	p = after != NULL ? after->next : m->plugged;
	while (p != NULL && (p->dev == NULL || p->ticket != 0))
		p = p->next;
	if (p != NULL)
		p->users++;
	(void)pthread_mutex_unlock(&m->mutex);
	if (after != NULL)
		release(m, after);
	return p;
}

void machine_each(struct machine *m, machine_each_fn fn, void *ctx)
{
	for (struct plugged *p = hold_next(m, NULL); p != NULL; p = hold_next(m, p))
		fn(ctx, p->kind, p->dev);
}

int machine_disk_resize(struct machine *m, const char *id, uint64_t bytes, struct sill_err *e)
{
	struct plugged *p = hold(m, SILL_DEVICE_DISK, id);
	int ret;

	if (p == NULL)
		return sill_err_set(e, SILL_ERR_STATE, "there is no disk '%s'", id);
	ret = virtio_blk_resize(p->dev, bytes, e);
	release(m, p);
	return ret;
}

int machine_disks_sync(struct machine *m, struct sill_err *e)
{
	for (struct plugged *p = m->plugged; p != NULL; p = p->next)
		if (p->kind == SILL_DEVICE_DISK && p->dev != NULL && virtio_blk_sync(p->dev, e) < 0)
			return -1;
	return 0;
}

int machine_net_link(struct machine *m, const char *id, bool up, struct sill_err *e)
{
	struct plugged *p = hold(m, SILL_DEVICE_NET, id);

	if (p == NULL)
		return sill_err_set(e, SILL_ERR_STATE, "there is no network card '%s'", id);
	virtio_net_set_link(p->dev, up);
	release(m, p);
	return 0;
}

int machine_limit(struct machine *m, enum sill_device_kind kind, const char *id, unsigned which,
		  const struct sill_rate_limit *r, struct sill_err *e)
{
	const struct plugged *p = find(m, kind, id);

	if (p == NULL || p->ticket != 0)
		return sill_err_set(e, SILL_ERR_STATE, "there is no device '%s'", id);
	if (kind == SILL_DEVICE_NET && virtio_net_has_vhost(p->dev))
		return sill_err_set(
			e, SILL_ERR_STATE,
			"'%s': the kernel passes its frames (vhost-net), and has no limits", id);
	set_limits(m, p->limits[which], r);
	return 0;
}

void machine_memory_changed(struct machine *m)
{
	for (struct plugged *p = m->plugged; p != NULL; p = p->next)
		if (p->kind == SILL_DEVICE_NET && p->dev != NULL)
			virtio_net_memory_changed(p->dev);
}

int machine_net_renew(struct machine *m, const char *id, int fd, struct sill_err *e)
{
	struct plugged *p = hold(m, SILL_DEVICE_NET, id);
	int ret;

	if (p == NULL) {
		fd_close(&fd);
		return sill_err_set(e, SILL_ERR_STATE, "there is no network card '%s'", id);
	}
	ret = virtio_net_renew(p->dev, fd, e);
	release(m, p);
	return ret;
}

int machine_net_status(struct machine *m, const char *id, struct sill_net_status *ret,
		       struct sill_err *e)
{
	struct plugged *p = hold(m, SILL_DEVICE_NET, id);
	struct virtio_net_counters n;
	struct virtio_net_state s;

	if (p == NULL)
		return sill_err_set(e, SILL_ERR_STATE, "there is no network card '%s'", id);
	virtio_net_counters(p->dev, &n);
	virtio_net_look(p->dev, &s);
	release(m, p);
	*ret = (struct sill_net_status){
		.link = s.link,
		.driver = s.driver,
		.pairs = s.pairs,
		.max_pairs = s.max_pairs,
		.to_guest_frames = n.rx_frames,
		.to_guest_bytes = n.rx_bytes,
		.to_guest_dropped = n.rx_dropped,
		.from_guest_frames = n.tx_frames,
		.from_guest_bytes = n.tx_bytes,
		.from_guest_dropped = n.tx_dropped,
		.dhcp_answers = n.dhcp_answers,
		.lease_s = s.lease_s,
		.vhost = s.vhost,
		.vhost_queues = s.vhost_queues,
	};
	memcpy(ret->guest6, s.guest6, sizeof(ret->guest6));
	return 0;
}

bool machine_balloon_resize(struct machine *m, uint64_t bytes)
{
	struct plugged *p = hold(m, SILL_DEVICE_BALLOON, NULL);

	if (p == NULL)
		return false;
	virtio_balloon_resize(p->dev, bytes);
	release(m, p);
	return true;
}

bool machine_balloon(struct machine *m, struct virtio_balloon_state *ret)
{
	struct plugged *p = hold(m, SILL_DEVICE_BALLOON, NULL);

	if (p == NULL)
		return false;
	virtio_balloon_look(p->dev, ret);
	release(m, p);
	return true;
}

void machine_console_resize(struct machine *m, uint16_t cols, uint16_t rows)
{
	struct plugged *p = hold(m, SILL_DEVICE_CONSOLE, NULL);

	if (p == NULL)
		return;
	virtio_console_resize(p->dev, cols, rows);
	release(m, p);
}

uint64_t machine_console_written(struct machine *m)
{
	struct plugged *p = hold(m, SILL_DEVICE_CONSOLE, NULL);
	uint64_t n = __atomic_load_n(&m->gone_written, __ATOMIC_RELAXED);

	if (p == NULL)
		return n;
	n += chr_written(p->chr);
	release(m, p);
	return n;
}

struct chr *machine_console(const struct machine *m)
{
	const struct plugged *p = find(m, SILL_DEVICE_CONSOLE, NULL);

	return p != NULL ? p->chr : NULL;
}
