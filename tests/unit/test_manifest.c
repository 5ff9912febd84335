/* SPDX-License-Identifier: Apache-2.0 */
/* test_manifest.c - what the golden files in tests/manifest cannot show: structs, host facts, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/emit.h"
#include "runner/manifest/manifest.h"
#include "runner/manifest/scalar.h"

static const struct host_facts small_host = {
	.phys_bits = 39,
	.cpus = 4,
	.hugepage_default = 2 << 20,
	.hugepage_sizes = { 2 << 20 },
	.hugepage_count = 1,
};

#define HEAD "sill: 1\nname: vm\n"

static struct mfile *load(const char *text, const struct host_facts *host)
{
	struct mfile *f = mfile_load_text("/nowhere/vm.yaml", text, strlen(text), host);

	assert_non_null(f);
	return f;
}

/* The only mistake in @text must contain @part. */
static void expect(const char *text, const struct host_facts *host, const char *part)
{
	struct mfile *f = load(text, host);
	bool found = false;

	for (size_t i = 0; i < f->diags.count; i++)
		found |= strstr(f->diags.list[i].msg, part) != NULL;
	if (!found)
		fail_msg("'%s' is not said; %zu mistakes, first: %s", part, f->diags.total,
			 f->diags.list[0].msg);
	mfile_destroy(f);
}

static void manifest_decode__fills_every_struct(void **state)
{
	struct mfile *f = load(
		"sill: 1\nname: full\nguest: windows\n"
		"firmware: {code: /c.fd, vars: v.fd}\n"
		"cpus: {boot: 2, max: 8, kvm_hyperv: off, max_phys_bits: 0x28,\n"
		"  topology: {threads_per_core: 2, cores_per_die: 2, dies_per_package: 1, "
		"packages: 2},\n"
		"  affinity: [{vcpu: 1, host_cpus: [3, 2]}]}\n"
		"memory: {size: 4G, shared: on, hugepages: on, hugepage_size: 2MiB, prefault: on}\n"
		"disk:\n"
		"  - {path: a.img, format: raw, readonly: on, direct: on, serial: S, id: sys, "
		"slot: 7}\n"
		"  - {path: b.img, format: raw}\n"
		"serial: {mode: file, path: s.log}\nconsole: {mode: socket, path: /c.sock}\n"
		"rng: {src: off}\n"
		"platform: {uuid: 6F1C0C3E-7b0a-4a53-9d5e-0f3d0b9a2c11, serial_number: '010',\n"
		"  oem_strings: [one, \"t\\\"wo\"], rtc: utc}\n",
		NULL);
	const struct sill_config *m;

	(void)state;
	if (f->diags.total != 0)
		fail_msg("%s", f->diags.list[0].msg);
	m = f->docs[0].m;
	assert_int_equal(m->sill, 1);
	assert_string_equal(m->name, "full");
	assert_int_equal(m->guest, SILL_GUEST_WINDOWS);
	assert_string_equal(m->firmware.code, "/c.fd");
	assert_string_equal(m->firmware.vars, "/nowhere/v.fd");
	assert_null(m->kernel);
	assert_int_equal(m->cpus.boot, 2);
	assert_int_equal(m->cpus.max, 8);
	assert_false(m->cpus.kvm_hyperv);
	assert_int_equal(m->cpus.max_phys_bits, 40);
	assert_int_equal(m->cpus.topology.packages, 2);
	assert_int_equal(m->cpus.affinity_count, 1);
	assert_int_equal(m->cpus.affinity[0].vcpu, 1);
	assert_int_equal(m->cpus.affinity[0].host_cpus_count, 2);
	assert_int_equal(m->cpus.affinity[0].host_cpus[0], 3);
	assert_int_equal(m->memory.size, 4ull << 30);
	assert_true(m->memory.shared && m->memory.hugepages && m->memory.prefault);
	assert_false(m->memory.thp);
	assert_int_equal(m->memory.hugepage_size, 2 << 20);
	assert_int_equal(m->disk_count, 2);
	assert_true(m->disk[0].readonly && m->disk[0].direct);
	assert_string_equal(m->disk[0].serial, "S");
	assert_string_equal(m->disk[0].id, "sys");
	assert_int_equal(m->disk[0].slot, 7);
	assert_string_equal(m->disk[1].path, "/nowhere/b.img");
	assert_string_equal(m->disk[1].id, "disk1");
	assert_int_equal(strlen(m->disk[1].serial), 16);
	assert_int_equal(m->disk[1].slot, 0);
	assert_int_equal(m->serial.mode, SILL_CHAR_FILE);
	assert_string_equal(m->serial.path, "/nowhere/s.log");
	assert_int_equal(m->console.mode, SILL_CHAR_SOCKET);
	assert_string_equal(m->rng.src, "off");
	assert_string_equal(m->platform.serial_number, "010");
	assert_int_equal(m->platform.oem_strings_count, 2);
	assert_string_equal(m->platform.oem_strings[1], "t\"wo");
	assert_int_equal(m->platform.rtc, SILL_RTC_UTC);
	mfile_destroy(f);
}

