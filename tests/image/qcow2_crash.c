/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_crash.c - what is left of an image when its writer is cut short.
 *
 *	qcow2_crash kill SEED COUNT    SIGKILL at a random moment, in each of the ways to do I/O
 *	qcow2_crash many SEED COUNT    the same with many requests in flight, asynchronously
 *	qcow2_crash drop SEED COUNT    power cut: unflushed writes are lost, in part, torn
 *	qcow2_crash inject SEED COUNT  each system call fails in turn, once or from then on
 *
 * Afterwards qemu-img check must call the image clean or only leaking, and each
 * sector must hold what was flushed, or something that was written later.
 * Skipped (77) without qemu-img.
 */
#include <signal.h>

#include "backend/block/qcow2.h"
#include "image_kit.h"

enum { OPS = 4000, MAX_WRITE = 96 };

static struct history held;
static struct chain chain;
static uint64_t size;

/* So full that the refcount table has to grow soon: 64 x 64 clusters of 512 bytes are its limit. */
static bool make_full_image(void)
{
	chain = (struct chain){ .n = 1, .name = { "1.img" } };
	size = 5400 * SECTOR;
	history_free(&held);
	history_init(&held, size / SECTOR, 0);
	return sh("rm -f -- *.img; qemu-img create -f qcow2 -o cluster_size=512,refcount_bits=64,"
		  "preallocation=metadata 1.img 1970K && qemu-img resize 1.img %llu",
		  (unsigned long long)size) == 0;
}

/* Big clusters make few states; the small ones make many tables. */
static bool make_image(void)
{
	const bool backing = rnd(2) == 0, ext = rnd(4) == 0;
	const unsigned bits = ext ? 14 + (unsigned)rnd(3) : 9 + (unsigned)rnd(8);
	const unsigned order = (unsigned)rnd(7);
	uint64_t *p;

	if (rnd(5) == 0)
		return make_full_image();
	(void)sh("rm -f -- *.img");
	chain = (struct chain){ 0 };
	size = (512 + rnd(3000)) * SECTOR;
	history_free(&held);
	history_init(&held, size / SECTOR, backing ? 1ull << 56 : 0);
	if (backing) {
		char path[128];
		int fd;

		p = malloc(size);
		assert(p != NULL);
		for (uint64_t i = 0; i < size / 8; i++)
			p[i] = (1ull << 56) + i * 8 / SECTOR;
		(void)snprintf(path, sizeof(path), "%s/0.img", dir);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert(fd >= 0 && write(fd, p, size) == (ssize_t)size);
		close(fd);
		free(p);
		chain.raw[chain.n++] = true;
		memcpy(chain.name[0], "0.img", 6);
	}
	(void)snprintf(chain.name[chain.n++], sizeof(chain.name[0]), "1.img");
	return sh("qemu-img create -f qcow2 %s -o cluster_size=%u,refcount_bits=%u,extended_l2=%s"
		  "%s 1.img %llu",
		  backing ? "-b 0.img -F raw" : "", 1u << bits, 1u << order, ext ? "on" : "off",
		  rnd(4) == 0 && !backing ? ",preallocation=metadata" : "",
		  (unsigned long long)size) == 0;
}

/* An image for @group, made once and copied from then on: qemu-img is slow to start. */
static bool prepare(uint64_t group)
{
	static uint64_t made;
	static struct {
		uint8_t *bytes;
		size_t n;
	} copy;
	char path[128];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/1.img", dir);
	if (made != group + 1) {
		rnd_seed(group + 77);
		if (!make_image())
			return false;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert(fd >= 0 && fstat(fd, &st) == 0);
		free(copy.bytes);
		copy.n = (size_t)st.st_size;
		copy.bytes = malloc(copy.n);
		assert(copy.bytes != NULL && pread(fd, copy.bytes, copy.n, 0) == st.st_size);
		close(fd);
		made = group + 1;
		return true;
	}
	/* A new file: the kernel may still be at work on the old one for who was killed. */
	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert(fd >= 0 && pwrite(fd, copy.bytes, copy.n, 0) == (ssize_t)copy.n);
	close(fd);
	history_free(&held);
	history_init(&held, size / SECTOR, chain.n > 1 ? 1ull << 56 : 0);
	return true;
}

/* A request that can be made again from the seed alone. */
struct step {
	enum blk_op op;
	uint64_t first, n, value;
	bool unmap;
};

static struct step next_step(uint64_t number)
{
	struct step s = { .op = BLK_WRITE, .value = (number + 1) << 20 };
	const uint64_t kind = rnd(16);

