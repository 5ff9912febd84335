/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml.h - writes ACPI Machine Language (ACPI 6.5, chapter 20) into one buffer.
 *
 * AML is prefix code, so everything is appended in the order of the ASL text:
 *
 *	aml_device(a, "COM1");
 *	aml_name_eisa(a, "_HID", "PNP0501");
 *	aml_name_int(a, "_UID", 1);
 *	aml_crs(a);
 *	aml_io(a, 0x3f8, 8);
 *	aml_irq(a, 4);
 *	aml_close(a);
 *	aml_close(a);
 *
 * Every function that says "opens" is ended by aml_close(); the package length
 * is put in then, and nowhere else. Statements are written with aml_code():
 *
 *	aml_method(a, "_STA", 0, AML_PLAIN);
 *	aml_code(a, "Return 0x0F");
 *	aml_close(a);
 *
 * A mistake of the caller (bad name, unknown word, missing close) and a full
 * buffer make the writer "failed"; later calls do nothing; the user asks
 * aml_end() once. Thread: whichever owns the struct.
 */
#ifndef FIRMWARE_AML_H
#define FIRMWARE_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

#define AML_DEPTH 16u /* ours never nest deeper than 7 */

enum aml_block { AML_BLOCK_PLAIN, AML_BLOCK_BUFFER, AML_BLOCK_RESOURCES, AML_BLOCK_PACKAGE };

/* Caller-allocated. */
struct aml {
	struct buf *out; /* borrowed; only appended to */
	bool failed;
	unsigned depth;
	struct {
		size_t off; /* where the package length belongs */
		enum aml_block block;
		unsigned count, want; /* elements of a package */
	} open[AML_DEPTH];
};

void aml_init(struct aml *a, struct buf *out);
/* 0 when nothing failed and everything that was opened is closed; else -1. */
int aml_end(const struct aml *a) MUST_CHECK;
void aml_close(struct aml *a);

/*
 * Names. A @path is as in ASL: "CPUS", "\\_SB.PCI0", "^RT"; segments shorter
 * than four characters are filled with '_'. The functions that open take a
 * printf format for it.
 */
void aml_scope(struct aml *a, const char *path, ...) PRINTF(2, 3);  /* opens */
void aml_device(struct aml *a, const char *path, ...) PRINTF(2, 3); /* opens */

enum aml_method_kind { AML_PLAIN, AML_SERIALIZED };
void aml_method(struct aml *a, const char *path, unsigned args,
		enum aml_method_kind kind); /* opens */

/* Name (path, value) */
void aml_name_int(struct aml *a, const char *path, uint64_t v);
void aml_name_str(struct aml *a, const char *path, const char *s);
/* A compressed EISA id: three capitals and four hexadecimal digits. */
void aml_name_eisa(struct aml *a, const char *path, const char *id);
void aml_name_bytes(struct aml *a, const char *path, const void *p, size_t n);
/* Name (path, Package (n) { ... }): opens; exactly @n elements must follow. */
void aml_name_package(struct aml *a, const char *path, unsigned n);

/* Values, as package elements or operands. */
void aml_int(struct aml *a, uint64_t v);
void aml_str(struct aml *a, const char *s);
void aml_bytes(struct aml *a, const void *p, size_t n);
void aml_package(struct aml *a, unsigned n); /* opens */

/*
 * Statements: the ASL operators in prefix form, words divided by blanks, e.g.
 * "Store Local0 CSEL", "Add Local0 1 Local0", "Notify S05 Arg1". A word is an
 * operator of the table in aml.c, Local0-7, Arg0-6, Zero, One, Ones, a decimal
 * or 0x number, "-" (no target), or a name. After a method's name come its
 * arguments. No check of the number of operands: iasl in tests/acpi does that.
 */
void aml_code(struct aml *a, const char *fmt, ...) PRINTF(2, 3);
void aml_if(struct aml *a, const char *fmt, ...) PRINTF(2, 3); /* opens; the predicate */
void aml_else(struct aml *a); /* opens; right after an If's close */
void aml_while(struct aml *a, const char *fmt, ...) PRINTF(2, 3); /* opens */

void aml_mutex(struct aml *a, const char *path);
void aml_acquire(struct aml *a, const char *path); /* waits for ever */
void aml_release(struct aml *a, const char *path);
/* CreateDWordField (source, byte offset, field) */
void aml_dword_field(struct aml *a, const char *source, unsigned off, const char *field);
void aml_qword_field(struct aml *a, const char *source, unsigned off, const char *field);

enum aml_space { AML_SYSTEM_MEMORY, AML_SYSTEM_IO };
void aml_region(struct aml *a, const char *path, enum aml_space space, uint64_t base, uint64_t len);

enum aml_access { AML_ACC_ANY, AML_ACC_BYTE, AML_ACC_WORD, AML_ACC_DWORD, AML_ACC_QWORD };
enum aml_update { AML_PRESERVE, AML_WRITE_AS_ONES, AML_WRITE_AS_ZEROS };
/* Field (region, access, NoLock, update): opens; only the next two may follow. */
void aml_field(struct aml *a, const char *region, enum aml_access access, enum aml_update update);
void aml_field_bits(struct aml *a, const char *field, unsigned bits);
void aml_field_skip(struct aml *a, unsigned bits);

/*
 * Resource templates: Name (_CRS, ResourceTemplate () { ... }) or another
 * name; opens. The end tag is put in by the close, its checksum 0: "no check"
 * (6.4.2.9), because methods patch our templates; it is also what iasl writes.
 */
void aml_crs(struct aml *a);
void aml_resources(struct aml *a, const char *path);
void aml_io(struct aml *a, uint16_t base, uint8_t len);
void aml_irq(struct aml *a, unsigned irq); /* IRQNoFlags: edge, active high, exclusive */

#define AML_IRQ_EDGE       0x02u /* else level */
#define AML_IRQ_ACTIVE_LOW 0x04u /* else active high */
#define AML_IRQ_SHARED     0x08u /* else exclusive */
/* Extended interrupt, consumer. */
void aml_interrupt(struct aml *a, unsigned flags, uint32_t gsi);
void aml_memory32(struct aml *a, bool writable, uint32_t base, uint32_t len);
/* Address spaces that a bridge produces: fixed [base, base + len), positive decode. */
void aml_bus_range(struct aml *a, uint16_t first, uint16_t count);
void aml_word_io(struct aml *a, uint16_t base, uint32_t len);
void aml_dword_memory(struct aml *a, bool cacheable, uint32_t base, uint32_t len);
void aml_qword_memory(struct aml *a, bool cacheable, uint64_t base, uint64_t len);

#endif
