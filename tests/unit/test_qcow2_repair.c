/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_qcow2_repair.c - what a writer makes of an image that was not closed.
 *
 * Random images are damaged in the ways that a crash, a lazy writer or a stranger
 * leave; one copy is repaired by the check, another is opened for writing. Both
 * must read as before, be sound for qemu-img, and still be so after more has been
 * written. What cannot be repaired is refused, and no byte of it changes.
 * SILL_DAMAGES is how many images (100); a failure prints the seed, and
 * SILL_SEED=N SILL_DAMAGES=1 does it again.
 */
#include "backend/block/qcow2.h"
#include "sill/image.h"
#include "tests/image/image_kit.h"

enum { DAMAGES = 100, FAR = 60000 };

static uint64_t seed;
static bool has_qemu;

#define wants(x)                                                           \
	do {                                                               \
		if (!(x))                                                  \
			fail_msg("%s (SILL_SEED=%llu SILL_DAMAGES=1)", #x, \
				 (unsigned long long)seed);                \
	} while (0)

/* --- an image, and what it is to hold --------------------------------------- */

/* The layout, read from the header by hand. */
struct shape {
	int fd;
	unsigned bits, order, step;
	uint64_t cluster, size, l1, l1_size, rt, rt_size, per; /* per: clusters to a block */
};

static uint8_t held[3 << 20], seen[3 << 20];

static uint64_t get(const struct shape *s, uint64_t at)
{
	uint8_t b[8] = { 0 };

	wants(pread(s->fd, b, sizeof(b), (off_t)at) >= 0);
	return qcow2_be64(b);
}

static void put(const struct shape *s, uint64_t at, uint64_t v)
{
	uint8_t b[8];

	qcow2_put_be64(b, v);
	wants(pwrite(s->fd, b, sizeof(b), (off_t)at) == (ssize_t)sizeof(b));
}

static uint64_t file_clusters(const struct shape *s)
{
	struct stat st;

	wants(fstat(s->fd, &st) == 0);
	return ((uint64_t)st.st_size + s->cluster - 1) >> s->bits;
}

/* A number of clusters that is behind what few blocks describe, where clusters are small. */
static uint64_t some_distance(const struct shape *s)
{
	return rnd(FAR >> (s->bits - 9)) + 1;
}

static struct sill_image *open_image(const char *name, bool readonly, struct sill_err *e)
{
	const struct sill_image_source s = { .fd = open_in_dir(name, readonly),
					     .path = name,
					     .format = SILL_DISK_QCOW2,
					     .readonly = readonly };

	wants(s.fd >= 0);
	return sill_image_open(&s, e);
}

/* Some writes, zeroes and holes; @held knows them. */
static void scribble(struct sill_image *i, unsigned n)
{
	const uint64_t sectors = sill_image_size(i) / SECTOR;
	struct sill_err e = { 0 };

	while (n-- > 0) {
		const uint64_t first = rnd(sectors), most = sectors - first;
		const uint64_t count = 1 + rnd(most < 200 ? most : 200);
		uint8_t *p = held + first * SECTOR;

		memset(p, rnd(6) == 0 ? 0 : 1 + (int)rnd(255), count * SECTOR);
		if (p[0] != 0)
			wants(sill_image_write(i, p, count * SECTOR, first * SECTOR, &e) == 0);
		else
			wants(sill_image_zero(i, first * SECTOR, count * SECTOR, rnd(2) == 0, &e) ==
			      0);
	}
}

static void look(struct shape *s, const char *name)
{
	uint8_t h[112];

	*s = (struct shape){ .fd = open_in_dir(name, false) };
	wants(pread(s->fd, h, sizeof(h), 0) == (ssize_t)sizeof(h));
	s->bits = qcow2_be32(h + 20);
	s->cluster = 1ull << s->bits;
	s->size = qcow2_be64(h + 24);
	s->l1_size = qcow2_be32(h + 36);
	s->l1 = qcow2_be64(h + 40);
	s->rt = qcow2_be64(h + 48);
	s->rt_size = (uint64_t)qcow2_be32(h + 56) << s->bits >> 3;
	s->order = qcow2_be32(h + 96);
	s->step = (qcow2_be64(h + 72) & QCOW2_INCOMPAT_SUBCLUSTERS) != 0 ? 16 : 8;
	s->per = s->cluster * 8 >> s->order;
}

