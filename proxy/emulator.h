/*
 * One emulated region: what a client of an API Gateway regional endpoint with a function behind it would see.
 * For the demo and for tests; built on the proxy's own server rooms. One loop, one thread.
 */
#ifndef ISO_PROXY_EMULATOR_H
#define ISO_PROXY_EMULATOR_H

#include <jansson.h>

#include "iso/server/server.h"
#include "iso/stats/bucket.h"

enum emulator_mode { EMULATOR_OK, EMULATOR_HANG, EMULATOR_REFUSE, EMULATOR_RESET, EMULATOR_STATUS };

struct emulator_config {
	const char *name; /* "us-east-1" */
	struct iso_cfg_listener listener;
	struct iso_sockaddr control; /* len 0: none */
	const char *base_path;       /* "" or "/prod" */
	const char *journal;         /* executions are appended here, one request id a line; NULL: not */
	uint64_t delay_us;           /* the function's own time */
};

struct emulator {
	struct emulator_config config;
	struct iso_loop *loop;
	struct iso_handler function, control_handler;
	struct iso_server server, control;
	uint64_t delay_us;
	enum emulator_mode mode;
	uint16_t status;            /* of EMULATOR_STATUS */
	struct iso_bucket throttle; /* the gateway's own limit; income 0: none */
	uint32_t tail_milli;        /* thousandths of the answers take tail_us longer */
	uint64_t tail_us;
	bool health_follows;  /* the mode applies to the health endpoint too */
	json_t *dependencies; /* name: "pass", "warn" or "fail" */
	json_t *by_id;        /* request id: executions */
	uint64_t executions, requests;
	int journal_fd;
	bool listening;
};

/* ISO_OK, or why it cannot listen. */
ISO_MUST_USE int emulator_start(struct emulator *e, struct iso_loop *loop,
				const struct emulator_config *config);
void emulator_stop(struct emulator *e);
/* The control API's handler, on its own port: GET and PUT /state, GET /executions, POST /executions/reset. */
void emulator_control_init(struct emulator *e);
/* Applies a mode: listens, or refuses. */
void emulator_set_mode(struct emulator *e, enum emulator_mode mode);
/* The address that it listens on, with the port that was chosen. */
void emulator_address(const struct emulator *e, char *ret_text, size_t size);

#endif
