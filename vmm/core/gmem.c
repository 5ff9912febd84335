/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem.c - guest memory as a small sorted table of regions.
 *
 * The table is immutable: add and remove build a new one and swap the pointer,
 * so accesses take no lock. A removed region's host memory may be given back
 * only when no access can be inside it: accesses and spans are counted. There
 * are many counters, each in a cache line of its own, and a thread keeps to
 * one, so that queues do not wait for each other's caches.
 *
 * Each counter is two, one for each epoch (as in sleepable RCU). A removal
 *   1. swaps the table,
 *   2. waits until nobody is counted in the epoch that is not the current one:
 *      late comers, which read the number of the epoch before it last changed,
 *   3. changes the epoch, so that whoever comes is counted in the other,
 *   4. waits until nobody is counted in the one that was current.
 * Who is counted after a look at its counter was counted after the swap, and
 * so finds the new table. Neither wait can be held up by who comes later, and
 * both are only looked at: by gmem_poll(), when a counter that is waited for
 * has come to zero. Tables from before the swap go with the region.
 */
#include "core/gmem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/limits.h"
#include "core/ram.h"

/*
 * Between two threads' accesses to the same byte stands the guest, which
 * ThreadSanitizer does not see. One counter that every access takes part in
 * tells it of an order, at the price of what many counters are for.
 */
#ifdef __SANITIZE_THREAD__
enum { STRIPES = 1, HOLDS = 0 };
#else
enum { STRIPES = 64, HOLDS = 1 }; /* more threads than that share */
#endif

enum { EPOCHS = 2, NONE = EPOCHS };

struct stripe {
	_Alignas(64) unsigned busy[EPOCHS]; /* atomic: spans and accesses under way */
};

struct region {
	gpa_t gpa;
	uint64_t size;
	uint8_t *hva;
	enum gmem_kind kind;
	unsigned slot;
	int fd;        /* borrowed: of the file that it is shared as; -1: it is private */
	uint64_t off;  /* in that */
	uint64_t page; /* bytes that go back to the host at once; 0: none do */
};

struct table {
	struct table *older; /* owned: kept until nobody can be looking at it */
	uint64_t id;         /* no two tables have had the same */
	/* It came with a removal that waits. */
	struct table *next_removal; /* borrowed */
	void (*done)(void *ctx);
	void *ctx;
	unsigned count;
	struct region region[];
};

struct gmem {
	const struct gmem_listener *listener;
	struct table *table; /* atomic */
	unsigned epoch;      /* atomic: in which accesses are counted */
	unsigned awaited;    /* atomic: the epoch that a removal waits for, or NONE */
	uint64_t slots;      /* bit per KVM slot in use */
	void (*wake)(void *ctx);
	void *wake_ctx;
	struct table *removals; /* borrowed: the tables of those that wait, in order */
	bool late;              /* the first waits for late comers, and has not changed the epoch */
	struct stripe stripe[STRIPES];
};

/* This thread's. */
static _Thread_local struct {
	unsigned stripe; /* 0: none yet */
	const struct gmem *held;
	unsigned *held_count;
	/* Where its last access was, which nearly always is where the next one is. */
	uint64_t table; /* its id; 0: none */
	struct region last;
} self;

static struct table *table_new(unsigned count)
{
	static uint64_t tables;
	struct table *t = calloc(1, sizeof(*t) + count * sizeof(t->region[0]));

	if (t != NULL) {
		t->id = __atomic_add_fetch(&tables, 1, __ATOMIC_RELAXED);
		t->count = count;
	}
	return t;
}

struct gmem *gmem_create(const struct gmem_listener *l, struct sill_err *e)
{
	struct gmem *m = aligned_alloc(_Alignof(struct gmem), sizeof(*m));

	if (m != NULL) {
		*m = (struct gmem){ 0 };
		m->awaited = NONE;
		m->table = table_new(0);
	}
	if (m == NULL || m->table == NULL) {
		(void)sill_err_sys(e, ENOMEM, "guest memory table");
		free(m);
		return NULL;
	}
	m->listener = l;
	return m;
}

