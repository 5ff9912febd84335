/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nomad.c - a job in JSON, as its API takes it (https://developer.hashicorp.com/nomad/api-docs/json-jobs).
 *
 * The driver is raw_exec: a VM wants /dev/kvm and its disks, and isolates its guest itself.
 */
#include "runner/export/export.h"

#include <stdlib.h>
#include <string.h>

#include "runner/ready/sign.h"
#include "runner/report/text.h"

static const json_int_t second = 1000000000; /* its times are in nanoseconds */

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
			 "KillSignal", "SIGTERM", "KillTimeout", 150 * second);
}

/* A script, which Nomad runs for what is in Consul alone. */
static json_t *service(const struct export_vm *vm)
{
	const char *name = vm->mf->docs[vm->doc].m->name;
	char label[64];
	json_t *check = json_pack("{s:s,s:s,s:s,s:[s,s,s],s:I,s:I}", "Name", "ready", "Type",
				  "script", "Command", "/usr/bin/sill", "Args", "status", "--ready",
				  name, "Interval", 5 * second, "Timeout", 15 * second);

	text_say(vm->notes, "%s: its readiness is a script check, which wants Consul", name);
	export_label(label, name);
	return json_pack("{s:s,s:s,s:[o]}", "Name", label, "Provider", "consul", "Checks", check);
}

/* A deployment waits for as long as the guest has. What comes late is no failure of the job: nothing is reverted. */
static json_t *update(const struct sill_config *v)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < v->ready_count; i++)
		if (sign_within(&v->ready[i]) > most)
			most = sign_within(&v->ready[i]);
	most = most * 1000000 + (uint64_t)(60 * second); /* its files come before */
	return json_pack("{s:s,s:I,s:I}", "HealthCheck", "checks", "HealthyDeadline",
			 (json_int_t)most, "ProgressDeadline", (json_int_t)most + 60 * second);
}

char *export_nomad(const struct export_vm *vm)
{
	const struct sill_config *v = vm->mf->docs[vm->doc].m;
	const char *name = v->name;
	struct export_needs n;
	char *manifest, *text;
	json_t *group, *job, *own;

	export_needs_get(&n, vm, false);
	manifest = export_manifest(vm);
	if (manifest == NULL)
		return NULL;
	own = task(vm, &n, manifest);
	if (v->ready_count > 0)
		(void)json_object_set_new(own, "Services", json_pack("[o]", service(vm)));
	group = json_pack("{s:s,s:i,s:{s:i,s:I,s:I,s:s},s:[o]}", "Name", name, "Count", 1,
			  "RestartPolicy", "Attempts", 3, "Interval", 600 * second, "Delay",
			  15 * second, "Mode", "delay", "Tasks", own);
	if (v->ready_count > 0)
		(void)json_object_set_new(group, "Update", update(v));
	job = json_pack("{s:{s:s,s:s,s:s,s:[s],s:[{s:s,s:s,s:s}],s:[o]}}", "Job", "ID", name,
			"Name", name, "Type", "service", "Datacenters", "*", "Constraints",
			"LTarget", "${attr.driver.raw_exec}", "RTarget", "1", "Operand", "=",
			"TaskGroups", group);
	text = json_dumps(job, JSON_INDENT(2));
	json_decref(job);
	free(manifest);
	return text;
}
