/* SPDX-License-Identifier: Apache-2.0 */
/* test_lint.c - the preflight check's table, and when it speaks. tests/manifest has the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "runner/manifest/lint.h"
#include "runner/manifest/manifest.h"

static struct mfile *load(const char *text)
{
	struct mfile *f = mfile_load_text("/nowhere/vm.yaml", text, strlen(text), NULL);

	assert_non_null(f);
	return f;
}

/* A word or sentence that goes on behind a colon: lower case or a name, no full stop. */
static void text_is_right(const char *id, const char *text, size_t max)
{
	size_t len = text != NULL ? strlen(text) : 0;

	if (len < 5 || len > max || text[len - 1] == '.')
		fail_msg("%s: '%s' is empty, longer than %zu, or ends in a full stop", id, text,
			 max);
}

static void lint_rules__are_whole_and_have_ids_of_their_own(void **state)
{
	const struct diag *g = NULL;

	(void)state;
	for (const struct lint_rule *r = lint_rules; r->id != NULL; r++) {
		assert_int_equal(strspn(r->id, "abcdefghijklmnopqrstuvwxyz0123456789-"),
				 strlen(r->id));
		assert_non_null(r->find);
		text_is_right(r->id, r->msg, 90);
		text_is_right(r->id, r->why, 200);
		text_is_right(r->id, r->fix, sizeof(g->hint) - 1);
		if (strncmp(r->see, "https://", 8) != 0)
			fail_msg("%s: '%s' is no reference", r->id, r->see);
		for (const struct lint_rule *s = lint_rules; s != r; s++)
			assert_string_not_equal(s->id, r->id);
	}
}

static void lint_document__speaks_to_windows_only(void **state)
{
	struct mfile *f = load("sill: 1\nname: vm\nguest: linux\nkernel: k\n");

	(void)state;
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(f->warnings.total, 0);
	mfile_destroy(f);
	f = load("sill: 1\nname: vm\nguest: windows\nkernel: k\n");
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(f->warnings.total, 3);
	for (size_t i = 0; i < f->warnings.count; i++) {
		assert_non_null(f->warnings.list[i].rule);
		assert_non_null(f->warnings.list[i].why);
		assert_non_null(f->warnings.list[i].see);
		assert_true(f->warnings.list[i].at.line > 0);
		assert_true(f->warnings.list[i].hint[0] != '\0');
	}
	assert_non_null(f->docs[0].m); /* a warning is no mistake */
	mfile_destroy(f);
}

static void lint_document__is_silent_while_there_are_mistakes(void **state)
{
	struct mfile *f = load("sill: 1\nname: vm\nguest: windows\nkernel: k\ncpus: {bot: 1}\n");

	(void)state;
	assert_int_equal(f->diags.total, 1);
	assert_int_equal(f->warnings.total, 0);
	mfile_destroy(f);
}

static void lint_document__counts_more_than_it_keeps(void **state)
{
	char text[16384];
	size_t used = 0;
	struct mfile *f;

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "---\nsill: 1\nname: vm%u\nguest: windows\nkernel: k\n",
					 i);
	f = load(text);
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(f->warnings.total, 90);
	assert_int_equal(f->warnings.count, DIAGS_MAX);
	mfile_destroy(f);
}

static bool warns(const char *text, const char *id)
{
	struct mfile *f = load(text);
	bool found = false;

	assert_int_equal(f->diags.total, 0);
	for (size_t i = 0; i < f->warnings.count; i++)
		found |= strcmp(f->warnings.list[i].rule, id) == 0;
	mfile_destroy(f);
	return found;
}

#define HEAD "sill: 1\nname: vm\nguest: windows\nkernel: k\n"

static void lint_rules__stop_where_they_should(void **state)
{
	(void)state;
	assert_true(warns(HEAD "memory: {size: 2047M}\n", "memory-tiny"));
	assert_false(warns(HEAD "memory: {size: 2047M}\n", "memory-small"));
	assert_false(warns(HEAD "memory: {size: 2G}\n", "memory-tiny"));
	assert_true(warns(HEAD "memory: {size: 2G}\n", "memory-small"));
	assert_false(warns(HEAD "memory: {size: 4G}\n", "memory-small"));
	assert_false(warns(HEAD "cpus: {boot: 64}\n", "cpus-groups"));
	assert_true(warns(HEAD "cpus: {boot: 65}\n", "cpus-groups"));
	assert_false(warns(HEAD "cpus: {boot: 2, topology: {packages: 2}}\n", "topology-packages"));
	assert_false(warns(HEAD "cpus: {max_phys_bits: 46}\n", "phys-bits"));
	/* What is off because another is off is not the cause, and nothing is with all of it off. */
	assert_true(warns(HEAD "cpus: {hyperv: {synic: off}}\n", "hyperv-timers"));
	assert_false(warns(HEAD "cpus: {kvm_hyperv: off}\n", "hyperv-timers"));
	assert_false(warns(HEAD "cpus: {boot: 2, hyperv: {dynamic_partitioning: off}}\n",
			   "hyperv-hotplug"));
	assert_false(
		warns(HEAD "cpus: {features: {remove: [xsaves, xsavec]}}\n", "features-xsaves"));
	assert_false(warns(HEAD "disk: [{path: d, format: raw}]\n", "disk-serial-odd"));
	assert_false(warns(HEAD "disk: [{path: d, format: raw, serial: ABCDEFGHIJKLMNOPQRS}]\n",
			   "disk-serial-long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lint_rules__are_whole_and_have_ids_of_their_own),
		cmocka_unit_test(lint_document__speaks_to_windows_only),
		cmocka_unit_test(lint_document__is_silent_while_there_are_mistakes),
		cmocka_unit_test(lint_document__counts_more_than_it_keeps),
		cmocka_unit_test(lint_rules__stop_where_they_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
