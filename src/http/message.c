/*
 * Methods and status codes. Pure.
 */
#include "iso/http/message.h"

enum iso_method iso_method_id(struct iso_slice method)
{
	static const struct {
		struct iso_slice name;
		enum iso_method id;
	} methods[] = {
		{ { "GET", 3 }, ISO_METHOD_GET },         { { "POST", 4 }, ISO_METHOD_POST },
		{ { "PUT", 3 }, ISO_METHOD_PUT },         { { "DELETE", 6 }, ISO_METHOD_DELETE },
		{ { "HEAD", 4 }, ISO_METHOD_HEAD },       { { "OPTIONS", 7 }, ISO_METHOD_OPTIONS },
		{ { "PATCH", 5 }, ISO_METHOD_PATCH },     { { "TRACE", 5 }, ISO_METHOD_TRACE },
		{ { "CONNECT", 7 }, ISO_METHOD_CONNECT },
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (iso_slice_eq(methods[i].name, method)) /* methods are case-sensitive */
			return methods[i].id;
	return ISO_METHOD_OTHER;
}

bool iso_method_is_safe(enum iso_method id)
{
	return id == ISO_METHOD_GET || id == ISO_METHOD_HEAD || id == ISO_METHOD_OPTIONS ||
	       id == ISO_METHOD_TRACE;
}

bool iso_method_is_idempotent(enum iso_method id)
{
	return iso_method_is_safe(id) || id == ISO_METHOD_PUT || id == ISO_METHOD_DELETE;
}

struct iso_slice iso_status_reason(uint16_t status)
{
	static const struct {
		uint16_t status;
		const char *reason;
	} reasons[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 103, "Early Hints" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 203, "Non-Authoritative Information" },
		{ 204, "No Content" },
		{ 205, "Reset Content" },
		{ 206, "Partial Content" },
		{ 300, "Multiple Choices" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 407, "Proxy Authentication Required" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 425, "Too Early" },
		{ 426, "Upgrade Required" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 508, "Loop Detected" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return iso_slice_str(reasons[i].reason);
	return ISO_SLICE("");
}

bool iso_status_has_body(uint16_t status, enum iso_method request_method)
{
	return request_method != ISO_METHOD_HEAD && status >= 200 && status != 204 && status != 304;
}

bool iso_head_is_grpc(const struct iso_head *head)
{
	const struct iso_field *type = iso_fields_get(&head->fields, ISO_FIELD_CONTENT_TYPE);

	return type != NULL && iso_slice_starts(type->value, ISO_SLICE("application/grpc")) &&
	       !iso_slice_starts(type->value, ISO_SLICE("application/grpc-web"));
}
