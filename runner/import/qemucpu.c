/* SPDX-License-Identifier: Apache-2.0 */
/* qemucpu.c - QEMU's -cpu, -smp and -m. */
#include "runner/import/qemu.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/scalar.h"

/* ---- -cpu ---- */

static bool says_no(const char *value)
{
	return import_is(value, "off") || import_is(value, "no") || import_is(value, "false");
}

/* hv-@name, with '_' for '-'. */
static void take_hyperv(struct qemu *q, const char *name, const char *value)
{
	json_t *cpus = import_map(q->m, "cpus");
	char what[64];
	uint64_t n;

	(void)snprintf(what, sizeof(what), "-cpu hv-%.40s", name);
	if (!says_no(value))
		q->windows = true;
	if (import_is(name, "spinlocks") && value != NULL && scalar_uint(value, &n) == SCALAR_OK)
		(void)json_object_set_new(import_map(cpus, "hyperv"), "spin_retries",
					  json_integer((json_int_t)n));
	else if (import_is(name, "enforce_cpuid"))
		(void)json_object_set_new(import_map(cpus, "hyperv"), "enforce",
					  json_boolean(!says_no(value)));
	else if (!import_hyperv(q->m, name, !says_no(value)) && !says_no(value) &&
		 !qemu_one_of(" vpindex passthrough ", name))
		import_lost(q->im, what, "Sill has no such enlightenment");
}

static void take_feature(struct qemu *q, const char *name, bool on)
{
	char what[64];

	(void)snprintf(what, sizeof(what), "-cpu %s=%s", name, on ? "on" : "off");
	if (!import_feature(q->m, name, on))
		import_lost(q->im, what, "Sill knows no such feature of processors");
}

/* What is so anyway, or no guest can tell. */
static const char quiet_flags[] = " migratable check enforce host_cache_info l3_cache topoext pmu "
				  "kvm_pv_unhalt kvm_pv_eoi kvm_asyncpf kvmclock x2apic hypervisor "
				  "host_phys_bits full_cpuid_auto_level kvm_hint_dedicated ";

static void take_flag(struct qemu *q, char *text)
{
	const bool marked = text[0] == '+' || text[0] == '-', minus = text[0] == '-';
	char *name = text + marked, *eq = strchr(name, '=');
	const char *value = minus ? "off" : eq != NULL ? eq + 1 : NULL;
	uint64_t n;

	if (eq != NULL)
		*eq = '\0';
	for (char *p = name; *p != '\0'; p++)
		*p = *p == '-' || *p == '.' ? '_' : *p;
	if (strncmp(name, "hv_", 3) == 0) {
		take_hyperv(q, name + 3, value);
	} else if (qemu_one_of(" host_phys_bits_limit phys_bits ", name)) {
		if (value != NULL && scalar_uint(value, &n) == SCALAR_OK && n > 0)
			(void)json_object_set_new(import_map(q->m, "cpus"), "max_phys_bits",
						  json_integer((json_int_t)n));
	} else if (import_is(name, "kvm")) {
		if (says_no(value))
			import_lost(q->im, "-cpu kvm=off", "the guest can tell that it is one");
	} else if (!qemu_one_of(quiet_flags, name)) {
		take_feature(q, name, !says_no(value));
	}
}

void qemu_cpu(struct qemu *q, const char *text)
{
	char *copy = arena_copy(&q->im->a, text, strlen(text)), *at = copy, *piece;
	char what[64];
	bool first = true;

	while (at != NULL && (piece = strsep(&at, ",")) != NULL) {
		if (!first)
			take_flag(q, piece);
		else if (!qemu_one_of(" host max ", piece)) {
			(void)snprintf(what, sizeof(what), "-cpu %.50s", piece);
			import_lost(q->im, what,
				    "the guest has the host's processor; cpus.features "
				    "adds and removes features");
		}
		first = false;
	}
}

/* ---- -smp ---- */

static uint64_t number(const json_t *o, const char *key)
{
	const char *s = qemu_opt(o, key);
	uint64_t v;

	return s != NULL && scalar_uint(s, &v) == SCALAR_OK && v < 65536 ? v : 0;
}

/* Since QEMU 6.2 what is not said is made up by cores before sockets. */
static void set_topology(struct qemu *q, const json_t *o, uint64_t max)
{
	const uint64_t threads = number(o, "threads") > 0 ? number(o, "threads") : 1;
	const uint64_t dies = number(o, "dies") > 0 ? number(o, "dies") : 1;
	uint64_t cores = number(o, "cores"), sockets = number(o, "sockets");

	if (cores == 0 && sockets == 0)
		sockets = 1;
	if (cores == 0)
		cores = max / (sockets * dies * threads);
	if (sockets == 0)
		sockets = max / (cores * dies * threads);
	if (threads * dies * cores * sockets != max) {
		import_lost(q->im, "-smp", "its topology is not one of %llu processors",
			    (unsigned long long)max);
		return;
	}
	(void)json_object_set_new(import_map(q->m, "cpus"), "topology",
				  json_pack("{s:I,s:I,s:I,s:I}", "threads_per_core",
					    (json_int_t)threads, "cores_per_die", (json_int_t)cores,
					    "dies_per_package", (json_int_t)dies, "packages",
					    (json_int_t)sockets));
}

void qemu_smp(struct qemu *q, const char *text)
{
	static const char parts[] = " sockets dies cores threads ";
	json_t *o = qemu_opts(text, "cpus"), *cpus = import_map(q->m, "cpus");
	uint64_t boot = number(o, "cpus"), max = number(o, "maxcpus"), product = 1;
	bool arranged = false;
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
	{
		if (qemu_one_of(parts, key) && number(o, key) > 0) {
			arranged = true;
			product = product * number(o, key) % (1 << 20);
		}
	}
	if (max == 0)
		max = boot > 0 ? boot : product;
	if (boot == 0)
		boot = max;
	(void)json_object_set_new(cpus, "boot", json_integer((json_int_t)boot));
	(void)json_object_set_new(cpus, "max", json_integer((json_int_t)max));
	if (arranged && max > 0)
		set_topology(q, o, max);
	qemu_rest(q, o, " cpus maxcpus sockets dies cores threads ", "-smp");
	json_decref(o);
}

/* ---- -m ---- */

/* MiB without a unit. 0: it is none. */
static uint64_t size_of(const char *s)
{
	static const char units[] = "bkmgt";
	const char *unit;
	char *end;
	double v;

	if (s == NULL || !isdigit((unsigned char)s[0]))
		return 0;
	v = strtod(s, &end);
	unit = *end != '\0' ? strchr(units, tolower((unsigned char)*end)) : units + 2;
	if (unit == NULL || (*end != '\0' && end[1] != '\0') || v > 1e15)
		return 0;
	v *= (double)(1ull << 10 * (unit - units));
	return v >= 1 && v < 1e18 ? (uint64_t)v : 0;
}

void qemu_memory(struct qemu *q, const char *text)
{
	json_t *o = qemu_opts(text, "size"), *memory = import_map(q->m, "memory");
	const uint64_t size = size_of(qemu_opt(o, "size")), max = size_of(qemu_opt(o, "maxmem"));
	const uint64_t module = 128 << 20;

	if (size == 0)
		import_lost(q->im, "-m", "'%.40s' is no size", text);
	else
		import_size(memory, "size", size);
	if (max > size && size > 0 && (max - size) / module > 0)
		import_size(memory, "hotplug_size", (max - size) / module * module);
	qemu_rest(q, o, " size maxmem slots ", "-m");
	json_decref(o);
}
