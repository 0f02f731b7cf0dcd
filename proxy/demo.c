/*
 * The demo's certificates, load and view. The load is the curl command at an even pace: what a user would
 * type.
 */
#include "demo.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iso/base/slice.h"
#include "iso/net/listener.h"

const struct demo_region demo_regions[DEMO_REGIONS] = {
	{ "us-east-1", 20 },
	{ "eu-west-1", 40 },
	{ "ap-southeast-2", 120 },
};

enum { ANSWER_MAX = 64 * 1024 };

pid_t demo_fork(void)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a demo that is killed leaves nothing behind */
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* Runs a command without a shell, quietly; true when it ends well. */
static bool run(const char *const *arguments)
{
	pid_t pid = demo_fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(arguments[0], (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool demo_make_certs(struct demo *demo)
{
	char ca_key[320], ca[320], key[320], csr[320], cert[320], ext[320];
	FILE *out;

	snprintf(ca_key, sizeof(ca_key), "%s/ca.key", demo->dir);
	snprintf(ca, sizeof(ca), "%s/ca.pem", demo->dir);
	snprintf(key, sizeof(key), "%s/server.key", demo->dir);
	snprintf(csr, sizeof(csr), "%s/server.csr", demo->dir);
	snprintf(cert, sizeof(cert), "%s/server.pem", demo->dir);
	snprintf(ext, sizeof(ext), "%s/server.ext", demo->dir);
	out = fopen(ext, "w");
	if (out == NULL)
		return false;
	fprintf(out, "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
	if (fclose(out) != 0)
		return false;
	{
		const char *make_ca[] = { "openssl",
					  "req",
					  "-x509",
					  "-newkey",
					  "ec",
					  "-pkeyopt",
					  "ec_paramgen_curve:prime256v1",
					  "-nodes",
					  "-days",
					  "30",
					  "-subj",
					  "/CN=Isochrone demo CA",
					  "-addext",
					  "basicConstraints=critical,CA:TRUE",
					  "-keyout",
					  ca_key,
					  "-out",
					  ca,
					  NULL };
		const char *make_request[] = { "openssl", "req",      "-newkey",
					       "ec",      "-pkeyopt", "ec_paramgen_curve:prime256v1",
					       "-nodes",  "-subj",    "/CN=localhost",
					       "-keyout", key,        "-out",
					       csr,       NULL };
		const char *sign[] = { "openssl", "x509", "-req",     "-in",  csr,
				       "-CA",     ca,     "-CAkey",   ca_key, "-CAcreateserial",
				       "-days",   "30",   "-extfile", ext,    "-out",
				       cert,      NULL };

		return run(make_ca) && run(make_request) && run(sign);
	}
}

void demo_remove_dir(struct demo *demo)
{
	const char *arguments[] = { "rm", "-rf", demo->dir, NULL };

	(void)run(arguments);
}

/* GET over a fresh connection; the body, NUL-terminated, in `answer`. For the admin API on loopback. */
static const char *get(const char *address, const char *path, char *answer, size_t size)
{
	struct iso_sockaddr addr;
	struct timeval patience = { .tv_sec = 2 };
	size_t len = 0;
	ssize_t n;
	char *body;
	int fd;

	if (iso_listener_parse(iso_slice_str(address), &addr) != ISO_OK)
		return NULL;
	fd = socket(addr.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	len = (size_t)snprintf(answer, size,
			       "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	if (connect(fd, &addr.u.sa, addr.len) != 0 || send(fd, answer, len, MSG_NOSIGNAL) != (ssize_t)len) {
		close(fd);
		return NULL;
	}
	len = 0;
	while (len + 1 < size && (n = recv(fd, answer + len, size - 1 - len, 0)) > 0)
		len += (size_t)n;
	close(fd);
	answer[len] = '\0';
	body = strstr(answer, "\r\n\r\n");
	return body != NULL ? body + 4 : NULL;
}

static void print_status(const struct demo *demo, long second)
{
	static char answer[ANSWER_MAX];
	const char *body = get(demo->proxy.control, "/status", answer, sizeof(answer));
	json_t *root = body != NULL ? json_loads(body, 0, NULL) : NULL;
	json_t *service = json_object_get(json_object_get(root, "services"), "demo"), *region;
	json_t *regions = json_object_get(service, "regions");
	const char *name;

	printf("%4lds", second);
	json_object_foreach(regions, name, region)
	{
		const json_t *latency = json_object_get(region, "latency_ms");

		printf("  | %-14s %-9s %5.1f %% %6.1f ms", name,
		       json_string_value(json_object_get(region, "state")),
		       100 * json_number_value(json_object_get(region, "share")),
		       json_number_value(json_object_get(latency, "estimate")));
	}
	printf("%s\n", regions == NULL ? "  the admin API does not answer" : "");
	fflush(stdout);
	json_decref(root);
}

/* Ten requests a second over one connection, as a curl user would send them. */
static void start_load(struct demo *demo)
{
	char url[128], ca[320];

	snprintf(url, sizeof(url), "https://localhost:%s/load?n=[1-1000000]",
		 strrchr(demo->proxy.address, ':') + 1);
	snprintf(ca, sizeof(ca), "%s/ca.pem", demo->dir);
	demo->load.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	demo->load.pid = demo_fork();
	if (demo->load.pid == 0) {
		dup2(demo->load.fd, STDOUT_FILENO);
		dup2(demo->load.fd, STDERR_FILENO);
		execlp("curl", "curl", "--silent", "--http2", "--cacert", ca, "--rate", "600/m", url,
		       (char *)NULL);
		_exit(127);
	}
}

void demo_watch(struct demo *demo, long seconds, volatile sig_atomic_t *stopped)
{
	start_load(demo);
	printf("each second: state, share and expected latency of each region; Ctrl-C ends it\n");
	for (long second = 1; !*stopped && (seconds == 0 || second <= seconds); second++) {
		poll(NULL, 0, 1000); /* the view's pace; a signal ends it early */
		if (!*stopped)
			print_status(demo, second);
	}
}