static void make(void)
{
	static const unsigned bits[] = { 9, 9, 9, 10, 12, 14, 16 };
	struct sill_image_options o = { .format = SILL_DISK_QCOW2 };
	const unsigned b = bits[rnd(7)];
	struct sill_err e = { 0 };
	struct sill_image *i;
	int fd;

	o.size = (200 + rnd(5500)) * SECTOR;
	o.block_size = 1u << b;
	o.refcount_bits = 1u << rnd(7);
	o.subclusters = b >= 14 && rnd(2) == 0;
	o.lazy_refcounts = true;
	o.prealloc = rnd(6) == 0 ? SILL_PREALLOC_METADATA : SILL_PREALLOC_OFF;
	wants(sh("rm -f a b was; touch a b was") == 0);
	fd = open_in_dir("a", false);
	wants(sill_image_create(fd, &o, &e) == 0);
	close(fd);
	memset(held, 0, sizeof(held));
	i = open_image("a", false, &e);
	wants(i != NULL);
	scribble(i, 1 + (unsigned)rnd(30));
	wants(sill_image_finish(i, &e) == 0);
}

/* What may be read of it; what cannot be is not compared: only that it cannot still. */
static void read_all(const char *name, uint8_t *p, uint64_t *ret_lost)
{
	struct sill_err e = { 0 };
	struct sill_image *i = open_image(name, true, &e);

	*ret_lost = i != NULL ? 0 : UINT64_MAX;
	if (i == NULL) /* not even an L2 table is where one can be */
		return;
	for (uint64_t at = 0; at < sill_image_size(i); at += SECTOR)
		if (sill_image_read(i, p + at, SECTOR, at, &e) < 0) {
			memset(p + at, 0xee, SECTOR);
			(*ret_lost)++;
		}
	sill_image_close(i);
}

/* --- damage ------------------------------------------------------------------ */

/* An entry of the disk that has a cluster of its own: its place in the file; 0: none was found. */
static uint64_t some_entry(const struct shape *s)
{
	for (int tries = 0; tries < 200; tries++) {
		const uint64_t table = get(s, s->l1 + 8 * rnd(s->l1_size)) & QCOW2_OFFSET;
		const uint64_t at = table + rnd(s->cluster / s->step) * s->step;

		if (table != 0 && (get(s, at) & (QCOW2_OFFSET | QCOW2_COMPRESSED)) != 0)
			return at;
	}
	return 0;
}

static uint64_t some_block(const struct shape *s)
{
	const uint64_t blocks = file_clusters(s) / s->per + 1;

	return rnd(blocks < s->rt_size ? blocks : s->rt_size);
}

static void counts(const struct shape *s)
{
	const uint64_t block = get(s, s->rt + 8 * some_block(s));

	for (uint64_t n = block != 0 ? 1 + rnd(20) : 0; n > 0; n--)
		put(s, block + rnd(s->cluster / 8) * 8, rnd(3) == 0 ? 0 : rnd(UINT64_MAX));
}

static void no_block(const struct shape *s)
{
	for (uint64_t n = 1 + rnd(3); n > 0; n--)
		put(s, s->rt + 8 * some_block(s), 0);
}

static void wild_block(const struct shape *s)
{
	const uint64_t entry = some_entry(s);
	const uint64_t to[] = { 0x12345,
				1ull << 40,
				s->l1,
				s->rt,
				rnd(file_clusters(s)) << s->bits,
				entry != 0 ? entry & ~(s->cluster - 1) : 0,
				get(s, s->rt) };

	put(s, s->rt + 8 * some_block(s), to[rnd(7)]);
}

