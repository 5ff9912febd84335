/* SPDX-License-Identifier: Apache-2.0 */
/* ready.c - see ready.h. */
#include "runner/ready/ready.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/console/conlink.h"
#include "runner/host/clock.h"
#include "runner/host/worker.h"
#include "runner/ready/sign.h"
#include "runner/report/json.h"

/* Between two tries: a guest that has just begun is asked more often than one whose time is over. */
enum { PAUSE_MS = 100, PAUSE_MAX_MS = 1000, PAUSE_PART = 20, LATE_MS = 5000 };

/* A sign, as far as it was seen. */
struct seen {
	bool there, late;
	uint64_t from_ms; /* when its time began */
	uint64_t at_ms;   /* there: when it came */
	uint64_t next_ms; /* the thread's: when it is asked again */
	unsigned tries;
	char what[SIGN_WHAT];
};

struct ready {
	struct sill_config c; /* owned */
	struct ready_wish wish;
	pthread_t thread; /* looks: there is one, as long as there are signs */
	bool looks;
	int wake;         /* owned: an eventfd, of both: */
	atomic_bool stop; /* nobody wants to know any more */
	atomic_bool anew; /* the guest begins anew */
	uint64_t within[SILL_MAX_READY];
	/* The thread's alone. */
	struct conlink link;
	struct conlink_user user;
	struct sign_text text;
	int serial; /* owned; -1: not connected */
	bool later; /* the guest has begun anew: what the port has kept is of before */
	bool old;   /* so is what comes now */
	uint64_t connect_ms;

	pthread_mutex_t mutex; /* what is below; a leaf */
	struct seen seen[SILL_MAX_READY];
	uint64_t start_ms;
	bool all;
	uint64_t all_ms; /* all: when the last came */
};

static bool is_serial(const struct ready *r, unsigned i)
{
	return r->c.ready[i].serial != NULL;
}

/* ---- what was seen ---- */

static void note(struct ready *r, unsigned i, bool there, const char *what)
{
	(void)pthread_mutex_lock(&r->mutex);
	r->seen[i].tries++;
	r->seen[i].there = there;
	if (there)
		r->seen[i].at_ms = clock_ms();
	(void)snprintf(r->seen[i].what, sizeof(r->seen[i].what), "%s", what);
	(void)pthread_mutex_unlock(&r->mutex);
}

/* Have all come, or has the time of one gone by? Each is told once. */
static void judge(struct ready *r)
{
	const uint64_t now = clock_ms();
	char name[SIGN_NAME];
	bool all = true, told = r->all;

	for (unsigned i = 0; i < r->c.ready_count; i++) {
		const struct seen *s = &r->seen[i];
		const bool late = !s->there && !s->late && now - s->from_ms >= r->within[i];

		all &= s->there;
		if (!late)
			continue;
		(void)pthread_mutex_lock(&r->mutex);
		r->seen[i].late = true;
		(void)pthread_mutex_unlock(&r->mutex);
		(void)sign_name(&r->c.ready[i], name);
		events_add(r->wish.events, "vm", "not-ready", json_pack("{s:s}", "sign", name));
		if (r->wish.late != NULL)
			r->wish.late(r->wish.ctx, name);
	}
	if (!all || told)
		return;
	(void)pthread_mutex_lock(&r->mutex);
	r->all = true;
	r->all_ms = now;
	(void)pthread_mutex_unlock(&r->mutex);
	events_add(r->wish.events, "vm", "ready",
		   json_pack("{s:f}", "seconds", (double)(now - r->start_ms) / 1000));
	if (r->wish.all != NULL)
		r->wish.all(r->wish.ctx, now - r->start_ms);
}

/* A guest that resets itself while it comes up has no more time for that. */
static void begin_anew(struct ready *r)
{
	const uint64_t now = clock_ms();

	(void)pthread_mutex_lock(&r->mutex);
	if (r->all)
		r->start_ms = now;
	for (unsigned i = 0; i < r->c.ready_count; i++)
		r->seen[i] = (struct seen){ .late = !r->all && r->seen[i].late,
					    .from_ms = r->all ? now : r->seen[i].from_ms,
					    .next_ms = now };
	r->all = false;
	(void)pthread_mutex_unlock(&r->mutex);
	r->text.n = 0;
	r->later = true;
}

/* ---- the serial line ---- */

/* Is a text missing? */
static bool wants_serial(const struct ready *r)
{
	for (unsigned i = 0; i < r->c.ready_count; i++)
		if (is_serial(r, i) && !r->seen[i].there)
			return true;
	return false;
}

static void on_output(void *ctx, const uint8_t *p, size_t n)
{
	struct ready *r = ctx;

	if (r->old || !wants_serial(r))
		return;
	for (size_t at = 0; at < n; at += SIGN_PIECE) {
		const size_t left = n - at;

		sign_take(&r->text, p + at, left < SIGN_PIECE ? left : SIGN_PIECE);
		for (unsigned i = 0; i < r->c.ready_count; i++)
			if (is_serial(r, i) && !r->seen[i].there &&
			    sign_has(&r->text, r->c.ready[i].serial))
				note(r, i, true, "");
	}
}

