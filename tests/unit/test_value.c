/* SPDX-License-Identifier: Apache-2.0 */
/* test_value.c - the value that a VM is: as text, copied, compared, by the rows. */
#include "kit.h"

#include <string.h>

#include "randvalue.h"
#include "runner/manifest/emit.h"
#include "runner/manifest/manifest.h"
#include "schema/diff.h"
#include "schema/store.h"
#include "sill/config.h"

enum { TURNS = 3000 };

/* Nothing differs, or the test ends with what does. */
static void assert_same(const struct sill_config *a, const struct sill_config *b, const char *text)
{
	struct diffs d = { 0 };
	struct sill_err e = { 0 };

	assert_int_equal(diff_make(a, b, &d, &e), 0);
	if (d.count > 0)
		fail_msg("%s: '%s', '%s'\n%s", d.list[0].path,
			 d.list[0].before != NULL ? d.list[0].before : "none",
			 d.list[0].after != NULL ? d.list[0].after : "none", text);
	diff_free(&d);
}

static void store__value_text_value_is_the_same(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TURNS; i++) {
		struct sill_config c = { 0 }, again;
		struct sill_err e = { 0 };
		char *text, *twice, shown[2000];
		size_t size, size2;

		rand_map(&root_section, (char *)&c);
		text = store_save(&c, &size, &e);
		if (text == NULL)
			fail_msg("turn %u: %s", i, e.msg);
		(void)snprintf(shown, sizeof(shown), "%.*s", (int)size, text);
		if (store_load(text, size, &again, &e) < 0)
			fail_msg("turn %u: %s\n%s", i, e.msg, shown);
		assert_same(&c, &again, shown);
		twice = store_save(&again, &size2, &e);
		assert_non_null(twice);
		assert_int_equal(size, size2);
		assert_memory_equal(text, twice, size);
		free(text);
		free(twice);
		sill_config_free(&c);
		sill_config_free(&again);
	}
}

/* Every pointer that the rows know has to be another one in a copy. */
static unsigned assert_apart(const struct section *s, const char *a, const char *b)
{
	unsigned pointers = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct key *row = &s->keys[i];
		const char *x = a + row->field.data_offset, *y = b + row->field.data_offset;
		const unsigned *count = (const unsigned *)(a + row->field.count_offset);

		if (row->kind == KIND_MAP) {
			pointers += assert_apart(row->section, x, y);
			continue;
		}
		if (!kind_is_text(row->kind) && row->kind != KIND_LIST)
			continue;
		x = *(const char *const *)x;
		y = *(const char *const *)y;
		if (x == NULL)
			continue;
		if (x == y)
			fail_msg("%s.%s: the copy shares it: add it to vmm/base/config.c", s->name,
				 row->field.key);
		pointers++;
		for (unsigned n = 0; row->kind == KIND_LIST && n < *count; n++) {
			const size_t at = n * key_entry_size(row);

			if (row->section != NULL)
				pointers += assert_apart(row->section, x + at, y + at);
			else if (kind_is_text(row->item->kind))
				assert_ptr_not_equal(*(const char *const *)(x + at),
						     *(const char *const *)(y + at));
		}
	}
	return pointers;
}

static void sill_config_copy__knows_all_that_the_rows_know(void **state)
{
	unsigned pointers = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct sill_config c = { 0 }, copy;
		struct sill_err e = { 0 };

		rand_map(&root_section, (char *)&c);
		assert_int_equal(sill_config_copy(&copy, &c, &e), 0);
		assert_same(&c, &copy, "");
		pointers += assert_apart(&root_section, (const char *)&c, (const char *)&copy);
		sill_config_free(&c);
		sill_config_free(&copy);
	}
	assert_true(pointers > 1000);
}

static void store_load__refuses_what_is_no_value(void **state)
{
	static const char *const wrong[] = { "",
					     "[1]",
					     "a: b",
					     "sill: 1\nname: [a]",
					     "cpus: {boot: -1}",
					     "cpus: {boot: 70000}",
					     "x: &a 1\ny: *a",
					     "disk: {path: a}",
					     "disk: [{format: vmdk}]",
					     "disk: [{format: 17}]",
					     "cpus: {boot: 255}",
					     "memory: {size: 4096}",
					     "cpus: {affinity: [{vcpu: 254}]}",
					     "disk: [{serial: 123456789012345678901}]",
					     "serial: {mode: 7}" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct sill_config c;
		struct sill_err e = { 0 };

		if (store_load(wrong[i], strlen(wrong[i]), &c, &e) == 0)
			fail_msg("'%s' is a value", wrong[i]);
		assert_int_equal(e.code, SILL_ERR_MANIFEST);
	}
}

