/*
 * Boot order, reload and drain: see process.h. Thread: control, but for the builder that loads a
 * configuration.
 */
#include "iso/process/process.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process_priv.h"

enum {
	CONTROL_CHUNKS = 4096,
	START_WAIT_US = 2 * 1000 * 1000, /* for the regions' first probes, before clients are let in */
	START_LOOK_US = 5 * 1000,
	LAST_WORDS_US = 1000 * 1000, /* for what is cut at the end of a drain */
};

static void on_urgent(struct iso_worker *worker)
{
	iso_publisher_run_now(((struct iso_process *)worker->env.arg)->publisher);
}

/* All workers have come to their end: so has control. */
static void on_drained(struct iso_worker *worker)
{
	struct iso_process *p = worker->env.arg;

	if (++p->drained == p->worker_count)
		iso_loop_stop(&p->loop);
}

static void on_drain_deadline(struct iso_timer *timer)
{
	struct iso_process *p = ISO_CONTAINER(timer, struct iso_process, drain_timer);

	if (p->expired) {
		iso_loop_stop(&p->loop); /* somebody does not read even that */
		return;
	}
	p->expired = true;
	fprintf(stderr, "drain: the deadline has come, what is left is cut\n");
	iso_timer_set(&p->loop.wheel, timer, p->loop.now_us + LAST_WORDS_US);
	for (uint32_t i = 0; i < p->worker_count; i++)
		iso_worker_expire(&p->workers[i]);
}

void iso_process_drain(struct iso_process *p)
{
	if (p->draining) {
		iso_loop_stop(&p->loop); /* asked twice: at once */
		return;
	}
	p->draining = true;
	if (p->upgrade.successor == 0) /* else the service goes on, in another process */
		iso_notify("STOPPING=1");
	else
		iso_timer_clear(&p->loop.wheel, &p->upgrade.timer);
	iso_admin_drain(p->admin);
	iso_sockets_close(&p->sockets);
	fprintf(stderr, "drain: no new connections; waiting for running exchanges\n");
	iso_timer_set(&p->loop.wheel, &p->drain_timer, p->loop.now_us + p->snapshot->limits.drain_timeout_us);
	for (uint32_t i = 0; i < p->worker_count; i++)
		iso_worker_drain(&p->workers[i]);
}

static void turn_begin(void *arg)
{
	iso_upstream_turn_begin(&((struct iso_process *)arg)->upstream);
}

static void turn_end(void *arg)
{
	iso_upstream_turn_end(&((struct iso_process *)arg)->upstream);
}

/* Before the workers run. */
static int listen_all(struct iso_process *p, const char **ret_why)
{
	int fds[ISO_WORKER_SOCKETS_MAX], err = iso_sockets_inherit(p);

	for (uint32_t i = 0; i < p->snapshot->listener_count && err == ISO_OK; i++) {
		struct iso_cfg_listener *listener = &p->snapshot->listeners[i];

		err = iso_sockets_open(p, listener, p->worker_count, ret_why);
		for (uint32_t w = 0; w < p->worker_count && err == ISO_OK; w++) {
			int n = iso_sockets_share(&p->sockets, &listener->addr, p->worker_count, w, fds);

			err = n > 0 ? ISO_OK : ISO_ELIMIT;
			for (int k = 0; k < n && err == ISO_OK; k++)
				err = iso_worker_listen(&p->workers[w], fds[k], listener);
		}
	}
	return err;
}

static struct iso_sketch *new_sketch(struct iso_loop *loop)
{
	uint64_t seed[2] = { iso_rng_next(&loop->rng), iso_rng_next(&loop->rng) };
	struct iso_sketch *sketch = calloc(1, sizeof(*sketch));

	if (sketch != NULL)
		iso_sketch_init(sketch, seed);
	return sketch;
}

/* Its secret comes from a generator that gives nothing else away. */
static int make_holds(struct iso_process *p)
{
	struct iso_rng rng;
	uint64_t seed[2];

	iso_rng_seed_os(&rng);
	seed[0] = iso_rng_next(&rng);
	seed[1] = iso_rng_next(&rng);
	return iso_holds_new(seed, &p->holds);
}

/*
 * Clients must not use up the descriptors that connections to regions, probes and reloads need: an eighth of
 * them is kept back, and as many as clients for their regions.
 */