static void manifest_defaults__are_the_documented_ones(void **state)
{
	struct mfile *f = load(HEAD "kernel: k\n", NULL);
	const struct sill_config *m = f->docs[0].m;

	(void)state;
	assert_non_null(m);
	assert_int_equal(m->guest, SILL_GUEST_OTHER);
	assert_int_equal(m->cpus.boot, 1);
	assert_int_equal(m->cpus.max, 1);
	assert_int_equal(m->cpus.topology.packages, 0);
	assert_false(m->cpus.kvm_hyperv);
	assert_int_equal(m->cpus.max_phys_bits, 0);
	assert_int_equal(m->memory.size, 512 << 20);
	assert_true(m->memory.thp);
	assert_false(m->memory.shared || m->memory.hugepages || m->memory.prefault);
	assert_int_equal(m->serial.mode, SILL_CHAR_TTY);
	assert_int_equal(m->console.mode, SILL_CHAR_OFF);
	assert_string_equal(m->rng.src, "/dev/urandom");
	assert_null(m->platform.uuid);
	assert_int_equal(m->platform.rtc, SILL_RTC_UTC);
	mfile_destroy(f);
}

static void manifest_defaults__windows_is_a_profile(void **state)
{
	struct mfile *f = load(HEAD "kernel: k\nguest: windows\n", NULL);

	(void)state;
	assert_true(f->docs[0].m->cpus.kvm_hyperv);
	assert_int_equal(f->docs[0].m->platform.rtc, SILL_RTC_LOCALTIME);
	assert_string_equal(f->docs[0].m->platform.vmgenid, "auto");
	assert_int_equal(f->docs[0].m->cpus.unknown_msrs, SILL_MSRS_IGNORE);
	assert_false(f->docs[0].m->cpus.nested);
	mfile_destroy(f);
	f = load(HEAD "kernel: k\n", NULL);
	assert_string_equal(f->docs[0].m->platform.vmgenid, "off");
	assert_int_equal(f->docs[0].m->cpus.unknown_msrs, SILL_MSRS_FAULT);
	assert_false(f->docs[0].m->cpus.nested);
	mfile_destroy(f);
}

static void manifest_defaults__enlightenments_are_those_of_the_list(void **state)
{
	struct mfile *f = load(HEAD "kernel: k\nguest: windows\n", NULL);
	const struct sill_hyperv_config *h = &f->docs[0].m->cpus.hyperv;

	(void)state;
#define SILL_HV(name, on, needs, doc) assert_int_equal(h->name, on);
#include "sill/hyperv.def"
#undef SILL_HV
	assert_int_equal(h->spin_retries, 4095);
	assert_false(h->enforce || h->kvm_leaves);
	mfile_destroy(f);
	f = load(HEAD "kernel: k\n", NULL);
	h = &f->docs[0].m->cpus.hyperv;
#define SILL_HV(name, on, needs, doc) assert_false(h->name);
#include "sill/hyperv.def"
#undef SILL_HV
	assert_int_equal(h->spin_retries, 0);
	mfile_destroy(f);
}

