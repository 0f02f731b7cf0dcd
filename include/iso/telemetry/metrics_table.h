/*
 * The metrics, one row a family: id, name, type, label names, help. The storage, the exposition, the manual
 * (docs/metrics.md, kept true by a test) and the alert rules all go by these rows. Names and labels are an
 * interface for scripts and dashboards: a row may be added, never renamed.
 */
#ifndef ISO_TELEMETRY_METRICS_TABLE_H
#define ISO_TELEMETRY_METRICS_TABLE_H

#define ISO_METRICS_TABLE(X)                                                                                 \
	X(REQUESTS, "isochrone_requests_total", COUNTER, "service,region,code",                              \
	  "Exchanges that ended, by the region whose answer the client got and its status.")                 \
	X(ATTEMPTS, "isochrone_attempts_total", COUNTER, "service,region,outcome",                           \
	  "Attempts that ended, by how they ended.")                                                         \
	X(RETRIES, "isochrone_retries_total", COUNTER, "service,reason",                                     \
	  "Attempts after the first of an exchange, by what made them necessary.")                           \
	X(EXECUTED, "isochrone_attempts_executed_total", COUNTER, "service,region,executed",                 \
	  "Attempts that ended, by whether the request ran: no, maybe or yes.")                              \
	X(NOT_RETRIED, "isochrone_not_retried_total", COUNTER, "service,reason",                             \
	  "Exchanges whose last attempt failed and was not followed by another one, by why not.")            \
	X(EXTRA_EXECUTIONS, "isochrone_extra_executions_total", COUNTER, "",                                 \
	  "Attempts given up because another one won (rescue, hedge) that may have run all the same.")       \
	X(HELD, "isochrone_held_total", COUNTER, "",                                                         \
	  "Attempts in a region because their client had just written there (after_write).")                 \
	X(HOLDS_LOST, "isochrone_holds_lost_total", COUNTER, "",                                             \
	  "Clients held in a region that were forgotten before their time for want of room.")                \
	X(REPLAY_BYTES, "isochrone_replay_bytes", GAUGE, "",                                                 \
	  "Request bodies kept for replay, all together.")                                                   \
	X(RETRY_BUDGET, "isochrone_retry_budget_tokens", GAUGE, "service",                                   \
	  "Further tries that the service's retry budget has now.")                                          \
	X(RETRIES_REFUSED, "isochrone_retries_refused_total", COUNTER, "",                                   \
	  "Tries that did not follow because the retry budget was used up.")                                 \
	X(KEYS, "isochrone_idempotency_entries", GAUGE, "", "Idempotency-Keys that are remembered.")         \
	X(KEY_BYTES, "isochrone_idempotency_bytes", GAUGE, "", "Memory of the keys and their answers.")      \
	X(KEY_REPLAYS, "isochrone_idempotency_replayed_total", COUNTER, "",                                  \
	  "Requests that got the answer that an earlier one with their key had got.")                        \
	X(KEY_CONFLICTS, "isochrone_idempotency_conflicts_total", COUNTER, "",                               \
	  "Requests that got 409: the first one with their key runs, or its answer is not known.")           \
	X(KEY_MISMATCHES, "isochrone_idempotency_mismatches_total", COUNTER, "",                             \
	  "Requests that got 422: their key was used for another request.")                                  \
	X(KEY_EVICTED, "isochrone_idempotency_evicted_total", COUNTER, "",                                   \
	  "Keys that were forgotten before their time for want of memory.")                                  \
	X(KEY_JOURNAL_ERRORS, "isochrone_idempotency_journal_errors_total", COUNTER, "",                     \
	  "Writes of the journal of keys that failed.")                                                      \
	X(ATTEMPT_DURATION, "isochrone_attempt_duration_seconds", HISTOGRAM, "service,region",               \
	  "Time from the start of an attempt to its end.")                                                   \
	X(REGION_SHARE, "isochrone_region_share", GAUGE, "service,region",                                   \
	  "Share of new requests that the region gets now, 0 to 1.")                                         \
	X(REGION_UP, "isochrone_region_up", GAUGE, "service,region",                                         \
	  "1 when the region is eligible for new requests, else 0.")                                         \
	X(REGION_RTT, "isochrone_region_rtt_seconds", GAUGE, "service,region",                               \
	  "Round trip of the network to the region, without the application's time.")                        \
	X(ROUTE_SHARE, "isochrone_route_share", GAUGE, "service,region,route",                               \
	  "Share of its next requests that a route with `measure` sends to the region, 0 to 1.")             \
	X(ROUTE_ESTIMATE, "isochrone_route_estimate_seconds", GAUGE, "service,region,route",                 \
	  "Predicted time to the response head of a route with `measure`. Absent until it is known.")        \
	X(PROBE, "isochrone_probe_total", COUNTER, "service,region,result",                                  \
	  "Health probes that ended, by result.")                                                            \
	X(UPSTREAM_CONNECTIONS, "isochrone_upstream_connections", GAUGE, "service,region",                   \
	  "Open connections to the region.")                                                                 \
	X(DOWNSTREAM_CONNECTIONS, "isochrone_downstream_connections", GAUGE, "", "Open client connections.") \
	X(DOWNSTREAM_ACCEPTED, "isochrone_downstream_connections_total", COUNTER, "",                        \
	  "Client connections accepted.")                                                                    \
	X(HANDSHAKE_FAILURES, "isochrone_downstream_handshake_failures_total", COUNTER, "",                  \
	  "Client connections that ended before their TLS handshake was complete.")                          \
	X(REFUSED, "isochrone_connections_refused_total", COUNTER, "",                                       \
	  "Client connections closed at once because a limit of connections was reached.")                   \
	X(CUT, "isochrone_connections_cut_total", COUNTER, "reason",                                         \
	  "Client connections that the proxy ended because of what the client did, by reason.")              \
	X(IN_FLIGHT, "isochrone_exchanges_in_flight", GAUGE, "", "Exchanges that have begun and not ended.") \
	X(LOG_DROPPED, "isochrone_access_log_dropped_total", COUNTER, "",                                    \
	  "Access log lines that were lost because the log could not be written as fast as they came.")      \
	X(RELOADS, "isochrone_reloads_total", COUNTER, "result", "Configuration reloads, by result.")        \
	X(BUILD_INFO, "isochrone_build_info", GAUGE, "version",                                              \
	  "Always 1; the label names the version that runs.")

