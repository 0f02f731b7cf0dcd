/*
 * A control loop with a publisher and a prober over two cleartext regions that are served in this same
 * thread. Nothing sleeps: the loop runs until a condition holds, with a deadline.
 */
#ifndef TEST_MONITOR_RIG_H
#define TEST_MONITOR_RIG_H

#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iso/base/clock.h"
#include "iso/monitor/prober.h"
#include "iso/net/resolver.h"

enum { RIG_REGIONS = 2, RIG_CONNS = 32 };

struct rig_server {
	struct event *accepting;
	struct event *conns[RIG_CONNS];
	uint32_t conn_count;
	uint16_t port;
	const char *answer; /* NULL: never answers */
	char request[2048]; /* the last one */
	uint32_t requests;
};

struct rig {
	struct iso_loop loop;
	struct iso_board_stand stand;
	struct iso_evidence evidence, worker;
	struct iso_upstream upstream;
	struct iso_registry registry;
	struct iso_snapshot *snapshot;
	struct iso_cfg_service service;
	struct iso_cfg_route route; /* rig_measure's */
	struct iso_publisher *pub;
	struct iso_prober *prober;
	struct rig_server servers[RIG_REGIONS];
	struct iso_timer check;
	bool (*condition)(struct rig *rig);
	uint64_t deadline_us;
	bool held;
};

#define RIG_OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static inline void rig_read(evutil_socket_t fd, short what, void *arg)
{
	struct rig_server *server = arg;
	ssize_t n = recv(fd, server->request, sizeof(server->request) - 1, 0);

	(void)what;
	if (n <= 0)
		return;
	server->request[n] = '\0';
	server->requests++;
	if (server->answer != NULL)
		(void)!send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
}

static inline void rig_accept(evutil_socket_t fd, short what, void *arg)
{
	struct rig_server *server = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (conn < 0 || server->conn_count == RIG_CONNS)
		abort();
	server->conns[server->conn_count] = event_new(event_get_base(server->accepting), conn,
						      EV_READ | EV_PERSIST, rig_read, server);
	event_add(server->conns[server->conn_count++], NULL);
}

static inline void rig_listen(struct rig *rig, struct rig_server *server)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, len) != 0 || listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) != 0)
		abort();
	server->port = ntohs(sin.sin_port);
	server->answer = RIG_OK;
	server->accepting = event_new(rig->loop.base, fd, EV_READ | EV_PERSIST, rig_accept, server);
	event_add(server->accepting, NULL);
}

/* From now on connecting is refused and what is open is cut. */
static inline void rig_kill(struct rig_server *server)
{
	if (server->accepting == NULL)
		return;
	close(event_get_fd(server->accepting));
	event_free(server->accepting);
	server->accepting = NULL;
	while (server->conn_count > 0) {
		struct event *conn = server->conns[--server->conn_count];

		close(event_get_fd(conn));
		event_free(conn);
	}
}

static inline void rig_begin(void *arg)
{
	iso_upstream_turn_begin(&((struct rig *)arg)->upstream);
}

static inline void rig_end(void *arg)
{
	iso_upstream_turn_end(&((struct rig *)arg)->upstream);
}

static inline void rig_check(struct iso_timer *timer)
{
	struct rig *rig = ISO_CONTAINER(timer, struct rig, check);

	rig->held = rig->condition(rig);
	if (rig->held || rig->loop.now_us > rig->deadline_us)
		iso_loop_stop(&rig->loop);
	else
		iso_timer_set(&rig->loop.wheel, timer, rig->loop.now_us + 1000);
}

/* Runs turns until the condition holds; false after 10 s. */
static inline bool rig_until(struct rig *rig, bool (*condition)(struct rig *rig))
{
	rig->condition = condition;
	rig->held = false;
	rig->loop.stopping = false;
	rig->deadline_us = iso_clock_mono_us() + 10 * 1000 * 1000;
	iso_timer_set(&rig->loop.wheel, &rig->check, rig->loop.now_us);
	iso_loop_run(&rig->loop);
	return rig->held;
}

/* A live attempt of a worker's that has just ended after so long. */
static inline void rig_push(struct rig *rig, uint16_t slot, enum iso_outcome outcome, uint32_t us)
{
	bool ok = outcome == ISO_OUTCOME_OK;
	struct iso_sample s = { .start_us = rig->loop.now_us - us,
				.end_us = rig->loop.now_us,
				.slot = slot,
				.status = ok ? 200 : 0,
				.ttfb_us = ok ? us : 0,
				.outcome = (uint8_t)outcome,
				.fault = ok ? ISO_FAULT_NONE : ISO_FAULT_REGION };

	iso_evidence_push(&rig->worker, &s);
}

static inline struct iso_region_report rig_region(struct rig *rig, uint32_t slot)
{
	struct iso_region_report report;

	if (!iso_publisher_region(rig->pub, slot, &report))
		abort();
	return report;
}

