/*
 * Messages without memory: an arena that gets no block, a tape that gets no segment. A request is refused or
 * passed on as it was, and never with half of a field.
 */
#include "sweep.h"

#include "iso/http/body_tape.h"
#include "iso/http/h1_parse.h"
#include "iso/http/h2_nv.h"
#include "iso/http/hop.h"
#include "iso/http/template.h"
#include "iso/http/uri.h"

static struct iso_arena arena;
static struct iso_head head;

static void begin(void)
{
	iso_arena_init(&arena, NULL, 1 << 20);
	head = (struct iso_head){ .version = ISO_HTTP_11, .content_length = -1 };
}

static void end(void)
{
	iso_arena_done(&arena);
}

static void add_fields(void)
{
	int err = ISO_OK;
	uint32_t n = 0;

	begin();
	sweep_arm();
	for (; n < 300 && err == ISO_OK; n++)
		err = iso_fields_add_copy(&head.fields, &arena, ISO_SLICE("X-Some-Name"),
					  ISO_SLICE("a value"));
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(head.fields.n, err == ISO_OK ? n : n - 1);
	for (uint32_t i = 0; i < head.fields.n; i++)
		assert_true(iso_slice_eq(head.fields.v[i].name, ISO_SLICE("x-some-name")));
	end();
}

static void take_an_h2_head(void)
{
	char value[1000];
	int err = ISO_OK;

	begin();
	memset(value, 'v', sizeof(value));
	iso_h2_head_init(&head);
	sweep_arm();
	err = iso_h2_take_header(&head, &arena, ISO_SLICE(":path"), iso_slice(value, sizeof(value)), 0);
	for (int i = 0; i < 20 && err == ISO_OK; i++)
		err = iso_h2_take_header(&head, &arena, ISO_SLICE("x-own"), iso_slice(value, sizeof(value)),
					 0);
	sweep_disarm();
	sweep_tells(err);
	for (uint32_t i = 0; i < head.fields.n; i++)
		assert_true(head.fields.v[i].name.ptr != NULL && head.fields.v[i].value.len == sizeof(value));
	end();
}

static int heads, completes;

static void on_head(struct iso_h1_parser *p, struct iso_head *h)
{
	(void)p;
	assert_int_equal(h->fields.n, 100);
	heads++;
}

static void on_complete(struct iso_h1_parser *p)
{
	(void)p;
	completes++;
}

static void parse_a_request(void)
{
	static const struct iso_h1_ops ops = { .head = on_head, .complete = on_complete };
	static const struct iso_h1_limits limits = { 64 * 1024, 200 };
	static char text[16 * 1024];
	struct iso_h1_parser parser;
	size_t len, at = 0, used = 0;
	int err = ISO_OK;

	begin();
	len = (size_t)snprintf(text, sizeof(text), "POST /orders HTTP/1.1\r\nHost: a.test\r\n");
	for (int i = 0; i < 99; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "X-Field-%d: %080d\r\n", i, i);
	len += (size_t)snprintf(text + len, sizeof(text) - len,
				"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Trailer: 1\r\n\r\n");
	heads = completes = 0;
	iso_h1_parser_init(&parser, false, &ops, &limits);
	sweep_arm();
	iso_h1_parser_begin(&parser, &arena, ISO_METHOD_OTHER);
	while (at < len && err == ISO_OK) { /* in pieces, so that the head is gathered */
		size_t n = len - at < 700 ? len - at : 700;

		err = iso_h1_parser_feed(&parser, (const uint8_t *)text + at, n, &used);
		at += used;
	}
	sweep_disarm();
	sweep_tells(err);
	assert_int_equal(heads, err == ISO_OK || heads == 1);
	assert_int_equal(completes, err == ISO_OK);
	end();
}

static void hop(void)
{
	static const struct iso_hop_facts facts = { .client_ip = { "192.0.2.7", 9 },
						    .scheme = { "https", 5 } };
	struct iso_slice id = ISO_SLICE("untouched");
	char *value = malloc(5000);
	int err;

	begin();
	assert_non_null(value);
	memset(value, 'v', 5000);
	head.authority = ISO_SLICE("a.test");
	assert_int_equal(iso_fields_add(&head.fields, &arena, ISO_SLICE("via"), iso_slice(value, 5000)),
			 ISO_OK);
	assert_int_equal(iso_fields_add(&head.fields, &arena, ISO_SLICE("cookie"), iso_slice(value, 5000)),
			 ISO_OK);
	assert_int_equal(iso_fields_add(&head.fields, &arena, ISO_SLICE("cookie"), ISO_SLICE("a=1")), ISO_OK);
	sweep_arm();
	err = iso_hop_request(&head, &arena, &facts, &id);
	if (err == ISO_OK)
		err = iso_hop_join_cookies(&head.fields, &arena);
	if (err == ISO_OK)
		err = iso_hop_response(&head, &arena);
	sweep_disarm();
	sweep_tells(err);
	assert_non_null(id.ptr);
	end();
	free(value);
}

