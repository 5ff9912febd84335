/* SPDX-License-Identifier: Apache-2.0 */
/* test_vmconfig.c - Cloud Hypervisor's configuration as a manifest, and back. Words are in tests/api. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/api/vmconfig.h"
#include "runner/api/vmfields.h"
#include "runner/manifest/manifest.h"
#include "schema/key.h"

static json_t *read_json(const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	return o;
}

static void expect_manifest(const char *body, const char *want)
{
	struct vmconfig_err e = { 0 };
	json_t *b = read_json(body), *w = read_json(want);
	json_t *m = vmconfig_manifest(b, "t", &e);
	char *text = m != NULL ? json_dumps(m, JSON_SORT_KEYS) : NULL;

	if (m == NULL)
		fail_msg("%s", e.err.msg);
	if (!json_equal(m, w))
		fail_msg("%s", text);
	free(text);
	json_decref(m);
	json_decref(b);
	json_decref(w);
}

#define REST                                                                            \
	"\"sill\": 1, \"name\": \"t\", \"serial\": {\"mode\": \"null\"}, \"console\": " \
	"{\"mode\": \"tty\"}, \"rng\": {\"src\": \"/dev/urandom\"}"

static void a_body__becomes_a_manifest(void **state)
{
	(void)state;
	expect_manifest("{\"payload\": {\"kernel\": \"/k\", \"cmdline\": \"a=b\"}}",
			"{\"kernel\": \"/k\", \"cmdline\": \"a=b\", \"guest\": \"other\", " REST
			"}");
	expect_manifest("{\"payload\": {\"firmware\": \"/f\", \"cmdline\": \"x\"}, \"cpus\": "
			"{\"boot_vcpus\": 2, \"max_vcpus\": 4, \"kvm_hyperv\": true}}",
			"{\"firmware\": {\"code\": \"/f\"}, \"guest\": \"windows\", \"cpus\": "
			"{\"boot\": 2, \"max\": 4, \"kvm_hyperv\": true}, " REST "}");
	expect_manifest("{\"payload\": {\"kernel\": \"/k\"}, \"net\": [{}, {\"ip\": \"10.0.0.1\", "
			"\"mask\": \"255.255.0.0\", \"num_queues\": 4, \"fds\": [3]}]}",
			"{\"kernel\": \"/k\", \"guest\": \"other\", \"net\": [{\"tap\": \"\", "
			"\"address\": \"off\"}, {\"tap\": \"\", \"address\": \"10.0.0.1/16\", "
			"\"queues\": 2}], " REST "}");
	expect_manifest(
		"{\"payload\": {\"kernel\": \"/k\"}, \"disks\": [{\"path\": \"/d\", "
		"\"backing_files\": true, \"sparse\": false, \"image_type\": \"FixedVhd\", "
		"\"pci_device_id\": 5, \"rate_limiter_config\": {\"bandwidth\": {\"size\": "
		"1000, \"refill_time\": 10}, \"ops\": {\"size\": 0, \"refill_time\": 5}}}]}",
		"{\"kernel\": \"/k\", \"guest\": \"other\", \"disk\": [{\"path\": \"/d\", "
		"\"backing\": [{\"path\": \"auto\"}], \"discard\": \"ignore\", \"format\": "
		"\"vhd\", \"slot\": 5, \"queue_size\": 128, \"rate_limit\": {\"bandwidth\": "
		"\"98K\", \"bandwidth_burst\": \"1K\"}}], " REST "}");
}

static void a_limit_of_a_card__is_for_both_directions(void **state)
{
	(void)state;
	expect_manifest("{\"payload\": {\"kernel\": \"/k\"}, \"net\": [{\"rate_limiter_config\": "
			"{\"ops\": {\"size\": 10, \"refill_time\": 100}}}]}",
			"{\"kernel\": \"/k\", \"guest\": \"other\", \"net\": [{\"tap\": \"\", "
			"\"address\": \"off\", \"rx_limit\": {\"ops\": 100, \"ops_burst\": 10}, "
			"\"tx_limit\": {\"ops\": 100, \"ops_burst\": 10}}], " REST "}");
}

static void note_loss(void *arg, const char *path, const char *why)
{
	(void)fprintf(arg, "%s: %s\n", path, why);
}

/* Who wants to know what cannot be had gets the rest. */
static void what_is_lost__is_told_with_its_place(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	struct vmconfig_lost lost = { .say = note_loss, .arg = f };
	struct vmconfig_err e = { .lost = &lost };
	json_t *body =
		read_json("{\"payload\": {\"kernel\": \"k\", \"igvm\": \"x\"}, \"what\": 1, "
			  "\"disks\": [{\"path\": \"a\"}, {\"path\": \"b\", \"iommu\": true, "
			  "\"readonly\": 1}], \"cpus\": {\"boot_vcpus\": 1, \"max_vcpus\": 1, "
			  "\"core_scheduling\": \"Off\"}}");
	json_t *m = vmconfig_manifest(body, "t", &e);

	(void)state;
	assert_non_null(m);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, "payload.igvm: Sill has no IGVM payloads yet\n"
				  "what: there is no such field\n"
				  "disks[1].iommu: Sill has no IOMMU yet\n"
				  "disks[1].readonly: must be true or false\n"
				  "cpus.core_scheduling: it makes no difference to Sill\n");
	assert_int_equal(json_array_size(json_object_get(m, "disk")), 2);
	assert_string_equal(lost.path, "");
	assert_false(e.lacks);
	free(text);
	json_decref(m);
	json_decref(body);
}