static void tables_free(struct table *t)
{
	struct table *older;

	for (; t != NULL; t = older) {
		older = t->older;
		free(t);
	}
}

void gmem_destroy(struct gmem *m)
{
	if (m == NULL)
		return;
	tables_free(m->table);
	free(m);
}

void gmem_set_wake(struct gmem *m, void (*wake)(void *ctx), void *ctx)
{
	m->wake = wake;
	m->wake_ctx = ctx;
}

static void publish(struct gmem *m, struct table *t)
{
	t->older = m->table;
	__atomic_store_n(&m->table, t, __ATOMIC_SEQ_CST);
}

static void await(struct gmem *m, unsigned epoch)
{
	__atomic_store_n(&m->awaited, epoch, __ATOMIC_SEQ_CST);
}

/* The first of the removals begins to wait. */
static void await_late(struct gmem *m)
{
	m->late = true;
	await(m, 1 - m->epoch);
}

/* Nobody is counted in the epoch that is waited for. */
static bool is_empty(const struct gmem *m)
{
	for (unsigned i = 0; i < STRIPES; i++)
		if (__atomic_load_n(&m->stripe[i].busy[m->awaited], __ATOMIC_SEQ_CST) != 0)
			return false;
	return true;
}

void gmem_poll(struct gmem *m)
{
	while (m->removals != NULL && is_empty(m)) {
		struct table *t = m->removals;

		if (m->late) {
			m->late = false;
			__atomic_store_n(&m->epoch, m->awaited, __ATOMIC_SEQ_CST);
			await(m, 1 - m->epoch);
			continue;
		}
		m->removals = t->next_removal;
		tables_free(t->older); /* who looked at one of these has left */
		t->older = NULL;
		if (m->removals != NULL)
			await_late(m);
		else
			await(m, NONE);
		t->done(t->ctx); /* may remove, too */
	}
}

static int add(struct gmem *m, const struct region *r, struct sill_err *e)
{
	struct table *old = m->table, *t;
	const gpa_t gpa = r->gpa;
	uint64_t end;
	unsigned at = 0, slot = 0;

	if (r->size == 0 || (gpa | r->size | (uintptr_t)r->hva) % 4096 != 0 ||
	    __builtin_add_overflow(gpa, r->size, &end))
		return sill_err_set(e, SILL_ERR_INTERNAL, "guest memory is not page-aligned");
	while (at < old->count && old->region[at].gpa < gpa)
		at++;
	if ((at > 0 && old->region[at - 1].gpa + old->region[at - 1].size > gpa) ||
	    (at < old->count && old->region[at].gpa < end))
		return sill_err_set(e, SILL_ERR_INTERNAL, "guest memory overlaps at 0x%llx",
				    (unsigned long long)gpa);
	while (slot < MAX_GMEM_REGIONS && (m->slots >> slot & 1) != 0)
		slot++;
	if (slot == MAX_GMEM_REGIONS)
		return sill_err_set(e, SILL_ERR_LIMIT, "more than %d pieces of guest memory",
				    MAX_GMEM_REGIONS);

	t = table_new(old->count + 1);
	if (t == NULL)
		return sill_err_sys(e, ENOMEM, "guest memory table");
	memcpy(t->region, old->region, at * sizeof(t->region[0]));
	t->region[at] = *r;
	t->region[at].slot = slot;
	memcpy(t->region + at + 1, old->region + at, (old->count - at) * sizeof(t->region[0]));
	if (m->listener != NULL && m->listener->map(m->listener->ctx, slot, gpa, r->size, r->hva,
						    r->kind == GMEM_ROM, e) < 0) {
		free(t);
		return -1;
	}
	m->slots |= 1ull << slot;
	publish(m, t);
	return 0;
}

int gmem_add(struct gmem *m, gpa_t gpa, size_t size, void *hva, enum gmem_kind kind,
	     struct sill_err *e)
{
	const struct region r = { .gpa = gpa, .size = size, .hva = hva, .kind = kind, .fd = -1 };

