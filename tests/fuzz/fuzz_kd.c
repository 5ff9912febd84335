/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_kd.c - a kernel debugger's line that carries anything, from either side.
 *
 * Input: the first byte says how many bytes come at a time; the rest is what comes. What is counted does not
 * depend on that, and no more is counted than there can be.
 */
#include <assert.h>
#include <string.h>

#include "backend/serial/kd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_line whole = { 0 }, pieces = { 0 };
	size_t step;

	if (size < 1)
		return 0;
	step = 1 + data[0];
	kd_take(&whole, data + 1, size - 1);
	for (size_t at = 1; at < size; at += step) {
		kd_take(&pieces, data + at, size - at < step ? size - at : step);
		assert(pieces.head_n <= KD_HEAD && pieces.left <= KD_DATA_MAX);
	}
	assert(memcmp(&whole.side, &pieces.side, sizeof(whole.side)) == 0);
	assert(whole.side.bytes == size - 1 && whole.strays == pieces.strays);
	assert(whole.strays + whole.side.breaks + whole.side.packets * KD_HEAD <= size - 1);
	assert((whole.side.packets + whole.side.bad) * KD_HEAD <= size);
	assert(whole.side.resets + whole.side.resends <= whole.side.packets);
	return 0;
}
