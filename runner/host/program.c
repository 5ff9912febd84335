/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - see program.h. */
#include "runner/host/program.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/report/text.h"

void program_arg(struct program_line *l, const char *fmt, ...)
{
	va_list ap;
	int len;

	assert(l->n < PROGRAM_ARGS);
	va_start(ap, fmt);
	len = vsnprintf(l->text[l->n], PROGRAM_ARG, fmt, ap);
	va_end(ap);
	assert(len > 0 && len < PROGRAM_ARG);
	l->argv[l->n] = l->text[l->n];
	l->argv[++l->n] = NULL;
}

void program_init(struct program *p)
{
	*p = (struct program){ .pidfd = -1, .log = -1 };
}

static int open_log(const char *name, struct sill_err *e)
{
	const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, PROGRAM_WORDS) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0)
		return fd;
	(void)sill_err_sys(e, errno, "%s: room for its words", name);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

void program_read(const struct program *p, char ret[PROGRAM_WORDS + 1])
{
	const ssize_t got = pread(p->log, ret, PROGRAM_WORDS, 0);

	ret[got > 0 ? got : 0] = '\0';
}

bool program_says(const struct program *p, const char *text)
{
	char words[PROGRAM_WORDS + 1];

	program_read(p, words);
	return strstr(words, text) != NULL;
}

void program_words(const struct program *p, char ret[PROGRAM_WHY])
{
	char words[PROGRAM_WORDS + 1];
	char *line, *last = words, *save = NULL;

	program_read(p, words);
	for (line = strtok_r(words, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		last = line;
	(void)text_clean(ret, PROGRAM_WHY, last, strnlen(last, PROGRAM_WHY - 32));
}

bool program_is_at_work(const struct program *p, uint64_t *ret_cpu_ms)
{
	unsigned long long user = 0, system = 0;
	char path[64], line[512], state = '?';
	const char *after;
	ssize_t n = -1;
	int fd;

	*ret_cpu_ms = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)p->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, line, sizeof(line) - 1);
		(void)close(fd);
	}
	line[n > 0 ? n : 0] = '\0';
	after = strrchr(line, ')'); /* its name may have anything in it */
	/* Fields 3, 14 and 15: proc_pid_stat(5). */
	if (after == NULL || sscanf(after, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu",
				    &state, &user, &system) != 3)
		return false;
	*ret_cpu_ms = (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	return state == 'R' || state == 'D';
}

static int spawn(struct program *p, char *const argv[], int theirs)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETSID);
	(void)posix_spawn_file_actions_init(&files);
	err = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	err = err != 0 ? err
		       : posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	err = err != 0 ? err : posix_spawn_file_actions_adddup2(&files, p->log, 2);
	err = err != 0 ? err : posix_spawn_file_actions_adddup2(&files, theirs, PROGRAM_FD);
	err = err != 0 ? err : posix_spawn_file_actions_addclosefrom_np(&files, PROGRAM_FD + 1);
	err = err != 0 ? err : posix_spawnp(&p->pid, argv[0], &files, &attr, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	return err;
}

int program_start(struct program *p, char *const argv[], int theirs, struct sill_err *e)
{
	int err;

	program_init(p);
	p->log = open_log(argv[0], e);
	if (p->log < 0)
		return -1;
	err = spawn(p, argv, theirs);
	if (err != 0) {
		p->pid = 0;
		program_stop(p);
		return sill_err_sys(e, err, "start %s", argv[0]);
	}
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd >= 0)
		return 0;
	(void)sill_err_sys(e, errno, "watch %s", argv[0]);
	program_stop(p);
	return -1;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void forget(struct program *p)
{
	drop(&p->pidfd);
	drop(&p->log);
	p->pid = 0;
}

void program_collect(struct program *p, char why[PROGRAM_WHY])
{
	char words[PROGRAM_WHY];
	int status = 0;

	program_words(p, words);
	if (waitpid(p->pid, &status, 0) < 0)
		status = 0;
	if (WIFSIGNALED(status))
		(void)snprintf(why, PROGRAM_WHY, "it was killed by SIG%s",
			       sigabbrev_np(WTERMSIG(status)) != NULL
				       ? sigabbrev_np(WTERMSIG(status))
				       : "?");
	else
		(void)snprintf(why, PROGRAM_WHY, "exit status %d%s%.90s", WEXITSTATUS(status),
			       words[0] != '\0' ? ": " : "", words);
	forget(p);
}

void program_stop(struct program *p)
{
	if (p->pid != 0) {
		(void)kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, NULL, 0);
	}
	forget(p);
}