static void memory_zones__are_what_the_memory_is(void **state)
{
	static const char text[] =
		"sill: 1\nname: a\nkernel: /k\nmemory: {zones: [{id: low, size: 2M, shared: on}, "
		"{id: rest, size: 1G, host_numa_node: 3}]}\n";
	struct mfile *mf = mfile_load_text("/t.yaml", text, sizeof(text) - 1, NULL);
	json_t *o, *memory, *zone;

	(void)state;
	expect_manifest(
		"{\"payload\": {\"kernel\": \"/k\"}, \"memory\": {\"size\": 0, \"zones\": "
		"[{\"id\": "
		"\"a\", \"size\": 1073741824, \"hugepages\": true, \"hugepage_size\": 2097152, "
		"\"host_numa_node\": 1, \"prefault\": true, \"mergeable\": true, \"reserve\": "
		"true, \"hotplug_size\": 1073741824, \"hotplugged_size\": 536870912, \"file\": "
		"null}]}}",
		"{\"kernel\": \"/k\", \"guest\": \"other\", \"memory\": {\"zones\": [{\"id\": "
		"\"a\", "
		"\"size\": \"1G\", \"hugepages\": true, \"hugepage_size\": \"2M\", "
		"\"host_numa_node\": [1], \"prefault\": true, \"mergeable\": true, \"reserve\": "
		"true, \"hotplug_size\": \"1G\", \"hotplugged_size\": \"512M\"}]}, " REST "}");
	assert_non_null(mf);
	assert_int_equal(mf->diags.total, 0);
	assert_int_equal(mf->docs[0].m->memory.size, (1ull << 30) + (2 << 20));
	o = vmconfig_of(mf->docs[0].m, NULL);
	memory = json_object_get(o, "memory");
	assert_int_equal(json_integer_value(json_object_get(memory, "size")), 0);
	assert_int_equal(json_array_size(json_object_get(memory, "zones")), 2);
	zone = json_array_get(json_object_get(memory, "zones"), 0);
	assert_string_equal(json_string_value(json_object_get(zone, "id")), "low");
	assert_int_equal(json_integer_value(json_object_get(zone, "size")), 2 << 20);
	assert_true(json_is_true(json_object_get(zone, "shared")));
	assert_null(json_object_get(zone, "host_numa_node"));
	zone = json_array_get(json_object_get(memory, "zones"), 1);
	assert_int_equal(json_integer_value(json_object_get(zone, "host_numa_node")), 3);
	json_decref(o);
	mfile_destroy(mf);
}

