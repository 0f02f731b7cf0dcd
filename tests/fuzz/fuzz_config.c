/*
 * Configurations: a text becomes a snapshot, or errors that name their places.
 */
#include "fuzz.h"
#include "iso/config/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iso_snapshot *snapshot = NULL;
	struct iso_diag diag;
	int err;

	MUST(iso_diag_init(&diag, "fuzz.json", 20) == ISO_OK);
	err = iso_config_load_text("fuzz.json", iso_slice((const char *)data, size), &diag, &snapshot);
	MUST((err == ISO_OK) == (snapshot != NULL));
	MUST(err == ISO_OK || err == ISO_ENOMEM || diag.errors > 0);
	iso_snapshot_unref(snapshot);
	iso_diag_done(&diag);
	return 0;
}