static void manifest_defaults__enlightenments_follow_what_they_need(void **state)
{
	struct mfile *f =
		load(HEAD "kernel: k\ncpus:\n  kvm_hyperv: on\n  nested: on\n"
			  "  unknown_msrs: ignore\n"
			  "  hyperv: {synic: off, spinlocks: off, reset: on, enforce: on}\n"
			  "  features: {add: [invtsc], remove: [rtm, hle]}\n",
		     NULL);
	const struct sill_cpus_config *c;

	(void)state;
	assert_int_equal(f->diags.total, 0);
	c = &f->docs[0].m->cpus;
	assert_false(c->hyperv.synic || c->hyperv.stimer || c->hyperv.stimer_direct);
	assert_true(c->hyperv.time && c->hyperv.reset && c->hyperv.enforce);
	assert_int_equal(c->hyperv.spin_retries, 0);
	assert_true(c->nested);
	assert_int_equal(c->unknown_msrs, SILL_MSRS_IGNORE);
	assert_int_equal(c->features.add_count, 1);
	assert_int_equal(c->features.remove_count, 2);
	assert_string_equal(c->features.remove[1], "hle");
	mfile_destroy(f);
	expect(HEAD "kernel: k\ncpus: {kvm_hyperv: on, hyperv: {synic: off, stimer_direct: on}}\n",
	       NULL, "needs stimer, which is off");
}

static void manifest_defaults__disk_serials_differ_by_vm_and_disk(void **state)
{
	struct mfile *f =
		load(HEAD "kernel: k\ndisk: [{path: a, format: raw}, {path: b, format: raw}]\n"
			  "---\nsill: 1\nname: vm2\nkernel: k\ndisk: [{path: c, format: raw}]\n",
		     NULL);

	(void)state;
	assert_int_equal(f->diags.total, 0);
	assert_string_not_equal(f->docs[0].m->disk[0].serial, f->docs[0].m->disk[1].serial);
	assert_string_not_equal(f->docs[0].m->disk[0].serial, f->docs[1].m->disk[0].serial);
	assert_non_null(mfile_find(f, "vm2"));
	assert_null(mfile_find(f, "vm3"));
	mfile_destroy(f);
}

static void manifest_rules__ask_the_host(void **state)
{
	(void)state;
	expect(HEAD "kernel: k\ncpus: {max_phys_bits: 40}\n", &small_host,
	       "40 bits, but this host's CPU has 39");
	expect(HEAD "kernel: k\nmemory: {size: 500G}\n", &small_host, "needs more than the 39");
	expect(HEAD "kernel: k\ncpus: {affinity: [{vcpu: 0, host_cpus: [4]}]}\n", &small_host,
	       "this host has no CPU 4");
	expect(HEAD "kernel: k\nmemory: {size: 1G, hugepages: on, hugepage_size: 1G}\n",
	       &small_host, "this host has no huge pages of '1G'");
	expect(HEAD "kernel: k\nmemory: {size: 65M, hugepages: on}\n", &small_host,
	       "not a multiple of 2M");
}

