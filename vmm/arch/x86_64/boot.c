/* SPDX-License-Identifier: Apache-2.0 */
/* boot.c - see boot.h. */
#include "arch/x86_64/boot.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arch/x86_64/layout.h"
#include "base/fd.h"
#include "devices/legacy/flash.h"
#include "firmware/bootfile.h"
#include "firmware/pvh.h"

/* Images above this are nobody's firmware or kernel; it bounds the mapping. */
static const uint64_t MAX_IMAGE = 1ull << 30;

/* Read at a time before the VM is there: some tenths of a millisecond. */
static const uint64_t PIECE = 512 << 10;

/* What has been said was said of the file @path; NULL: the caller shows it itself. */
static int name_it(struct sill_err *e, const char *what, const char *path)
{
	if (path != NULL)
		sill_err_wrap(e, "%s %s", what, path);
	return -1;
}

static int file_size(int fd, uint64_t *ret, struct sill_err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return sill_err_sys(e, errno, "look at it");
	if (!S_ISREG(st.st_mode))
		return sill_err_set(e, SILL_ERR_HOST, "is not a regular file");
	if (st.st_size <= 0)
		return sill_err_set(e, SILL_ERR_HOST, "is empty");
	if ((uint64_t)st.st_size > MAX_IMAGE)
		return sill_err_set(e, SILL_ERR_HOST, "%lld bytes: more than 1 GiB",
				    (long long)st.st_size);
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* A firmware image without an ELF header is the top of the address space. */
static int open_flash(struct boot *b, const uint8_t *map, struct sill_err *e)
{
	if (!sill_check_flash(b->image_size)) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "%llu bytes: neither a flash image of a multiple of 4 KiB up to "
				   "16 MiB nor an ELF file",
				   (unsigned long long)b->image_size);
		return sill_err_hint(e, "the file may be truncated; Debian's is "
					"/usr/share/OVMF/OVMF_CODE_4M.fd (apt install ovmf)");
	}
	b->door = BOOT_FLASH;
	b->flash = map;
	return 0;
}

static int classify(struct boot *b, const uint8_t *map, uint64_t low_end, struct sill_err *e)
{
	const struct bootfile_ram ram = { .start = LAYOUT_HIGH_RAM, .end = low_end };

	if (elf_probe(map, b->image_size)) {
		b->door = BOOT_ELF;
		return elf_parse(map, b->image_size, &ram, &b->elf, e);
	}
	if (b->firmware)
		return open_flash(b, map, e);
	if (!bzimage_probe(map, b->image_size))
		return bootfile_refuse(map, b->image_size, e);
	b->door = BOOT_BZIMAGE;
	return bzimage_parse(map, b->image_size, &ram, &b->bzimage, e);
}

static int open_image(struct boot *b, uint64_t low_end, struct sill_err *e)
{
	void *map;

	if (file_size(b->image_fd, &b->image_size, e) < 0)
		return -1;
	map = mmap(NULL, b->image_size, PROT_READ, MAP_PRIVATE, b->image_fd, 0);
	if (map == MAP_FAILED)
		return sill_err_sys(e, errno, "map it");
	if (classify(b, map, low_end, e) < 0) {
		b->flash = NULL;
		(void)munmap(map, b->image_size);
		return -1;
	}
	if (b->door != BOOT_FLASH)
		(void)munmap(map, b->image_size);
	return 0;
}

/* At the very top of low RAM, or as high as the kernel can take it, page-aligned. */
static int place_initramfs(const struct boot *b, uint64_t low_end, uint64_t *ret_gpa,
			   struct sill_err *e)
{
	uint64_t end = low_end, start = b->elf.end;

	if (b->door == BOOT_BZIMAGE) {
		if (b->bzimage.initrd_end_max < end)
			end = b->bzimage.initrd_end_max;
		start = b->bzimage.end;
	}
	if (bootfile_place_top(start, end, b->initramfs_size, ret_gpa, e) == 0)
		return 0;
	sill_err_wrap(e, "%llu MiB in %llu MiB of memory",
		      (unsigned long long)(b->initramfs_size >> 20),
		      (unsigned long long)(low_end >> 20));
	return end == low_end && low_end < LAYOUT_LOW_RAM_MAX
		       ? sill_err_hint(e, "raise memory.size")
		       : -1;
}

