/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - a VM driven through the engine's calls alone (include/sill), for
 * the tests of what no manifest can ask for: pause, resume, NMI, ...
 *
 *   engine (--kernel FILE --initrd FILE [--cmdline WORDS] | --code FILE --vars FILE) [--cpus N[:MAX]] [--mem MIB[:MORE]]
 *          [--disk SERIAL:FILE]... [--serial FILE] [--hyperv] [--enforce] [--generation ID]
 *          [--load FILE] [--debug]
 *
 * A disk's FILE has the format that it ends in: .qcow2, .vhd, .vhdx; others are raw. FILE of --serial gets what the guest
 * says on COM1, and FILE.at the same with the host's CLOCK_MONOTONIC in ns, at which the line was
 * read here, in front of each line.
 *
 * FILE of --load is one of "save": the VM begins as it was then, paused. All else on the command line is as it was.
 *
 * Commands come on standard input, one a line, and are carried out by a second
 * thread, one after the other. Each is answered on standard output:
 *
 *   pause resume reset nmi power break stop
 *              "COMMAND RESULT NS": the call's result, and the host's CLOCK_MONOTONIC after it
 *   generation ID
 *              another generation id, 32 hexadecimal digits
 *   grow BYTES
 *              the disks whose serial begins with grow become so large; 0: as large as its file is now
 *   save FILE  pause, and write its state and its memory; it stays paused
 *   cpus N     the VM shall have so many; 0: it is only asked. "cpus RESULT NS PRESENT ASKED REFUSED HEARD"
 *   balloon MIB  it shall be so large; asked: what it is. "balloon RESULT NS SIZE ACTUAL RETURNED TOLD", MiB: what the
 *              host has got back of the guest's memory, and how much the guest says it has in all
 *   memory MIB the VM shall have so much; 0: it is only asked. "memory RESULT NS PRESENT ASKED REFUSED HEARD", MiB
 *   lines N    wait until the guest has said so many lines here
 *   plug ID:FILE, plug netN:TAP, plug rng, plug console:FILE
 *              a disk, in the format that FILE ends in; a network card on a tap that is there; a source of
 *              entropy; a console that writes to FILE
 *   unplug ID, unplug netN, unplug rng, unplug console
 *              without a word to the guest
 *   eject ID (or netN, rng, console)
 *              the guest is asked
 *   gone ID    wait until it has gone; 0 also when it was never there
 *   counts     "counts F T M": open files, threads and mappings of this process
 *   now        "now 0 NS"
 *   storm N    three threads, each N calls of pause, resume, reset or NMI in an order of its own;
 *              then resume; "storm FAILURES NS"
 *
 * Unasked: "removed ID" and "unanswered ID".
 *
 * When the VM has ended: "end REASON 0" (power-off, stopped, fault, host), exit status 0 for the
 * first two. The end of standard input ends nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "sill/config.h"
#include "sill/image.h"
#include "sill/vm.h"
#include "tests/unit/tasks.h"

static struct sill_disk_config disks[SILL_MAX_DISKS];
static struct sill_files files;
static int saved = -1;           /* --load */
static char generation[37];      /* 8-4-4-4-12 digits */
static FILE *serial, *serial_at; /* where the guest's lines go */
static int serial_pipe[2] = { -1, -1 };
static pthread_mutex_t lines_mutex = PTHREAD_MUTEX_INITIALIZER; /* the fields below */
static pthread_cond_t lines_changed = PTHREAD_COND_INITIALIZER;
static unsigned serial_lines;
static bool ended;

static int usage(void)
{
	fputs("usage: engine --kernel FILE [OPTION]... (see engine.c)\n", stderr);
	return 2;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0) {
		fprintf(stderr, "engine: %s: %s\n", path, strerrordesc_np(errno));
		exit(2);
	}
	return fd;
}

static void add_file(enum sill_file_role role, const char *id, int fd)
{
	const struct sill_file file = { .role = role, .id = id, .fd = fd };
	struct sill_err e = { 0 };

	if (sill_files_add(&files, &file, &e) < 0) {
		fprintf(stderr, "engine: %s\n", e.msg);
		exit(2);
	}
}