static void manifest_rules__refuse_what_the_host_has_not(void **state)
{
	struct host_facts poor = small_host;

	(void)state;
	poor.has_room = true;
	poor.room = (struct host_room){
		.all = 8ull << 30, .now = 1ull << 30, .hugepages = { 10 }, .hugepages_free = { 4 }
	};
	poor.nested = HOST_NO;
	poor.nested_why = "because";
	poor.nested_hint = "do this, or ";
	poor.hyperv = HOST_NO;
	poor.uring = HOST_NO;
	poor.max_cpus = 8;
	poor.has_features = true;
	poor.has_usable = true;
	poor.usable[0] = true;
	expect(HEAD "kernel: k\nmemory: {size: 9G}\n", &poor, "9G, but this host has 8192M");
	expect(HEAD "kernel: k\nmemory: {size: 2G, prefault: on}\n", &poor,
	       "only 1024M are available now");
	expect(HEAD "kernel: k\nmemory: {size: 32M, hugepages: on}\n", &poor,
	       "need 16 huge pages of 2M; 4 of 10 are free");
	expect(HEAD "kernel: k\nmemory: {size: 32M, hugepages: on, hugepage_size: 2M}\n", &poor,
	       "need 16 huge pages of 2M; 4 of 10 are free");
	expect(HEAD "kernel: k\nmemory: {zones: [{id: a, size: 6M, hugepages: on}, {id: b, size: "
		    "4M, hugepages: on}, {id: c, size: 32M}]}\n",
	       &poor, "10M of memory need 5 huge pages of 2M; 4 of 10 are free");
	expect(HEAD "kernel: k\nmemory: {zones: [{id: a, size: 5G}, {id: b, size: 4G}]}\n", &poor,
	       "9G, but this host has 8192M");
	expect(HEAD
	       "kernel: k\nmemory: {zones: [{id: a, size: 512M, prefault: on}, {id: b, size: 1G}, "
	       "{id: c, size: 1G, prefault: on}]}\n",
	       &poor, "1536M are to be there at the start");
	poor.has_nodes = poor.nodes[1] = true;
	expect(HEAD "kernel: k\nmemory: {zones: [{id: a, size: 32M, host_numa_node: [1, 0]}]}\n",
	       &poor, "no memory on a node 0");
	expect(HEAD "kernel: k\ncpus: {nested: on}\n", &poor, "virtualization: because");
	expect(HEAD "kernel: k\ncpus: {kvm_hyperv: on}\n", &poor, "no Hyper-V enlightenments");
	expect(HEAD "kernel: k\nguest: windows\n", &poor, "no Hyper-V enlightenments");
	expect(HEAD "kernel: k\ncpus: {features: {add: [invtsc]}}\n", &poor,
	       "cannot give a guest the CPU feature 'invtsc'");
	expect(HEAD "kernel: k\ncpus: {boot: 9}\n", &poor, "gives a VM at most 8");
	expect(HEAD "kernel: k\ncpus: {boot: 2, max: 9}\n", &poor, "gives a VM at most 8");
	expect(HEAD "kernel: k\ncpus: {affinity: [{vcpu: 0, host_cpus: [2, 3]}]}\n", &poor,
	       "none of these host CPUs can be used");
	expect(HEAD "kernel: k\ndisk: [{path: d, format: raw, affinity: [3]}]\n", &poor,
	       "none of these host CPUs can be used");
	expect(HEAD "kernel: k\ndisk: [{path: d, format: raw, io: uring}]\n", &poor,
	       "may not use io_uring");
	poor.port_min = 1024;
	expect(HEAD "kernel: k\nnet: [{tap: '', forward: ['1023:22']}]\n", &poor,
	       "may not listen on port 1023");
}

/* The one mistake of a manifest that asks for what the host has is the kernel that is not there. */
static void manifest_rules__are_silent_about_what_the_host_has(void **state)
{
	struct host_facts rich = small_host;
	struct mfile *f;

	(void)state;
	rich.has_room = true;
	rich.room = (struct host_room){
		.all = 8ull << 30, .now = 1ull << 30, .hugepages = { 16 }, .hugepages_free = { 16 }
	};
	rich.nested = rich.hyperv = rich.uring = HOST_YES;
	rich.max_cpus = 2;
	rich.has_features = rich.has_usable = true;
	memset(rich.features, true, sizeof(rich.features));
	rich.usable[3] = true;
	rich.port_min = 1024;
	f = load(HEAD "kernel: k\nmemory: {size: 32M, hugepages: on}\n"
		      "cpus: {boot: 2, nested: on, kvm_hyperv: on, features: {add: [invtsc]},\n"
		      "       affinity: [{vcpu: 0, host_cpus: [2, 3]}]}\n"
		      "net: [{tap: '', forward: ['1024:22']}]\n",
		 &rich);
	assert_int_equal(f->diags.total, 1);
	assert_string_equal(f->diags.list[0].path, "kernel");
	mfile_destroy(f);
	/* Nothing known: nothing said. */
	rich = small_host;
	f = load(HEAD "kernel: k\nmemory: {size: 64G}\ncpus: {nested: on, kvm_hyperv: on}\n",
		 &rich);
	assert_int_equal(f->diags.total, 1);
	mfile_destroy(f);
}

