/*
 * c-ares driven by a loop: its sockets become events, its timeouts a timer. Thread: the loop's (control).
 * Invariant: a query's `done` is called once, from the run queue or an event, never inside start; a cancelled
 * one never is, although c-ares still finishes it. Freeing the resolver cancels what runs.
 */
#include "iso/net/resolver.h"

#include <ares.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdlib.h>

enum {
	SOCKETS_MAX = 32,
	TRIES = 3,
	TRY_MS = 1000,
};

struct watch {
	struct iso_resolver *resolver;
	struct event *event;
	ares_socket_t fd;
};

struct iso_resolver {
	struct iso_loop *loop;
	ares_channel channel;
	struct watch watches[SOCKETS_MAX];
	struct iso_timer timer;
	struct iso_list jobs; /* all that are not freed */
	bool closing;
};

/* What c-ares and the query share; outlives a cancelled query. */
struct job {
	struct iso_list link;
	struct iso_resolve *query; /* NULL: cancelled or timed out */
	struct iso_resolver *resolver;
	struct iso_timer deadline;
	struct iso_task report;
	struct iso_resolution answer;
	bool finished; /* c-ares is done with it */
};

static void arm(struct iso_resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);

	if (next != NULL)
		iso_timer_set(&r->loop->wheel, &r->timer,
			      r->loop->now_us + (uint64_t)next->tv_sec * 1000000 + (uint64_t)next->tv_usec);
	else
		iso_timer_clear(&r->loop->wheel, &r->timer);
}

static void on_timer(struct iso_timer *timer)
{
	struct iso_resolver *r = ISO_CONTAINER(timer, struct iso_resolver, timer);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(r);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;
	struct iso_resolver *r = watch->resolver;

	iso_loop_enter(r->loop);
	ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	arm(r);
}

static struct watch *find_watch(struct iso_resolver *r, ares_socket_t fd)
{
	struct watch *spare = NULL;

	for (int i = 0; i < SOCKETS_MAX; i++) {
		if (r->watches[i].event != NULL && r->watches[i].fd == fd)
			return &r->watches[i];
		if (r->watches[i].event == NULL && spare == NULL)
			spare = &r->watches[i];
	}
	return spare;
}

static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct iso_resolver *r = arg;
	struct watch *watch = find_watch(r, fd);
	short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

	if (watch == NULL)
		return; /* the query then ends by its timeout */
	if (watch->event != NULL) {
		event_free(watch->event);
		watch->event = NULL;
	}
	if (what == 0 || r->closing)
		return;
	watch->resolver = r;
	watch->fd = fd;
	watch->event = event_new(r->loop->base, fd, (short)(what | EV_PERSIST), on_socket, watch);
	if (watch->event != NULL)
		event_add(watch->event, NULL);
}

int iso_resolver_new(struct iso_loop *loop, const char *servers, struct iso_resolver **ret_resolver)
{
	struct ares_options options = { .timeout = TRY_MS, .tries = TRIES };
	struct iso_resolver *r = calloc(1, sizeof(*r));
	static char lookups[] = "fb"; /* /etc/hosts, then DNS */

	if (r == NULL)
		return ISO_ENOMEM;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(r);
		return ISO_EDNS;
	}
	r->loop = loop;
	iso_list_init(&r->jobs);
	iso_timer_init(&r->timer, on_timer);
	options.sock_state_cb = on_sock_state;
	options.sock_state_cb_data = r;
	options.lookups = lookups;
	if (ares_init_options(&r->channel, &options,
			      ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
				      ARES_OPT_LOOKUPS) != ARES_SUCCESS) {
		ares_library_cleanup();
		free(r);
		return ISO_EDNS;
	}
	if (servers != NULL && ares_set_servers_ports_csv(r->channel, servers) != ARES_SUCCESS) {
		iso_resolver_free(r);
		return ISO_EBAD;
	}
	*ret_resolver = r;
	return ISO_OK;
}

/* The query hears no more of this job and may be freed. */
static void detach(struct job *job)
{
	job->query->impl = NULL;
	job->query->resolver = NULL;
	job->query = NULL;
	iso_timer_clear(&job->resolver->loop->wheel, &job->deadline);
}

static void job_free(struct job *job)
{
	if (job->query != NULL)
		detach(job);
	iso_task_cancel(&job->report);
	iso_list_remove(&job->link);
	free(job);
}

void iso_resolver_free(struct iso_resolver *r)
{
	if (r == NULL)
		return;
	r->closing = true;
	ares_destroy(r->channel); /* ends every query with ARES_EDESTRUCTION */
	/* What is left has its answer, but its report has not run. */
	while (!iso_list_empty(&r->jobs))
		job_free(ISO_CONTAINER(r->jobs.next, struct job, link));
	iso_timer_clear(&r->loop->wheel, &r->timer);
	for (int i = 0; i < SOCKETS_MAX; i++)
		if (r->watches[i].event != NULL)
			event_free(r->watches[i].event);
	ares_library_cleanup();
	free(r);
}

