/* SPDX-License-Identifier: Apache-2.0 */
/* unit.c - see unit.h. */
#include "runner/up/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/manifest/emit.h"
#include "runner/report/json.h"
#include "runner/report/text.h"
#include "runner/up/call.h"
#include "runner/up/record.h"

static bool is_users(void)
{
	return geteuid() != 0;
}

/* Where units are: of who we are. */
static void unit_base(char ret[PATH_MAX])
{
	const char *given = getenv("SILL_UNIT_DIR"), *config = getenv("XDG_CONFIG_HOME"),
		   *home = getenv("HOME");

	if (given != NULL && given[0] != '\0')
		(void)snprintf(ret, PATH_MAX, "%s", given);
	else if (!is_users())
		(void)snprintf(ret, PATH_MAX, "/etc/systemd/system");
	else if (config != NULL && config[0] == '/')
		(void)snprintf(ret, PATH_MAX, "%s/systemd/user", config);
	else
		(void)snprintf(ret, PATH_MAX, "%s/.config/systemd/user", home != NULL ? home : "");
}

enum { UNIT_PATH = PATH_MAX + UNIT_NAME + 24 };

/* The directory beside the unit, and the file in it. */
static void unit_paths(const char *unit, char ret_dir[UNIT_PATH], char ret_file[UNIT_PATH])
{
	char base[PATH_MAX];

	unit_base(base);
	(void)snprintf(ret_dir, UNIT_PATH, "%s/%s.d", base, unit);
	(void)snprintf(ret_file, UNIT_PATH, "%s/%s.d/manifest.conf", base, unit);
}

static int make_directories(char *path, struct sill_err *e)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return sill_err_sys(e, errno, "make '%s'", path);
		if (slash == NULL)
			return 0;
		*slash = '/';
	}
}

static void unit_name(const struct target *t, char ret[UNIT_NAME])
{
	(void)snprintf(ret, UNIT_NAME, "sill@%s.service", t->doc->m->name);
}

static int write_conf(const char *unit, const struct target *t, const char *from,
		      struct sill_err *e)
{
	static const char *const words[] = { [SILL_RESTART_NO] = "no",
					     [SILL_RESTART_ON_FAILURE] = "on-failure",
					     [SILL_RESTART_ALWAYS] = "always" };
	char dir[UNIT_PATH], path[UNIT_PATH];
	FILE *f;
	int bad;

	unit_paths(unit, dir, path);
	if (make_directories(dir, e) < 0)
		return -1;
	f = fopen(path, "we");
	if (f == NULL)
		return sill_err_sys(e, errno, "write '%s'", path);
	(void)fputs("# By `sill up --systemd`, which writes it anew.\n[Service]\n"
		    "Environment=\"SILL_MANIFEST=",
		    f);
	text_unit_value(f, t->file);
	if (from != NULL) {
		(void)fputs("\"\nEnvironment=\"SILL_DIRECTORY=", f);
		text_unit_value(f, from);
	}
	(void)fprintf(f, "\"\nRestart=%s\n", words[t->doc->m->restart]);
	bad = ferror(f);
	return fclose(f) != 0 || bad != 0 ? sill_err_sys(e, errno, "write '%s'", path) : 0;
}