/* The engine is asked: on this processor, or without one on any that has so many bits. */
static void manifest_rules__the_largest_memory_is_exact(void **state)
{
	static const struct {
		unsigned bits, phys_bits, amd, fits; /* GiB; phys_bits 0: no host */
	} cases[] = {
		{ 36, 0, 0, 30 },   { 37, 0, 0, 94 },   { 39, 0, 0, 478 },  { 39, 46, 0, 446 },
		{ 39, 46, 1, 478 }, { 40, 46, 0, 990 }, { 40, 46, 1, 894 }, { 36, 46, 1, 30 },
	};
	char text[128], most[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host_facts host = small_host;
		const struct host_facts *h = cases[i].phys_bits != 0 ? &host : NULL;
		struct mfile *f;

		host.phys_bits = cases[i].phys_bits;
		host.amd = cases[i].amd != 0;
		(void)snprintf(text, sizeof(text),
			       HEAD "kernel: k\nmemory: {size: %uG}\ncpus: {max_phys_bits: %u}\n",
			       cases[i].fits, cases[i].bits);
		f = load(text, h);
		for (size_t d = 0; d < f->diags.total; d++)
			assert_string_not_equal(f->diags.list[d].path, "memory.size");
		mfile_destroy(f);
		(void)snprintf(text, sizeof(text),
			       HEAD "kernel: k\nmemory: {size: %uG}\ncpus: {max_phys_bits: %u}\n",
			       cases[i].fits + 1, cases[i].bits);
		(void)snprintf(most, sizeof(most), "(at most %uG)", cases[i].fits);
		expect(text, h, most);
	}
}

static char *shown(struct mfile *f, enum emit_style style)
{
	char *out = NULL;
	size_t size;
	FILE *s = open_memstream(&out, &size);

	assert_non_null(s);
	assert_int_equal(emit_yaml(s, &f->check, f->docs[0].root, style), 0);
	(void)fclose(s);
	return out;
}

static void manifest_emit__effective_is_its_own_effective(void **state)
{
	static const char text[] = HEAD "guest: windows\nkernel: 'k: #1'\ncmdline: \"- no\\\"\"\n"
					"disk: [{path: 'a b', format: raw, serial: '0123'}]\n"
					"platform: {oem_strings: ['yes', '~', 'ä', '', 'x: y']}\n";
	struct mfile *f = load("sill: 1\nname: x\nkernel: k\n", NULL);
	char *once, *twice;

	(void)state;
	mfile_destroy(f);
	f = mfile_load_text("/a/b.yaml", text, sizeof(text) - 1, NULL);
	assert_non_null(f);
	assert_int_equal(f->diags.total, 1); /* '' is not a string of SMBIOS */
	mfile_destroy(f);
	f = load(HEAD "guest: windows\nkernel: 'k: #1'\ncmdline: \"- no\\\"\"\n"
		      "disk: [{path: 'a b', format: raw, serial: '0123'}]\n"
		      "platform: {oem_strings: ['yes', '~', 'ä', 'x: y', '*a', '1.5', '0x1']}\n",
		 NULL);
	assert_int_equal(f->diags.total, 0);
	once = shown(f, EMIT_EFFECTIVE);
	mfile_destroy(f);
	f = load(once, NULL);
	if (f->diags.total != 0)
		fail_msg("%s\n%s", f->diags.list[0].msg, once);
	twice = shown(f, EMIT_EFFECTIVE);
	assert_string_equal(once, twice);
	assert_string_equal(f->docs[0].m->platform.oem_strings[1], "~");
	assert_string_equal(f->docs[0].m->cmdline, "- no\"");
	mfile_destroy(f);
	free(once);
	free(twice);
}