	return add(m, &r, e);
}

int gmem_add_ram(struct gmem *m, gpa_t gpa, const struct ram *ram, uint64_t off, uint64_t size,
		 struct sill_err *e)
{
	const struct region r = { .gpa = gpa,
				  .size = size,
				  .hva = ram->hva + off,
				  .kind = GMEM_RAM,
				  .fd = ram->fd,
				  .off = off,
				  .page = ram->page };

	assert(off <= ram->size && size <= ram->size - off);
	return add(m, &r, e);
}

int gmem_remove(struct gmem *m, gpa_t gpa, void (*done)(void *ctx), void *ctx, struct sill_err *e)
{
	struct table *old = m->table, *t, **last = &m->removals;
	unsigned at = 0;

	while (at < old->count && old->region[at].gpa != gpa)
		at++;
	assert(at < old->count && self.held != m);
	t = table_new(old->count - 1);
	if (t == NULL)
		return sill_err_sys(e, ENOMEM, "guest memory table");
	t->done = done;
	t->ctx = ctx;
	memcpy(t->region, old->region, at * sizeof(t->region[0]));
	memcpy(t->region + at, old->region + at + 1, (old->count - at - 1) * sizeof(t->region[0]));
	if (m->listener != NULL)
		m->listener->unmap(m->listener->ctx, old->region[at].slot);
	m->slots &= ~(1ull << old->region[at].slot);
	publish(m, t);
	while (*last != NULL)
		last = &(*last)->next_removal;
	*last = t;
	if (m->removals == t)
		await_late(m);
	gmem_poll(m);
	return 0;
}

int gmem_show(struct gmem *m, gpa_t gpa, bool shown, struct sill_err *e)
{
	const struct table *t = __atomic_load_n(&m->table, __ATOMIC_SEQ_CST);
	unsigned at = 0;

	while (at < t->count && t->region[at].gpa != gpa)
		at++;
	assert(at < t->count);
	if (m->listener == NULL)
		return 0;
	if (!shown) {
		m->listener->unmap(m->listener->ctx, t->region[at].slot);
		return 0;
	}
	return m->listener->map(m->listener->ctx, t->region[at].slot, gpa, t->region[at].size,
				t->region[at].hva, t->region[at].kind == GMEM_ROM, e);
}

/* The region that @gpa lies in, for self.last. */
static bool find(const struct table *t, gpa_t gpa)
{
	unsigned lo = 0, hi = t->count;

	while (lo < hi) {
		const unsigned mid = (lo + hi) / 2;
		const struct region *r = &t->region[mid];

		if (gpa < r->gpa) {
			hi = mid;
		} else if (gpa - r->gpa >= r->size) {
			lo = mid + 1;
		} else {
			self.table = t->id;
			self.last = *r;
			return true;
		}
	}
	return false;
}

/* One walk for check and use: the piece of memory at @gpa, at most @n bytes of it. */
static inline uint8_t *resolve(const struct table *t, gpa_t gpa, size_t n, bool write,
			       size_t *ret_n)
{
	uint64_t left;

	if ((self.table != t->id || gpa - self.last.gpa >= self.last.size) && !find(t, gpa))
		return NULL;
	if (write && self.last.kind != GMEM_RAM)
		return NULL;
	left = self.last.size - (gpa - self.last.gpa);
	*ret_n = n < left ? n : (size_t)left;
	return self.last.hva + (gpa - self.last.gpa);
}

static bool covered(const struct table *t, gpa_t gpa, size_t n, bool write)
{
	while (n > 0) {
		size_t piece;

		if (resolve(t, gpa, n, write, &piece) == NULL)
			return false;
		n -= piece;
		if (__builtin_add_overflow(gpa, piece, &gpa) && n > 0)
			return false;
	}
	return true;
}

/* Counted, so that a removal can wait for us; before the table is looked at. */
static unsigned *count_up(const struct gmem *m)
{
	static unsigned threads;
	unsigned *count;

	if (self.stripe == 0)
		self.stripe = 1 + __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % STRIPES;
	count = (unsigned *)(uintptr_t)&m->stripe[self.stripe - 1]
			.busy[__atomic_load_n(&m->epoch, __ATOMIC_SEQ_CST)];
	(void)__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
	return count;
}