static void on_lost(void *ctx, uint64_t n)
{
	struct ready *r = ctx;

	(void)n;
	r->text.n = 0;
}

static void on_live(void *ctx)
{
	struct ready *r = ctx;

	r->old = false;
}

static void note_serial(struct ready *r, const char *what)
{
	for (unsigned i = 0; i < r->c.ready_count; i++)
		if (is_serial(r, i) && !r->seen[i].there)
			note(r, i, false, what);
}

static void hang_up(struct ready *r)
{
	if (r->serial >= 0)
		(void)close(r->serial);
	r->serial = -1;
	r->text.n = 0;
}

/* Connected for as long as the VM runs: what a guest writes first when it begins anew is not to be missed. */
static void attend(struct ready *r)
{
	struct sill_err e = { 0 };

	if (!wants_serial(r) || r->serial >= 0 || clock_ms() < r->connect_ms)
		return;
	r->connect_ms = clock_ms() + PAUSE_MAX_MS;
	if (r->c.serial.mode != SILL_CHAR_SOCKET) {
		note_serial(r, "the port has the terminal: only a VM in the background is seen");
		return;
	}
	conlink_init(&r->link, &r->user);
	r->serial = conlink_connect(&r->link, r->c.serial.path, SILL_PORT_SERIAL,
				    SILL_CONSOLE_FROM_ALL, &e);
	r->old = r->later;
	note_serial(r, r->serial >= 0 ? "the guest has not written it" : e.msg);
}

static void take_serial(struct ready *r)
{
	uint8_t data[SIGN_PIECE];
	const ssize_t n = recv(r->serial, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || conlink_take(&r->link, data, (size_t)n) < 0)
		hang_up(r);
}

/* ---- the thread ---- */

static uint64_t pause_of(const struct ready *r, unsigned i)
{
	const uint64_t age = (clock_ms() - r->seen[i].from_ms) / PAUSE_PART;

	if (r->seen[i].late)
		return LATE_MS;
	return age < PAUSE_MS ? PAUSE_MS : age > PAUSE_MAX_MS ? PAUSE_MAX_MS : age;
}

/* Ask for one that is due: the others wait for no more than that. */
static void ask_next(struct ready *r)
{
	char what[SIGN_WHAT];
	unsigned next = r->c.ready_count;
	bool there;

	for (unsigned i = 0; i < r->c.ready_count; i++)
		if (!is_serial(r, i) && !r->seen[i].there && r->seen[i].next_ms <= clock_ms() &&
		    (next == r->c.ready_count || r->seen[i].next_ms < r->seen[next].next_ms))
			next = i;
	if (next == r->c.ready_count)
		return;
	there = sign_try(&r->c, &r->c.ready[next], &r->wake, what);
	if (atomic_load(&r->anew))
		return; /* it was the guest before */
	note(r, next, there, what);
	r->seen[next].next_ms = clock_ms() + pause_of(r, next);
}

/* How long there is nothing to do, in ms; -1: until somebody wants something. */
static int time_left(const struct ready *r)
{
	const uint64_t now = clock_ms();
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < r->c.ready_count; i++) {
		const struct seen *s = &r->seen[i];
		const uint64_t late = s->late ? UINT64_MAX : s->from_ms + r->within[i],
			       again = !is_serial(r, i) ? s->next_ms
				       : r->serial < 0  ? r->connect_ms
							: UINT64_MAX,
			       due = late < again ? late : again;

		if (!s->there && due < next)
			next = due;
	}
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now);
}

static void *watch(void *arg)
{
	struct ready *r = arg;
	uint64_t count;

	while (!atomic_load(&r->stop)) {
		struct pollfd p[] = { { .fd = r->wake, .events = POLLIN },
				      { .fd = r->serial, .events = POLLIN } };

		if (poll(p, 2, time_left(r)) < 0 && errno != EINTR)
			break;
		if ((p[0].revents & POLLIN) != 0 && !atomic_load(&r->stop)) {
			(void)!read(r->wake, &count, sizeof(count));
			if (atomic_exchange(&r->anew, false))
				begin_anew(r);
		}
		if (p[1].revents != 0)
			take_serial(r);
		attend(r);
		ask_next(r);
		judge(r);
	}
	hang_up(r);
	return NULL;
}

static void wake(struct ready *r)
{
	const uint64_t one = 1;

	(void)!write(r->wake, &one, sizeof(one));
}

static int begin(struct ready *r, struct sill_err *e)
{
	if (r->c.ready_count == 0)
		return 0;
	atomic_store(&r->stop, false);
	r->looks = worker_start(&r->thread, watch, r, "the thread for ready", e) == 0;
	return r->looks ? 0 : -1;
}