	s.first = rnd(size / SECTOR);
	s.n = 1 + rnd(rnd(4) == 0 ? MAX_WRITE : 8);
	if (s.n > size / SECTOR - s.first)
		s.n = size / SECTOR - s.first;
	s.unmap = rnd(2) == 0;
	if (kind < 2)
		s.op = BLK_WRITE_ZEROES;
	else if (kind < 4)
		s.op = BLK_DISCARD;
	else if (kind < 6)
		s.op = BLK_FLUSH;
	return s;
}

static int step_run(struct blk *b, const struct step *s)
{
	static uint64_t buf[MAX_WRITE * SECTOR / 8];

	if (s->op != BLK_WRITE)
		return request(b, s->op, s->op == BLK_FLUSH ? 0 : s->first * SECTOR,
			       s->op == BLK_FLUSH ? 0 : s->n * SECTOR, NULL, 0, s->unmap);
	for (uint64_t i = 0; i < s->n * SECTOR / 8; i++)
		buf[i] = s->value + i * 8 / SECTOR;
	return transfer(b, BLK_WRITE, s->first * SECTOR, buf, s->n * SECTOR);
}

/* To be called before the step is run (@sure false) and after it, when it was good. */
static void note(const struct step *s, bool sure)
{
	if (s->op == BLK_FLUSH) {
		if (sure)
			history_flushed(&held);
		return;
	}
	for (uint64_t i = 0; i < s->n; i++)
		if (!sure)
			history_write(&held, s->first + i, s->op == BLK_WRITE ? s->value + i : 0,
				      false);
		else if (s->op != BLK_DISCARD) /* which is advice */
			held.s[s->first + i].c[held.s[s->first + i].n - 1].sure = true;
}

static bool full(const struct step *s)
{
	return s->op != BLK_FLUSH && history_full(&held, s->first, s->n);
}

/* Clean or leaking, and the right content. */
static bool verify(const char *name)
{
	struct chain c = chain;
	struct sill_err e = { 0 };
	struct blk *b;
	bool good;
	int status = sh("qemu-img check -f qcow2 %s", name);

	if (status != 0 && status != 3) {
		fprintf(stderr, "qemu-img check: %d\n", status);
		(void)sh("cat log >&2");
		(void)sh("head -c 3000 log >/dev/null");
		return false;
	}
	(void)snprintf(c.name[c.n - 1], sizeof(c.name[0]), "%s", name);
	b = chain_open(&c, true, &e);
	if (b == NULL)
		fprintf(stderr, "%s\n", e.msg);
	good = b != NULL && history_holds(&held, b);
	blk_close(b);
	return good;
}

/* --- killed -------------------------------------------------------------- */

static void child(uint64_t seed, int out)
{
	struct sill_err e = { 0 };
	struct blk *b = chain_open(&chain, false, &e);

	(void)blk_kit_open((enum blk_way)(seed % WAYS)); /* without io_uring: blocking */
	rnd_seed(seed);
	for (uint64_t i = 0; i < OPS && b != NULL; i++) {
		const struct step s = next_step(i);
		const uint32_t said = (uint32_t)i;

		/* Before it begins, and when it has ended. */
		if (write(out, &said, 4) != 4 || step_run(b, &s) != 0 || write(out, &said, 4) != 4)
			break;
	}
	(void)pause();
	_exit(0);
}

/* --- with many in flight -------------------------------------------------- */

enum { LANES = 12 };

static struct lane {
	struct blk_req r; /* first */
	struct step s;
	struct iovec v;
	uint64_t buf[MAX_WRITE * SECTOR / 8];
	uint32_t number;
	int out;
	bool busy, failed;
} lanes[LANES];

static void say(const struct lane *l, bool end)
{
	const uint32_t said = l->number << 1 | end;

	if (write(l->out, &said, 4) != 4)
		_exit(1);
}

static void lane_done(struct blk_req *r, int status)
{
	struct lane *l = (struct lane *)(void *)r;

	l->failed = status != 0;
	l->busy = l->failed;
	if (!l->failed)
		say(l, true);
	loop_stop(blk_kit.loop);
}

/* One that is free, when nothing in flight is in the step's way. */
static struct lane *lane_for(const struct step *s)
{
	struct lane *spare = NULL;

	for (unsigned i = 0; i < LANES; i++) {
		const struct lane *l = &lanes[i];

		if (!l->busy)
			spare = &lanes[i];
		else if (s->op == BLK_FLUSH
				 ? l->s.op == BLK_FLUSH
				 : l->s.op != BLK_FLUSH && l->s.first < s->first + s->n &&
					   s->first < l->s.first + l->s.n)
			return NULL;
	}
	return spare;
}