/* What clients say that write all there is to be said, with its default. */
static void defaults_of_memory__mean_what_is_there_without_them(void **state)
{
	(void)state;
	expect_manifest(
		"{\"payload\": {\"kernel\": \"/k\"}, \"memory\": {\"size\": 1073741824, "
		"\"mergeable\": false, \"hotplug_method\": \"VirtioMem\", \"shared\": false, "
		"\"hugepages\": true, \"prefault\": false, \"reserve\": false, \"thp\": true, "
		"\"hotplug_size\": 0, \"hotplugged_size\": 0}}",
		"{\"kernel\": \"/k\", \"guest\": \"other\", \"memory\": {\"size\": \"1G\", "
		"\"mergeable\": false, \"shared\": false, \"hugepages\": true, \"prefault\": "
		"false, \"reserve\": false}, " REST "}");
	expect_manifest(
		"{\"payload\": {\"kernel\": \"/k\"}, \"memory\": {\"size\": 1073741824, \"thp\": "
		"false, \"hotplug_method\": \"VirtioMem\", \"hotplug_size\": 536870912, "
		"\"hotplugged_size\": 134217728}}",
		"{\"kernel\": \"/k\", \"guest\": \"other\", \"memory\": {\"size\": \"1G\", "
		"\"thp\": "
		"false, \"hotplug_method\": \"virtio-mem\", \"hotplug_size\": \"512M\", "
		"\"hotplugged_size\": \"128M\"}, " REST "}");
	expect_manifest(
		"{\"payload\": {\"kernel\": \"/k\"}, \"memory\": {\"size\": 0, \"zones\": "
		"[{\"id\": \"a\", \"size\": 1073741824, \"hotplug_size\": 0, "
		"\"hotplugged_size\": 0}]}}",
		"{\"kernel\": \"/k\", \"guest\": \"other\", \"memory\": {\"zones\": [{\"id\": "
		"\"a\", \"size\": \"1G\"}]}, " REST "}");
}

static void what_asks_for_nothing__is_taken(void **state)
{
	(void)state;
	expect_manifest("{\"payload\": {\"kernel\": \"/k\", \"igvm\": null}, \"balloon\": null, "
			"\"fs\": [], \"iommu\": false, \"cpus\": null, \"pmem\": null, \"vsock\": "
			"null, \"platform\": null, \"landlock_rules\": null}",
			"{\"kernel\": \"/k\", \"guest\": \"other\", " REST "}");
}

static void expect_refusal(const char *body, bool lacks, const char *word)
{
	struct vmconfig_err e = { 0 };
	json_t *b = read_json(body);

	assert_null(vmconfig_manifest(b, "t", &e));
	assert_int_equal(e.lacks, lacks);
	if (strstr(e.err.msg, word) == NULL)
		fail_msg("no '%s' in '%s'", word, e.err.msg);
	json_decref(b);
}

#define K "\"payload\": {\"kernel\": \"/k\"}"

static void what_cannot_be__is_said_with_its_place(void **state)
{
	(void)state;
	expect_refusal("{}", false, "missing field 'payload'");
	expect_refusal("{\"payload\": null}", false, "missing field 'payload'");
	expect_refusal("{" K ", \"disks\": [{}, {\"readonly\": 1}]}", false,
		       "disks[1]: readonly: must be true or false");
	expect_refusal("{" K ", \"memory\": {\"size\": 1, \"zones\": [{}]}}", false,
		       "memory: zones[0]: missing field 'id'");
	expect_refusal("{" K ", \"memory\": {\"size\": 0, \"zones\": [{\"id\": \"a\", \"size\": "
		       "4096, \"file\": 1}]}}",
		       false, "memory: zones[0]: file: must be a string");
	expect_refusal("{" K ", \"memory\": {\"size\": 0, \"zones\": [{\"id\": \"a\", \"size\": "
		       "4096, \"host_numa_node\": -1}]}}",
		       false, "host_numa_node: must be a number from 0");
	expect_refusal("{" K ", \"net\": [{\"ip\": \"fd00::1\", \"mask\": \"ffff::\"}]}", true,
		       "IPv6");
	expect_refusal("{" K ", \"platform\": {\"oem_strings\": [1]}}", false,
		       "oem_strings: must be a list of strings");
	expect_refusal("{" K ", \"\\u001b[31m\": 1}", false, "there is no field '");
}

/* Every row leads to a key that there is, in either direction. */
static void check_rows(const struct field *fields, const struct section *s)
{
	for (const struct field *f = fields; f->name != NULL; f++) {
		const struct key *row = f->key != NULL ? section_find(s, f->key) : NULL;
		json_t *def = f->value != NULL ? json_loads(f->value, JSON_DECODE_ANY, NULL) : NULL;

		if (f->value != NULL && def == NULL)
			fail_msg("%s: '%s' is no JSON", f->name, f->value);
		json_decref(def);
		if (f->key != NULL && row == NULL)
			fail_msg("%s: no key '%s' in '%s'", f->name, f->key, s->name);
		if (f->fields != NULL)
			check_rows(f->fields, row->section);
		if (f->kind == FIELD_ABSENT)
			assert_non_null(f->what);
	}
}

