/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c - see map.h.
 *
 * How it works. A table is never changed once it is published, but for one
 * thing: a removed region loses its target in place, so that removing needs no
 * memory and cannot fail; the next table leaves the gap out.
 *
 * A reader stores the table it took from map->table into its own `using` and
 * looks at map->table again; a change stores the new table into map->table and
 * then looks at every `using`. All four are sequentially consistent, so either
 * the reader sees the new table and starts over, or the change sees the reader
 * and leaves the old table alone (hazard pointers). The same argument, with
 * `waiters` in place of `table`, lets map_quiesce() sleep: a reader that leaves
 * without seeing `waiters` has been seen leaving.
 *
 * A change may come from inside an access (a guest moves a BAR by writing
 * configuration space), so it waits for nobody, and needs no memory: each table
 * has room for all regions there may be, and there are two for the map and one
 * for each reader, who cannot keep more than one from being used again.
 */
#include "bus/map.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/lock.h"

struct slot {
	uint64_t base;
	uint64_t span;            /* size - 1: a region may end at the end of 64 bits */
	struct io_target *target; /* borrowed; atomic; NULL: removed */
	unsigned region;
	unsigned bell_count;
	const struct doorbell *bells; /* borrowed */
	uint64_t in_kernel;           /* under lock: bit n: the listener has bell n */
};

struct table {
	struct table *next; /* of the retired ones */
	unsigned count;
	struct slot slot[MAX_MAP_REGIONS];
};

struct map {
	struct table *table;                 /* owned; atomic */
	unsigned waiters;                    /* atomic; threads in map_quiesce() */
	uint64_t last;                       /* the highest address */
	const struct map_listener *listener; /* borrowed */

	/* Everything below is under lock. */
	struct lock lock;
	pthread_cond_t came_back; /* an awaited reader has */
	struct map_reader *readers;
	struct table *retired; /* owned; some reader may still use them */
	struct table *spare;   /* owned; a list of tables that nobody uses */
};

_Static_assert(MAX_DOORBELLS <= 64, "in_kernel has a bit per doorbell");

static struct io_target *slot_target(const struct slot *s)
{
	return __atomic_load_n(&s->target, __ATOMIC_SEQ_CST);
}

/* --- changes ------------------------------------------------------------ */

static bool in_use(const struct map *m, const struct table *t)
{
	for (const struct map_reader *r = m->readers; r != NULL; r = r->next)
		if (__atomic_load_n(&r->using, __ATOMIC_SEQ_CST) == t)
			return true;
	return false;
}

/* Retired tables that no reader uses any more are spare. */
static void collect(struct map *m)
{
	struct table **at = &m->retired;

	while (*at != NULL) {
		struct table *t = *at;

		if (in_use(m, t)) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		t->next = m->spare;
		m->spare = t;
	}
}

/* One more that is spare; false: no memory. Most of it is never touched. */
static bool table_add(struct map *m)
{
	struct table *t = malloc(sizeof(*t));

	if (t == NULL)
		return false;
	t->next = m->spare;
	m->spare = t;
	return true;
}

static void table_drop(struct map *m)
{
	struct table *t = m->spare;

	if (t == NULL)
		return;
	m->spare = t->next;
	free(t);
}

/* An empty table, or NULL: a reader came for whom there was no memory. */
static struct table *table_get(struct map *m)
{
	struct table *t;

	collect(m);
	t = m->spare;
	if (t == NULL)
		return NULL;
	m->spare = t->next;
	t->count = 0;
	t->next = NULL;
	return t;
}

/* What is still there of @from, without @except and with @extra, in order. */
static void table_fill(struct table *t, const struct table *from, const struct slot *except,
		       const struct slot *extra)
{
	for (unsigned i = 0; i < from->count; i++) {
		const struct slot *s = &from->slot[i];

		if (s == except || slot_target(s) == NULL)
			continue;
		if (extra != NULL && extra->base < s->base) {
			t->slot[t->count++] = *extra;
			extra = NULL;
		}
		t->slot[t->count++] = *s;
	}
	if (extra != NULL)
		t->slot[t->count++] = *extra;
	assert(t->count <= MAX_MAP_REGIONS);
}

static void publish(struct map *m, struct table *t)
{
	struct table *old = m->table;

	__atomic_store_n(&m->table, t, __ATOMIC_SEQ_CST);
	old->next = m->retired;
	m->retired = old;
	collect(m);
}

