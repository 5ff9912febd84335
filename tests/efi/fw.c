/* SPDX-License-Identifier: Apache-2.0 */
/* fw.c - see fw.h. UEFI 2.9; the MP services are PI 1.7 volume 2, 13.4. */
#include "fw.h"

#include "cpu.h"
#include "lib.h"
#include "trap.h"

enum { STATE_MAGIC = 0x57494e54, OPTIONS_MAX = 2048 };

/* --- PI: MP services, which gnu-efi does not declare ---------------------- */

typedef void(EFIAPI *ap_procedure)(void *ctx);

struct processor {
	uint64_t id;
	uint32_t status; /* bit 0 boot processor, 1 enabled, 2 healthy */
	uint32_t package, core, thread;
	uint32_t extended[6];
};

struct mp_services {
	EFI_STATUS(EFIAPI *count)(struct mp_services *, UINTN *ret_all, UINTN *ret_enabled);
	EFI_STATUS(EFIAPI *info)(struct mp_services *, UINTN n, struct processor *ret);
	EFI_STATUS(EFIAPI *start_all)
	(struct mp_services *, ap_procedure, BOOLEAN one_by_one, EFI_EVENT, UINTN timeout_us,
	 void *ctx, UINTN **failed);
	EFI_STATUS(EFIAPI *start_one)
	(struct mp_services *, ap_procedure, UINTN n, EFI_EVENT, UINTN timeout_us, void *ctx,
	 BOOLEAN *ret_finished);
	EFI_STATUS(EFIAPI *switch_bsp)(struct mp_services *, UINTN n, BOOLEAN enable_old);
	EFI_STATUS(EFIAPI *enable)(struct mp_services *, UINTN n, BOOLEAN on, UINT32 *health);
	EFI_STATUS(EFIAPI *who_am_i)(struct mp_services *, UINTN *ret);
};

static EFI_GUID mp_guid = {
	0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 }
};
static EFI_GUID state_guid = {
	0x6f1a2f0e, 0x52c1, 0x4c0f, { 0x9a, 0x57, 0x77, 0x69, 0x6e, 0x74, 0x73, 0x74 }
};
static EFI_GUID pci_io_guid = EFI_PCI_IO_PROTOCOL_GUID;
static EFI_GUID image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static EFI_GUID fs_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static EFI_GUID smbios_guid = SMBIOS_TABLE_GUID;
static EFI_GUID smbios3_guid = SMBIOS3_TABLE_GUID;
static CHAR16 state_name[] = L"WintestState";

struct state state;
unsigned cpu_count = 1;
uint32_t cpu_fw_apic_id[MAX_CPUS];

static EFI_HANDLE self;
static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;
static struct mp_services *mp;
static EFI_EVENT mp_done;
static UINTN mp_number[MAX_CPUS]; /* ours to the firmware's */
static char options[OPTIONS_MAX];
static size_t options_size;

/* --- options ------------------------------------------------------------- */

static void options_add(const char *text, size_t n)
{
	if (n >= OPTIONS_MAX - options_size)
		n = OPTIONS_MAX - options_size - 1;
	memcpy(options + options_size, text, n);
	options_size += n;
	if (options_size < OPTIONS_MAX - 1)
		options[options_size++] = '\n';
}

static void options_from_file(void)
{
	static CHAR16 name[] = L"\\wintest.cfg";
	static char text[OPTIONS_MAX / 2];
	EFI_LOADED_IMAGE *image;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *fs;
	EFI_FILE_PROTOCOL *root, *file;
	UINTN n = sizeof(text);

	if (bs->HandleProtocol(self, &image_guid, (void **)&image) != EFI_SUCCESS ||
	    bs->HandleProtocol(image->DeviceHandle, &fs_guid, (void **)&fs) != EFI_SUCCESS ||
	    fs->OpenVolume(fs, &root) != EFI_SUCCESS)
		return;
	if (root->Open(root, &file, name, EFI_FILE_MODE_READ, 0) == EFI_SUCCESS) {
		if (file->Read(file, &n, text) == EFI_SUCCESS)
			options_add(text, n);
		file->Close(file);
	}
	root->Close(root);
}

