/* SPDX-License-Identifier: Apache-2.0 */
/* fmt.c - sill fmt: manifests in one form. */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/cmd/scan.h"
#include "runner/cmd/write.h"
#include "runner/host/replace.h"
#include "runner/manifest/fmt.h"
#include "runner/manifest/source.h"
#include "runner/report/text.h"

enum { AROUND = 3 }; /* lines shown before and behind a difference */

struct wish {
	bool check, diff;
	unsigned changed;
	int status;
};

static void failed(void *arg, const char *path, const char *why)
{
	struct wish *w = arg;

	text_say(stderr, "sill: %s: %s", path, why);
	if (w->status == CMD_DONE)
		w->status = CMD_FAILED;
}

static void skipped(void *arg, const char *path, const char *why)
{
	(void)arg;
	text_say(stderr, "sill: %s: skipped: %s", path, why);
}

/* ---- a difference ---- */

static const char *next_line(const char *s, const char *end)
{
	const char *nl = memchr(s, '\n', (size_t)(end - s));

	return nl != NULL ? nl + 1 : end;
}

static const char *line_before(const char *s, const char *begin)
{
	if (s > begin)
		s--;
	while (s > begin && s[-1] != '\n')
		s--;
	return s;
}

static unsigned put_lines(char sign, const char *s, const char *end, bool print)
{
	unsigned count = 0;

	for (; s < end; s = next_line(s, end), count++)
		if (print)
			text_say(stdout, "%c%.*s", sign, (int)strcspn(s, "\r\n"), s);
	return count;
}

/* From the first line that differs to the last, as one piece. */
static void print_diff(const char *path, const struct src_text *old, const char *new, size_t n)
{
	const char *a = old->text, *a_end = a + old->size, *b = new, *b_end = new + n, *from = a;
	const char *behind;

	while (a < a_end && b < b_end && next_line(a, a_end) - a == next_line(b, b_end) - b &&
	       memcmp(a, b, (size_t)(next_line(a, a_end) - a)) == 0) {
		a = next_line(a, a_end);
		b = next_line(b, b_end);
	}
	while (a_end > a && b_end > b) {
		const char *x = line_before(a_end, a), *y = line_before(b_end, b);

		if (a_end - x != b_end - y || memcmp(x, y, (size_t)(a_end - x)) != 0)
			break;
		a_end = x;
		b_end = y;
	}
	from = a;
	for (int i = 0; i < AROUND; i++)
		from = line_before(from, old->text);
	behind = a_end;
	for (int i = 0; i < AROUND; i++)
		behind = next_line(behind, old->text + old->size);
	text_say(stdout, "--- %s", path);
	text_say(stdout, "+++ %s", path);
	(void)printf("@@ -%u,%u +%u,%u @@\n", put_lines(' ', old->text, from, false) + 1,
		     put_lines(' ', from, behind, false),
		     put_lines(' ', old->text, from, false) + 1,
		     put_lines(' ', from, a, false) + put_lines('+', b, b_end, false) +
			     put_lines(' ', a_end, behind, false));
	(void)put_lines(' ', from, a, true);
	(void)put_lines('-', a, a_end, true);
	(void)put_lines('+', b, b_end, true);
	(void)put_lines(' ', a_end, behind, true);
}

/* ---- a file ---- */

static void tell(struct wish *w, const char *path, const struct src_text *src, const char *made,
		 size_t n)
{
	if (n == src->size && memcmp(made, src->text, n) == 0)
		return;
	w->changed++;
	if (w->diff)
		print_diff(path, src, made, n);
	if (w->check && !w->diff)
		text_say(stdout, "%s", path);
	if (w->check || w->diff)
		return;
	if (file_replace(path, made, n, cmd_mode()) < 0)
		failed(w, path, strerrordesc_np(errno));
	else
		text_say(stdout, "%s", path);
}

static void fmt_file(void *arg, const char *path)
{
	const bool is_stdin = strcmp(path, "-") == 0;
	struct source *s = calloc(1, sizeof(*s));
	struct wish *w = arg;
	struct arena a = { 0 };
	struct diags d = { 0 };
	const char *why = NULL;
	char *made = NULL;
	size_t n = 0;
	bool good;

	if (s == NULL) {
		failed(w, path, "no memory");
		return;
	}
	good = source_read(s, path, &a, &d) == 0;
	if (good)
		(void)source_parse(s, &a, &d);
	good = good && d.total == 0;
	diags_print(stderr, &d, colour_wanted(stderr));
	if (!good && !s->unreadable)
		w->status = CMD_MANIFEST;
	else if (!good && w->status == CMD_DONE)
		w->status = CMD_FAILED;
	else if (good)
		made = fmt_text(&s->src, &n, &why);
	if (made == NULL && good)
		skipped(w, path, why != NULL ? why : "no memory");
	else if (made != NULL && is_stdin && !w->check && !w->diff)
		(void)fwrite(made, 1, n, stdout);
	else if (made != NULL)
		tell(w, path, &s->src, made, n);
	free(made);
	diags_fini(&d);
	arena_fini(&a);
	free(s);
}

static int run(int argc, char **argv)
{
	struct wish w = { .status = CMD_DONE };
	const struct opt opts[] = { { .name = "check", .flag = &w.check },
				    { .name = "diff", .flag = &w.diff } };
	const int n = cmd_options(&verb_fmt, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	const struct scan_sink sink = {
		.arg = &w, .file = fmt_file, .skipped = skipped, .failed = failed, .bases = true
	};
	struct stat st;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n == 0)
		return cmd_usage(&verb_fmt, "which file or directory?");
	for (int i = 1; i <= n; i++) {
		if (strcmp(argv[i], "-") != 0 && stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			scan_manifests(argv[i], &sink);
		else
			fmt_file(&w, argv[i]);
	}
	if (cmd_flush() != CMD_DONE)
		return CMD_FAILED;
	return w.status == CMD_DONE && w.check && w.changed > 0 ? CMD_FAILED : w.status;
}

const struct verb verb_fmt = {
	.name = "fmt",
	.args = "[--check] [--diff] FILE|DIR...",
	.summary = "write manifests in one form",
	.help = "Indented by two blanks, one blank where YAML wants one, comments behind values "
		"one\n"
		"under the other, quotes only where some reader of YAML needs them, one empty "
		"line\n"
		"for several. The order of keys, comments and texts of several lines stay: before "
		"a\n"
		"file is written, both are read, and must say the same. Names of files that "
		"change\n"
		"are printed. FILE - is standard input, and goes to standard output. A file is\n"
		"replaced by a new one, with its mode.\n"
		"\n"
		"  --check  change nothing; status 1 when something would change\n"
		"  --diff   change nothing; print what would change\n"
		"\n"
		"exit status: 0 done; 1 --check has found something, or a file cannot be read or\n"
		"written; 2 one is not YAML\n",
	.run = run,
};