/* The region that has a byte of [base, base + span], other than @except; or NULL. */
static struct slot *overlapping(struct table *t, uint64_t base, uint64_t span,
				const struct slot *except)
{
	for (unsigned i = 0; i < t->count; i++) {
		struct slot *s = &t->slot[i];

		if (s != except && slot_target(s) != NULL && base <= s->base + s->span &&
		    s->base <= base + span)
			return s;
	}
	return NULL;
}

static struct slot *slot_of(struct table *t, const struct io_target *target, unsigned region)
{
	for (unsigned i = 0; i < t->count; i++)
		if (slot_target(&t->slot[i]) == target && t->slot[i].region == region)
			return &t->slot[i];
	return NULL;
}

static void bells_add(struct map *m, struct slot *s)
{
	const struct map_listener *l = m->listener;

	s->in_kernel = 0;
	if (l == NULL)
		return;
	/* One that the listener refuses is rung by the region's io(). */
	for (unsigned i = 0; i < s->bell_count; i++)
		if (l->bell_add(l->ctx, s->base + s->bells[i].off, &s->bells[i]) == 0)
			s->in_kernel |= 1ull << i;
}

static void bells_remove(struct map *m, const struct slot *s)
{
	const struct map_listener *l = m->listener;

	for (unsigned i = 0; i < s->bell_count; i++)
		if ((s->in_kernel >> i & 1) != 0)
			l->bell_remove(l->ctx, s->base + s->bells[i].off, &s->bells[i]);
}

/* @s may be put where it says: it lies in the map and nothing but @except is there. */
static int check_place(struct map *m, const struct slot *s, const struct slot *except,
		       struct sill_err *e)
{
	uint64_t last;
	const struct slot *other;

	if (__builtin_add_overflow(s->base, s->span, &last) || last > m->last)
		return sill_err_set(e, SILL_ERR_INTERNAL, "%s: 0x%llx+0x%llx is not in the map",
				    s->target->name, (unsigned long long)s->base,
				    (unsigned long long)s->span + 1);
	other = overlapping(m->table, s->base, s->span, except);
	if (other != NULL)
		return sill_err_set(e, SILL_ERR_INTERNAL, "%s: %s is already at 0x%llx",
				    s->target->name, slot_target(other)->name,
				    (unsigned long long)other->base);
	return 0;
}

static int add_locked(struct map *m, const struct slot *s, struct sill_err *e)
{
	unsigned live = 0;
	struct table *t;

	if (check_place(m, s, NULL, e) < 0)
		return -1;
	for (unsigned i = 0; i < m->table->count; i++)
		live += slot_target(&m->table->slot[i]) != NULL;
	if (live >= MAX_MAP_REGIONS)
		return sill_err_set(e, SILL_ERR_LIMIT, "%s: the map has %d regions already",
				    s->target->name, MAX_MAP_REGIONS);
	t = table_get(m);
	if (t == NULL)
		return sill_err_sys(e, ENOMEM, "%s", s->target->name);
	table_fill(t, m->table, NULL, s);
	publish(m, t);
	bells_add(m, slot_of(t, s->target, s->region));
	return 0;
}

int map_add(struct map *m, const struct map_region *r, struct sill_err *e)
{
	const struct slot s = {
		.base = r->base,
		.span = r->size - 1,
		.target = r->target,
		.region = r->region,
		.bells = r->bells,
		.bell_count = r->bell_count,
	};
	int ret;

	assert(r->bell_count <= MAX_DOORBELLS);
	if (r->size == 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "%s: a region of no bytes",
				    r->target->name);
	lock_take(&m->lock);
	if (slot_of(m->table, r->target, r->region) != NULL)
		ret = sill_err_set(e, SILL_ERR_INTERNAL, "%s: region %u is mapped already",
				   r->target->name, r->region);
	else
		ret = add_locked(m, &s, e);
	lock_drop(&m->lock);
	return ret;
}

bool map_remove(struct map *m, const struct io_target *target, unsigned region)
{
	struct slot *s;

	lock_take(&m->lock);
	s = slot_of(m->table, target, region);
	if (s != NULL) {
		bells_remove(m, s);
		__atomic_store_n(&s->target, NULL, __ATOMIC_SEQ_CST);
	}
	lock_drop(&m->lock);
	return s != NULL;
}

