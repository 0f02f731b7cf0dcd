/*
 * A compiled configuration: immutable after iso_snapshot_build, shared by all threads, counted atomically.
 * Texts are NUL-terminated as well (the slice's length does not count the NUL) and live in the snapshot's
 * arena.
 */
#ifndef ISO_CONFIG_SNAPSHOT_H
#define ISO_CONFIG_SNAPSHOT_H

#include <stdatomic.h>

#include "iso/http/field.h"
#include "iso/http/template.h"
#include "iso/net/cidr.h"
#include "iso/net/geo_db.h"
#include "iso/net/tls.h"
#include "iso/net/transport.h"
#include "iso/policy/requirement.h"
#include "iso/policy/route.h"
#include "iso/policy/view.h"

enum {
	ISO_SERVICE_REGIONS_MAX = 16, /* one bit each in a pick's masks */
	ISO_STATUSES_MAX = 16,
	ISO_REQUIRES_MAX = 16,
	ISO_KEY_CLIENTS_MAX = 8,
	ISO_TRACKS_MAX = 32, /* routes that are measured by themselves, of all services */
};

enum iso_protocol { ISO_PROTOCOL_AUTO, ISO_PROTOCOL_H2, ISO_PROTOCOL_HTTP11 };
enum iso_sticky_by { ISO_STICKY_COOKIE, ISO_STICKY_HEADER, ISO_STICKY_CLIENT_IP };
enum iso_proxy_status { ISO_PROXY_STATUS_ERRORS, ISO_PROXY_STATUS_ASKED, ISO_PROXY_STATUS_ALWAYS };
enum iso_honoured { ISO_HONOURED_NONE, ISO_HONOURED_REGION, ISO_HONOURED_GLOBAL };

struct iso_statuses {
	uint16_t v[ISO_STATUSES_MAX];
	uint32_t n;
};

struct iso_cfg_region {
	struct iso_slice name;
	uint64_t name_hash;    /* iso_sticky_hash of it */
	struct iso_slice url;  /* as written, after ${} expansion */
	struct iso_slice host; /* where to connect: DNS name or IP literal without brackets */
	uint16_t port;
	bool tls;
	struct iso_slice base_path; /* "" or "/prod": no slash at the end */
	struct iso_slice authority; /* what goes upstream as :authority / Host (with a port where not the
				       default) */
	struct iso_slice sni;       /* name sent and verified; an IP literal is verified and not sent */
	enum iso_protocol protocol;
	bool placed; /* `place` is known, as the policy `geo` needs it */
	struct iso_geo_point place;
	uint32_t weight, priority;         /* defaults 100; position in the file (0 first) */
	uint32_t max_in_flight;            /* over all workers; 0: no limit */
	struct iso_fields headers;         /* set on every request to this region */
	struct iso_tls_client *tls_client; /* NULL when clear */
	struct iso_slice identity; /* service, name, URL, host, SNI, protocol, TLS: what is learnt is kept
				      under it */
	/* Set once by upstream/region (iso_registry_bind) before the snapshot is given to workers. */
	uint32_t slot;
};

struct iso_cfg_health {
	struct iso_slice path; /* default "/health"; the base path goes before it */
	struct iso_fields headers;
	uint64_t interval_us, timeout_us;
	uint32_t probes_per_hour; /* 0: no cap */
	uint32_t healthy_threshold, unhealthy_threshold;
	struct iso_statuses statuses;
	struct iso_slice contains;   /* in the first 5,120 bytes of its body; "": anything */
	bool use_affected_endpoints; /* what the health answer says of paths counts */
};

struct iso_cfg_retry {
	uint32_t attempts;           /* 1 to 3, the first included */
	uint64_t per_try_timeout_us; /* 0: none */
	uint32_t budget_milli;       /* tokens per request, thousandths: 0.2 is 200 */
	struct iso_statuses statuses;
	uint64_t body_limit; /* bytes of a request body kept for replay */
	bool refuse_large;   /* 413 for a body that is larger; else it streams through */
};

/* A second try while the first is waited for. */
struct iso_cfg_hedge {
	enum iso_hedge { ISO_HEDGE_OFF, ISO_HEDGE_P95, ISO_HEDGE_P99, ISO_HEDGE_FIXED } after;
	uint64_t after_us;    /* with ISO_HEDGE_FIXED */
	uint32_t share_milli; /* of the requests, at most, in thousandths */
};

/* What tells the owners of Idempotency-Keys apart: a header field, lower case, or a cookie. */
struct iso_cfg_key_client {
	struct iso_slice name;
	bool cookie;
};

