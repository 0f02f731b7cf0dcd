/*
 * What goes when the memory for bodies runs short. Without this the transports would run out of chunks, and
 * break whatever they carry. Thread: the host's loop.
 */
#include "exchange_priv.h"

enum {
	HELD_BYTES = 32 * 1024, /* an answer of which so much lies here unread holds memory */
	LOOK_AT = 256,          /* exchanges in one call */
};

static void give_up(struct iso_exchange *x)
{
	iso_list_remove(&x->relay.link);
	x->error = ISO_SLICE("memory runs short and the client does not read");
	iso_exchange_cancel_tries(x, NULL);
	x->response->ops->reset(x->response, ISO_RESET_INTERNAL);
}

bool iso_exchange_shed(struct iso_exchange_host *host)
{
	struct iso_list *next;
	int left = LOOK_AT;

	for (struct iso_list *l = host->relaying.next; l != &host->relaying && left > 0; l = next, left--) {
		struct iso_exchange *x = ISO_CONTAINER(l, struct iso_exchange, relay.link);

		next = l->next;
		if (!iso_chunk_pool_short(&host->loop->chunks))
			return true;
		if (x->winner != NULL && x->winner->a.unconsumed >= HELD_BYTES) {
			give_up(x);
		} else { /* it reads: others are looked at first next time */
			iso_list_remove(l);
			iso_list_push_back(&host->relaying, l);
		}
	}
	return !iso_chunk_pool_short(&host->loop->chunks);
}
