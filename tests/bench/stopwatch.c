/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopwatch.c - start a virtual machine monitor and say when its guest got how
 * far, without anything built into the monitor.
 *
 *	stopwatch -e [-f FIFO] -- COMMAND ARG...
 *	stopwatch -f FIFO -m NAME=TEXT [-m ...] [-p MIB] -- COMMAND ARG...
 *
 *	-e            when the first guest instruction was entered: KVM's own
 *	              tracepoint (needs tracefs on /sys/kernel/tracing)
 *	-f FIFO       made here; the guest's serial port is to be written into it
 *	-m NAME=TEXT  when TEXT first appears there; in this order
 *	-p MIB        at the last mark: memory beyond MIB of guest RAM, and exits
 *	              (those need debugfs on /sys/kernel/debug)
 *
 * Then the command is killed. Prints one "NAME VALUE" a line; times in ns since
 * just before execve(), on CLOCK_MONOTONIC. Exit status 0, 1 when something was
 * not reached, 2 for wrong usage. Single-threaded.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing/"

enum { MAX_MARKS = 8, SEEN = 1 << 20, LIMIT_S = 300 };

struct mark {
	const char *name, *text;
	uint64_t at_ns; /* 0: not yet */
};

static struct mark marks[MAX_MARKS];
static unsigned mark_count;
static const char *fifo;
static bool want_entry;
static unsigned long ram_mib;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- KVM's tracepoint */

static void trace_write(const char *file, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), TRACING "%s", file);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* From now on entries into guests are recorded. Returns where they can be read. */
static int trace_start(void)
{
	int fd;

	trace_write("trace_clock", "mono");
	trace_write("trace", "");
	trace_write("events/kvm/kvm_entry/enable", "1");
	fd = open(TRACING "trace_pipe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(TRACING "trace_pipe");
	return fd;
}

/*
 * Wait for the first entry and return its time, or 0 when there is none.
 * A line is "task-pid [cpu] flags seconds.microseconds: kvm_entry: ...".
 */
static uint64_t trace_first(int fd)
{
	char text[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned long s, us;
	ssize_t n = 0;
	char *at;

	if (poll(&p, 1, LIMIT_S * 1000) == 1)
		n = read(fd, text, sizeof(text) - 1);
	trace_write("events/kvm/kvm_entry/enable", "0");
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, ": kvm_entry:");
	if (at == NULL)
		return 0;
	while (at > text && at[-1] != ' ')
		at--;
	if (sscanf(at, "%lu.%lu", &s, &us) != 2)
		return 0;
	return (uint64_t)s * 1000000000u + (uint64_t)us * 1000;
}

/* What KVM has counted for all its guests, of which there is one: the exits, by kind. */
static void print_exits(void)
{
	static const char *const kinds[] = { "exits", "io_exits", "mmio_exits", "halt_exits" };

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char path[64], text[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", kinds[i]);
		f = fopen(path, "r");
		if (f == NULL)
			return;
		if (fgets(text, sizeof(text), f) != NULL)
			printf("%s %s", kinds[i], text);
		fclose(f);
	}
}

/* ---- memory */

/*
 * Everything the process has mapped, as its proportional share, but for guest
 * RAM: a mapping of its size, or two of at least half of it.
 */
static void print_memory(pid_t pid)
{
	char path[64], line[512];
	unsigned long size = 0, pss, ram = 0, beyond = 0, touched = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "r");
	if (f == NULL)
		die(path);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "Size: %lu kB", &size) == 1 ||
		    sscanf(line, "Pss: %lu kB", &pss) != 1)
			continue;
		if (size >= ram_mib * 1024 / 2 && ram + size <= (ram_mib + 4) * 1024) {
			ram += size;
			touched += pss;
		} else {
			beyond += pss;
		}
	}
	fclose(f);
	printf("ram_mapped_kib %lu\nram_touched_kib %lu\nbeyond_ram_kib %lu\n", ram, touched,
	       beyond);
}

