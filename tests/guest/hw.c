/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hw - what a test script in the guest needs and busybox does not have.
 *
 * Ports (the Debian cloud kernel has no /dev/port), CPUID, MSRs, clocks, EFI variables (which efivarfs
 * marks immutable) and waiting until the serial port has really sent everything.
 * A test tool: it runs as root in a throw-away guest and may do anything to it.
 *
 * usage: hw in WIDTH PORT              print a port, in hex; WIDTH is 1, 2 or 4 bytes
 *        hw out WIDTH PORT VALUE
 *        hw sweep WIDTH FIRST LAST     read every port of a range; prints how many were not all ones
 *        hw cmos INDEX [VALUE]         print or set a byte of CMOS memory
 *        hw cpuid LEAF [SUBLEAF]       EAX EBX ECX EDX of the CPU it happens to run on
 *        hw hypervisor                 the vendor in leaf 0x40000000, or "none"
 *        hw rdmsr CPU MSR              needs the msr module
 *        hw getvar NAME                an EFI variable of the tests' own vendor GUID, to stdout
 *        hw setvar NAME VALUE          written and then read back
 *        hw tsc CPU                    the time-stamp counter of that CPU, in decimal
 *        hw clock                      CLOCK_MONOTONIC in ns, and the time-stamp counter beside it
 *        hw drain                      wait until stdout's terminal has sent everything
 *        hw comes TEXT...              TEXT, each time the kernel adds a device whose path has it as the last place but a name
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define VENDOR     "51110000-7465-7374-9f6d-6775657374aa"
#define EFIVARS    "/sys/firmware/efi/efivars/"
#define NV_BS_RT   7u /* attributes: non-volatile, boot services, run time */
#define VALUE_MAX_ 4096

static int fail(const char *what)
{
	fprintf(stderr, "hw: %s: %s\n", what, strerror(errno));
	return 1;
}

static int number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 0);
	if (!*text || *end || errno || *out > max) {
		fprintf(stderr, "hw: '%s' is not a number up to %#lx\n", text, max);
		return -1;
	}
	return 0;
}

static uint32_t port_read(unsigned long width, unsigned short port)
{
	switch (width) {
	case 1:
		return inb(port);
	case 2:
		return inw(port);
	default:
		return inl(port);
	}
}

static void port_write(unsigned long width, unsigned short port, uint32_t value)
{
	switch (width) {
	case 1:
		outb((unsigned char)value, port);
		break;
	case 2:
		outw((unsigned short)value, port);
		break;
	default:
		outl(value, port);
		break;
	}
}

static uint32_t all_ones(unsigned long width)
{
	return width == 4 ? UINT32_MAX : (1u << (8 * width)) - 1;
}

/* Common to the three port commands: the width, the first port, and the right to touch them. */
static int port_args(char **arg, unsigned long *width, unsigned long *port)
{
	if (number(arg[0], 4, width) || number(arg[1], 0xffff, port))
		return 2;
	if (*width != 1 && *width != 2 && *width != 4) {
		fputs("hw: WIDTH is 1, 2 or 4\n", stderr);
		return 2;
	}
	return iopl(3) ? fail("iopl") : 0;
}

static int cmd_in(char **arg)
{
	unsigned long width, port;
	int r = port_args(arg, &width, &port);

	if (r == 0)
		printf("%#x\n", port_read(width, (unsigned short)port));
	return r;
}

static int cmd_out(char **arg)
{
	unsigned long width, port, value;
	int r = port_args(arg, &width, &port);

	if (r == 0 && number(arg[2], UINT32_MAX, &value))
		r = 2;
	if (r == 0)
		port_write(width, (unsigned short)port, (uint32_t)value);
	return r;
}

static int cmd_sweep(char **arg)
{
	unsigned long width, first, last, answered = 0;
	int r = port_args(arg, &width, &first);

	if (r == 0 && number(arg[2], 0xffff, &last))
		r = 2;
	if (r)
		return r;
	for (unsigned long port = first; port <= last; port += width)
		answered += port_read(width, (unsigned short)port) != all_ones(width);
	printf("%lu\n", answered);
	return 0;
}

static int cmd_cmos(char **arg)
{
	unsigned long index, value = 0;

	if (number(arg[0], 127, &index) || (arg[1] && number(arg[1], 0xff, &value)))
		return 2;
	if (iopl(3))
		return fail("iopl");
	outb((unsigned char)index, 0x70);
	if (arg[1])
		outb((unsigned char)value, 0x71);
	else
		printf("%u\n", inb(0x71));
	return 0;
}

static int cmd_cpuid(char **arg)
{
	unsigned long leaf, sub = 0;
	unsigned int a, b, c, d;

	if (number(arg[0], UINT32_MAX, &leaf) || (arg[1] && number(arg[1], UINT32_MAX, &sub)))
		return 2;
	__cpuid_count((unsigned int)leaf, (unsigned int)sub, a, b, c, d);
	printf("%08x %08x %08x %08x\n", a, b, c, d);
	return 0;
}

static int cmd_hypervisor(char **arg)
{
	unsigned int a, b, c, d;
	char vendor[13] = "";

	(void)arg;
	__cpuid(1, a, b, c, d);
	if (c >> 31 == 0) {
		puts("none");
		return 0;
	}
	__cpuid(0x40000000, a, b, c, d);
	memcpy(vendor, &b, 4);
	memcpy(vendor + 4, &c, 4);
	memcpy(vendor + 8, &d, 4);
	puts(vendor);
	return 0;
}