/* libyaml's emitter escapes what is above U+FFFF; a name in the text must not become one in the manifest. */
static void manifest_emit__shows_emoji_and_leaves_backslashes(void **state)
{
	static const char said[] = "😀\\U0001F600 \"q\" 𝒳ü\\";
	struct mfile *f = load(HEAD "kernel: k\nplatform: {oem_strings: "
				    "[\"😀\\\\U0001F600 \\\"q\\\" 𝒳ü\\\\\"]}\n",
			       NULL);
	char *text;

	(void)state;
	assert_int_equal(f->diags.total, 0);
	assert_string_equal(f->docs[0].m->platform.oem_strings[0], said);
	text = shown(f, EMIT_WRITTEN);
	mfile_destroy(f);
	assert_non_null(strstr(text, "[\"😀\\\\U0001F600 \\\"q\\\" 𝒳ü\\\\\"]"));
	f = load(text, NULL);
	assert_string_equal(f->docs[0].m->platform.oem_strings[0], said);
	mfile_destroy(f);
	free(text);
}

static void manifest_load__survives_every_failing_allocation(void **state)
{
	static const char text[] = HEAD "guest: windows\nkernel: k\n"
					"cpus: &c {boot: 2, max: 4, hyperv: {ipi: off}}\n"
					"disk: [{path: a, format: raw}, {path: b, format: raw}]\n"
					"platform: {oem_strings: [a, b]}\n---\nsill: 1\nname: w\n"
					"kernel: k\ncpus: &c {boot: 9, max: 4}\n";
	unsigned n = 0;
	size_t total;

	(void)state;
	do {
		struct mfile *f;

		mfile_fail_after(++n);
		f = mfile_load_text("m.yaml", text, sizeof(text) - 1, &small_host);
		assert_non_null(f);
		total = f->diags.total;
		if (f->arena.count < n)
			n = 0; /* all allocations have had their turn */
		else
			assert_true(total > 0);
		assert_null(f->docs[0].m);
		mfile_destroy(f);
	} while (n != 0);
	mfile_fail_after(0);
	assert_true(total > 0); /* the two rules that are broken, and files that are not there */
}

static void scalar_uint__means_what_it_looks_like(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(scalar_uint("0", &v), SCALAR_OK);
	assert_int_equal(scalar_uint("0x1F", &v), SCALAR_OK);
	assert_int_equal(v, 31);
	assert_int_equal(scalar_uint("18446744073709551615", &v), SCALAR_OK);
	assert_true(v == UINT64_MAX);
	assert_int_equal(scalar_uint("18446744073709551616", &v), SCALAR_BIG);
	assert_int_equal(scalar_uint("0x10000000000000000", &v), SCALAR_BIG);
	assert_int_equal(scalar_uint("010", &v), SCALAR_OCTAL);
	assert_int_equal(scalar_uint("00", &v), SCALAR_OCTAL);
	assert_int_equal(scalar_uint("", &v), SCALAR_NOT);
	assert_int_equal(scalar_uint("0x", &v), SCALAR_NOT);
	assert_int_equal(scalar_uint("0xg", &v), SCALAR_NOT);
	assert_int_equal(scalar_uint("+1", &v), SCALAR_NOT);
	assert_int_equal(scalar_uint(" 1", &v), SCALAR_NOT);
	assert_int_equal(scalar_uint("1e3", &v), SCALAR_NOT);
	assert_int_equal(scalar_uint("1_000", &v), SCALAR_NOT);
}

static void scalar_size__has_a_unit_of_1024s(void **state)
{
	char text[32];
	uint64_t v;

	(void)state;
	assert_int_equal(scalar_size("4G", &v), SCALAR_OK);
	assert_true(v == 4ull << 30);
	assert_int_equal(scalar_size("4GiB", &v), SCALAR_OK);
	assert_int_equal(scalar_size("0x10M", &v), SCALAR_OK);
	assert_true(v == 16 << 20);
	assert_int_equal(scalar_size("16777215T", &v), SCALAR_OK);
	assert_int_equal(scalar_size("16777216T", &v), SCALAR_BIG);
	assert_int_equal(scalar_size("4", &v), SCALAR_NO_UNIT);
	assert_int_equal(scalar_size("4GB", &v), SCALAR_UNIT);
	assert_int_equal(scalar_size("4g", &v), SCALAR_UNIT);
	assert_int_equal(scalar_size("4Gi", &v), SCALAR_UNIT);
	assert_int_equal(scalar_size("4GiBs", &v), SCALAR_UNIT);
	assert_int_equal(scalar_size("G", &v), SCALAR_NOT);
	assert_string_equal(scalar_size_text(text, sizeof(text), 1536ull << 20), "1536M");
	assert_string_equal(scalar_size_text(text, sizeof(text), 2048ull << 40), "2048T");
	assert_true(scalar_size_guess("1.5G", text, sizeof(text)));
	assert_string_equal(text, "1536M");
	assert_true(scalar_size_guess("4 gb", text, sizeof(text)));
	assert_string_equal(text, "4G");
	assert_false(scalar_size_guess("lots", text, sizeof(text)));
	assert_false(scalar_size_guess("4", text, sizeof(text)));
}