static void limit_connections(struct iso_snapshot *snapshot)
{
	struct rlimit files;
	uint64_t most;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
		return;
	most = files.rlim_cur / 8 * 7 / snapshot->workers;
	if (most >= snapshot->limits.connections)
		return;
	fprintf(stderr,
		"limits.connections is lowered to %llu for each worker: "
		"the process may open %llu files (ulimit -n)\n",
		(unsigned long long)most, (unsigned long long)files.rlim_cur);
	snapshot->limits.connections = (uint32_t)(most > 0 ? most : 1);
}

static int make_workers(struct iso_process *p, struct iso_snapshot *snapshot)
{
	struct iso_worker_env env = {
		.stand = &p->stand,
		.control = &p->loop.mailbox,
		.urgent = on_urgent,
		.drained = on_drained,
		.clients = p->clients,
		.rates = p->rates,
		.holds = p->holds,
		.exchanges = p->exchanges,
		.ledger = p->ledger,
		.arg = p,
	};
	int err = ISO_OK;

	p->worker_count = snapshot->workers < ISO_WORKERS_MAX - 1 ? snapshot->workers : ISO_WORKERS_MAX - 1;
	/* Evidence cells fill cache lines of their own, so the array must begin on one. */
	p->workers = aligned_alloc(64, p->worker_count * sizeof(*p->workers));
	if (p->workers == NULL)
		return ISO_ENOMEM;
	memset(p->workers, 0, p->worker_count * sizeof(*p->workers));
	for (uint32_t i = 0; i < p->worker_count && err == ISO_OK; i++) {
		if (p->scribe != NULL)
			err = iso_scribe_add_ring(p->scribe, ISO_LOG_RING_BYTES, &env.log);
		if (err == ISO_OK)
			err = iso_worker_init(&p->workers[i], i, &env, snapshot);
		if (err == ISO_OK)
			err = iso_publisher_add_worker(p->publisher, &p->workers[i].shared.evidence);
	}
	return err;
}

static void on_log_trouble(void *arg, int err, uint64_t lost)
{
	(void)arg;
	fprintf(stderr, "access log: %s; lines lost: %llu\n",
		err == ISO_OK ? "slower than the traffic" : iso_err_text(err), (unsigned long long)lost);
}

static int start_scribe(struct iso_process *p, const struct iso_snapshot *snapshot, const char **ret_why)
{
	struct iso_scribe_config config = { .path = snapshot->access_log.ptr, .on_trouble = on_log_trouble };
	int err;

	if (snapshot->access_log.len == 0)
		return ISO_OK;
	err = iso_scribe_start(&config, &p->scribe);
	if (err != ISO_OK)
		*ret_why = "cannot open the access log";
	return err;
}

/* The longest that a service asks for: the journal does not say whose a key is. */
static uint64_t longest_ttl_us(const struct iso_snapshot *snapshot)
{
	uint64_t longest_us = 0;

	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		const struct iso_cfg_keys *keys = &snapshot->services[i].keys;

		if (keys->store && keys->ttl_us > longest_us)
			longest_us = keys->ttl_us;
	}
	return longest_us;
}

static int start_ledger(struct iso_process *p, const struct iso_snapshot *snapshot, const char **ret_why)
{
	struct iso_ledger_config config = {
		.memory = snapshot->ledger.memory,
		.journal = snapshot->ledger.journal.len > 0 ? snapshot->ledger.journal.ptr : NULL,
		.sync = (enum iso_ledger_sync)snapshot->ledger.sync,
		.wait = iso_upgrade_is_one(),
		.ttl_us = longest_ttl_us(snapshot),
		.seed = { iso_rng_next(&p->loop.rng), iso_rng_next(&p->loop.rng) },
	};
	const char *why;
	int err;

	if (!iso_snapshot_keeps_keys(snapshot))
		return ISO_OK;
	err = iso_ledger_start(&config, &why, &p->ledger);
	if (err != ISO_OK) {
		fprintf(stderr, "idempotency.journal: %s: %s (%s)\n",
			config.journal != NULL ? config.journal : "none", why, iso_err_text(err));
		*ret_why = "cannot use the journal of Idempotency-Keys";
	}
	return err;
}

