/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_import.c - any text as what another program is told of a VM.
 *
 * The first byte chooses the reader; with 0x40 in it that is all, which is quick. Whatever comes of it is a manifest that is right, and the same
 * when it is read again; what does not is refused in words.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "require.h"
#include "runner/import/import.h"
#include "runner/manifest/manifest.h"
#include "runner/report/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int (*const readers[])(struct import *im, const char *text, size_t size) = {
	import_script,
	import_ch_json,
	import_libvirt,
	import_compose,
};

static void check_manifest(struct import *im, size_t i)
{
	json_t *o = NULL;
	char *text = import_finish(im, i, i % 2 == 1 ? "/srv" : NULL, &o);
	struct mfile *f;

	if (text == NULL) {
		require(im->err.msg[0] != '\0');
		im->err = (struct sill_err){ 0 };
		return;
	}
	f = mfile_load_text("/fuzz/vm.yaml", text, strlen(text), NULL);
	require(f != NULL && f->diags.total == 0 && f->count == 1 && json_is_object(o));
	mfile_destroy(f);
	json_decref(o);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct import im = { 0 };
	char *text;

	if (size < 1 || size > 1 << 16 || !import_is_text((const char *)data + 1, size - 1))
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	require(text != NULL);
	if (readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](&im, text, size - 1) < 0) {
		require(im.err.msg[0] != '\0');
	} else if ((data[0] & 0x40) == 0) {
		import_formats(&im, false);
		for (size_t i = 0; i < json_array_size(im.vms); i++)
			check_manifest(&im, i);
	}
	import_fini(&im);
	free(text);
	return 0;
}
