/* SPDX-License-Identifier: Apache-2.0 */
/* chbody.c - see ch.h: what is different for a person who moves than for a program that calls the API. */
#include "runner/import/ch.h"

#include <stdio.h>
#include <string.h>

#include "runner/api/vmconfig.h"

static void say(void *arg, const char *path, const char *why)
{
	import_lost(arg, path, "%s", why);
}

/* What has a default there that a body must state. */
static void state_defaults(json_t *body)
{
	json_t *cpus = import_map(body, "cpus"), *memory = import_map(body, "memory");

	if (json_object_get(cpus, "boot_vcpus") == NULL)
		(void)json_object_set_new(cpus, "boot_vcpus", json_integer(1));
	if (json_object_get(cpus, "max_vcpus") == NULL)
		(void)json_object_set(cpus, "max_vcpus", json_object_get(cpus, "boot_vcpus"));
	if (json_object_get(memory, "size") == NULL)
		(void)json_object_set_new(memory, "size", json_integer(512 << 20));
	if (json_is_object(json_object_get(body, "rng")) &&
	    json_object_get(json_object_get(body, "rng"), "src") == NULL)
		import_text(json_object_get(body, "rng"), "src", "/dev/urandom");
}

/* Its zones say what memory is made of, and how much there is. */
static void leave_zones_alone(struct import *im, json_t *body)
{
	static const char *const of_all[] = { "shared", "hugepages", "hugepage_size",
					      "hotplug_size", "hotplugged_size" };
	json_t *memory = import_map(body, "memory");

	if (json_array_size(json_object_get(memory, "zones")) == 0)
		return;
	if (json_object_get(memory, "size") == NULL)
		(void)json_object_set_new(memory, "size", json_integer(0));
	for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++) {
		const json_t *v = json_object_get(memory, of_all[i]);
		char what[64];

		if (v == NULL || json_is_false(v) || json_is_null(v))
			continue;
		(void)snprintf(what, sizeof(what), "memory.%s", of_all[i]);
		import_lost(im, what, "it means nothing with zones, which say it themselves");
		(void)json_object_del(memory, of_all[i]);
	}
}

/* A program that is no kernel of Linux is given as one, too. */
static void tell_firmware(struct import *im, json_t *body)
{
	json_t *payload = json_object_get(body, "payload");
	const char *kernel = json_string_value(json_object_get(payload, "kernel"));

	if (kernel == NULL || !payload_is_firmware(kernel))
		return;
	import_note(im, "--kernel", "'%s' is firmware: the key is firmware.code", kernel);
	(void)json_object_set(payload, "firmware", json_object_get(payload, "kernel"));
	(void)json_object_del(payload, "kernel");
}

/* What another program drives is a device of that program's: without it, nothing is left. */
static void leave_vhost_user(struct import *im, json_t *body, const char *list)
{
	json_t *a = json_object_get(body, list);

	for (size_t i = json_array_size(a); i-- > 0;) {
		const json_t *o = json_array_get(a, i);
		const char *path = json_string_value(json_object_get(o, "vhost_socket"));
		char what[128];

		if (!json_is_true(json_object_get(o, "vhost_user")) && path == NULL)
			continue;
		(void)snprintf(what, sizeof(what), "%s[%zu] %.80s", list, i,
			       path != NULL ? path : "");
		import_lost(im, what, "Sill has no vhost-user devices yet");
		(void)json_array_remove(a, i);
	}
}

/* vmconfig_manifest() has the API's defaults; a manifest's are better where nothing was said. */
static void unsay_defaults(const json_t *body, json_t *m)
{
	const json_t *nets = json_object_get(body, "net"), *disks = json_object_get(body, "disks");

	for (size_t i = 0; i < json_array_size(json_object_get(m, "net")); i++) {
		json_t *net = json_array_get(json_object_get(m, "net"), i);
		json_t *fds = json_object_get(json_array_get(nets, i), "fds");

		if (import_is(json_string_value(json_object_get(net, "address")), "off"))
			(void)json_object_del(net, "address");
		if (json_array_size(fds) > 0) {
			(void)json_object_set(net, "fd", fds);
			(void)json_object_del(net, "tap");
			(void)json_object_del(net, "queues");
		}
	}
	for (size_t i = 0; i < json_array_size(json_object_get(m, "disk")); i++)
		if (json_object_get(json_array_get(disks, i), "queue_size") == NULL)
			(void)json_object_del(json_array_get(json_object_get(m, "disk"), i),
					      "queue_size");
}

/* Ids that it makes itself, "_disk0", are nobody's. */
static void leave_own_ids(json_t *body, const char *list)
{
	json_t *a = json_object_get(body, list);

	for (size_t i = 0; i < json_array_size(a); i++) {
		const char *id = json_string_value(json_object_get(json_array_get(a, i), "id"));

		if (id != NULL && id[0] == '_')
			(void)json_object_del(json_array_get(a, i), "id");
	}
}

int ch_body(struct import *im, json_t *body, json_t *m)
{
	struct vmconfig_lost lost = { .say = say, .arg = im };
	struct vmconfig_err e = { .lost = &lost };
	json_t *made;

	leave_zones_alone(im, body);
	state_defaults(body);
	tell_firmware(im, body);
	leave_vhost_user(im, body, "disks");
	leave_vhost_user(im, body, "net");
	leave_own_ids(body, "disks");
	leave_own_ids(body, "net");
	made = vmconfig_manifest(body, json_string_value(json_object_get(m, "name")), &e);
	if (made == NULL) {
		im->err = e.err;
		return -1;
	}
	unsay_defaults(body, made);
	if (im->guest != NULL)
		(void)json_object_del(made, "guest");
	(void)json_object_update(m, made);
	json_decref(made);
	return 0;
}

int import_ch_json(struct import *im, const char *text, size_t size)
{
	json_error_t why;
	json_t *body = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why), *inner, *m;
	int ret;

	if (body == NULL)
		return import_fail(im, "line %d: no JSON: %.150s", why.line, why.text);
	/* What vm.info answers has it inside. */
	inner = json_object_get(body, "config");
	inner = json_is_object(inner) ? inner : body;
	m = import_vm(im, NULL);
	ret = !json_is_object(inner) ? import_fail(im, "no VmConfig: it is not an object")
	      : m == NULL            ? -1
				     : ch_body(im, inner, m);
	json_decref(body);
	return ret;
}