static uint64_t now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --- what the guest says ------------------------------------------------ */

static void open_serial(struct sill_config *c, const char *path)
{
	char at[4096];

	(void)snprintf(at, sizeof(at), "%s.at", path);
	serial = fopen(path, "ae");
	serial_at = fopen(at, "ae");
	if (serial == NULL || serial_at == NULL || pipe2(serial_pipe, O_CLOEXEC) < 0) {
		fprintf(stderr, "engine: %s: %s\n", path, strerrordesc_np(errno));
		exit(2);
	}
	c->serial.mode = SILL_CHAR_FILE;
	add_file(SILL_FILE_OUT, "serial", serial_pipe[1]);
}

/* Until the engine has closed its end. */
static void *serial_main(void *ctx)
{
	bool begins = true;
	char buf[4096];
	ssize_t n;

	(void)ctx;
	while ((n = read(serial_pipe[0], buf, sizeof(buf))) > 0) {
		uint64_t ns = now();

		for (ssize_t i = 0; i < n; i++) {
			if (begins)
				fprintf(serial_at, "%" PRIu64 " ", ns);
			(void)putc(buf[i], serial_at);
			begins = buf[i] == '\n';
		}
		(void)fflush(serial_at);
		(void)fwrite(buf, 1, (size_t)n, serial);
		(void)fflush(serial);
		(void)pthread_mutex_lock(&lines_mutex);
		for (ssize_t i = 0; i < n; i++)
			serial_lines += buf[i] == '\n';
		(void)pthread_cond_broadcast(&lines_changed);
		(void)pthread_mutex_unlock(&lines_mutex);
	}
	return NULL;
}

/* --- the command line --------------------------------------------------- */

static void add_disk(struct sill_config *c, char *arg)
{
	char *colon = strchr(arg, ':'), *dot = strrchr(arg, '.');
	enum sill_disk_format format;

	if (colon == NULL || c->disk_count == SILL_MAX_DISKS)
		exit(usage());
	*colon = '\0';
	if (dot == NULL || !sill_image_format_find(dot + 1, &format))
		format = SILL_DISK_RAW;
	disks[c->disk_count++] = (struct sill_disk_config){
		.path = colon + 1, .id = arg, .format = format, .serial = arg
	};
	add_file(SILL_FILE_DISK, arg, open_or_die(colon + 1, O_RDWR));
}

/* 32 hexadecimal digits. */
static bool read_id(const char *text, uint8_t ret[16])
{
	for (unsigned i = 0; i < 16; i++)
		if (sscanf(text + (size_t)2 * i, "%2hhx", &ret[i]) != 1)
			return false;
	return text[32] == '\0';
}

static void parse_cpus(struct sill_config *c, char *arg)
{
	char *colon;

	c->cpus.boot = c->cpus.max = (uint16_t)strtoul(arg, &colon, 10);
	if (*colon == ':')
		c->cpus.max = (uint16_t)strtoul(colon + 1, NULL, 10);
}

static void parse_memory(struct sill_config *c, char *arg)
{
	char *colon;

	c->memory.size = strtoull(arg, &colon, 10) << 20;
	if (*colon == ':')
		c->memory.hotplug_size = strtoull(colon + 1, &colon, 10) << 20;
	if (strcmp(colon, ":virtio-mem") == 0)
		c->memory.hotplug_method = SILL_HOTPLUG_VIRTIO_MEM;
}

