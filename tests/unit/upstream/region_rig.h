/*
 * One region on a socket of the test's own, and the proxy's side of it: loop, board, upstream. For unit tests
 * and for fuzz_upstream, which define MUST.
 */
#ifndef ISO_TESTS_REGION_RIG_H
#define ISO_TESTS_REGION_RIG_H

#include <stdlib.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include "iso/net/resolver.h"
#include "iso/upstream/attempt.h"

static struct iso_loop loop;
static struct iso_board_stand stand;
static struct iso_evidence evidence;
static struct iso_upstream upstream;
static struct iso_snapshot snapshot;
static struct iso_cfg_service service;
static struct iso_sockaddr region;
static int listening;

static void turn_begin(void *arg)
{
	iso_upstream_turn_begin(arg);
}

static void turn_end(void *arg)
{
	iso_upstream_turn_end(arg);
}

static void run_stop(struct iso_task *task)
{
	(void)task;
	iso_loop_stop(&loop);
}

static void turns(int n)
{
	struct iso_task stop;

	iso_task_init(&stop, run_stop);
	for (int i = 0; i < n; i++) {
		iso_loop_post_next(&loop, &stop);
		iso_loop_run(&loop);
	}
}

/* Once for a process. */
static void rig_begin(void)
{
	int one = 1;

	MUST(iso_loop_init(&loop, 4096) == ISO_OK && iso_board_stand_init(&stand) == ISO_OK &&
	     iso_evidence_init(&evidence) == ISO_OK);
	MUST(iso_sockaddr_parse("127.0.0.1", 0, &region) == ISO_OK);
	listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	MUST(listening >= 0 && bind(listening, &region.u.sa, region.len) == 0 && listen(listening, 128) == 0);
	MUST(setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	region.len = sizeof(region.u);
	MUST(getsockname(listening, &region.u.sa, &region.len) == 0);
	service = (struct iso_cfg_service){ .name = ISO_SLICE("s"),
					    .region_count = 1,
					    .connect_timeout_us = 1000000,
					    .connection_idle_us = 50000000 };
	service.regions[0] = (struct iso_cfg_region){ .name = ISO_SLICE("r"),
						      .host = ISO_SLICE("127.0.0.1"),
						      .authority = ISO_SLICE("api.test") };
	snapshot = (struct iso_snapshot){ .services = &service, .service_count = 1 };
	atomic_store(&snapshot.shared.refs, 1); /* ours: pools let go of theirs */
}

static void publish(void)
{
	struct iso_board *board = calloc(1, sizeof(*board));

	MUST(board != NULL);
	board->regions[0] = (struct iso_board_region){
		.state = ISO_REGION_HEALTHY, .up = true, .weight = ISO_WEIGHT_ONE, .endpoint_count = 1
	};
	board->regions[0].endpoints[0] = (struct iso_board_endpoint){ .addr = region, .usable = true };
	iso_board_publish(&stand, board);
}

/* An upstream without a connection; followed by attempts and iso_upstream_turn_end. */
static void rig_bind(enum iso_protocol protocol)
{
	service.regions[0].protocol = protocol;
	loop.hooks = (struct iso_loop_hooks){ turn_begin, turn_end, &upstream };
	publish();
	MUST(iso_upstream_init(&upstream, &loop, &stand, &evidence, 0) == ISO_OK);
	iso_upstream_turn_begin(&upstream);
	MUST(iso_upstream_bind(&upstream, &snapshot) == ISO_OK);
}

/* Every attempt has ended. */
static void rig_unbind(void)
{
	turns(3);
	iso_upstream_done(&upstream);
	loop.hooks = (struct iso_loop_hooks){ NULL, NULL, NULL };
	iso_loop_run_leftovers(&loop);
	turns(1);
}

/* What goes to the region; lives as long as its attempt. */
static struct iso_head rig_head(const char *method, const char *protocol)
{
	return (struct iso_head){ .version = ISO_HTTP_2,
				  .method = iso_slice_str(method),
				  .method_id = iso_method_id(iso_slice_str(method)),
				  .scheme = ISO_SLICE("http"),
				  .authority = ISO_SLICE("api.test"),
				  .path = ISO_SLICE("/x"),
				  .protocol = iso_slice_str(protocol),
				  .content_length = -1 };
}

#endif