static void zeroed_block(const struct shape *s)
{
	static uint8_t none[1 << 16];
	const uint64_t block = get(s, s->rt + 8 * some_block(s));

	if (block != 0)
		wants(pwrite(s->fd, none, s->cluster, (off_t)block) == (ssize_t)s->cluster);
}

static void flags(const struct shape *s)
{
	for (uint64_t n = 1 + rnd(10), at; n > 0; n--) {
		at = rnd(4) == 0 ? s->l1 + 8 * rnd(s->l1_size) : some_entry(s);
		if (at != 0)
			put(s, at, get(s, at) & ~QCOW2_COPIED);
	}
}

/* Clusters behind the end that nobody has: of anything, or of a hole. */
static void tail(const struct shape *s)
{
	const uint64_t end = file_clusters(s) << s->bits;

	if (rnd(2) == 0)
		wants(ftruncate(s->fd, (off_t)(end + some_distance(s) * s->cluster)) == 0);
	else
		put(s, end + rnd(20) * s->cluster + rnd(s->cluster / 8) * 8, rnd(UINT64_MAX));
}

/* A cluster of data goes far behind all that the refcounts describe, as a lazy writer may have put it. */
static void far(const struct shape *s)
{
	static uint8_t data[1 << 16];

	for (uint64_t n = 1 + rnd(4); n > 0; n--) {
		const uint64_t at = some_entry(s), entry = at != 0 ? get(s, at) : 0;
		const uint64_t to = (file_clusters(s) + some_distance(s)) << s->bits;

		if (at == 0)
			return;
		wants(pread(s->fd, data, s->cluster, (off_t)(entry & QCOW2_OFFSET)) >= 0);
		wants(pwrite(s->fd, data, s->cluster, (off_t)to) == (ssize_t)s->cluster);
		put(s, at, (entry & ~QCOW2_OFFSET) | to);
	}
}

/* The table of blocks is one cluster only. */
static void short_table(const struct shape *s)
{
	uint8_t one[4];

	qcow2_put_be32(one, 1);
	wants(pwrite(s->fd, one, 4, QCOW2_AT_RT_CLUSTERS) == 4);
}

/* Two call one cluster their own, or a table is somebody's data, or leads out of the file. */
static void tables(const struct shape *s)
{
	const uint64_t a = some_entry(s), b = some_entry(s);
	const uint64_t to[] = { b != 0 ? get(s, b) : 0,
				QCOW2_COPIED | (file_clusters(s) + rnd(99)) << s->bits,
				QCOW2_COPIED | s->l1, QCOW2_COPIED | (b & ~(s->cluster - 1)),
				rnd(UINT64_MAX) };

	if (a != 0)
		put(s, rnd(5) == 0 ? s->l1 + 8 * rnd(s->l1_size) : a, to[rnd(5)]);
}

static void (*const harmless[])(const struct shape *) = { counts, no_block,   zeroed_block,
							  flags,  tail,       far,
							  far,    short_table };

/* L1 and L2 are as right as before. */
static void hurt_refcounts(const struct shape *s)
{
	for (uint64_t n = rnd(4); n > 0; n--)
		harmless[rnd(ARRAY_LEN(harmless))](s);
	/* Last: nothing is to be written to what such a block leads to. */
	if (rnd(3) == 0)
		wild_block(s);
}

/* --- the comparison ----------------------------------------------------------- */

/* A copy of @from as @to; or are the two the same? Holes are not looked into. */
static bool copy_or_compare(const char *from, const char *to, bool compare)
{
	static uint8_t x[1 << 16], y[1 << 16];
	int a = open_in_dir(from, true), b = open_in_dir(to, compare);
	const off_t size = lseek(a, 0, SEEK_END);
	bool same = true;
	off_t at = 0;
	ssize_t n;

	wants(a >= 0 && b >= 0);
	if (compare)
		same = lseek(b, 0, SEEK_END) == size;
	else
		wants(ftruncate(b, size) == 0);
	while (same && (at = lseek(a, at, SEEK_DATA)) >= 0 &&
	       (n = pread(a, x, sizeof(x), at)) > 0) {
		if (compare)
			same = pread(b, y, (size_t)n, at) == n && memcmp(x, y, (size_t)n) == 0;
		else
			wants(pwrite(b, x, (size_t)n, at) == n);
		at += n;
	}
	close(a);
	close(b);
	return same;
}

