/*
 * Meaning: the validated tree becomes the snapshot. Here the parts that stand alone: admin, DNS, access
 * log, limits, headers; listeners, services and routes have files of their own.
 */
#include "load_priv.h"

#include <stdio.h>

#include "iso/config/cores.h"
#include "iso/net/listener.h"
#include "iso/net/resolver.h"

enum { SERVERS_TEXT_MAX = 1024, DNS_PORT = 53 };

static bool is_loopback(const struct iso_sockaddr *addr)
{
	if (addr->u.sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&addr->u.v6.sin6_addr);
	return ntohl(addr->u.v4.sin_addr.s_addr) >> 24 == 127;
}

static void build_admin(struct iso_load *load, const json_t *root)
{
	json_t *admin = iso_load_member(root, "admin");
	struct iso_snapshot *snapshot = load->snapshot;
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("admin"));

	snapshot->admin_address = iso_load_text(load, admin, "admin.address");
	if (snapshot->admin_address.len > 0 &&
	    iso_load_address(load, snapshot->admin_address, &snapshot->admin_addr)) {
		(void)iso_pointer_key(&load->at, ISO_SLICE("address"));
		if (!is_loopback(&snapshot->admin_addr))
			iso_load_note(
				load, "listen on 127.0.0.1 or [::1], or let a firewall guard it",
				"the admin listener asks for no password and this is no loopback address");
		for (uint32_t i = 0; i < snapshot->listener_count; i++) {
			const struct iso_sockaddr *other = &snapshot->listeners[i].addr;

			if (iso_load_port(&snapshot->admin_addr) != 0 && other->len > 0 &&
			    iso_sockaddr_eq(other, &snapshot->admin_addr))
				iso_load_error(load, ISO_PLACE_VALUE, "use another port",
					       "listeners/%u has this address already", i);
		}
	}
	iso_pointer_cut(&load->at, mark);
}

/* With or without a port; an IPv6 address without one may go without brackets. */
static bool parse_server(const char *text, struct iso_sockaddr *addr)
{
	return iso_sockaddr_parse(text, DNS_PORT, addr) == ISO_OK ||
	       (iso_listener_parse(iso_slice_str(text), addr) == ISO_OK && iso_load_port(addr) != 0);
}

static void build_dns(struct iso_load *load, const json_t *root)
{
	json_t *array = iso_load_member(iso_load_member(root, "dns"), "servers"), *item;
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("dns")), n = 0, i;
	char text[SERVERS_TEXT_MAX] = "", one[64];

	(void)iso_pointer_key(&load->at, ISO_SLICE("servers"));
	json_array_foreach(array, i, item)
	{
		size_t at = iso_pointer_index(&load->at, i);
		struct iso_sockaddr addr;

		if (!json_is_null(item) && !parse_server(json_string_value(item), &addr)) {
			iso_load_error(load, ISO_PLACE_VALUE, "write it as 192.0.2.53 or 127.0.0.1:5353",
				       "\"%.60s\" is no IP address", json_string_value(item));
		} else if (!json_is_null(item)) {
			iso_sockaddr_format(&addr.u.sa, one, sizeof(one));
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n > 0 ? "," : "", one);
		}
		iso_pointer_cut(&load->at, at);
	}
	load->snapshot->dns_servers = iso_load_dup(load, iso_slice(text, n));
	load->snapshot->dns_min_ttl_us = iso_load_u64(load, iso_load_member(root, "dns"), "dns.min_ttl");
	load->snapshot->dns_max_ttl_us = iso_load_u64(load, iso_load_member(root, "dns"), "dns.max_ttl");
	iso_pointer_cut(&load->at, mark);
	if (load->nomem || load->snapshot->dns_max_ttl_us >= load->snapshot->dns_min_ttl_us)
		return;
	(void)iso_pointer_key(&load->at, ISO_SLICE("dns"));
	iso_load_error_in(load, iso_load_has(iso_load_member(root, "dns"), "min_ttl") ? "min_ttl" : "max_ttl",
			  "make dns.max_ttl the longer one", "dns.min_ttl is longer than dns.max_ttl");
	iso_pointer_cut(&load->at, mark);
}

static void build_limits(struct iso_load *load, const json_t *root)
{
	const json_t *object = iso_load_member(root, "limits");
	struct iso_cfg_limits *limits = &load->snapshot->limits;

	limits->header_bytes = iso_load_u64(load, object, "limits.header_bytes");
	limits->header_count = (uint32_t)iso_load_u64(load, object, "limits.header_count");
	limits->body_bytes = iso_load_u64(load, object, "limits.body_bytes");
	limits->streams = (uint32_t)iso_load_u64(load, object, "limits.streams");
	limits->handshake_timeout_us = iso_load_u64(load, object, "limits.handshake_timeout");
	limits->header_timeout_us = iso_load_u64(load, object, "limits.header_timeout");
	limits->keepalive_timeout_us = iso_load_u64(load, object, "limits.keepalive_timeout");
	limits->loop_lag_us = iso_load_u64(load, object, "limits.loop_lag");
	limits->drain_timeout_us = iso_load_u64(load, object, "limits.drain_timeout");
	limits->upgrade_timeout_us = iso_load_u64(load, object, "limits.upgrade_timeout");
	limits->replay_memory = iso_load_u64(load, object, "limits.replay_memory");
	limits->body_memory = iso_load_u64(load, object, "limits.body_memory");
	limits->connections = (uint32_t)iso_load_u64(load, object, "limits.connections");
	limits->connections_per_client = (uint32_t)iso_load_u64(load, object,
								"limits.connections_per_client");
	limits->h2_resets = (uint32_t)iso_load_u64(load, object, "limits.h2_resets");
	limits->h2_control_frames = (uint32_t)iso_load_u64(load, object, "limits.h2_control_frames");
	limits->h2_empty_frames = (uint32_t)iso_load_u64(load, object, "limits.h2_empty_frames");
	limits->body_rate = iso_load_u64(load, object, "limits.body_rate");
	limits->rate_window_us = iso_load_u64(load, object, "limits.rate_window");
}