static void halt(struct ready *r)
{
	if (!r->looks)
		return;
	atomic_store(&r->stop, true);
	wake(r);
	(void)pthread_join(r->thread, NULL);
	r->looks = false;
}

struct ready *ready_start(const struct sill_config *c, const struct ready_wish *w,
			  struct sill_err *e)
{
	struct ready *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		(void)sill_err_sys(e, ENOMEM, "the signs that the guest is up");
		return NULL;
	}
	r->wish = *w;
	r->user = (struct conlink_user){
		.output = on_output, .lost = on_lost, .live = on_live, .ctx = r
	};
	r->serial = -1;
	r->start_ms = clock_ms();
	(void)pthread_mutex_init(&r->mutex, NULL);
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake < 0)
		(void)sill_err_sys(e, errno, "the signs that the guest is up");
	else if (sill_config_copy(&r->c, c, e) == 0) {
		for (unsigned i = 0; i < r->c.ready_count; i++) {
			r->within[i] = sign_within(&r->c.ready[i]);
			r->seen[i].from_ms = r->start_ms;
		}
		if (begin(r, e) == 0)
			return r;
	}
	sill_config_free(&r->c);
	if (r->wake >= 0)
		(void)close(r->wake);
	(void)pthread_mutex_destroy(&r->mutex);
	free(r);
	return NULL;
}

static bool is_same(const struct sill_ready_config *a, const struct sill_ready_config *b)
{
	char x[SIGN_NAME], y[SIGN_NAME];

	if (a->serial != NULL && b->serial != NULL)
		return strcmp(a->serial, b->serial) == 0; /* a name has not all of it */
	return strcmp(sign_name(a, x), sign_name(b, y)) == 0;
}

/* Of the signs of @c, what was seen of those that are the same. With the mutex; nobody looks. */
static void take_over(struct ready *r, const struct sill_config *c)
{
	const uint64_t now = clock_ms();
	struct seen seen[SILL_MAX_READY] = { 0 };
	bool missing = false;

	for (unsigned i = 0; i < c->ready_count; i++) {
		struct seen *s = &seen[i];

		s->from_ms = now;
		for (unsigned j = 0; j < r->c.ready_count; j++)
			if (is_same(&c->ready[i], &r->c.ready[j]))
				*s = r->seen[j];
		r->within[i] = sign_within(&c->ready[i]);
		s->late = s->late && now - s->from_ms >= r->within[i];
		s->next_ms = now;
		missing |= !s->there;
	}
	/* It was ready, and is not any more: that begins now. */
	if (missing && (r->all || r->c.ready_count == 0))
		r->start_ms = now;
	r->all = r->all && !missing && c->ready_count > 0;
	memcpy(r->seen, seen, sizeof(seen));
	r->connect_ms = 0;
}

int ready_set(struct ready *r, const struct sill_config *c, struct sill_err *e)
{
	struct sill_config copy, old;

	if (sill_config_copy(&copy, c, e) < 0)
		return -1;
	halt(r);
	(void)pthread_mutex_lock(&r->mutex);
	take_over(r, &copy);
	old = r->c;
	r->c = copy;
	(void)pthread_mutex_unlock(&r->mutex);
	sill_config_free(&old);
	if (begin(r, e) < 0)
		return -1;
	wake(r); /* all may be there already */
	return 0;
}

void ready_again(struct ready *r)
{
	atomic_store(&r->anew, true);
	wake(r);
}

static json_t *seconds(bool known, uint64_t ms)
{
	return known ? json_real((double)ms / 1000) : json_null();
}

json_t *ready_json(struct ready *r)
{
	json_t *signs = json_array(), *o;

	(void)pthread_mutex_lock(&r->mutex);
	for (unsigned i = 0; i < r->c.ready_count; i++) {
		const struct seen *s = &r->seen[i];
		const char *hint = r->c.ready[i].hint;
		char name[SIGN_NAME];

		(void)json_array_append_new(
			signs, json_pack("{s:o,s:b,s:b,s:o,s:f,s:i,s:o,s:o}", "sign",
					 json_text(sign_name(&r->c.ready[i], name)), "ready",
					 s->there, "late", s->late, "seconds",
					 seconds(s->there, s->at_ms - s->from_ms), "within_seconds",
					 (double)r->within[i] / 1000, "tries", (int)s->tries,
					 "last", json_text(s->what), "hint",
					 hint != NULL ? json_text(hint) : json_null()));
	}
	o = json_pack("{s:b,s:o,s:o}", "ready", r->all || r->c.ready_count == 0, "seconds",
		      seconds(r->all, r->all_ms - r->start_ms), "signs", signs);
	(void)pthread_mutex_unlock(&r->mutex);
	return o;
}

void ready_stop(struct ready *r)
{
	if (r == NULL)
		return;
	halt(r);
	sill_config_free(&r->c);
	(void)close(r->wake);
	(void)pthread_mutex_destroy(&r->mutex);
	free(r);
}
