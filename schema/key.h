/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h - the manifest's one table.
 *
 * A key of the manifest is one row, in the file of its section. A row is the
 * libcyaml field of the member it fills (sill/config.h) plus what libcyaml
 * does not know. The checker, the value, the JSON Schema, `explain`, the
 * manual and `show` all read these rows: a new key is one row.
 */
#ifndef SCHEMA_KEY_H
#define SCHEMA_KEY_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value is, and so how it is read and checked. */
enum kind {
	KIND_TEXT,       /* min..max bytes of printable text */
	KIND_NAME,       /* text that can be a file name and a word: letters, digits, ._- */
	KIND_UUID,       /* 8-4-4-4-12 hexadecimal digits */
	KIND_UINT,       /* decimal or 0x, min..max */
	KIND_SIZE,       /* bytes, with a unit K M G T (all powers of 1024), min..max */
	KIND_BOOL,       /* on off true false */
	KIND_ENUM,       /* one of field.value.enumeration */
	KIND_FILE_READ,  /* a path: an existing file that can be read */
	KIND_FILE_WRITE, /* a path: a file that will be read and written */
	KIND_PATH,       /* a path: what it must be depends on other keys (rules.c) */
	KIND_MAP,        /* a mapping with the keys of .section */
	KIND_LIST,       /* a sequence of .section mappings, or of .item values */
};

/* What has to happen when only this key differs. The zero value is the safe one. */
enum effect { EFFECT_RECREATE, EFFECT_NEXT_BOOT, EFFECT_HOTPLUG, EFFECT_LIVE };

struct section;

struct key {
	struct cyaml_schema_field field; /* the key's name and its place in the typed struct */
	enum kind kind;
	enum effect effect;
	bool required;
	bool or_off;             /* KIND_SIZE: `off` is a value too, and counts as 0 */
	bool implied;            /* KIND_MAP: there, with its defaults, when not written */
	uint64_t min, max;       /* of the number, the text's length, or the list's length */
	const char *doc;         /* one or more sentences */
	const char *unit;        /* for people: "bytes", "vCPUs" */
	const char *def;         /* the default as it would be written; NULL: none */
	const char *def_windows; /* the default with guest: windows, when another */
	const char *def_note;    /* the default in words, when it depends on something */
	const char *example;     /* a value that is right, in flow style for maps and lists */
	const char *effect_note; /* when .effect does not tell all */
	/*
	 * KIND_NAME: the @index-th of the names there are, NULL after the last. NULL: any name.
	 * KIND_UUID: the words that may stand instead of one.
	 */
	const char *(*names)(size_t index);
	const char *form; /* KIND_TEXT: what it looks like, for who writes a number: "300s or 5m" */
	const char *numbers; /* KIND_UINT: the only values there are, "4 8 16" */
	const char *later;   /* KIND_ENUM: values known but not supported, " a b c " */
	const char *words;   /* KIND_PATH: values that are no paths, " a b c " */
	bool or_port;        /* KIND_PATH: nor is [ADDRESS:]PORT */
	const char
		*match; /* KIND_LIST of maps: the key that tells entries apart; NULL: their place */
	const char *short_key; /* KIND_MAP, KIND_LIST of maps: `x` stands for {short_key: x} */
	bool ranges;           /* KIND_LIST of numbers: "0-3" stands for 0, 1, 2, 3 */
	bool alone;            /* KIND_LIST: `x` stands for [x] */
	const struct section *section; /* KIND_MAP, KIND_LIST of maps */
	const struct key *item;        /* KIND_LIST of values */
};

struct section {
	const char *name; /* the path for people: "cpus.topology"; "" for the root */
	const char *doc;
	const struct key *keys;
	size_t count;
	/* What JSON Schema can say across the keys, as JSON; the rules are rules.c's. */
	const char *schema;
};

