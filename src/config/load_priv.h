/*
 * What the steps of loading share: load (parse) -> validate (types, ranges, expansion) -> build (meaning).
 * One thread. After validate every value in the tree has its type and range, or is null: what was wrong is
 * reported once and looks absent to the later steps, which go on so that all errors come at once.
 */
#ifndef ISO_CONFIG_LOAD_PRIV_H
#define ISO_CONFIG_LOAD_PRIV_H

#include <jansson.h>

#include "iso/base/diag.h"
#include "iso/config/schema.h"
#include "iso/config/snapshot.h"
#include "place_priv.h"
#include "pointer_priv.h"
#include "source_priv.h"

/* The files of a region's TLS, "" where there is none. */
struct iso_load_tls_files {
	struct iso_slice ca, cert, key;
};

/* A TLS context that regions share; a failed one is remembered by where it was reported. */
struct iso_load_tls {
	struct iso_load_tls *next;
	struct iso_load_tls_files files;
	bool h2, http11;
	struct iso_tls_client *client; /* borrowed from the first region that has it; NULL: failed */
	const char *pointer;           /* where it failed */
};

enum { ISO_LOAD_NETWORKS_MAX = 64, ISO_LOAD_WHERE_MAX = 320 };

struct iso_load {
	struct iso_diag *diag;
	struct iso_sources sources;
	const struct iso_source *reading; /* load->at is of this file; NULL: of all files as one */
	struct iso_pointer at;            /* what is being looked at */
	struct iso_snapshot *snapshot;    /* grows; its arena takes all texts */
	struct iso_load_tls *tls;
	const struct iso_cfg_file *patterns; /* of `include`, for those who watch */
	bool geo;                            /* `geo` is given, well or badly */
	bool syntax;                         /* a file is no JSON: that is told alone */
	bool partial;                        /* a file is not there: what is missing may be in it */
	bool nomem;
};

/* load.c */
struct iso_slice iso_load_dir_of(const char *name);
uint64_t iso_load_hash(uint64_t hash, struct iso_slice text); /* goes on with it */

/* parse.c: the tree of a file; NULL: it was reported, or memory failed. */
json_t *iso_load_parse(struct iso_load *load, const struct iso_source *source);

/* include.c: reads what the main file includes into `root`, its tree. */
void iso_load_include(struct iso_load *load, json_t *root);
/* merge.c: what the tree of one more file has. */
void iso_load_merge(struct iso_load *load, const struct iso_source *source, json_t *into, json_t *from);

