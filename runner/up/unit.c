/* SPDX-License-Identifier: Apache-2.0 */
/* unit.c - see unit.h. */
#include "runner/up/unit.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/manifest/emit.h"
#include "runner/report/json.h"

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

/* As systemd reads it between double quotes: systemd.syntax(7), specifiers in systemd.unit(5). */
static void put_quoted(FILE *f, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			(void)fputc('\\', f);
		else if (*s == '%')
			(void)fputc('%', f);
		(void)fputc(*s, f);
	}
}

static int write_conf(const struct target *t, struct sill_err *e)
{
	static const char *const words[] = { [SILL_RESTART_NO] = "no",
					     [SILL_RESTART_ON_FAILURE] = "on-failure",
					     [SILL_RESTART_ALWAYS] = "always" };
	char base[PATH_MAX], dir[PATH_MAX + 100], path[PATH_MAX + 140];
	FILE *f;
	int bad;

	unit_base(base);
	(void)snprintf(dir, sizeof(dir), "%s/sill@%s.service.d", base, t->doc->m->name);
	(void)snprintf(path, sizeof(path), "%s/manifest.conf", dir);
	if (strchr(t->file, '\n') != NULL)
		return sill_err_set(e, SILL_ERR_HOST, "a unit cannot have a path with a newline");
	if (make_directories(dir, e) < 0)
		return -1;
	f = fopen(path, "we");
	if (f == NULL)
		return sill_err_sys(e, errno, "write '%s'", path);
	(void)fputs("# By `sill up --systemd`, which writes it anew.\n[Service]\n"
		    "Environment=\"SILL_MANIFEST=",
		    f);
	put_quoted(f, t->file);
	(void)fprintf(f, "\"\nRestart=%s\n", words[t->doc->m->restart]);
	bad = ferror(f);
	return fclose(f) != 0 || bad != 0 ? sill_err_sys(e, errno, "write '%s'", path) : 0;
}

/* 0, or -1 and @e: systemctl has said why on stderr. */
static int systemctl(char *const *words, struct sill_err *e)
{
	extern char **environ;
	static char name[] = "systemctl", user[] = "--user";
	char *argv[8] = { name };
	size_t n = 1;
	int status = 0, err;
	pid_t pid;

	if (is_users())
		argv[n++] = user;
	while (*words != NULL && n < 7)
		argv[n++] = *words++;
	err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (err != 0)
		return sill_err_sys(e, err, "start systemctl");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "`systemctl %s` has failed",
			    argv[is_users() ? 2 : 1]);
}

int unit_up(const struct target *t, bool wait, struct sill_err *e)
{
	static char reload[] = "daemon-reload", enable[] = "enable", start[] = "start",
		    no_block[] = "--no-block";
	char unit[100];

	(void)snprintf(unit, sizeof(unit), "sill@%s.service", t->doc->m->name);
	if (write_conf(t, e) < 0 || systemctl((char *[]){ reload, NULL }, e) < 0 ||
	    systemctl((char *[]){ enable, unit, NULL }, e) < 0)
		return -1;
	return systemctl((char *[]){ start, unit, wait ? NULL : no_block, NULL }, e);
}