/* A pseudo-random line of values, of characters of one to four bytes and with breaks of all kinds. */
static size_t random_text(char *dst, size_t size, unsigned *seed)
{
	static const char *const parts[] = {
		"a",   "\xc3\xa4", "\xe6\x97\xa5", "\xf0\x9f\x98\x80", " ",     "\n ", "\r\n ",
		"\r ", ", \"b\"",  "'c'",          ", d: e",           "# f\n "
	};
	size_t used = 0;

	used += (size_t)snprintf(dst, size,
				 "sill: 1\nname: vm\nkernel: k\nplatform: {oem_strings: [");
	for (unsigned i = 0; i < 60; i++) {
		*seed = *seed * 1103515245 + 12345;
		used += (size_t)snprintf(dst + used, size - used, "%s", parts[(*seed >> 16) % 12]);
		if (i % 7 == 6)
			used += (size_t)snprintf(dst + used, size - used, ", MARK%02u: 1", i);
	}
	used += (size_t)snprintf(dst + used, size - used, "]}\n");
	return used;
}

/* Every place that is told is the one where the text is, whatever stands before it. */
static void manifest_places__are_where_the_text_is(void **state)
{
	unsigned seed = 7, seen = 0;
	char text[2048];

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		size_t size = random_text(text, sizeof(text), &seed);
		struct mfile *f = mfile_load_text("/nowhere/vm.yaml", text, size, NULL);

		assert_non_null(f);
		for (size_t i = 0; f->source.doc_count == 1 && i < f->diags.count; i++) {
			const struct diag *g = &f->diags.list[i];
			const char *p = text, *end = text + size;

			for (unsigned line = 1; line < g->at.line; line++) {
				p += strcspn(p, "\r\n");
				p += p[0] == '\r' && p[1] == '\n' ? 2 : 1;
			}
			assert_true(p < end);
			p += g->at.col - 1;
			if (strstr(g->msg, "a mapping where text") == NULL)
				continue;
			/* It begins with its first key. */
			assert_true(strncmp(p, "MARK", 4) == 0 || *p == 'd');
			seen++;
		}
		mfile_destroy(f);
	}
	assert_in_range(seen, 200, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_places__are_where_the_text_is),
		cmocka_unit_test(manifest_decode__fills_every_struct),
		cmocka_unit_test(manifest_defaults__are_the_documented_ones),
		cmocka_unit_test(manifest_defaults__windows_is_a_profile),
		cmocka_unit_test(manifest_defaults__enlightenments_are_those_of_the_list),
		cmocka_unit_test(manifest_defaults__enlightenments_follow_what_they_need),
		cmocka_unit_test(manifest_defaults__disk_serials_differ_by_vm_and_disk),
		cmocka_unit_test(manifest_rules__ask_the_host),
		cmocka_unit_test(manifest_rules__refuse_what_the_host_has_not),
		cmocka_unit_test(manifest_rules__are_silent_about_what_the_host_has),
		cmocka_unit_test(manifest_rules__the_largest_memory_is_exact),
		cmocka_unit_test(manifest_emit__effective_is_its_own_effective),
		cmocka_unit_test(manifest_emit__shows_emoji_and_leaves_backslashes),
		cmocka_unit_test(manifest_load__survives_every_failing_allocation),
		cmocka_unit_test(scalar_uint__means_what_it_looks_like),
		cmocka_unit_test(scalar_size__has_a_unit_of_1024s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
