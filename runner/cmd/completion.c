/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.c - sill completion: scripts for shells, and the words that they ask for.
 *
 * The scripts know nothing of the verbs: they ask `sill completion --of -- WORD...`, where the last word is the one
 * that is being typed. Verbs, options and operands come from what the verbs say of themselves.
 */
#include "runner/cmd/cmd.h"

#include <ctype.h>
#include <string.h>

#include "runner/cmd/verbs.h"
#include "runner/host/rundir.h"
#include "runner/manifest/describe.h"
#include "runner/report/text.h"

enum { WHAT_ROOM = 96 };

/* One question, and where it stands. */
struct ask {
	const struct verb *v; /* NULL: not known yet */
	const char *typed;    /* begins what is looked for */
	const char *value_of; /* the option whose value it is, by name; in the loop over options */
	bool takes_value;     /* that option has one */
	unsigned operands;    /* before @typed */
};

static void offer(const struct ask *a, const char *word, const char *what)
{
	if (strncmp(word, a->typed, strlen(a->typed)) == 0)
		(void)printf("%s\t%s\n", word, what != NULL ? what : "");
}

/* --- options --- */

/* What the help says of an option: what is behind two spaces in the line that names it first, or else the next line. */
static const char *told_of(const struct verb *v, const char *option, char what[WHAT_ROOM])
{
	const size_t len = strlen(option);
	const char *line = v->help, *end, *p;

	what[0] = '\0';
	for (; line != NULL && *line != '\0'; line = *end == '\n' ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		p = strstr(line, option);
		if (strncmp(line, "  -", 3) != 0 || p == NULL || p >= end || isalnum(p[len]) ||
		    p[len] == '-')
			continue;
		p = strstr(line + 2, "  ");
		if (p == NULL || p >= end) { /* it begins in the next line */
			p = end + (*end == '\n');
			end = p + strcspn(p, "\n");
		}
		p += strspn(p, " ");
		(void)snprintf(what, WHAT_ROOM, "%.*s", (int)(end - p), p);
		break;
	}
	return what;
}

static void offer_option(void *ctx, const struct opt *o)
{
	const struct ask *a = ctx;
	char option[64], what[WHAT_ROOM];

	(void)snprintf(option, sizeof(option), "--%s", o->name);
	offer(a, option, told_of(a->v, option, what));
}

static void has_value(void *ctx, const struct opt *o)
{
	struct ask *a = ctx;
	const bool by_letter = a->value_of[0] == '-' && a->value_of[1] != '-';

	if (o->flag == NULL && (by_letter ? a->value_of[1] == o->letter && a->value_of[2] == '\0'
					  : strcmp(a->value_of + 2, o->name) == 0))
		a->takes_value = true;
}

/* Is what stands behind @word its value? */
static bool wants_value(struct ask *a, const char *word)
{
	if (word[0] != '-' || word[1] == '\0' || strchr(word, '=') != NULL)
		return false;
	a->value_of = word;
	a->takes_value = false;
	cmd_each_option(a->v, has_value, a);
	return a->takes_value;
}

/* --- operands --- */

static void offer_vm(void *ctx, const struct rundir_vm *vm, bool runs)
{
	offer(ctx, vm->name, runs ? "runs" : "has ended");
}

static void offer_key(void *ctx, const char *path, const struct key *row)
{
	(void)row;
	offer(ctx, path, NULL);
}

static void offer_verbs(const struct ask *a)
{
	for (size_t i = 0; verb_table[i] != NULL; i++)
		offer(a, verb_table[i]->name, verb_table[i]->summary);
}

/* Words that stand in the usage line as they are: "bash|zsh|fish". */
static void offer_literals(const struct ask *a, const char *p, size_t n)
{
	char word[32];
	size_t len;

	for (; n > 0; p += len, n -= len) {
		len = strcspn(p, "|");
		len = len < n ? len : n;
		if (len > 0 && len < sizeof(word) && islower(*p)) {
			(void)snprintf(word, sizeof(word), "%.*s", (int)len, p);
			offer(a, word, NULL);
		}
		len += len < n;
	}
}

