/* SPDX-License-Identifier: Apache-2.0 */
/* talk.c - see talk.h. */
#include "runner/gdb/talk.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { VCPUS = SILL_MAX_CPUS };

static const char digits[] = "0123456789abcdef";

/* --- answers --------------------------------------------------------------- */

static enum gdb_then answer(struct gdb_talk *t, const char *text)
{
	t->reply_n = strlen(text);
	memcpy(t->reply, text, t->reply_n);
	return GDB_ANSWERS;
}

static enum gdb_then unknown(struct gdb_talk *t)
{
	return answer(t, "");
}

static enum gdb_then ok(struct gdb_talk *t)
{
	return answer(t, "OK");
}

static enum gdb_then wrong(struct gdb_talk *t)
{
	return answer(t, "E01");
}

/* As the C library of GDB's own targets numbers EFAULT. */
static enum gdb_then no_memory(struct gdb_talk *t)
{
	return answer(t, "E14");
}

/* More of it; what does not fit is left out. */
static void __attribute__((format(printf, 2, 3))) add(struct gdb_talk *t, const char *fmt, ...)
{
	const size_t room = sizeof(t->reply) - t->reply_n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->reply + t->reply_n, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->reply_n += (size_t)n < room ? (size_t)n : room - 1;
}

static void add_hex(struct gdb_talk *t, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n && t->reply_n + 2 <= sizeof(t->reply); i++) {
		t->reply[t->reply_n++] = digits[b[i] >> 4];
		t->reply[t->reply_n++] = digits[b[i] & 15];
	}
}

/* --- questions --------------------------------------------------------------- */

/* A hexadecimal number at *p, which moves behind it. */
static bool number(const char **p, uint64_t *ret)
{
	unsigned count = 0;

	*ret = 0;
	for (; gdb_digit(**p) >= 0; (*p)++, count++) {
		if (count == 16)
			return false;
		*ret = *ret << 4 | (unsigned)gdb_digit(**p);
	}
	return count > 0;
}

static bool word(const char **p, const char *w)
{
	const size_t n = strlen(w);

	if (strncmp(*p, w, n) != 0)
		return false;
	*p += n;
	return true;
}

/* ADDRESS,NUMBER */
static bool two(const char **p, uint64_t *a, uint64_t *b)
{
	return number(p, a) && word(p, ",") && number(p, b);
}

/* @n bytes of hexadecimal digits, to the end, in place. */
static bool bytes(const char *p, size_t n, void *ret)
{
	unsigned char *to = ret;

	for (size_t i = 0; i < n; i++) {
		const int high = gdb_digit(p[2 * i]);
		const int low = high < 0 ? -1 : gdb_digit(p[2 * i + 1]);

		if (low < 0)
			return false;
		to[i] = (unsigned char)(high << 4 | low);
	}
	return p[2 * n] == '\0';
}

/* "-1": all; "0": any, of which @t looks at one. *ret: a vCPU, or -1. */
static bool thread(const struct gdb_talk *t, const char **p, int *ret)
{
	uint64_t n;

	*ret = -1;
	if (word(p, "-1"))
		return true;
	if (!number(p, &n) || n > VCPUS)
		return false;
	*ret = n == 0 ? (int)t->looks_at : (int)n - 1;
	return true;
}

static struct sill_debug_place place(const struct gdb_talk *t, uint64_t address)
{
	return (struct sill_debug_place){ t->physical ? SILL_DEBUG_PHYSICAL : (int)t->looks_at,
					  address };
}

/* --- registers ------------------------------------------------------------------ */

static bool load_block(struct gdb_talk *t)
{
	struct sill_err e = { 0 };

	return sill_debug_get(t->vm, t->looks_at, t->block, t->block_size, &e) == 0;
}

static bool store_block(struct gdb_talk *t)
{
	struct sill_err e = { 0 };

	return sill_debug_set(t->vm, t->looks_at, t->block, t->block_size, &e) == 0;
}

static enum gdb_then all_registers(struct gdb_talk *t)
{
	if (!load_block(t))
		return wrong(t);
	t->reply_n = 0;
	add_hex(t, t->block, t->block_size);
	return GDB_ANSWERS;
}

static enum gdb_then set_registers(struct gdb_talk *t, const char *p)
{
	return bytes(p, t->block_size, t->block) && store_block(t) ? ok(t) : wrong(t);
}