/* The proxy's own care that a keyed request runs once. */
struct iso_cfg_keys {
	bool store;
	bool regional;    /* a key counts in one region, else in all */
	bool wait;        /* a duplicate waits for the first one's end; else 409 */
	bool client_told; /* `clients` is the file's word, not the default */
	uint64_t ttl_us, max_answer;
	struct iso_cfg_key_client clients[ISO_KEY_CLIENTS_MAX];
	uint32_t client_count;
};

/* How the gateway's own answers name themselves. */
struct iso_cfg_marker {
	struct iso_slice header; /* lower case; "": they do not */
	struct iso_slice secret; /* before the gateway response type */
};

/* What the policy `sticky` knows clients by. */
struct iso_cfg_sticky {
	enum iso_sticky_by by;
	struct iso_slice name; /* of the cookie, or of the header field in lower case */
	uint64_t ttl_us;       /* of the cookie; 0: until the browser is closed */
	bool comes_back;       /* to its own region when that is well again; else it stays where it went */
};

struct iso_cfg_service {
	struct iso_slice name;
	uint32_t index; /* in snapshot->services */
	uint32_t slot;  /* the same over reloads; set as a region's is */
	struct iso_cfg_region regions[ISO_SERVICE_REGIONS_MAX];
	uint32_t region_count;
	struct iso_cfg_health health;
	enum iso_policy policy;
	struct iso_cfg_sticky sticky;
	uint64_t after_write_us;           /* a client stays for so long where it wrote; 0: it does not */
	enum iso_sticky_by after_write_by; /* by `sticky.name` */
	struct iso_cfg_retry retry;
	struct iso_cfg_hedge hedge;
	struct iso_cfg_marker marker;
	bool learn_throttles;
	struct iso_cfg_keys keys;
	uint64_t connect_timeout_us, timeout_us, idle_timeout_us, tunnel_idle_timeout_us;
	uint64_t connection_idle_us; /* of a connection to a region */
	enum iso_honoured honoured;
	enum iso_proxy_status proxy_status;
	/* What its routes require, a bit of `requires_mask` each. */
	struct iso_slice dependencies[ISO_DEPENDENCIES_MAX];
	uint32_t dependency_count;
};

struct iso_cfg_rate_limit {
	uint32_t requests; /* 0: no limit */
	uint64_t per_us;
	struct iso_slice key; /* a header field, lower case; "": the client's address */
};

/* A header field with variables in its value. */
struct iso_cfg_field {
	struct iso_slice name; /* lower case */
	struct iso_template value;
	bool add; /* beside those that are there; else in their place */
};

/* What is done to a head: fields are removed first. */
struct iso_cfg_edits {
	const struct iso_slice *remove;
	const struct iso_cfg_field *fields;
	uint32_t remove_count, field_count;
};

/* A route's own answer. */
struct iso_cfg_answer {
	uint16_t status; /* 0: none, a service answers */
	struct iso_slice body, content_type;
	struct iso_template location; /* empty: no redirect */
};

/* A route that is measured by itself: `measure`. */
struct iso_cfg_track {
	struct iso_slice identity; /* service, match, order, rewrite: what is learnt is kept under it */
	const struct iso_cfg_route *route;
	uint32_t number; /* from 1, the same over reloads; set as a region's slot is */
};

struct iso_cfg_route {
	struct iso_slice name;                 /* for logs: "routes/3" or its own `name` key */
	const struct iso_cfg_service *service; /* NULL: the route answers itself */
	struct iso_cfg_answer answer;
	struct iso_slice pattern;    /* of its path; "": any */
	struct iso_template rewrite; /* the path that goes upstream; empty: as it is */
	struct iso_cfg_edits request_edits, response_edits;
	struct iso_slice alias; /* kept for logs; empty when absent */
	uint32_t requires_count;
	struct iso_slice requires[ISO_REQUIRES_MAX];
	uint64_t requires_mask; /* bits of the service's dependencies */
	struct iso_cfg_rate_limit rate_limit;
	/* The service's, unless the route has its own. */
	struct iso_cfg_retry retry;
	struct iso_cfg_hedge hedge;
	uint64_t timeout_us, idle_timeout_us;
	enum iso_policy policy;
	enum iso_proxy_status proxy_status;
	bool key_required;                 /* a POST or PATCH without an Idempotency-Key gets 400 */
	bool idempotent;                   /* the owner says that running it twice does no harm */
	uint16_t region_mask;              /* bit i: region i of the service is allowed */
	const struct iso_cfg_track *track; /* NULL: its service's numbers are its own */
};

