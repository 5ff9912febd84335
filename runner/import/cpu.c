/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.c - see import.h: processors, as QEMU and libvirt speak of them. */
#include "runner/import/import.h"

#include <stdio.h>
#include <string.h>

#include "sill/config.h"
#include "sill/hyperv.h"

bool import_hyperv(json_t *m, const char *name, bool on)
{
	static const char *const names[] = {
#define SILL_HV(name, on, needs, what) #name,
#include "sill/hyperv.def"
#undef SILL_HV
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		(void)json_object_set_new(import_map(import_map(m, "cpus"), "hyperv"), name,
					  json_boolean(on));
		return true;
	}
	return false;
}

bool import_feature(json_t *m, const char *name, bool on)
{
	json_t *cpus = import_map(m, "cpus"), *features;
	const char *list = on ? "add" : "remove";

	if (strcmp(name, "vmx") == 0 || strcmp(name, "svm") == 0) {
		(void)json_object_set_new(cpus, "nested", json_boolean(on));
		return true;
	}
	if (!sill_cpu_feature_known(name))
		return false;
	features = import_map(cpus, "features");
	if (json_object_get(features, list) == NULL)
		(void)json_object_set_new(features, list, json_array());
	(void)json_array_append_new(json_object_get(features, list), json_string(name));
	return true;
}
