/*
 * Exposition of the metrics, family by family in the order of the table: HELP, TYPE, then the series. Reads
 * the counters of all threads; each number is printed as it is when its turn comes, and a histogram's count
 * is the sum of its buckets, so that it can never contradict them.
 */
#include "iso/telemetry/prometheus.h"

#include <math.h>
#include <stdio.h>

struct page {
	const struct iso_prometheus_view *view;
	struct iso_text *text;
};

struct label {
	const char *name;
	struct iso_slice value;
};

static void put(struct page *page, const char *bytes, size_t len)
{
	iso_text_add(page->text, iso_slice(bytes, len));
}

static void put_str(struct page *page, const char *str)
{
	put(page, str, strlen(str));
}

/* Backslash and line feed are escaped everywhere, the quote in label values only. */
static void put_escaped(struct page *page, struct iso_slice s, bool quote)
{
	size_t from = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c != '\\' && c != '\n' && !(quote && c == '"'))
			continue;
		put(page, s.ptr + from, i - from);
		put_str(page, c == '\n' ? "\\n" : c == '"' ? "\\\"" : "\\\\");
		from = i + 1;
	}
	if (from < s.len)
		put(page, s.ptr + from, s.len - from);
}

/* name + suffix, the labels, a blank; the value follows. */
static void put_series(struct page *page, enum iso_metric metric, const char *suffix,
		       const struct label *labels, size_t n)
{
	put_str(page, iso_metric_info(metric)->name);
	put_str(page, suffix);
	for (size_t i = 0; i < n; i++) {
		put_str(page, i == 0 ? "{" : ",");
		put_str(page, labels[i].name);
		put_str(page, "=\"");
		put_escaped(page, labels[i].value, true);
		put_str(page, "\"");
	}
	put_str(page, n > 0 ? "} " : " ");
}

static void put_u64(struct page *page, uint64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu\n", (unsigned long long)value);

	put(page, digits, (size_t)n);
}

/* The process never leaves the C locale, so that the decimal point is one. */
static void put_double(struct page *page, double value)
{
	char digits[40];
	int n;

	if (isnan(value)) {
		put_str(page, "NaN\n");
		return;
	}
	if (isinf(value)) {
		put_str(page, value > 0 ? "+Inf\n" : "-Inf\n");
		return;
	}
	/* Whole numbers as such, as far as a double counts exactly. */
	if (fabs(value) <= 9007199254740992.0 && value == (double)(int64_t)value)
		n = snprintf(digits, sizeof(digits), "%lld\n", (long long)value);
	else
		n = snprintf(digits, sizeof(digits), "%.9g\n", value);
	put(page, digits, (size_t)n);
}

static void sum_row(const struct page *page, uint32_t row, struct iso_metrics_sums *ret_sums)
{
	iso_metrics_sum_row(page->view->all, page->view->all_count, row, ret_sums);
}

static bool slot_known(const struct page *page, uint32_t slot)
{
	return page->view->names->slots[slot].service.ptr != NULL &&
	       page->view->names->slots[slot].region.ptr != NULL;
}

/* service and region of a slot as the first two labels. */
static void slot_labels(const struct page *page, uint32_t slot, struct label *ret_labels)
{
	ret_labels[0] = (struct label){ "service", page->view->names->slots[slot].service };
	ret_labels[1] = (struct label){ "region", page->view->names->slots[slot].region };
}

static void put_requests_row(struct page *page, uint32_t row, struct label labels[3])
{
	struct iso_metrics_sums sums;
	char code[8];

	sum_row(page, row, &sums);
	for (unsigned i = 0; i < ISO_METRICS_CODES; i++) {
		int n;

		if (sums.codes[i] == 0)
			continue;
		if (i == ISO_METRICS_CODES - 1)
			n = snprintf(code, sizeof(code), "other");
		else
			n = snprintf(code, sizeof(code), "%u", ISO_METRICS_CODE_MIN + i);
		labels[2] = (struct label){ "code", iso_slice(code, (size_t)n) };
		put_series(page, ISO_METRIC_REQUESTS, "", labels, 3);
		put_u64(page, sums.codes[i]);
	}
}