/* Wherever bytes change, what is loaded is a value that its rows allow. */
static void store_load__takes_no_harm_from_changed_bytes(void **state)
{
	unsigned loaded = 0;

	(void)state;
	for (unsigned i = 0; i < TURNS; i++) {
		struct sill_config c = { 0 }, again;
		struct sill_err e = { 0 };
		size_t size, twice;
		char *text, *other;

		rand_map(&root_section, (char *)&c);
		text = store_save(&c, &size, &e);
		assert_non_null(text);
		for (unsigned n = 0; n < 1 + i % 3; n++)
			text[rand_below(size)] = (char)rand_next();
		if (store_load(text, size, &again, &e) == 0) {
			loaded++;
			other = store_save(&again, &twice, &e);
			assert_non_null(other);
			free(other);
			sill_config_free(&again);
		}
		free(text);
		sill_config_free(&c);
	}
	assert_in_range(loaded, 1, TURNS - 1);
}

/* What a person wrote, and what `show` makes of it, are one value; so is that as text. */
static void value__of_what_is_shown_is_the_same(void **state)
{
	static const char written[] =
		"sill: 1\nname: win\nguest: windows\nkernel: vmlinuz\ncmdline: 'a \"b\" Ã¤'\n"
		"cpus: {boot: 2, max: 4, affinity: [{vcpu: 1, host_cpus: [0-2]}],\n"
		"       hyperv: {reset: on}, features: {add: [invtsc]}}\n"
		"memory: 1G\nserial: {mode: file, path: s.log, limit: off}\n"
		"disk:\n- {path: a.img, format: qcow2, backing: auto, ephemeral: on}\n"
		"- {path: /b.img, format: raw, rate_limit: {ops: 5}, affinity: [1]}\n"
		"platform: {oem_strings: ['1', 'x: y'], vmgenid: auto}\n";
	struct mfile *f = mfile_load_text("./vm.yaml", written, sizeof(written) - 1, NULL), *again;
	struct sill_config stored;
	struct sill_err e = { 0 };
	char *shown = NULL, *text;
	size_t size, n;
	FILE *out = open_memstream(&shown, &size);

	(void)state;
	assert_non_null(f->docs[0].m);
	assert_int_equal(emit_yaml(out, &f->check, f->docs[0].root, EMIT_EFFECTIVE), 0);
	assert_int_equal(fclose(out), 0);
	again = mfile_load_text("/elsewhere.yaml", shown, size, NULL);
	if (again->docs[0].m == NULL)
		fail_msg("%s\n%s", again->diags.list[0].msg, shown);
	assert_same(f->docs[0].m, again->docs[0].m, shown);
	text = store_save(f->docs[0].m, &n, &e);
	assert_non_null(text);
	assert_int_equal(store_load(text, n, &stored, &e), 0);
	assert_same(f->docs[0].m, &stored, shown);
	sill_config_free(&stored);
	free(text);
	free(shown);
	mfile_destroy(again);
	mfile_destroy(f);
}

/* --- diff --------------------------------------------------------------- */

struct fixture {
	struct sill_config a, b;
	struct diffs d;
};

static const char base[] = "sill: 1\nname: vm\nmemory: {size: 1073741824}\n"
			   "serial: {mode: file, path: /s, limit: 0}\n"
			   "disk:\n"
			   "- {path: /a, id: system, serial: s1, cache: writeback, queues: 1}\n"
			   "- {path: /b, id: data, serial: s2, affinity: [1, 2]}\n";

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sill_err e = { 0 };

	assert_non_null(f);
	*state = f;
	assert_int_equal(store_load(base, sizeof(base) - 1, &f->a, &e), 0);
	assert_int_equal(store_load(base, sizeof(base) - 1, &f->b, &e), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	diff_free(&f->d);
	sill_config_free(&f->a);
	sill_config_free(&f->b);
	free(f);
	return 0;
}

