/*
 * Services and their regions: URLs, names, TLS contexts, health.
 */
#include "load_priv.h"

#include <stdio.h>

#include "iso/http/uri.h"
#include "iso/net/resolver.h"

enum {
	REGIONS_ALL_MAX = 64, /* of all services: what the proxy keeps statistics for */
	IDENTITY_MAX = 16384,
};

static bool same_files(const struct iso_load_tls_files *a, const struct iso_load_tls_files *b)
{
	return iso_slice_eq(a->ca, b->ca) && iso_slice_eq(a->cert, b->cert) && iso_slice_eq(a->key, b->key);
}

static const char *tls_mend(const struct iso_tls_problem *problem, const struct iso_load_tls_files *files)
{
	if (problem->file == ISO_TLS_FILE_CERT)
		return "name in `tls.cert` a PEM file with the certificate first, readable by the proxy";
	if (problem->file == ISO_TLS_FILE_KEY)
		return "name in `tls.key` the PEM file of the certificate's private key, readable by "
		       "the proxy";
	return files->ca.len > 0 ? "name a PEM file of trusted CA certificates, readable by the proxy"
				 : "install the system's CA certificates, or name a file in `tls.ca`";
}

struct iso_tls_client *iso_load_tls_client(struct iso_load *load, const struct iso_load_tls_files *files,
					   enum iso_protocol protocol)
{
	struct iso_tls_client_config config = {
		.ca_path = files->ca.len > 0 ? files->ca.ptr : NULL,
		.cert_path = files->cert.len > 0 ? files->cert.ptr : NULL,
		.key_path = files->key.len > 0 ? files->key.ptr : files->cert.ptr,
		.h2 = protocol != ISO_PROTOCOL_HTTP11,
		.http11 = protocol != ISO_PROTOCOL_H2,
	};
	struct iso_tls_problem problem = { .cert_index = 0 };
	struct iso_load_tls *tls;

	for (tls = load->tls; tls != NULL; tls = tls->next) {
		if (!same_files(&tls->files, files))
			continue;
		if (tls->client != NULL && tls->h2 == config.h2 && tls->http11 == config.http11)
			return iso_tls_client_ref(tls->client);
		if (tls->client == NULL && strcmp(tls->pointer, load->at.text) == 0)
			return NULL; /* one report for each place */
	}
	tls = iso_load_alloc(load, 1, sizeof(*tls));
	if (tls == NULL)
		return NULL;
	*tls = (struct iso_load_tls){
		.next = load->tls, .files = *files, .h2 = config.h2, .http11 = config.http11
	};
	switch (iso_tls_client_new(&config, &problem, &tls->client)) {
	case ISO_OK:
		break;
	case ISO_ENOMEM:
		load->nomem = true;
		return NULL;
	default:
		iso_load_error(load, ISO_PLACE_VALUE, tls_mend(&problem, files), "%s", problem.text);
		tls->pointer = iso_load_dup(load, iso_slice(load->at.text, load->at.len)).ptr;
	}
	load->tls = tls;
	return tls->client;
}

/* The file of CAs for a region, and load->at at the place that names it; "" for the system's. */
static struct iso_slice ca_of(struct iso_load *load, const json_t *region, const json_t *service,
			      size_t service_at)
{
	struct iso_slice ca = iso_load_text(load, iso_load_member(region, "tls"),
					    "services.*.regions.*.tls.ca");

	if (ca.len == 0) {
		ca = iso_load_text(load, iso_load_member(service, "tls"), "services.*.tls.ca");
		if (ca.len > 0)
			iso_pointer_cut(&load->at, service_at);
	}
	(void)iso_pointer_key(&load->at, ca.len > 0 ? ISO_SLICE("tls") : ISO_SLICE("url"));
	if (ca.len > 0)
		(void)iso_pointer_key(&load->at, ISO_SLICE("ca"));
	return iso_load_watched_file(load, ca);
}

