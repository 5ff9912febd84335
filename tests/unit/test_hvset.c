/* SPDX-License-Identifier: Apache-2.0 */
/* test_hvset.c - explain hyperv: what is on, and why, on hosts that have all, some or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/hvset.h"
#include "runner/manifest/manifest.h"

#define HEAD "sill: 1\nname: vm\nguest: windows\nkernel: k\n"

static struct mfile *load(const char *text)
{
	struct mfile *f = mfile_load_text("/nowhere/vm.yaml", text, strlen(text), NULL);

	assert_non_null(f);
	assert_int_equal(f->diags.total, 0);
	return f;
}

/* A host that lacks @without, as the engine answers for it. */
static void host(enum sill_hv_state ret[SILL_HV_COUNT], uint32_t want, uint32_t without)
{
	uint32_t on = 0;

	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		ret[f] = (want & 1u << f) == 0                    ? SILL_HV_OFF
			 : (without & 1u << f) != 0               ? SILL_HV_UNSUPPORTED
			 : (sill_hv_features[f].needs & ~on) != 0 ? SILL_HV_BLOCKED
								  : SILL_HV_ON;
		on |= ret[f] == SILL_HV_ON ? 1u << f : 0;
	}
}

static void hv_set_make__the_default_set_is_on_by_default(void **state)
{
	enum sill_hv_state has[SILL_HV_COUNT];
	struct hv_set s;

	(void)state;
	assert_int_equal(hv_wanted(NULL), sill_hv_want(0, 0));
	host(has, hv_wanted(NULL), 0);
	hv_set_make(&s, NULL, has);
	assert_true(s.on);
	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		assert_int_equal(s.row[f].answer, sill_hv_features[f].on ? HV_ON : HV_OFF);
		assert_int_equal(s.row[f].reason, HV_BY_DEFAULT);
	}
}

static void hv_set_make__knows_the_line(void **state)
{
	struct mfile *f = load(HEAD "cpus:\n  hyperv:\n    reset: on\n    crash: off\n");
	const struct mdoc *doc = &f->docs[0];
	enum sill_hv_state has[SILL_HV_COUNT];
	struct hv_set s;

	(void)state;
	assert_int_equal(hv_wanted(doc), sill_hv_want(SILL_HV_BIT(reset), SILL_HV_BIT(crash)));
	host(has, hv_wanted(doc), SILL_HV_BIT(reset));
	hv_set_make(&s, doc, has);
	assert_true(s.windows && s.on_reason == HV_BY_DEFAULT);
	assert_int_equal(s.row[SILL_HV_reset].answer, HV_NOT_ON_HOST);
	assert_int_equal(s.row[SILL_HV_reset].reason, HV_BY_LINE);
	assert_int_equal(s.row[SILL_HV_reset].at.line, 7);
	assert_int_equal(s.row[SILL_HV_crash].answer, HV_OFF);
	assert_int_equal(s.row[SILL_HV_crash].at.line, 8);
	assert_int_equal(s.row[SILL_HV_vapic].reason, HV_BY_DEFAULT);
	mfile_destroy(f);
}

static void hv_set_make__tells_what_blocks(void **state)
{
	struct mfile *f = load(HEAD "cpus: {hyperv: {synic: off}}\n");
	const struct mdoc *doc = &f->docs[0];
	enum sill_hv_state has[SILL_HV_COUNT];
	struct hv_set s;

	(void)state;
	host(has, hv_wanted(doc), 0);
	hv_set_make(&s, doc, has);
	assert_int_equal(s.row[SILL_HV_synic].answer, HV_OFF);
	assert_int_equal(s.row[SILL_HV_stimer].answer, HV_BLOCKED);
	assert_int_equal(s.row[SILL_HV_stimer].blocked_by, SILL_HV_BIT(synic));
	assert_int_equal(s.row[SILL_HV_stimer].reason, HV_BY_DEFAULT);
	assert_int_equal(s.row[SILL_HV_stimer_direct].blocked_by, SILL_HV_BIT(stimer));
	mfile_destroy(f);
	/* A host without it blocks as well. */
	host(has, hv_wanted(NULL), SILL_HV_BIT(time));
	hv_set_make(&s, NULL, has);
	assert_int_equal(s.row[SILL_HV_time].answer, HV_NOT_ON_HOST);
	assert_int_equal(s.row[SILL_HV_stimer].answer, HV_BLOCKED);
	assert_int_equal(s.row[SILL_HV_stimer].blocked_by, SILL_HV_BIT(time));
}

static void hv_set_make__without_a_host_tells_what_is_wanted(void **state)
{
	struct mfile *f = load(HEAD "cpus: {hyperv: {tlbflush: off}}\n");
	struct hv_set s;

	(void)state;
	hv_set_make(&s, &f->docs[0], NULL);
	assert_int_equal(s.row[SILL_HV_relaxed].answer, HV_WANTED);
	assert_int_equal(s.row[SILL_HV_stimer_direct].answer, HV_WANTED);
	assert_int_equal(s.row[SILL_HV_tlbflush].answer, HV_OFF);
	assert_int_equal(s.row[SILL_HV_tlbflush_ext].answer, HV_BLOCKED);
	mfile_destroy(f);
}

static void hv_set_make__all_off_is_off(void **state)
{
	struct mfile *f = load(HEAD "cpus: {kvm_hyperv: off}\n");
	struct hv_set s;

	(void)state;
	assert_int_equal(hv_wanted(&f->docs[0]), 0);
	hv_set_make(&s, &f->docs[0], NULL);
	assert_false(s.on);
	assert_int_equal(s.on_reason, HV_BY_LINE);
	assert_int_equal(s.on_at.line, 5);
	for (unsigned i = 0; i < SILL_HV_COUNT; i++) {
		assert_int_equal(s.row[i].answer, HV_OFF);
		assert_int_equal(s.row[i].reason, HV_BY_WHOLE);
	}
	mfile_destroy(f);
}

static void hv_set_print__has_a_line_for_each(void **state)
{
	struct mfile *f = load(HEAD "cpus: {hyperv: {synic: off}}\n");
	char *out = NULL;
	size_t size, lines = 0;
	FILE *m = open_memstream(&out, &size);
	struct hv_set s;
	json_t *o;

	(void)state;
	assert_non_null(m);
	hv_set_make(&s, &f->docs[0], NULL);
	hv_set_print(m, &s, "vm.yaml");
	(void)fclose(m);
	for (const char *p = out; *p != '\0'; p++)
		lines += *p == '\n';
	assert_int_equal(lines, SILL_HV_COUNT + 1);
	assert_non_null(strstr(out, "cpus.kvm_hyperv: on (profile: guest: windows)\n"));
	assert_non_null(strstr(out, "blocked by synic"));
	assert_non_null(strstr(out, "vm.yaml:5\n"));
	free(out);
	o = hv_set_json(&s);
	assert_int_equal(json_array_size(json_object_get(o, "features")), SILL_HV_COUNT);
	assert_string_equal(json_string_value(json_object_get(o, "why")), "profile");
	json_decref(o);
	mfile_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hv_set_make__the_default_set_is_on_by_default),
		cmocka_unit_test(hv_set_make__knows_the_line),
		cmocka_unit_test(hv_set_make__tells_what_blocks),
		cmocka_unit_test(hv_set_make__without_a_host_tells_what_is_wanted),
		cmocka_unit_test(hv_set_make__all_off_is_off),
		cmocka_unit_test(hv_set_print__has_a_line_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