static void put_requests(struct page *page)
{
	struct label labels[3];

	for (uint32_t slot = 0; slot < ISO_METRICS_SLOTS; slot++) {
		if (!slot_known(page, slot))
			continue;
		slot_labels(page, slot, labels);
		put_requests_row(page, slot, labels);
	}
	labels[1] = (struct label){ "region", ISO_SLICE("") };
	for (uint32_t service = 0; service < ISO_METRICS_SERVICES; service++) {
		labels[0] = (struct label){ "service", page->view->names->services[service] };
		if (labels[0].value.ptr != NULL)
			put_requests_row(page, iso_metrics_service_row(service), labels);
	}
	labels[0] = (struct label){ "service", ISO_SLICE("") };
	put_requests_row(page, iso_metrics_service_row(ISO_METRICS_SERVICES), labels);
}

static void put_attempts(struct page *page)
{
	struct iso_metrics_sums sums;
	struct label labels[3];

	for (uint32_t slot = 0; slot < ISO_METRICS_SLOTS; slot++) {
		if (!slot_known(page, slot))
			continue;
		slot_labels(page, slot, labels);
		sum_row(page, slot, &sums);
		for (size_t i = 0; i < ISO_METRICS_INDICES; i++) {
			const char *outcome = page->view->names->outcomes[i];

			if (outcome == NULL || (sums.outcomes[i] == 0 && strcmp(outcome, "ok") != 0))
				continue;
			labels[2] = (struct label){ "outcome", iso_slice_str(outcome) };
			put_series(page, ISO_METRIC_ATTEMPTS, "", labels, 3);
			put_u64(page, sums.outcomes[i]);
		}
	}
}

static void put_executed(struct page *page)
{
	struct iso_metrics_sums sums;
	struct label labels[3];

	for (uint32_t slot = 0; slot < ISO_METRICS_SLOTS; slot++) {
		if (!slot_known(page, slot))
			continue;
		slot_labels(page, slot, labels);
		sum_row(page, slot, &sums);
		for (size_t i = 0; i < ISO_METRICS_EXECUTED; i++) {
			if (page->view->names->executed[i] == NULL)
				continue;
			labels[2] = (struct label){ "executed",
						    iso_slice_str(page->view->names->executed[i]) };
			put_series(page, ISO_METRIC_EXECUTED, "", labels, 3);
			put_u64(page, sums.executed[i]);
		}
	}
}

/* A family by service and reason: RETRIES or NOT_RETRIED. */
static void put_reasons_row(struct page *page, enum iso_metric metric, uint32_t service,
			    struct iso_slice name)
{
	bool retries = metric == ISO_METRIC_RETRIES;
	const char *const *reasons = retries ? page->view->names->reasons : page->view->names->stays;
	struct label labels[2] = { { "service", name } };
	struct iso_metrics_sums sums;

	sum_row(page, iso_metrics_service_row(service), &sums);
	for (size_t i = 0; i < ISO_METRICS_INDICES; i++) {
		uint64_t n = retries ? sums.retries[i] : sums.stays[i];

		if (reasons[i] == NULL || n == 0)
			continue;
		labels[1] = (struct label){ "reason", iso_slice_str(reasons[i]) };
		put_series(page, metric, "", labels, 2);
		put_u64(page, n);
	}
}

static void put_reasons(struct page *page, enum iso_metric metric)
{
	for (uint32_t service = 0; service < ISO_METRICS_SERVICES; service++)
		if (page->view->names->services[service].ptr != NULL)
			put_reasons_row(page, metric, service, page->view->names->services[service]);
	put_reasons_row(page, metric, ISO_METRICS_SERVICES, ISO_SLICE(""));
}

