/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen.c - how long it takes from a request to what the guest sees of it.
 *
 *	seen sill|qemu SOCKET FIFO [NAME]
 *
 * SOCKET is the control API of sill, or QMP of QEMU; FIFO is made here, for the serial port of a Linux guest that
 * runs "hw comes /block/vd /net/eth /memory/memory /system/cpu/cpu". Prints lines "NAME NS", medians, from the
 * request to the guest's line:
 *
 *	disk_seen     a disk on a raw image: vm.add-disk; blockdev-add and device_add
 *	net_seen      a card that is connected to nothing: sill.add-net; netdev_add (hubport) and device_add
 *	memory_seen   128 MiB as a module: vm.resize; object-add and device_add
 *	vcpu_seen     one more processor: vm.resize; device_add
 *
 * or only the one called NAME.
 *
 * Exit status 0, 1 when something did not come, 2 for wrong usage. Single-threaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, VCPUS = 3, LIMIT_MS = 240000, SEEN = 1 << 20, DISK_MIB = 16, MODULE_MIB = 128 };

static int serial, control;
static bool qmp;
static const char *only;    /* NULL: all */
static char seen[SEEN + 1]; /* by the guest, so far */
static size_t seen_len, seen_from;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "seen: %s: %s\n--- the guest said:\n%s\n---\n", what,
		strerrordesc_np(errno), seen);
	exit(1);
}

/* Until one of the two has something to read. */
static short await(bool and_control)
{
	struct pollfd p[2] = { { .fd = serial, .events = POLLIN },
			       { .fd = control, .events = POLLIN } };

	if (poll(p, and_control ? 2 : 1, LIMIT_MS) <= 0)
		die("nothing comes");
	if (p[0].revents) {
		const ssize_t n = read(serial, seen + seen_len, SEEN - seen_len);

		if (n <= 0)
			die("serial port");
		for (char *c = seen + seen_len; c < seen + seen_len + n; c++)
			if (*c == '\0')
				*c = ' ';
		seen_len += (size_t)n;
		seen[seen_len] = '\0';
	}
	return and_control ? p[1].revents : 0;
}

static bool guest_says(const char *text)
{
	const char *at = strstr(seen + seen_from, text);

	if (at == NULL)
		return false;
	seen_from = (size_t)(at - seen) + strlen(text);
	return true;
}

/* ---- requests */

/* How much of the answer is complete: a head with its body; or a line that is no event. */
static bool answered(const char *text)
{
	const char *body, *length;

	if (strstr(text, "\"error\"") != NULL || strstr(text, "HTTP/1.1 4") == text ||
	    strstr(text, "HTTP/1.1 5") == text) {
		fprintf(stderr, "%s\n", text);
		die("refused");
	}
	if (qmp) {
		const char *last = strstr(text, "\"return\"");

		return last != NULL && strchr(last, '\n') != NULL;
	}
	body = strstr(text, "\r\n\r\n");
	if (body == NULL)
		return false;
	length = strstr(text, "Content-Length: ");
	return length == NULL || length > body ||
	       strlen(body + 4) >= strtoul(length + 16, NULL, 10);
}

static void answer(void)
{
	char text[1 << 16];
	size_t n = 0;

	do {
		if (await(true) != 0) {
			const ssize_t got = read(control, text + n, sizeof(text) - 1 - n);

			if (got <= 0)
				die("no answer");
			n += (size_t)got;
		}
		text[n] = '\0';
	} while (!answered(text));
}

static void send_text(const char *text, size_t len)
{
	if (write(control, text, len) != (ssize_t)len)
		die("request");
}