static void sound(const char *name, bool others_opinion)
{
	struct sill_image_checking how = { .fd = open_in_dir(name, true),
					   .path = name,
					   .format = SILL_DISK_QCOW2 };
	struct sill_image_check r = { 0 };
	struct sill_err e = { 0 };

	wants(sill_image_check(&how, &r, &e) == 0);
	close(how.fd);
	wants(r.errors == 0);
	wants(r.leaks == 0);
	if (others_opinion && has_qemu)
		wants(sh("qemu-img check -q -f qcow2 %s", name) == 0);
}

/* True: what is left cannot be set right. */
static bool repair_by_check(const char *name)
{
	struct sill_image_checking how = { .fd = open_in_dir(name, false),
					   .path = name,
					   .format = SILL_DISK_QCOW2,
					   .repair = true };
	struct sill_image_check r = { 0 };
	struct sill_err e = { 0 };
	const int ret = sill_image_check(&how, &r, &e);

	close(how.fd);
	return ret < 0 || r.errors != 0;
}

static void reads_as(const char *name, const uint8_t *before, uint64_t size, uint64_t lost)
{
	uint64_t now;

	read_all(name, seen, &now);
	wants(now == lost);
	wants(lost == UINT64_MAX || memcmp(seen, before, size) == 0);
}

/* Opened for writing, and written to. */
static void repair_by_open(bool may_refuse, uint64_t size, uint64_t lost)
{
	struct sill_err e = { 0 };
	struct sill_image *i = open_image("b", false, &e);

	if (i == NULL) {
		wants(may_refuse);
		wants(copy_or_compare("was", "b", true));
		wants(strstr(e.hint, "check -f qcow2 --repair") != NULL);
		return;
	}
	sill_image_close(i);
	wants(lost == 0);
	sound("b", false);
	reads_as("b", held, size, 0);
	i = open_image("b", false, &e);
	wants(i != NULL);
	scribble(i, 20);
	wants(sill_image_finish(i, &e) == 0);
	reads_as("b", held, size, 0);
	sound("b", true);
}