/* Outside a turn the next turn must not wait before it looks at the queue. */
static void post_report(struct job *job)
{
	struct iso_loop *loop = job->resolver->loop;

	if (loop->in_turn)
		iso_loop_post(loop, &job->report);
	else
		iso_loop_post_next(loop, &job->report);
}

static void run_report(struct iso_task *task)
{
	struct job *job = ISO_CONTAINER(task, struct job, report);
	struct iso_resolve *query = job->query;
	struct iso_resolution answer = job->answer;

	if (query != NULL)
		detach(job);
	if (job->finished)
		job_free(job);
	if (query != NULL)
		query->done(query, &answer);
}

static void on_deadline(struct iso_timer *timer)
{
	struct job *job = ISO_CONTAINER(timer, struct job, deadline);

	job->answer = (struct iso_resolution){ .err = ISO_ETIMEOUT, .why = "no DNS server answered in time" };
	run_report(&job->report);
}

static void take_addresses(struct job *job, const struct ares_addrinfo *info, uint16_t port)
{
	struct iso_resolution *answer = &job->answer;

	answer->ttl_s = UINT32_MAX;
	for (const struct ares_addrinfo_cname *c = info->cnames; c != NULL; c = c->next)
		if (c->ttl >= 0 && (uint32_t)c->ttl < answer->ttl_s)
			answer->ttl_s = (uint32_t)c->ttl;
	for (const struct ares_addrinfo_node *n = info->nodes; n != NULL && answer->n < ISO_RESOLVE_MAX;
	     n = n->ai_next) {
		struct iso_sockaddr *addr = &answer->addr[answer->n];

		if (n->ai_addrlen > sizeof(addr->u) || n->ai_family != job->query->family)
			continue;
		memset(addr, 0, sizeof(*addr));
		memcpy(&addr->u, n->ai_addr, n->ai_addrlen);
		addr->len = n->ai_addrlen;
		if (n->ai_family == AF_INET)
			addr->u.v4.sin_port = htons(port);
		else
			addr->u.v6.sin6_port = htons(port);
		if (n->ai_ttl >= 0 && (uint32_t)n->ai_ttl < answer->ttl_s)
			answer->ttl_s = (uint32_t)n->ai_ttl;
		answer->n++;
	}
}

static const char no_address[] = "the name has no address";

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct job *job = arg;

	(void)timeouts;
	job->finished = true;
	if (job->query == NULL || job->resolver->closing) {
		job_free(job);
	} else {
		if (status == ARES_SUCCESS)
			take_addresses(job, info, job->query->port);
		if (status != ARES_SUCCESS || job->answer.n == 0) {
			job->answer.ttl_s = 0;
			job->answer.none = status == ARES_ENODATA || status == ARES_SUCCESS;
			job->answer.err = status == ARES_ETIMEOUT ? ISO_ETIMEOUT : ISO_EDNS;
			job->answer.why = status != ARES_SUCCESS ? ares_strerror(status) : no_address;
		}
		iso_timer_clear(&job->resolver->loop->wheel, &job->deadline);
		post_report(job);
	}
	if (info != NULL)
		ares_freeaddrinfo(info);
}

/* RFC 6761 section 6.3: localhost is never asked for, and a machine need not have a hosts file. */
static const char *literal_of(const char *host)
{
	return strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host;
}

/* False: it is a name. */
static bool answer_literal(struct job *job, const char *host)
{
	struct iso_resolution *answer = &job->answer;

	if (iso_sockaddr_parse(literal_of(host), job->query->port, &answer->addr[0]) != ISO_OK)
		return false;
	answer->ttl_s = UINT32_MAX;
	if (answer->addr[0].u.sa.sa_family == job->query->family) {
		answer->n = 1;
	} else {
		answer->err = ISO_EDNS;
		answer->why = no_address;
		answer->none = true;
	}
	job->finished = true;
	post_report(job);
	return true;
}

int iso_resolve_start(struct iso_resolve *query, struct iso_resolver *resolver, const char *host, int family,
		      uint64_t timeout_us)
{
	struct ares_addrinfo_hints hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return ISO_ENOMEM;
	job->query = query;
	job->resolver = resolver;
	iso_timer_init(&job->deadline, on_deadline);
	iso_task_init(&job->report, run_report);
	iso_list_push_back(&resolver->jobs, &job->link);
	query->resolver = resolver;
	query->family = family;
	query->cancelled = false;
	query->impl = job;
	if (answer_literal(job, host))
		return ISO_OK;
	iso_timer_set(&resolver->loop->wheel, &job->deadline, resolver->loop->now_us + timeout_us);
	ares_getaddrinfo(resolver->channel, host, NULL, &hints, on_answer, job);
	arm(resolver);
	return ISO_OK;
}

void iso_resolve_cancel(struct iso_resolve *query)
{
	struct job *job = query != NULL ? query->impl : NULL;

	if (job == NULL)
		return;
	query->cancelled = true;
	detach(job);
	if (job->finished)
		job_free(job);
}