static void build_ledger(struct iso_load *load, const json_t *root)
{
	const json_t *object = iso_load_member(root, "idempotency");
	struct iso_slice journal = iso_load_text(load, object, "idempotency.journal");
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("idempotency"));

	(void)iso_pointer_key(&load->at, ISO_SLICE("journal"));
	load->snapshot->ledger.memory = iso_load_u64(load, object, "idempotency.memory");
	load->snapshot->ledger.journal = journal.len > 0 ? iso_load_file(load, journal) : ISO_SLICE("");
	load->snapshot->ledger.sync = iso_load_enum(load, object, "idempotency.sync");
	iso_pointer_cut(&load->at, mark);
}

static void build_access_log(struct iso_load *load, const json_t *root)
{
	const json_t *object = iso_load_member(root, "access_log");
	struct iso_slice path = iso_load_text(load, object, "access_log.path");
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("access_log"));

	(void)iso_pointer_key(&load->at, ISO_SLICE("path"));
	load->snapshot->access_log = iso_slice_eq(path, ISO_SLICE("-")) ? path : iso_load_file(load, path);
	load->snapshot->access_log_decisions =
		(uint32_t)(iso_load_number(load, object, "access_log.decisions") * UINT32_MAX);
	load->snapshot->access_log_query = iso_load_bool(load, object, "access_log.query");
	iso_pointer_cut(&load->at, mark);
}

bool iso_load_token_ok(struct iso_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = iso_ascii_lower(s.ptr[i]);
		bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.len > 0;
}

/* RFC 9110 section 5.5: no control characters but HTAB, no blanks at the ends. */
static bool value_ok(struct iso_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return iso_slice_trim(s).len == s.len;
}

/* Fields that belong to the connection or to the framing, or that have a key of their own. */
static const char *header_problem(struct iso_slice lower)
{
	switch (iso_field_id(lower)) {
	case ISO_FIELD_HOST:
		return "use the region's `host`";
	case ISO_FIELD_CONNECTION:
	case ISO_FIELD_KEEP_ALIVE:
	case ISO_FIELD_PROXY_CONNECTION:
	case ISO_FIELD_TE:
	case ISO_FIELD_TRAILER:
	case ISO_FIELD_TRANSFER_ENCODING:
	case ISO_FIELD_UPGRADE:
	case ISO_FIELD_HTTP2_SETTINGS:
	case ISO_FIELD_CONTENT_LENGTH:
	case ISO_FIELD_EXPECT:
		return "remove it; the proxy makes the fields of connections and framing itself";
	default:
		return NULL;
	}
}

bool iso_load_header_name(struct iso_load *load, struct iso_slice lower)
{
	const char *mend = header_problem(lower);

	if (!iso_load_token_ok(lower))
		iso_load_error(load, ISO_PLACE_KEY, "use letters, digits and '-'",
			       "this is no header field's name");
	else if (mend != NULL)
		iso_load_error(load, ISO_PLACE_KEY, mend, "the header field %.*s cannot be set here",
			       ISO_SLICE_FMT(lower));
	return mend == NULL && iso_load_token_ok(lower);
}

bool iso_load_header_value(struct iso_load *load, struct iso_slice value)
{
	if (!value_ok(value)) /* the value may be a secret: it is not shown */
		iso_load_error(load, ISO_PLACE_VALUE, "remove control characters, and blanks at the ends",
			       "this is no header field's value");
	return value_ok(value);
}

static void build_header(struct iso_load *load, struct iso_slice name, struct iso_slice value,
			 struct iso_fields *fields)
{
	struct iso_slice lower = iso_load_dup_lower(load, name);

	if (!iso_load_header_name(load, lower))
		return;
	if (iso_fields_find(fields, lower) != NULL)
		iso_load_error(load, ISO_PLACE_KEY, "keep one of them; names of fields have no case",
			       "the header field %.*s is given twice", ISO_SLICE_FMT(lower));
	else if (iso_load_header_value(load, value) &&
		 iso_fields_add(fields, &load->snapshot->arena, lower, iso_load_dup(load, value)) != ISO_OK)
		load->nomem = true;
}

void iso_load_headers(struct iso_load *load, const json_t *object, struct iso_fields *fields)
{
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("headers"));
	json_t *headers = iso_load_member(object, "headers"), *value;
	const char *name;

	json_object_foreach(headers, name, value)
	{
		size_t at = iso_pointer_key(&load->at, iso_slice_str(name));

		if (!json_is_null(value))
			build_header(load, iso_slice_str(name),
				     iso_slice(json_string_value(value), json_string_length(value)), fields);
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
}

void iso_load_build(struct iso_load *load, const json_t *root)
{
	load->snapshot->workers = (uint32_t)iso_load_u64(load, root, "workers");
	if (load->snapshot->workers == 0)
		load->snapshot->workers = iso_cores_usable();
	load->snapshot->user = iso_load_text(load, root, "user");
	load->snapshot->group = iso_load_text(load, root, "group");
	if (load->snapshot->group.len > 0 && load->snapshot->user.len == 0)
		iso_load_error_in(load, "group", "name the user too", "a group without a user");
	iso_load_listeners(load, root);
	build_admin(load, root);
	build_dns(load, root);
	build_access_log(load, root);
	build_ledger(load, root);
	build_limits(load, root);
	iso_load_geo(load, root);
	iso_load_services(load, root);
	iso_load_routes(load, root);
}
