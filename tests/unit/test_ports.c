/* SPDX-License-Identifier: Apache-2.0 */
/* test_ports.c - ports 0x61, 0x80, 0x92, 0x402 and reset control. */
#include "kit.h"

#include "devices/legacy/ports.h"
#include "sill/vm.h"

static void open_ports(struct kit *k)
{
	kit_open(k, 0);
	kit_plug(k, &ports_ops, NULL, NO_GSI);
}

static void ports_system_a__resets_on_a_rising_bit_0(void **state)
{
	struct kit k;

	(void)state;
	open_ports(&k);
	assert_int_equal(rd(&k, PORTS_SYSTEM_A, 0, 1), 0x02);
	wr(&k, PORTS_SYSTEM_A, 0, 1, 0x02);
	wr(&k, PORTS_SYSTEM_A, 0, 1, 0xfc);
	assert_int_equal(rd(&k, PORTS_SYSTEM_A, 0, 1), 0);
	assert_int_equal(k.resets, 0);
	wr(&k, PORTS_SYSTEM_A, 0, 1, 0x03);
	wr(&k, PORTS_SYSTEM_A, 0, 1, 0x01);
	assert_int_equal(k.resets, 1);
	wr(&k, PORTS_SYSTEM_A, 0, 1, 0x00);
	wr(&k, PORTS_SYSTEM_A, 0, 1, 0x01);
	assert_int_equal(k.resets, 2);
	dev_reset(k.dev);
	assert_int_equal(rd(&k, PORTS_SYSTEM_A, 0, 1), 0x02);
	kit_close(&k);
}

static void ports_system_b__shows_refresh_timer_2_and_no_nmi(void **state)
{
	unsigned seen = 0;
	struct kit k;

	(void)state;
	open_ports(&k);
	wr(&k, PORTS_SYSTEM_B, 0, 1, 0xff);
	for (unsigned i = 0; i < 8; i++) {
		const unsigned v = (unsigned)rd(&k, PORTS_SYSTEM_B, 0, 1);

		assert_int_equal(v & 0xef, 0x2f);
		seen |= 1u << (v >> 4 & 1);
		vmclock_set(&k.clock, 10000 * (i + 1));
	}
	assert_int_equal(seen, 3);
	wr(&k, PORTS_SYSTEM_B, 0, 1, 0);
	assert_int_equal(rd(&k, PORTS_SYSTEM_B, 0, 1) & 0xef, 0);
	kit_close(&k);
}

static void ports_post__keeps_the_last_codes(void **state)
{
	uint8_t code[PORTS_POST_KEPT];
	struct kit k;

	(void)state;
	open_ports(&k);
	assert_int_equal(ports_post_codes(k.dev, code), 0);
	assert_int_equal(rd(&k, PORTS_POST, 0, 1), 0xff);
	for (unsigned i = 0; i < 1000; i++) {
		wr(&k, PORTS_POST, 0, 1, i & 0xff);
		wr(&k, PORTS_POST, 0, 1, i & 0xff);
		if (i == 2) {
			assert_int_equal(ports_post_codes(k.dev, code), 3);
			assert_memory_equal(code, "\0\1\2", 3);
		}
	}
	assert_int_equal(rd(&k, PORTS_POST, 0, 1), 999 & 0xff);
	assert_int_equal(ports_post_codes(k.dev, code), PORTS_POST_KEPT);
	for (unsigned i = 0; i < PORTS_POST_KEPT; i++)
		assert_int_equal(code[i], (1000 - PORTS_POST_KEPT + i) & 0xff);
	kit_close(&k);
}