static void lane_start(struct lane *l, struct blk *b)
{
	const struct step *s = &l->s;

	l->r = (struct blk_req){ .op = s->op,
				 .unmap = s->unmap,
				 .loop = blk_kit.loop,
				 .aio = blk_kit.aio,
				 .done = lane_done };
	if (s->op != BLK_FLUSH) {
		l->r.offset = s->first * SECTOR;
		l->r.length = s->n * SECTOR;
	}
	if (s->op == BLK_WRITE) {
		for (uint64_t i = 0; i < s->n * SECTOR / 8; i++)
			l->buf[i] = s->value + i * 8 / SECTOR;
		l->v = (struct iovec){ l->buf, s->n * SECTOR };
		l->r.iov = &l->v;
		l->r.iov_count = 1;
	}
	l->busy = true;
	say(l, false);
	blk_submit(b, &l->r);
}

static void child_many(uint64_t seed, int out)
{
	struct sill_err e = { 0 };
	struct blk *b = chain_open(&chain, false, &e);

	if (!blk_kit_open(seed % 3 == 0 ? WAY_THREADS : WAY_URING))
		(void)blk_kit_open(WAY_THREADS);
	rnd_seed(seed);
	for (uint64_t i = 0; i < OPS && b != NULL; i++) {
		const struct step s = next_step(i);
		struct lane *l;

		while ((l = lane_for(&s)) == NULL)
			(void)loop_run(blk_kit.loop, &e);
		l->s = s;
		l->number = (uint32_t)i;
		l->out = out;
		lane_start(l, b);
	}
	for (;;)
		(void)loop_run(blk_kit.loop, &e);
}

/* How many candidates of each sector a flush under way is going to settle. */
static unsigned *settled;

static void flush_begins(void)
{
	free(settled);
	settled = calloc(held.sectors, sizeof(*settled));
	assert(settled != NULL);
	for (uint64_t i = 0; i < held.sectors; i++) {
		settled[i] = held.s[i].n - 1;
		while (settled[i] > 0 && !held.s[i].c[settled[i]].sure)
			settled[i]--;
	}
}

static void flush_ends(void)
{
	for (uint64_t i = 0; i < held.sectors; i++) {
		held.s[i].n -= settled[i];
		memmove(held.s[i].c, held.s[i].c + settled[i],
			held.s[i].n * sizeof(struct candidate));
	}
}

/* What the child has said, told again. False: too much to keep account of. */
static bool replay(const struct step *steps, const uint32_t *said, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct step *s = &steps[said[i] >> 1];
		const bool end = (said[i] & 1) != 0;

		if (!end && full(s))
			return false;
		if (s->op != BLK_FLUSH)
			note(s, end);
		else if (end)
			flush_ends();
		else
			flush_begins();
	}
	return true;
}

static bool tell_many(uint64_t seed, const uint32_t *said, size_t n)
{
	static struct step steps[OPS];

	rnd_seed(seed);
	for (uint64_t i = 0; i < OPS; i++)
		steps[i] = next_step(i);
	return replay(steps, said, n);
}

/* --- the child's end ------------------------------------------------------ */

/* One request at a time: the number of each is said twice, the last one's perhaps once. */
static bool tell_one(uint64_t seed, const uint32_t *said, size_t n)
{
	rnd_seed(seed);
	for (size_t i = 0; i < n; i += 2) {
		const struct step s = next_step(said[i]);

		if (full(&s))
			return false;
		note(&s, false);
		if (i + 1 < n)
			note(&s, true);
	}
	return true;
}

/* What a child said that was killed at a random moment; 0: it said nothing. */
static size_t kill_child(uint64_t seed, void (*body)(uint64_t seed, int out), uint32_t *said)
{
	struct timespec ts = { 0 };
	size_t n = 1;
	int p[2];
	pid_t pid;

	if (!prepare(seed / 8) || pipe(p) < 0)
		return 0;
	rnd_seed(seed);
	ts.tv_nsec = (long)rnd(12 * 1000 * 1000);
	(void)fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		body(seed, p[1]);
	}
	close(p[1]);
	assert(pid > 0 && read(p[0], &said[0], 4) == 4);
	(void)nanosleep(&ts, NULL); /* the moment is the test */
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	while (n < 2 * OPS && read(p[0], &said[n], 4) == 4)
		n++;
	close(p[0]);
	return n;
}