/* @token has @name as one of its alternatives. */
static bool is_one_of(const char *token, size_t n, const char *name)
{
	const size_t len = strlen(name);

	for (const char *p = token; p + len <= token + n; p++)
		if (strncmp(p, name, len) == 0 && (p == token || p[-1] == '|') && !isupper(p[len]))
			return true;
	return false;
}

static void offer_operand(const struct ask *a, const char *token, size_t n)
{
	static const char *const vms[] = { "NAME", "VM" };
	static const char *const files[] = { "FILE", "TOP",   "BASE",   "IN",
					     "OUT",  "FIRST", "SECOND", "NEW" };
	struct ask of = *a;

	offer_literals(a, token, n);
	for (size_t i = 0; i < sizeof(vms) / sizeof(vms[0]); i++)
		if (is_one_of(token, n, vms[i]))
			rundir_each(offer_vm, &of);
	if (is_one_of(token, n, "KEY"))
		describe_each(offer_key, &of);
	for (size_t i = 0;
	     is_one_of(token, n, "VERB") && a->v->word != NULL && a->v->word(i) != NULL; i++)
		offer(a, a->v->word(i), NULL);
	if (is_one_of(token, n, "VERB") && a->v->word == NULL)
		offer_verbs(a);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (is_one_of(token, n, files[i])) {
			(void)puts(":files");
			return;
		}
	if (is_one_of(token, n, "DIR"))
		(void)puts(":dirs");
}

/* The next operand of a usage line, without what is optional and begins with '-'; its length in *ret_n. */
static const char *next_operand(const char *p, size_t *ret_n)
{
	const char *const line = p;
	int depth;

	for (;;) {
		p += strspn(p, " [].");
		if (p[0] == '\0' || strncmp(p, "| ", 2) == 0)
			return NULL;
		*ret_n = strcspn(p, " ]");
		if (p[0] != '-' && strncmp(p, "OPTION", 6) != 0)
			return p;
		/* "[--name VM]": with its value, which may have brackets of its own. */
		for (depth = p > line && p[-1] == '['; *p != '\0' && (depth > 0 || *p != ' '); p++)
			depth += (*p == '[') - (*p == ']');
	}
}

/* The operand that is being typed; the last one of the line stands for all behind it. */
static void offer_operands(const struct ask *a)
{
	const char *p = a->v->args, *last = NULL, *token;
	size_t n, last_n = 0;

	for (unsigned i = 0; i <= a->operands; i++) {
		token = next_operand(p, &n);
		if (token == NULL)
			break;
		last = token;
		last_n = n;
		p = token + n;
	}
	if (last != NULL)
		offer_operand(a, last, last_n);
}

/* --- the question --- */

/* The verb, or a verb's verb; *i is behind it then. NULL: it is what is being typed, and was offered, or is none. */
static const struct verb *find(const struct ask *a, int count, char **words, int *i)
{
	const struct verb *v;
	size_t of = 0;

	if (count == 1) {
		offer_verbs(a);
		offer(a, "--help", "list the verbs");
		offer(a, "--version", "the version");
		return NULL;
	}
	v = verb_find(words[0]);
	*i = 1;
	if (v == NULL || v->verbs == NULL)
		return v;
	for (; v->verbs[of] != NULL; of++) {
		const char *name = v->verbs[of]->name + strlen(v->name) + 1;

		if (count == 2)
			offer(a, name, v->verbs[of]->summary);
		else if (strcmp(name, words[1]) == 0)
			break;
	}
	*i = 2;
	return count == 2 ? NULL : v->verbs[of];
}

static void answer(int count, char **words)
{
	struct ask a = { .typed = words[count - 1] };
	bool only_operands = false, value = false;
	int i = 0;

	a.v = find(&a, count, words, &i);
	if (a.v == NULL)
		return;
	for (; i < count - 1; i++) {
		if (value || strcmp(words[i], "=") == 0) { /* bash makes three words of --name=vm */
			value = value && strcmp(words[i], "=") == 0;
			continue;
		}
		value = !only_operands && wants_value(&a, words[i]);
		only_operands |= strcmp(words[i], "--") == 0;
		a.operands += words[i][0] != '-';
	}
	if (strcmp(a.typed, "=") == 0)
		a.typed = "";
	if (value && strcmp(a.value_of, "--name") == 0)
		rundir_each(offer_vm, &a);
	else if (value && strcmp(a.value_of, "--color") == 0)
		offer_literals(&a, "auto|always|never", 17);
	else if (value)
		(void)puts(":files");
	else if (a.typed[0] == '-' && !only_operands)
		cmd_each_option(a.v, offer_option, &a);
	else
		offer_operands(&a);
}

