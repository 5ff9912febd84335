/* SPDX-License-Identifier: Apache-2.0 */
/* hvset.c - see hvset.h. */
#include "runner/manifest/hvset.h"

#include <string.h>

#include "runner/report/json.h"
#include "runner/report/text.h"
#include "sill/config.h"

/* The line that says so, if it is written in one. */
static const struct node *line_of(const struct mdoc *doc, const void *member)
{
	const struct node *n = doc != NULL ? places_find(&doc->places, member) : NULL;

	return n != NULL && !n->implied ? n : NULL;
}

static const bool *switch_of(const struct mdoc *doc, unsigned f)
{
	return doc != NULL ? sill_hv_switch(&doc->value->cpus.hyperv, f) : NULL;
}

/* Asked for by a line, or by default; what it needs is another matter. */
static bool is_wanted(const struct mdoc *doc, unsigned f)
{
	const bool *on = switch_of(doc, f);

	return line_of(doc, on) == NULL ? sill_hv_features[f].on : *on;
}

static bool is_on_as_a_whole(const struct mdoc *doc)
{
	return doc == NULL || doc->value->cpus.kvm_hyperv;
}

uint32_t hv_wanted(const struct mdoc *doc)
{
	uint32_t want = 0;

	for (unsigned f = 0; f < SILL_HV_COUNT && is_on_as_a_whole(doc); f++)
		want |= is_wanted(doc, f) ? 1u << f : 0;
	return want;
}

static enum hv_answer answer(bool wanted, uint32_t blocked_by, const enum sill_hv_state *host)
{
	if (!wanted)
		return HV_OFF;
	if (host != NULL && *host == SILL_HV_UNSUPPORTED)
		return HV_NOT_ON_HOST;
	if (blocked_by != 0)
		return HV_BLOCKED;
	return host != NULL && *host == SILL_HV_ON ? HV_ON : HV_WANTED;
}

void hv_set_make(struct hv_set *s, const struct mdoc *doc, const enum sill_hv_state *host)
{
	const struct node *all = doc != NULL ? line_of(doc, &doc->value->cpus.kvm_hyperv) : NULL;
	uint32_t up = 0; /* those that are on, or may be */

	*s = (struct hv_set){ .on = is_on_as_a_whole(doc),
			      .windows = doc != NULL && doc->value->guest == SILL_GUEST_WINDOWS };
	if (all != NULL) {
		s->on_reason = HV_BY_LINE;
		s->on_at = all->at;
	}
	/* A feature only needs features above it in the list. */
	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		const struct node *n = line_of(doc, switch_of(doc, f));
		struct hv_row *r = &s->row[f];

		r->blocked_by = sill_hv_features[f].needs & ~up;
		r->answer = answer(s->on && is_wanted(doc, f), r->blocked_by,
				   host != NULL ? &host[f] : NULL);
		if (r->answer != HV_BLOCKED)
			r->blocked_by = 0;
		if (r->answer == HV_ON || r->answer == HV_WANTED)
			up |= 1u << f;
		if (!s->on) {
			r->reason = HV_BY_WHOLE;
		} else if (n != NULL) {
			r->reason = HV_BY_LINE;
			r->at = n->at;
		}
	}
}

/* "synic, time". */
static const char *names(char *dst, size_t size, uint32_t set)
{
	size_t used = 0;

	dst[0] = '\0';
	for (unsigned f = 0; f < SILL_HV_COUNT && used < size; f++) {
		if ((set & 1u << f) != 0)
			used += (size_t)snprintf(dst + used, size - used, "%s%s",
						 used > 0 ? ", " : "", sill_hv_features[f].name);
	}
	return dst;
}

static const char *answer_text(char *dst, size_t size, const struct hv_row *r)
{
	static const char *const words[] = {
		[HV_OFF] = "off",
		[HV_ON] = "on",
		[HV_WANTED] = "on if the host has it",
		[HV_NOT_ON_HOST] = "not on this host",
		[HV_BLOCKED] = "blocked by ",
	};
	size_t used = (size_t)snprintf(dst, size, "%s", words[r->answer]);

	if (r->answer == HV_BLOCKED)
		(void)names(dst + used, size - used, r->blocked_by);
	return dst;
}