/* Each is larger than the arena's block, so that each asks for memory. */
static void uris(void)
{
	static char path[6000], origin[] = "https://client.test";
	struct iso_slice hosts[2] = { ISO_SLICE("a.test"), ISO_SLICE("b.test") };
	struct iso_slice out = ISO_SLICE("untouched"), location, cookie;
	int err;

	begin();
	memset(path, 'p', sizeof(path) - 1);
	memcpy(path, "/a/../%41", 9);
	sweep_arm();
	err = iso_uri_normalise(&arena, iso_slice_str(path), &out);
	memcpy(path, "/prod/", 6);
	location = iso_uri_relocate(&arena, iso_slice_str(path), hosts, ISO_SLICE("/prod"),
				    iso_slice_str(origin));
	memcpy(path, "a=1; Path=/prod/x; ", 19);
	cookie = iso_uri_recookie(&arena, iso_slice_str(path), ISO_SLICE("/prod"));
	memcpy(path, "/?name=%41", 10);
	memset(path + 19, 'q', 10);
	sweep_disarm();
	assert_int_equal(err != ISO_OK || location.ptr == NULL || cookie.ptr == NULL, sweep_failed());
	assert_true(err == ISO_OK || (err == ISO_ENOMEM && iso_slice_eq(out, ISO_SLICE("untouched"))));
	end();
}

static struct iso_slice value_of(const void *ctx, struct iso_slice name)
{
	static char text[5000];

	(void)ctx;
	(void)name;
	memset(text, 'v', sizeof(text));
	return iso_slice(text, sizeof(text));
}

static void templates(void)
{
	struct iso_template template = { NULL, 77 };
	struct iso_slice out = iso_slice(NULL, 0);
	int err;

	begin();
	sweep_arm();
	err = iso_template_parse(&arena, ISO_SLICE("/a/${id}/b"), &template);
	if (err == ISO_OK)
		out = iso_template_render(&template, &arena, value_of, NULL);
	sweep_disarm();
	assert_int_equal(out.ptr == NULL, sweep_failed());
	assert_true(err == ISO_OK || template.n == 77);
	end();
}

static void tapes(void)
{
	enum { PIECES = 20 };
	static const char bytes[15000];
	struct iso_tape_account account = { .limit = 1 << 20 };
	struct iso_chunk_pool pool;
	struct iso_buf piece, between, copy;
	struct iso_tape tape;
	int err = ISO_OK;

	iso_chunk_pool_init(&pool, 100, 100);
	iso_buf_init(&piece);
	iso_buf_init(&between);
	iso_buf_init(&copy);
	for (int i = 0; i < PIECES; i++) { /* large ones are shared, not copied */
		assert_int_equal(iso_buf_append_copy(&piece, &pool, bytes, sizeof(bytes)), ISO_OK);
		assert_int_equal(iso_buf_append_copy(&between, &pool, "-", 1), ISO_OK);
	}
	iso_tape_init(&tape, 1 << 20, &account);
	sweep_arm();
	iso_tape_record(&tape, &piece, &pool);
	if (!tape.lost)
		err = iso_tape_replay(&tape, &copy);
	sweep_disarm();
	assert_int_equal(tape.lost || err != ISO_OK, sweep_failed());
	assert_int_equal(piece.bytes, PIECES * sizeof(bytes));
	assert_int_equal(copy.bytes, sweep_failed() ? 0 : PIECES * sizeof(bytes));
	assert_int_equal(atomic_load(&account.bytes) == 0, tape.lost);
	iso_tape_done(&tape);
	assert_int_equal(atomic_load(&account.bytes), 0);
	iso_buf_done(&piece);
	iso_buf_done(&between);
	iso_buf_done(&copy);
	iso_chunk_pool_done(&pool);
}

static void test_fields(void **state)
{
	(void)state;
	sweep(add_fields, 5);
	sweep(take_an_h2_head, 5);
}

static void test_h1_parse(void **state)
{
	(void)state;
	sweep(parse_a_request, 3);
}

static void test_hop(void **state)
{
	(void)state;
	sweep(hop, 3);
}

static void test_uri(void **state)
{
	(void)state;
	sweep(uris, 3);
}

static void test_template(void **state)
{
	(void)state;
	sweep(templates, 2);
}

static void test_tape(void **state)
{
	(void)state;
	sweep(tapes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields), cmocka_unit_test(test_h1_parse), cmocka_unit_test(test_hop),
		cmocka_unit_test(test_uri),    cmocka_unit_test(test_template), cmocka_unit_test(test_tape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