struct iso_cfg_listener {
	struct iso_slice address; /* as written */
	struct iso_sockaddr addr;
	bool h2, http11;
	struct iso_tls_server *tls;                            /* NULL: cleartext */
	struct iso_cidr_set *proxy_protocol, *trusted_proxies; /* NULL: nobody */
};

struct iso_cfg_limits {
	uint64_t header_bytes;                            /* of one head, decoded; 64 KiB */
	uint32_t header_count;                            /* 100 */
	uint64_t body_bytes;                              /* of one request; 0: no limit */
	uint32_t streams;                                 /* concurrent, per connection; 128 */
	uint64_t handshake_timeout_us, header_timeout_us; /* 10 s, 10 s */
	uint64_t keepalive_timeout_us;                    /* idle downstream connection, 60 s */
	uint64_t loop_lag_us;            /* a loop further behind takes no new requests; 0: all */
	uint64_t drain_timeout_us;       /* after SIGTERM, 30 s */
	uint64_t upgrade_timeout_us;     /* for the process that SIGUSR2 starts, 60 s */
	uint64_t replay_memory;          /* bytes of all bodies kept for replay, of the process; 64 MiB */
	uint64_t body_memory;            /* bytes of body chunks per worker; 256 MiB */
	uint32_t connections;            /* per worker; 10,000 */
	uint32_t connections_per_client; /* over all workers; 0: no limit */
	uint32_t h2_resets, h2_control_frames, h2_empty_frames; /* of a connection, in 10 s; 200, 1,000, 100
								 */
	uint64_t body_rate;                                     /* bytes/s at least; 240. 0: none */
	uint64_t rate_window_us;                                /* over this time, 10 s */
};

/* A certificate, key, secret, CA file or database that the snapshot was made from, as it was just before it
 * was read; with `watch` the configuration's own files too, and what their `include` stands for. */
struct iso_cfg_file {
	const struct iso_cfg_file *next;
	const char *path;
	uint64_t seen; /* of its identity, size and time of change; of all that a pattern stands for */
	bool pattern;
};

struct iso_snapshot {
	struct { /* shared */
		_Atomic uint32_t refs;
	} shared;
	uint64_t generation;          /* 1, 2, … in this process; set by process/ before it is handed out */
	struct iso_slice path;        /* the file; "" when made from the command line */
	uint64_t hash;                /* of the text, all files' one after the other */
	struct iso_slice description; /* see describe.h */
	uint32_t workers;             /* at least 1 */
	struct iso_slice user, group; /* to become; "": stay */
	struct iso_cfg_listener *listeners;
	uint32_t listener_count;
	struct iso_slice admin_address; /* "" : none */
	struct iso_sockaddr admin_addr;
	struct iso_slice dns_servers; /* "" : the system's */
	uint64_t dns_min_ttl_us, dns_max_ttl_us;
	struct iso_cfg_service *services;
	uint32_t service_count;
	const struct iso_cfg_route *routes;
	uint32_t route_count;
	struct iso_cfg_track tracks[ISO_TRACKS_MAX];
	uint32_t track_count;
	const struct iso_router *router;
	const struct iso_cfg_file *files; /* whose change is a reload */
	struct iso_geo_db *geo_db;        /* NULL: none */
	struct {
		uint64_t memory;
		struct iso_slice journal; /* "": none */
		unsigned int sync;        /* 0: always, 1: interval, 2: never */
	} ledger;
	struct iso_slice access_log;   /* "" : off; "-" : stdout */
	uint32_t access_log_decisions; /* part of the picks that are recorded, of 2^32 - 1 */
	bool access_log_query;         /* the path is logged with its query */
	struct iso_cfg_limits limits;
	struct iso_arena arena;
};

/* Some service has `idempotency.store`. */
bool iso_snapshot_keeps_keys(const struct iso_snapshot *snapshot);
struct iso_snapshot *iso_snapshot_ref(struct iso_snapshot *snapshot);
void iso_snapshot_unref(struct iso_snapshot *snapshot); /* NULL is fine; any thread */

/* NULL: no route. */
const struct iso_cfg_route *iso_snapshot_route(const struct iso_snapshot *snapshot,
					       const struct iso_route_request *request);

/*
 * One of `files` that is not what it was; NULL: none. *ret_now names what they all are now: the same change
 * gives the same value.
 */
const char *iso_snapshot_changed_file(const struct iso_snapshot *snapshot, uint64_t *ret_now);
/* What a file is now; 0 when there is none. */
uint64_t iso_cfg_file_look(const char *path);
/* What a pattern's files are now: a new one that is bad is looked at again when it has changed, though no
 * snapshot was made from it. 0 when that cannot be told. */
uint64_t iso_cfg_pattern_look(const char *path);

#endif
