/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_cross.c - random images and requests, checked with qemu-img and a model.
 *
 *	qcow2_cross SEED COUNT
 *
 * Each case is made from its own seed, which is printed when it fails and runs
 * again alone with: qcow2_cross SEED 1. Skipped (77) without qemu-img.
 */
#include <pthread.h>

#include "image_kit.h"

struct options {
	bool v2, ext, packed, data_raw;
	unsigned cluster_bits;
	uint64_t size;
	char text[256];
};

static uint8_t *model;
static uint64_t model_size;

static void choose(struct options *o)
{
	static const char *const prealloc[] = { "off", "off", "metadata", "falloc", "full" };
	const unsigned order = (unsigned)rnd(7);

	*o = (struct options){ .v2 = rnd(5) == 0, .cluster_bits = 9 + (unsigned)rnd(13) };
	if (rnd(3) == 0)
		o->cluster_bits = 16;
	o->ext = !o->v2 && o->cluster_bits >= 14 && rnd(3) == 0;
	o->size = (1 + rnd(o->cluster_bits > 18 ? 12000 : 5000)) * SECTOR;
	o->packed = rnd(4) == 0;
	if (o->v2)
		(void)snprintf(o->text, sizeof(o->text), "compat=0.10,cluster_size=%u",
			       1u << o->cluster_bits);
	else
		(void)snprintf(
			o->text, sizeof(o->text),
			"compat=1.1,cluster_size=%u,refcount_bits=%u,lazy_refcounts=%s,"
			"extended_l2=%s,compression_type=%s%s%s",
			1u << o->cluster_bits, 1u << order, rnd(3) == 0 && order > 0 ? "on" : "off",
			o->ext ? "on" : "off", rnd(2) == 0 ? "zlib" : "zstd",
			o->packed ? "" : ",preallocation=", o->packed ? "" : prealloc[rnd(5)]);
}

static void write_file(const char *name, const void *p, size_t n)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

/* Runs of noise, of something that packs well, and of zeroes. */
static void fill(uint8_t *p, uint64_t n)
{
	for (uint64_t at = 0; at < n;) {
		uint64_t run = (1 + rnd(200)) * SECTOR;
		const uint64_t kind = rnd(3), mark = rnd(255) + 1;

		run = run < n - at ? run : n - at;
		for (uint64_t i = 0; i < run; i++)
			p[at + i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? mark : rnd(256));
		at += run;
	}
}

static bool make_base(struct chain *c, const struct options *o)
{
	const bool raw = rnd(3) == 0;

	model = calloc(1, o->size);
	assert(model != NULL);
	model_size = o->size;
	fill(model, model_size);
	write_file("source.raw", model, model_size);
	c->n = 1;
	c->raw[0] = raw;
	(void)snprintf(c->name[0], sizeof(c->name[0]), "0.img");
	if (raw)
		return sh("mv source.raw 0.img") == 0;
	return sh("qemu-img convert -f raw -O qcow2 %s -o %s source.raw 0.img",
		  o->packed ? "-c" : "", o->text) == 0;
}

/* The model of what an overlay of another size shows. */
static void resize_model(uint64_t size)
{
	uint8_t *p = calloc(1, size);

	assert(p != NULL);
	memcpy(p, model, size < model_size ? size : model_size);
	free(model);
	model = p;
	model_size = size;
}

static bool make_overlay(struct chain *c, const struct options *o)
{
	char *name = c->name[c->n];
	const char *below = c->name[c->n - 1];
	const char *format = c->raw[c->n - 1] ? "raw" : "qcow2";
	char text[256];
	char *p;

	(void)snprintf(name, sizeof(c->name[0]), "%d.img", c->n);
	(void)snprintf(text, sizeof(text), "%s", o->text);
	if (sh("qemu-img create -f qcow2 -b %s -F %s -o %s %s %llu", below, format, text, name,
	       (unsigned long long)o->size) != 0) {
		p = strstr(text, ",preallocation"); /* not with every backing file */
		if (p != NULL)
			*p = 0;
		if (sh("qemu-img create -f qcow2 -b %s -F %s -o %s %s %llu", below, format, text,
		       name, (unsigned long long)o->size) != 0)
			return false;
	}
	c->raw[c->n++] = false;
	resize_model(o->size);
	return true;
}

static bool make_fresh(struct chain *c, const struct options *o)
{
	const bool data = !o->v2 && rnd(3) == 0;
	const bool raw = data && rnd(2) == 0;

	c->n = 1;
	c->data_file = data;
	(void)snprintf(c->name[0], sizeof(c->name[0]), "0.img");
	model = calloc(1, o->size);
	assert(model != NULL);
	model_size = o->size;
	return sh("qemu-img create -f qcow2 -o %s%s%s 0.img %llu", o->text,
		  data ? ",data_file=data.raw" : "", raw ? ",data_file_raw=on" : "",
		  (unsigned long long)o->size) == 0;
}