/* Upper bounds of the duration histogram: microseconds, and the text of `le` in seconds. +Inf follows. */
#define ISO_METRICS_BOUNDS(X)                                                                                \
	X(1000, "0.001")                                                                                     \
	X(2500, "0.0025")                                                                                    \
	X(5000, "0.005")                                                                                     \
	X(10000, "0.01")                                                                                     \
	X(25000, "0.025")                                                                                    \
	X(50000, "0.05")                                                                                     \
	X(100000, "0.1")                                                                                     \
	X(250000, "0.25")                                                                                    \
	X(500000, "0.5")                                                                                     \
	X(1000000, "1")                                                                                      \
	X(2500000, "2.5")                                                                                    \
	X(5000000, "5")                                                                                      \
	X(10000000, "10")                                                                                    \
	X(30000000, "30")

/* Values of `result` on isochrone_probe_total. */
#define ISO_PROBE_RESULT_TABLE(X)                                                                            \
	X(PASS, "pass")                                                                                      \
	X(WARN, "warn") /* well, but a dependency is not */                                                  \
	X(FAIL, "fail")                                                                                      \
	X(IGNORED, "ignored") /* this machine's own loop lagged: it says nothing about the region */

/* Values of `result` on isochrone_reloads_total. */
#define ISO_RELOAD_RESULT_TABLE(X)                                                                           \
	X(OK, "ok")                                                                                          \
	X(REJECTED, "rejected") /* the file was bad and changed nothing */

#endif