/* The certificate that the service's regions are shown. */
static void add_identity(struct iso_load *load, const json_t *service, struct iso_load_tls_files *files)
{
	json_t *tls = iso_load_member(service, "tls");
	struct iso_slice cert = iso_load_text(load, tls, "services.*.tls.cert");
	struct iso_slice key = iso_load_text(load, tls, "services.*.tls.key");

	files->cert = cert.len > 0 ? iso_load_watched_file(load, cert) : ISO_SLICE("");
	files->key = key.len > 0 ? iso_load_watched_file(load, key) : ISO_SLICE("");
}

/* What is learnt about a region is kept while this text stays the same. None of the parts but the CA's has a
 * bar. */
static struct iso_slice make_identity(struct iso_load *load, const struct iso_cfg_service *service,
				      const struct iso_cfg_region *r, const struct iso_load_tls_files *files)
{
	static const char *const protocols[] = { "auto", "h2", "http/1.1" };
	char text[IDENTITY_MAX];
	int n;

	n = snprintf(text, IDENTITY_MAX, "%.*s|%.*s|%.*s|%.*s|%.*s|%s|%s", ISO_SLICE_FMT(service->name),
		     ISO_SLICE_FMT(r->name), ISO_SLICE_FMT(r->url), ISO_SLICE_FMT(r->authority),
		     ISO_SLICE_FMT(r->sni), protocols[r->protocol], r->tls ? "tls" : "clear");
	if (r->tls && n < IDENTITY_MAX)
		n += snprintf(text + n, (size_t)(IDENTITY_MAX - n), "|%.*s|%.*s", ISO_SLICE_FMT(files->ca),
			      ISO_SLICE_FMT(files->cert));
	return iso_load_dup(load, iso_slice(text, n < IDENTITY_MAX ? (size_t)n : IDENTITY_MAX - 1));
}

static bool parse_url(struct iso_load *load, struct iso_cfg_region *r)
{
	struct iso_slice normal;
	struct iso_url url;
	const char *why = "";

	if (iso_url_parse(r->url, &url, &why) != ISO_OK) {
		iso_load_error_in(load, "url", "write it as https://HOST/STAGE or http://HOST:PORT", "%s",
				  why);
		return false;
	}
	if (url.base_path.len > 0 &&
	    (iso_uri_normalise(&load->snapshot->arena, url.base_path, &normal) != ISO_OK ||
	     !iso_slice_eq(normal, url.base_path))) {
		iso_load_error_in(load, "url",
				  "write the path as it is sent, without dot segments and needless escapes",
				  "the URL's path is not in its normal form");
		return false;
	}
	r->host = iso_load_dup_lower(load, url.host);
	r->port = url.port;
	r->tls = url.tls;
	r->base_path = iso_load_dup(load, url.base_path);
	r->authority = iso_load_dup(load, url.authority);
	return true;
}

/* Without the port where it is the scheme's own. */
static struct iso_slice default_authority(const struct iso_cfg_region *r)
{
	static const char *const ports[] = { ":80", ":443" };
	struct iso_slice a = r->authority, port = iso_slice_str(ports[r->tls]);

	if (a.len > port.len && iso_slice_eq(iso_slice(a.ptr + a.len - port.len, port.len), port))
		a.len -= port.len;
	return a;
}

static void set_names(struct iso_load *load, const json_t *object, struct iso_cfg_region *r)
{
	struct iso_slice host = iso_load_text(load, object, "services.*.regions.*.host");
	struct iso_slice sni = iso_load_text(load, object, "services.*.regions.*.sni");

	if (host.len > 0 && (!iso_uri_authority_ok(host) || host.ptr[host.len - 1] == ':'))
		iso_load_error_in(load, "host", "write a host name, with a port where it has one",
				  "\"%.*s\" is no host", ISO_SLICE_FMT(host));
	r->authority = iso_load_dup(load, host.len > 0 ? host : default_authority(r));
	if (!r->tls) {
		r->sni = ISO_SLICE("");
		return;
	}
	if (sni.len > 0 && (!iso_uri_authority_ok(sni) || iso_uri_host(sni).len != sni.len))
		iso_load_error_in(load, "sni", "write a host name without a port",
				  "\"%.*s\" is no server name", ISO_SLICE_FMT(sni));
	r->sni = iso_load_dup_lower(load, sni.len > 0 ? sni : iso_uri_host(r->authority));
}