static void parse(struct sill_config *c, int argc, char **argv)
{
	/* clang-format off */
	static const struct option options[] = {
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "code", required_argument, NULL, 'f' },
		{ "vars", required_argument, NULL, 'v' },
		{ "cmdline", required_argument, NULL, 'a' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "mem", required_argument, NULL, 'm' },
		{ "balloon", no_argument, NULL, 'b' },
		{ "disk", required_argument, NULL, 'd' },
		{ "serial", required_argument, NULL, 's' },
		{ "hyperv", no_argument, NULL, 'h' },
		{ "enforce", no_argument, NULL, 'e' },
		{ "generation", required_argument, NULL, 'g' },
		{ "load", required_argument, NULL, 'l' },
		{ "debug", no_argument, NULL, 'D' },
		{ NULL, 0, NULL, 0 },
	};
	/* clang-format on */
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'k':
			add_file(SILL_FILE_KERNEL, NULL, open_or_die(optarg, O_RDONLY));
			c->kernel = optarg;
			break;
		case 'i':
			add_file(SILL_FILE_INITRAMFS, NULL, open_or_die(optarg, O_RDONLY));
			c->initramfs = optarg;
			break;
		case 'f':
			add_file(SILL_FILE_CODE, NULL, open_or_die(optarg, O_RDONLY));
			c->firmware.code = optarg;
			break;
		case 'v':
			add_file(SILL_FILE_VARS, NULL, open_or_die(optarg, O_RDWR));
			c->firmware.vars = optarg;
			break;
		case 'a':
			c->cmdline = optarg;
			break;
		case 'c':
			parse_cpus(c, optarg);
			break;
		case 'm':
			parse_memory(c, optarg);
			break;
		case 'b':
			c->balloon = (struct sill_balloon_config){ .enabled = true,
								   .free_page_reporting = true };
			break;
		case 'd':
			add_disk(c, optarg);
			break;
		case 's':
			open_serial(c, optarg);
			break;
		case 'h':
			c->cpus.kvm_hyperv = true;
#define SILL_HV(name, on, needs, doc) c->cpus.hyperv.name = (on);
#include "sill/hyperv.def"
#undef SILL_HV
			break;
		case 'e':
			c->cpus.hyperv.enforce = true;
			break;
		case 'g':
			if (strlen(optarg) != 32)
				exit(usage());
			(void)snprintf(generation, sizeof(generation), "%.8s-%.4s-%.4s-%.4s-%.12s",
				       optarg, optarg + 8, optarg + 12, optarg + 16, optarg + 20);
			c->platform.vmgenid = generation;
			break;
		case 'l':
			saved = open_or_die(optarg, O_RDONLY);
			break;
		case 'D':
			sill_log_to(stderr, 3);
			break;
		default:
			exit(usage());
		}
	}
	if (optind != argc || (c->kernel == NULL && c->firmware.code == NULL))
		if (optind != argc || (c->kernel == NULL) == (c->firmware.code == NULL))
			exit(usage());
}

/* --- commands ----------------------------------------------------------- */

/* @more: words after the time, or an empty text. */
static void answer(const char *command, int result, const char *more)
{
	printf("%s %d %" PRIu64 "%s\n", command, result, now(), more);
	(void)fflush(stdout);
}

static int complain(int result, const struct sill_err *e)
{
	if (result < 0)
		fprintf(stderr, "engine: %s\n", e->msg);
	return result;
}

static int resize_cpus(struct sill_vm *vm, unsigned wanted, char *ret, size_t size)
{
	struct sill_vm_cpus c;
	struct sill_err e = { 0 };
	int result = 0;

	if (wanted != 0)
		result = complain(sill_vm_resize_cpus(vm, wanted, NULL, &e), &e);
	sill_vm_cpus(vm, &c);
	(void)snprintf(ret, size, " %u %u %u %d", c.present, c.asked, c.refused, c.heard);
	return result;
}

struct balloon_words {
	uint64_t returned, total; /* bytes */
};

static void note_balloon(void *ctx, const struct sill_counter *c)
{
	struct balloon_words *w = ctx;

	if (c->of != SILL_COUNTER_DEVICE || strcmp(c->id, "balloon") != 0)
		return;
	if (strcmp(c->name, "returned_bytes") == 0)
		w->returned = c->value;
	else if (strcmp(c->name, "total_memory") == 0)
		w->total = c->value;
}

static int resize_balloon(struct sill_vm *vm, const char *word, char *ret, size_t size)
{
	struct balloon_words w = { 0 };
	struct sill_vm_balloon b = { 0 };
	struct sill_err e = { 0 };
	int result = 0;

	if (strcmp(word, "asked") != 0)
		result = complain(sill_vm_resize_balloon(vm, strtoull(word, NULL, 10) << 20, &e),
				  &e);
	(void)sill_vm_balloon(vm, &b);
	sill_vm_counters(vm, note_balloon, &w);
	(void)snprintf(ret, size, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, b.size >> 20,
		       b.actual >> 20, w.returned >> 20, w.total >> 20);
	return result;
}