/* DSP0134: a structure is its formatted area and then strings up to an empty one. */
static void options_from_smbios(void)
{
	static const char prefix[] = "wintest:";
	const uint8_t *e = fw_table(&smbios3_guid), *at, *end;

	if (e != NULL) {
		at = (const uint8_t *)*(const uint64_t *)(e + 16);
		end = at + *(const uint32_t *)(e + 12);
	} else {
		e = fw_table(&smbios_guid);
		if (e == NULL)
			return;
		at = (const uint8_t *)(uint64_t) * (const uint32_t *)(e + 24);
		end = at + *(const uint16_t *)(e + 22);
	}
	while (at + 4 < end && at[0] != 127) {
		const char *s = (const char *)at + at[1];

		for (; *s != '\0'; s += strlen(s) + 1)
			if (at[0] == 11 && strlen(s) > sizeof(prefix) &&
			    memcmp(s, prefix, sizeof(prefix) - 1) == 0)
				options_add(s + sizeof(prefix) - 1, strlen(s) - sizeof(prefix) + 1);
		if (s == (const char *)at + at[1])
			s++; /* no strings: two NULs */
		at = (const uint8_t *)s + 1;
	}
}

bool opt(const char *key, char *ret, size_t size)
{
	size_t n = strlen(key);
	bool found = false;

	/* The last one wins. */
	for (size_t at = 0; at < options_size; at++) {
		const char *v = options + at + n + 1;
		size_t len = 0;

		if ((at > 0 && options[at - 1] != '\n') || memcmp(options + at, key, n) != 0 ||
		    options[at + n] != '=')
			continue;
		while (len < size - 1 && v[len] > ' ')
			len++;
		memcpy(ret, v, len);
		ret[len] = '\0';
		found = true;
	}
	return found;
}

void opt_print(void)
{
	for (size_t at = 0, end; at < options_size; at = end + 1) {
		for (end = at; end < options_size && options[end] != '\n'; end++)
			;
		options[end] = '\0';
		say("option %s", options + at);
		options[end] = '\n';
	}
}

bool opt_is(const char *key, const char *value)
{
	char v[64];

	return opt(key, v, sizeof(v)) && streq(v, value);
}

bool opt_lists(const char *key, const char *word)
{
	char list[128];
	const char *s = list;
	size_t n = strlen(word);

	if (!opt(key, list, sizeof(list)))
		return false;
	for (;;) {
		if (memcmp(s, word, n) == 0 && (s[n] == ',' || s[n] == '\0'))
			return true;
		while (*s != ',' && *s != '\0')
			s++;
		if (*s++ == '\0')
			return false;
	}
}

/* --- memory and tables ---------------------------------------------------- */

void *fw_pages(unsigned count)
{
	EFI_PHYSICAL_ADDRESS at = 0xffffffff;

	if (bs->AllocatePages(AllocateMaxAddress, EfiBootServicesData, count, &at) != EFI_SUCCESS) {
		say("not ok wintest.memory: no %u pages", count);
		fw_reset(DOOR_SHUTDOWN);
	}
	memset((void *)at, 0, (size_t)count * 4096);
	return (void *)at;
}

bool fw_page_at(uint64_t addr)
{
	EFI_PHYSICAL_ADDRESS at = addr;

	return bs->AllocatePages(AllocateAddress, EfiBootServicesData, 1, &at) == EFI_SUCCESS;
}

unsigned fw_memory_map(struct region *ret, unsigned max)
{
	static uint8_t map[64 * 1024];
	UINTN size = sizeof(map), key, step;
	UINT32 version;
	unsigned n = 0;

	if (bs->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)map, &key, &step, &version) !=
	    EFI_SUCCESS)
		return 0;
	for (UINTN at = 0; at + step <= size && n < max; at += step) {
		const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(map + at);

		ret[n].base = d->PhysicalStart;
		ret[n].end = d->PhysicalStart + d->NumberOfPages * 4096;
		ret[n++].type = d->Type;
	}
	return n;
}

const void *fw_table(const EFI_GUID *guid)
{
	for (UINTN i = 0; i < st->NumberOfTableEntries; i++)
		if (memcmp(&st->ConfigurationTable[i].VendorGuid, guid, sizeof(*guid)) == 0)
			return st->ConfigurationTable[i].VendorTable;
	return NULL;
}

void fw_disconnect_pci(unsigned bus, unsigned device, unsigned function)
{
	EFI_HANDLE *handles;
	UINTN n, segment, b, d, f;

	if (bs->LocateHandleBuffer(ByProtocol, &pci_io_guid, NULL, &n, &handles) != EFI_SUCCESS)
		return;
	for (UINTN i = 0; i < n; i++) {
		EFI_PCI_IO_PROTOCOL *io;

		if (bs->HandleProtocol(handles[i], &pci_io_guid, (void **)&io) == EFI_SUCCESS &&
		    io->GetLocation(io, &segment, &b, &d, &f) == EFI_SUCCESS && b == bus &&
		    d == device && f == function)
			(void)bs->DisconnectController(handles[i], NULL, NULL);
	}
	(void)bs->FreePool(handles);
}