static void build_region(struct iso_load *load, const json_t *object, const json_t *service_object,
			 struct iso_cfg_service *service, size_t service_at)
{
	struct iso_cfg_region *r = &service->regions[service->region_count];
	struct iso_load_tls_files files = { ISO_SLICE(""), ISO_SLICE(""), ISO_SLICE("") };

	r->url = iso_load_text(load, object, "services.*.regions.*.url");
	r->protocol = (enum iso_protocol)iso_load_enum(load, object, "services.*.regions.*.protocol");
	r->weight = (uint32_t)iso_load_u64(load, object, "services.*.regions.*.weight");
	r->priority = iso_load_has(object, "priority")
			      ? (uint32_t)iso_load_u64(load, object, "services.*.regions.*.priority")
			      : service->region_count;
	r->max_in_flight = (uint32_t)iso_load_u64(load, object, "services.*.regions.*.max_in_flight");
	iso_load_headers(load, object, &r->headers);
	iso_load_place(load, object, r);
	if (r->url.len == 0 || !parse_url(load, r))
		return;
	set_names(load, object, r);
	if (!r->tls && r->protocol == ISO_PROTOCOL_AUTO)
		r->protocol = ISO_PROTOCOL_HTTP11;
	if (!r->tls && (iso_load_has(object, "tls") || iso_load_has(object, "sni")))
		iso_load_note(load, "write https:// in the URL, or remove `tls` and `sni`",
			      "TLS keys have no effect on an http:// region");
	if (r->tls) {
		add_identity(load, service_object, &files);
		files.ca = ca_of(load, object, service_object, service_at);
		r->tls_client = iso_load_tls_client(load, &files, r->protocol);
	}
	r->identity = make_identity(load, service, r, &files);
}

static void build_regions(struct iso_load *load, const json_t *object, struct iso_cfg_service *service)
{
	json_t *regions = iso_load_member(object, "regions"), *region;
	size_t service_at = load->at.len;
	const char *name;
	bool any_tls = false;

	json_object_foreach(regions, name, region)
	{
		(void)iso_pointer_key(&load->at, ISO_SLICE("regions"));
		(void)iso_pointer_key(&load->at, iso_slice_str(name));
		service->regions[service->region_count].name = iso_load_dup(load, iso_slice_str(name));
		if (!json_is_null(region))
			build_region(load, region, object, service, service_at);
		any_tls |= service->regions[service->region_count].tls;
		service->region_count++;
		iso_pointer_cut(&load->at, service_at);
	}
	if (service->region_count == 1) {
		(void)iso_pointer_key(&load->at, ISO_SLICE("regions"));
		iso_load_note(load, "add a second region",
			      "there is one region only: nothing can take over from it");
		iso_pointer_cut(&load->at, service_at);
	}
	if (service->region_count > 0 && !any_tls && iso_load_has(object, "tls")) {
		(void)iso_pointer_key(&load->at, ISO_SLICE("tls"));
		iso_load_note(load, "write https:// in the URLs, or remove `tls`",
			      "TLS keys have no effect: all regions are http://");
		iso_pointer_cut(&load->at, service_at);
	}
}

