/*
 * isochrone explain: where a request would go, and why; asked of a running proxy, or of a configuration file
 * alone, for which all regions are equal.
 */
#include <jansson.h>
#include <string.h>

#include "admin_get.h"
#include "cli.h"
#include "config_file.h"
#include "iso/admin/explain.h"
#include "iso/base/rng.h"
#include "quick.h"
#include "recompute.h"

enum { DOCUMENT_MAX = 16 * 1024 * 1024 };

struct question {
	struct config_file file;
	struct quick quick;
	const char *admin, *recompute;
	bool json;
	struct cli_words words, fields;
	const char *client;
	struct iso_slice host; /* of the fields */
	struct iso_text lines; /* the other fields, one each */
};

/* "Host: api.example.com"; the others are for routes that look at them. */
static bool read_fields(struct question *q)
{
	bool host;

	for (size_t i = 0; i < q->fields.n; i++) {
		struct iso_slice field = iso_slice_str(q->fields.v[i]);
		size_t colon = iso_slice_find(field, ':');

		if (colon == 0 || colon == field.len) {
			fprintf(stderr,
				"isochrone explain: a field is written as -H 'Name: value', not '%s'\n",
				q->fields.v[i]);
			return false;
		}
		host = iso_slice_eq_nocase(iso_slice(field.ptr, colon), ISO_SLICE("host"));
		if (host)
			q->host = iso_slice_trim(iso_slice(field.ptr + colon + 1, field.len - colon - 1));
		else
			iso_text_fmt(&q->lines, "%s\n", q->fields.v[i]);
	}
	return true;
}

static void put_escaped(struct iso_text *text, struct iso_slice value)
{
	for (size_t i = 0; i < value.len; i++)
		iso_text_fmt(text, "%%%02X", (unsigned char)value.ptr[i]);
}

/* False: words are on stderr. */
static bool ask_proxy(const struct question *q, struct iso_text *answer)
{
	struct iso_text target;
	int status = 0;

	iso_text_init(&target, 64 * 1024);
	iso_text_str(&target, "/explain?method=");
	put_escaped(&target, iso_slice_str(q->words.v[0]));
	iso_text_str(&target, "&url=");
	put_escaped(&target, iso_slice_str(q->words.v[1]));
	iso_text_str(&target, "&host=");
	put_escaped(&target, q->host);
	iso_text_str(&target, "&fields=");
	put_escaped(&target, iso_text_slice(&q->lines));
	iso_text_str(&target, "&client=");
	put_escaped(&target, iso_slice_str(q->client != NULL ? q->client : ""));
	iso_text_add(&target, iso_slice("", 1)); /* the NUL */
	if (iso_text_ok(&target) == ISO_OK)
		status = admin_get(q->admin, target.bytes, answer);
	if (status != 0 && status != 200)
		fprintf(stderr, "isochrone explain: %.*s", (int)answer->len, answer->bytes);
	iso_text_done(&target);
	return status == 200;
}

static bool ask_file(struct question *q, struct iso_text *answer)
{
	struct iso_explain_request request = { .method = iso_slice_str(q->words.v[0]),
					       .url = iso_slice_str(q->words.v[1]),
					       .host = q->host,
					       .fields = iso_text_slice(&q->lines),
					       .client = iso_slice_str(q->client != NULL ? q->client : "") };
	struct iso_snapshot *snapshot;
	struct iso_rng rng;
	const char *why = NULL;
	int err;

	if (config_file_load(&q->file, &snapshot) != ISO_OK)
		return false;
	iso_rng_seed_os(&rng);
	request.draw = iso_rng_next(&rng);
	err = iso_explain(snapshot, NULL, &request, answer, &why);
	if (err != ISO_OK)
		fprintf(stderr, "isochrone explain: %s\n", why != NULL ? why : iso_err_text(err));
	iso_snapshot_unref(snapshot);
	return err == ISO_OK;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "-";
}

/* What else there is to say of one that is eligible. */
static const struct {
	const char *key, *words;
} remarks[] = {
	{ "warned", "with a quarter of its weight" },
	{ "explored", "nothing has measured it lately: 0.5 % of the safe requests do" },
	{ "held", "its client has just written there" },
	{ "wary", "it has just failed or is silent: what must not run twice avoids it" },
};

