/*
 * isochrone demo: three emulated regions, the proxy before them, a gentle load, and what happens in the
 * terminal. Each part is a process of its own: what is killed by hand is really gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "demo.h"
#include "iso/base/err.h"
#include "iso/base/slice.h"

enum { PORT_MAX = 65534 }; /* the admin API has the next one */

static volatile sig_atomic_t stopped;

static void on_signal(int signum)
{
	(void)signum;
	stopped = 1;
}

/* Starts this same binary with other arguments; its stderr comes through *ret_fd. */
static pid_t spawn(const char *const *arguments, int *ret_fd)
{
	int pipefd[2];
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) != 0)
		return -1;
	pid = demo_fork();
	if (pid == 0) {
		dup2(pipefd[1], STDERR_FILENO);
		execv("/proc/self/exe", (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	close(pipefd[1]);
	*ret_fd = pipefd[0];
	return pid;
}

/* Waits for the line that begins with "ready " and copies it. */
static bool wait_ready(int fd, char *ret_line, size_t size)
{
	size_t len = 0;

	for (int waits = 0; waits < 100 && !stopped; waits++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, 100) <= 0)
			continue;
		n = read(fd, ret_line + len, size - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		ret_line[len] = '\0';
		if (strstr(ret_line, "ready") != NULL && strchr(strstr(ret_line, "ready"), '\n') != NULL)
			return true;
	}
	return false;
}

/* The word behind `key` ("listen=") in a ready line. */
static bool word_after(const char *line, const char *key, char *ret_word, size_t size)
{
	const char *at = strstr(line, key);
	size_t len;

	if (at == NULL)
		return false;
	at += strlen(key);
	len = strcspn(at, " \n");
	if (len >= size)
		return false;
	memcpy(ret_word, at, len);
	ret_word[len] = '\0';
	return true;
}

static bool start_region(struct demo *d, int i)
{
	char delay[16], line[512], cert[320], key[320];
	const char *arguments[] = { "isochrone", "emulate",     "--name",     demo_regions[i].name,
				    "--listen",  "127.0.0.1:0", "--control",  "127.0.0.1:0",
				    "--delay",   delay,         "--tls-cert", cert,
				    "--tls-key", key,           NULL };

	snprintf(delay, sizeof(delay), "%dms", demo_regions[i].delay_ms);
	snprintf(cert, sizeof(cert), "%s/server.pem", d->dir);
	snprintf(key, sizeof(key), "%s/server.key", d->dir);
	d->regions[i].pid = spawn(arguments, &d->regions[i].fd);
	return d->regions[i].pid > 0 && wait_ready(d->regions[i].fd, line, sizeof(line)) &&
	       word_after(line, "listen=", d->regions[i].address, sizeof(d->regions[i].address)) &&
	       word_after(line, "control=", d->regions[i].control, sizeof(d->regions[i].control));
}

static bool start_proxy(struct demo *d, const char *address, int port)
{
	char path[320], line[512];
	const char *arguments[] = { "isochrone", "run", "-c", path, NULL };
	FILE *out;

	snprintf(path, sizeof(path), "%s/isochrone.json", d->dir);
	out = fopen(path, "w");
	if (out == NULL)
		return false;
	fprintf(out,
		"{ \"listeners\": [ { \"address\": \"%s:%d\",\n"
		"    \"protocols\": [\"h2\", \"http/1.1\"],\n"
		"    \"tls\": { \"certificates\": [\n"
		"      { \"cert\": \"%s/server.pem\", \"key\": \"%s/server.key\" } ] } } ],\n"
		"  \"admin\": { \"address\": \"127.0.0.1:%d\" },\n  \"services\": { \"demo\": {\n"
		"    \"tls\": { \"ca\": \"%s/ca.pem\" },\n    \"health\": { \"path\": \"/health\",\n"
		"      \"interval\": \"1s\",\n"
		"      \"timeout\": \"800ms\" },\n    \"regions\": {\n",
		address, port, d->dir, d->dir, port == 0 ? 0 : port + 1, d->dir);
	for (int i = 0; i < DEMO_REGIONS; i++)
		fprintf(out, "      \"%s\": { \"url\": \"https://%s\", \"host\": \"localhost\" }%s\n",
			demo_regions[i].name, d->regions[i].address, i + 1 < DEMO_REGIONS ? "," : "");
	fprintf(out, "    } } } }\n");
	if (fclose(out) != 0)
		return false;
	d->proxy.pid = spawn(arguments, &d->proxy.fd);
	return d->proxy.pid > 0 && wait_ready(d->proxy.fd, line, sizeof(line)) &&
	       word_after(line, "ready ", d->proxy.address, sizeof(d->proxy.address)) &&
	       word_after(line, "admin=", d->proxy.control, sizeof(d->proxy.control));
}

static void say_what_to_try(const struct demo *d)
{
	printf("\nThe proxy listens on https://%s, its admin API on http://%s\n\nTry, in another terminal:\n"
	       "  curl --http2 --cacert %s/ca.pem https://localhost:%s/hello\n  curl http://%s/status\n",
	       d->proxy.address, d->proxy.control, d->dir, strrchr(d->proxy.address, ':') + 1,
	       d->proxy.control);
	for (int i = 0; i < DEMO_REGIONS; i++)
		printf("  curl -X PUT -d '{\"delay_ms\":400}' http://%s/state      # %s becomes slow\n",
		       d->regions[i].control, demo_regions[i].name);
	printf("  other states: {\"mode\":\"hang\"}, {\"mode\":\"refuse\"}, {\"mode\":\"reset\"},\n"
	       "  {\"mode\":\"status\",\"status\":503}, "
	       "{\"mode\":\"ok\"}\n  kill -9 %d                                             # %s is gone\n\n",
	       (int)d->regions[0].pid, demo_regions[0].name);
	fflush(stdout);
}

static void end_all(struct demo *d)
{
	struct demo_part *parts[] = { &d->load, &d->proxy, &d->regions[0], &d->regions[1], &d->regions[2] };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i]->pid <= 0)
			continue;
		kill(parts[i]->pid, SIGTERM);
		waitpid(parts[i]->pid, NULL, 0);
		close(parts[i]->fd);
	}
	demo_remove_dir(d);
}

