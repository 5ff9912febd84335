/* SPDX-License-Identifier: Apache-2.0 */
/* sac_cmd.c - sill sac VM cmd: a person at a command prompt of its own, which is closed when the person leaves. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/cmd/sac.h"
#include "runner/console/session.h"
#include "runner/host/clock.h"

enum { QUIET_MS = 2000 }; /* what a script has typed is over by then, or is not waited for */

/* What is above the line that the session begins with. */
static void show_screen(const struct sac_call *c)
{
	char row[SCREEN_COLS + 1];
	int last, col;

	if (isatty(STDOUT_FILENO) != 1)
		return;
	screen_cursor(c->screen, &last, &col);
	(void)fputs("\033[2J\033[H", stdout);
	for (int r = 0; r < last; r++) {
		size_t n = SCREEN_COLS;

		screen_row(c->screen, r, row);
		while (n > 0 && row[n - 1] == ' ')
			n--;
		(void)printf("%.*s\n", (int)n, row);
	}
	(void)fflush(stdout);
}

static void take_signals(sigset_t *ret_ours, sigset_t *ret_before)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD };

	(void)sigemptyset(ret_ours);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		(void)sigaddset(ret_ours, ours[i]);
	(void)sigprocmask(SIG_BLOCK, ret_ours, ret_before);
}

/* In a process of its own: however it ends, the prompt must be closed then, for somebody is logged in there. */
static int talk(const struct session *s, struct sill_err *e)
{
	sigset_t ours, before;
	int status = 0, sig;
	pid_t child;

	take_signals(&ours, &before);
	child = fork();
	if (child == 0) {
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		exit(session_person(s));
	}
	if (child < 0)
		(void)sill_err_sys(e, errno, "fork");
	while (child > 0 && waitpid(child, &status, WNOHANG) == 0)
		if (sigwait(&ours, &sig) == 0 && sig != SIGCHLD)
			(void)kill(child, sig);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (child < 0)
		return CMD_HOST;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int sac_call_cmd(struct sac_call *c, int argc, char **argv)
{
	char password[SAC_PASSWORD + 1] = "";
	const struct sac_login login = { .user = c->user,
					 .domain = c->domain,
					 .password = c->password_file != NULL ? password : NULL };
	const struct session s = {
		.name = c->vm, .port = c->port, .take = true, .quiet_ms = QUIET_MS
	};
	struct sac_shell sh = { .wire = &c->wire,
				.sac = &c->sac,
				.screen = c->screen,
				.deadline_ms = c->deadline_ms,
				.patient = c->patient };
	struct sill_err e = { 0 };
	int status = -1;

	(void)argc;
	(void)argv;
	if (sac_call_password(c, password, &e) == 0 && sac_call_take(c, &e) == 0)
		status = sac_shell_open(&sh, c->user != NULL ? &login : NULL, &e);
	explicit_bzero(password, sizeof(password));
	if (status < 0)
		return cmd_error(&e);
	show_screen(c);
	(void)close(c->fd);
	c->fd = -1;
	status = talk(&s, &e);
	if (e.code != SILL_ERR_NONE)
		(void)cmd_error(&e);
	/* It is gone with the VM, or closed by `exit`: both are fine. */
	e = (struct sill_err){ 0 };
	c->deadline_ms = clock_ms() + c->within_ms;
	if (sac_call_join(c, &e) == 0 && sac_call_take(c, &e) == 0)
		sac_shell_close(&sh, NULL);
	return status;
}
