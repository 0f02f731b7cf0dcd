/*
 * The admin API's parts: routing (admin.c), documents (admin_json.c, admin_metrics.c). Thread: control.
 */
#ifndef ISO_ADMIN_ADMIN_PRIV_H
#define ISO_ADMIN_ADMIN_PRIV_H

#include "iso/admin/admin.h"
#include "iso/base/text.h"
#include "iso/server/server.h"

struct iso_admin {
	struct iso_handler handler;
	struct iso_admin_config config;
	uint64_t started_us;
	bool draining;
};

/* Documents, appended to `text`; ISO_OK or ISO_ENOMEM. */
ISO_MUST_USE int iso_admin_status(const struct iso_admin *admin, struct iso_text *text);
ISO_MUST_USE int iso_admin_metrics(const struct iso_admin *admin, struct iso_text *text);
/* NULL: ready; else why not, static. */
const char *iso_admin_not_ready(const struct iso_admin *admin);

#endif