static void ports_debug__logs_escaped_lines_a_bounded_number_of_times(void **state)
{
	char *text = NULL;
	size_t n = 0, lines = 0;
	FILE *f = open_memstream(&text, &n);
	struct kit k;

	(void)state;
	assert_non_null(f);
	open_ports(&k);
	assert_int_equal(rd(&k, PORTS_DEBUG, 0, 1), 0xe9);
	sill_log_to(f, LOG_INFO);
	for (const char *p = "unheard\n"; *p != '\0'; p++)
		wr(&k, PORTS_DEBUG, 0, 1, (uint8_t)*p);
	sill_log_to(f, LOG_DEBUG);
	for (const char *p = "Hello\r\n\n\x1b[31mred\n"; *p != '\0'; p++)
		wr(&k, PORTS_DEBUG, 0, 1, (uint8_t)*p);
	for (unsigned i = 0; i < 1000; i++)
		wr(&k, PORTS_DEBUG, 0, 1, 'x');
	wr(&k, PORTS_DEBUG, 0, 1, 'y');
	dev_reset(k.dev); /* what was begun is not lost */
	assert_int_equal(fflush(f), 0);
	assert_null(strstr(text, "unheard"));
	assert_non_null(strstr(text, "chip0: firmware: Hello\n"));
	assert_non_null(strstr(text, "chip0: firmware: \\x1b[31mred\n"));
	assert_non_null(strstr(text, "chip0: firmware: y\n"));

	rewind(f);
	for (unsigned i = 0; i < 30000; i++) {
		wr(&k, PORTS_DEBUG, 0, 1, 'z');
		wr(&k, PORTS_DEBUG, 0, 1, '\n');
	}
	assert_int_equal(fflush(f), 0);
	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	assert_in_range(lines, 10000, 25000);
	sill_log_to(NULL, LOG_INFO);
	kit_close(&k);
	assert_int_equal(fclose(f), 0);
	free(text);
}

static void ports_reset_control__resets_on_a_rising_bit_2(void **state)
{
	static const uint8_t harmless[] = { 0x00, 0x02, 0x08, 0x0a, 0xf3 };
	struct kit k;

	(void)state;
	open_ports(&k);
	for (unsigned i = 0; i < ARRAY_LEN(harmless); i++)
		ports_reset_control_write(k.dev, harmless[i]);
	assert_int_equal(k.resets, 0);
	ports_reset_control_write(k.dev, 0x02);
	ports_reset_control_write(k.dev, 0x06);
	assert_int_equal(k.resets, 1);
	ports_reset_control_write(k.dev, 0x0e); /* no edge */
	assert_int_equal(k.resets, 1);
	dev_reset(k.dev);
	ports_reset_control_write(k.dev, 0x0e);
	assert_int_equal(k.resets, 2);
	dev_reset(k.dev);
	ports_reset_control_write(k.dev, 0x06); /* as OVMF does it */
	assert_int_equal(k.resets, 3);
	dev_reset(k.dev);
	ports_reset_control_write(k.dev, 0x04);
	assert_int_equal(k.resets, 4);
	kit_close(&k);
}

static void ports_io__is_bytes_only(void **state)
{
	struct kit k;

	(void)state;
	open_ports(&k);
	for (unsigned region = 0; region < 4; region++) {
		struct io io = { .size = 2 };

		assert_int_equal(kit_access(&k, region, &io), IO_BAD_SIZE);
	}
	kit_close(&k);
}

static void ports_load__gives_the_same_registers(void **state)
{
	uint8_t code[PORTS_POST_KEPT];
	struct kit a, b;
	uint8_t *saved;
	size_t n;

	(void)state;
	open_ports(&a);
	wr(&a, PORTS_SYSTEM_A, 0, 1, 1);
	wr(&a, PORTS_SYSTEM_B, 0, 1, 3);
	wr(&a, PORTS_POST, 0, 1, 0x11);
	wr(&a, PORTS_POST, 0, 1, 0x22);
	ports_reset_control_write(a.dev, 0x06);
	saved = kit_save(&a, &n);
	open_ports(&b);
	assert_int_equal(kit_load(&b, saved, n), 0);
	assert_int_equal(rd(&b, PORTS_SYSTEM_A, 0, 1), 1);
	assert_int_equal(rd(&b, PORTS_SYSTEM_B, 0, 1) & 0x0f, 3);
	assert_int_equal(ports_post_codes(b.dev, code), 2);
	assert_int_equal(code[1], 0x22);
	ports_reset_control_write(b.dev, 0x06);
	wr(&b, PORTS_SYSTEM_A, 0, 1, 1);
	assert_int_equal(b.resets, 0);
	kit_load_damaged(&b);
	free(saved);
	kit_close(&a);
	kit_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_system_a__resets_on_a_rising_bit_0),
		cmocka_unit_test(ports_system_b__shows_refresh_timer_2_and_no_nmi),
		cmocka_unit_test(ports_post__keeps_the_last_codes),
		cmocka_unit_test(ports_debug__logs_escaped_lines_a_bounded_number_of_times),
		cmocka_unit_test(ports_reset_control__resets_on_a_rising_bit_2),
		cmocka_unit_test(ports_io__is_bytes_only),
		cmocka_unit_test(ports_load__gives_the_same_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
