/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_plug.c - devices that come and go, in a machine of the rig's parts: the
 * main loop is the rig's thread, and the test's own stands for the vCPUs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/acpi/pcihp.h"
#include "devices/virtio/virtio.h"
#include "machine/limits.h"
#include "machine/machine.h"
#include "machine/plug.h"
#include "tasks.h"
#include "winblk.c"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* A sanitizer takes a while for eighteen threads. */
enum { ROUNDS = SANITIZED ? 200 : 1000 };
enum { DISK = 1 << 20, IN = 0, OUT = 1, OK = 0, IOERR = 1 };

static struct bench {
	struct rig_pc *pc;
	struct machine m;
	unsigned stalls; /* atomic */
} * b;

static void on_stall(void *ctx, const char *id, const char *what, int err)
{
	(void)ctx;
	(void)id;
	(void)what;
	(void)err;
	(void)__atomic_add_fetch(&b->stalls, 1, __ATOMIC_SEQ_CST);
}

static void open_bench(void)
{
	struct sill_err e = { 0 };

	b = calloc(1, sizeof(*b));
	assert_non_null(b);
	b->pc = rig_pc_create();
	b->pc->env.stall = on_stall;
	assert_int_equal(machine_init(&b->m, "vm", &b->pc->env, b->pc->env.loop, &e), 0);
	b->m.env = b->pc->env;
	b->m.pci = b->pc->pci;
	b->m.mmio = b->pc->mmio;
	b->m.pio = b->pc->pio;
}

/* --- on the main loop ------------------------------------------------------ */

struct call {
	const struct sill_device *device;
	struct sill_files *files;
	enum sill_device_kind kind;
	const char *id;
	uint64_t ticket;
	bool flag;
	int ret;
	struct sill_err e;
};

static void call_plug(void *ctx)
{
	struct call *c = ctx;

	c->ret = machine_plug(&b->m, c->device, c->files, &c->e);
}

static void call_unplug(void *ctx)
{
	struct call *c = ctx;

	c->ret = machine_unplug(&b->m, c->kind, c->id, &c->ticket, &c->e);
}

static void call_let_go(void *ctx)
{
	(void)ctx;
	if (machine_can_let_go(&b->m))
		machine_let_go(&b->m);
}

static void call_pause(void *ctx)
{
	const struct call *c = ctx;

	if (c->flag)
		machine_pause(&b->m);
	else
		machine_resume(&b->m);
}

static void call_rest(void *ctx)
{
	struct call *c = ctx;

	c->flag = machine_waits_for(&b->m) == NULL;
}

static void call_close(void *ctx)
{
	struct call *c = ctx;

	machine_stop(&b->m);
	while (machine_waits_for(&b->m) != NULL)
		sched_yield();
	machine_remove_devices(&b->m);
	c->flag = b->m.limits == NULL;
}

static void close_bench(void)
{
	struct call c = { 0 };

	loop_call(b->pc->env.loop, call_close, &c);
	assert_true(c.flag);
	assert_null(b->m.plugged);
	(void)pthread_mutex_destroy(&b->m.mutex);
	free(b->m.name);
	rig_pc_destroy(b->pc);
	free(b);
}

static void pause_all(bool on)
{
	struct call c = { .flag = on };

	loop_call(b->pc->env.loop, call_pause, &c);
	for (c.flag = false; !c.flag;)
		loop_call(b->pc->env.loop, call_rest, &c);
}

/* --- devices ---------------------------------------------------------------- */

static char image_path[] = "disk.img";

/* All 0x3c. @sealed: writes fail. */
static int make_image(bool sealed)
{
	int fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t bytes[4096];

	memset(bytes, 0x3c, sizeof(bytes));
	assert_true(fd >= 0);
	for (off_t at = 0; at < DISK; at += (off_t)sizeof(bytes))
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at), sizeof(bytes));
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	return fd;
}

static void add_file(struct sill_files *files, enum sill_file_role role, const char *id, int fd)
{
	const struct sill_file f = { .role = role, .id = id, .fd = fd };
	struct sill_err e = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(sill_files_add(files, &f, &e), 0);
}

/* Plug it with what is in @files; what is left is closed. */
static int plug(const struct sill_device *d, struct sill_files *files, struct sill_err *e)
{
	struct call c = { .device = d, .files = files };

	loop_call(b->pc->env.loop, call_plug, &c);
	sill_files_close(files);
	*e = c.e;
	return c.ret;
}