static int open_initramfs(struct boot *b, uint64_t low_end, struct sill_err *e)
{
	uint64_t gpa;

	if (file_size(b->initramfs_fd, &b->initramfs_size, e) < 0)
		return -1;
	return b->door == BOOT_FLASH ? 0 : place_initramfs(b, low_end, &gpa, e);
}

static int take_cmdline(struct boot *b, const char *cmdline, struct sill_err *e)
{
	const size_t len = cmdline != NULL ? strlen(cmdline) : 0;
	const size_t most = b->door == BOOT_BZIMAGE && b->bzimage.cmdline_max < SILL_CMDLINE_MAX
				    ? b->bzimage.cmdline_max
				    : SILL_CMDLINE_MAX - 1;

	if (len == 0)
		return 0;
	if (len > most)
		return sill_err_set(e, SILL_ERR_LIMIT, "%zu bytes long: this kernel takes %zu", len,
				    most);
	b->cmdline = strdup(cmdline);
	return b->cmdline != NULL ? 0 : sill_err_sys(e, ENOMEM, "cmdline");
}

int boot_open(struct boot *b, const struct sill_config *c, struct sill_files *files,
	      uint64_t low_end, enum sill_boot_part *ret_part, struct sill_err *e)
{
	const bool firmware = sill_files_find(files, SILL_FILE_CODE, NULL, 0) != NULL;

	*ret_part = SILL_BOOT_IMAGE;
	*b = (struct boot){
		.firmware = firmware,
		.image_fd = sill_files_take(files, firmware ? SILL_FILE_CODE : SILL_FILE_KERNEL,
					    NULL, 0),
		.initramfs_fd = sill_files_take(files, SILL_FILE_INITRAMFS, NULL, 0),
	};
	if (b->image_fd < 0) {
		(void)sill_err_set(e, SILL_ERR_MANIFEST, "there is neither firmware nor a kernel");
		goto fail;
	}
	if (open_image(b, low_end, e) < 0) {
		(void)name_it(e, firmware ? "firmware" : "kernel",
			      firmware ? c->firmware.code : c->kernel);
		goto fail;
	}
	*ret_part = SILL_BOOT_INITRAMFS;
	if (b->initramfs_fd >= 0 && open_initramfs(b, low_end, e) < 0) {
		(void)name_it(e, "initramfs", c->initramfs);
		goto fail;
	}
	*ret_part = SILL_BOOT_CMDLINE;
	if (take_cmdline(b, c->cmdline, e) < 0) {
		if (c->kernel != NULL)
			sill_err_wrap(e, "cmdline");
		goto fail;
	}
	return 0;

fail:
	boot_close(b);
	return -1;
}

