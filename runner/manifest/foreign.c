/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.c - a table of names, by the section they are written in. */
#include "runner/manifest/foreign.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/scalar.h"
#include "runner/net/endpoint.h"
#include "runner/net/forwardspec.h"
#include "runner/report/text.h"

/* Names are compared in lower case, without '_' and '-': "maxVcpus" is "max_vcpus". */
struct foreign {
	const char *
		section; /* where they are written; "" for the document; "=key": words for its value */
	const char *names;  /* " a b c " */
	const char *target; /* Sill's key, from the document or (".key") from the section */
	const char *text;   /* instead of a key: what to do, a sentence; beside it: see use() */
};

#define NOT_YET(what) NULL, "Sill has no " what " yet; remove it"

static const struct foreign table[] = {
#define FOREIGN(...) { __VA_ARGS__ },
#include "runner/manifest/foreign.def"
#undef FOREIGN
};

/* The name as the table has it, with a blank at both ends; false when it is too long for any. */
static bool fold(const struct node *key, char dst[40])
{
	size_t n = 0;

	dst[n++] = ' ';
	for (size_t i = 0; i < key->len; i++) {
		const unsigned char ch = (unsigned char)key->text[i];

		if (ch == '_' || ch == '-')
			continue;
		if (n > 36 || !isalnum(ch))
			return false;
		dst[n++] = (char)tolower(ch);
	}
	dst[n++] = ' ';
	dst[n] = '\0';
	return n > 2;
}

static const struct foreign *find(const char *section, const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].section, section) == 0 && strstr(table[i].names, name) != NULL)
			return &table[i];
	}
	return NULL;
}

/* Is @text right for @row, as it stands (@plain), or in quotes? */
static bool is_right_as(const struct key *row, const char *text, bool plain)
{
	struct diags *d = calloc(1, sizeof(*d));
	struct arena a = { 0 };
	struct check c = { .a = &a, .d = d, .dir = "" };
	struct node n = { .type = NODE_SCALAR, .text = text, .len = strlen(text), .plain = plain };

	if (d != NULL && row->section == NULL && row->item == NULL)
		check_value(&c, row, &n, row->field.key);
	arena_fini(&a);
	if (d != NULL)
		diags_fini(d);
	free(d);
	return n.ok;
}

static bool is_right(const struct key *row, const char *text)
{
	return is_right_as(row, text, true);
}

static bool is_mac(const char *text)
{
	uint8_t mac[6];

	return sill_mac_read(text, mac) == 0;
}

static bool is_address(const char *text)
{
	uint32_t address;
	uint8_t prefix;

	return sill_address_read(text, &address, &prefix) == 0;
}

static bool is_address6(const char *text)
{
	uint8_t address[16];

	return sill_address6_read(text, address) == 0;
}

static bool is_forward(const char *text)
{
	struct sill_err unused = { 0 };
	struct forward_spec spec;

	return forward_read(text, &spec, &unused) == 0;
}

static bool is_listen(const char *text)
{
	struct sill_err unused = { 0 };
	struct endpoint at;

	return endpoint_read_listen(text, &at, &unused) == 0;
}

static bool is_connect(const char *text)
{
	struct sill_err unused = { 0 };

	return endpoint_check_connect(text, &unused) == 0;
}

static bool is_server(const char *text)
{
	uint8_t address[16];

	return strcmp(text, "host") == 0 || strcmp(text, "off") == 0 ||
	       inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* What the rules about some keys take. Their rows alone take any text. */
static const struct {
	const char *key; /* or of a list's entries */
	bool (*is)(const char *text);
} forms[] = {
	{ "mac", is_mac },         { "address", is_address }, { "ipv6", is_address6 },
	{ "forward", is_forward }, { "listen", is_listen },   { "connect", is_connect },
	{ "dns", is_server },
};

bool foreign_has_form(const struct key *row, const char *text)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strncmp(row->field.key, forms[i].key, strlen(forms[i].key)) == 0 &&
		    strchr("[", row->field.key[strlen(forms[i].key)]) != NULL)
			return text != NULL && forms[i].is(text);
	return true;
}

bool foreign_is_right_quoted(const struct key *row, const char *text)
{
	return is_right_as(row, text, false) && foreign_has_form(row, text);
}

/* The value that was written, if it will do ("4096" for a size are MiB), or the row's example. */
static void use(char *dst, size_t size, const struct key *row, const struct node *value)
{
	char clean[TEXT_SHORT];
	char mib[TEXT_SHORT + 1];

	(void)snprintf(dst, size, "%s", row->example);
	if (value == NULL || value->type != NODE_SCALAR || value->len == 0 || value->len > 40 ||
	    strlen(text_clean(clean, sizeof(clean), value->text, value->len)) != value->len ||
	    strpbrk(value->text, "'\"{}[],#:&*!|>%@` ") != NULL)
		return;
	/* A word that is none, and that nobody would take for a path. */
	if (key_is_word(row, "on") && !key_is_word(row, clean) && strchr(clean, '/') == NULL)
		return;
	(void)snprintf(mib, sizeof(mib), "%sM", clean);
	if (is_right(row, clean) && foreign_has_form(row, clean))
		(void)snprintf(dst, size, "%s", clean);
	else if (row->kind == KIND_SIZE && is_right(row, mib))
		(void)snprintf(dst, size, "%s", mib);
}