static int plug_disk(struct sill_disk_config *d, bool sealed, struct sill_err *e)
{
	const struct sill_device device = { .kind = SILL_DEVICE_DISK, .disk = d };
	struct sill_files files;

	d->path = image_path;
	d->serial = image_path;
	sill_files_init(&files);
	add_file(&files, SILL_FILE_DISK, d->id, make_image(sealed));
	return plug(&device, &files, e);
}

static int plug_rng(struct sill_err *e)
{
	const struct sill_device device = { .kind = SILL_DEVICE_RNG };
	struct sill_files files;

	sill_files_init(&files);
	add_file(&files, SILL_FILE_RNG, NULL, open("/dev/urandom", O_RDONLY | O_CLOEXEC));
	return plug(&device, &files, e);
}

static int plug_console(struct sill_err *e)
{
	const struct sill_char_config config = { .mode = SILL_CHAR_FILE };
	const struct sill_device device = { .kind = SILL_DEVICE_CONSOLE, .console = &config };
	struct sill_files files;

	sill_files_init(&files);
	add_file(&files, SILL_FILE_OUT, "console", memfd_create("out", MFD_CLOEXEC));
	return plug(&device, &files, e);
}

static int plug_balloon(struct sill_err *e)
{
	const struct sill_balloon_config config = { .enabled = true, .size = 1 << 20 };
	const struct sill_device device = { .kind = SILL_DEVICE_BALLOON, .balloon = &config };
	struct sill_files files;

	sill_files_init(&files);
	return plug(&device, &files, e);
}

static uint64_t begin_unplug(enum sill_device_kind kind, const char *id)
{
	struct call c = { .kind = kind, .id = id };

	loop_call(b->pc->env.loop, call_unplug, &c);
	if (c.ret < 0)
		fail_msg("%s", c.e.msg);
	return c.ticket;
}

static void finish_unplug(uint64_t ticket)
{
	while (machine_is_leaving(&b->m, ticket)) {
		loop_call(b->pc->env.loop, call_let_go, NULL);
		sched_yield();
	}
}

static void unplug_now(enum sill_device_kind kind, const char *id)
{
	finish_unplug(begin_unplug(kind, id));
}

static uint32_t ids_of(unsigned slot)
{
	return pci_config_read(b->pc->pci, 0, slot << 3, 0, 4);
}

static unsigned slot_of(const char *id)
{
	struct sill_device_info d[8];
	const size_t n = machine_devices(&b->m, d, ARRAY_LEN(d));

	for (size_t i = 0; i < n; i++)
		if (strcmp(d[i].id, id) == 0)
			return d[i].slot;
	fail_msg("there is no %s", id);
	return 0;
}

/* --- a thousand times -------------------------------------------------------- */

struct count {
	size_t files, threads, maps, bytes;
};

static struct count take_count(void)
{
	struct count c = { .files = files_open(), .threads = tasks_alive() };
	FILE *f = fopen("/proc/self/maps", "re");
	int ch;

	assert_non_null(f);
	while ((ch = fgetc(f)) != EOF)
		c.maps += ch == '\n';
	(void)fclose(f);
#if !SANITIZED
	c.bytes = mallinfo2().uordblks;
#endif
	return c;
}

static uint8_t write_page(struct winblk *w, uint64_t sector)
{
	static const struct virtq_seg page = { WB_DATA, 4096 };
	const struct winblk_io io = { .type = OUT, .sector = sector, .segments = 1, .seg = &page };
	uint32_t used;

	return winblk_do(w, 0, &io, &used);
}

