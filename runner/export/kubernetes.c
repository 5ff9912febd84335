/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubernetes.c - a ConfigMap with the manifest, a Service, and a StatefulSet of one pod.
 *
 * Devices come from a device plugin; the names are those of KubeVirt's (devices.kubevirt.io/kvm, tun, vhost-net). What lies
 * beside the manifest lies in the pod's volume, at the same relative place.
 */
#include "runner/export/export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/text.h"
#include "runner/report/yaml.h"

#define PLUGIN "devices.kubevirt.io/"

struct pod {
	const struct export_vm *vm;
	const struct sill_config *v;
	struct export_needs n;
	char name[64]; /* as Kubernetes has it (RFC 1123): small letters, digits, '-' */
};

static json_t *metadata(const struct pod *p)
{
	return json_pack("{s:s,s:{s:s,s:s}}", "name", p->name, "labels", "app.kubernetes.io/name",
			 "sill", "app.kubernetes.io/instance", p->name);
}

static json_t *selector(const struct pod *p)
{
	return json_pack("{s:s,s:s}", "app.kubernetes.io/name", "sill",
			 "app.kubernetes.io/instance", p->name);
}

/* ---- the container ---- */

/* @bytes in Mi, to be put into @o; rounded up. */
static void set_mib(json_t *o, const char *key, uint64_t bytes)
{
	(void)json_object_set_new(o, key,
				  json_sprintf("%" PRIu64 "Mi", (bytes + (1 << 20) - 1) >> 20));
}

/* So many bytes more of the node's huge pages of @page bytes, 0: 2 MiB. Returns @bytes. */
static uint64_t add_huge(json_t *o, uint64_t page, uint64_t bytes)
{
	char key[48];
	const char *was;

	page = page > 0 ? page : 2 << 20;
	if (page >= 1 << 30)
		(void)snprintf(key, sizeof(key), "hugepages-%" PRIu64 "Gi", page >> 30);
	else if (page >= 1 << 20)
		(void)snprintf(key, sizeof(key), "hugepages-%" PRIu64 "Mi", page >> 20);
	else
		(void)snprintf(key, sizeof(key), "hugepages-%" PRIu64 "Ki", page >> 10);
	was = json_string_value(json_object_get(o, key));
	set_mib(o, key, bytes + ((was != NULL ? strtoull(was, NULL, 10) : 0) << 20));
	return bytes;
}

static json_t *resources(const struct pod *p)
{
	const struct sill_memory_config *m = &p->v->memory;
	uint64_t plain = p->n.memory;
	json_t *o = json_object(), *requests;

	if (m->hugepages)
		plain -= add_huge(o, m->hugepage_size, m->size + m->hotplug_size);
	for (unsigned i = 0; i < m->zones_count; i++)
		if (m->zones[i].hugepages)
			plain -= add_huge(o, m->zones[i].hugepage_size,
					  m->zones[i].size + m->zones[i].hotplug_size);
	set_mib(o, "memory", plain);
	(void)json_object_set_new(o, PLUGIN "kvm", json_string("1"));
	if (p->n.tun)
		(void)json_object_set_new(o, PLUGIN "tun", json_string("1"));
	if (p->n.vhost)
		(void)json_object_set_new(o, PLUGIN "vhost-net", json_string("1"));
	requests = json_copy(o);
	(void)json_object_set_new(requests, "cpu", json_sprintf("%u", p->n.cpus));
	return json_pack("{s:o,s:o}", "requests", requests, "limits", o);
}

/* The port behind an address that stands for all: "0.0.0.0:3389:3389", "[::]:3389:3389". 0: another one. */
static unsigned open_port(const char *text)
{
	static const char *const all[] = { "0.0.0.0:", "[::]:" };
	unsigned port = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strncmp(text, all[i], strlen(all[i])) == 0 &&
		    sscanf(text + strlen(all[i]), "%5u", &port) == 1)
			return port % 65536;
	return 0;
}

