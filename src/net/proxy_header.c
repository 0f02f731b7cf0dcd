/*
 * See proxy_header.h.
 */
#include "iso/net/proxy_header.h"

#include "iso/net/resolver.h"

enum {
	V1_MAX = 107, /* section 2.1, with its CR LF */
	V2_FIXED = 16,
	V2_LOCAL = 0x20,
	V2_PROXY = 0x21,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
};

static const uint8_t v2_signature[12] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

/* The next word of a line; words are parted by exactly one blank. */
static bool next_word(struct iso_slice *line, char *word, size_t size)
{
	size_t len = iso_slice_find(*line, ' ');

	if (len == 0 || len >= size)
		return false;
	memcpy(word, line->ptr, len);
	word[len] = '\0';
	*line = len < line->len ? iso_slice(line->ptr + len + 1, line->len - len - 1) : iso_slice("", 0);
	return true;
}

static bool v1_address(const char *host, const char *port_text, sa_family_t family, struct iso_sockaddr *ret)
{
	uint64_t port;

	if (host[0] == '[' || iso_slice_u64(iso_slice_str(port_text), &port) != ISO_OK || port > 65535 ||
	    (port_text[0] == '0' && port_text[1] != '\0'))
		return false;
	return iso_sockaddr_parse(host, (uint16_t)port, ret) == ISO_OK && ret->u.sa.sa_family == family;
}

static int parse_v1(const uint8_t *bytes, size_t n, struct iso_proxy_header *ret_header, size_t *ret_used)
{
	const uint8_t *end = memchr(bytes, '\n', n < V1_MAX ? n : V1_MAX);
	char protocol[8], source[48], destination[48], source_port[8], destination_port[8];
	struct iso_slice line;
	sa_family_t family;

	if (end == NULL)
		return n < V1_MAX ? ISO_EAGAIN : ISO_EBAD;
	if (end == bytes || end[-1] != '\r')
		return ISO_EBAD;
	*ret_used = (size_t)(end - bytes) + 1;
	line = iso_slice((const char *)bytes + 6, *ret_used - 8);
	if (iso_slice_starts(line, ISO_SLICE("UNKNOWN")) && (line.len == 7 || line.ptr[7] == ' '))
		return ISO_OK; /* what follows is to be ignored */
	if (!next_word(&line, protocol, sizeof(protocol)) || !next_word(&line, source, sizeof(source)) ||
	    !next_word(&line, destination, sizeof(destination)) ||
	    !next_word(&line, source_port, sizeof(source_port)) ||
	    !next_word(&line, destination_port, sizeof(destination_port)) || line.len > 0)
		return ISO_EBAD;
	if (strcmp(protocol, "TCP4") == 0)
		family = AF_INET;
	else if (strcmp(protocol, "TCP6") == 0)
		family = AF_INET6;
	else
		return ISO_EBAD;
	if (!v1_address(source, source_port, family, &ret_header->source) ||
	    !v1_address(destination, destination_port, family, &ret_header->destination))
		return ISO_EBAD;
	ret_header->known = true;
	return ISO_OK;
}

static void v4_address(const uint8_t *addr, const uint8_t *port, struct iso_sockaddr *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->len = sizeof(ret->u.v4);
	ret->u.v4.sin_family = AF_INET;
	memcpy(&ret->u.v4.sin_addr, addr, 4);
	memcpy(&ret->u.v4.sin_port, port, 2);
}

static void v6_address(const uint8_t *addr, const uint8_t *port, struct iso_sockaddr *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->len = sizeof(ret->u.v6);
	ret->u.v6.sin6_family = AF_INET6;
	memcpy(&ret->u.v6.sin6_addr, addr, 16);
	memcpy(&ret->u.v6.sin6_port, port, 2);
}

static int parse_v2(const uint8_t *bytes, size_t n, struct iso_proxy_header *ret_header, size_t *ret_used)
{
	const uint8_t *at = bytes + V2_FIXED;
	size_t len;

	if (n < V2_FIXED)
		return ISO_EAGAIN;
	len = (size_t)(bytes[14] << 8 | bytes[15]);
	if ((bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY) || V2_FIXED + len > ISO_PROXY_HEADER_MAX)
		return ISO_EBAD;
	if (n < V2_FIXED + len)
		return ISO_EAGAIN;
	*ret_used = V2_FIXED + len;
	if (bytes[12] == V2_LOCAL)
		return ISO_OK;
	if (bytes[13] == V2_TCP4 && len >= 12) {
		v4_address(at, at + 8, &ret_header->source);
		v4_address(at + 4, at + 10, &ret_header->destination);
		ret_header->known = true;
	} else if (bytes[13] == V2_TCP6 && len >= 36) {
		v6_address(at, at + 32, &ret_header->source);
		v6_address(at + 16, at + 34, &ret_header->destination);
		ret_header->known = true;
	} else if (bytes[13] == V2_TCP4 || bytes[13] == V2_TCP6) {
		return ISO_EBAD; /* too short for its own family */
	}
	return ISO_OK;
}

int iso_proxy_header_parse(const uint8_t *bytes, size_t n, struct iso_proxy_header *ret_header,
			   size_t *ret_used)
{
	static const char v1_signature[] = "PROXY ";
	size_t v1_len = n < 6 ? n : 6, v2_len = n < sizeof(v2_signature) ? n : sizeof(v2_signature);

	memset(ret_header, 0, sizeof(*ret_header));
	*ret_used = 0;
	if (n > 0 && memcmp(bytes, v1_signature, v1_len) == 0)
		return n < 6 ? ISO_EAGAIN : parse_v1(bytes, n, ret_header, ret_used);
	if (memcmp(bytes, v2_signature, v2_len) == 0)
		return parse_v2(bytes, n, ret_header, ret_used);
	return ISO_EBAD;
}