static int make_control(struct iso_process *p)
{
	int err = iso_loop_init(&p->loop, CONTROL_CHUNKS);

	if (err == ISO_OK)
		err = iso_evidence_init(&p->evidence);
	if (err == ISO_OK)
		err = iso_metrics_init(&p->metrics);
	if (err == ISO_OK)
		err = iso_board_stand_init(&p->stand);
	if (err == ISO_OK)
		err = iso_upstream_init(&p->upstream, &p->loop, &p->stand, &p->evidence, ISO_WORKERS_MAX - 1);
	if (err != ISO_OK)
		return err;
	p->loop.hooks = (struct iso_loop_hooks){ turn_begin, turn_end, p };
	iso_timer_init(&p->drain_timer, on_drain_deadline);
	return iso_monitor_make(p);
}

/* What was asked in a region that has gone since may take its time. */
static void note_busy(struct iso_process *p)
{
	for (uint32_t i = 0; i < ISO_REGION_SLOTS; i++) {
		uint32_t in_flight, connections;

		iso_publisher_load(p->publisher, i, &in_flight, &connections);
		p->registry.busy[i] = in_flight > 0 || connections > 0;
	}
}

/* The one order in which a snapshot comes to be used: slots, pools, statistics. */
int iso_process_bind(struct iso_process *p, struct iso_snapshot *snapshot)
{
	int err;

	note_busy(p);
	err = iso_registry_bind(&p->registry, snapshot);
	if (err == ISO_OK)
		err = iso_upstream_bind(&p->upstream, snapshot);
	if (err == ISO_OK)
		err = iso_process_bind_metrics(p, snapshot);
	if (err == ISO_OK)
		err = iso_publisher_bind(p->publisher, snapshot);
	if (err == ISO_OK)
		iso_prober_bind(p->prober, snapshot);
	if (err == ISO_OK)
		iso_exchange_shared_adopt(p->exchanges, snapshot);
	return err;
}

int iso_process_new(struct iso_snapshot *snapshot, const struct iso_process_source *source,
		    const char **ret_why, struct iso_process **ret_process)
{
	struct iso_process *p = aligned_alloc(64, (sizeof(*p) + 63) / 64 * 64);
	int err;

	if (p == NULL) {
		iso_snapshot_unref(snapshot);
		return ISO_ENOMEM;
	}
	memset(p, 0, sizeof(*p));
	p->snapshot = snapshot;
	p->source = *source;
	p->upgrade.learnt = -1;
	iso_list_init(&p->wishes);
	snapshot->generation = 1;
	*ret_why = "out of memory";
	iso_registry_init(&p->registry);
	err = make_control(p);
	if (err == ISO_OK)
		err = iso_registry_bind(&p->registry, snapshot);
	limit_connections(snapshot);
	p->clients = new_sketch(&p->loop);
	p->rates = new_sketch(&p->loop);
	p->exchanges = aligned_alloc(64, sizeof(*p->exchanges));
	if (err == ISO_OK)
		err = make_holds(p);
	if (err == ISO_OK && (p->clients == NULL || p->rates == NULL || p->exchanges == NULL))
		err = ISO_ENOMEM;
	if (p->exchanges != NULL)
		iso_exchange_shared_init(p->exchanges, p->loop.now_us);
	if (err == ISO_OK)
		err = start_scribe(p, snapshot, ret_why);
	if (err == ISO_OK)
		err = start_ledger(p, snapshot, ret_why);
	if (err == ISO_OK)
		err = make_workers(p, snapshot);
	if (err == ISO_OK)
		err = iso_process_bind(p, snapshot);
	if (err == ISO_OK)
		err = listen_all(p, ret_why);
	if (err == ISO_OK)
		err = iso_process_start_admin(p, ret_why);
	iso_sockets_close(&p->inherited); /* nobody listens there any more */
	if (err == ISO_OK)
		iso_upgrade_learn(p);
	if (err == ISO_OK)
		err = iso_privileges_drop(snapshot, ret_why);
	if (err != ISO_OK) {
		iso_process_free(p);
		return err;
	}
	*ret_process = p;
	return ISO_OK;
}

