/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.c - see elf.h. ELF-64 object file format 1.5; the note is Xen's
 * ELFNOTE 18, PHYS32_ENTRY (xen/include/public/elfnote.h).
 *
 * All numbers of the file are 64 bits at most and are compared in a form that
 * cannot wrap: "off <= size && len <= size - off".
 */
#include "firmware/elf.h"

#include <string.h>

#include "base/le.h"

#define EHDR_SIZE 64u
#define PHDR_SIZE 56u
#define NHDR_SIZE 12u

#define EHDR_MACHINE 18u /* offset */
#define EM_386       3u
#define EM_X86_64    62u

#define PT_LOAD 1u
#define PT_NOTE 4u

#define NOTE_PHYS32_ENTRY 18u

#define MAX_PHDRS      64u        /* ours have up to 8; also bounds the work */
#define MAX_NOTE_BYTES (1u << 20) /* vmlinux has a few hundred bytes */

struct phdr {
	uint32_t type;
	uint64_t off, paddr, filesz, memsz, align;
};

static int bad(struct sill_err *e, const char *why)
{
	return sill_err_set(e, SILL_ERR_MANIFEST, "not a usable ELF image: %s", why);
}

static bool inside(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

bool elf_probe(const void *file, size_t size)
{
	return size >= 4 && memcmp(file, "\177ELF", 4) == 0;
}

static struct phdr phdr_get(const uint8_t *p)
{
	return (struct phdr){ .type = ld32(p),
			      .off = ld64(p + 8),
			      .paddr = ld64(p + 24),
			      .filesz = ld64(p + 32),
			      .memsz = ld64(p + 40),
			      .align = ld64(p + 48) };
}

static bool overlaps(const struct bootfile_segment *a, const struct bootfile_segment *b)
{
	return a->gpa < b->gpa + b->mem_size && b->gpa < a->gpa + a->mem_size;
}

static int add_segment(const struct phdr *ph, size_t size, const struct bootfile_ram *ram,
		       struct elf_image *img, struct sill_err *e)
{
	struct bootfile_segment s = { .file_off = ph->off,
				      .file_size = ph->filesz,
				      .gpa = ph->paddr,
				      .mem_size = ph->memsz };

	if (ph->memsz == 0)
		return 0;
	if (ph->filesz > ph->memsz)
		return bad(e, "a segment is larger in the file than in memory");
	if (!inside(ph->off, ph->filesz, size))
		return bad(e, "a segment goes beyond the end of the file");
	if (ph->paddr < ram->start || !inside(ph->paddr, ph->memsz, ram->end))
		return sill_err_set(
			e, SILL_ERR_MANIFEST,
			"not a usable ELF image: it wants memory at 0x%llx + 0x%llx, the guest has "
			"0x%llx to 0x%llx",
			(unsigned long long)ph->paddr, (unsigned long long)ph->memsz,
			(unsigned long long)ram->start, (unsigned long long)ram->end);
	if (img->segment_count == ELF_MAX_SEGMENTS)
		return bad(e, "too many segments");
	for (unsigned i = 0; i < img->segment_count; i++)
		if (overlaps(&img->segment[i], &s))
			return bad(e, "segments overlap in memory");

	img->segment[img->segment_count++] = s;
	if (img->start > s.gpa)
		img->start = s.gpa;
	if (img->end < s.gpa + s.mem_size)
		img->end = s.gpa + s.mem_size;
	return 0;
}

/* @v rounded up to 4 or 8; @v is below 2^32. */
static uint64_t padded(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* Look for the entry in one note segment. Returns false when the segment is malformed. */
static bool scan_notes(const uint8_t *p, uint64_t n, uint64_t align, uint64_t *entry, bool *found)
{
	while (n >= NHDR_SIZE && !*found) {
		uint64_t name_len = ld32(p), desc_len = ld32(p + 4);
		uint32_t type = ld32(p + 8);
		uint64_t desc = padded(NHDR_SIZE + name_len, align);
		uint64_t next = padded(desc + desc_len, align);

		if (desc > n || desc_len > n - desc)
			return false;
		if (type == NOTE_PHYS32_ENTRY && name_len == 4 &&
		    memcmp(p + NHDR_SIZE, "Xen", 4) == 0) {
			if (desc_len != 4 && desc_len != 8)
				return false;
			*entry = desc_len == 8 ? ld64(p + desc) : ld32(p + desc);
			*found = true;
		}
		if (next > n)
			break; /* the last one may lack its padding */
		p += next;
		n -= next;
	}
	return true;
}

static int set_entry(struct elf_image *img, uint64_t entry, struct sill_err *e)
{
	for (unsigned i = 0; i < img->segment_count; i++) {
		const struct bootfile_segment *s = &img->segment[i];

		if (entry >= s->gpa && entry - s->gpa < s->file_size) {
			img->pvh_entry = (uint32_t)entry; /* below ram->end <= 4 GiB */
			return 0;
		}
	}
	return bad(e, "its entry point is in no segment");
}

static int check_header(const uint8_t *p, size_t size, unsigned *ret_phdrs, uint64_t *ret_phoff,
			struct sill_err *e)
{
	uint64_t phoff;
	unsigned phnum;

	if (size < EHDR_SIZE || !elf_probe(p, size))
		return bad(e, "no ELF header");
	if (p[4] != 2 || p[5] != 1)
		return bad(e, "not 64-bit little-endian");
	if (ld16(p + 54) != PHDR_SIZE)
		return bad(e, "odd program header size");

	phoff = ld64(p + 32);
	phnum = ld16(p + 56);
	if (phnum == 0 || phnum > MAX_PHDRS)
		return bad(e, "no program headers, or too many");
	if (!inside(phoff, (uint64_t)phnum * PHDR_SIZE, size))
		return bad(e, "program headers beyond the end of the file");
	*ret_phdrs = phnum;
	*ret_phoff = phoff;
	return 0;
}

int elf_parse(const void *file, size_t size, const struct bootfile_ram *ram, struct elf_image *ret,
	      struct sill_err *e)
{
	const uint8_t *p = file;
	struct elf_image img = { .start = UINT64_MAX };
	uint64_t phoff = 0, entry = 0;
	unsigned phdrs = 0;
	bool found = false;

	if (check_header(p, size, &phdrs, &phoff, e) < 0)
		return -1;
	for (unsigned i = 0; i < phdrs; i++) {
		struct phdr ph = phdr_get(p + phoff + (size_t)i * PHDR_SIZE);

		if (ph.type == PT_LOAD) {
			if (add_segment(&ph, size, ram, &img, e) < 0)
				return -1;
		} else if (ph.type == PT_NOTE) {
			if (!inside(ph.off, ph.filesz, size) || ph.filesz > MAX_NOTE_BYTES ||
			    !scan_notes(p + ph.off, ph.filesz, ph.align == 8 ? 8 : 4, &entry,
					&found))
				return bad(e, "broken notes");
		}
	}
	if (img.segment_count == 0)
		return bad(e, "nothing to load");
	if (!found && ld16(p + EHDR_MACHINE) != EM_386 && ld16(p + EHDR_MACHINE) != EM_X86_64)
		return bad(e, "it is for another processor");
	if (!found)
		return bad(e, "no Xen PHYS32_ENTRY note (a kernel needs CONFIG_PVH)");
	if (set_entry(&img, entry, e) < 0)
		return -1;
	*ret = img;
	return 0;
}
