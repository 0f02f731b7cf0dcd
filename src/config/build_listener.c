/*
 * Listeners: addresses, protocols, certificates, the networks that are believed.
 */
#include <stdio.h>

#include "iso/net/listener.h"
#include "iso/net/resolver.h"
#include "load_priv.h"

enum { CERTS_MAX = 64 };

bool iso_load_address(struct iso_load *load, struct iso_slice text, struct iso_sockaddr *addr)
{
	if (iso_listener_parse(text, addr) == ISO_OK)
		return true;
	iso_load_error_in(load, "address",
			  "write it as 127.0.0.1:8080 or [::1]:8080, port 0 for a "
			  "free one",
			  "\"%.*s\" is no IP address with a port", ISO_SLICE_FMT(text));
	return false;
}

uint16_t iso_load_port(const struct iso_sockaddr *addr)
{
	return addr->u.sa.sa_family == AF_INET6 ? addr->u.v6.sin6_port : addr->u.v4.sin_port;
}

/* own: what the problem is about belongs to the certificate alone. */
static void report_cert(struct iso_load *load, size_t index, const struct iso_tls_problem *problem, bool own)
{
	static const struct {
		const char *member, *mend;
	} files[] = {
		[ISO_TLS_FILE_CERT] = { "cert",
					"name a PEM file with the certificate first, readable by the proxy" },
		[ISO_TLS_FILE_KEY] = { "key",
				       "name the PEM file of this certificate's private key, readable by "
				       "the proxy" },
		[ISO_TLS_FILE_OCSP] = { "ocsp",
					"name the DER file of an OCSP response, readable by the proxy" },
		[ISO_TLS_FILE_CA] = { "ca", "name a PEM file of CA certificates, readable by the proxy" },
	};
	size_t tls = iso_pointer_key(&load->at, ISO_SLICE("tls"));

	if (own || problem->file != ISO_TLS_FILE_CA) {
		(void)iso_pointer_key(&load->at, ISO_SLICE("certificates"));
		(void)iso_pointer_index(&load->at, index);
	}
	if (problem->file == ISO_TLS_FILE_CA)
		(void)iso_pointer_key(&load->at, ISO_SLICE("client_certificates"));
	iso_load_error_in(load, files[problem->file].member, files[problem->file].mend, "%s", problem->text);
	iso_pointer_cut(&load->at, tls);
}

/* tls: the listener's, or one of its certificates, whose `base` is the listener's policy. */
static void read_policy(struct iso_load *load, const json_t *tls, const struct iso_tls_policy *base,
			struct iso_tls_policy *policy)
{
	json_t *clients = iso_load_member(tls, "client_certificates");

	if (base != NULL)
		*policy = *base;
	if (base == NULL || iso_load_member(tls, "min_version") != NULL)
		policy->min_version = iso_load_enum(load, tls, "listeners[].tls.min_version") == 0 ? 12 : 13;
	if (clients != NULL) {
		struct iso_slice ca = iso_load_text(load, clients, "listeners[].tls.client_certificates.ca");

		policy->client_ca = ca.len > 0 ? iso_load_watched_file(load, ca).ptr : NULL;
		policy->client_required = iso_load_bool(load, clients,
							"listeners[].tls.client_certificates.required");
	}
}

/*
 * Reads the files' names; returns how many certificates there are, index[] says which. policies: room for
 * those that have their own.
 */
static size_t read_certs(struct iso_load *load, const json_t *tls, const struct iso_tls_policy *base,
			 struct iso_tls_cert *certs, struct iso_tls_policy *policies, size_t *index)
{
	size_t n = 0, i;
	json_t *item;

	json_array_foreach(iso_load_member(tls, "certificates"), i, item)
	{
		struct iso_slice cert = iso_load_text(load, item, "listeners[].tls.certificates[].cert");
		struct iso_slice key = iso_load_text(load, item, "listeners[].tls.certificates[].key");
		struct iso_slice ocsp = iso_load_text(load, item, "listeners[].tls.certificates[].ocsp");

		if (cert.len == 0 || key.len == 0 || n == CERTS_MAX)
			continue;
		certs[n].cert_path = iso_load_watched_file(load, cert).ptr;
		certs[n].key_path = iso_load_watched_file(load, key).ptr;
		certs[n].ocsp_path = ocsp.len > 0 ? iso_load_watched_file(load, ocsp).ptr : NULL;
		certs[n].policy = NULL;
		if (iso_load_member(item, "client_certificates") != NULL ||
		    iso_load_member(item, "min_version") != NULL) {
			read_policy(load, item, base, &policies[n]);
			certs[n].policy = &policies[n];
		}
		index[n++] = i;
	}
	return n;
}