static void build_health(struct iso_load *load, const json_t *service_object, struct iso_cfg_health *health)
{
	const json_t *object = iso_load_member(service_object, "health");
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("health"));
	struct iso_slice normal;

	health->path = iso_load_text(load, object, "services.*.health.path");
	if (health->path.len > 0 &&
	    (health->path.ptr[0] != '/' || iso_slice_find(health->path, '#') < health->path.len ||
	     iso_uri_normalise(&load->snapshot->arena, health->path, &normal) != ISO_OK ||
	     !iso_slice_eq(normal, health->path)))
		iso_load_error_in(load, "path", "write it as /health, with a query where one is needed",
				  "this is no path in its normal form");
	for (size_t i = 0; i < health->path.len; i++) {
		unsigned char c = (unsigned char)health->path.ptr[i];

		if (c > ' ' && c < 0x7f)
			continue;
		iso_load_error_in(load, "path", "write such bytes as %XX",
				  "a path has no blanks, control characters or bytes beyond ASCII");
		break;
	}
	iso_load_headers(load, object, &health->headers);
	health->interval_us = iso_load_u64(load, object, "services.*.health.interval");
	health->timeout_us = iso_load_u64(load, object, "services.*.health.timeout");
	health->probes_per_hour = (uint32_t)iso_load_u64(load, object, "services.*.health.probes_per_hour");
	if (health->timeout_us > health->interval_us && iso_load_has(object, "timeout"))
		iso_load_error_in(load, "timeout", "shorten the timeout or lengthen the interval",
				  "the timeout of a probe is longer than the interval between two");
	if (health->timeout_us > health->interval_us)
		health->timeout_us = health->interval_us;
	health->healthy_threshold = (uint32_t)iso_load_u64(load, object,
							   "services.*.health.healthy_threshold");
	health->unhealthy_threshold = (uint32_t)iso_load_u64(load, object,
							     "services.*.health.unhealthy_threshold");
	iso_load_statuses(load, object, "services.*.health.statuses", &health->statuses);
	health->contains = iso_load_text(load, object, "services.*.health.contains");
	health->use_affected_endpoints = iso_load_bool(load, object,
						       "services.*.health.use_affected_endpoints");
	iso_pointer_cut(&load->at, mark);
}

static void build_service(struct iso_load *load, const json_t *object, struct iso_cfg_service *service)
{
	uint64_t weights = 0;

	build_regions(load, object, service);
	build_health(load, object, &service->health);
	iso_load_balance(load, object, service);
	iso_load_retry(load, object, service);
	service->connect_timeout_us = iso_load_u64(load, object, "services.*.connect_timeout");
	service->timeout_us = iso_load_u64(load, object, "services.*.timeout");
	service->idle_timeout_us = iso_load_u64(load, object, "services.*.idle_timeout");
	service->connection_idle_us = iso_load_u64(load, object, "services.*.connection_idle_timeout");
	service->tunnel_idle_timeout_us = iso_load_u64(load, object, "services.*.tunnel_idle_timeout");
	service->proxy_status = (enum iso_proxy_status)iso_load_enum(load, object, "services.*.proxy_status");
	iso_load_keys(load, iso_load_member(object, "idempotency"), service);
	for (uint32_t i = 0; i < service->region_count; i++)
		weights += service->regions[i].weight;
	if (service->policy == ISO_POLICY_WEIGHTED && service->region_count > 0 && weights == 0)
		iso_load_error_in(load, "balance", "give at least one region a `weight` above 0",
				  "the policy is weighted, and all regions weigh 0");
}

void iso_load_services(struct iso_load *load, const json_t *root)
{
	json_t *services = iso_load_member(root, "services"), *object;
	struct iso_snapshot *snapshot = load->snapshot;
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("services"));
	uint32_t regions = 0;
	const char *name;

	snapshot->services = iso_load_alloc(load, json_object_size(services) + 1,
					    sizeof(*snapshot->services));
	json_object_foreach(services, name, object)
	{
		size_t at = iso_pointer_key(&load->at, iso_slice_str(name));
		struct iso_cfg_service *service = snapshot->services;

		if (service == NULL)
			break;
		service += snapshot->service_count;
		service->name = iso_load_dup(load, iso_slice_str(name));
		service->index = snapshot->service_count++;
		if (!json_is_null(object))
			build_service(load, object, service);
		regions += service->region_count;
		iso_pointer_cut(&load->at, at);
	}
	if (regions > REGIONS_ALL_MAX)
		iso_load_error(load, ISO_PLACE_VALUE, "run several proxies, each with some of the services",
			       "there are %u regions in all services together, and at most %d are possible",
			       regions, (int)REGIONS_ALL_MAX);
	iso_pointer_cut(&load->at, mark);
}
