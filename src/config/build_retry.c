/*
 * What of a service concerns tries: retry, hedge, throttle, and the marker that says what an answer means.
 */
#include "load_priv.h"
#include "units_priv.h"

static void build_retry(struct iso_load *load, const json_t *object, struct iso_cfg_retry *retry)
{
	retry->attempts = (uint32_t)iso_load_u64(load, object, "services.*.retry.attempts");
	retry->per_try_timeout_us = iso_load_u64(load, object, "services.*.retry.per_try_timeout");
	retry->budget_milli =
		(uint32_t)(iso_load_number(load, object, "services.*.retry.budget") * 1000 + 0.5);
	iso_load_statuses(load, object, "services.*.retry.statuses", &retry->statuses);
	retry->body_limit = iso_load_u64(load, object, "services.*.retry.body_limit");
	retry->refuse_large = iso_load_enum(load, object, "services.*.retry.large_body") == 1;
}

static void build_hedge(struct iso_load *load, const json_t *object, struct iso_cfg_hedge *hedge)
{
	struct iso_slice after = iso_load_text(load, object, "services.*.hedge.after");
	size_t mark;

	hedge->share_milli = (uint32_t)(iso_load_number(load, object, "services.*.hedge.share") * 1000 + 0.5);
	if (object == NULL)
		return; /* a route may hedge all the same */
	mark = iso_pointer_key(&load->at, ISO_SLICE("hedge"));
	if (iso_slice_eq(after, ISO_SLICE("p95")))
		hedge->after = ISO_HEDGE_P95;
	else if (iso_slice_eq(after, ISO_SLICE("p99")))
		hedge->after = ISO_HEDGE_P99;
	else if (iso_unit_duration(after, &hedge->after_us) == ISO_OK)
		hedge->after = ISO_HEDGE_FIXED;
	else
		iso_load_error_in(load, "after", "write `p95`, `p99` or a duration such as `80ms`",
				  "\"%.*s\" says no time", ISO_SLICE_FMT(after));
	iso_pointer_cut(&load->at, mark);
}

static void build_marker(struct iso_load *load, const json_t *object, struct iso_cfg_marker *marker)
{
	struct iso_slice header = iso_load_text(load, object, "services.*.marker.header");
	struct iso_slice secret = iso_load_text(load, object, "services.*.marker.secret");
	size_t mark;

	if (object == NULL)
		return;
	mark = iso_pointer_key(&load->at, ISO_SLICE("marker"));
	if (header.len > 0 && !iso_load_token_ok(header))
		iso_load_error_in(load, "header", "use letters, digits and '-'",
				  "this is no header field's name");
	for (size_t i = 0; i < secret.len; i++) {
		if (secret.ptr[i] > ' ' && secret.ptr[i] <= '~')
			continue;
		iso_load_error_in(load, "secret", "use letters, digits and punctuation, without blanks",
				  "the secret cannot stand in a header field"); /* which is not shown */
		break;
	}
	iso_pointer_cut(&load->at, mark);
	marker->header = iso_load_dup_lower(load, header);
	marker->secret = secret;
}

void iso_load_retry(struct iso_load *load, const json_t *object, struct iso_cfg_service *service)
{
	build_retry(load, iso_load_member(object, "retry"), &service->retry);
	build_hedge(load, iso_load_member(object, "hedge"), &service->hedge);
	service->learn_throttles = iso_load_bool(load, iso_load_member(object, "throttle"),
						 "services.*.throttle.learn");
	build_marker(load, iso_load_member(object, "marker"), &service->marker);
}
