/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ems.c - a serial port to which a guest writes anything that may look like a bug check.
 *
 * Input: the first byte says how many bytes come at a time; the rest is what comes. What is understood does not
 * depend on that; it is bounded, and clean.
 */
#include <assert.h>
#include <string.h>

#include "backend/serial/ems.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sill_crash *c)
{
	const size_t n = strnlen(c->driver, sizeof(c->driver));

	assert(n < sizeof(c->driver));
	for (size_t i = 0; i < n; i++)
		assert(c->driver[i] > ' ' && c->driver[i] < 0x7f && c->driver[i] != '/');
	assert(c->code <= UINT32_MAX);
	assert(c->has_code || !c->has_parameters);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ems_line whole = { 0 }, pieces = { 0 };
	enum ems_news all, most = EMS_NOTHING;
	unsigned news = 0;
	size_t step;

	if (size < 1)
		return 0;
	step = 1 + data[0];
	all = ems_take(&whole, data + 1, size - 1);
	for (size_t at = 1; at < size; at += step) {
		const enum ems_news more =
			ems_take(&pieces, data + at, size - at < step ? size - at : step);

		news += more != EMS_NOTHING;
		most = more > most ? more : most;
		assert(pieces.n < EMS_LINE);
	}
	assert(news <= 4 && most == all);
	check(&whole.said);
	assert(whole.said.code == pieces.said.code &&
	       whole.said.has_parameters == pieces.said.has_parameters &&
	       strcmp(whole.said.driver, pieces.said.driver) == 0);
	return 0;
}