/* "PATH BEFORE AFTER EFFECT" of the @i-th. */
static void assert_diff(const struct fixture *f, size_t i, const char *text)
{
	const struct diff *d = &f->d.list[i];
	char buf[400];

	assert_true(i < f->d.count);
	(void)snprintf(buf, sizeof(buf), "%s: %s -> %s (%s)", d->path,
		       d->before != NULL ? d->before : "none", d->after != NULL ? d->after : "none",
		       effect_name(d->row->effect));
	assert_string_equal(buf, text);
}

static void make(struct fixture *f, size_t count)
{
	struct sill_err e = { 0 };

	assert_int_equal(diff_make(&f->a, &f->b, &f->d, &e), 0);
	assert_int_equal(f->d.count, count);
}

static void diff__names_each_key_that_differs(void **state)
{
	struct fixture *f = *state;

	f->b.memory.size = 3ull << 29;
	f->b.cpus.max_phys_bits = 40;
	f->b.serial.limit = 1 << 20;
	f->b.memory.thp = true;
	make(f, 4);
	assert_diff(f, 0, "cpus.max_phys_bits: none -> 40 (recreate)");
	assert_diff(f, 1, "memory.size: 1G -> 1536M (hotplug)");
	assert_diff(f, 2, "memory.thp: off -> on (live)");
	assert_diff(f, 3, "serial.limit: off -> 1M (recreate)");
}

static void diff__matches_disks_by_id(void **state)
{
	struct fixture *f = *state;

	f->b.disk[1].cache = SILL_CACHE_UNSAFE;
	f->b.disk[1].affinity[0] = 7;
	f->b.disk[0].io = SILL_IO_THREADS;
	make(f, 3);
	assert_diff(f, 0, "disk[system].io: none -> threads (recreate)");
	assert_diff(f, 1, "disk[data].cache: writeback -> unsafe (next boot)");
	assert_diff(f, 2, "disk[data].affinity: [1, 2] -> [7, 2] (live)");
}

static void diff__tells_disks_that_come_and_go(void **state)
{
	struct fixture *f = *state;

	free(f->b.disk[0].id);
	f->b.disk[0].id = strdup("new");
	f->b.disk[0].queues = 0;
	make(f, 2);
	assert_string_equal(f->d.list[0].path, "disk[system]");
	assert_null(f->d.list[0].after);
	assert_non_null(strstr(f->d.list[0].before, "{path: /a, format: raw, "));
	assert_string_equal(f->d.list[1].path, "disk[new]");
	assert_null(f->d.list[1].before);
	assert_non_null(strstr(f->d.list[1].after, "id: new"));
	assert_null(strstr(f->d.list[1].after, "queues"));
	assert_int_equal(f->d.list[1].row->effect, EFFECT_HOTPLUG);
}

static void diff__tells_another_order(void **state)
{
	struct fixture *f = *state;
	struct sill_disk_config first = f->b.disk[0];

	f->b.disk[0] = f->b.disk[1];
	f->b.disk[1] = first;
	make(f, 1);
	assert_diff(f, 0, "disk: [system, data] -> [data, system] (hotplug)");
}

static void diff__tells_text_that_is_not_there_any_more(void **state)
{
	struct fixture *f = *state;

	free(f->b.serial.path);
	f->b.serial.path = NULL;
	f->b.disk[1].affinity_count = 0;
	make(f, 2);
	assert_diff(f, 0, "disk[data].affinity: [1, 2] -> none (live)");
	assert_diff(f, 1, "serial.path: /s -> none (recreate)");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(store__value_text_value_is_the_same),
		cmocka_unit_test(sill_config_copy__knows_all_that_the_rows_know),
		cmocka_unit_test(store_load__refuses_what_is_no_value),
		cmocka_unit_test(store_load__takes_no_harm_from_changed_bytes),
		cmocka_unit_test(value__of_what_is_shown_is_the_same),
		cmocka_unit_test_setup_teardown(diff__names_each_key_that_differs, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(diff__matches_disks_by_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(diff__tells_disks_that_come_and_go, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(diff__tells_another_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(diff__tells_text_that_is_not_there_any_more, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