static int cmd_rdmsr(char **arg)
{
	unsigned long cpu, msr;
	char path[64];
	uint64_t value;
	int fd;

	if (number(arg[0], 4095, &cpu) || number(arg[1], UINT32_MAX, &msr))
		return 2;
	snprintf(path, sizeof(path), "/dev/cpu/%lu/msr", cpu);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(path);
	if (pread(fd, &value, sizeof(value), (off_t)msr) != sizeof(value)) {
		close(fd);
		return fail(arg[1]);
	}
	close(fd);
	printf("%#lx\n", (unsigned long)value);
	return 0;
}

static void var_path(char *path, size_t size, const char *name)
{
	snprintf(path, size, EFIVARS "%s-" VENDOR, name);
}

/* Returns the length of the variable's value, or -1. */
static ssize_t var_read(const char *path, char *value, size_t size)
{
	char raw[VALUE_MAX_ + 4];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	n = read(fd, raw, sizeof(raw));
	close(fd);
	if (n < 4 || (size_t)n - 4 > size) {
		errno = EIO;
		return -1;
	}
	memcpy(value, raw + 4, (size_t)n - 4);
	return n - 4;
}

static int cmd_getvar(char **arg)
{
	char path[PATH_MAX], value[VALUE_MAX_];
	ssize_t n;

	var_path(path, sizeof(path), arg[0]);
	n = var_read(path, value, sizeof(value));
	if (n < 0)
		return fail(arg[0]);
	return fwrite(value, 1, (size_t)n, stdout) == (size_t)n && putchar('\n') != EOF ? 0 : 1;
}

/* efivarfs makes the files of variables it does not know immutable. */
static void var_unlock(const char *path)
{
	int flags = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
}

static int cmd_setvar(char **arg)
{
	char path[PATH_MAX], raw[VALUE_MAX_ + 4], back[VALUE_MAX_];
	const uint32_t attr = NV_BS_RT;
	size_t len = strlen(arg[1]);
	ssize_t n;
	int fd;

	if (len > VALUE_MAX_) {
		fputs("hw: the value is too long\n", stderr);
		return 2;
	}
	memcpy(raw, &attr, 4);
	memcpy(raw + 4, arg[1], len);
	var_path(path, sizeof(path), arg[0]);
	var_unlock(path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail(path);
	n = write(fd, raw, len + 4); /* one write is one SetVariable() */
	if (n != (ssize_t)(len + 4)) {
		close(fd);
		return fail("SetVariable");
	}
	close(fd);
	n = var_read(path, back, sizeof(back));
	if (n != (ssize_t)len || memcmp(back, arg[1], len) != 0) {
		fputs("hw: the variable does not read back as written\n", stderr);
		return 1;
	}
	return 0;
}

static int cmd_tsc(char **arg)
{
	unsigned long cpu;
	cpu_set_t set;

	if (number(arg[0], CPU_SETSIZE - 1, &cpu))
		return 2;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return fail(arg[0]);
	printf("%llu\n", (unsigned long long)__rdtsc());
	return 0;
}

static int cmd_clock(char **arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	printf("%llu %llu\n", ts.tv_sec * 1000000000ull + ts.tv_nsec,
	       (unsigned long long)__rdtsc());
	return 0;
}

static int cmd_drain(char **arg)
{
	(void)arg;
	return tcdrain(STDOUT_FILENO) && errno != ENOTTY ? fail("tcdrain") : 0;
}

/* The kernel tells whoever listens: "add@/devices/...", and what belongs to it behind a NUL. */
static int cmd_comes(char **arg)
{
	const struct sockaddr_nl all = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	const int fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
	char event[4096];
	ssize_t n;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&all, sizeof(all)))
		return fail("uevents");
	puts("listens");
	fflush(stdout);
	while ((n = read(fd, event, sizeof(event) - 1)) >= 0 || errno == ENOBUFS) {
		event[n < 0 ? 0 : n] = '\0';
		for (char **text = arg; strncmp(event, "add@", 4) == 0 && *text; text++) {
			const char *at = strstr(event, *text);

			if (at && !strchr(at + strlen(*text), '/'))
				puts(*text);
		}
		fflush(stdout);
	}
	return fail("uevents");
}

static const struct command {
	const char *name;
	int least, most; /* arguments */
	int (*run)(char **arg);
} commands[] = {
	{ "in", 2, 2, cmd_in },
	{ "out", 3, 3, cmd_out },
	{ "sweep", 3, 3, cmd_sweep },
	{ "cmos", 1, 2, cmd_cmos },
	{ "cpuid", 1, 2, cmd_cpuid },
	{ "hypervisor", 0, 0, cmd_hypervisor },
	{ "rdmsr", 2, 2, cmd_rdmsr },
	{ "getvar", 1, 1, cmd_getvar },
	{ "setvar", 2, 2, cmd_setvar },
	{ "tsc", 1, 1, cmd_tsc },
	{ "clock", 0, 0, cmd_clock },
	{ "drain", 0, 0, cmd_drain },
	{ "comes", 1, INT_MAX, cmd_comes },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (strcmp(argv[1], c->name) == 0 && argc - 2 >= c->least && argc - 2 <= c->most)
			return c->run(argv + 2);
	}
	fputs("usage: hw in|out|sweep|cmos|cpuid|hypervisor|rdmsr|getvar|setvar|tsc|clock|drain|"
	      "comes ARGS "
	      "(see hw.c)\n",
	      stderr);
	return 2;
}