static int resize_memory(struct sill_vm *vm, uint64_t mib, char *ret, size_t size)
{
	struct sill_vm_memory m;
	struct sill_err e = { 0 };
	int result = 0;

	if (mib != 0)
		result = complain(sill_vm_resize_memory(vm, mib << 20, NULL, &e), &e);
	sill_vm_memory(vm, &m);
	(void)snprintf(ret, size, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d", m.present >> 20,
		       m.asked >> 20, m.refused >> 20, m.heard);
	return result;
}

static int new_generation(struct sill_vm *vm, const char *text)
{
	struct sill_err e = { 0 };
	uint8_t id[16];

	return read_id(text, id) ? complain(sill_vm_new_generation(vm, id, &e), &e) : -2;
}

static int grow(struct sill_vm *vm, const char *bytes)
{
	int result = 0;

	for (unsigned i = 0; i < SILL_MAX_DISKS && disks[i].id != NULL; i++) {
		struct sill_err e = { 0 };

		if (strncmp(disks[i].id, "grow", 4) == 0 &&
		    complain(sill_vm_disk_resize(vm, disks[i].id, strtoull(bytes, NULL, 10), &e),
			     &e) != 0)
			result = -1;
	}
	return result;
}

/* --- devices that come and go ------------------------------------------- */

static int add_to(struct sill_files *f, enum sill_file_role role, const char *id, int fd)
{
	const struct sill_file file = { .role = role, .id = id, .fd = fd };
	struct sill_err e = { 0 };

	return complain(sill_files_add(f, &file, &e), &e);
}

/* A queue of the tap @name, which is there. */
static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static enum sill_device_kind kind_of(const char *id)
{
	if (strcmp(id, "rng") == 0)
		return SILL_DEVICE_RNG;
	if (strcmp(id, "console") == 0)
		return SILL_DEVICE_CONSOLE;
	return strncmp(id, "net", 3) == 0 ? SILL_DEVICE_NET : SILL_DEVICE_DISK;
}

