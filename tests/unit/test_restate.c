/* SPDX-License-Identifier: Apache-2.0 */
/* test_restate.c - a manifest that was made of a value says that value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/manifest.h"
#include "runner/manifest/restate.h"
#include "schema/diff.h"

static void check(const char *path, const struct sill_config *m)
{
	char *text = manifest_restate(m);
	struct sill_err e = { 0 };
	struct diffs d = { 0 };
	struct mfile *f;

	assert_non_null(text);
	f = mfile_load_text(path, text, strlen(text), NULL);
	assert_non_null(f);
	if (f->diags.total > 0)
		fail_msg("%s: %s: %s\n%s", path, f->diags.list[0].path, f->diags.list[0].msg, text);
	assert_int_equal(f->count, 1);
	assert_int_equal(diff_make(m, f->docs[0].m, &d, &e), 0);
	if (d.count > 0)
		fail_msg("%s: %s: '%s', not '%s'\n%s", path, d.list[0].path,
			 d.list[0].after != NULL ? d.list[0].after : "none",
			 d.list[0].before != NULL ? d.list[0].before : "none", text);
	diff_free(&d);
	mfile_destroy(f);
	free(text);
}

/* Returns how many values there were. */
static unsigned check_all(const char *pattern)
{
	unsigned count = 0;
	glob_t g;

	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct mfile *f = mfile_load(g.gl_pathv[i], NULL);

		assert_non_null(f);
		for (size_t j = 0; f->diags.total == 0 && j < f->count; j++) {
			check(g.gl_pathv[i], f->docs[j].m);
			count++;
		}
		mfile_destroy(f);
	}
	globfree(&g);
	return count;
}

static void manifest_restate__says_the_same(void **state)
{
	(void)state;
	assert_true(check_all("examples/*.yaml") > 4);
	assert_true(check_all("tests/manifest/*.yaml") > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_restate__says_the_same),
	};

	return cmocka_run_group_tests_name("restate", tests, NULL, NULL);
}