/* Is @count one that a removal waits for? */
static bool is_awaited(const struct gmem *m, const unsigned *count)
{
	const unsigned epoch = __atomic_load_n(&m->awaited, __ATOMIC_SEQ_CST);
	const uintptr_t at = (uintptr_t)count - (uintptr_t)m->stripe;

	return epoch != NONE && at % sizeof(m->stripe[0]) / sizeof(*count) == epoch;
}

/* Ordered before the look at what is awaited: either gmem_poll() sees the zero, or we see that it waits. */
static void count_down(const struct gmem *m, unsigned *count)
{
	if (__atomic_sub_fetch(count, 1, __ATOMIC_SEQ_CST) == 0 && is_awaited(m, count) &&
	    m->wake != NULL)
		m->wake(m->wake_ctx);
}

static const struct table *table_of(const struct gmem *m)
{
	return __atomic_load_n(&m->table, __ATOMIC_SEQ_CST);
}

/* One access: the table to use, and what leave() wants. */
static const struct table *enter(const struct gmem *m, unsigned **ret_count)
{
	*ret_count = !HOLDS || self.held != m ? count_up(m) : NULL;
	return table_of(m);
}

static void leave(const struct gmem *m, unsigned *count)
{
	if (count != NULL)
		count_down(m, count);
}

void gmem_hold(const struct gmem *m)
{
	assert(self.held == NULL);
	self.held_count = count_up(m);
	self.held = m;
}

void gmem_release(const struct gmem *m)
{
	assert(self.held == m);
	self.held = NULL;
	count_down(m, self.held_count);
}

/*
 * Who may touch which guest memory when is ordered by the guest, between its own accesses.
 * ThreadSanitizer does not see those, so it must not see ours.
 */
#ifdef __SANITIZE_THREAD__
static void copy(void *to, const void *from, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void clear(void *p, size_t n)
{
	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(0) : "memory");
}
#else
static void copy(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}

static void clear(void *p, size_t n)
{
	memset(p, 0, n);
}
#endif

enum direction { FROM_GUEST, TO_GUEST, ZERO_GUEST };

static int transfer(const struct gmem *m, gpa_t gpa, void *p, size_t n, enum direction dir)
{
	unsigned *count;
	const struct table *t = enter(m, &count);
	uint8_t *mine = p;
	size_t piece = 0;
	uint8_t *hva = resolve(t, gpa, n, dir != FROM_GUEST, &piece);

	/* Nearly always one piece; else look first, so that nothing is copied by halves. */
	if (n != 0 && (hva == NULL || (piece != n && !covered(t, gpa, n, dir != FROM_GUEST)))) {
		leave(m, count);
		return -1;
	}
	while (n > 0) {
		switch (dir) {
		case FROM_GUEST:
			copy(mine, hva, piece);
			break;
		case TO_GUEST:
			copy(hva, mine, piece);
			break;
		case ZERO_GUEST:
			clear(hva, piece);
			break;
		}
		n -= piece;
		gpa += piece;
		if (mine != NULL)
			mine += piece;
		if (n > 0)
			hva = resolve(t, gpa, n, dir != FROM_GUEST, &piece);
	}
	/* The copy is over: the compiler must not go back and read guest memory again. */
	__asm__ volatile("" ::: "memory");
	leave(m, count);
	return 0;
}

int gmem_read(const struct gmem *m, gpa_t gpa, void *dst, size_t n)
{
	return transfer(m, gpa, dst, n, FROM_GUEST);
}

int gmem_write(const struct gmem *m, gpa_t gpa, const void *src, size_t n)
{
	return transfer(m, gpa, (void *)(uintptr_t)src, n, TO_GUEST);
}

int gmem_zero(const struct gmem *m, gpa_t gpa, size_t n)
{
	return transfer(m, gpa, NULL, n, ZERO_GUEST);
}