static void put_histogram(struct page *page, uint32_t slot)
{
	static const char *const bounds[ISO_METRICS_BUCKETS] = {
#define X(us, text) text,
		ISO_METRICS_BOUNDS(X) "+Inf",
#undef X
	};
	struct iso_metrics_sums sums;
	struct label labels[3];
	uint64_t count = 0;
	char seconds[40];
	int n;

	slot_labels(page, slot, labels);
	sum_row(page, slot, &sums);
	for (size_t i = 0; i < ISO_METRICS_BUCKETS; i++) {
		count += sums.buckets[i];
		labels[2] = (struct label){ "le", iso_slice_str(bounds[i]) };
		put_series(page, ISO_METRIC_ATTEMPT_DURATION, "_bucket", labels, 3);
		put_u64(page, count);
	}
	put_series(page, ISO_METRIC_ATTEMPT_DURATION, "_sum", labels, 2);
	n = snprintf(seconds, sizeof(seconds), "%llu.%06llu\n",
		     (unsigned long long)(sums.duration_us / 1000000),
		     (unsigned long long)(sums.duration_us % 1000000));
	put(page, seconds, (size_t)n);
	put_series(page, ISO_METRIC_ATTEMPT_DURATION, "_count", labels, 2);
	put_u64(page, count);
}

static void put_probes(struct page *page, uint32_t slot)
{
	static const char *const results[ISO_PROBE_RESULT_COUNT] = {
#define X(id, text) text,
		ISO_PROBE_RESULT_TABLE(X)
#undef X
	};
	struct iso_metrics_sums sums;
	struct label labels[3];

	slot_labels(page, slot, labels);
	sum_row(page, slot, &sums);
	for (size_t i = 0; i < ISO_PROBE_RESULT_COUNT; i++) {
		if (sums.probes[i] == 0)
			continue;
		labels[2] = (struct label){ "result", iso_slice_str(results[i]) };
		put_series(page, ISO_METRIC_PROBE, "", labels, 3);
		put_u64(page, sums.probes[i]);
	}
}

static void put_each_slot(struct page *page, void (*put_slot)(struct page *page, uint32_t slot))
{
	for (uint32_t slot = 0; slot < ISO_METRICS_SLOTS; slot++)
		if (slot_known(page, slot))
			put_slot(page, slot);
}

static void put_reloads(struct page *page)
{
	static const char *const results[ISO_RELOAD_RESULT_COUNT] = {
#define X(id, text) text,
		ISO_RELOAD_RESULT_TABLE(X)
#undef X
	};

	for (unsigned i = 0; i < ISO_RELOAD_RESULT_COUNT; i++) {
		struct label label = { "result", iso_slice_str(results[i]) };

		put_series(page, ISO_METRIC_RELOADS, "", &label, 1);
		put_u64(page, iso_metrics_sum_reloads(page->view->all, page->view->all_count,
						      (enum iso_reload_result)i));
	}
}

static void put_build_info(struct page *page)
{
	struct label label = { "version", page->view->names->version };

	put_series(page, ISO_METRIC_BUILD_INFO, "", &label, 1);
	put_u64(page, 1);
}

/* A gauge by region, or by region and route: the caller's samples. */
static void put_given(struct page *page, enum iso_metric metric)
{
	for (size_t i = 0; i < page->view->sample_count; i++) {
		const struct iso_prometheus_sample *sample = &page->view->samples[i];
		struct label labels[3] = { { "service", sample->service },
					   { "region", sample->region },
					   { "route", sample->route } };

		if (sample->metric != metric)
			continue;
		put_series(page, metric, "", labels, sample->route.ptr != NULL ? 3 : 2);
		put_double(page, sample->value);
	}
}

/* A family with one label of its own: the caller's samples. */
static void put_labelled(struct page *page, enum iso_metric metric)
{
	for (size_t i = 0; i < page->view->sample_count; i++) {
		const struct iso_prometheus_sample *sample = &page->view->samples[i];
		struct label label = { iso_metric_info(metric)->labels, sample->label };

		if (sample->metric != metric)
			continue;
		put_series(page, metric, "", &label, 1);
		put_double(page, sample->value);
	}
}