/* ---- marks */

/* Look for the marks that are next, in what has been read so far. */
static void look(const char *seen, uint64_t at)
{
	static size_t from;

	for (unsigned i = 0; i < mark_count; i++) {
		const char *p;

		if (marks[i].at_ns != 0)
			continue;
		p = strstr(seen + from, marks[i].text);
		if (p == NULL)
			return;
		from = (size_t)(p - seen) + strlen(marks[i].text);
		marks[i].at_ns = at;
	}
}

static bool all_seen(void)
{
	return marks[mark_count - 1].at_ns != 0;
}

/* Until all marks have been seen, or the command has ended, or the time is up. */
static void watch(int fd, pid_t pid)
{
	static char seen[SEEN + 1];
	size_t n = 0;
	uint64_t limit = now_ns() + (uint64_t)LIMIT_S * 1000000000u;

	while (!all_seen() && now_ns() < limit && n < SEEN) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got;

		if (poll(&p, 1, 100) == 0) {
			siginfo_t info = { 0 };

			if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			    info.si_pid == pid)
				break;
			continue;
		}
		got = read(fd, seen + n, SEEN - n);
		if (got <= 0)
			continue;
		for (char *c = seen + n; c < seen + n + got; c++)
			if (*c == '\0')
				*c = ' ';
		n += (size_t)got;
		seen[n] = '\0';
		look(seen, now_ns());
	}
	if (!all_seen())
		fprintf(stderr, "--- the guest said:\n%s\n---\n", seen);
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+f:m:ep:")) != -1) {
		char *eq;

		switch (c) {
		case 'f':
			fifo = optarg;
			break;
		case 'm':
			eq = strchr(optarg, '=');
			if (eq == NULL || mark_count == MAX_MARKS)
				exit(2);
			*eq = '\0';
			marks[mark_count++] = (struct mark){ .name = optarg, .text = eq + 1 };
			break;
		case 'e':
			want_entry = true;
			break;
		case 'p':
			ram_mib = strtoul(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
	if (optind == argc || want_entry == (mark_count != 0) ||
	    (fifo == NULL && mark_count != 0)) {
		fprintf(stderr,
			"usage: stopwatch -e [-f FIFO] -- COMMAND...\n"
			"       stopwatch -f FIFO -m NAME=TEXT... [-p MIB] -- COMMAND...\n");
		exit(2);
	}
}

static int listen_to(const char *path)
{
	int fd;

	(void)unlink(path); /* may be there from another run, even as a plain file */
	if (mkfifo(path, 0600) < 0)
		die(path);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* writers find a reader at once */
	if (fd < 0)
		die(path);
	return fd;
}

/* The command runs as long as this looks at it. */
static bool measure(pid_t pid, int serial, int trace, const uint64_t *start)
{
	uint64_t entry;

	if (want_entry) {
		entry = trace_first(trace);
		if (entry <= *start)
			return false;
		printf("first_entry %lu\n", entry - *start);
		return true;
	}
	watch(serial, pid);
	for (unsigned i = 0; i < mark_count; i++)
		if (marks[i].at_ns != 0)
			printf("%s %lu\n", marks[i].name, marks[i].at_ns - *start);
	if (!all_seen())
		return false;
	if (ram_mib != 0) {
		print_memory(pid);
		print_exits();
	}
	return true;
}

int main(int argc, char **argv)
{
	uint64_t *start = mmap(NULL, sizeof(*start), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int serial = -1, trace = -1, status = 0;
	bool ok;
	pid_t pid;

	parse(argc, argv);
	if (start == MAP_FAILED)
		die("mmap");
	if (fifo != NULL)
		serial = listen_to(fifo);
	if (want_entry)
		trace = trace_start();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		*start = now_ns();
		execvp(argv[optind], argv + optind);
		perror(argv[optind]);
		_exit(127);
	}
	ok = measure(pid, serial, trace, start);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return ok ? 0 : 1;
}