/* Which row has the number, and where in the block it is. */
static const struct sill_debug_register *find_register(const char **p, size_t *ret_off)
{
	unsigned count;
	const struct sill_debug_register *r = sill_debug_registers(&count);
	uint64_t n;

	if (!number(p, &n) || n >= count)
		return NULL;
	*ret_off = 0;
	for (unsigned i = 0; i < n; i++)
		*ret_off += r[i].size;
	return &r[n];
}

static enum gdb_then one_register(struct gdb_talk *t, const char *p)
{
	size_t off;
	const struct sill_debug_register *r = find_register(&p, &off);

	if (r == NULL || *p != '\0' || !load_block(t))
		return wrong(t);
	t->reply_n = 0;
	add_hex(t, t->block + off, r->size);
	return GDB_ANSWERS;
}

static enum gdb_then set_register(struct gdb_talk *t, const char *p)
{
	size_t off;
	const struct sill_debug_register *r = find_register(&p, &off);

	if (r == NULL || r->constant || !word(&p, "=") || !load_block(t) ||
	    !bytes(p, r->size, t->block + off) || !store_block(t))
		return wrong(t);
	return ok(t);
}

static void __attribute__((format(printf, 2, 3))) xml(struct gdb_talk *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->xml + t->xml_n, sizeof(t->xml) - t->xml_n, fmt, ap);
	va_end(ap);
	assert(n > 0 && (size_t)n < sizeof(t->xml) - t->xml_n); /* a test makes it */
	t->xml_n += (size_t)n;
}

/* GDB manual, appendix G.2 "Target Description Format". */
static void describe(struct gdb_talk *t)
{
	unsigned count;
	const struct sill_debug_register *r = sill_debug_registers(&count);
	const char *feature = "";

	xml(t,
	    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
	    "<architecture>%s</architecture>",
	    sill_debug_processor());
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(feature, r[i].feature) != 0) {
			xml(t, "%s<feature name=\"%s\">", i > 0 ? "</feature>" : "", r[i].feature);
			feature = r[i].feature;
			if (strcmp(r[i].type, "vec128") == 0)
				xml(t,
				    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
				    "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
				    "<vector id=\"v16b\" type=\"int8\" count=\"16\"/>"
				    "<vector id=\"v8h\" type=\"int16\" count=\"8\"/>"
				    "<vector id=\"v4w\" type=\"int32\" count=\"4\"/>"
				    "<vector id=\"v2q\" type=\"int64\" count=\"2\"/>"
				    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
				    "<field name=\"v2_double\" type=\"v2d\"/>"
				    "<field name=\"v16_int8\" type=\"v16b\"/>"
				    "<field name=\"v8_int16\" type=\"v8h\"/>"
				    "<field name=\"v4_int32\" type=\"v4w\"/>"
				    "<field name=\"v2_int64\" type=\"v2q\"/>"
				    "<field name=\"uint128\" type=\"uint128\"/></union>");
		}
		xml(t, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>", r[i].name, r[i].size * 8u,
		    r[i].type);
		t->block_size += r[i].size;
	}
	xml(t, "</feature></target>");
	assert(t->block_size <= sizeof(t->block));
}

static enum gdb_then read_description(struct gdb_talk *t, const char *p)
{
	uint64_t off, n;

	if (!two(&p, &off, &n) || *p != '\0' || off > t->xml_n)
		return wrong(t);
	if (n > sizeof(t->reply) - 1)
		n = sizeof(t->reply) - 1;
	if (n > t->xml_n - off)
		n = t->xml_n - off;
	t->reply[0] = off + n < t->xml_n ? 'm' : 'l';
	memcpy(t->reply + 1, t->xml + off, n);
	t->reply_n = 1 + n;
	return GDB_ANSWERS;
}

/* --- memory ------------------------------------------------------------------------ */

static enum gdb_then read_memory(struct gdb_talk *t, const char *p)
{
	unsigned char b[GDB_PACKET / 2];
	struct sill_debug_place at;
	struct sill_err e = { 0 };
	uint64_t address, n;
	int got;

	if (!two(&p, &address, &n) || *p != '\0')
		return wrong(t);
	at = place(t, address);
	got = sill_debug_read(t->vm, &at, b, n < sizeof(b) ? n : sizeof(b), &e);
	if (got < 0)
		return no_memory(t);
	t->reply_n = 0;
	add_hex(t, b, (size_t)got);
	return GDB_ANSWERS;
}