static int move_locked(struct map *m, struct slot *was, uint64_t base, struct sill_err *e)
{
	struct slot s = *was;
	struct table *t;

	s.base = base;
	s.in_kernel = 0;
	if (check_place(m, &s, was, e) < 0)
		return -1;
	t = table_get(m);
	if (t == NULL)
		return sill_err_sys(e, ENOMEM, "%s", s.target->name);
	table_fill(t, m->table, was, &s);
	s = *was; /* the old table may be gone after this */
	publish(m, t);
	bells_remove(m, &s);
	bells_add(m, slot_of(t, s.target, s.region));
	return 0;
}

int map_move(struct map *m, const struct io_target *target, unsigned region, uint64_t base,
	     struct sill_err *e)
{
	struct slot *s;
	int ret = 0;

	lock_take(&m->lock);
	s = slot_of(m->table, target, region);
	if (s == NULL)
		ret = sill_err_set(e, SILL_ERR_INTERNAL, "%s: region %u is not mapped",
				   target->name, region);
	else if (s->base != base)
		ret = move_locked(m, s, base, e);
	lock_drop(&m->lock);
	return ret;
}

/* --- readers ------------------------------------------------------------ */

void map_reader_add(struct map *m, struct map_reader *r)
{
	lock_take(&m->lock);
	*r = (struct map_reader){ .next = m->readers };
	m->readers = r;
	(void)table_add(m); /* without it changes may fail, at worst */
	lock_drop(&m->lock);
}

void map_reader_remove(struct map *m, struct map_reader *r)
{
	struct map_reader **at = &m->readers;

	assert(r->using == NULL);
	lock_take(&m->lock);
	while (*at != NULL && *at != r)
		at = &(*at)->next;
	if (*at == r) {
		*at = r->next;
		collect(m);
		table_drop(m);
	}
	lock_drop(&m->lock);
}

static const struct table *enter(const struct map *m, struct map_reader *r)
{
	const struct table *t = __atomic_load_n(&m->table, __ATOMIC_RELAXED);
	const struct table *again;

	assert(r->using == NULL); /* an access does not make another one */
	for (;;) {
		__atomic_store_n(&r->using, t, __ATOMIC_SEQ_CST);
		again = __atomic_load_n(&m->table, __ATOMIC_SEQ_CST);
		if (again == t)
			return t;
		t = again;
	}
}

static void tell_waiters(struct map *m, struct map_reader *r)
{
	lock_take(&m->lock);
	r->awaited = false;
	(void)pthread_cond_broadcast(&m->came_back);
	lock_drop(&m->lock);
}

static void leave(struct map *m, struct map_reader *r)
{
	__atomic_store_n(&r->using, NULL, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&m->waiters, __ATOMIC_SEQ_CST) != 0)
		tell_waiters(m, r);
}

static bool any_awaited(const struct map *m)
{
	for (const struct map_reader *r = m->readers; r != NULL; r = r->next)
		if (r->awaited)
			return true;
	return false;
}

void map_quiesce(struct map *m)
{
	lock_take(&m->lock);
	(void)__atomic_add_fetch(&m->waiters, 1, __ATOMIC_SEQ_CST);
	for (struct map_reader *r = m->readers; r != NULL; r = r->next)
		if (__atomic_load_n(&r->using, __ATOMIC_SEQ_CST) != NULL)
			r->awaited = true;
	while (any_awaited(m))
		lock_wait(&m->lock, &m->came_back);
	(void)__atomic_sub_fetch(&m->waiters, 1, __ATOMIC_SEQ_CST);
	collect(m);
	lock_drop(&m->lock);
}

/* --- accesses ----------------------------------------------------------- */

