/*
 * See websocket.h.
 */
#include "iso/http/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

static const struct iso_slice guid = { "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36 };

static bool has_token(const struct iso_fields *fields, enum iso_field_id id, struct iso_slice token)
{
	for (uint32_t i = 0; i < fields->n; i++) {
		struct iso_slice rest = fields->v[i].value, part;

		if (fields->v[i].id != id)
			continue;
		while (iso_slice_next(&rest, ',', &part))
			if (iso_slice_eq_nocase(iso_slice_trim(part), token))
				return true;
	}
	return false;
}

static struct iso_slice value_of(const struct iso_fields *fields, struct iso_slice name)
{
	const struct iso_field *f = iso_fields_find(fields, name);

	return f != NULL ? f->value : ISO_SLICE("");
}

bool iso_websocket_take_request(struct iso_head *head, struct iso_slice *ret_key)
{
	struct iso_fields *fields = &head->fields;
	struct iso_slice key = value_of(fields, ISO_SLICE("sec-websocket-key"));

	if (head->method_id != ISO_METHOD_GET || head->version != ISO_HTTP_11 || head->content_length > 0 ||
	    !has_token(fields, ISO_FIELD_CONNECTION, ISO_SLICE("upgrade")) ||
	    !has_token(fields, ISO_FIELD_UPGRADE, ISO_SLICE("websocket")) ||
	    iso_fields_get(fields, ISO_FIELD_TRANSFER_ENCODING) != NULL || key.len != ISO_WEBSOCKET_KEY ||
	    !iso_slice_eq(value_of(fields, ISO_SLICE("sec-websocket-version")), ISO_SLICE("13")))
		return false;
	iso_fields_remove_name(fields, ISO_SLICE("sec-websocket-key"));
	head->protocol = ISO_SLICE("websocket");
	*ret_key = key;
	return true;
}

void iso_websocket_accept(struct iso_slice key, char ret_accept[ISO_WEBSOCKET_ACCEPT])
{
	unsigned char text[ISO_WEBSOCKET_KEY + 36], digest[SHA_DIGEST_LENGTH],
		base64[ISO_WEBSOCKET_ACCEPT + 1];

	memcpy(text, key.ptr, ISO_WEBSOCKET_KEY);
	memcpy(text + ISO_WEBSOCKET_KEY, guid.ptr, guid.len);
	SHA1(text, sizeof(text), digest);
	EVP_EncodeBlock(base64, digest, sizeof(digest));
	memcpy(ret_accept, base64, ISO_WEBSOCKET_ACCEPT);
}

void iso_websocket_key(const uint64_t random[2], char ret_key[ISO_WEBSOCKET_KEY])
{
	unsigned char base64[ISO_WEBSOCKET_KEY + 1];

	EVP_EncodeBlock(base64, (const unsigned char *)random, 16);
	memcpy(ret_key, base64, ISO_WEBSOCKET_KEY);
}

int iso_websocket_add_fields(struct iso_fields *fields, struct iso_arena *arena, struct iso_slice name,
			     struct iso_slice value)
{
	int err = iso_fields_add(fields, arena, ISO_SLICE("connection"), ISO_SLICE("Upgrade"));

	if (err == ISO_OK)
		err = iso_fields_add(fields, arena, ISO_SLICE("upgrade"), ISO_SLICE("websocket"));
	return err == ISO_OK ? iso_fields_add(fields, arena, name, value) : err;
}

bool iso_websocket_take_response(struct iso_head *head, struct iso_slice key)
{
	char accept[ISO_WEBSOCKET_ACCEPT];

	iso_websocket_accept(key, accept);
	if (!has_token(&head->fields, ISO_FIELD_UPGRADE, ISO_SLICE("websocket")) ||
	    !has_token(&head->fields, ISO_FIELD_CONNECTION, ISO_SLICE("upgrade")) ||
	    !iso_slice_eq(value_of(&head->fields, ISO_SLICE("sec-websocket-accept")),
			  iso_slice(accept, sizeof(accept))))
		return false;
	iso_fields_remove_name(&head->fields, ISO_SLICE("sec-websocket-accept"));
	return true;
}