/* ADDRESS,LENGTH:DATA, as digits or, @binary, as it is, to @end. */
static enum gdb_then write_memory(struct gdb_talk *t, const char *p, const char *end, bool binary)
{
	unsigned char b[GDB_PACKET];
	struct sill_debug_place at;
	struct sill_err e = { 0 };
	uint64_t address, n;

	if (!two(&p, &address, &n) || !word(&p, ":") || n > sizeof(b))
		return wrong(t);
	if (binary && n == (uint64_t)(end - p))
		memcpy(b, p, n);
	else if (binary || n * 2 != (uint64_t)(end - p) || !bytes(p, n, b))
		return wrong(t);
	at = place(t, address);
	return n == 0 || sill_debug_write(t->vm, &at, b, n, &e) == 0 ? ok(t) : no_memory(t);
}

/*
 * Z or z: TYPE,ADDRESS,KIND; conditions and commands are the debugger's own to do. The address is linear also while
 * those of memory are physical: it is where the processor stops, and the debugger sets its points anew at each start.
 */
static enum gdb_then point(struct gdb_talk *t, const char *p, bool set)
{
	static const enum sill_debug_point kinds[] = { SILL_DEBUG_SOFT, SILL_DEBUG_HARD,
						       SILL_DEBUG_WRITE, SILL_DEBUG_READ,
						       SILL_DEBUG_ACCESS };
	struct sill_debug_place at;
	struct sill_err e = { 0 };
	uint64_t type, address, size;
	int ret;

	if (!number(&p, &type) || !word(&p, ",") || !two(&p, &address, &size))
		return wrong(t);
	if (type >= SILL_DEBUG_POINTS || kinds[type] == SILL_DEBUG_READ)
		return unknown(t); /* the debugger makes one of ACCESS and of the value */
	at = (struct sill_debug_place){ (int)t->looks_at, address };
	ret = set ? sill_debug_set_point(t->vm, kinds[type], &at, size, &e)
		  : sill_debug_clear_point(t->vm, kinds[type], address, size, &e);
	return ret == 0 ? ok(t) : no_memory(t);
}

/* --- threads ------------------------------------------------------------------------- */

static bool list_vcpus(struct gdb_talk *t, bool present[VCPUS])
{
	struct sill_err e = { 0 };

	return sill_debug_vcpus(t->vm, present, &e) > 0;
}

static enum gdb_then list_threads(struct gdb_talk *t)
{
	bool present[VCPUS];

	if (!list_vcpus(t, present))
		return wrong(t);
	t->reply_n = 0;
	for (unsigned i = 0; i < VCPUS; i++)
		if (present[i])
			add(t, "%c%x", t->reply_n == 0 ? 'm' : ',', i + 1);
	return GDB_ANSWERS;
}

static bool is_there(struct gdb_talk *t, int vcpu)
{
	bool present[VCPUS];

	return vcpu >= 0 && vcpu < VCPUS && list_vcpus(t, present) && present[vcpu];
}

static enum gdb_then is_alive(struct gdb_talk *t, const char *p)
{
	int vcpu;

	return thread(t, &p, &vcpu) && *p == '\0' && is_there(t, vcpu) ? ok(t) : wrong(t);
}

/* Hg: which one is looked at; Hc: which ones s and c are about. */
static enum gdb_then choose_thread(struct gdb_talk *t, const char *p)
{
	const bool goes = *p == 'c';
	int vcpu;

	if (*p != 'c' && *p != 'g')
		return unknown(t);
	p++;
	if (goes && strcmp(p, "0") == 0) { /* any: so all */
		t->goes = -1;
		return ok(t);
	}
	if (!thread(t, &p, &vcpu) || *p != '\0' || (vcpu >= 0 && !is_there(t, vcpu)))
		return wrong(t);
	if (goes)
		t->goes = vcpu;
	else if (vcpu >= 0)
		t->looks_at = (unsigned)vcpu;
	return ok(t);
}

static enum gdb_then thread_name(struct gdb_talk *t, const char *p)
{
	char text[32];
	int vcpu;

	if (!thread(t, &p, &vcpu) || *p != '\0' || !is_there(t, vcpu))
		return wrong(t);
	t->reply_n = 0;
	add_hex(t, text, (size_t)snprintf(text, sizeof(text), "vCPU %d", vcpu));
	return GDB_ANSWERS;
}

/* --- going on -------------------------------------------------------------------------- */

