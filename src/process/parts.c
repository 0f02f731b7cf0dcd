/*
 * The monitor, the admin server and the metrics rows: made and taken apart. Thread: control.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "process_priv.h"

int iso_monitor_make(struct iso_process *p)
{
	const struct iso_snapshot *snapshot = p->snapshot;
	int err = iso_publisher_new(&p->loop, &p->stand, &p->registry,
				    snapshot->dns_servers.len > 0 ? snapshot->dns_servers.ptr : NULL,
				    &p->publisher);

	if (err == ISO_OK)
		err = iso_publisher_add_prober(p->publisher, &p->evidence);
	if (err == ISO_OK) {
		iso_publisher_count_in(p->publisher, &p->metrics);
		err = iso_prober_new(&p->upstream, p->publisher, &p->prober);
	}
	return err;
}

void iso_monitor_unmake(struct iso_process *p)
{
	iso_prober_free(p->prober);
	iso_publisher_free(p->publisher);
	p->prober = NULL;
	p->publisher = NULL;
}

/* A row whose slot has been given to something new counts from zero. */
static int bind_row(struct iso_metrics *m, uint32_t row, const struct iso_registry_slot *slot)
{
	if (slot->since == slot->generation)
		iso_metrics_restart(m, row);
	return iso_metrics_bind(m, row);
}

static int bind_rows(struct iso_metrics *m, const struct iso_registry *registry,
		     const struct iso_snapshot *snapshot)
{
	int err = ISO_OK;

	for (uint32_t s = 0; s < snapshot->service_count && err == ISO_OK; s++) {
		const struct iso_cfg_service *service = &snapshot->services[s];

		err = bind_row(m, iso_metrics_service_row(service->slot), &registry->services[service->slot]);
		for (uint32_t r = 0; r < service->region_count && err == ISO_OK; r++)
			err = bind_row(m, service->regions[r].slot,
				       &registry->slots[service->regions[r].slot]);
	}
	return err;
}

int iso_process_bind_metrics(struct iso_process *p, const struct iso_snapshot *snapshot)
{
	int err = bind_rows(&p->metrics, &p->registry, snapshot);

	for (uint32_t i = 0; i < p->worker_count && err == ISO_OK; i++)
		err = bind_rows(&p->workers[i].shared.metrics, &p->registry, snapshot);
	return err;
}

static bool is_known(const struct iso_process *p, uint32_t slot)
{
	struct iso_region_report report;

	return iso_publisher_names(p->publisher, slot) == ISO_SLOT_NAMELESS ||
	       (iso_publisher_region(p->publisher, slot, &report) && report.probe.at_us != 0);
}

bool iso_process_known(const struct iso_process *p)
{
	for (uint32_t s = 0; s < p->snapshot->service_count; s++)
		for (uint32_t r = 0; r < p->snapshot->services[s].region_count; r++)
			if (!is_known(p, p->snapshot->services[s].regions[r].slot))
				return false;
	return true;
}

/* Without a token the admin API is for this machine only. */
static bool is_loopback(const struct iso_sockaddr *addr)
{
	if (addr->u.sa.sa_family == AF_INET)
		return (ntohl(addr->u.v4.sin_addr.s_addr) >> 24) == 127;
	return IN6_IS_ADDR_LOOPBACK(&addr->u.v6.sin6_addr);
}

static int make_admin(struct iso_process *p)
{
	const struct iso_metrics *metrics[ISO_WORKERS_MAX + 1];
	const struct iso_server_counters *servers[ISO_WORKERS_MAX];
	struct iso_admin_config config = {
		.loop = &p->loop,
		.publisher = p->publisher,
		.metrics = metrics,
		.metrics_count = p->worker_count + 1,
		.servers = servers,
		.server_count = p->worker_count,
		.scribe = p->scribe,
		.exchanges = p->exchanges,
		.holds = p->holds,
		.ledger = p->ledger,
		.snapshot = p->snapshot,
		.reload = iso_reload_wish,
		.arg = p,
	};

	for (uint32_t i = 0; i < p->worker_count; i++) {
		metrics[i] = &p->workers[i].shared.metrics;
		servers[i] = &p->workers[i].own.server.counters;
	}
	metrics[p->worker_count] = &p->metrics;
	return iso_admin_new(&config, &p->admin);
}

int iso_process_start_admin(struct iso_process *p, const char **ret_why)
{
	struct iso_cfg_listener listener = { .http11 = true, .h2 = true };
	int fds[ISO_WORKER_SOCKETS_MAX], n, err;

	if (p->snapshot->admin_address.len == 0)
		return ISO_OK;
	if (!is_loopback(&p->snapshot->admin_addr)) {
		*ret_why = "admin.address must be a loopback address: the admin API has no authentication";
		return ISO_EUNSUPPORTED;
	}
	err = make_admin(p);
	if (err != ISO_OK)
		return err;
	iso_server_init(&p->admin_server, &p->loop, iso_admin_handler(p->admin), &p->snapshot->limits);
	listener.addr = p->snapshot->admin_addr;
	listener.address = p->snapshot->admin_address;
	err = iso_sockets_open(p, &listener, 1, ret_why);
	if (err != ISO_OK)
		return err;
	p->admin_addr = listener.addr;
	n = iso_sockets_share(&p->sockets, &listener.addr, 1, 0, fds);
	for (int i = 0; i < n && err == ISO_OK; i++)
		err = iso_server_listen(&p->admin_server, fds[i], &listener);
	return n > 0 ? err : ISO_ELIMIT;
}

void iso_process_stop_admin(struct iso_process *p)
{
	iso_server_done(&p->admin_server);
}