static void random_range(const struct options *o, uint64_t *off, uint64_t *n)
{
	const uint64_t cluster = 1ull << o->cluster_bits;
	const uint64_t limit = rnd(8) == 0 ? model_size : rnd(3) == 0 ? 4 * cluster : 64 * SECTOR;

	*off = rnd(model_size / SECTOR) * SECTOR;
	if (rnd(3) == 0)
		*off &= ~(cluster - 1);
	*n = (1 + rnd(limit / SECTOR)) * SECTOR;
	if (rnd(3) == 0)
		*n = (*n + cluster - 1) & ~(cluster - 1);
	if (*n > model_size - *off)
		*n = model_size - *off;
}

static int split(struct iovec *v, int max, uint8_t *p, uint64_t n)
{
	int count = 0;

	while (n > 0) {
		uint64_t piece = count == max - 1 ? n : 1 + rnd(rnd(4) == 0 ? n : 8192);

		piece = piece < n ? piece : n;
		v[count++] = (struct iovec){ p, (size_t)piece };
		p += piece;
		n -= piece;
	}
	return count;
}

static bool check_read(struct blk *b, uint64_t off, uint64_t n)
{
	uint8_t *buf = malloc(n);
	struct iovec v[200];
	bool good;
	int err;

	assert(buf != NULL);
	memset(buf, 0xa5, n);
	err = request(b, BLK_READ, off, n, v, split(v, 200, buf, n), false);
	good = err == 0 && memcmp(buf, model + off, n) == 0;
	if (err != 0)
		fprintf(stderr, "read %#llx+%#llx: %s\n", (unsigned long long)off,
			(unsigned long long)n, strerrordesc_np(err));
	for (uint64_t i = 0; err == 0 && !good && i < n; i++)
		if (buf[i] != model[off + i]) {
			fprintf(stderr, "read %#llx+%#llx: %#llx is %#x, not %#x\n",
				(unsigned long long)off, (unsigned long long)n,
				(unsigned long long)(off + i), buf[i], model[off + i]);
			break;
		}
	free(buf);
	return good;
}

/* A discard: granules that it covers are zeroes, the rest is as it was. */
static void model_discard(const struct options *o, bool backing, uint64_t off, uint64_t n)
{
	const uint64_t g = 1ull << (o->ext ? o->cluster_bits - 5 : o->cluster_bits);
	uint64_t from = (off + g - 1) & ~(g - 1), to = (off + n) & ~(g - 1);

	if ((o->v2 && backing) || o->data_raw)
		return;
	if (off + n == model_size)
		to = model_size;
	if (from < to)
		memset(model + from, 0, to - from);
}

static bool operate(struct blk *b, const struct options *o, bool backing)
{
	uint64_t off, n;
	int err = 0;
	const uint64_t op = rnd(12);

	random_range(o, &off, &n);
	if (op < 4)
		return check_read(b, off, n);
	if (op < 8) {
		struct iovec v[200];

		fill(model + off, n);
		err = request(b, BLK_WRITE, off, n, v, split(v, 200, model + off, n), false);
	} else if (op == 8) {
		model_discard(o, backing, off, n);
		err = request(b, BLK_DISCARD, off, n, NULL, 0, false);
	} else if (op < 11) {
		memset(model + off, 0, n);
		err = request(b, BLK_WRITE_ZEROES, off, n, NULL, 0, rnd(2) == 0);
	} else {
		err = request(b, BLK_FLUSH, 0, 0, NULL, 0, false);
	}
	if (err != 0)
		fprintf(stderr, "request %llu at %#llx+%#llx: %s\n", (unsigned long long)op,
			(unsigned long long)off, (unsigned long long)n, strerrordesc_np(err));
	return err == 0;
}

/* Several queues: each has its own stripes, and clusters have several queues. */
struct queue {
	struct blk *b;
	uint64_t stripe, me, seed;
	bool good;
};

enum { QUEUES = 3 };