/* All three come, a driver uses the disk now and then, all three go. */
static void come_and_go(unsigned round)
{
	char id[] = "data", group[] = "all";
	struct sill_disk_config d = { .id = id,
				      .queues = 2,
				      .slot = (uint8_t)(round % 2 == 0 ? 0 : 9),
				      .rate_limit = { .ops = 1000000, .group = group } };
	unsigned slot;
	const bool paused = round % 3 == 0;
	struct sill_err e = { 0 };

	if (paused)
		pause_all(true);
	assert_int_equal(plug_disk(&d, false, &e), 0);
	assert_int_equal(plug_rng(&e), 0);
	assert_int_equal(plug_console(&e), 0);
	assert_int_equal(plug_balloon(&e), 0);
	slot = slot_of(id);
	assert_true(d.slot == 0 || slot == d.slot);
	assert_int_equal(ids_of(slot), 0x10421af4);
	if (paused)
		pause_all(false);
	if (round % 20 == 0) {
		struct winblk *w = calloc(1, sizeof(*w));

		winblk_start(w, b->pc, slot, 0, 0);
		assert_int_equal(write_page(w, 8), OK);
		free(w);
	}
	machine_console_resize(&b->m, 80, 25);
	assert_true(machine_balloon_resize(&b->m, 2 << 20));
	unplug_now(SILL_DEVICE_DISK, id);
	unplug_now(SILL_DEVICE_RNG, NULL);
	unplug_now(SILL_DEVICE_CONSOLE, NULL);
	unplug_now(SILL_DEVICE_BALLOON, NULL);
	assert_false(machine_balloon_resize(&b->m, 0));
	for (unsigned s = 1; s < 31; s++)
		assert_int_equal(ids_of(s), 0xffffffff);
	assert_null(b->m.limits);
}

static void plug__a_thousand_times_leaves_nothing_behind(void **state)
{
	struct count before, after;

	(void)state;
	open_bench();
	for (unsigned i = 0; i < 40; i++)
		come_and_go(i);
	before = take_count();
	for (unsigned i = 0; i < ROUNDS; i++)
		come_and_go(i);
	after = take_count();
	assert_int_equal(after.files, before.files);
	assert_int_equal(after.threads, before.threads);
	if (!SANITIZED) /* they map for themselves */
		assert_int_equal(after.maps, before.maps);
	/* Threads keep some freed pieces to themselves: that is noise, less than the least piece each time. */
	assert_in_range(after.bytes, 0, before.bytes + (size_t)ROUNDS * 16 - 1);
	close_bench();
}

/* --- one at a time ------------------------------------------------------------ */

