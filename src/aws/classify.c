/*
 * The table of gateway responses, and the heuristics for when no marker names one.
 */
#include "iso/aws/classify.h"

#define WRONG_NAME                                                                                           \
	"API Gateway refused it: the Host or SNI matches no custom domain, or the stage or base path is wrong"

/* By the marker: certain. */
static const struct iso_classify_row by_marker[] = {
	{ "THROTTLED", { ISO_EXECUTED_NO, ISO_FAULT_THROTTLE, "the region throttles" } },
	{ "QUOTA_EXCEEDED", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, "the client's quota is used up" } },
	{ "INTEGRATION_TIMEOUT", { ISO_EXECUTED_MAYBE, ISO_FAULT_REGION, "the integration timed out" } },
	{ "INTEGRATION_FAILURE", { ISO_EXECUTED_MAYBE, ISO_FAULT_REGION, "the integration failed" } },
	{ "API_CONFIGURATION_ERROR",
	  { ISO_EXECUTED_MAYBE, ISO_FAULT_REGION, "the API's configuration is broken" } },
	{ "AUTHORIZER_FAILURE", { ISO_EXECUTED_NO, ISO_FAULT_REGION, "the authorizer failed" } },
	{ "AUTHORIZER_CONFIGURATION_ERROR",
	  { ISO_EXECUTED_NO, ISO_FAULT_REGION, "the authorizer's configuration is broken" } },
	{ "DEFAULT_5XX", { ISO_EXECUTED_MAYBE, ISO_FAULT_REGION, "the gateway failed" } },
	{ "ACCESS_DENIED", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
	{ "INVALID_API_KEY",
	  { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, "the API key is not valid in this region" } },
	{ "WAF_FILTERED", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
	{ "EXPIRED_TOKEN", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
	{ "INVALID_SIGNATURE",
	  { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, "the signature is not valid in this region" } },
	{ "MISSING_AUTHENTICATION_TOKEN", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, WRONG_NAME } },
	{ "UNAUTHORIZED", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
	{ "RESOURCE_NOT_FOUND", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
	{ "UNSUPPORTED_MEDIA_TYPE", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
	{ "REQUEST_TOO_LARGE", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
	{ "BAD_REQUEST_PARAMETERS", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
	{ "BAD_REQUEST_BODY", { ISO_EXECUTED_NO, ISO_FAULT_CLIENT, NULL } },
};

/* By x-amzn-ErrorType, which a function could forge: never better than "maybe" where that would allow a
 * retry. */
static const struct iso_classify_row by_error_type[] = {
	{ "ForbiddenException", { ISO_EXECUTED_MAYBE, ISO_FAULT_CLIENT, WRONG_NAME } },
	{ "MissingAuthenticationTokenException", { ISO_EXECUTED_MAYBE, ISO_FAULT_CLIENT, WRONG_NAME } },
	{ "TooManyRequestsException", { ISO_EXECUTED_MAYBE, ISO_FAULT_THROTTLE, "the region throttles" } },
	{ "LimitExceededException",
	  { ISO_EXECUTED_MAYBE, ISO_FAULT_CLIENT, "the client's quota is used up" } },
	{ "InternalServerErrorException", { ISO_EXECUTED_MAYBE, ISO_FAULT_REGION, "the gateway failed" } },
	{ "InvalidSignatureException",
	  { ISO_EXECUTED_MAYBE, ISO_FAULT_CLIENT, "the signature is not valid in this region" } },
	{ "UnauthorizedException", { ISO_EXECUTED_MAYBE, ISO_FAULT_CLIENT, NULL } },
	{ "AccessDeniedException", { ISO_EXECUTED_MAYBE, ISO_FAULT_CLIENT, NULL } },
};

static const struct iso_classification *look_up(const struct iso_classify_row *rows, size_t n,
						struct iso_slice type)
{
	for (size_t i = 0; i < n; i++)
		if (iso_slice_eq(iso_slice_str(rows[i].type), type))
			return &rows[i].c;
	return NULL;
}

static struct iso_classification by_status(uint16_t status, bool handled)
{
	enum iso_executed refused = handled ? ISO_EXECUTED_MAYBE : ISO_EXECUTED_NO;

	switch (status) {
	case 421:
		return (struct iso_classification){ refused, ISO_FAULT_REGION, WRONG_NAME };
	case 425:
		return (struct iso_classification){ refused, ISO_FAULT_APPLICATION, NULL };
	case 429:
		return (struct iso_classification){ ISO_EXECUTED_MAYBE, ISO_FAULT_THROTTLE,
						    "the region throttles" };
	case 500:
		return (struct iso_classification){ ISO_EXECUTED_MAYBE, ISO_FAULT_REGION, NULL };
	case 502:
		return (struct iso_classification){ ISO_EXECUTED_MAYBE, ISO_FAULT_REGION,
						    "the function's answer was malformed, or it failed" };
	case 503:
		return (struct iso_classification){ ISO_EXECUTED_MAYBE, ISO_FAULT_REGION,
						    "the region is unavailable" };
	case 504:
		return (struct iso_classification){ ISO_EXECUTED_MAYBE, ISO_FAULT_REGION,
						    "the integration timed out" };
	default:
		return (struct iso_classification){ ISO_EXECUTED_YES,
						    status < 400 ? ISO_FAULT_NONE : ISO_FAULT_APPLICATION,
						    NULL };
	}
}

struct iso_classification iso_classify(const struct iso_classify_input *input)
{
	const struct iso_classification *c = NULL;
	struct iso_slice type = input->error_type;

	if (input->marker.len > 0)
		c = look_up(by_marker, sizeof(by_marker) / sizeof(by_marker[0]), input->marker);
	if (c != NULL)
		return *c;
	/* Some services append ":http://…" to the type. */
	type.len = iso_slice_find(type, ':');
	if (type.len > 0)
		c = look_up(by_error_type, sizeof(by_error_type) / sizeof(by_error_type[0]), type);
	return c != NULL ? *c : by_status(input->status, input->handled);
}

bool iso_classify_is_gateway_id(struct iso_slice name)
{
	return iso_slice_eq(name, ISO_SLICE("x-amzn-requestid")) ||
	       iso_slice_eq(name, ISO_SLICE("x-amz-apigw-id")) ||
	       iso_slice_eq(name, ISO_SLICE("apigw-requestid"));
}

struct iso_slice iso_classify_marker(struct iso_slice value, struct iso_slice secret)
{
	if (secret.len == 0 || !iso_slice_starts(value, secret))
		return iso_slice(NULL, 0);
	return iso_slice(value.ptr + secret.len, value.len - secret.len);
}

const struct iso_classify_row *iso_classify_by_marker(size_t *ret_n)
{
	*ret_n = sizeof(by_marker) / sizeof(by_marker[0]);
	return by_marker;
}

const struct iso_classify_row *iso_classify_by_error_type(size_t *ret_n)
{
	*ret_n = sizeof(by_error_type) / sizeof(by_error_type[0]);
	return by_error_type;
}

const char *iso_fault_text(enum iso_fault fault)
{
	static const char *const texts[] = {
		[ISO_FAULT_NONE] = "none",
		[ISO_FAULT_CLIENT] = "client",
		[ISO_FAULT_REGION] = "region",
		[ISO_FAULT_THROTTLE] = "throttle",
		[ISO_FAULT_APPLICATION] = "application",
	};

	return texts[fault];
}

const char *iso_executed_text(enum iso_executed executed)
{
	return executed == ISO_EXECUTED_NO ? "no" : executed == ISO_EXECUTED_MAYBE ? "maybe" : "yes";
}