static void *queue_run(void *arg)
{
	struct queue *q = arg;
	uint64_t x = q->seed * 2 + 1;
	uint8_t *buf = malloc(q->stripe);

	assert(buf != NULL);
	q->good = true;
	for (int i = 0; i < 60 && q->good; i++) {
		uint64_t at, n = q->stripe;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		at = ((x >> 20) % (model_size / q->stripe / QUEUES + 1) * QUEUES + q->me) *
		     q->stripe;
		if (at >= model_size)
			continue;
		n = n < model_size - at ? n : model_size - at;
		if ((x >> 60) < 6) {
			for (uint64_t k = 0; k < n; k++)
				model[at + k] = (uint8_t)(x >> (k % 7 * 8) ^ k);
			q->good = transfer(q->b, BLK_WRITE, at, model + at, n) == 0;
		} else if ((x >> 60) < 8) {
			memset(model + at, 0, n);
			q->good = request(q->b, BLK_WRITE_ZEROES, at, n, NULL, 0, true) == 0;
		} else if ((x >> 60) < 9) {
			q->good = request(q->b, BLK_FLUSH, 0, 0, NULL, 0, false) == 0;
		} else {
			q->good = transfer(q->b, BLK_READ, at, buf, n) == 0 &&
				  memcmp(buf, model + at, n) == 0;
		}
	}
	free(buf);
	return NULL;
}

static bool several_queues(struct blk *b)
{
	struct queue q[QUEUES];
	pthread_t t[QUEUES];
	const uint64_t stripe = (1 + rnd(40)) * SECTOR;
	bool good = true;

	for (unsigned i = 0; i < QUEUES; i++) {
		q[i] = (struct queue){ .b = b, .stripe = stripe, .me = i, .seed = rnd(1 << 30) };
		assert(pthread_create(&t[i], NULL, queue_run, &q[i]) == 0);
	}
	for (unsigned i = 0; i < QUEUES; i++) {
		(void)pthread_join(t[i], NULL);
		good = good && q[i].good;
	}
	if (!good)
		fprintf(stderr, "with several queues\n");
	return good;
}

static bool use(const struct chain *c, const struct options *o)
{
	struct sill_err e = { 0 };
	struct blk *b = chain_open(c, false, &e);
	const int count = 20 + (int)rnd(80);
	bool good = b != NULL;

	for (int i = 0; i < count && good; i++) {
		if (rnd(30) == 0) {
			blk_close(b);
			b = chain_open(c, rnd(4) == 0, &e);
			good = b != NULL && check_read(b, 0, model_size);
			if (good && b->readonly) {
				blk_close(b);
				b = chain_open(c, false, &e);
				good = b != NULL;
			}
		}
		good = good && operate(b, o, c->n > 1);
	}
	if (good && rnd(3) == 0)
		good = several_queues(b);
	good = good && check_read(b, 0, model_size);
	if (e.msg[0] != 0)
		fprintf(stderr, "%s\n", e.msg);
	blk_close(b);
	if (!good)
		return false;
	write_file("model.raw", model, model_size);
	if (sh("qemu-img check -f qcow2 %s", c->name[c->n - 1]) != 0) {
		fprintf(stderr, "qemu-img check\n");
		return false;
	}
	if (sh("qemu-img compare -f raw -F qcow2 model.raw %s", c->name[c->n - 1]) != 0) {
		fprintf(stderr, "qemu-img compare\n");
		return false;
	}
	return true;
}

static bool one_case(void)
{
	struct chain c = { 0 };
	struct options o;
	const int depth = rnd(2) == 0 ? 1 : 2 + (int)rnd(3);
	bool good;

	(void)sh("rm -f -- *.img *.raw");
	free(model);
	model = NULL;
	choose(&o);
	good = depth > 1 || rnd(2) == 0 ? make_base(&c, &o) : make_fresh(&c, &o);
	if (c.data_file)
		o.data_raw = sh("qemu-img info 0.img | grep -q 'data file raw: true'") == 0;
	if (good && !c.raw[c.n - 1])
		good = use(&c, &o);
	while (good && c.n < depth) {
		choose(&o);
		good = make_overlay(&c, &o) && use(&c, &o);
	}
	if (!good)
		fprintf(stderr, "%d images, %llu bytes%s, %s\n", c.n, (unsigned long long)o.size,
			c.data_file ? ", data file" : "", o.text);
	return good;
}

int main(int argc, char **argv)
{
	const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	const uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 100;
	uint64_t failed = 0;

	dir_make();
	if (sh("qemu-img --version") != 0) {
		dir_remove();
		printf("skipped: no qemu-img\n");
		return 77;
	}
	for (uint64_t i = seed; i < seed + count && failed < 5; i++) {
		bool good;

		rnd_seed(i);
		(void)blk_kit_open((enum blk_way)(i % WAYS)); /* without io_uring: blocking */
		good = one_case();
		blk_kit_close();
		if (good)
			continue;
		printf("not ok: seed %llu\n", (unsigned long long)i);
		(void)fflush(stdout);
		(void)sh("cat log >&2; mkdir -p /tmp/sill-image-failed; cp -- *.img *.raw log "
			 "/tmp/sill-image-failed");
		failed++;
	}
	free(model);
	dir_remove();
	printf("%llu cases, %llu failed\n", (unsigned long long)count, (unsigned long long)failed);
	return failed != 0;
}