static bool one_kill(uint64_t seed, bool many)
{
	static uint32_t said[2 * OPS];
	const size_t n = kill_child(seed, many ? child_many : child, said);

	if (n == 0)
		return false;
	return !(many ? tell_many : tell_one)(seed, said, n) || verify("1.img");
}

/* --- the power is cut, a call fails --------------------------------------- */

struct pending {
	enum { P_WRITE, P_RESIZE, P_PUNCH } kind;
	uint64_t off, n;
	uint8_t *data;
};

/* What is on the medium, and what is only in the cache. */
static uint8_t *medium;
static uint64_t medium_size, medium_room;
static struct pending *pending;
static unsigned pending_count;
static uint64_t calls, fail_at;
static int fail_errno;
static bool fail_on, recording;
static uint64_t cut_at;
static bool cut_done;

static void apply(uint8_t **to, uint64_t *to_size, const struct pending *p, uint64_t n,
		  uint64_t skip)
{
	assert(p->off + p->n <= medium_room);
	if (p->kind == P_RESIZE) {
		*to_size = p->n;
	} else if (p->kind == P_PUNCH) {
		memset(*to + p->off, 0, p->n);
	} else {
		memcpy(*to + p->off + skip, p->data + skip, n);
		if (p->off + skip + n > *to_size)
			*to_size = p->off + skip + n;
	}
}

static void forget_pending(bool done)
{
	for (unsigned i = 0; i < pending_count; i++) {
		if (done)
			apply(&medium, &medium_size, &pending[i], pending[i].n, 0);
		free(pending[i].data);
	}
	pending_count = 0;
}

/* What is on the medium, with room for all that may come to it. */
static uint8_t *copy_medium(void)
{
	uint64_t room = medium_size;
	uint8_t *copy;

	for (unsigned i = 0; i < pending_count; i++)
		if (pending[i].off + pending[i].n > room)
			room = pending[i].off + pending[i].n;
	copy = calloc(1, room);
	assert(copy != NULL);
	memcpy(copy, medium, medium_size);
	return copy;
}

/* A file as it may be after the cut: cut.img. */
static void cut(void)
{
	const uint64_t mode = rnd(4);
	const unsigned prefix = (unsigned)rnd(pending_count + 1);
	uint8_t *copy = copy_medium();
	uint64_t copy_size = medium_size;
	char path[128];
	int fd;

	for (unsigned i = 0; i < pending_count; i++) {
		const struct pending *p = &pending[i];

		if (mode == 0 ? i >= prefix : mode == 1 && rnd(2) == 0)
			continue;
		if (mode < 2 || p->kind != P_WRITE) {
			apply(&copy, &copy_size, p, p->n, 0);
			continue;
		}
		for (uint64_t at = 0; at < p->n;) { /* torn between sectors, some lost */
			uint64_t n = SECTOR - (p->off + at) % SECTOR;

			n = n < p->n - at ? n : p->n - at;
			if (rnd(mode == 2 ? 2 : 8) != 0)
				apply(&copy, &copy_size, p, n, at);
			at += n;
		}
	}
	(void)snprintf(path, sizeof(path), "%s/cut.img", dir);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, copy, copy_size) == (ssize_t)copy_size);
	close(fd);
	free(copy);
	cut_done = true;
}

/* Counts the call; an errno when it is to fail. */
static bool gate(void)
{
	calls++;
	if (recording && calls == cut_at)
		cut();
	if (fail_at != 0 && (calls == fail_at || (fail_on && calls > fail_at))) {
		errno = fail_errno;
		return false;
	}
	return true;
}

static void record(struct pending p, const struct iovec *iov, int count)
{
	if (!recording || cut_done)
		return;
	if (p.kind == P_WRITE) {
		p.data = malloc(p.n);
		assert(p.data != NULL);
		p.n = 0;
		for (int i = 0; i < count; i++) {
			memcpy(p.data + p.n, iov[i].iov_base, iov[i].iov_len);
			p.n += iov[i].iov_len;
		}
	}
	assert(pending_count < 1 << 16);
	pending[pending_count++] = p;
}

static ssize_t fake_readv(int fd, const struct iovec *iov, int count, off_t off)
{
	return gate() ? preadv(fd, iov, count, off) : -1;
}

static ssize_t fake_writev(int fd, const struct iovec *iov, int count, off_t off)
{
	struct pending p = { .kind = P_WRITE, .off = (uint64_t)off };

	if (!gate())
		return -1;
	for (int i = 0; i < count; i++)
		p.n += iov[i].iov_len;
	record(p, iov, count);
	return pwritev(fd, iov, count, off);
}

