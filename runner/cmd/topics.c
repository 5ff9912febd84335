/* SPDX-License-Identifier: Apache-2.0 */
/* topics.c - sill explain hyperv, sill explain lint. */
#include "runner/cmd/topics.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/cmd/open.h"
#include "runner/manifest/hvset.h"
#include "runner/manifest/lint.h"
#include "runner/report/json.h"

/* One VM, or the default set with @doc NULL. */
static void explain_one(const struct topic_wish *w, const struct mdoc *doc, json_t *list)
{
	enum sill_hv_state state[SILL_HV_COUNT];
	struct sill_err e = { 0 };
	const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct hv_set s;
	bool asked;
	json_t *o;

	if (kvm < 0)
		(void)sill_err_sys(&e, errno, "open /dev/kvm");
	asked = kvm >= 0 && sill_hv_resolve(kvm, hv_wanted(doc), state, &e) == 0;
	if (kvm >= 0)
		(void)close(kvm);

	hv_set_make(&s, doc, asked ? state : NULL);
	if (list != NULL) {
		o = hv_set_json(&s);
		if (doc != NULL)
			(void)json_object_set_new(o, "name", json_text(doc->m->name));
		(void)json_object_set_new(o, "host",
					  asked ? json_string("asked") : json_text(e.msg));
		(void)json_array_append_new(list, o);
		return;
	}
	if (doc != NULL)
		(void)printf("%s: ", doc->m->name);
	else
		(void)printf("the default set, with cpus.kvm_hyperv: on\n");
	hv_set_print(stdout, &s, w->file);
	if (!asked)
		(void)printf("\nWhat this host has is not known: %s\n", e.msg);
}

static int explain_file(const struct topic_wish *w, json_t *list)
{
	bool first = true;
	struct mfile *f;
	int ret = cmd_open(w->file, w->name, false, &f);

	if (ret != CMD_DONE)
		return ret;
	for (size_t i = 0; i < f->count; i++) {
		if (w->name != NULL && strcmp(w->name, f->docs[i].m->name) != 0)
			continue;
		if (!first && list == NULL)
			(void)putchar('\n');
		first = false;
		explain_one(w, &f->docs[i], list);
	}
	mfile_destroy(f);
	return CMD_DONE;
}

int topic_hyperv(const struct topic_wish *w)
{
	json_t *list = w->json ? json_array() : NULL;
	int ret = CMD_DONE;

	if (w->json && list == NULL)
		return CMD_FAILED;
	if (w->file != NULL)
		ret = explain_file(w, list);
	else
		explain_one(w, NULL, list);
	if (ret != CMD_DONE) {
		json_decref(list);
		return ret;
	}
	return list != NULL && json_print(stdout, list) < 0 ? CMD_FAILED : CMD_DONE;
}

int topic_lint(const struct topic_wish *w)
{
	if (w->json)
		return json_print(stdout, lint_explain_json()) < 0 ? CMD_FAILED : CMD_DONE;
	lint_explain(stdout);
	return CMD_DONE;
}