static void say_ready(const struct iso_process *p)
{
	fprintf(stderr, "ready");
	for (uint32_t i = 0; i < p->snapshot->listener_count; i++) {
		char text[64];

		iso_sockaddr_format(&p->snapshot->listeners[i].addr.u.sa, text, sizeof(text));
		fprintf(stderr, " %s", text);
	}
	if (p->admin_addr.len != 0) {
		char text[64];

		iso_sockaddr_format(&p->admin_addr.u.sa, text, sizeof(text));
		fprintf(stderr, " admin=%s", text);
	}
	fprintf(stderr, "\n");
}

/* Long before clients come, so that the first ones find connections: a far region's take half a second. */
static int start_workers(struct iso_process *p)
{
	int err = ISO_OK;

	for (uint32_t i = 0; i < p->worker_count && err == ISO_OK; i++)
		err = iso_worker_start(&p->workers[i]);
	if (err != ISO_OK)
		fprintf(stderr, "cannot start a worker thread\n");
	return err;
}

/* Clients are let in when every region has been measured once, or has had its time. */
static void on_start_look(struct iso_timer *timer)
{
	struct iso_process *p = ISO_CONTAINER(timer, struct iso_process, start_timer);

	if (!iso_process_known(p) && p->loop.now_us < p->started_us + START_WAIT_US) {
		iso_timer_set(&p->loop.wheel, timer, p->loop.now_us + START_LOOK_US);
		return;
	}
	iso_publisher_run_now(p->publisher);
	for (uint32_t i = 0; i < p->worker_count; i++)
		iso_worker_serve(&p->workers[i]);
	p->ready = true;
	iso_watch_start(p);
	say_ready(p);
	iso_notify_start(p);
	iso_upgrade_take_over();
}

int iso_process_run(struct iso_process *p)
{
	int err = iso_signals_start(p);

	if (err != ISO_OK)
		return err;
	err = start_workers(p);
	if (err == ISO_OK) {
		p->started_us = p->loop.now_us;
		iso_timer_init(&p->start_timer, on_start_look);
		iso_timer_set(&p->loop.wheel, &p->start_timer, p->loop.now_us + 1);
		iso_loop_run(&p->loop);
	}
	iso_signals_stop(p);
	return err;
}

static void deliver_stop(struct iso_letter *letter)
{
	iso_loop_stop(&ISO_CONTAINER(letter, struct iso_process, stop_letter)->loop);
}

void iso_process_stop(struct iso_process *p)
{
	p->stop_letter.deliver = deliver_stop;
	iso_mailbox_post(&p->loop.mailbox, &p->stop_letter);
}

void iso_process_free(struct iso_process *p)
{
	if (p == NULL)
		return;
	iso_reload_wait(p);
	for (uint32_t i = 0; i < p->worker_count; i++)
		iso_worker_stop(&p->workers[i]);
	iso_sockets_close(&p->sockets);
	iso_sockets_close(&p->inherited);
	iso_process_stop_admin(p);
	iso_admin_free(p->admin);
	iso_ledger_stop(p->ledger);
	for (uint32_t i = 0; i < p->worker_count && p->workers != NULL; i++)
		iso_worker_done(&p->workers[i]);
	iso_ledger_free(p->ledger);
	iso_monitor_unmake(p);
	iso_upstream_done(&p->upstream);
	if (p->loop.base != NULL)
		iso_loop_run_leftovers(&p->loop);
	iso_loop_done(&p->loop);
	iso_board_stand_done(&p->stand);
	iso_evidence_done(&p->evidence);
	iso_metrics_done(&p->metrics);
	iso_scribe_stop(p->scribe);
	iso_tls_forget_tickets();
	iso_registry_done(&p->registry);
	iso_snapshot_unref(p->snapshot);
	free(p->workers);
	free(p->clients);
	free(p->rates);
	iso_holds_free(p->holds);
	free(p->exchanges);
	free(p);
}

void iso_process_addresses(const struct iso_process *p, char *ret_listener, char *ret_admin, size_t size)
{
	ret_listener[0] = ret_admin[0] = '\0';
	if (p->snapshot->listener_count > 0)
		iso_sockaddr_format(&p->snapshot->listeners[0].addr.u.sa, ret_listener, size);
	if (p->admin_addr.len != 0)
		iso_sockaddr_format(&p->admin_addr.u.sa, ret_admin, size);
}
