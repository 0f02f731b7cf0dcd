/*
 * See retry_table.h.
 */
#include "retry_table.h"

#include "iso/aws/classify.h"
#include "iso/policy/safety.h"

/* The requests that the columns speak of. */
enum { POST, KEYED_REGION, KEYED_GLOBAL, IDEMPOTENT, KINDS };

static const char *const kind_names[KINDS] = {
	"not idempotent",
	"key honoured in the region",
	"key honoured everywhere",
	"idempotent",
};

static const char *retry_text(enum iso_retry retry)
{
	return retry == ISO_RETRY_NO ? "no" : retry == ISO_RETRY_ANYWHERE ? "yes" : "same region";
}

static void print_verdicts(FILE *out, struct iso_safety_facts facts)
{
	facts.replayable = true;
	for (int kind = 0; kind < KINDS; kind++) {
		struct iso_verdict verdict;

		facts.key = kind == KEYED_REGION   ? ISO_KEY_REGION
			    : kind == KEYED_GLOBAL ? ISO_KEY_GLOBAL
						   : ISO_KEY_NONE;
		facts.idempotent = kind == IDEMPOTENT;
		iso_safety_judge(&facts, &verdict);
		(void)fprintf(out, " %s |", retry_text(verdict.retry));
	}
	(void)fputs("\n", out);
}

static void print_columns(FILE *out, const char *first)
{
	(void)fprintf(out, "| %s |", first);
	for (int kind = 0; kind < KINDS; kind++)
		(void)fprintf(out, " %s |", kind_names[kind]);
	(void)fputs("\n| --- | --- | --- |", out);
	for (int kind = 0; kind < KINDS; kind++)
		(void)fputs(" --- |", out);
	(void)fputs("\n", out);
}

static enum iso_ending ending_of(enum iso_break how)
{
	switch (how) {
	case ISO_BREAK_CONNECT:
		return ISO_ENDING_CONNECT;
	case ISO_BREAK_TLS:
		return ISO_ENDING_TLS;
	case ISO_BREAK_REFUSED:
		return ISO_ENDING_REFUSED_STREAM;
	case ISO_BREAK_GOAWAY_ABOVE:
		return ISO_ENDING_GOAWAY;
	case ISO_BREAK_GIVEN_UP:
		return ISO_ENDING_TIMEOUT;
	default:
		return ISO_ENDING_RESET;
	}
}

static void print_breaks(FILE *out)
{
	(void)fputs("### No answer\n\n", out);
	print_columns(out, "what happened | of the request was sent | it ran");
	for (int how = 0; how < ISO_BREAK_COUNT; how++) {
		for (int written = 0; written < ISO_WRITTEN_COUNT; written++) {
			struct iso_safety_facts facts = { .ending = ending_of((enum iso_break)how) };
			bool connected = how != ISO_BREAK_CONNECT && how != ISO_BREAK_TLS;

			if (!connected && written > ISO_WRITTEN_NOTHING)
				continue;
			facts.executed = iso_safety_executed((enum iso_break)how, (enum iso_written)written,
							     false);
			(void)fprintf(out, "| %s | %s | %s |", iso_break_text((enum iso_break)how),
				      iso_written_text((enum iso_written)written),
				      iso_executed_text(facts.executed));
			print_verdicts(out, facts);
		}
	}
}

/* The statuses that a file without `retry.statuses` lists. */
static bool is_listed(uint16_t status)
{
	return status == 502 || status == 503 || status == 504;
}

static void print_answer(FILE *out, const char *name, uint16_t status, struct iso_classification c)
{
	struct iso_safety_facts facts = {
		.ending = ISO_ENDING_RESPONSE,
		.executed = c.executed,
		.fault = c.fault,
		.status = status,
		.listed = is_listed(status),
	};

	(void)fprintf(out, "| %s | %s | %s |", name, iso_fault_text(c.fault), iso_executed_text(c.executed));
	print_verdicts(out, facts);
}

/* The status that API Gateway sends with a type unless its owner changes it. */
static uint16_t usual_status(struct iso_slice type)
{
	static const struct {
		const char *type;
		uint16_t status;
	} usual[] = {
		{ "THROTTLED", 429 },
		{ "QUOTA_EXCEEDED", 429 },
		{ "INTEGRATION_TIMEOUT", 504 },
		{ "INTEGRATION_FAILURE", 504 },
		{ "API_CONFIGURATION_ERROR", 500 },
		{ "AUTHORIZER_FAILURE", 500 },
		{ "AUTHORIZER_CONFIGURATION_ERROR", 500 },
		{ "DEFAULT_5XX", 500 },
		{ "UNAUTHORIZED", 401 },
		{ "RESOURCE_NOT_FOUND", 404 },
		{ "UNSUPPORTED_MEDIA_TYPE", 415 },
		{ "REQUEST_TOO_LARGE", 413 },
		{ "BAD_REQUEST_PARAMETERS", 400 },
		{ "BAD_REQUEST_BODY", 400 },
		{ "TooManyRequestsException", 429 },
		{ "LimitExceededException", 429 },
		{ "InternalServerErrorException", 500 },
		{ "UnauthorizedException", 401 },
	};

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (iso_slice_eq(iso_slice_str(usual[i].type), type))
			return usual[i].status;
	return 403;
}

static void print_rows(FILE *out, const struct iso_classify_row *rows, size_t n)
{
	char name[96];

	for (size_t i = 0; i < n; i++) {
		uint16_t status = usual_status(iso_slice_str(rows[i].type));

		(void)snprintf(name, sizeof(name), "`%s` (%u)", rows[i].type, status);
		print_answer(out, name, status, rows[i].c);
	}
}

/* With the gateway's id on it a status proves nothing that a function could say as well. */
static bool print_status(FILE *out, uint16_t status, bool handled)
{
	struct iso_classify_input input = { .status = status, .handled = handled };
	struct iso_classification c = iso_classify(&input);
	char name[40];

	(void)snprintf(name, sizeof(name), "%u%s", status, handled ? " with an id of API Gateway" : "");
	print_answer(out, name, status, c);
	return c.executed == ISO_EXECUTED_NO;
}

static void print_statuses(FILE *out)
{
	static const uint16_t statuses[] = { 200, 400, 401, 403, 404, 409, 421,
					     425, 429, 500, 501, 502, 503, 504 };

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (print_status(out, statuses[i], false))
			(void)print_status(out, statuses[i], true);
}

void retry_table_print(FILE *out)
{
	size_t n;
	const struct iso_classify_row *rows;

	print_breaks(out);
	(void)fputs("\n### An answer with the marker (the usual status in brackets)\n\n", out);
	print_columns(out, "gateway response type | whose fault | it ran");
	rows = iso_classify_by_marker(&n);
	print_rows(out, rows, n);
	(void)fputs("\n### An answer without the marker, by `x-amzn-ErrorType`\n\n", out);
	print_columns(out, "value | whose fault | it ran");
	rows = iso_classify_by_error_type(&n);
	print_rows(out, rows, n);
	(void)fputs("\n### Any other answer, by its status\n\n", out);
	print_columns(out, "status | whose fault | it ran");
	print_statuses(out);
}