bool gmem_is_ram(const struct gmem *m, gpa_t gpa, size_t n)
{
	unsigned *count;
	bool yes = covered(enter(m, &count), gpa, n, true);

	leave(m, count);
	return yes;
}

/* A shared file keeps what nobody maps: there a hole is made. Of private memory the pages are dropped. */
static uint64_t give_back(const struct region *r, uint8_t *hva, uint64_t n)
{
	const uint64_t before = r->page != 0 ? -(uintptr_t)hva % r->page : n;
	const uint64_t whole = before < n ? (n - before) / r->page * r->page : 0;

	if (whole == 0 ||
	    madvise(hva + before, whole, r->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED) < 0)
		return 0;
	return whole;
}

uint64_t gmem_discard(const struct gmem *m, gpa_t gpa, uint64_t n)
{
	unsigned *count;
	const struct table *t = enter(m, &count);
	uint64_t gone = 0;

	while (n > 0) {
		size_t piece;
		uint8_t *hva = resolve(t, gpa, n, true, &piece);

		if (hva == NULL)
			break;
		gone += give_back(&self.last, hva, piece);
		n -= piece;
		gpa += piece;
	}
	leave(m, count);
	return gone;
}

int gmem_load_index(const struct gmem *m, gpa_t gpa, uint16_t *v)
{
	unsigned *count;
	size_t piece = 0;
	uint8_t *hva;
	int ret = -1;

	if (gpa % 2 != 0)
		return -1;
	hva = resolve(enter(m, &count), gpa, 2, false, &piece);
	if (hva != NULL && piece == 2) {
		*v = __atomic_load_n((uint16_t *)(void *)hva, __ATOMIC_ACQUIRE);
		ret = 0;
	}
	leave(m, count);
	return ret;
}

int gmem_store_index(const struct gmem *m, gpa_t gpa, uint16_t v)
{
	unsigned *count;
	size_t piece = 0;
	uint8_t *hva;
	int ret = -1;

	if (gpa % 2 != 0)
		return -1;
	hva = resolve(enter(m, &count), gpa, 2, true, &piece);
	if (hva != NULL && piece == 2) {
		__atomic_store_n((uint16_t *)(void *)hva, v, __ATOMIC_RELEASE);
		ret = 0;
	}
	leave(m, count);
	return ret;
}

void gmem_fence(void)
{
	static _Thread_local unsigned word;

	/* A locked read-modify-write orders everything on x86, and TSan understands it. */
	(void)__atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
	__asm__ volatile("" ::: "memory");
}

struct gmem_span gmem_span_begin(struct gmem *m)
{
	return (struct gmem_span){ .count = count_up(m) }; /* of its own: it may outlive a hold */
}

int gmem_span_add(struct gmem *m, gpa_t gpa, size_t n, bool write, struct iovec *iov, int max)
{
	const struct table *t = table_of(m);
	int used = 0;

	while (n > 0) {
		size_t piece = 0;
		uint8_t *hva = resolve(t, gpa, n, write, &piece);

		if (hva == NULL || used == max)
			return -1;
		iov[used++] = (struct iovec){ .iov_base = hva, .iov_len = piece };
		n -= piece;
		if (__builtin_add_overflow(gpa, piece, &gpa) && n > 0)
			return -1;
	}
	return used;
}

unsigned gmem_ram_regions(const struct gmem *m, struct gmem_region *ret, unsigned max)
{
	const struct table *t = __atomic_load_n(&m->table, __ATOMIC_ACQUIRE);
	unsigned n = 0;

	for (unsigned i = 0; i < t->count; i++) {
		const struct region *r = &t->region[i];

		if (r->kind != GMEM_RAM)
			continue;
		if (n < max)
			ret[n] = (struct gmem_region){ r->gpa, r->size, r->hva, r->fd, r->off };
		n++;
	}
	return n;
}

void gmem_span_end(struct gmem *m, struct gmem_span *s)
{
	leave(m, s->count);
	s->count = NULL;
}