static void plug__refuses_what_is_there_and_keeps_nothing_of_it(void **state)
{
	char id[] = "data", other[] = "other";
	struct sill_disk_config d = { .id = id, .slot = 5 };
	struct sill_disk_config taken = { .id = other, .slot = 5, .rate_limit = { .ops = 10 } };
	struct sill_err e = { 0 };
	const struct limits *limits;
	size_t files;

	(void)state;
	open_bench();
	assert_int_equal(plug_disk(&d, false, &e), 0);
	files = files_open();
	limits = b->m.limits; /* of the one that is there */
	assert_int_equal(plug_disk(&d, false, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	e = (struct sill_err){ 0 };
	assert_int_equal(plug_disk(&taken, false, &e), -1);
	assert_int_equal(e.code, SILL_ERR_STATE);
	assert_ptr_equal(b->m.limits, limits);
	assert_int_equal(files_open(), files);
	close_bench();
}

/* --- a group's limits ----------------------------------------------------------- */

struct limit_call {
	const char *id;
	struct sill_rate_limit r;
	int ret;
	struct sill_err e;
};

static void call_limit(void *ctx)
{
	struct limit_call *c = ctx;

	c->ret = machine_limit(&b->m, SILL_DEVICE_DISK, c->id, 0, &c->r, &c->e);
}

static bool is_limited(void)
{
	return throttle_is_on(limits_throttle(b->m.limits));
}

/* The next write waits for an hour and more, until other limits come. */
static void write_and_wait(struct winblk *w)
{
	static const struct virtq_seg page = { WB_DATA, 4096 };
	const struct winblk_io io = { .type = OUT, .sector = 8, .segments = 1, .seg = &page };

	assert_int_equal(write_page(w, 8), OK);
	(void)winblk_send(w, 0, &io);
}

static void is_written(struct winblk *w)
{
	uint32_t used;
	uint8_t status;

	(void)winblk_reap(w, 0, &used, &status);
	assert_int_equal(status, OK);
}

static void limits__of_a_group_are_what_one_of_it_is_told(void **state)
{
	char one[] = "one", two[] = "two", three[] = "three", group[] = "all";
	struct sill_disk_config
		first = { .id = one, .slot = 5, .rate_limit.group = group },
		second = { .id = two,
			   .slot = 5,
			   .rate_limit = { .bandwidth = 1, .bandwidth_burst = 1, .group = group } },
		third = { .id = three, .rate_limit = { .bandwidth = 1ull << 40, .group = group } };
	struct limit_call none = { .id = two }, gone = { .id = two };
	struct winblk *w = calloc(1, sizeof(*w));
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	assert_int_equal(plug_disk(&first, false, &e), 0);
	/* One that does not come says nothing. */
	assert_int_equal(plug_disk(&second, false, &e), -1);
	assert_false(is_limited());
	second.slot = 0;
	assert_int_equal(plug_disk(&second, false, &e), 0);
	assert_true(is_limited());
	winblk_start(w, b->pc, 5, 0, 0);
	write_and_wait(w);
	loop_call(b->pc->env.loop, call_limit, &none);
	assert_int_equal(none.ret, 0);
	is_written(w);
	assert_false(is_limited());
	none.r = second.rate_limit;
	loop_call(b->pc->env.loop, call_limit, &none);
	write_and_wait(w);
	unplug_now(SILL_DEVICE_DISK, two);
	assert_true(is_limited());
	loop_call(b->pc->env.loop, call_limit, &gone);
	assert_int_equal(gone.e.code, SILL_ERR_STATE);
	assert_int_equal(plug_disk(&third, false, &e), 0);
	is_written(w);
	close_bench();
	free(w);
}

static void call_add_pcihp(void *ctx)
{
	const struct pcihp_config c = { 0 };
	struct sill_err e = { 0 };

	(void)ctx;
	b->m.pcihp = machine_add_device(&b->m, "pcihp", "pcihp", &c, NO_GSI, &e);
	assert_non_null(b->m.pcihp);
}

struct all {
	enum sill_guest guest;
	uint32_t fixed;
};

static void call_plug_all(void *ctx)
{
	char system[] = "system", data[] = "data";
	struct sill_disk_config disk[] = {
		{ .id = system, .path = image_path, .serial = image_path },
		{ .id = data, .path = image_path, .serial = image_path, .slot = 3 },
	};
	struct all *a = ctx;
	const struct sill_config c = { .guest = a->guest, .disk = disk, .disk_count = 2 };
	struct sill_files files;
	struct sill_err e = { 0 };

	call_add_pcihp(NULL);
	sill_files_init(&files);
	add_file(&files, SILL_FILE_DISK, system, make_image(false));
	add_file(&files, SILL_FILE_DISK, data, make_image(false));
	assert_int_equal(machine_plug_all(&b->m, &c, &files, &e), 0);
	sill_files_close(&files);
	a->fixed = pcihp_fixed(b->m.pcihp);
}

static void plug_all__fixes_the_disk_windows_boots_from(void **state)
{
	struct all a = { .guest = SILL_GUEST_WINDOWS };
	struct sill_device_info d[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		open_bench();
		loop_call(b->pc->env.loop, call_plug_all, &a);
		assert_int_equal(machine_devices(&b->m, d, 2), 2);
		assert_string_equal(d[0].id, "data"); /* it asked for its slot */
		assert_int_equal(d[0].slot, 3);
		assert_true(d[0].removable);
		assert_string_equal(d[1].id, "system");
		assert_int_equal(d[1].removable, a.guest != SILL_GUEST_WINDOWS);
		assert_int_equal(a.fixed, d[1].removable ? 0 : 1u << d[1].slot);
		assert_int_equal(dev_io(b->m.pcihp, 0, &(struct io){ .size = 4 }), IO_DONE);
		close_bench();
		a.guest = SILL_GUEST_LINUX;
	}
}

/* --- saved ------------------------------------------------------------------ */

struct state {
	struct buf out;
	int ret;
};

static void call_save(void *ctx)
{
	struct state *s = ctx;
	struct saver to;
	struct sill_err e = { 0 };

	save_init(&to, &s->out);
	s->ret = machine_save(&b->m, &to, &e);
}

static void call_load(void *ctx)
{
	struct state *s = ctx;
	struct sill_err e = { 0 };
	struct loader l;

	load_init(&l, s->out.data, s->out.size);
	s->ret = machine_load(&b->m, &l, &e);
}

static void plug_named(const char *name)
{
	char id[8];
	struct sill_disk_config d = { .id = id, .queues = 1 };
	struct sill_err e = { 0 };

	(void)snprintf(id, sizeof(id), "%s", name);
	assert_int_equal(plug_disk(&d, false, &e), 0);
}

/* The middle one of three went: a machine with the two others has them where they were. */
static void load__puts_devices_into_their_slots(void **state)
{
	struct state s = { .ret = -1 };
	struct sill_err e = { 0 };

	(void)state;
	buf_init(&s.out, 1 << 20);
	open_bench();
	vmclock_init(&b->m.clock);
	plug_named("a");
	plug_named("b");
	assert_int_equal(plug_rng(&e), 0);
	plug_named("c");
	unplug_now(SILL_DEVICE_DISK, "b");
	pause_all(true);
	loop_call(b->pc->env.loop, call_save, &s);
	assert_int_equal(s.ret, 0);
	close_bench();

	open_bench();
	vmclock_init(&b->m.clock);
	plug_named("a");
	plug_named("c");
	assert_int_equal(plug_rng(&e), 0);
	assert_int_equal(slot_of("c"), 2);
	loop_call(b->pc->env.loop, call_load, &s);
	assert_int_equal(s.ret, 0);
	assert_int_equal(slot_of("a"), 1);
	assert_int_equal(slot_of("rng"), 3);
	assert_int_equal(slot_of("c"), 4);
	assert_int_equal(ids_of(2), 0xffffffff);
	assert_int_equal(ids_of(4), 0x10421af4);
	pause_all(false);
	unplug_now(SILL_DEVICE_DISK, "c");
	assert_int_equal(ids_of(4), 0xffffffff);
	close_bench();
	buf_fini(&s.out);
}

static void unplug__refuses_what_is_not_there(void **state)
{
	struct call c = { .kind = SILL_DEVICE_DISK, .id = "data" };

	(void)state;
	open_bench();
	loop_call(b->pc->env.loop, call_unplug, &c);
	assert_int_equal(c.ret, -1);
	assert_int_equal(c.e.code, SILL_ERR_STATE);
	close_bench();
}

static void call_ejected(void *ctx)
{
	struct call *c = ctx;
	struct sill_device_info d;

	c->flag = machine_next_ejected(&b->m, &d);
	if (c->flag)
		c->ret = machine_unplug(&b->m, d.kind, d.id, &c->ticket, &c->e);
	assert_true(!c->flag || !machine_next_ejected(&b->m, &d));
}

/* The guest does it, which nobody has asked for: it is off the bus at once. */
static uint64_t eject(unsigned slot)
{
	struct io io = { .off = 8, .size = 4, .write = true, .val = 1ull << slot };
	struct call c = { 0 };

	assert_int_equal(dev_io(b->m.pcihp, 0, &io), IO_DONE);
	assert_int_equal(ids_of(slot), 0xffffffff);
	loop_call(b->pc->env.loop, call_ejected, &c);
	assert_true(c.flag);
	assert_int_equal(c.ret, 0);
	return c.ticket;
}

/* A driver whose disk goes away in the middle: each request has ended, or was never begun. */
static void unplug__ends_what_is_under_way(void **state)
{
	static const struct virtq_seg page = { WB_DATA, 4096 };
	char id[] = "data";
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	loop_call(b->pc->env.loop, call_add_pcihp, NULL);
	for (unsigned round = 0; round < 50; round++) {
		struct sill_disk_config d = { .id = id, .slot = 1 };
		struct winblk *w = calloc(1, sizeof(*w));
		uint64_t ticket;

		assert_int_equal(plug_disk(&d, false, &e), 0);
		winblk_start(w, b->pc, 1, 0, 0);
		for (unsigned i = 0; i < 100; i++) {
			const struct winblk_io io = {
				.type = OUT, .sector = i * 8, .segments = 1, .seg = &page
			};

			(void)winblk_send(w, 0, &io);
		}
		if (round % 2 == 0) {
			ticket = begin_unplug(SILL_DEVICE_DISK, id);
			assert_int_equal(ids_of(1), 0x10421af4);
		} else {
			ticket = eject(1);
		}
		finish_unplug(ticket);
		assert_int_equal(ids_of(1), 0xffffffff);
		assert_int_equal(rig_get(&w->r, 0, 4), 0xffffffff);
		for (unsigned i = 0; i < 100; i++) {
			const uint8_t status = winblk_status(w, 0, i);

			assert_true(status == OK || status == WB_POISON);
		}
		free(w);
	}
	close_bench();
}

/* on_error: stop has kept a write, and the machine is paused for it. */
static void unplug__fails_what_a_pause_has_kept(void **state)
{
	static const struct virtq_seg page = { WB_DATA, 4096 };
	const struct winblk_io io = { .type = OUT, .segments = 1, .seg = &page };
	char id[] = "data";
	struct sill_disk_config d = { .id = id, .on_error = SILL_ON_ERROR_STOP, .slot = 1 };
	struct winblk *w = calloc(1, sizeof(*w));
	struct sill_err e = { 0 };
	unsigned slot;

	(void)state;
	open_bench();
	assert_int_equal(plug_disk(&d, true, &e), 0);
	winblk_start(w, b->pc, 1, 0, 0);
	slot = winblk_send(w, 0, &io);
	while (__atomic_load_n(&b->stalls, __ATOMIC_SEQ_CST) == 0)
		sched_yield();
	pause_all(true);
	assert_int_equal(winblk_status(w, 0, slot), WB_POISON);
	unplug_now(SILL_DEVICE_DISK, id);
	assert_int_equal(winblk_status(w, 0, slot), IOERR);
	pause_all(false);
	free(w);
	close_bench();
}

/* --- who uses it meanwhile ------------------------------------------------------ */

static void *resize(void *ctx)
{
	const bool *stop = ctx;
	struct sill_err e;

	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		e = (struct sill_err){ 0 };
		if (machine_disk_resize(&b->m, "data", 0, &e) < 0)
			sched_yield(); /* not there just now */
		machine_console_resize(&b->m, 80, 25);
		(void)machine_console_written(&b->m);
	}
	return NULL;
}

static void unplug__waits_for_other_threads_that_use_it(void **state)
{
	char id[] = "data";
	bool stop = false;
	pthread_t thread;

	(void)state;
	open_bench();
	assert_int_equal(pthread_create(&thread, NULL, resize, &stop), 0);
	for (unsigned i = 0; i < 100; i++) {
		struct sill_disk_config d = { .id = id };
		struct sill_err e = { 0 };

		assert_int_equal(plug_disk(&d, false, &e), 0);
		assert_int_equal(plug_console(&e), 0);
		unplug_now(SILL_DEVICE_DISK, id);
		unplug_now(SILL_DEVICE_CONSOLE, NULL);
	}
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close_bench();
}

/* A card needs an attached tap: what else it is given is closed, and it is not there. */
static void plug__refuses_a_card_without_a_tap(void **state)
{
	char id[] = "net0", mac[] = "02:00:00:00:00:01", bad[] = "01:00:00:00:00:01";
	struct sill_net_config n = { .id = id, .mac = mac };
	const struct sill_device device = { .kind = SILL_DEVICE_NET, .net = &n };
	struct count before, after;
	struct sill_files files;
	struct sill_err e = { 0 };

	(void)state;
	open_bench();
	before = take_count();
	sill_files_init(&files);
	assert_int_equal(plug(&device, &files, &e), -1);
	assert_non_null(strstr(e.msg, "net0: a queue without a tap"));
	sill_files_init(&files);
	add_file(&files, SILL_FILE_TAP, id, open("/dev/null", O_RDWR | O_CLOEXEC));
	assert_int_equal(plug(&device, &files, &e), -1);
	assert_non_null(strstr(e.msg, "attached to no device"));
	n.mac = bad;
	assert_int_equal(plug(&device, &files, &e), -1);
	assert_int_equal(machine_net_link(&b->m, id, true, &e), -1);
	after = take_count();
	assert_int_equal(after.files, before.files);
	close_bench();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plug__a_thousand_times_leaves_nothing_behind),
		cmocka_unit_test(plug__refuses_what_is_there_and_keeps_nothing_of_it),
		cmocka_unit_test(limits__of_a_group_are_what_one_of_it_is_told),
		cmocka_unit_test(plug__refuses_a_card_without_a_tap),
		cmocka_unit_test(plug_all__fixes_the_disk_windows_boots_from),
		cmocka_unit_test(load__puts_devices_into_their_slots),
		cmocka_unit_test(unplug__refuses_what_is_not_there),
		cmocka_unit_test(unplug__ends_what_is_under_way),
		cmocka_unit_test(unplug__fails_what_a_pause_has_kept),
		cmocka_unit_test(unplug__waits_for_other_threads_that_use_it),
	};

	/* One heap, whose bytes can be counted. */
	(void)mallopt(M_ARENA_MAX, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