static void build_server_tls(struct iso_load *load, const json_t *tls, struct iso_cfg_listener *listener)
{
	struct iso_tls_cert certs[CERTS_MAX];
	struct iso_tls_policy policies[CERTS_MAX];
	size_t index[CERTS_MAX];
	struct iso_tls_server_config config = {
		.certs = certs,
		.offers = (listener->h2 ? ISO_OFFER_H2 : 0u) | (listener->http11 ? ISO_OFFER_HTTP11 : 0u),
	};
	bool all = true;

	read_policy(load, tls, NULL, &config.policy);
	config.n = read_certs(load, tls, &config.policy, certs, policies, index);
	/* Again without the one that failed: find them all. */
	while (config.n > 0 && listener->tls == NULL && !load->nomem) {
		struct iso_tls_problem problem = { .cert_index = 0 };
		int err = iso_tls_server_new(&config, &problem, &listener->tls);
		size_t at = problem.cert_index;
		bool own = certs[at].policy != NULL && certs[at].policy->client_ca != config.policy.client_ca;

		if (err == ISO_ENOMEM)
			load->nomem = true;
		if (err == ISO_OK || err == ISO_ENOMEM)
			continue;
		all = false;
		report_cert(load, index[at], &problem, own);
		if (problem.file == ISO_TLS_FILE_CA) {
			if (own)
				certs[at].policy = NULL;
			for (size_t k = 0; k < config.n && !own; k++) /* reported once is enough */
				if (certs[k].policy != NULL &&
				    certs[k].policy->client_ca == config.policy.client_ca)
					certs[k].policy = NULL;
			if (!own)
				config.policy.client_ca = NULL;
			continue;
		}
		config.n--;
		for (size_t k = at; k < config.n; k++) {
			certs[k] = certs[k + 1];
			index[k] = index[k + 1];
		}
	}
	if (!all) { /* of no use; the file is refused anyway */
		iso_tls_server_unref(listener->tls);
		listener->tls = NULL;
	}
}

/* NULL: absent, or reported. */
static struct iso_cidr_set *build_networks(struct iso_load *load, const json_t *object, const char *name)
{
	struct iso_cidr cidrs[ISO_LOAD_NETWORKS_MAX];
	size_t n = iso_load_networks(load, object, name, cidrs);
	struct iso_cidr_set *set = n > 0 ? iso_cidr_set_new(cidrs, n) : NULL;

	load->nomem |= n > 0 && set == NULL;
	return set;
}

static void build_protocols(struct iso_load *load, const json_t *object, struct iso_cfg_listener *listener)
{
	json_t *array = iso_load_member(object, "protocols"), *item;
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("protocols")), i;

	if (array == NULL) { /* the schema's default is both */
		listener->h2 = listener->http11 = true;
		iso_pointer_cut(&load->at, mark);
		return;
	}
	json_array_foreach(array, i, item)
	{
		bool h2 = json_is_string(item) && strcmp(json_string_value(item), "h2") == 0;
		size_t at = iso_pointer_index(&load->at, i);

		if (!json_is_null(item) && (h2 ? listener->h2 : listener->http11))
			iso_load_error(load, ISO_PLACE_VALUE, "name each once", "\"%s\" is named twice",
				       json_string_value(item));
		listener->h2 |= !json_is_null(item) && h2;
		listener->http11 |= !json_is_null(item) && !h2;
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
}

static void report_twice(struct iso_load *load, size_t other)
{
	char pointer[48], where[ISO_LOAD_WHERE_MAX];

	(void)snprintf(pointer, sizeof(pointer), "/listeners/%zu/address", other);
	iso_load_where(load, pointer, ISO_PLACE_VALUE, where);
	iso_load_error_in(load, "address", "use another port, or remove one of the two",
			  "listeners/%zu has this address already, in %s", other, where);
}

static void build_listener(struct iso_load *load, const json_t *object, struct iso_cfg_listener *listener)
{
	json_t *tls = iso_load_member(object, "tls");

	build_protocols(load, object, listener);
	listener->proxy_protocol = build_networks(load, object, "proxy_protocol");
	listener->trusted_proxies = build_networks(load, object, "trusted_proxies");
	listener->address = iso_load_text(load, object, "listeners[].address");
	if (listener->address.len > 0 && iso_load_address(load, listener->address, &listener->addr)) {
		const struct iso_cfg_listener *other = load->snapshot->listeners;

		while (other < listener &&
		       !(other->addr.len > 0 && iso_sockaddr_eq(&other->addr, &listener->addr)))
			other++;
		if (other < listener && iso_load_port(&listener->addr) != 0)
			report_twice(load, (size_t)(other - load->snapshot->listeners));
	}
	if (tls != NULL)
		build_server_tls(load, tls, listener);
}

void iso_load_listeners(struct iso_load *load, const json_t *root)
{
	json_t *array = iso_load_member(root, "listeners"), *item;
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("listeners")), i;
	struct iso_snapshot *snapshot = load->snapshot;

	snapshot->listeners = iso_load_alloc(load, json_array_size(array) + 1, sizeof(*snapshot->listeners));
	json_array_foreach(array, i, item)
	{
		size_t at = iso_pointer_index(&load->at, i);

		if (snapshot->listeners != NULL) {
			snapshot->listener_count++; /* first: what is half built is given back too */
			if (!json_is_null(item))
				build_listener(load, item, &snapshot->listeners[i]);
		}
		iso_pointer_cut(&load->at, at);
	}
	iso_pointer_cut(&load->at, mark);
}