/* What else an entry of the list @row must have, beside @key. */
static const char *entry_needs(const struct key *row, const char *key)
{
	if (strcmp(row->field.key, "disk") == 0)
		return ", format: raw";
	return strcmp(row->field.key, "net") == 0 && strcmp(key, "tap") != 0 ? ", tap: ''" : "";
}

/* "cpus: {boot: 2}" for the target "cpus.boot" in @s; the first row on the way in *ret_row. */
static bool spell(FILE *out, const struct section *s, const char *target, const char *more,
		  const struct node *value, const struct key **ret_row)
{
	bool list = false;
	unsigned depth = 0;

	for (; s != NULL && *target != '\0'; depth++) {
		const int len = (int)strcspn(target, ".[");
		char word[40], text[128];
		const struct key *row;

		(void)snprintf(word, sizeof(word), "%.*s", len, target);
		row = section_find(s, word);
		if (row == NULL)
			return false;
		if (depth == 0)
			*ret_row = row;
		list |= target[len] == '[';
		target += len + (target[len] == '[' ? 2 : 0);
		target += *target == '.';
		(void)fprintf(out, "%s: ", word);
		if (*target != '\0') {
			(void)fputs(list ? "[{" : "{", out);
			s = row->section;
			continue;
		}
		use(text, sizeof(text), row, value);
		(void)fprintf(out, "%s%s%s", text, list ? entry_needs(*ret_row, word) : "", more);
		break;
	}
	for (; depth > 0; depth--)
		(void)fputc('}', out);
	if (list)
		(void)fputc(']', out);
	return true;
}

/* Into the hint of @g. */
static bool hint_line(struct diag *g, const struct section *s, const struct foreign *f,
		      const struct node *value, const struct key **ret_row)
{
	const bool here = f->target[0] == '.' || s == &root_section;
	const char *more = f->text != NULL && f->text[0] == ',' ? f->text : "";
	const struct key *row = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool ok;

	if (out == NULL)
		return false;
	ok = spell(out, f->target[0] == '.' ? s : &root_section, f->target + (f->target[0] == '.'),
		   more, value, &row);
	ok &= fclose(out) == 0;
	/* What is a list or a mapping already may need no more than the name. */
	if (ok && value != NULL && value->type != NODE_SCALAR && here)
		diag_hint(g, "the key is '%s'; for example '%s'", row->field.key, text);
	else if (ok)
		diag_hint(g, "write '%s'%s%s", text, here ? "" : " at the top, ",
			  here ? "" : "as a key of the document");
	free(text);
	if (ok && here)
		*ret_row = row;
	return ok;
}

/* `cpu: 2` is a number of CPUs, `cpu: host` a model. */
static bool is_number_of_cpus(const struct node *value)
{
	return value != NULL && value->type == NODE_SCALAR &&
	       is_right(section_find(&cpus_section, "boot"), value->text);
}

bool foreign_hint(const struct section *s, const struct node *key, const struct node *value,
		  struct diag *g, const struct key **ret_row)
{
	const struct foreign *f;
	char name[40];

	*ret_row = NULL;
	f = fold(key, name) ? find(s->name, name) : NULL;
	if (f == NULL)
		return false;
	if (f->target != NULL && (f->text == NULL || f->text[0] == ',' || is_number_of_cpus(value)))
		return hint_line(g, s, f, value, ret_row);
	diag_hint(g, "%s", f->text);
	return true;
}

const char *foreign_word(const struct key *row, const struct node *value)
{
	const struct foreign *f;
	char where[TEXT_SHORT], word[40];

	(void)snprintf(where, sizeof(where), "=%s", row->field.key);
	f = fold(value, word) ? find(where, word) : NULL;
	return f != NULL ? f->text : NULL;
}

bool foreign_variable(struct check *c, const struct node *n)
{
	static const struct {
		const char *begin, *end;
	} marks[] = { { "{{", "}}" }, { "$((", "))" }, { "$(", ")" }, { "<%", "%>" },
		      { "%", "%" },   { "@", "@" },    { "$", "" } };
	char buf[TEXT_SHORT], var[TEXT_SHORT];

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		const char *name = n->text + strlen(marks[i].begin), *behind;
		size_t len;

		if (strncmp(n->text, marks[i].begin, strlen(marks[i].begin)) != 0)
			continue;
		name += strspn(name, " .$"); /* "{{ .Values.size }}" */
		len = strspn(name,
			     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.-");
		behind = name + len + strspn(name + len, " ");
		if (len == 0 || isdigit((unsigned char)name[0]) ||
		    strcmp(behind, marks[i].end) != 0)
			continue;
		for (size_t j = len; j > 0; j--) /* the last word: a variable's name has no '.' */
			if (name[j - 1] == '.') {
				name += j;
				len -= j;
				break;
			}
		if (len == 0 || isdigit((unsigned char)name[0]) || name[0] == '-')
			continue;
		(void)snprintf(var, sizeof(var), "%.*s", (int)len, name);
		if (section_find(&root_section, var) != NULL || strcmp(var, "dir") == 0)
			(void)snprintf(var, sizeof(var), "vm_%.*s", (int)len, name);
		diag_hint(check_fail(c, n, "'%s' is not how a variable is written here",
				     text_clean(buf, sizeof(buf), n->text, n->len)),
			  "write ${%s}, which 'vars: {%s: ...}' says; --set changes it", var, var);
		return true;
	}
	return false;
}
