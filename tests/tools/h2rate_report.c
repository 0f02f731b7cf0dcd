/* What h2rate writes: a JSON line for each request into a file, a JSON summary on standard output. */
#include "h2rate_priv.h"

#include <stdlib.h>
#include <string.h>

struct tally {
	unsigned count, answered, failed, errors_5xx, over_150ms, retried;
	double *ms;
	double sum;
};

static double ms_of(const struct request *req)
{
	return (double)(req->end_us - req->due_us) / 1000.0;
}

static void write_line(FILE *f, const struct request *req)
{
	fprintf(f, "{\"id\":\"%s\",\"method\":\"%s\",\"start_ms\":%.3f,\"latency_ms\":%.3f,\"status\":%u,",
		req->id, req->post ? "POST" : "GET", (double)req->due_us / 1000.0, ms_of(req),
		req->error ? 0 : req->status);
	if (req->error)
		fprintf(f, "\"error\":\"%s\",", req->error);
	if (req->retried)
		fprintf(f, "\"retried\":true,");
	fprintf(f, "\"region\":\"%s\"}\n", req->region);
}

static void add(struct tally *tally, const struct request *req)
{
	double ms = ms_of(req);

	tally->count++;
	tally->retried += req->retried;
	tally->over_150ms += ms > 150.0;
	if (req->error) {
		tally->failed++;
		return;
	}
	tally->errors_5xx += req->status >= 500;
	tally->ms[tally->answered++] = ms;
	tally->sum += ms;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(const struct tally *tally, double q)
{
	size_t at = (size_t)(q * (double)tally->answered);

	if (tally->answered == 0)
		return 0;
	return tally->ms[at < tally->answered ? at : tally->answered - 1];
}

static void print_tally(const char *name, struct tally *t)
{
	if (t->answered > 1)
		qsort(t->ms, t->answered, sizeof(*t->ms), by_value);
	printf("\"%s\":{\"count\":%u,\"answered\":%u,\"failed\":%u,\"errors_5xx\":%u,\"retried\":%u,"
	       "\"over_150ms\":%u,\"mean_ms\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f},",
	       name, t->count, t->answered, t->failed, t->errors_5xx, t->retried, t->over_150ms,
	       t->answered ? t->sum / t->answered : 0.0, percentile(t, 0.5), percentile(t, 0.99),
	       percentile(t, 1.0));
}

int report_write(const struct client *client)
{
	struct tally get = { 0 }, post = { 0 };
	FILE *f = client->opt.out ? fopen(client->opt.out, "we") : NULL;

	if (client->opt.out && !f) {
		perror(client->opt.out);
		return 1;
	}
	get.ms = calloc(client->count + 1, sizeof(double));
	post.ms = calloc(client->count + 1, sizeof(double));
	if (!get.ms || !post.ms)
		abort();
	for (size_t i = 0; i < client->count; i++) {
		const struct request *req = &client->requests[i];

		add(req->post ? &post : &get, req);
		if (f)
			write_line(f, req);
	}
	printf("{");
	print_tally("get", &get);
	print_tally("post", &post);
	printf("\"count\":%zu,\"failed\":%u,\"over_150ms\":%u,\"mean_ms\":%.3f,\"connections_opened\":%u,"
	       "\"connect_failures\":%u,\"goaways\":%u,\"lag_max_ms\":%.3f,\"start_monotonic_s\":%.6f}\n",
	       client->count, get.failed + post.failed, get.over_150ms + post.over_150ms,
	       get.answered + post.answered ? (get.sum + post.sum) / (get.answered + post.answered) : 0.0,
	       client->conns_opened, client->connect_failures, client->goaways,
	       (double)client->lag_max_us / 1000.0, (double)client->start_us / 1e6);
	fflush(stdout);
	free(get.ms);
	free(post.ms);
	return f && fclose(f) ? 1 : 0;
}