static enum gdb_then run_on(struct gdb_talk *t, const enum sill_debug_act act[VCPUS])
{
	struct sill_err e = { 0 };

	return sill_debug_go(t->vm, act, VCPUS, &e) == 0 ? GDB_RUNS : wrong(t);
}

/* s, c, and with a signal, which is nothing to a guest, S and C. */
static enum gdb_then go_on(struct gdb_talk *t, const char *p, bool step)
{
	enum sill_debug_act act[VCPUS];
	uint64_t signal;

	if (*p != '\0' && !(number(&p, &signal) && *p == '\0'))
		return wrong(t);
	for (int i = 0; i < VCPUS; i++)
		act[i] = t->goes < 0 || t->goes == i ? SILL_DEBUG_GO : SILL_DEBUG_STAY;
	if (step)
		act[t->goes < 0 ? (int)t->looks_at : t->goes] = SILL_DEBUG_GO_STEP;
	return run_on(t, act);
}

/* Each ;ACTION[:THREAD]; the first one that is about a thread counts, and who has none stays. */
static enum gdb_then go_on_as(struct gdb_talk *t, const char *p)
{
	enum sill_debug_act act[VCPUS];
	bool known[VCPUS] = { false };

	for (unsigned i = 0; i < VCPUS; i++)
		act[i] = SILL_DEBUG_STAY;
	while (word(&p, ";")) {
		const char verb = *p != '\0' ? *p++ : '\0';
		int vcpu = -1;
		uint64_t signal;

		if (strchr("cCsS", verb) == NULL || verb == '\0' ||
		    ((verb == 'C' || verb == 'S') && !number(&p, &signal)) ||
		    (word(&p, ":") && !thread(t, &p, &vcpu)))
			return wrong(t);
		for (int i = 0; i < VCPUS; i++) {
			if (known[i] || (vcpu >= 0 && vcpu != i))
				continue;
			known[i] = true;
			act[i] = verb == 's' || verb == 'S' ? SILL_DEBUG_GO_STEP : SILL_DEBUG_GO;
		}
	}
	return *p == '\0' ? run_on(t, act) : wrong(t);
}

/* GDB manual, appendix E.3 "Stop Reply Packets"; 5 is its SIGTRAP, 2 its SIGINT. */
static void tell_stop(struct gdb_talk *t)
{
	const struct sill_debug_stop *s = &t->stop;

	t->reply_n = 0;
	add(t, "T%02x", s->why == SILL_DEBUG_ASKED ? 2u : 5u);
	if (s->why == SILL_DEBUG_POINT && s->point == SILL_DEBUG_SOFT && t->swbreak)
		add(t, "swbreak:;");
	if (s->why == SILL_DEBUG_POINT && s->point == SILL_DEBUG_HARD && t->hwbreak)
		add(t, "hwbreak:;");
	if (s->why == SILL_DEBUG_POINT && s->point == SILL_DEBUG_WRITE)
		add(t, "watch:%llx;", (unsigned long long)s->address);
	if (s->why == SILL_DEBUG_POINT && s->point == SILL_DEBUG_ACCESS)
		add(t, "awatch:%llx;", (unsigned long long)s->address);
	add(t, "thread:%x;", s->vcpu + 1);
}

void gdb_talk_stopped(struct gdb_talk *t, const struct sill_debug_stop *stop)
{
	t->stop = *stop;
	t->looks_at = stop->vcpu;
	tell_stop(t);
}

void gdb_talk_ended(struct gdb_talk *t)
{
	(void)answer(t, "W00");
}

static enum gdb_then last_stop(struct gdb_talk *t)
{
	tell_stop(t);
	return GDB_ANSWERS;
}

/* --- the rest ---------------------------------------------------------------------------- */

static void say(struct gdb_talk *t, const char *text)
{
	t->reply_n = 0;
	add_hex(t, text, strlen(text));
}

/* What a person types after "monitor". */
static enum gdb_then monitor(struct gdb_talk *t, const char *p)
{
	const size_t n = strlen(p) / 2;
	char line[64] = "";

	if (n >= sizeof(line) || !bytes(p, n, line))
		return wrong(t);
	if (strcmp(line, "phys on") == 0 || strcmp(line, "phys off") == 0) {
		t->physical = strcmp(line, "phys on") == 0;
		say(t,
		    t->physical ? "addresses are guest-physical\n" : "addresses are the vCPU's\n");
		return GDB_ANSWERS;
	}
	if (strcmp(line, "reset") == 0) {
		sill_vm_reset(t->vm);
		say(t, "the guest is at its beginning, and software breakpoints are gone; to have "
		       "gdb look: maintenance flush register-cache\n");
		return GDB_RESETS;
	}
	say(t, "reset        the guest's reset button\n"
	       "phys on|off  addresses are guest-physical, or a vCPU's\n");
	return GDB_ANSWERS;
}

