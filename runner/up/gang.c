/* SPDX-License-Identifier: Apache-2.0 */
/* gang.c - see gang.h. */
#include "runner/up/gang.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/manifest/scalar.h"
#include "runner/report/text.h"

/* One that is at work. */
struct worker {
	pid_t pid;
	size_t job;
	int out, err; /* owned: what it prints, in memory */
};

/* As many as there are processors, GANG_DEFAULT_MAX at most. */
static unsigned jobs_default(void)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > GANG_DEFAULT_MAX ? GANG_DEFAULT_MAX : (unsigned)n;
}

int gang_read(const char *text, unsigned *ret_limit)
{
	uint64_t n;

	*ret_limit = jobs_default();
	if (text == NULL)
		return 0;
	if (scalar_uint(text, &n) != SCALAR_OK || n < 1 || n > GANG_MAX)
		return -1;
	*ret_limit = (unsigned)n;
	return 0;
}

static void let_go(struct worker *w)
{
	if (w->out >= 0)
		(void)close(w->out);
	if (w->err >= 0)
		(void)close(w->err);
}

static void print_all(int fd, FILE *f)
{
	char data[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, data, sizeof(data), at)) > 0) {
		(void)fwrite(data, 1, (size_t)n, f);
		at += n;
	}
	(void)fflush(f);
}

/* In the new process: what it says goes to memory, and it does not outlive @parent. */
static void settle(const struct worker *w, pid_t parent)
{
	(void)dup2(w->out, STDOUT_FILENO);
	(void)dup2(w->err, STDERR_FILENO);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CMD_FAILED);
}

/* 0; 1: we are the new process; -1: there is none, which was said. */
static int begin(struct worker *w, size_t job)
{
	const pid_t parent = getpid();

	*w = (struct worker){ .job = job,
			      .out = memfd_create("sill-out", MFD_CLOEXEC),
			      .err = memfd_create("sill-err", MFD_CLOEXEC) };
	(void)fflush(NULL);
	w->pid = w->out < 0 || w->err < 0 ? -1 : fork();
	if (w->pid == 0) {
		settle(w, parent);
		return 1;
	}
	if (w->pid > 0)
		return 0;
	text_say(stderr, "sill: a process: %s", strerrordesc_np(errno));
	let_go(w);
	return -1;
}

/* Wait for one to end. Returns its place in @w. */
static size_t wait_one(const struct worker *w, size_t n, int *ret_status)
{
	for (;;) {
		int status = 0;
		const pid_t pid = waitpid(-1, &status, 0);

		for (size_t i = 0; i < n; i++) {
			/* Without a child there is nothing that one could wait for. */
			if (w[i].pid != pid && (pid >= 0 || errno == EINTR))
				continue;
			*ret_status = pid >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
			return i;
		}
	}
}

static void finish(const struct gang *c, struct worker *w, int status)
{
	print_all(w->err, stderr);
	print_all(w->out, stdout);
	let_go(w);
	c->done(c->ctx, w->job, status);
}

int gang_run(const struct gang *c, bool *ret_child)
{
	struct worker *w = calloc(c->limit, sizeof(*w));
	size_t next = 0, n = 0;
	bool is_worker = false;
	int status;

	*ret_child = false;
	if (w == NULL) {
		text_say(stderr, "sill: no memory");
		return CMD_FAILED;
	}
	while (next < c->count || n > 0) {
		if (next < c->count && n < c->limit) {
			const int begun = begin(&w[n], next);

			is_worker = begun > 0;
			if (is_worker)
				break;
			n += begun == 0;
			if (begun < 0)
				c->done(c->ctx, next, -1);
			next++;
			continue;
		}
		const size_t i = wait_one(w, n, &status);

		finish(c, &w[i], status);
		w[i] = w[--n];
	}
	for (size_t i = 0; is_worker && i < n + 1; i++)
		let_go(&w[i]);
	free(w);
	if (!is_worker)
		return CMD_DONE;
	status = c->job(c->ctx, next);
	*ret_child = true; /* which the job may have used, too */
	return status;
}
