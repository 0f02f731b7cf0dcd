/*
 * h2rate: an open-loop HTTP/2 load generator. One thread, one epoll; everything hangs off struct client.
 *
 * Requests live in one array in the order of their due times, so that the oldest unfinished one is found by a
 * cursor. A connection slot names the connection that takes new requests; a connection that got GOAWAY leaves
 * its slot at once and lives on until its last stream has ended.
 */
#ifndef H2RATE_PRIV_H
#define H2RATE_PRIV_H

#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct options {
	const char *connect, *sni, *authority, *ca, *out;
	const char *get_path, *post_path, *id_prefix;
	double get_rate, post_rate, seconds;
	unsigned connections;
	uint64_t timeout_us;
	bool cleartext, hold;
	struct sockaddr_in address;
};

struct request {
	uint64_t due_us, sent_us, end_us; /* since the run's start */
	uint32_t index;
	uint16_t status; /* 0: no answer */
	bool post, done, retried;
	const char *error; /* a word; NULL when an answer came whole */
	char region[32];
	char id[64];
	char body[96];
	size_t body_len, body_sent;
	struct conn *conn; /* NULL: not on a connection */
	int32_t stream;    /* 0: waits for the connection to be ready */
	struct request *next_waiting;
};

enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_READY, CONN_CLOSED };

struct conn {
	struct client *client;
	struct conn *next;
	nghttp2_session *session;
	SSL *ssl;
	int fd;
	unsigned slot, number;
	enum conn_state state;
	bool draining, want_write;
	uint64_t opened_us;
	size_t open_streams;
	struct request *waiting, **waiting_tail;
	uint8_t *out;
	size_t out_len, out_at, out_cap;
};

struct client {
	struct options opt;
	SSL_CTX *tls;
	nghttp2_session_callbacks *callbacks;
	int epoll, timer;
	uint64_t start_us;
	struct request *requests;
	size_t count, due_next, oldest, unfinished;
	struct request *again; /* refused, to be sent once more */
	struct conn **slots;
	struct conn *conns;
	unsigned slot_next, conns_opened, connect_failures, goaways;
	uint64_t lag_max_us;
};

uint64_t now_us(const struct client *client);

/* h2rate_conn.c */
void conn_setup(struct client *client);
struct conn *conn_open(struct client *client, unsigned slot);
/* Takes a request; it is sent now, or when the connection is ready. */
void conn_take(struct conn *conn, struct request *req);
void conn_cancel(struct conn *conn, struct request *req);
void conn_event(struct conn *conn, uint32_t events);
/* Frees what is closed or drained. Never called from inside a callback. */
void conn_sweep(struct client *client);

/* h2rate.c: a request's end, or its second chance after it was refused unprocessed. */
void request_end(struct client *client, struct request *req, const char *error);
void request_refused(struct client *client, struct request *req);

/* h2rate_report.c */
int report_write(const struct client *client);

#endif
