/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nomad.c - a job in JSON, as its API takes it (https://developer.hashicorp.com/nomad/api-docs/json-jobs).
 *
 * The driver is raw_exec: a VM wants /dev/kvm and its disks, and isolates its guest itself.
 */
#include "runner/export/export.h"

#include <stdlib.h>
#include <string.h>

/* What begins a template: what the manifest does not hold, so that nothing in it is one. */
static void set_delimiter(char left[32], const char *manifest)
{
	(void)snprintf(left, 32, "[[[sill");
	for (unsigned i = 1; strstr(manifest, left) != NULL; i++)
		(void)snprintf(left, 32, "[[[sill%u", i);
}

static json_t *task(const struct export_vm *vm, const struct export_needs *n, const char *manifest)
{
	char left[32];
	const char *name = vm->mf->docs[vm->doc].m->name;
	json_t *args = json_pack("[s,s,s,s]", "run", "--name", name, "${NOMAD_TASK_DIR}/vm.yaml");
	json_t *file;

	set_delimiter(left, manifest);
	file = json_pack("{s:s,s:s,s:s,s:s,s:s}", "EmbeddedTmpl", manifest, "DestPath",
			 "local/vm.yaml", "ChangeMode", "noop", "LeftDelim", left, "RightDelim",
			 "lis]]]");
	return json_pack("{s:s,s:s,s:{s:s,s:o},s:{s:I,s:I},s:[o],s:s,s:I}", "Name", "sill",
			 "Driver", "raw_exec", "Config", "command", "/usr/bin/sill", "args", args,
			 "Resources", "Cores", (json_int_t)n->cpus, "MemoryMB",
			 (json_int_t)((n->memory + (1 << 20) - 1) >> 20), "Templates", file,
			 "KillSignal", "SIGTERM", "KillTimeout", (json_int_t)150 * 1000000000);
}

char *export_nomad(const struct export_vm *vm)
{
	const char *name = vm->mf->docs[vm->doc].m->name;
	struct export_needs n;
	char *manifest, *text;
	json_t *group, *job;

	export_needs_get(&n, vm, false);
	manifest = export_manifest(vm);
	if (manifest == NULL)
		return NULL;
	group = json_pack("{s:s,s:i,s:{s:i,s:I,s:I,s:s},s:[o]}", "Name", name, "Count", 1,
			  "RestartPolicy", "Attempts", 3, "Interval", (json_int_t)600 * 1000000000,
			  "Delay", (json_int_t)15 * 1000000000, "Mode", "delay", "Tasks",
			  task(vm, &n, manifest));
	job = json_pack("{s:{s:s,s:s,s:s,s:[s],s:[{s:s,s:s,s:s}],s:[o]}}", "Job", "ID", name,
			"Name", name, "Type", "service", "Datacenters", "*", "Constraints",
			"LTarget", "${attr.driver.raw_exec}", "RTarget", "1", "Operand", "=",
			"TaskGroups", group);
	text = json_dumps(job, JSON_INDENT(2));
	json_decref(job);
	free(manifest);
	return text;
}