int boot_check_vars(const struct boot *b, int fd, uint64_t *ret_size, struct sill_err *e)
{
	struct stat st;

	if (b->door != BOOT_FLASH)
		return sill_err_set(e, SILL_ERR_MANIFEST,
				    "this firmware is no flash image: it has no variable store");
	if (fstat(fd, &st) < 0)
		return sill_err_sys(e, errno, "look at it");
	if (st.st_size <= 0 || st.st_size % FLASH_BLOCK != 0 ||
	    (uint64_t)st.st_size > LAYOUT_FLASH_MAX - b->image_size) {
		(void)sill_err_set(
			e, SILL_ERR_HOST,
			"%lld bytes: not a multiple of 4 KiB, or too much to lie below the "
			"firmware",
			(long long)st.st_size);
		return sill_err_hint(e, "start from the template that belongs to firmware.code");
	}
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

void boot_close(struct boot *b)
{
	if (b->flash != NULL)
		(void)munmap((void *)(uintptr_t)b->flash, b->image_size);
	b->flash = NULL;
	fd_close(&b->image_fd);
	fd_close(&b->initramfs_fd);
	free(b->cmdline);
	b->cmdline = NULL;
}

/* Read part of a file straight into guest memory. */
static int read_into(struct gmem *m, uint64_t gpa, int fd, uint64_t off, uint64_t n,
		     struct sill_err *e)
{
	struct gmem_span span = gmem_span_begin(m);
	struct iovec iov[4];
	int ret = 0, count = gmem_span_add(m, gpa, n, true, iov, 4);

	if (count < 0)
		ret = sill_err_set(e, SILL_ERR_LIMIT,
				   "guest memory ends before 0x%llx, which the image needs",
				   (unsigned long long)(gpa + n));
	for (int i = 0; i < count && ret == 0; i++) {
		if (fd_pread_full(fd, iov[i].iov_base, iov[i].iov_len, (off_t)off) < 0)
			ret = sill_err_sys(e, errno, "read the image");
		off += iov[i].iov_len;
	}
	gmem_span_end(m, &span);
	return ret;
}

/* What of the image goes where; door B. */
static const struct bootfile_segment *segments(const struct boot *b, unsigned *ret_count)
{
	*ret_count = b->door == BOOT_ELF ? b->elf.segment_count : 1;
	return b->door == BOOT_ELF ? b->elf.segment : &b->bzimage.kernel;
}

/*
 * Where there is one processor, whoever waits for it gets it between the pieces: KVM's making of the
 * VM, which sleeps most of its time once it has begun.
 */
static int read_in_turn(int fd, uint8_t *to, uint64_t n, uint64_t off)
{
	while (n > 0) {
		const uint64_t piece = n < PIECE ? n : PIECE;

		if (fd_pread_full(fd, to, piece, (off_t)off) < 0)
			return -1;
		(void)sched_yield();
		to += piece;
		off += piece;
		n -= piece;
	}
	return 0;
}

void boot_preload(struct boot *b, uint8_t *ram, uint64_t low_end)
{
	const struct bootfile_segment *s;
	struct sill_err e = { 0 };
	unsigned count;
	uint64_t gpa;

	if (b->door == BOOT_FLASH)
		return;
	b->read_ahead = true;
	s = segments(b, &count);
	for (unsigned i = 0; i < count; i++)
		if (read_in_turn(b->image_fd, ram + s[i].gpa, s[i].file_size, s[i].file_off) < 0)
			return;
	if (b->initramfs_fd >= 0 &&
	    (place_initramfs(b, low_end, &gpa, &e) < 0 ||
	     read_in_turn(b->initramfs_fd, ram + gpa, b->initramfs_size, 0) < 0))
		return;
	b->preloaded = true;
}

void boot_forget(struct boot *b, uint8_t *ram, uint64_t low_end)
{
	const struct bootfile_segment *s;
	struct sill_err e = { 0 };
	unsigned count;
	uint64_t gpa;

	if (!b->read_ahead)
		return;
	s = segments(b, &count);
	for (unsigned i = 0; i < count; i++)
		memset(ram + s[i].gpa, 0, s[i].file_size);
	if (b->initramfs_fd >= 0 && place_initramfs(b, low_end, &gpa, &e) == 0)
		memset(ram + gpa, 0, b->initramfs_size);
	b->read_ahead = b->preloaded = false;
}

static int load_segments(struct boot *b, struct gmem *m, struct sill_err *e)
{
	unsigned count;
	const struct bootfile_segment *s = segments(b, &count);

	for (unsigned i = 0; i < count; i++) {
		if (read_into(m, s[i].gpa, b->image_fd, s[i].file_off, s[i].file_size, e) < 0)
			return -1;
		if (s[i].mem_size > s[i].file_size &&
		    gmem_zero(m, s[i].gpa + s[i].file_size, s[i].mem_size - s[i].file_size) < 0)
			return sill_err_set(e, SILL_ERR_LIMIT,
					    "guest memory is too small for the "
					    "image");
	}
	return 0;
}

static int load_initramfs(struct boot *b, struct gmem *m, const struct boot_tables *t,
			  uint64_t *ret_gpa, struct sill_err *e)
{
	if (place_initramfs(b, t->low_end, ret_gpa, e) < 0)
		return -1;
	if (b->preloaded)
		return 0;
	return read_into(m, *ret_gpa, b->initramfs_fd, 0, b->initramfs_size, e);
}

static int put(struct gmem *m, uint64_t gpa, const void *p, size_t n, struct sill_err *e)
{
	if (gmem_write(m, gpa, p, n) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "no guest memory at 0x%llx",
				    (unsigned long long)gpa);
	return 0;
}

static int load_tables(struct boot *b, struct gmem *m, const struct boot_tables *t,
		       struct sill_err *e)
{
	/* null, null, flat code, flat data, TSS: the selectors of cpu_enter_flat(). */
	static const uint64_t gdt[] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff,
					0x00008b0000000067 };
	static const uint64_t idt[] = { 0 };

	if (t->acpi_size > LAYOUT_ACPI_END - LAYOUT_ACPI)
		return sill_err_set(e, SILL_ERR_LIMIT, "ACPI tables of %zu bytes", t->acpi_size);
	if (put(m, LAYOUT_BOOT_GDT, gdt, sizeof(gdt), e) < 0 ||
	    put(m, LAYOUT_BOOT_IDT, idt, sizeof(idt), e) < 0 ||
	    put(m, LAYOUT_ACPI, t->acpi, t->acpi_size, e) < 0 ||
	    put(m, LAYOUT_SMBIOS, t->smbios, t->smbios_size, e) < 0)
		return -1;
	if (b->cmdline != NULL)
		return put(m, LAYOUT_CMDLINE, b->cmdline, strlen(b->cmdline) + 1, e);
	return 0;
}

