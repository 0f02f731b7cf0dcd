/*
 * PROXY headers: every prefix of an accepted one is not whole yet, and what follows does not matter.
 */
#include "fuzz.h"
#include "iso/net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iso_proxy_header header, again;
	size_t used, used_again;

	if (iso_proxy_header_parse(data, size, &header, &used) != ISO_OK)
		return 0;
	MUST(used > 0 && used <= size && used <= ISO_PROXY_HEADER_MAX);
	for (size_t n = 0; n < used; n++)
		MUST(iso_proxy_header_parse(data, n, &again, &used_again) == ISO_EAGAIN);
	MUST(iso_proxy_header_parse(data, used, &again, &used_again) == ISO_OK && used_again == used);
	MUST(again.known == header.known);
	return 0;
}