static bool start_all(struct demo *d, const char *address, int port)
{
	if (!demo_make_certs(d)) {
		fprintf(stderr, "demo: cannot make certificates in %s: is the openssl command there?\n",
			d->dir);
		return false;
	}
	for (int i = 0; i < DEMO_REGIONS; i++) {
		printf("starting %s, %d ms away\n", demo_regions[i].name, demo_regions[i].delay_ms);
		if (!start_region(d, i)) {
			fprintf(stderr, "demo: the region %s did not start\n", demo_regions[i].name);
			return false;
		}
	}
	if (!start_proxy(d, address, port)) {
		fprintf(stderr, "demo: the proxy did not start; is port %d free?\n", port);
		return false;
	}
	return true;
}

static bool number_of(const char *text, uint64_t max, uint64_t *ret_number)
{
	return iso_slice_u64(iso_slice_str(text), ret_number) == ISO_OK && *ret_number <= max;
}

int cmd_demo(int argc, char **argv)
{
	static struct demo demo;
	const char *address = "127.0.0.1", *port_text = "8443", *seconds_text = "0";
	const struct cli_option options[] = {
		{ "--address", NULL, &address, NULL, NULL },
		{ "--port", NULL, &port_text, NULL, NULL },
		{ "--seconds", NULL, &seconds_text, NULL, NULL },
	};
	struct sigaction action = { .sa_handler = on_signal };
	int code = cli_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL);
	uint64_t port, seconds;

	if (code != EXIT_OK)
		return code;
	if (!number_of(port_text, PORT_MAX, &port) || !number_of(seconds_text, INT32_MAX, &seconds)) {
		fprintf(stderr, "isochrone demo: --port wants 0 to %d, --seconds a number\n", PORT_MAX);
		return EXIT_USAGE;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	snprintf(demo.dir, sizeof(demo.dir), "/tmp/isochrone-demo-XXXXXX");
	if (mkdtemp(demo.dir) == NULL) {
		fprintf(stderr, "demo: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	code = EXIT_FAILED;
	if (start_all(&demo, address, (int)port)) {
		say_what_to_try(&demo);
		demo_watch(&demo, (long)seconds, &stopped);
		code = EXIT_OK;
	}
	end_all(&demo);
	return code;
}
