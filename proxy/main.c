/*
 * isochrone: finds the command and runs it. Without one it is `run`.
 */
#include <signal.h>
#include <string.h>

#include "cli.h"
#include "iso/net/tls.h"

static const struct command commands[] = {
	{ "run",
	  "[-c FILE | --region NAME=URL... [--listen ADDRESS]... [--admin ADDRESS] | --print-defaults]",
	  "run the proxy in the foreground (the default); or print the defaults of all keys", cmd_run },
	{ "check", "[-c FILE | --region NAME=URL... [--listen ADDRESS]...] [--json]",
	  "check a configuration file: every mistake, its place and its mend", cmd_check },
	{ "explain",
	  "[-c FILE | --region NAME=URL... | --admin ADDRESS] METHOD URL [-H FIELD]... | --recompute LOG",
	  "where a request would go, and why; or whether recorded decisions hold", cmd_explain },
	{ "status", "[-c FILE | --admin ADDRESS] [--json]", "what the running proxy thinks of its regions",
	  cmd_status },
	{ "healthcheck", "[-c FILE | --admin ADDRESS] [--alive] [--timeout DURATION]",
	  "is the running proxy ready? 0: yes, 1: no, and why", cmd_healthcheck },
	{ "demo", "[--address IP] [--port N] [--seconds N]",
	  "three emulated regions, the proxy before them and a gentle load", cmd_demo },
	{ "emulate", "--name REGION --listen ADDRESS [...]",
	  "one emulated region: an API Gateway endpoint and a function", cmd_emulate },
	{ "schema", "json|markdown|man|defaults|retries",
	  "print the schema, the manual (two forms), the defaults; or what is tried again", cmd_schema },
};

static int help(FILE *out)
{
	fprintf(out,
		"isochrone %s: a reverse proxy for an API that is deployed in several regions\n\nusage:\n",
		ISO_VERSION);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  isochrone %s %s\n      %s\n", commands[i].name, commands[i].arguments,
			commands[i].text);
	fprintf(out,
		"  isochrone --version | --help\n\nexit codes: 0 well, 1 failed, 2 wrong command line\n");
	return out == stdout ? EXIT_OK : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static char run[] = "run";

	iso_tls_use_page_pool();
	signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error value, not the end of the process */
	signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow any more */
	if (argc >= 2 &&
	    (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0))
		return help(stdout);
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		printf("isochrone %s\n", ISO_VERSION);
		return EXIT_OK;
	}
	if (argc >= 2 && argv[1][0] != '-') {
		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			if (strcmp(argv[1], commands[i].name) == 0)
				return commands[i].run(argc - 1, argv + 1);
		fprintf(stderr, "isochrone: there is no command '%s'\n\n", argv[1]);
		return help(stderr);
	}
	/* `isochrone -c FILE` is `isochrone run -c FILE`. */
	argv[0] = run;
	return cmd_run(argc, argv);
}