static int fake_sync(int fd)
{
	(void)fd;
	if (!gate())
		return -1;
	if (recording && !cut_done)
		forget_pending(true);
	return 0;
}

static int fake_resize(int fd, off_t n)
{
	if (!gate())
		return -1;
	record((struct pending){ .kind = P_RESIZE, .n = (uint64_t)n }, NULL, 0);
	return ftruncate(fd, n);
}

static int fake_punch(int fd, off_t off, off_t n)
{
	if (!gate())
		return -1;
	record((struct pending){ .kind = P_PUNCH, .off = (uint64_t)off, .n = (uint64_t)n }, NULL,
	       0);
	return qcow2_io_real.punch(fd, off, n);
}

static const struct qcow2_io fake = {
	.readv = fake_readv,
	.writev = fake_writev,
	.sync = fake_sync,
	.resize = fake_resize,
	.punch = fake_punch,
};

static void load_medium(void)
{
	int fd = open_in_dir("1.img", true);
	struct stat st;

	assert(fd >= 0 && fstat(fd, &st) == 0);
	medium_size = (uint64_t)st.st_size;
	medium_room = 64 * 1024 * 1024;
	medium = calloc(1, medium_room);
	pending = calloc(1 << 16, sizeof(*pending));
	assert(medium != NULL && pending != NULL);
	assert(pread(fd, medium, medium_size, 0) == st.st_size);
	close(fd);
}

static void run_steps(struct blk *b, uint64_t count)
{
	for (uint64_t i = 0; i < count && !cut_done; i++) {
		const struct step s = next_step(i);
		int err;

		if (full(&s))
			break;
		note(&s, false);
		err = step_run(b, &s);
		if (err == 0 && !cut_done)
			note(&s, true);
	}
}

static bool one_drop(uint64_t seed)
{
	struct sill_err e = { 0 };
	struct blk *b;
	bool good;

	if (!prepare(seed / 8))
		return false;
	rnd_seed(seed);
	load_medium();
	calls = 0;
	cut_at = 1 + rnd(600);
	cut_done = false;
	recording = true;
	qcow2_io_set(&fake);
	b = chain_open(&chain, false, &e);
	assert(b != NULL);
	rnd_seed(seed);
	run_steps(b, 300);
	if (!cut_done)
		cut();
	recording = false;
	qcow2_io_set(NULL);
	forget_pending(false);
	blk_close(b);
	free(pending);
	free(medium);
	good = verify("cut.img");
	return good;
}

/* One workload, again and again, with the next call failing each time. */
static bool one_inject(uint64_t seed, uint64_t *runs)
{
	bool good = true;

	fail_errno = rnd(2) == 0 ? EIO : ENOSPC;
	fail_on = rnd(2) == 0;
	for (uint64_t at = 1; good; at++) {
		struct sill_err e = { 0 };
		struct blk *b;

		if (!prepare(seed))
			return false;
		calls = 0;
		fail_at = at;
		qcow2_io_set(&fake);
		b = chain_open(&chain, false, &e);
		if (b != NULL) {
			rnd_seed(seed + 1);
			run_steps(b, 24);
			blk_close(b);
		}
		qcow2_io_set(NULL);
		fail_at = 0;
		if (calls < at)
			return true;
		good = verify("1.img");
		if (!good)
			fprintf(stderr, "call %llu\n", (unsigned long long)at);
		++*runs;
	}
	return good;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "kill";
	const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	const uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 0) : 100;
	uint64_t failed = 0, runs = 0;

	dir_make();
	if (sh("qemu-img --version") != 0) {
		dir_remove();
		printf("skipped: no qemu-img\n");
		return 77;
	}
	for (uint64_t i = seed; failed < 3 && (*what == 'i' ? runs < count : i < seed + count);
	     i++) {
		bool good;

		rnd_seed(i);
		good = *what == 'k'   ? one_kill(i, false)
		       : *what == 'm' ? one_kill(i, true)
		       : *what == 'd' ? one_drop(i)
				      : one_inject(i, &runs);
		if (!good) {
			printf("not ok: %s, seed %llu\n", what, (unsigned long long)i);
			(void)fflush(stdout);
			failed++;
		}
	}
	history_free(&held);
	free(settled);
	settled = NULL;
	dir_remove();
	printf("%s: %llu runs, %llu failed\n", what,
	       (unsigned long long)(*what == 'i' ? runs : count), (unsigned long long)failed);
	return failed != 0;
}