static inline struct iso_snapshot *rig_snapshot(struct rig *rig)
{
	struct iso_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct iso_cfg_service *service = &rig->service;
	static const char *const names[] = { "a", "b" };

	if (snapshot == NULL)
		abort();
	atomic_init(&snapshot->shared.refs, 1);
	snapshot->generation = 1;
	snapshot->services = service;
	snapshot->service_count = 1;
	iso_arena_init(&snapshot->arena, NULL, 65536);
	*service = (struct iso_cfg_service){ .name = ISO_SLICE("s"),
					     .region_count = RIG_REGIONS,
					     .connect_timeout_us = 1000000,
					     .connection_idle_us = 50000000,
					     .timeout_us = 5000000 };
	service->health = (struct iso_cfg_health){ .path = ISO_SLICE("/health"),
						   .interval_us = 40000,
						   .timeout_us = 1000000,
						   .healthy_threshold = 2,
						   .unhealthy_threshold = 3,
						   .statuses = { { 200 }, 1 } };
	for (uint32_t i = 0; i < RIG_REGIONS; i++)
		service->regions[i] = (struct iso_cfg_region){
			.name = iso_slice_str(names[i]),
			.identity = iso_slice_str(names[i]),
			.host = ISO_SLICE("127.0.0.1"),
			.port = rig->servers[i].port,
			.base_path = ISO_SLICE("/prod"),
			.authority = ISO_SLICE("api.example"),
			.sni = ISO_SLICE("api.example"),
			.weight = 100,
			.priority = i,
		};
	return snapshot;
}

/* ret: zeroed. */
static inline void rig_init(struct rig *rig, bool probing)
{
	if (iso_loop_init(&rig->loop, 256) != ISO_OK || iso_board_stand_init(&rig->stand) != ISO_OK ||
	    iso_evidence_init(&rig->evidence) != ISO_OK || iso_evidence_init(&rig->worker) != ISO_OK)
		abort();
	iso_timer_init(&rig->check, rig_check);
	iso_registry_init(&rig->registry);
	for (int i = 0; i < RIG_REGIONS; i++)
		rig_listen(rig, &rig->servers[i]);
	rig->snapshot = rig_snapshot(rig);
	if (iso_registry_bind(&rig->registry, rig->snapshot) != ISO_OK ||
	    iso_upstream_init(&rig->upstream, &rig->loop, &rig->stand, &rig->evidence, 0) != ISO_OK ||
	    iso_publisher_new(&rig->loop, &rig->stand, &rig->registry, "127.0.0.1:1", &rig->pub) != ISO_OK ||
	    iso_publisher_add_prober(rig->pub, &rig->evidence) != ISO_OK ||
	    iso_publisher_add_worker(rig->pub, &rig->worker) != ISO_OK ||
	    iso_publisher_bind(rig->pub, rig->snapshot) != ISO_OK ||
	    iso_upstream_bind(&rig->upstream, rig->snapshot) != ISO_OK)
		abort();
	rig->loop.hooks = (struct iso_loop_hooks){ rig_begin, rig_end, rig };
	if (!probing)
		return;
	if (iso_prober_new(&rig->upstream, rig->pub, &rig->prober) != ISO_OK)
		abort();
	iso_prober_bind(rig->prober, rig->snapshot);
}

/* From now on the service has a route that is measured by itself, number 1. */
static inline void rig_measure(struct rig *rig, const char *identity)
{
	rig->route = (struct iso_cfg_route){ .name = ISO_SLICE("r"),
					     .service = &rig->service,
					     .region_mask = 3,
					     .track = &rig->snapshot->tracks[0] };
	rig->snapshot->tracks[0] = (struct iso_cfg_track){ iso_slice_str(identity), &rig->route, 0 };
	rig->snapshot->track_count = 1;
	rig->snapshot->generation++;
	if (iso_registry_bind(&rig->registry, rig->snapshot) != ISO_OK ||
	    iso_publisher_bind(rig->pub, rig->snapshot) != ISO_OK)
		abort();
}

/* The same as rig_push of one of its requests. */
static inline void rig_push_by(struct rig *rig, uint8_t track, uint16_t slot, uint32_t us)
{
	struct iso_sample s = { .start_us = rig->loop.now_us - us,
				.end_us = rig->loop.now_us,
				.slot = slot,
				.status = 200,
				.ttfb_us = us,
				.outcome = ISO_OUTCOME_OK,
				.track = track };

	iso_evidence_push(&rig->worker, &s);
}

static inline struct iso_track_report rig_track(struct rig *rig)
{
	struct iso_track_report report;

	if (!iso_publisher_track(rig->pub, &rig->route, &report))
		abort();
	return report;
}

static inline bool rig_quiet(struct rig *rig)
{
	(void)rig;
	return true;
}

static inline void rig_done(struct rig *rig)
{
	iso_prober_free(rig->prober);
	iso_publisher_free(rig->pub);
	iso_upstream_done(&rig->upstream);
	(void)rig_until(rig, rig_quiet); /* connections are freed by a task */
	for (int i = 0; i < RIG_REGIONS; i++)
		rig_kill(&rig->servers[i]);
	iso_timer_clear(&rig->loop.wheel, &rig->check);
	iso_loop_done(&rig->loop);
	iso_snapshot_unref(rig->snapshot);
	iso_registry_done(&rig->registry);
	iso_evidence_done(&rig->evidence);
	iso_evidence_done(&rig->worker);
	iso_board_stand_done(&rig->stand);
}

#endif