static const struct {
	const char *name, *text;
} shells[] = {
	{ "bash", "# completion of sill for bash\n"
		  "_sill() {\n"
		  "\tlocal line cur=${COMP_WORDS[COMP_CWORD]}\n"
		  "\t[ \"$cur\" = = ] && cur=\n"
		  "\tCOMPREPLY=()\n"
		  "\twhile IFS= read -r line; do\n"
		  "\t\tcase $line in\n"
		  "\t\t:files) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < "
		  "<(compgen -f -- \"$cur\") ;;\n"
		  "\t\t:dirs) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < "
		  "<(compgen -d -- \"$cur\") ;;\n"
		  "\t\t*) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
		  "\t\tesac\n"
		  "\tdone < <(\"${COMP_WORDS[0]}\" completion --of -- "
		  "\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
		  "}\n"
		  "complete -F _sill sill\n" },
	{ "zsh", "#compdef sill\n"
		 "_sill() {\n"
		 "\tlocal line kind\n"
		 "\tlocal -a found\n"
		 "\tfor line in \"${(@f)$(\"${words[1]}\" completion --of -- "
		 "\"${(@)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
		 "\t\tcase $line in\n"
		 "\t\t:files|:dirs) kind=$line ;;\n"
		 "\t\t?*) found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
		 "\t\tesac\n"
		 "\tdone\n"
		 "\t(( ${#found} )) && _describe -t words sill found\n"
		 "\t[[ $kind == :files ]] && _files\n"
		 "\t[[ $kind == :dirs ]] && _files -/\n"
		 "\treturn 0\n"
		 "}\n"
		 "if [ \"$funcstack[1]\" = _sill ]; then _sill; else compdef _sill sill; fi\n" },
	{ "fish",
	  "# completion of sill for fish\n"
	  "function __sill_words\n"
	  "\tset -l before (commandline -opc)\n"
	  "\tset -l now (commandline -ct)\n"
	  "\tfor line in ($before[1] completion --of -- $before[2..] \"$now\" 2>/dev/null)\n"
	  "\t\tswitch $line\n"
	  "\t\t\tcase :files\n"
	  "\t\t\t\t__fish_complete_path \"$now\"\n"
	  "\t\t\tcase :dirs\n"
	  "\t\t\t\t__fish_complete_directories \"$now\"\n"
	  "\t\t\tcase '*'\n"
	  "\t\t\t\techo $line\n"
	  "\t\tend\n"
	  "\tend\n"
	  "end\n"
	  "complete -c sill -f -a '(__sill_words)'\n" },
};

static int run(int argc, char **argv)
{
	bool of = false;
	const struct opt opts[] = { { .name = "of", .flag = &of } };
	const int n = cmd_options(&verb_completion, argc, argv, opts, 1);

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (of && n > 0)
		answer(n, &argv[1]);
	if (of)
		return CMD_DONE;
	for (size_t i = 0; n == 1 && i < sizeof(shells) / sizeof(shells[0]); i++)
		if (strcmp(argv[1], shells[i].name) == 0) {
			(void)fputs(shells[i].text, stdout);
			return CMD_DONE;
		}
	return cmd_usage(&verb_completion, n == 1 ? "for bash, zsh or fish" : "for which shell?");
}

const struct verb verb_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.summary = "print a script that completes words for a shell",
	.help = "  bash  . <(sill completion bash)\n"
		"  zsh   . <(sill completion zsh), behind compinit\n"
		"  fish  sill completion fish | source\n"
		"\n"
		"`make install` puts them where the shells look.\n"
		"\n"
		"  --of -- WORD...  what the scripts ask: the words behind `sill`, the last one "
		"being\n"
		"                   typed. A line for each that fits, with what it is behind a "
		"tab; a\n"
		"                   line :files or :dirs says that paths fit too\n",
	.run = run,
};