/* --- processors ----------------------------------------------------------- */

struct work {
	void (*fn)(unsigned cpu, void *ctx);
	void *ctx;
};

static struct work background;

static void EFIAPI on_ap(void *ctx)
{
	const struct work *w = ctx;
	struct idt_register old;
	UINTN n = 0;

	trap_enter(&old);
	(void)mp->who_am_i(mp, &n);
	for (unsigned cpu = 1; cpu < cpu_count; cpu++)
		if (mp_number[cpu] == n)
			w->fn(cpu, w->ctx);
	trap_leave(&old);
}

void mp_each(void (*fn)(unsigned cpu, void *ctx), void *ctx)
{
	struct work w = { fn, ctx };

	fn(0, ctx);
	if (cpu_count > 1)
		(void)mp->start_all(mp, on_ap, FALSE, NULL, 0, &w, NULL);
}

void mp_on(unsigned cpu, void (*fn)(unsigned cpu, void *ctx), void *ctx)
{
	struct work w = { fn, ctx };

	if (cpu == 0)
		fn(0, ctx);
	else
		(void)mp->start_one(mp, on_ap, mp_number[cpu], NULL, 0, &w, NULL);
}

void mp_start(unsigned cpu, void (*fn)(unsigned cpu, void *ctx), void *ctx)
{
	background = (struct work){ fn, ctx };
	(void)mp->start_one(mp, on_ap, mp_number[cpu], mp_done, 0, &background, NULL);
}

void mp_wait(void)
{
	UINTN index;

	(void)bs->WaitForEvent(1, &mp_done, &index);
}

static void mp_init(void)
{
	UINTN all = 1, enabled = 1;

	mp_number[0] = 0;
	if (bs->LocateProtocol(&mp_guid, NULL, (void **)&mp) != EFI_SUCCESS ||
	    mp->count(mp, &all, &enabled) != EFI_SUCCESS)
		return;
	(void)bs->CreateEvent(0, 0, NULL, NULL, &mp_done);
	for (UINTN n = 0; n < all && cpu_count < MAX_CPUS; n++) {
		struct processor p;

		if (mp->info(mp, n, &p) != EFI_SUCCESS)
			continue;
		if ((p.status & 1) != 0) {
			mp_number[0] = n;
			cpu_fw_apic_id[0] = (uint32_t)p.id;
		} else if ((p.status & 2) != 0) {
			cpu_fw_apic_id[cpu_count] = (uint32_t)p.id;
			mp_number[cpu_count++] = n;
		}
	}
}

/* --- the rest ------------------------------------------------------------- */

enum { NV_BS_RT = 7 };

void fw_state_save(void)
{
	EFI_STATUS s = st->RuntimeServices->SetVariable(state_name, &state_guid, NV_BS_RT,
							sizeof(state), &state);

	if (s != EFI_SUCCESS)
		say("not ok wintest.state: the variable is not written, status %lx", (uint64_t)s);
}

void fw_state_forget(void)
{
	(void)st->RuntimeServices->SetVariable(state_name, &state_guid, NV_BS_RT, 0, NULL);
}

static void state_load(void)
{
	UINTN size = sizeof(state);
	UINT32 attributes;

	if (st->RuntimeServices->GetVariable(state_name, &state_guid, &attributes, &size, &state) !=
		    EFI_SUCCESS ||
	    size != sizeof(state) || state.magic != STATE_MAGIC)
		state = (struct state){ .magic = STATE_MAGIC };
}

void fw_reset(enum exit_door how)
{
	static const EFI_RESET_TYPE type[] = { EfiResetCold, EfiResetWarm, EfiResetShutdown };

	st->RuntimeServices->ResetSystem(type[how], EFI_SUCCESS, 0, NULL);
	say("not ok wintest.reset: ResetSystem came back");
	for (;;)
		__asm__ volatile("cli; hlt");
}

void fw_stall_us(unsigned us)
{
	(void)bs->Stall(us);
}

bool fw_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	self = image;
	st = table;
	bs = table->BootServices;
	(void)bs->SetWatchdogTimer(0, 0, 0, NULL);
	mp_init();
	options_from_file();
	options_from_smbios();
	state_load();
	return true;
}
