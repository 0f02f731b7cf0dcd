/*
 * Health answers: whatever a region sends, the report is well formed, and asking it changes nothing.
 */
#include "fuzz.h"
#include "health_report_priv.h"

static void check_name(const char name[ISO_DEPENDENCY_NAME])
{
	MUST(memchr(name, '\0', ISO_DEPENDENCY_NAME) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iso_health_report report;

	iso_health_parse(iso_slice((const char *)data, size),
			 (struct iso_health_clock){ UINT64_C(1800000000000000), 60000000 }, &report);
	(void)iso_health_is_json(iso_slice((const char *)data, size));
	MUST(report.n <= ISO_DEPENDENCIES_SHOWN && report.affected_count <= ISO_AFFECTED_MAX);
	MUST(report.error == NULL || report.n == 0 || report.stale);
	for (uint32_t i = 0; i < report.n; i++) {
		const struct iso_dependency *d = &report.v[i];

		check_name(d->name);
		check_name(d->id);
		MUST(d->state <= ISO_DEPENDENCY_FAIL);
		MUST(iso_health_state_of(&report, iso_slice_str(d->name)) >= d->state);
	}
	for (uint32_t i = 0; i < report.affected_count; i++) {
		struct iso_affected one = { .refs = 1, .n = 1 };

		MUST(report.affected[i].path[0] == '/' && report.affected[i].state > ISO_DEPENDENCY_PASS);
		MUST(memchr(report.affected[i].path, '\0', ISO_AFFECTED_PATH) != NULL);
		memcpy(one.v[0].path, report.affected[i].path, ISO_AFFECTED_PATH);
		one.v[0].state = report.affected[i].state;
		(void)iso_affected_state(&one, iso_slice((const char *)data, size));
	}
	return 0;
}