static void print_candidate(const json_t *c)
{
	const json_t *estimate = json_object_get(c, "estimate_ms");
	const char *why = json_string_value(json_object_get(c, "why_not"));
	const char *numbers = json_string_value(json_object_get(c, "numbers"));

	printf("  %-20s %-10s", text_of(c, "region"), text_of(c, "state"));
	if (json_is_number(estimate))
		printf(" %9.1f ms", json_number_value(estimate));
	else
		printf(" %12s", "-");
	printf(" %6.2f %%", 100 * json_number_value(json_object_get(c, "share")));
	printf("  %s", why != NULL ? why : "eligible");
	for (size_t i = 0; i < sizeof(remarks) / sizeof(remarks[0]) && why == NULL; i++)
		if (json_is_true(json_object_get(c, remarks[i].key)))
			printf("; %s", remarks[i].words);
	printf("%s\n", numbers == NULL                 ? ""
		       : strcmp(numbers, "route") == 0 ? "; by the route's own times"
						       : "; the route was not answered there yet");
}

static int print_table(const struct iso_text *answer)
{
	json_t *root = json_loadb(answer->bytes, answer->len, 0, NULL);
	const json_t *route = json_object_get(root, "route"), *request = json_object_get(root, "request"), *c;
	int code = EXIT_FAILED;
	size_t i;

	if (root == NULL) {
		fprintf(stderr, "isochrone explain: the answer is no JSON\n");
		return EXIT_FAILED;
	}
	printf("request  %s %s, host %s\n", text_of(request, "method"), text_of(request, "path"),
	       text_of(request, "host"));
	if (json_is_object(route) && json_is_null(json_object_get(route, "service"))) {
		printf("route    %s, answers %lld itself\n", text_of(route, "name"),
		       (long long)json_integer_value(json_object_get(route, "status")));
		code = EXIT_OK;
	} else if (json_is_object(route)) {
		printf("route    %s, service %s, policy %s\n", text_of(route, "name"),
		       text_of(route, "service"), text_of(route, "policy"));
		json_array_foreach(json_object_get(route, "requires"), i, c)
		{
			printf("requires %s\n", json_string_value(c));
		}
		printf("  %-20s %-10s %12s %8s\n", "region", "state", "estimate", "share");
		json_array_foreach(json_object_get(root, "candidates"), i, c)
		{
			print_candidate(c);
		}
		printf("pick     %s (%s, draw %lld)%s\n", text_of(root, "pick"), text_of(root, "level"),
		       (long long)json_integer_value(json_object_get(root, "draw")),
		       json_is_true(json_object_get(root, "measured")) ? "" : "; nothing is measured");
		code = EXIT_OK;
	} else {
		printf("route    none: %s\n", text_of(root, "why"));
	}
	json_decref(root);
	return code;
}

int cmd_explain(int argc, char **argv)
{
	struct question q = { .quick = quick_make(), .words = { .max = 2 }, .fields = { .max = 16 } };
	const struct cli_option options[] = {
		{ "--config", "-c", &q.file.path, NULL, NULL },
		{ "--listen", NULL, NULL, NULL, &q.quick.listen },
		{ "--region", NULL, NULL, NULL, &q.quick.regions },
		{ "--admin", NULL, &q.admin, NULL, NULL },
		{ "--client", NULL, &q.client, NULL, NULL },
		{ "--header", "-H", NULL, NULL, &q.fields },
		{ "--recompute", NULL, &q.recompute, NULL, NULL },
		{ "--json", NULL, NULL, &q.json, NULL },
	};
	int code = cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), &q.words);
	struct iso_text answer;
	bool ok;

	if (code != EXIT_OK)
		return code;
	if (q.recompute != NULL)
		return recompute_log(q.recompute);
	code = quick_choose(&q.quick, argv[0], &q.file);
	if (code != EXIT_OK)
		return code;
	iso_text_init(&q.lines, 64 * 1024);
	if (q.words.n != 2 || !read_fields(&q)) {
		fprintf(stderr,
			"isochrone explain: METHOD URL, as in: isochrone explain --admin 127.0.0.1:9900 "
			"GET https://api.example.com/orders\n");
		return EXIT_USAGE;
	}
	iso_text_init(&answer, DOCUMENT_MAX);
	ok = q.admin != NULL ? ask_proxy(&q, &answer) : ask_file(&q, &answer);
	if (ok && q.json)
		printf("%.*s", (int)answer.len, answer.bytes);
	code = !ok ? EXIT_FAILED : q.json ? EXIT_OK : print_table(&answer);
	iso_text_done(&answer);
	iso_text_done(&q.lines);
	return code;
}