/* What only this pod reaches is no port of it. */
static json_t *ports(const struct pod *p)
{
	json_t *a = json_array(), *seen = json_object();
	char key[16];

	for (unsigned i = 0; i < p->v->net_count; i++)
		for (unsigned j = 0; j < p->v->net[i].forward_count; j++) {
			const char *text = p->v->net[i].forward[j];
			const unsigned port = open_port(text);

			if (port == 0) {
				text_say(p->vm->notes,
					 "%s: '%s' leads to the guest only within the pod",
					 p->v->name, text);
				continue;
			}
			/* Two cards cannot have one port anyway. */
			(void)snprintf(key, sizeof(key), "tcp-%u", port);
			if (json_object_get(seen, key) != NULL)
				continue;
			(void)json_object_set_new(seen, key, json_true());
			(void)json_array_append_new(a, json_pack("{s:o,s:i,s:s}", "name",
								 json_string(key), "containerPort",
								 (int)port, "protocol", "TCP"));
		}
	json_decref(seen);
	return a;
}

static json_t *mounts(const struct pod *p)
{
	json_t *a = json_array();

	if (p->n.beside)
		(void)json_array_append_new(
			a, json_pack("{s:s,s:s}", "name", "disks", "mountPath", "/vm"));
	(void)json_array_append_new(a, json_pack("{s:s,s:s,s:s,s:b}", "name", "manifest",
						 "mountPath", "/vm/vm.yaml", "subPath", "vm.yaml",
						 "readOnly", true));
	for (unsigned i = 0; i < p->n.dirs; i++)
		(void)json_array_append_new(a, json_pack("{s:o,s:s}", "name",
							 json_sprintf("host-%u", i), "mountPath",
							 p->n.dir[i]));
	return a;
}

static json_t *volumes(const struct pod *p)
{
	json_t *a = json_pack("[{s:s,s:{s:s}}]", "name", "manifest", "configMap", "name", p->name);

	for (unsigned i = 0; i < p->n.dirs; i++)
		(void)json_array_append_new(a, json_pack("{s:o,s:{s:s,s:s}}", "name",
							 json_sprintf("host-%u", i), "hostPath",
							 "path", p->n.dir[i], "type", "Directory"));
	return a;
}

/*
 * No startupProbe, which ends a pod that takes too long: a guest that installs its updates is not to be killed. Three
 * in a row are what takes one that was ready out of the Service.
 */
static json_t *probe(const struct pod *p)
{
	return json_pack("{s:{s:[s,s,s,s]},s:i,s:i,s:i}", "exec", "command", "/usr/bin/sill",
			 "status", "--ready", p->v->name, "periodSeconds", 5, "timeoutSeconds", 15,
			 "failureThreshold", 3);
}

/* dnsmasq binds its port and becomes somebody else, whom the VM ends. */
static json_t *rights(const struct pod *p)
{
	static const char *const dnsmasq[] = { "NET_BIND_SERVICE", "SETUID", "SETGID", "KILL" };
	json_t *a = json_array();

	if (p->n.net_admin)
		(void)json_array_append_new(a, json_string("NET_ADMIN"));
	for (unsigned i = 0; p->n.dnsmasq && i < sizeof(dnsmasq) / sizeof(dnsmasq[0]); i++)
		(void)json_array_append_new(a, json_string(dnsmasq[i]));
	return a;
}

static json_t *container(const struct pod *p)
{
	json_t *add = rights(p);
	json_t *c = json_pack("{s:s,s:s,s:[s,s,s,s,s],s:o,s:o}", "name", "sill", "image",
			      p->vm->image, "command", "/usr/bin/sill", "run", "--name", p->v->name,
			      "/vm/vm.yaml", "resources", resources(p), "volumeMounts", mounts(p));
	json_t *open = ports(p);

	if (json_array_size(open) > 0)
		(void)json_object_set(c, "ports", open);
	json_decref(open);
	if (p->n.tty) {
		(void)json_object_set_new(c, "stdin", json_true());
		(void)json_object_set_new(c, "tty", json_true());
	}
	if (p->v->ready_count > 0)
		(void)json_object_set_new(c, "readinessProbe", probe(p));
	(void)json_object_set_new(c, "lifecycle",
				  json_pack("{s:{s:{s:[s,s,s]}}}", "preStop", "exec", "command",
					    "/usr/bin/sill", "down", p->v->name));
	(void)json_object_set_new(c, "securityContext",
				  json_pack("{s:b,s:{s:[s],s:o}}", "allowPrivilegeEscalation",
					    false, "capabilities", "drop", "ALL", "add", add));
	return c;
}