/* What @word says, and its file. */
static int describe(char *word, struct sill_device *d, struct sill_files *f)
{
	static struct sill_disk_config disk;
	static const struct sill_char_config console = { .mode = SILL_CHAR_FILE };
	static struct sill_net_config net;
	static char source[] = "/dev/urandom", mac[] = "02:00:5e:10:00:07";
	static const struct sill_rng_config rng = { .src = source };
	char *colon = strchr(word, ':'), *path = colon != NULL ? colon + 1 : NULL, *dot;

	if (strcmp(word, "rng") == 0) {
		d->kind = SILL_DEVICE_RNG;
		d->rng = &rng;
		return add_to(f, SILL_FILE_RNG, NULL, open(source, O_RDONLY | O_CLOEXEC));
	}
	if (colon == NULL)
		return -2;
	*colon = '\0';
	if (strcmp(word, "console") == 0) {
		d->kind = SILL_DEVICE_CONSOLE;
		d->console = &console;
		return add_to(f, SILL_FILE_OUT, "console",
			      open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
	}
	d->kind = kind_of(word);
	if (d->kind == SILL_DEVICE_NET) {
		d->net = &net;
		net = (struct sill_net_config){ .id = word, .tap = path, .mac = mac };
		return add_to(f, SILL_FILE_TAP, word, open_tap(path));
	}
	d->disk = &disk;
	disk = (struct sill_disk_config){ .path = path, .id = word, .serial = word };
	dot = strrchr(path, '.');
	if (dot == NULL || !sill_image_format_find(dot + 1, &disk.format))
		disk.format = SILL_DISK_RAW;
	return add_to(f, SILL_FILE_DISK, word, open(path, O_RDWR | O_CLOEXEC));
}

static int plug(struct sill_vm *vm, char *word)
{
	struct sill_device d = { 0 };
	struct sill_files f;
	struct sill_err e = { 0 };
	int result;

	sill_files_init(&f);
	result = describe(word, &d, &f);
	if (result == 0)
		result = complain(sill_vm_plug(vm, &d, &f, &e), &e);
	sill_files_close(&f);
	return result;
}

static int unplug(struct sill_vm *vm, const char *id)
{
	struct sill_err e = { 0 };

	return complain(sill_vm_unplug(vm, kind_of(id), id, &e), &e);
}

static int eject(struct sill_vm *vm, const char *id)
{
	struct sill_err e = { 0 };

	return complain(sill_vm_eject(vm, kind_of(id), id, &e), &e);
}

static void on_event(void *ctx, const struct sill_event *event)
{
	(void)ctx;
	if (event->kind != SILL_EVENT_REMOVED && event->kind != SILL_EVENT_UNANSWERED)
		return;
	printf("%s %s\n", event->kind == SILL_EVENT_REMOVED ? "removed" : "unanswered", event->id);
	(void)fflush(stdout);
	(void)pthread_mutex_lock(&lines_mutex);
	(void)pthread_cond_broadcast(&lines_changed);
	(void)pthread_mutex_unlock(&lines_mutex);
}

static bool is_there(struct sill_vm *vm, const char *id)
{
	struct sill_device_info d[64];
	const size_t n = sill_vm_devices(vm, d, 64);

	for (size_t i = 0; i < n && i < 64; i++)
		if (strcmp(d[i].id, id) == 0)
			return true;
	return false;
}

/* The event comes when it is in the list no more. */
static int await_gone(struct sill_vm *vm, const char *id)
{
	bool there;

	(void)pthread_mutex_lock(&lines_mutex);
	while ((there = is_there(vm, id)) && !ended)
		(void)pthread_cond_wait(&lines_changed, &lines_mutex);
	(void)pthread_mutex_unlock(&lines_mutex);
	return there ? -1 : 0;
}

static void counts(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned maps = 0;
	int ch;

	while (f != NULL && (ch = fgetc(f)) != EOF)
		maps += ch == '\n';
	if (f != NULL)
		(void)fclose(f);
	printf("counts %u %u %u\n", files_open(), tasks_alive(), maps);
	(void)fflush(stdout);
}

/* --- the others ---------------------------------------------------------- */

static int call(struct sill_vm *vm, const char *command)
{
	struct sill_err e = { 0 };

	if (strcmp(command, "pause") == 0)
		return complain(sill_vm_pause(vm, &e), &e);
	if (strcmp(command, "resume") == 0)
		return complain(sill_vm_resume(vm, &e), &e);
	if (strcmp(command, "nmi") == 0)
		return sill_vm_nmi(vm), 0;
	if (strcmp(command, "power") == 0)
		return sill_vm_power_button(vm);
	if (strcmp(command, "reset") == 0)
		sill_vm_reset(vm);
	else if (strcmp(command, "break") == 0)
		sill_vm_serial_break(vm);
	else if (strcmp(command, "stop") == 0)
		sill_vm_stop(vm);
	else if (strcmp(command, "now") != 0)
		return -2;
	return 0;
}

/* --- a file of saved state: this, the state, the memory with holes where it is zero --- */

struct saved_head {
	uint64_t state_size, ram_size;
};

enum { PIECE = 64 * 1024 };

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* @p at @off of the file, which is a new one. */
static bool write_sparse(int fd, const uint8_t *p, size_t n, off_t off)
{
	for (size_t at = 0; at < n; at += PIECE) {
		const size_t piece = n - at < PIECE ? n - at : PIECE;

		if (!is_zero(p + at, piece) &&
		    pwrite(fd, p + at, piece, off + (off_t)at) != (ssize_t)piece)
			return false;
	}
	return ftruncate(fd, off + (off_t)n) == 0;
}

static bool read_sparse(int fd, uint8_t *p, size_t n, off_t off)
{
	static uint8_t buf[PIECE];

	for (size_t at = 0; at < n; at += PIECE) {
		const size_t piece = n - at < PIECE ? n - at : PIECE;

		if (pread(fd, buf, piece, off + (off_t)at) != (ssize_t)piece)
			return false;
		if (!is_zero(buf, piece))
			memcpy(p + at, buf, piece);
	}
	return true;
}

static int save(struct sill_vm *vm, const char *path)
{
	struct saved_head head;
	struct sill_err e = { 0 };
	void *state = NULL;
	size_t state_size = 0, ram_size = 0;
	const uint8_t *ram = sill_vm_ram(vm, &ram_size);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good;

	if (fd < 0)
		return -2;
	if (sill_vm_pause(vm, &e) < 0 || sill_vm_save(vm, &state, &state_size, &e) < 0) {
		(void)close(fd);
		return complain(-1, &e);
	}
	head = (struct saved_head){ state_size, ram_size };
	good = write(fd, &head, sizeof(head)) == sizeof(head) &&
	       pwrite(fd, state, state_size, sizeof(head)) == (ssize_t)state_size &&
	       write_sparse(fd, ram, ram_size, (off_t)(sizeof(head) + state_size));
	free(state);
	return close(fd) == 0 && good ? 0 : -2;
}

static int load(struct sill_vm *vm, int fd, struct sill_err *e)
{
	struct saved_head head;
	size_t ram_size = 0;
	uint8_t *ram = sill_vm_ram(vm, &ram_size), *state;
	int ret = -1;

	if (read(fd, &head, sizeof(head)) != sizeof(head) || head.ram_size != ram_size)
		return -1;
	state = malloc(head.state_size);
	if (state != NULL &&
	    pread(fd, state, head.state_size, sizeof(head)) == (ssize_t)head.state_size &&
	    read_sparse(fd, ram, ram_size, (off_t)(sizeof(head) + head.state_size)))
		ret = sill_vm_load(vm, state, head.state_size, e);
	free(state);
	return ret;
}

static int await_lines(unsigned n)
{
	int ret;

	(void)pthread_mutex_lock(&lines_mutex);
	while (serial_lines < n && !ended)
		(void)pthread_cond_wait(&lines_changed, &lines_mutex);
	ret = serial_lines < n ? -1 : 0;
	(void)pthread_mutex_unlock(&lines_mutex);
	return ret;
}

static bool has_ended(void)
{
	bool ret;

	(void)pthread_mutex_lock(&lines_mutex);
	ret = ended;
	(void)pthread_mutex_unlock(&lines_mutex);
	return ret;
}

struct storm {
	pthread_t thread;
	struct sill_vm *vm;
	unsigned calls, failures, seed;
};

static void *storm_main(void *ctx)
{
	static const char *const commands[] = { "pause", "resume", "pause",  "resume",
						"nmi",   "pause",  "resume", "reset" };
	struct storm *s = ctx;

	for (unsigned i = 0; i < s->calls; i++) {
		const char *command = commands[(unsigned)rand_r(&s->seed) % 8];

		/* A pause that another thread has undone before it was complete is told so. */
		s->failures += call(s->vm, command) != 0 && strcmp(command, "pause") != 0;
	}
	return NULL;
}

static int storm(struct sill_vm *vm, unsigned calls)
{
	struct storm s[3];
	unsigned failures = 0;

	for (unsigned i = 0; i < 3; i++) {
		s[i] = (struct storm){ .vm = vm, .calls = calls, .seed = i + 1 };
		if (pthread_create(&s[i].thread, NULL, storm_main, &s[i]) != 0)
			exit(1);
	}
	for (unsigned i = 0; i < 3; i++) {
		(void)pthread_join(s[i].thread, NULL);
		failures += s[i].failures;
	}
	return (int)failures + (call(vm, "resume") != 0);
}

static int quit[2]; /* a pipe: closing its writing end ends the second thread */

/* One line of standard input; false at its end, or when the VM has ended. */
static bool next_line(char *line, size_t size)
{
	struct pollfd fds[2] = { 0 };
	size_t n = 0;

	fds[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = quit[0] };
	while (poll(fds, 2, -1) > 0 && fds[1].revents == 0) {
		char byte;

		if (read(STDIN_FILENO, &byte, 1) != 1)
			return false;
		if (byte == '\n') {
			line[n] = '\0';
			return true;
		}
		if (n + 1 < size)
			line[n++] = byte;
	}
	return false;
}

static void *command_main(void *ctx)
{
	struct sill_vm *vm = ctx;
	char line[128], command[32], word[64];
	struct sill_err e = { 0 };

	/* One that begins paused has got that far when it can be asked. */
	while (saved >= 0 && sill_vm_pause(vm, &e) < 0 && !has_ended())
		sched_yield();
	while (next_line(line, sizeof(line))) {
		char more[128] = "";
		int result;

		word[0] = '\0';
		if (sscanf(line, "%31s %63s", command, word) < 1)
			continue;
		if (strcmp(command, "counts") == 0) {
			counts();
			continue;
		}
		if (strcmp(command, "storm") == 0)
			result = storm(vm, (unsigned)strtoul(word, NULL, 10));
		else if (strcmp(command, "generation") == 0)
			result = new_generation(vm, word);
		else if (strcmp(command, "grow") == 0)
			result = grow(vm, word);
		else if (strcmp(command, "cpus") == 0)
			result = resize_cpus(vm, (unsigned)strtoul(word, NULL, 10), more,
					     sizeof(more));
		else if (strcmp(command, "memory") == 0)
			result = resize_memory(vm, strtoull(word, NULL, 10), more, sizeof(more));
		else if (strcmp(command, "balloon") == 0)
			result = resize_balloon(vm, word, more, sizeof(more));
		else if (strcmp(command, "lines") == 0)
			result = await_lines((unsigned)strtoul(word, NULL, 10));
		else if (strcmp(command, "save") == 0)
			result = save(vm, word);
		else if (strcmp(command, "plug") == 0)
			result = plug(vm, word);
		else if (strcmp(command, "unplug") == 0)
			result = unplug(vm, word);
		else if (strcmp(command, "eject") == 0)
			result = eject(vm, word);
		else if (strcmp(command, "gone") == 0)
			result = await_gone(vm, word);
		else
			result = call(vm, command);
		answer(command, result, more);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const char *const ends[] = {
		[SILL_END_POWER_OFF] = "power-off",
		[SILL_END_STOPPED] = "stopped",
		[SILL_END_FAULT] = "fault",
		[SILL_END_HOST] = "host",
	};
	static char name[] = "engine", rng[] = "/dev/urandom";
	/* clang-format off */
	struct sill_config c = {
		.name = name,
		.cpus = { .boot = 1, .max = 1 },
		.memory = { .size = 256u << 20 },
		.disk = disks,
		.serial = { .mode = SILL_CHAR_NULL },
		.rng = { .src = rng },
	};
	/* clang-format on */
	struct sill_err e = { 0 };
	struct sill_vm *vm;
	enum sill_vm_end end;
	pthread_t thread, reader;

	parse(&c, argc, argv);
	add_file(SILL_FILE_KVM, NULL, open_or_die("/dev/kvm", O_RDWR));
	add_file(SILL_FILE_RNG, NULL, open_or_die(rng, O_RDONLY));
	vm = sill_vm_create(&c, &files, &e);
	sill_files_close(&files);
	if (vm == NULL) {
		fprintf(stderr, "engine: %s\n", e.msg);
		return 1;
	}
	sill_vm_set_event(vm, on_event, NULL);
	if (saved >= 0 && load(vm, saved, &e) < 0) {
		fprintf(stderr, "engine: cannot begin in what was saved: %s\n", e.msg);
		return 1;
	}
	if (pipe(quit) < 0 || pthread_create(&thread, NULL, command_main, vm) != 0 ||
	    (serial != NULL && pthread_create(&reader, NULL, serial_main, NULL) != 0))
		return 1;
	end = sill_vm_run(vm, &e);
	if (e.code != SILL_ERR_NONE)
		fprintf(stderr, "engine: %s\n", e.msg);
	(void)pthread_mutex_lock(&lines_mutex);
	ended = true;
	(void)pthread_cond_broadcast(&lines_changed);
	(void)pthread_mutex_unlock(&lines_mutex);
	printf("end %s 0\n", ends[end]);
	(void)fflush(stdout);
	(void)close(quit[1]);
	(void)pthread_join(thread, NULL);
	sill_vm_destroy(vm);
	if (serial != NULL)
		(void)pthread_join(reader, NULL);
	return end <= SILL_END_STOPPED ? 0 : 1;
}
