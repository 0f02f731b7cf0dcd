/*
 * How a service's region is chosen: the policy, and what `sticky` holds on to.
 */
#include "load_priv.h"

#include "iso/policy/balance.h"
#include "iso/policy/sticky.h"

enum iso_policy iso_load_policy(struct iso_load *load, const json_t *object, const char *path)
{
	struct iso_slice name = iso_load_text(load, object, path);
	enum iso_policy policy = ISO_POLICY_LATENCY;

	for (unsigned int i = 0; iso_policy_name((enum iso_policy)i) != NULL; i++)
		if (iso_slice_eq(iso_slice_str(iso_policy_name((enum iso_policy)i)), name))
			policy = (enum iso_policy)i;
	return policy;
}

void iso_load_check_policy(struct iso_load *load, const struct iso_cfg_service *service,
			   enum iso_policy policy, uint16_t mask)
{
	if (policy != ISO_POLICY_GEO)
		return;
	if (!load->geo)
		iso_load_error_in(load, "policy",
				  "add \"geo\": { \"database\": \"GeoLite2-City.mmdb\" } at the top",
				  "the policy is geo, and there is no database that says where clients are");
	for (uint32_t i = 0; i < service->region_count; i++)
		if ((mask >> i & 1) != 0 && !service->regions[i].placed)
			iso_load_error_in(
				load, "policy",
				"add \"location\": { \"latitude\": 50.1, \"longitude\": 8.7 } to "
				"the region, or name it as AWS does",
				"the policy is geo, and the place of the region \"%.*s\" is not known",
				ISO_SLICE_FMT(service->regions[i].name));
}

static void build_sticky(struct iso_load *load, const json_t *object, struct iso_cfg_sticky *sticky)
{
	struct iso_slice name = iso_load_text(load, object, "services.*.balance.sticky.name");

	sticky->by = (enum iso_sticky_by)iso_load_enum(load, object, "services.*.balance.sticky.by");
	sticky->ttl_us = iso_load_u64(load, object, "services.*.balance.sticky.ttl");
	sticky->comes_back = iso_load_bool(load, object, "services.*.balance.sticky.return");
	if (name.len > 0 && !iso_load_token_ok(name))
		iso_load_error_in(load, "name", "use letters, digits and '-'",
				  "this is no name of a cookie or a header field");
	else if (json_object_get(object, "name") == NULL && sticky->by == ISO_STICKY_HEADER)
		iso_load_error(load, ISO_PLACE_VALUE,
			       "add \"name\", such as \"x-user-id\", or use \"by\": \"cookie\"",
			       "`by` is header, and no header field is named");
	if (sticky->by == ISO_STICKY_COOKIE)
		sticky->name = name.len > 0 ? name : ISO_SLICE("isochrone");
	else if (sticky->by == ISO_STICKY_HEADER)
		sticky->name = iso_load_dup_lower(load, name);
	if (!sticky->comes_back && sticky->by != ISO_STICKY_COOKIE)
		iso_load_error_in(load, "return", "use \"by\": \"cookie\", or leave `return` out",
				  "only a cookie can remember where a client went");
}

void iso_load_balance(struct iso_load *load, const json_t *service_object, struct iso_cfg_service *service)
{
	json_t *object = iso_load_member(service_object, "balance");
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("balance"));

	service->policy = iso_load_policy(load, object, "services.*.balance.policy");
	iso_load_check_policy(load, service, service->policy, (uint16_t)((1u << service->region_count) - 1));
	(void)iso_pointer_key(&load->at, ISO_SLICE("sticky"));
	build_sticky(load, iso_load_member(object, "sticky"), &service->sticky);
	iso_pointer_cut(&load->at, mark);
	service->after_write_us = iso_load_u64(load, object, "services.*.balance.after_write");
	/* Nobody gets a cookie who has not been asked for one. */
	service->after_write_by = json_object_get(object, "sticky") != NULL ||
						  service->policy == ISO_POLICY_STICKY
					  ? service->sticky.by
					  : ISO_STICKY_CLIENT_IP;
	for (uint32_t i = 0; i < service->region_count; i++)
		service->regions[i].name_hash = iso_sticky_hash(service->regions[i].name);
}