/* sill: NAME of the endpoint and its body. QEMU: the command and its arguments. */
__attribute__((format(printf, 2, 3))) static void ask(const char *name, const char *fmt, ...)
{
	char body[1024], text[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	if (qmp)
		n = snprintf(text, sizeof(text), "{\"execute\": \"%s\", \"arguments\": {%s}}\n",
			     name, body);
	else
		n = snprintf(text, sizeof(text),
			     "PUT /api/v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
			     "%zu\r\n\r\n{%s}",
			     name, strlen(body) + 2, body);
	send_text(text, (size_t)n);
	answer();
}

static void add_disk(unsigned n)
{
	char path[PATH_MAX + 32];

	if (getcwd(path, PATH_MAX) == NULL)
		die("directory");
	snprintf(path + strlen(path), 32, "/seen-%s-%u.img", qmp ? "qemu" : "sill", n);
	if (!qmp) {
		ask("vm.add-disk", "\"path\": \"%s\", \"id\": \"d%u\", \"image_type\": \"Raw\"",
		    path, n);
		return;
	}
	ask("blockdev-add",
	    "\"driver\": \"raw\", \"node-name\": \"b%u\", \"file\": {\"driver\": \"file\", "
	    "\"filename\": \"%s\"}",
	    n, path);
	ask("device_add",
	    "\"driver\": \"virtio-blk-pci\", \"id\": \"d%u\", \"drive\": \"b%u\", \"bus\": "
	    "\"port%u\"",
	    n, n, n + 1);
}

static void add_net(unsigned n)
{
	if (!qmp) {
		ask("sill.add-net", "\"none\": true, \"id\": \"n%u\"", n);
		return;
	}
	ask("netdev_add", "\"type\": \"hubport\", \"id\": \"h%u\", \"hubid\": %u", n, n);
	ask("device_add",
	    "\"driver\": \"virtio-net-pci\", \"romfile\": \"\", \"id\": \"n%u\", \"netdev\": "
	    "\"h%u\", \"bus\": "
	    "\"port%u\"",
	    n, n, ROUNDS + n + 1);
}

static void add_memory(unsigned n)
{
	if (!qmp) {
		ask("vm.resize", "\"desired_ram\": %llu", (n + 3ull) * MODULE_MIB << 20);
		return;
	}
	ask("object-add", "\"qom-type\": \"memory-backend-ram\", \"id\": \"m%u\", \"size\": %u", n,
	    (unsigned)MODULE_MIB << 20);
	ask("device_add", "\"driver\": \"pc-dimm\", \"id\": \"dimm%u\", \"memdev\": \"m%u\"", n, n);
}

static void add_vcpu(unsigned n)
{
	if (!qmp)
		ask("vm.resize", "\"desired_vcpus\": %u", n + 2);
	else
		ask("device_add",
		    "\"driver\": \"host-x86_64-cpu\", \"id\": \"c%u\", \"socket-id\": %u, "
		    "\"core-id\": 0, \"thread-id\": 0",
		    n, n + 1);
}

/* ---- times */

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void measure(const char *name, void (*add)(unsigned n), unsigned rounds, const char *line)
{
	uint64_t took[ROUNDS];

	if (only != NULL && strcmp(only, name) != 0)
		return;
	for (unsigned n = 0; n < rounds; n++) {
		const uint64_t begin = now_ns();

		add(n);
		while (!guest_says(line))
			await(false);
		took[n] = now_ns() - begin;
	}
	qsort(took, rounds, sizeof(took[0]), by_value);
	printf("%s %lu\n", name, took[rounds / 2]);
	fflush(stdout);
}

static void reach(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control < 0 || connect(control, (const struct sockaddr *)&a, sizeof(a)) < 0)
		die(path);
	if (qmp) {
		static const char first[] = "{\"execute\": \"qmp_capabilities\"}\n";

		send_text(first, sizeof(first) - 1);
		answer();
	}
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5) {
		fputs("usage: seen sill|qemu SOCKET FIFO [NAME]\n", stderr);
		return 2;
	}
	only = argv[4];
	qmp = strcmp(argv[1], "qemu") == 0;
	serial = open(argv[3], O_RDWR | O_CLOEXEC); /* whoever writes finds a reader */
	if (serial < 0)
		die(argv[3]);
	while (!guest_says("listens"))
		await(false);
	reach(argv[2]);
	measure("disk_seen", add_disk, ROUNDS, "/block/vd");
	measure("net_seen", add_net, ROUNDS, "/net/eth");
	measure("memory_seen", add_memory, ROUNDS, "/memory/memory");
	measure("vcpu_seen", add_vcpu, VCPUS, "/system/cpu/cpu");
	return 0;
}