static void one(bool structural)
{
	static uint8_t before[3 << 20];
	struct shape s;
	uint64_t lost;
	bool failed;

	make();
	look(&s, "a");
	hurt_refcounts(&s);
	if (structural)
		tables(&s);
	put(&s, QCOW2_AT_INCOMPAT, get(&s, QCOW2_AT_INCOMPAT) | QCOW2_INCOMPAT_DIRTY);
	close(s.fd);
	read_all("a", before, &lost);
	wants(structural || (lost == 0 && memcmp(before, held, s.size) == 0));
	(void)copy_or_compare("a", "b", false);
	(void)copy_or_compare("a", "was", false);
	failed = repair_by_check("a");
	wants(!failed || structural);
	reads_as("a", before, s.size, lost);
	if (!failed)
		sound("a", true);
	if (lost == 0)
		memcpy(held, before, s.size);
	repair_by_open(structural, s.size, lost);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void qcow2_repair__at_open_is_what_the_check_does(void **state)
{
	const uint64_t first = number("SILL_SEED", 1), n = number("SILL_DAMAGES", DAMAGES);

	(void)state;
	for (seed = first; seed < first + n; seed++) {
		rnd_seed(seed);
		one(seed % 5 == 0);
	}
}

/* --- places that nobody has counted --------------------------------------------- */

/* Where nothing is yet; what is there is another matter: its count is not to be had. */
static void fill_gaps(uint64_t size, uint64_t cluster)
{
	struct sill_err e = { 0 };
	struct sill_image *i = open_image("a", false, &e);

	wants(i != NULL);
	for (uint64_t at = 0; at < size; at += cluster) {
		const uint64_t n = size - at < cluster ? size - at : cluster;
		struct sill_image_extent x;

		wants(sill_image_extent(i, at, n, 0, &x, &e) == 0);
		if (x.present || x.length != n || rnd(3) != 0)
			continue;
		memset(held + at, 1 + (int)rnd(255), n);
		wants(sill_image_write(i, held + at, n, at, &e) == 0);
	}
	wants(sill_image_finish(i, &e) == 0);
}

/* Not marked as dirty, so nobody counts: what the missing blocks would have counted is not free. */
static void qcow2_alloc__leaves_alone_what_nobody_has_counted(void **state)
{
	(void)state;
	for (seed = 1; seed <= 12; seed++) {
		struct shape s;

		rnd_seed(seed);
		make();
		look(&s, "a");
		for (uint64_t k = seed % 2; k < file_clusters(&s) / s.per + 1; k++)
			put(&s, s.rt + 8 * k, 0);
		if (seed % 3 == 0)
			short_table(&s);
		close(s.fd);
		for (int round = 0; round < 3; round++) {
			fill_gaps(s.size, s.cluster);
			reads_as("a", held, s.size, 0);
		}
	}
}

/* --- what no table can be -------------------------------------------------------- */

/* "Ours alone", at 0: that would be the header, of which a repair may change what looks like entries. */
static void qcow2_open__the_header_is_no_table(void **state)
{
	struct sill_err e = { 0 };
	struct shape s;

	(void)state;
	seed = 1;
	rnd_seed(seed);
	make();
	look(&s, "a");
	put(&s, s.l1, QCOW2_COPIED);
	close(s.fd);
	for (int readonly = 0; readonly < 2; readonly++) {
		e = (struct sill_err){ 0 };
		wants(open_image("a", readonly != 0, &e) == NULL);
		wants(strstr(e.msg, "L2 table 0 is not where one can be") != NULL);
	}
}

/* --- how far the file is needed, and how long that takes to find out ----------- */

/* As lazy refcounts leave it: with data in the last cluster, of which no block knows. */
static void qcow2_check__the_end_is_behind_what_is_in_use(void **state)
{
	struct sill_image_checking how = { .path = "a", .format = SILL_DISK_QCOW2 };
	struct sill_image_check r = { 0 };
	struct sill_err e = { 0 };
	uint64_t at = 0, lost;
	struct shape s;

	(void)state;
	for (seed = 1; at == 0; seed++) {
		rnd_seed(seed);
		make();
		look(&s, "a");
		at = some_entry(&s);
	}
	far(&s);
	wants(ftruncate(s.fd, (off_t)((file_clusters(&s) + 100) << s.bits)) == 0);
	for (uint64_t k = 0; k < s.rt_size; k++)
		put(&s, s.rt + 8 * k, 0);
	how.fd = s.fd;
	wants(sill_image_check(&how, &r, &e) == 0);
	wants(r.end_offset + (100 << s.bits) == file_clusters(&s) << s.bits);
	wants(ftruncate(s.fd, (off_t)r.end_offset) == 0);
	read_all("a", seen, &lost);
	wants(lost == 0 && memcmp(seen, held, s.size) == 0);
	/* An entry that makes no sense may mean any place: nothing can be cut off. */
	put(&s, at, 1ull << 60 | get(&s, at));
	wants(ftruncate(s.fd, (off_t)((file_clusters(&s) + 100) << s.bits)) == 0);
	wants(sill_image_check(&how, &r, &e) == 0);
	wants(r.errors != 0 && r.end_offset == file_clusters(&s) << s.bits);
	close(s.fd);
}

static void header_of(uint8_t h[112], unsigned bits, uint64_t size, uint32_t l1_size)
{
	const uint64_t c = 1ull << bits;

	memset(h, 0, 112);
	qcow2_put_be32(h, 0x514649fb);
	qcow2_put_be32(h + 4, 3);
	qcow2_put_be32(h + 20, bits);
	qcow2_put_be64(h + 24, size);
	qcow2_put_be32(h + 36, l1_size);
	qcow2_put_be64(h + 40, 2 * c);
	qcow2_put_be64(h + 48, c);
	qcow2_put_be32(h + 56, 1);
	qcow2_put_be64(h + 72, QCOW2_INCOMPAT_DIRTY);
	qcow2_put_be32(h + 96, 4);
	qcow2_put_be32(h + 100, 112);
}

/* A file of 8 TiB that has 2 MiB: 262144 L2 tables of 2 MiB, in holes, are 69 billion entries. */
static void qcow2_repair__takes_as_long_as_the_file_has_bytes(void **state)
{
	enum { BITS = 21, TABLES = 1 << 18 };
	static uint64_t l1[TABLES];
	struct sill_err e = { 0 };
	struct sill_image *i;
	uint8_t h[112];
	int fd;

	(void)state;
	seed = 0;
	wants(sh("rm -f a; touch a") == 0);
	fd = open_in_dir("a", false);
	header_of(h, BITS, 1ull << 57, TABLES);
	for (uint64_t k = 0; k < TABLES; k++)
		qcow2_put_be64(&l1[k], QCOW2_COPIED | (k + 16) << BITS);
	wants(pwrite(fd, h, sizeof(h), 0) == sizeof(h));
	wants(pwrite(fd, l1, sizeof(l1), 2 << BITS) == sizeof(l1));
	if (ftruncate(fd, (off_t)((TABLES + 16ull) << BITS)) != 0)
		skip(); /* not on this file system */
	close(fd);
	i = open_image("a", false, &e);
	wants(i != NULL);
	sill_image_close(i);
	sound("a", false);
}

/* 8192 bitmaps, all of which have one table of 64 MiB, in a hole. */
static void qcow2_check__looks_once_at_what_many_bitmaps_name(void **state)
{
	enum { BITS = 9, BITMAPS = 8192, WHERE = 1 << 20, BYTES = 64 << 20 };
	struct sill_image_checking how = { .path = "a", .format = SILL_DISK_QCOW2 };
	static uint8_t dir_bytes[BITMAPS][24];
	struct sill_image_check r = { 0 };
	struct sill_err e = { 0 };
	uint8_t h[112], ext[32] = { 0 };

	(void)state;
	seed = 0;
	wants(sh("rm -f a; touch a") == 0);
	how.fd = open_in_dir("a", false);
	header_of(h, BITS, 1 << 15, 1);
	qcow2_put_be32(ext, 0x23852875);
	qcow2_put_be32(ext + 4, 24);
	qcow2_put_be32(ext + 8, BITMAPS);
	qcow2_put_be64(ext + 16, sizeof(dir_bytes));
	qcow2_put_be64(ext + 24, 4 << BITS);
	for (int k = 0; k < BITMAPS; k++) {
		qcow2_put_be64(dir_bytes[k], WHERE);
		qcow2_put_be32(dir_bytes[k] + 8, BYTES / 8);
	}
	wants(pwrite(how.fd, h, sizeof(h), 0) == sizeof(h));
	wants(pwrite(how.fd, ext, sizeof(ext), 112) == sizeof(ext));
	wants(pwrite(how.fd, dir_bytes, sizeof(dir_bytes), 4 << BITS) == sizeof(dir_bytes));
	wants(ftruncate(how.fd, WHERE + BYTES) == 0);
	wants(sill_image_check(&how, &r, &e) == 0);
	wants(r.errors >= BITMAPS - 1);
	close(how.fd);
}

static int set_up(void **state)
{
	(void)state;
	dir_make();
	has_qemu = sh("qemu-img --version") == 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dir_remove();
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(qcow2_repair__at_open_is_what_the_check_does),
		TEST(qcow2_repair__takes_as_long_as_the_file_has_bytes),
		TEST(qcow2_alloc__leaves_alone_what_nobody_has_counted),
		TEST(qcow2_open__the_header_is_no_table),
		TEST(qcow2_check__the_end_is_behind_what_is_in_use),
		TEST(qcow2_check__looks_once_at_what_many_bitmaps_name),
	};

	return cmocka_run_group_tests_name("qcow2_repair", tests, NULL, NULL);
}