static void the_table__leads_to_keys(void **state)
{
	(void)state;
	check_rows(vm_fields, &root_section);
	check_rows(disk_fields, &disk_section);
	check_rows(net_fields, &net_section);
}

/* A manifest as people write it, as their configuration. */
static void a_value__is_told_in_their_words(void **state)
{
	static const char text[] =
		"sill: 1\nname: a\nkernel: /k\ncpus: {boot: 2}\nmemory: {size: 1G}\n"
		"disk: [{path: /d, format: qcow2, rate_limit: {ops: 100}}]\n"
		"net: [{tap: '', address: 10.1.2.3/20, queues: 2}]\nserial: {mode: pty}\n";
	const struct vmconfig_ends ends = { .pty = { [SILL_PORT_SERIAL] = "/dev/pts/9" } };
	struct mfile *mf = mfile_load_text("/t.yaml", text, sizeof(text) - 1, NULL);
	json_t *o, *net, *ops, *serial;

	(void)state;
	assert_non_null(mf);
	assert_int_equal(mf->diags.total, 0);
	o = vmconfig_of(mf->docs[0].m, &ends);
	assert_non_null(o);
	serial = json_object_get(o, "serial");
	assert_string_equal(json_string_value(json_object_get(serial, "mode")), "Pty");
	assert_string_equal(json_string_value(json_object_get(serial, "file")), "/dev/pts/9");
	net = json_array_get(json_object_get(o, "net"), 0);
	assert_string_equal(json_string_value(json_object_get(net, "ip")), "10.1.2.3");
	assert_string_equal(json_string_value(json_object_get(net, "mask")), "255.255.240.0");
	assert_int_equal(json_integer_value(json_object_get(net, "num_queues")), 4);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "memory"), "size")),
			 1 << 30);
	ops = json_object_get(json_object_get(json_array_get(json_object_get(o, "disks"), 0),
					      "rate_limiter_config"),
			      "ops");
	assert_int_equal(json_integer_value(json_object_get(ops, "size")), 10);
	assert_int_equal(json_integer_value(json_object_get(ops, "refill_time")), 100);
	json_decref(o);
	mfile_destroy(mf);
}

static json_int_t iobase_of(const char *more)
{
	char text[128];
	const int n = snprintf(text, sizeof(text), "sill: 1\nname: a\nkernel: /k\n%s", more);
	struct mfile *mf = mfile_load_text("/t.yaml", text, (size_t)n, NULL);
	json_t *o;
	json_int_t port;

	assert_non_null(mf);
	assert_int_equal(mf->diags.total, 0);
	o = vmconfig_of(mf->docs[0].m, NULL);
	port = json_integer_value(json_object_get(json_object_get(o, "debug_console"), "iobase"));
	json_decref(o);
	mfile_destroy(mf);
	return port;
}

/* Theirs has the port whether or not one is spoken of, and as a number. */
static void the_port_of_the_debug_console__is_always_told(void **state)
{
	(void)state;
	assert_int_equal(iobase_of(""), 0xe9);
	assert_int_equal(iobase_of("debug_console: off\n"), 0xe9);
	assert_int_equal(iobase_of("debug_console: {mode: 'null'}\n"), 0xe9);
	assert_int_equal(iobase_of("debug_console: {mode: 'null', port: 0x502}\n"), 0x502);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body__becomes_a_manifest),
		cmocka_unit_test(a_limit_of_a_card__is_for_both_directions),
		cmocka_unit_test(what_is_lost__is_told_with_its_place),
		cmocka_unit_test(memory_zones__are_what_the_memory_is),
		cmocka_unit_test(defaults_of_memory__mean_what_is_there_without_them),
		cmocka_unit_test(what_asks_for_nothing__is_taken),
		cmocka_unit_test(what_cannot_be__is_said_with_its_place),
		cmocka_unit_test(the_table__leads_to_keys),
		cmocka_unit_test(a_value__is_told_in_their_words),
		cmocka_unit_test(the_port_of_the_debug_console__is_always_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