static int enter_elf(struct boot *b, struct gmem *m, const struct boot_tables *t,
		     uint64_t initramfs, struct sill_err *e)
{
	const struct pvh_module module = { .gpa = initramfs, .size = b->initramfs_size };
	const struct pvh_facts f = {
		.gpa = LAYOUT_START_INFO,
		.cmdline_gpa = b->cmdline != NULL ? LAYOUT_CMDLINE : 0,
		.rsdp_gpa = LAYOUT_ACPI,
		.modules = &module,
		.module_count = b->initramfs_size != 0 ? 1 : 0,
		.map = t->map,
	};
	struct buf info;
	int ret;

	buf_init(&info, PVH_MAX_SIZE);
	ret = pvh_build(&f, &info, e);
	if (ret == 0)
		ret = put(m, LAYOUT_START_INFO, info.data, info.size, e);
	buf_fini(&info);
	b->entry.rip = b->elf.pvh_entry;
	b->entry.rbx = LAYOUT_START_INFO;
	return ret;
}

static int enter_bzimage(struct boot *b, struct gmem *m, const struct boot_tables *t,
			 uint64_t initramfs, struct sill_err *e)
{
	const struct bzimage_boot f = {
		.cmdline_gpa = LAYOUT_CMDLINE,
		.cmdline_len = b->cmdline != NULL ? (uint32_t)strlen(b->cmdline) : 0,
		.initrd_gpa = initramfs,
		.initrd_size = b->initramfs_size,
		.rsdp_gpa = LAYOUT_ACPI,
		.map = t->map,
	};
	uint8_t page[BZIMAGE_ZERO_PAGE_SIZE];

	if (bzimage_zero_page(&b->bzimage, &f, page, e) < 0)
		return -1;
	b->entry.rip = b->bzimage.entry;
	b->entry.rsi = LAYOUT_ZERO_PAGE;
	return put(m, LAYOUT_ZERO_PAGE, page, sizeof(page), e);
}

int boot_load(struct boot *b, struct gmem *m, const struct boot_tables *t, struct sill_err *e)
{
	const bool elf = b->door == BOOT_ELF;
	uint64_t initramfs = 0;

	if ((!b->preloaded && load_segments(b, m, e) < 0) || load_tables(b, m, t, e) < 0)
		return -1;
	if (b->initramfs_fd >= 0 && load_initramfs(b, m, t, &initramfs, e) < 0)
		return -1;
	b->read_ahead = b->preloaded = false;
	b->entry = (struct cpu_entry){ .gdt = LAYOUT_BOOT_GDT, .idt = LAYOUT_BOOT_IDT };
	return elf ? enter_elf(b, m, t, initramfs, e) : enter_bzimage(b, m, t, initramfs, e);
}
