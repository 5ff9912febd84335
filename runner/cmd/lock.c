/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - sill lock: write down what the guest finds, so that a change of it is seen before it comes. */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "runner/cmd/open.h"
#include "runner/cmd/write.h"
#include "runner/host/replace.h"
#include "runner/plan/hardware.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

enum { DIFFERS = 2 }; /* the exit status of --check */

/* Is it as it was locked? CMD_DONE, DIFFERS or CMD_FAILED; says so. */
static int check(struct hardware_lock *l, const char *file, const char *name, json_t *now)
{
	struct sill_err e = { 0 };
	json_t *locked = hardware_locked(l, file, name, &e), *diff;
	int status;

	if (locked == NULL) {
		if (e.code != SILL_ERR_NONE)
			return cmd_error(&e);
		text_say(stderr, "sill: '%s' is not locked: sill lock %s", name, file);
		return CMD_FAILED;
	}
	diff = hardware_diff(locked, now);
	status = json_array_size(diff) > 0 ? DIFFERS : CMD_DONE;
	text_say(stdout, "%s: %s", name,
		 status == CMD_DONE ? "as it was locked" : "not as it was locked");
	hardware_print(stdout, diff);
	json_decref(diff);
	json_decref(locked);
	return status;
}

static int write_lock(const char *file, json_t *take_vms)
{
	json_t *o = json_pack("{s:i,s:s,s:o}", "version", 1, "made_by", "sill " SILL_VERSION, "vms",
			      take_vms);
	char *text = json_dumps(o, JSON_INDENT(1) | JSON_SORT_KEYS);
	char path[PATH_MAX], *line = NULL;
	int n = text != NULL ? asprintf(&line, "%s\n", text) : -1, done = -1;

	hardware_lock_path(file, path, sizeof(path));
	errno = ENOMEM;
	if (n >= 0)
		done = file_replace(path, line, (size_t)n, cmd_mode());
	if (done < 0)
		text_say(stderr, "sill: cannot write '%s': %s", path, strerrordesc_np(errno));
	else
		text_say(stdout, "%s: what the guest finds is locked", path);
	free(line);
	free(text);
	json_decref(o);
	return done < 0 ? CMD_FAILED : CMD_DONE;
}

static int lock(const char *file, const struct mfile *f, const char *name, bool checks)
{
	struct hardware_lock before = { 0 };
	json_t *vms = json_object();
	int status = CMD_DONE;

	for (size_t i = 0; i < f->count && status != CMD_FAILED && status != CMD_HOST; i++) {
		const struct sill_config *c = f->docs[i].m;
		struct sill_err e = { 0 };
		json_t *now;
		int one = CMD_DONE;

		if (checks && name != NULL && strcmp(name, c->name) != 0)
			continue;
		now = hardware_of(c, &e);
		if (now == NULL)
			one = cmd_error(&e);
		else if (checks)
			one = check(&before, file, c->name, now);
		(void)json_object_set_new(vms, c->name, now != NULL ? now : json_null());
		if (one != CMD_DONE)
			status = one;
	}
	hardware_lock_fini(&before);
	if (status == CMD_DONE && !checks)
		return write_lock(file, vms);
	json_decref(vms);
	return status;
}

static int run(int argc, char **argv)
{
	const char *name = NULL;
	bool checks = false;
	const struct opt opts[] = { { .name = "check", .flag = &checks },
				    { .name = "name", .text = &name },
				    OPEN_OPTS };
	const int n = cmd_options(&verb_lock, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct mfile *f;
	int status;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&verb_lock, n == 0 ? "which file?" : "one at a time");
	if (name != NULL && !checks)
		return cmd_usage(&verb_lock, "all VMs of a file are locked at once");
	status = cmd_open(argv[1], name, true, &f);
	if (status != CMD_DONE)
		return status;
	status = lock(argv[1], f, name, checks);
	mfile_destroy(f);
	return status;
}

const struct verb verb_lock = {
	.name = "lock",
	.args = "[--check [--name VM]] " OPEN_ARGS " FILE",
	.summary =
		"write down what the guest finds, so that a change of it is seen before it comes",
	.help = "Of web.yaml into web.lock.json, which belongs in the repository beside it:\n"
		"processor leaves (CPUID), devices on the bus, ACPI tables, SMBIOS, the memory's "
		"map. A\n"
		"machine is made for that, and thrown away: no guest runs, no disk is opened, but\n"
		"/dev/kvm must be there. `sill plan` shows what has changed since: another version "
		"of\n"
		"Sill, another kernel or processor of the host, or the manifest.\n"
		"\n"
		"  --check      compare with what is locked, and write nothing\n"
		"  --name VM    this one of the file\n" OPEN_HELP "\n"
		"exit status: 0 done, or nothing has changed; 2 something has (--check); 1 the "
		"file has\n"
		"no lock, or cannot be written; 3 the host lacks something\n",
	.run = run,
};
