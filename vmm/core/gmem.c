/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem.c - guest memory as a small sorted table of regions.
 *
 * The table is immutable: add and remove build a new one and swap the pointer,
 * so accesses take no lock. Tables are a few hundred bytes and change only
 * when memory is plugged, so old ones are kept until the end. A removed
 * region's host memory may be given back only when no access can be inside it:
 * accesses and spans are counted, and gmem_remove() waits until it has seen
 * each counter at zero. There are many counters, each in a cache line of its
 * own, and a thread keeps to one, so that queues do not wait for each other's
 * caches; a thread that comes after the table was swapped finds the new one,
 * whatever counter it uses.
 */
#include "core/gmem.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

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

struct stripe {
	_Alignas(64) unsigned busy; /* atomic: spans and accesses under way */
};

struct region {
	gpa_t gpa;
	uint64_t size;
	uint8_t *hva;
	enum gmem_kind kind;
	unsigned slot;
};

struct table {
	struct table *older; /* owned: kept until the end */
	uint64_t id;         /* no two tables have had the same */
	unsigned count;
	struct region region[];
};

struct gmem {
	const struct gmem_listener *listener;
	struct table *table; /* atomic */
	uint64_t slots;      /* bit per KVM slot in use */
	struct stripe stripe[STRIPES];
};

/* This thread's. */
static _Thread_local struct {
	unsigned stripe; /* 0: none yet */
	const struct gmem *held;
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

void gmem_destroy(struct gmem *m)
{
	struct table *t, *older;

	if (m == NULL)
		return;
	for (t = m->table; t != NULL; t = older) {
		older = t->older;
		free(t);
	}
	free(m);
}

static void publish(struct gmem *m, struct table *t)
{
	t->older = m->table;
	__atomic_store_n(&m->table, t, __ATOMIC_SEQ_CST);
}

int gmem_add(struct gmem *m, gpa_t gpa, size_t size, void *hva, enum gmem_kind kind,
	     struct sill_err *e)
{
	struct table *old = m->table, *t;
	uint64_t end;
	unsigned at = 0, slot = 0;

	if (size == 0 || (gpa | size | (uintptr_t)hva) % 4096 != 0 ||
	    __builtin_add_overflow(gpa, size, &end))
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
	t->region[at] = (struct region){ gpa, size, hva, kind, slot };
	memcpy(t->region + at + 1, old->region + at, (old->count - at) * sizeof(t->region[0]));
	if (m->listener != NULL &&
	    m->listener->map(m->listener->ctx, slot, gpa, size, hva, kind == GMEM_ROM, e) < 0) {
		free(t);
		return -1;
	}
	m->slots |= 1ull << slot;
	publish(m, t);
	return 0;
}

void gmem_remove(struct gmem *m, gpa_t gpa)
{
	struct table *old = m->table, *t;
	unsigned at = 0;

	while (at < old->count && old->region[at].gpa != gpa)
		at++;
	assert(at < old->count);
	t = table_new(old->count - 1);
	assert(t != NULL); /* a few hundred bytes; there is no way on without them */
	memcpy(t->region, old->region, at * sizeof(t->region[0]));
	memcpy(t->region + at, old->region + at + 1, (old->count - at - 1) * sizeof(t->region[0]));
	publish(m, t);
	if (m->listener != NULL)
		m->listener->unmap(m->listener->ctx, old->region[at].slot);
	m->slots &= ~(1ull << old->region[at].slot);
	assert(self.held != m);
	for (unsigned i = 0; i < STRIPES; i++)
		while (__atomic_load_n(&m->stripe[i].busy, __ATOMIC_SEQ_CST) != 0)
			sched_yield(); /* a copy or one system call long */
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

static unsigned *busy_of(const struct gmem *m)
{
	static unsigned threads;

	if (self.stripe == 0)
		self.stripe = 1 + __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % STRIPES;
	return (unsigned *)(uintptr_t)&m->stripe[self.stripe - 1].busy;
}

/* Counted, so that gmem_remove() can wait for us; before the table is looked at. */
static void count_up(const struct gmem *m)
{
	(void)__atomic_add_fetch(busy_of(m), 1, __ATOMIC_SEQ_CST);
}

static void count_down(const struct gmem *m)
{
	(void)__atomic_sub_fetch(busy_of(m), 1, __ATOMIC_RELEASE);
}

static const struct table *table_of(const struct gmem *m)
{
	return __atomic_load_n(&m->table, __ATOMIC_SEQ_CST);
}

/* One access: the table to use. */
static const struct table *enter(const struct gmem *m)
{
	if (!HOLDS || self.held != m)
		count_up(m);
	return table_of(m);
}

static void leave(const struct gmem *m)
{
	if (!HOLDS || self.held != m)
		count_down(m);
}

void gmem_hold(const struct gmem *m)
{
	assert(self.held == NULL);
	count_up(m);
	self.held = m;
}

void gmem_release(const struct gmem *m)
{
	assert(self.held == m);
	self.held = NULL;
	count_down(m);
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
	const struct table *t = enter(m);
	uint8_t *mine = p;
	size_t piece = 0;
	uint8_t *hva = resolve(t, gpa, n, dir != FROM_GUEST, &piece);

	/* Nearly always one piece; else look first, so that nothing is copied by halves. */
	if (n != 0 && (hva == NULL || (piece != n && !covered(t, gpa, n, dir != FROM_GUEST)))) {
		leave(m);
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
	leave(m);
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
	bool yes = covered(enter(m), gpa, n, true);

	leave(m);
	return yes;
}

int gmem_load_index(const struct gmem *m, gpa_t gpa, uint16_t *v)
{
	size_t piece = 0;
	uint8_t *hva;
	int ret = -1;

	if (gpa % 2 != 0)
		return -1;
	hva = resolve(enter(m), gpa, 2, false, &piece);
	if (hva != NULL && piece == 2) {
		*v = __atomic_load_n((uint16_t *)(void *)hva, __ATOMIC_ACQUIRE);
		ret = 0;
	}
	leave(m);
	return ret;
}

int gmem_store_index(const struct gmem *m, gpa_t gpa, uint16_t v)
{
	size_t piece = 0;
	uint8_t *hva;
	int ret = -1;

	if (gpa % 2 != 0)
		return -1;
	hva = resolve(enter(m), gpa, 2, true, &piece);
	if (hva != NULL && piece == 2) {
		__atomic_store_n((uint16_t *)(void *)hva, v, __ATOMIC_RELEASE);
		ret = 0;
	}
	leave(m);
	return ret;
}

void gmem_fence(void)
{
	static _Thread_local unsigned word;

	/* A locked read-modify-write orders everything on x86, and TSan understands it. */
	(void)__atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
	__asm__ volatile("" ::: "memory");
}

int gmem_span_get(struct gmem *m, gpa_t gpa, size_t n, bool write, struct iovec *iov, int max)
{
	const struct table *t;
	int used = 0;

	count_up(m); /* it may outlive a hold */
	t = table_of(m);
	while (n > 0) {
		size_t piece = 0;
		uint8_t *hva = resolve(t, gpa, n, write, &piece);

		if (hva == NULL || used == max) {
			count_down(m);
			return -1;
		}
		iov[used++] = (struct iovec){ .iov_base = hva, .iov_len = piece };
		n -= piece;
		if (__builtin_add_overflow(gpa, piece, &gpa) && n > 0) {
			count_down(m);
			return -1;
		}
	}
	return used; /* still counted: gmem_span_put() */
}

void gmem_span_put(struct gmem *m)
{
	count_down(m);
}
