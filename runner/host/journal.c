/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c - see journal.h. */
#include "runner/host/journal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runner/host/notify.h"

static const char socket_path[] = "/run/systemd/journal/socket";

/* The level that a line says itself, at its front. */
static int level_of(const char *line, size_t n, int otherwise)
{
	static const struct {
		const char *word;
		int level;
	} words[] = { { "error: ", JOURNAL_ERROR },
		      { "warn: ", 4 },
		      { "warning: ", 4 },
		      { "info: ", JOURNAL_INFO },
		      { "debug: ", 7 } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (n >= strlen(words[i].word) &&
		    memcmp(line, words[i].word, strlen(words[i].word)) == 0)
			return words[i].level;
	return otherwise;
}

/* A journal that takes no more has it on its stream, where it waits for room or is told by the kernel that nobody listens. */
static void send_line(const struct journal *j, const char *line, size_t n)
{
	static const char own[] = "sill: ";
	char head[160];
	const bool named = n >= sizeof(own) - 1 && memcmp(line, own, sizeof(own) - 1) == 0;
	const char *text = named ? line + sizeof(own) - 1 : line;
	const size_t size = (size_t)(line + n - text);
	const int len = snprintf(head, sizeof(head),
				 "PRIORITY=%d\nSYSLOG_IDENTIFIER=sill\nSILL_VM=%s\nMESSAGE=",
				 level_of(text, size, j->level), j->vm);
	struct iovec parts[] = { { head, (size_t)len },
				 { (void *)(uintptr_t)text, size },
				 { (void *)(uintptr_t) "\n", 1 } };
	const struct msghdr m = { .msg_iov = parts, .msg_iovlen = 3 };

	if (sendmsg(j->fd, &m, MSG_NOSIGNAL) < 0) {
		(void)!write(STDERR_FILENO, line, n);
		(void)!write(STDERR_FILENO, "\n", 1);
	}
}

/* fopencookie(3). The stream holds its lock around it. */
static ssize_t put(void *cookie, const char *data, size_t size)
{
	size_t n;

	for (size_t at = 0; at < size; at += n + 1) {
		const char *end = memchr(data + at, '\n', size - at);

		n = end != NULL ? (size_t)(end - data) - at : size - at;
		if (n > 0)
			send_line(cookie, data + at, n);
	}
	return (ssize_t)size;
}

/* Whoever stands between (a shell that sends it elsewhere) leaves the variable, and stderr is another file. */
static bool is_journals(void)
{
	const char *where = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return where != NULL && sscanf(where, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

bool journal_begin(struct journal *j, const char *vm)
{
	const cookie_io_functions_t io = { .write = put };
	const char *given = getenv("SILL_JOURNAL_SOCKET");

	if (!is_journals())
		return false;
	j->fd = notify_dial(given != NULL && given[0] != '\0' ? given : socket_path);
	if (j->fd < 0)
		return false;
	j->f = fopencookie(j, "w", io);
	if (j->f == NULL) {
		(void)close(j->fd);
		return false;
	}
	(void)setvbuf(j->f, NULL, _IOLBF, BUFSIZ);
	(void)snprintf(j->vm, sizeof(j->vm), "%s", vm);
	j->level = JOURNAL_INFO;
	j->was = stderr;
	stderr = j->f;
	return true;
}

void journal_end(struct journal *j)
{
	if (j->f == NULL)
		return;
	stderr = j->was;
	(void)fclose(j->f);
	(void)close(j->fd);
	j->f = NULL;
}