/* report.c: at load->at, with the place of its value or key. `mend` is how to mend it, "" for nothing. */
void iso_load_error(struct iso_load *load, enum iso_place_of of, const char *mend, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void iso_load_note(struct iso_load *load, const char *mend, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* At the value of a member of what load->at names. */
void iso_load_error_in(struct iso_load *load, const char *member, const char *mend, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "FILE:LINE:COLUMN" of what a pointer names. */
void iso_load_where(struct iso_load *load, const char *pointer, enum iso_place_of of,
		    char ret_text[ISO_LOAD_WHERE_MAX]);
/* The file that load->at is in. */
const struct iso_source *iso_load_source(const struct iso_load *load);

/* validate.c: reports every error of shape; wrong values become null, ${} is expanded. */
void iso_load_validate(struct iso_load *load, json_t *root);
/* The same for one value: a new reference to it as it is to be used; NULL: it was reported. */
json_t *iso_load_check(struct iso_load *load, const struct iso_schema_key *key, json_t *value);
bool iso_load_name_ok(struct iso_slice name);

/* secret_file.c: for iso_expand; ctx is the load. ISO_OK; ISO_ESYS: reported. */
int iso_load_secret_file(void *ctx, struct iso_slice name, char **ret_text);

/* describe.c: into the snapshot's description; before anything is expanded. */
void iso_load_describe(struct iso_load *load, const json_t *root);

/* value.c: typed reading of validated values; `path` is the schema's, its last part the member's name. */
json_t *iso_load_member(const json_t *object, const char *name); /* borrowed; NULL when absent or null */
bool iso_load_has(const json_t *object, const char *name);
uint64_t iso_load_u64(struct iso_load *load, const json_t *object, const char *path);
double iso_load_number(struct iso_load *load, const json_t *object, const char *path);
bool iso_load_bool(struct iso_load *load, const json_t *object, const char *path);
/* Index among the row's values. */
unsigned int iso_load_enum(struct iso_load *load, const json_t *object, const char *path);
/* A copy in the snapshot's arena; "" when absent and without default. */
struct iso_slice iso_load_text(struct iso_load *load, const json_t *object, const char *path);
struct iso_slice iso_load_dup(struct iso_load *load, struct iso_slice s);
struct iso_slice iso_load_dup_lower(struct iso_load *load, struct iso_slice s);
/* A file's name as it is opened: relative ones start at the directory of the file that load->at is in. */
struct iso_slice iso_load_file(struct iso_load *load, struct iso_slice name);
/* The same for a file that the snapshot is made from: a change of it is noticed while the proxy runs. */
struct iso_slice iso_load_watched_file(struct iso_load *load, struct iso_slice name);
/* Files of a pattern that come and go are noticed by those who watch. */
void iso_load_watch_pattern(struct iso_load *load, const char *path);
/* With `watch`: the files that the configuration is made of, too. */
void iso_load_watch_sources(struct iso_load *load, const json_t *root);
/* The networks named there that are well formed, the others reported; how many. */
size_t iso_load_networks(struct iso_load *load, const json_t *object, const char *name,
			 struct iso_cidr cidrs[ISO_LOAD_NETWORKS_MAX]);
void iso_load_statuses(struct iso_load *load, const json_t *object, const char *path,
		       struct iso_statuses *statuses);
void *iso_load_alloc(struct iso_load *load, size_t count, size_t size); /* cleared */

/* build*.c: each fills its part of load->snapshot and reports what has no meaning. */
void iso_load_build(struct iso_load *load, const json_t *root);
/* build_listener.c: "host:port" of an IP literal, at `address`; false: reported. */
bool iso_load_address(struct iso_load *load, struct iso_slice text, struct iso_sockaddr *addr);
uint16_t iso_load_port(const struct iso_sockaddr *addr); /* in network order */
void iso_load_listeners(struct iso_load *load, const json_t *root);
void iso_load_services(struct iso_load *load, const json_t *root);
void iso_load_routes(struct iso_load *load, const json_t *root);
/* build_match.c: what a rule takes, of a route's object; false: it was reported. */
bool iso_load_match(struct iso_load *load, const json_t *route_object, struct iso_route_rule *rule);
/* build_action.c: what a route does, once its service is known (or NULL); route->pattern is set. */
void iso_load_action(struct iso_load *load, const json_t *route_object, struct iso_cfg_route *route);
/* The service's own, for a route that says nothing. */
void iso_load_action_defaults(struct iso_cfg_route *route);
/* build_geo.c: the database, before the services; where a region is. */
void iso_load_geo(struct iso_load *load, const json_t *root);
void iso_load_place(struct iso_load *load, const json_t *region_object, struct iso_cfg_region *region);
/* build_retry.c: what of a service concerns tries. */
void iso_load_retry(struct iso_load *load, const json_t *service_object, struct iso_cfg_service *service);
void iso_load_keys(struct iso_load *load, const json_t *idempotency, struct iso_cfg_service *service);
/* build_balance.c: `balance` of a service, whose regions are there already. */
void iso_load_balance(struct iso_load *load, const json_t *service_object, struct iso_cfg_service *service);
/* The regions of `mask` must suit the policy that stands at load->at. */
void iso_load_check_policy(struct iso_load *load, const struct iso_cfg_service *service,
			   enum iso_policy policy, uint16_t mask);
enum iso_policy iso_load_policy(struct iso_load *load, const json_t *object, const char *path);
bool iso_load_token_ok(struct iso_slice s); /* RFC 9110 section 5.6.2 */
/* A field of a head that may be set, at the key load->at; a value of it; false: reported. */
bool iso_load_header_name(struct iso_load *load, struct iso_slice lower);
bool iso_load_header_value(struct iso_load *load, struct iso_slice value);
/* headers of a region or a probe */
void iso_load_headers(struct iso_load *load, const json_t *object, struct iso_fields *fields);
/* The region's TLS context, shared where files and protocols are the same; NULL when it was reported. */
struct iso_tls_client *iso_load_tls_client(struct iso_load *load, const struct iso_load_tls_files *files,
					   enum iso_protocol protocol);

#endif