/* The rows' common beginnings: the YAML key has the name of the struct's member. */
/* clang-format off */
#define KEY_UINT(type, member) \
	.kind = KIND_UINT, .field = CYAML_FIELD_UINT(#member, CYAML_FLAG_OPTIONAL, type, member)
#define KEY_SIZE(type, member) \
	.kind = KIND_SIZE, .field = CYAML_FIELD_UINT(#member, CYAML_FLAG_OPTIONAL, type, member)
#define KEY_BOOL(type, member) \
	.kind = KIND_BOOL, .field = CYAML_FIELD_BOOL(#member, CYAML_FLAG_OPTIONAL, type, member)
#define KEY_ENUM(type, member, strings) \
	.kind = KIND_ENUM, .field = CYAML_FIELD_ENUM(#member, \
		CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, type, member, strings, \
		CYAML_ARRAY_LEN(strings))
#define KEY_STRING(type, member, k) \
	.kind = (k), .field = CYAML_FIELD_STRING_PTR(#member, \
		CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, type, member, 0, CYAML_UNLIMITED)
#define KEY_MAP(type, member, sect) \
	.kind = KIND_MAP, .section = &(sect), \
	.field = CYAML_FIELD_MAPPING(#member, CYAML_FLAG_OPTIONAL, type, member, NULL)
#define KEY_LIST_OF_MAPS(type, member, sect) \
	.kind = KIND_LIST, .section = &(sect), \
	.field = CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, \
		type, member, NULL, 0, CYAML_UNLIMITED)
#define KEY_LIST(type, member, row) \
	.kind = KIND_LIST, .item = &(row), \
	.field = CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, \
		type, member, &(row).field.value, 0, CYAML_UNLIMITED)
/* clang-format on */

/*
 * A key at the top of a document that says what else belongs to it: gone when there is a value
 * (runner/manifest/compose.c), so it has no row.
 */
struct front_key {
	const char *key;
	const char *type;    /* for people */
	const char *doc;     /* one or more sentences */
	const char *example; /* a value that is right */
	const char *schema;  /* what JSON Schema says of it, as JSON */
};

/* All of them; the last has no key. */
extern const struct front_key front_keys[];
const struct front_key *front_find(const char *key);

extern const struct section root_section;
extern const struct section firmware_section;
extern const struct section cpus_section;
extern const struct section hyperv_section;
extern const struct section memory_section;
extern const struct section memory_zone_section;
extern const struct section disk_section;
extern const struct section disk_backing_section;
extern const struct section disk_rate_limit_section;
extern const struct section net_rx_limit_section;
extern const struct section net_tx_limit_section;
extern const struct section net_section;
extern const struct section serial_section;
extern const struct section serial2_section;
extern const struct section debug_console_section;
extern const struct section console_section;
extern const struct section debug_section;
extern const struct section rng_section;
extern const struct section api_section;
extern const struct section vsock_section;
extern const struct section balloon_section;
extern const struct section platform_section;
extern const struct section ready_section;

/* An entry of `affinity`: a host CPU that the threads of a disk or a network card run on. */
extern const struct key affinity_entry;

/* The values of serial.mode and of the other ports'. */
enum { CHAR_MODE_COUNT = 7 };
extern const cyaml_strval_t char_modes[CHAR_MODE_COUNT];

/* The row of @name in @s, or NULL. */
const struct key *section_find(const struct section *s, const char *name);

/* Is a value of this kind text in memory (char *)? */
bool kind_is_text(enum kind kind);
/* KIND_LIST: how large an entry is in memory. */
size_t key_entry_size(const struct key *row);

/* A number, size, switch or enumeration in memory. */
uint64_t key_number(const struct key *row, const void *at);
void key_set_number(const struct key *row, void *at, uint64_t v);

/* KIND_ENUM: the word of @v, NULL: none; and the value of @word, NULL: it is none. */
const char *key_word(const struct key *row, uint64_t v);
const cyaml_strval_t *key_find_word(const struct key *row, const char *word);

/* Is there nothing at @at, of a value that is not a mapping or a list? Then the key's default holds. */
bool key_is_unset(const struct key *row, const void *at);

/* KIND_PATH: is @text one of the row's words? */
bool key_is_word(const struct key *row, const char *text);

/* "recreate", "next boot", "hotplug" or "live". */
const char *effect_name(enum effect e);

#endif