/* The last region that begins at @addr or below, or NULL. The guest mostly asks for the same one. */
static inline const struct slot *find(const struct table *t, struct map_reader *r, uint64_t addr)
{
	unsigned at = r->last_hit, n = t->count;

	if (at < n && addr - t->slot[at].base <= t->slot[at].span)
		return &t->slot[at];
	at = 0; /* slots below `at` begin at @addr or below, those from at + n on above it */
	while (n > 0) {
		unsigned half = n / 2;

		if (t->slot[at + half].base <= addr) {
			at += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	if (at == 0)
		return NULL;
	r->last_hit = at - 1;
	return &t->slot[at - 1];
}

/* A plain copy of a size that the compiler knows. */
static inline void copy(void *dst, const void *src, size_t n)
{
	switch (n) {
	case 1:
		memcpy(dst, src, 1);
		break;
	case 2:
		memcpy(dst, src, 2);
		break;
	case 4:
		memcpy(dst, src, 4);
		break;
	default:
		memcpy(dst, src, 8);
		break;
	}
}

/* @io lies in @s whole. False when the region is gone. */
static inline bool access_one(const struct slot *s, struct io *io)
{
	struct io_target *t = slot_target(s);

	if (t == NULL)
		return false;
	if (t->io(t->ctx, s->region, io) != IO_DONE) {
		(void)__atomic_add_fetch(&t->guest_errors, 1, __ATOMIC_RELAXED);
		io->val = ~0ull;
	}
	return true;
}

/* The guest's bytes of an access that is split. */
struct bytes {
	const uint8_t *in; /* NULL for a read */
	uint8_t *out;      /* NULL for a write */
	size_t n;
};

/* Byte by byte, each answered by whoever is there. */
static bool access_bytes(const struct table *t, struct map_reader *r, uint64_t addr,
			 const struct bytes *b)
{
	bool any = false;

	for (size_t i = 0; i < b->n && addr + i >= addr; i++) {
		const struct slot *s = find(t, r, addr + i);
		struct io io = { .size = 1, .write = b->in != NULL };

		if (s == NULL || addr + i - s->base > s->span)
			continue;
		io.off = addr + i - s->base;
		if (b->in != NULL)
			io.val = b->in[i];
		if (!access_one(s, &io))
			continue;
		any = true;
		if (b->out != NULL)
			b->out[i] = (uint8_t)io.val;
	}
	return any;
}

static inline bool is_io_size(size_t n)
{
	return n == 1 || n == 2 || n == 4 || n == 8;
}

/* The region that takes an access of @n bytes whole, or NULL. */
static inline const struct slot *find_whole(const struct table *t, struct map_reader *r,
					    uint64_t addr, size_t n)
{
	const struct slot *s;

	if (!is_io_size(n))
		return NULL;
	s = find(t, r, addr);
	if (s == NULL || addr - s->base > s->span || n - 1 > s->span - (addr - s->base))
		return NULL;
	return s;
}

bool map_read(struct map *m, struct map_reader *r, uint64_t addr, void *data, size_t n)
{
	const struct table *t = enter(m, r);
	const struct slot *s = find_whole(t, r, addr, n);
	bool any;

	if (s != NULL) {
		struct io io = { .off = addr - s->base, .size = (uint8_t)n };

		any = access_one(s, &io);
		if (!any)
			io.val = ~0ull;
		copy(data, &io.val, n);
	} else {
		memset(data, 0xff, n);
		any = access_bytes(t, r, addr, &(struct bytes){ .out = data, .n = n });
	}
	leave(m, r);
	return any;
}

bool map_write(struct map *m, struct map_reader *r, uint64_t addr, const void *data, size_t n)
{
	const struct table *t = enter(m, r);
	const struct slot *s = find_whole(t, r, addr, n);
	bool any;

	if (s != NULL) {
		struct io io = { .off = addr - s->base, .size = (uint8_t)n, .write = true };

		copy(&io.val, data, n);
		any = access_one(s, &io);
	} else {
		any = access_bytes(t, r, addr, &(struct bytes){ .in = data, .n = n });
	}
	leave(m, r);
	return any;
}

/* --- life --------------------------------------------------------------- */

struct map *map_create(uint64_t limit, const struct map_listener *l, struct sill_err *e)
{
	struct map *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		(void)sill_err_sys(e, ENOMEM, "address map");
		return NULL;
	}
	m->last = limit - 1;
	m->listener = l;
	lock_init(&m->lock, RANK_MAP);
	(void)pthread_cond_init(&m->came_back, NULL);
	if (table_add(m) && table_add(m))
		m->table = table_get(m);
	if (m->table == NULL) {
		(void)sill_err_sys(e, ENOMEM, "address map");
		map_destroy(m);
		return NULL;
	}
	return m;
}

void map_destroy(struct map *m)
{
	if (m == NULL)
		return;
	assert(m->readers == NULL);
	collect(m);
	while (m->spare != NULL)
		table_drop(m);
	free(m->table);
	(void)pthread_cond_destroy(&m->came_back);
	lock_fini(&m->lock);
	free(m);
}