static const char *reason_text(char *dst, size_t size, enum hv_reason reason, struct mark at,
			       const char *file)
{
	char clean[128];

	if (at.src != NULL)
		file = at.src->name;
	switch (reason) {
	case HV_BY_DEFAULT:
		(void)snprintf(dst, size, "default");
		break;
	case HV_BY_LINE:
		(void)snprintf(dst, size, "%s:%u",
			       text_clean(clean, sizeof(clean), file, strlen(file)), at.line);
		break;
	case HV_BY_WHOLE:
		(void)snprintf(dst, size, "cpus.kvm_hyperv is off");
		break;
	}
	return dst;
}

static const char *whole_text(char *dst, size_t size, const struct hv_set *s, const char *file)
{
	if (s->on_reason != HV_BY_DEFAULT)
		return reason_text(dst, size, s->on_reason, s->on_at, file);
	(void)snprintf(dst, size, "%s", s->windows ? "profile: guest: windows" : "default");
	return dst;
}

void hv_set_print(FILE *f, const struct hv_set *s, const char *file)
{
	char what[128], why[256];
	int wide = 0;

	if (file != NULL)
		(void)fprintf(f, "cpus.kvm_hyperv: %s (%s)\n", s->on ? "on" : "off",
			      whole_text(why, sizeof(why), s, file));
	for (unsigned i = 0; i < SILL_HV_COUNT; i++) {
		int len = (int)strlen(answer_text(what, sizeof(what), &s->row[i]));

		wide = len > wide ? len : wide;
	}
	for (unsigned i = 0; i < SILL_HV_COUNT; i++) {
		const struct hv_row *r = &s->row[i];

		(void)fprintf(f, "  %-20s  %-*s  %s\n", sill_hv_features[i].name, wide,
			      answer_text(what, sizeof(what), r),
			      reason_text(why, sizeof(why), r->reason, r->at, file));
	}
}

static json_t *names_json(uint32_t set)
{
	json_t *list = json_array();

	for (unsigned f = 0; f < SILL_HV_COUNT; f++) {
		if ((set & 1u << f) != 0)
			(void)json_array_append_new(list, json_string(sill_hv_features[f].name));
	}
	return list;
}

static void set_reason(json_t *o, enum hv_reason reason, struct mark at)
{
	static const char *const words[] = {
		[HV_BY_DEFAULT] = "default",
		[HV_BY_LINE] = "manifest",
		[HV_BY_WHOLE] = "kvm_hyperv",
	};

	(void)json_object_set_new(o, "why", json_string(words[reason]));
	if (at.line == 0)
		return;
	if (at.src != NULL)
		(void)json_object_set_new(o, "file", json_text(at.src->name));
	(void)json_object_set_new(o, "line", json_integer(at.line));
	(void)json_object_set_new(o, "column", json_integer(at.col));
}

static json_t *row_json(unsigned f, const struct hv_row *r)
{
	static const char *const words[] = {
		[HV_OFF] = "off",         [HV_ON] = "on",
		[HV_WANTED] = "wanted",   [HV_NOT_ON_HOST] = "not on this host",
		[HV_BLOCKED] = "blocked",
	};
	json_t *o = json_object();

	(void)json_object_set_new(o, "name", json_string(sill_hv_features[f].name));
	(void)json_object_set_new(o, "state", json_string(words[r->answer]));
	set_reason(o, r->reason, r->at);
	(void)json_object_set_new(o, "needs", names_json(sill_hv_features[f].needs));
	(void)json_object_set_new(o, "blocked_by", names_json(r->blocked_by));
	(void)json_object_set_new(o, "doc", json_string(sill_hv_features[f].doc));
	return o;
}

json_t *hv_set_json(const struct hv_set *s)
{
	json_t *o = json_object(), *list = json_array();

	(void)json_object_set_new(o, "kvm_hyperv", json_boolean(s->on));
	set_reason(o, s->on_reason, s->on_at);
	if (s->on_reason == HV_BY_DEFAULT && s->windows)
		(void)json_object_set_new(o, "why", json_string("profile"));
	for (unsigned f = 0; f < SILL_HV_COUNT; f++)
		(void)json_array_append_new(list, row_json(f, &s->row[f]));
	(void)json_object_set_new(o, "features", list);
	return o;
}