/* A family without labels: what was counted and what the caller adds. */
static void put_simple(struct page *page, enum iso_metric metric)
{
	double value = (double)iso_metrics_sum(page->view->all, page->view->all_count, metric);

	for (size_t i = 0; i < page->view->sample_count; i++)
		if (page->view->samples[i].metric == metric)
			value += page->view->samples[i].value;
	put_series(page, metric, "", NULL, 0);
	put_double(page, value);
}

static void put_head(struct page *page, enum iso_metric metric)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	const struct iso_metric_info *info = iso_metric_info(metric);

	put_str(page, "# HELP ");
	put_str(page, info->name);
	put_str(page, " ");
	put_escaped(page, iso_slice_str(info->help), false);
	put_str(page, "\n# TYPE ");
	put_str(page, info->name);
	put_str(page, " ");
	put_str(page, types[info->type]);
	put_str(page, "\n");
}

static void put_family(struct page *page, enum iso_metric metric)
{
	put_head(page, metric);
	switch (metric) {
	case ISO_METRIC_REQUESTS:
		put_requests(page);
		break;
	case ISO_METRIC_ATTEMPTS:
		put_attempts(page);
		break;
	case ISO_METRIC_EXECUTED:
		put_executed(page);
		break;
	case ISO_METRIC_RETRIES:
	case ISO_METRIC_NOT_RETRIED:
		put_reasons(page, metric);
		break;
	case ISO_METRIC_ATTEMPT_DURATION:
		put_each_slot(page, put_histogram);
		break;
	case ISO_METRIC_PROBE:
		put_each_slot(page, put_probes);
		break;
	case ISO_METRIC_REGION_SHARE:
	case ISO_METRIC_REGION_UP:
	case ISO_METRIC_REGION_RTT:
	case ISO_METRIC_ROUTE_SHARE:
	case ISO_METRIC_ROUTE_ESTIMATE:
	case ISO_METRIC_UPSTREAM_CONNECTIONS:
		put_given(page, metric);
		break;
	case ISO_METRIC_CUT:
	case ISO_METRIC_RETRY_BUDGET:
		put_labelled(page, metric);
		break;
	case ISO_METRIC_RELOADS:
		put_reloads(page);
		break;
	case ISO_METRIC_BUILD_INFO:
		put_build_info(page);
		break;
	case ISO_METRIC_DOWNSTREAM_CONNECTIONS:
	case ISO_METRIC_DOWNSTREAM_ACCEPTED:
	case ISO_METRIC_HANDSHAKE_FAILURES:
	case ISO_METRIC_REFUSED:
	case ISO_METRIC_IN_FLIGHT:
	case ISO_METRIC_LOG_DROPPED:
	case ISO_METRIC_EXTRA_EXECUTIONS:
	case ISO_METRIC_HELD:
	case ISO_METRIC_HOLDS_LOST:
	case ISO_METRIC_REPLAY_BYTES:
	case ISO_METRIC_RETRIES_REFUSED:
	case ISO_METRIC_KEYS:
	case ISO_METRIC_KEY_BYTES:
	case ISO_METRIC_KEY_REPLAYS:
	case ISO_METRIC_KEY_CONFLICTS:
	case ISO_METRIC_KEY_MISMATCHES:
	case ISO_METRIC_KEY_EVICTED:
	case ISO_METRIC_KEY_JOURNAL_ERRORS:
		put_simple(page, metric);
		break;
	case ISO_METRIC_COUNT:
		break;
	}
}

int iso_prometheus_write(const struct iso_prometheus_view *view, struct iso_text *text)
{
	struct page page = { .view = view, .text = text };

	for (unsigned metric = 0; metric < ISO_METRIC_COUNT; metric++)
		put_family(&page, (enum iso_metric)metric);
	return iso_text_ok(text);
}
