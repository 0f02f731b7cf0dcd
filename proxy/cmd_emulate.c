/*
 * isochrone emulate: one emulated region in the foreground.
 */
#include <event2/event.h>
#include <signal.h>
#include <string.h>

#include "cli.h"
#include "emulator.h"
#include "iso/net/resolver.h"

enum { CHUNKS_MAX = 16 * 1024 };

static void on_signal(evutil_socket_t signum, short what, void *arg)
{
	(void)signum;
	(void)what;
	iso_loop_stop(arg);
}

static int address(const char *option, const char *text, struct iso_sockaddr *ret_addr)
{
	if (text != NULL && iso_listener_parse(iso_slice_str(text), ret_addr) == ISO_OK)
		return EXIT_OK;
	fprintf(stderr, "isochrone emulate: %s wants an address like 127.0.0.1:8443\n", option);
	return EXIT_USAGE;
}

static int serve(struct emulator_config *config)
{
	static struct iso_loop loop;
	static struct emulator emulator;
	struct event *term, *intr;
	char text[64], control[64] = "";
	int err;

	if (iso_loop_init(&loop, CHUNKS_MAX) != ISO_OK)
		return EXIT_FAILED;
	err = emulator_start(&emulator, &loop, config);
	if (err != ISO_OK) {
		fprintf(stderr, "isochrone emulate: cannot listen: %s\n", iso_err_text(err));
		emulator_stop(&emulator);
		iso_loop_done(&loop);
		return EXIT_FAILED;
	}
	term = evsignal_new(loop.base, SIGTERM, on_signal, &loop);
	intr = evsignal_new(loop.base, SIGINT, on_signal, &loop);
	event_add(term, NULL);
	event_add(intr, NULL);
	emulator_address(&emulator, text, sizeof(text));
	if (emulator.config.control.len != 0)
		iso_sockaddr_format(&emulator.config.control.u.sa, control, sizeof(control));
	fprintf(stderr, "ready %s listen=%s%s%s\n", config->name, text, control[0] != '\0' ? " control=" : "",
		control);
	iso_loop_run(&loop);
	event_free(term);
	event_free(intr);
	emulator_stop(&emulator);
	iso_loop_done(&loop);
	return EXIT_OK;
}

int cmd_emulate(int argc, char **argv)
{
	const char *name = "region", *listen = NULL, *control = NULL, *cert = NULL, *key = NULL,
		   *delay = "0ms";
	const char *base_path = "", *journal = NULL;
	const struct cli_option options[] = {
		{ "--name", NULL, &name, NULL, NULL },           { "--listen", NULL, &listen, NULL, NULL },
		{ "--control", NULL, &control, NULL, NULL },     { "--tls-cert", NULL, &cert, NULL, NULL },
		{ "--tls-key", NULL, &key, NULL, NULL },         { "--delay", NULL, &delay, NULL, NULL },
		{ "--base-path", NULL, &base_path, NULL, NULL }, { "--journal", NULL, &journal, NULL, NULL },
	};
	struct emulator_config config = { .listener = { .h2 = true, .http11 = true } };
	int code = cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL);

	if (code == EXIT_OK)
		code = address("--listen", listen, &config.listener.addr);
	if (code == EXIT_OK && control != NULL)
		code = address("--control", control, &config.control);
	if (code == EXIT_OK && !cli_duration_us(delay, &config.delay_us)) {
		fprintf(stderr, "isochrone emulate: --delay wants a duration like 25ms\n");
		code = EXIT_USAGE;
	}
	if (code != EXIT_OK)
		return code;
	config.name = name;
	config.base_path = base_path;
	config.journal = journal;
	if (cert != NULL) {
		struct iso_tls_cert pair = { .cert_path = cert, .key_path = key != NULL ? key : cert };
		struct iso_tls_server_config tls = { .certs = &pair,
						     .n = 1,
						     .offers = ISO_OFFER_H2 | ISO_OFFER_HTTP11,
						     .policy.min_version = 12 };
		struct iso_tls_problem problem = { .text = "no memory" };

		if (iso_tls_server_new(&tls, &problem, &config.listener.tls) != ISO_OK) {
			fprintf(stderr, "isochrone emulate: %s\n", problem.text);
			return EXIT_FAILED;
		}
	}
	code = serve(&config);
	iso_tls_server_unref(config.listener.tls);
	return code;
}
