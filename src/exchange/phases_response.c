/*
 * From an answer to the client: committing to a try, relaying, failing when none is left. Thread: the
 * exchange's loop.
 */
#include "exchange_priv.h"
#include "iso/http/hop.h"
#include "iso/http/uri.h"

/* "https://api.example.com", as the client sees this proxy. */
static struct iso_slice client_origin(struct iso_exchange *x)
{
	struct iso_slice scheme = x->from.tls ? ISO_SLICE("https://") : ISO_SLICE("http://");
	char *text = iso_arena_alloc(x->arena, scheme.len + x->head->authority.len + 1);

	if (text == NULL)
		return iso_slice(NULL, 0);
	memcpy(text, scheme.ptr, scheme.len);
	memcpy(text + scheme.len, x->head->authority.ptr, x->head->authority.len);
	return iso_slice(text, scheme.len + x->head->authority.len);
}

/* What must not leave any head of a region's: what is the connection's, and the marker, which is a secret. */
static int strip(struct iso_exchange *x, struct iso_head *head)
{
	if (x->service->marker.header.len > 0)
		iso_fields_remove_name(&head->fields, x->service->marker.header);
	return iso_hop_response(head, x->arena);
}

/*
 * Only the first attempt's reach the client, so that none is said twice; but a 100 whosever it is: the first
 * attempt may have failed before it said one, and the client waits with its content (RFC 9110 section
 * 10.1.1).
 */
void iso_exchange_interim(struct iso_try *t, const struct iso_head *answer)
{
	struct iso_exchange *x = t->x;
	struct iso_head head = *answer;
	bool go_on = head.status == 100, wanted = go_on ? !x->continued : t == x->tries[0];

	if (!wanted || x->committed)
		return;
	if (go_on) /* it says that and no more */
		head.fields.n = 0;
	else if (strip(x, &head) != ISO_OK ||
		 iso_edit_fields(x, &x->route->response_edits, &x->service->regions[t->region],
				 &head.fields) != ISO_OK)
		return;
	x->continued = x->continued || go_on;
	/* It has no content, and must not say how long that is (RFC 9110 section 8.6). */
	(void)iso_fields_remove(&head.fields, ISO_FIELD_CONTENT_LENGTH);
	head.content_length = -1;
	x->response->ops->head(x->response, &head, false);
}

/* The region's own names do not reach the client. */
static int edit_response(struct iso_exchange *x, const struct iso_try *t, struct iso_head *head)
{
	const struct iso_cfg_region *region = &x->service->regions[t->region];
	const struct iso_slice hosts[2] = { region->authority, region->host };
	int err = strip(x, head);

	if (err == ISO_OK)
		err = iso_rate_limit_tell(x, &head->fields);
	if (err == ISO_OK)
		err = iso_proxy_status_tell(x, 0, &head->fields);
	for (uint32_t i = 0; i < head->fields.n && err == ISO_OK; i++) {
		struct iso_field *f = &head->fields.v[i];

		if (f->id == ISO_FIELD_LOCATION)
			f->value = iso_uri_relocate(x->arena, f->value, hosts, region->base_path,
						    client_origin(x));
		else if (f->id == ISO_FIELD_SET_COOKIE)
			f->value = iso_uri_recookie(x->arena, f->value, region->base_path);
		if (f->value.ptr == NULL)
			err = ISO_ENOMEM;
	}
	if (err == ISO_OK)
		err = iso_edit_fields(x, &x->route->response_edits, region, &head->fields);
	return err == ISO_OK ? iso_affinity_tell(x, t, &head->fields) : err;
}

void iso_exchange_commit(struct iso_exchange *x, struct iso_try *t, const struct iso_head *answer, bool end)
{
	struct iso_head head = *answer;

	x->winner = t;
	iso_exchange_cancel_tries(x, t);
	iso_after_write_note(t);
	iso_tape_lose(&x->tape);
	x->committed = true;
	x->phase = ISO_PHASE_RELAY;
	x->status = head.status;
	x->response_end = end;
	iso_list_remove(&x->relay.link);
	iso_list_push_back(&x->host->relaying, &x->relay.link);
	x->relay.tunnel = head.tunnel;
	x->relay.idle_us = head.tunnel ? x->service->tunnel_idle_timeout_us : x->route->idle_timeout_us;
	iso_timer_set(&x->host->loop->wheel, &x->timer, x->host->loop->now_us + x->relay.idle_us);
	if (edit_response(x, t, &head) != ISO_OK) {
		x->response->ops->reset(x->response, ISO_RESET_INTERNAL);
		return;
	}
	iso_keys_head(x, t, &head, end);
	x->response->ops->head(x->response, &head, end);
}

void iso_exchange_relay_data(struct iso_exchange *x, struct iso_buf *data, bool end)
{
	if (iso_chunk_pool_short(&x->host->loop->chunks)) {
		(void)iso_exchange_shed(x->host);
		if (!iso_list_linked(&x->relay.link))
			return; /* this one was among them */
	}
	x->bytes += data->bytes;
	x->response_end = x->response_end || end;
	if (data->bytes > 0)
		iso_timer_set(&x->host->loop->wheel, &x->timer, x->host->loop->now_us + x->relay.idle_us);
	iso_keys_data(x, data, end);
	x->response->ops->data(x->response, data, end);
}

/* The last answer of a region that was put aside in the hope of a better one. */
static struct iso_try *kept_answer(struct iso_exchange *x)
{
	for (uint32_t i = x->try_count; i > 0; i--)
		if (x->tries[i - 1]->kept_head)
			return x->tries[i - 1];
	return NULL;
}

enum iso_step iso_phase_fail(struct iso_exchange *x)
{
	struct iso_try *t = kept_answer(x);

	iso_exchange_refund(x);
	if (t != NULL && !x->in_request && x->service != NULL && (t->live || t->kept_end)) {
		bool whole = t->kept_end && t->kept.bytes == 0;

		iso_exchange_commit(x, t, &t->answer, whole);
		if (!whole && t->kept.bytes > 0)
			iso_exchange_relay_data(x, &t->kept, t->kept_end);
		return ISO_STEP_PARK;
	}
	iso_local_reply(x, x->fail_status,
			x->error.ptr != NULL ? x->error.ptr : "no region could answer the request");
	return ISO_STEP_PARK;
}