static void set_words(const char *argv[8], const char *const *words)
{
	size_t n = 0;

	argv[n++] = "systemctl";
	if (is_users())
		argv[n++] = "--user";
	while (*words != NULL && n < 7)
		argv[n++] = *words++;
	argv[n] = NULL;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Its exit status; -1 and @e: it cannot be started. */
static int ask_systemctl(const char *const *words, struct sill_err *e)
{
	extern char **environ;
	const char *argv[8];
	int status, err;
	pid_t pid;

	set_words(argv, words);
	err = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
	if (err != 0)
		return sill_err_sys(e, err, "start systemctl");
	status = wait_for(pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* 0, or -1 and @e: systemctl has said why on stderr. */
static int systemctl(const char *const *words, struct sill_err *e)
{
	const int status = ask_systemctl(words, e);

	if (status > 0)
		return sill_err_set(e, SILL_ERR_HOST, "`systemctl %s` has failed", words[0]);
	return status;
}

int unit_start(const char *unit, bool wait, struct sill_err *e)
{
	return systemctl((const char *[]){ "start", unit, wait ? NULL : "--no-block", NULL }, e);
}

int unit_stop(const char *unit, bool wait, struct sill_err *e)
{
	return systemctl((const char *[]){ "stop", unit, wait ? NULL : "--no-block", NULL }, e);
}

/* What `systemctl` prints, of which a line is enough. Who takes too long for it is ended. */
static pid_t begin_systemctl(const char *const *words, int to)
{
	extern char **environ;
	const char *argv[8];
	posix_spawn_file_actions_t files;
	pid_t pid = -1;

	set_words(argv, words);
	if (posix_spawn_file_actions_init(&files) != 0)
		return -1;
	if (posix_spawn_file_actions_adddup2(&files, to, STDOUT_FILENO) != 0 ||
	    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0) !=
		    0 ||
	    posix_spawnp(&pid, argv[0], &files, NULL, (char *const *)(uintptr_t)argv, environ) != 0)
		pid = -1;
	(void)posix_spawn_file_actions_destroy(&files);
	return pid;
}

bool unit_is_activating(const char *unit)
{
	const char *const words[] = { "show", "--property=ActiveState", "--value", unit, NULL };
	static const char want[] = "activating\n";
	struct pollfd p = { .events = POLLIN };
	char text[64] = "";
	int to[2];
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) < 0)
		return false;
	pid = begin_systemctl(words, to[1]);
	(void)close(to[1]);
	p.fd = to[0];
	if (pid > 0 && poll(&p, 1, CALL_LOOK_S * 1000) > 0)
		(void)!read(to[0], text, sizeof(text) - 1);
	(void)close(to[0]);
	if (pid > 0) {
		(void)kill(pid, SIGKILL); /* it has said it, or will not */
		(void)wait_for(pid);
	}
	return strcmp(text, want) == 0;
}

bool unit_is_enabled(const char *unit)
{
	return ask_systemctl((const char *[]){ "is-enabled", "--quiet", unit, NULL },
			     &(struct sill_err){ 0 }) == 0;
}

int unit_change(const char *unit, const struct target *t, const char *dir, struct sill_err *e)
{
	if (write_conf(unit, t, dir, e) < 0)
		return -1;
	return systemctl((const char *[]){ "daemon-reload", NULL }, e);
}

int unit_up(const struct target *t, const char *dir, bool wait, struct sill_err *e)
{
	char unit[UNIT_NAME];

	unit_name(t, unit);
	if (unit_change(unit, t, dir, e) < 0 ||
	    systemctl((const char *[]){ "enable", unit, NULL }, e) < 0)
		return -1;
	return unit_start(unit, wait, e);
}

int unit_forget(const char *unit, struct sill_err *e)
{
	char dir[UNIT_PATH], path[UNIT_PATH];

	if (systemctl((const char *[]){ "disable", unit, NULL }, e) < 0)
		return -1;
	unit_paths(unit, dir, path);
	if (unlink(path) < 0 && errno != ENOENT)
		return sill_err_sys(e, errno, "remove '%s'", path);
	(void)rmdir(dir); /* others may have put something there */
	return systemctl((const char *[]){ "daemon-reload", NULL }, e);
}

/* ---- who is run by one ---- */

static const char *from_environment(const char *name)
{
	const char *s = getenv(name);

	return s != NULL && s[0] != '\0' ? s : NULL;
}

const char *unit_own(void)
{
	return from_environment("SILL_UNIT");
}

const char *unit_own_directory(void)
{
	return unit_own() != NULL ? from_environment("SILL_DIRECTORY") : NULL;
}

bool unit_of(const struct rundir_vm *vm, char ret[UNIT_NAME])
{
	json_t *record = record_read(vm);
	const char *unit = record_text(record, "unit"), *own = unit_own();
	const bool is = unit != NULL && strlen(unit) < UNIT_NAME && unit[0] != '-' &&
			(own == NULL || strcmp(own, unit) != 0);

	(void)snprintf(ret, UNIT_NAME, "%s", is ? unit : "");
	json_decref(record);
	return is;
}