/* ---- the three ---- */

static json_t *config_map(const struct pod *p, const char *manifest)
{
	return json_pack("{s:s,s:s,s:o,s:{s:s}}", "apiVersion", "v1", "kind", "ConfigMap",
			 "metadata", metadata(p), "data", "vm.yaml", manifest);
}

/* A StatefulSet wants one that gives its pod a name. */
static json_t *service(const struct pod *p, const json_t *open)
{
	json_t *spec = json_pack("{s:s,s:o}", "clusterIP", "None", "selector", selector(p)), *list;

	if (json_array_size(open) > 0) {
		list = json_array();
		for (size_t i = 0; i < json_array_size(open); i++) {
			const json_t *port = json_array_get(open, i);

			(void)json_array_append_new(
				list,
				json_pack("{s:O,s:O,s:s}", "name", json_object_get(port, "name"),
					  "port", json_object_get(port, "containerPort"),
					  "protocol", "TCP"));
		}
		(void)json_object_set_new(spec, "ports", list);
	}
	return json_pack("{s:s,s:s,s:o,s:o}", "apiVersion", "v1", "kind", "Service", "metadata",
			 metadata(p), "spec", spec);
}

/* As large as nobody knows: a manifest does not say how large its disks are. */
static json_t *claims(void)
{
	return json_pack("[{s:{s:s},s:{s:[s],s:{s:{s:s}}}}]", "metadata", "name", "disks", "spec",
			 "accessModes", "ReadWriteOnce", "resources", "requests", "storage",
			 "64Gi");
}

static json_t *stateful_set(const struct pod *p, json_t *take_container)
{
	json_t *pod = json_pack("{s:i,s:[o],s:o}", "terminationGracePeriodSeconds", 150,
				"containers", take_container, "volumes", volumes(p));
	json_t *spec = json_pack("{s:s,s:i,s:{s:o},s:{s:{s:o},s:o}}", "serviceName", p->name,
				 "replicas", 1, "selector", "matchLabels", selector(p), "template",
				 "metadata", "labels", selector(p), "spec", pod);

	if (p->n.beside)
		(void)json_object_set_new(spec, "volumeClaimTemplates", claims());
	return json_pack("{s:s,s:s,s:o,s:o}", "apiVersion", "apps/v1", "kind", "StatefulSet",
			 "metadata", metadata(p), "spec", spec);
}

static void tell(const struct pod *p)
{
	for (unsigned i = 0; i < p->n.devices; i++)
		text_say(p->vm->notes,
			 "%s: '%s' is a device: give the pod a claim with volumeMode Block",
			 p->v->name, p->n.device[i]);
	for (unsigned i = 0; i < p->n.dirs; i++)
		text_say(p->vm->notes, "%s: '%s' is a directory of the node", p->v->name,
			 p->n.dir[i]);
	if (p->n.beside)
		text_say(p->vm->notes,
			 "%s: its disks belong into the claim 'disks-%s-0'; 64Gi is a guess",
			 p->v->name, p->name);
}

char *export_kubernetes(const struct export_vm *vm)
{
	struct pod p = { .vm = vm, .v = vm->mf->docs[vm->doc].m };
	char *text = NULL, *manifest;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	json_t *parts[3], *c;
	int ret = f != NULL ? 0 : -1;

	export_needs_get(&p.n, vm, true);
	export_label(p.name, p.v->name);
	manifest = export_manifest(vm);
	tell(&p);
	c = container(&p);
	parts[0] = manifest != NULL ? config_map(&p, manifest) : NULL;
	parts[1] = service(&p, json_object_get(c, "ports"));
	parts[2] = stateful_set(&p, c);
	for (size_t i = 0; i < 3; i++) {
		if (ret == 0)
			ret = parts[i] != NULL && fprintf(f, "%s", i > 0 ? "---\n" : "") >= 0
				      ? yaml_print(f, parts[i])
				      : -1;
		json_decref(parts[i]);
	}
	free(manifest);
	if (f != NULL && fclose(f) != 0)
		ret = -1;
	if (ret == 0)
		return text;
	free(text);
	return NULL;
}
