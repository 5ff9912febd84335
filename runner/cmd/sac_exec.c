/* SPDX-License-Identifier: Apache-2.0 */
/* sac_exec.c - sill sac VM exec -- COMMAND...: one command in a command prompt of its own. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cmd/sac.h"
#include "runner/report/text.h"

enum {
	EXIT_SAID = 124, /* a command's status that is ours, at most */
	EXIT_OTHER = 126,
};

/* Windows' editors put a mark in front of UTF-8, and write UTF-16 where nobody has told them. */
static int take_first_line(const char *path, char *p, size_t n, struct sill_err *e)
{
	static const char mark[] = "\xef\xbb\xbf";
	const size_t from = n >= 3 && memcmp(p, mark, 3) == 0 ? 3 : 0;
	size_t line = from;

	if (n >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0)) {
		(void)sill_err_set(e, SILL_ERR_STATE, "--password-file '%s' is UTF-16", path);
		return sill_err_hint(e, "iconv -f UTF-16 -t UTF-8 makes UTF-8 of it");
	}
	while (line < n && p[line] != '\r' && p[line] != '\n')
		line++;
	if (line - from > SAC_PASSWORD)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "--password-file '%s': a password has at most %d bytes", path,
				    SAC_PASSWORD);
	if (memchr(p, '\0', line) != NULL)
		return sill_err_set(e, SILL_ERR_STATE,
				    "--password-file '%s': its first line is no text", path);
	memmove(p, p + from, line - from);
	p[line - from] = '\0';
	return 0;
}

/* It is used all the same: whoever could read it has had the time to. */
static void warn_of_readers(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		text_say(stderr, "sill: warning: others may read '%s': `chmod 600` keeps it", path);
}

int sac_call_password(const struct sac_call *c, char ret[SAC_PASSWORD + 1], struct sill_err *e)
{
	const char *path = c->password_file != NULL ? c->password_file : "/dev/null";
	const bool in = strcmp(path, "-") == 0;
	const int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	char text[3 + SAC_PASSWORD + 1];
	size_t n = 0;
	ssize_t got = 0;
	int done;

	if (fd < 0)
		return sill_err_sys(e, errno, "--password-file '%s'", path);
	do {
		got = read(fd, text + n, sizeof(text) - n);
		if (got > 0)
			n += (size_t)got;
	} while ((got > 0 && n < sizeof(text)) || (got < 0 && errno == EINTR));
	done = got < 0 ? sill_err_sys(e, errno, "--password-file '%s'", path)
		       : take_first_line(path, text, n, e);
	if (done == 0) {
		memcpy(ret, text, strlen(text) + 1);
		warn_of_readers(fd, path);
	}
	explicit_bzero(text, sizeof(text));
	if (!in)
		(void)close(fd);
	return done;
}

/* To a terminal nothing goes that it would obey; else it is what was written, but for the \r of line ends. */
static void print_output(const struct sac_output *o)
{
	const bool clean = isatty(STDOUT_FILENO) == 1;
	size_t at = clean ? text_pass(stdout, o->text, o->n, true) : 0;

	if (clean && o->n > 0 && o->text[o->n - 1] != '\n')
		(void)putchar('\n');
	while (at < o->n) {
		const char *line = o->text + at, *end = memchr(line, '\n', o->n - at);
		const size_t all = end != NULL ? (size_t)(end - line) + 1 : o->n - at;
		size_t n = all - (end != NULL);

		n -= end != NULL && n > 0 && line[n - 1] == '\r';
		at += all;
		(void)fwrite(line, 1, n, stdout);
		if (end != NULL)
			(void)putchar('\n');
	}
	if (o->cut)
		(void)fprintf(stderr, "sill: the output was longer: its first %d KiB are here\n",
			      SAC_OUTPUT / 1024);
}

/* The words, with blanks between them. 0, or -1 and @e. */
static int join_words(int argc, char **argv, char ret[SAC_COMMAND + 1], struct sill_err *e)
{
	size_t n = 0;

	for (int i = 0; i < argc; i++) {
		const size_t more = strlen(argv[i]) + (i > 0);

		if (n + more > SAC_COMMAND)
			return sill_err_set(e, SILL_ERR_LIMIT, "a command has at most %d bytes",
					    SAC_COMMAND);
		n += (size_t)snprintf(ret + n, SAC_COMMAND + 1 - n, "%s%s", i > 0 ? " " : "",
				      argv[i]);
	}
	return sac_exec_check(ret, e);
}

/* Open, run, close. 0, or -1 and @e. */
static int run(struct sac_call *c, const struct sac_login *login, const char *command,
	       struct sac_output *ret, struct sill_err *e)
{
	struct sac_shell sh = { .wire = &c->wire,
				.sac = &c->sac,
				.screen = c->screen,
				.deadline_ms = c->deadline_ms,
				.patient = c->patient };
	int done;

	if (sac_call_take(c, e) < 0 || sac_shell_open(&sh, login, e) < 0)
		return -1;
	done = sac_exec(&sh, command, ret, e);
	sac_shell_close(&sh, SAC_EXEC_LAST);
	return done;
}

int sac_call_exec(struct sac_call *c, int argc, char **argv)
{
	char command[SAC_COMMAND + 1], password[SAC_PASSWORD + 1] = "";
	const struct sac_login login = { .user = c->user,
					 .domain = c->domain,
					 .password = c->password_file != NULL ? password : NULL };
	struct sac_output o = { 0 };
	struct sill_err e = { 0 };
	int32_t status;
	int done = join_words(argc, argv, command, &e);

	if (done == 0)
		done = sac_call_password(c, password, &e);
	if (done == 0)
		done = run(c, &login, command, &o, &e);
	explicit_bzero(password, sizeof(password));
	if (done < 0) {
		(void)cmd_error(&e);
		return SAC_EXIT_OURS;
	}
	print_output(&o);
	status = o.status;
	sac_output_fini(&o);
	if (status >= 0 && status <= EXIT_SAID)
		return status;
	(void)fprintf(stderr, "sill: the command's exit status is %d\n", status);
	return EXIT_OTHER;
}