static enum gdb_then supported(struct gdb_talk *t, const char *p)
{
	t->swbreak = strstr(p, "swbreak+") != NULL;
	t->hwbreak = strstr(p, "hwbreak+") != NULL;
	t->reply_n = 0;
	add(t,
	    "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+;"
	    "vContSupported+",
	    GDB_PACKET);
	return GDB_ANSWERS;
}

static enum gdb_then query(struct gdb_talk *t, const char *p)
{
	if (word(&p, "Supported"))
		return supported(t, p);
	if (word(&p, "Xfer:features:read:target.xml:"))
		return read_description(t, p);
	if (word(&p, "Xfer:features:read:"))
		return answer(t, "E00"); /* there is no such file */
	if (word(&p, "ThreadExtraInfo,"))
		return thread_name(t, p);
	if (word(&p, "Rcmd,"))
		return monitor(t, p);
	if (strcmp(p, "fThreadInfo") == 0)
		return list_threads(t);
	if (strcmp(p, "sThreadInfo") == 0)
		return answer(t, "l");
	if (strcmp(p, "Attached") == 0)
		return answer(t, "1"); /* so it is left running when the debugger leaves */
	if (strcmp(p, "qemu.PhyMemMode") == 0)
		return answer(t, t->physical ? "1" : "0");
	if (strcmp(p, "C") != 0)
		return unknown(t);
	t->reply_n = 0;
	add(t, "QC%x", t->looks_at + 1);
	return GDB_ANSWERS;
}

static enum gdb_then set(struct gdb_talk *t, const char *p)
{
	if (strcmp(p, "StartNoAckMode") == 0) {
		t->no_ack = true;
		return ok(t);
	}
	if (!word(&p, "qemu.PhyMemMode:"))
		return unknown(t);
	if (strcmp(p, "0") != 0 && strcmp(p, "1") != 0)
		return wrong(t);
	t->physical = *p == '1';
	return ok(t);
}

static enum gdb_then leave(struct gdb_talk *t, enum gdb_then how)
{
	(void)ok(t);
	return how;
}

static enum gdb_then verb(struct gdb_talk *t, const char *p)
{
	if (strcmp(p, "Cont?") == 0)
		return answer(t, "vCont;c;C;s;S");
	if (word(&p, "Cont"))
		return go_on_as(t, p);
	return word(&p, "Kill;") ? leave(t, GDB_KILLS) : unknown(t);
}

void gdb_talk_begin(struct gdb_talk *t, struct sill_vm *vm, const struct sill_debug_stop *stop)
{
	*t = (struct gdb_talk){ .vm = vm, .goes = -1, .stop = *stop, .looks_at = stop->vcpu };
	describe(t);
}

enum gdb_then gdb_talk_packet(struct gdb_talk *t, char *packet, size_t n)
{
	const char *p = packet + 1;

	if (n == 0 || (packet[0] != 'X' && strlen(packet) != n))
		return unknown(t);
	switch (packet[0]) {
	case '?':
		return last_stop(t);
	case 'g':
		return all_registers(t);
	case 'G':
		return set_registers(t, p);
	case 'p':
		return one_register(t, p);
	case 'P':
		return set_register(t, p);
	case 'm':
		return read_memory(t, p);
	case 'M':
	case 'X':
		return write_memory(t, p, packet + n, packet[0] == 'X');
	case 'Z':
	case 'z':
		return point(t, p, packet[0] == 'Z');
	case 'c':
	case 's':
		return *p == '\0' ? go_on(t, p, packet[0] == 's') : wrong(t); /* no address */
	case 'C':
	case 'S':
		return go_on(t, p, packet[0] == 'S');
	case 'H':
		return choose_thread(t, p);
	case 'T':
		return is_alive(t, p);
	case 'q':
		return query(t, p);
	case 'Q':
		return set(t, p);
	case 'v':
		return verb(t, p);
	case 'D':
		return leave(t, GDB_LEAVES);
	case 'k':
		return leave(t, GDB_KILLS);
	default:
		return unknown(t);
	}
}
