/*
 * SIGUSR2: the binary that is on disk now is started with our listening sockets. It reads the configuration,
 * measures the regions, and when it is ready it ends us by SIGTERM, which drains. Until then both sockets and
 * clients are ours alone; if it fails, nothing has happened. Thread: control.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iso/monitor/learnt.h"
#include "process_priv.h"

enum { FIRST = 3, ENVIRONMENT_MORE = 4 };

/* All that the child needs, made before it is forked off: between fork and exec nothing may be allocated. */
struct launch {
	char **environment;
	char pid_text[40]; /* LISTEN_PID, filled in by the child */
	char count_text[40], from_text[64];
	int fds[ISO_SOCKETS_MAX + 1]; /* the sockets, and behind them what was learnt */
	uint32_t fd_count;
	int learnt;
};

static bool is_ours(const char *variable)
{
	return strncmp(variable, "LISTEN_", 7) == 0 ||
	       strncmp(variable, ISO_UPGRADE_FROM "=", sizeof(ISO_UPGRADE_FROM)) == 0 ||
	       strncmp(variable, "WATCHDOG_PID=", 13) == 0;
}

static int prepare(const struct iso_process *p, struct launch *launch)
{
	size_t n = 0, kept = 0;

	while (environ[n] != NULL)
		n++;
	launch->environment = calloc(n + ENVIRONMENT_MORE, sizeof(*launch->environment));
	if (launch->environment == NULL)
		return ISO_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!is_ours(environ[i]))
			launch->environment[kept++] = environ[i];
	}
	launch->fd_count = iso_sockets_copy(&p->sockets, launch->fds, ISO_SOCKETS_MAX);
	snprintf(launch->count_text, sizeof(launch->count_text), "LISTEN_FDS=%u", launch->fd_count);
	snprintf(launch->from_text, sizeof(launch->from_text), ISO_UPGRADE_FROM "=%ld", (long)getpid());
	launch->learnt = memfd_create("learnt", MFD_CLOEXEC);
	if (launch->learnt < 0 || iso_learnt_write(p->publisher, launch->learnt) != ISO_OK) {
		fprintf(stderr, "upgrade: what was learnt of the regions cannot be handed over\n");
		return ISO_ENOMEM;
	}
	launch->fds[launch->fd_count++] = launch->learnt;
	launch->environment[kept++] = launch->pid_text;
	launch->environment[kept++] = launch->count_text;
	launch->environment[kept] = launch->from_text;
	return ISO_OK;
}

/* "LISTEN_PID=123" without stdio, which is not for here. */
static void write_pid(char text[40])
{
	unsigned long pid = (unsigned long)getpid();
	char digits[24];
	size_t n = 0, at = sizeof("LISTEN_PID=") - 1;

	memcpy(text, "LISTEN_PID=", at);
	do {
		digits[n++] = (char)('0' + pid % 10);
		pid /= 10;
	} while (pid > 0);
	while (n > 0)
		text[at++] = digits[--n];
	text[at] = '\0';
}

/* In the child. The descriptors go up out of the way first, as their places may be each other's. */
static _Noreturn void become(const struct iso_process *p, struct launch *launch)
{
	sigset_t none;

	for (uint32_t i = 0; i < launch->fd_count; i++)
		launch->fds[i] = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, FIRST + ISO_SOCKETS_MAX + 1);
	for (uint32_t i = 0; i < launch->fd_count; i++) {
		if (launch->fds[i] < 0 || dup2(launch->fds[i], FIRST + (int)i) < 0)
			_exit(127);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	write_pid(launch->pid_text);
	execve(p->source.program, p->source.argv, launch->environment);
	_exit(127);
}

/* Why not now, in words; NULL: go on. */
static const char *refused(const struct iso_process *p)
{
	if (p->source.program == NULL)
		return "this process does not know its own binary";
	if (p->draining || !p->ready)
		return "this process is about to begin or to end";
	if (p->upgrade.successor > 0)
		return "one is under way";
	if (getpid() == 1)
		return "this is process 1, and its end is the container's: replace the container";
	/* Two processes with a memory of keys each would let a request run twice; a journal they can hand
	 * over. */
	if (p->ledger != NULL && p->snapshot->ledger.journal.len == 0)
		return "Idempotency-Keys are kept in memory only: set `idempotency.journal`";
	return NULL;
}

static void on_deadline(struct iso_timer *timer)
{
	struct iso_process *p = ISO_CONTAINER(timer, struct iso_process, upgrade.timer);

	fprintf(stderr, "upgrade: process %ld is not ready after limits.upgrade_timeout, and is ended\n",
		(long)p->upgrade.successor);
	(void)kill(p->upgrade.successor, SIGKILL);
}

void iso_upgrade_start(struct iso_process *p)
{
	struct launch launch = { .environment = NULL, .learnt = -1 };
	const char *why = refused(p);
	pid_t pid = -1;

	if (why != NULL) {
		fprintf(stderr, "upgrade: refused: %s\n", why);
		return;
	}
	if (prepare(p, &launch) == ISO_OK)
		pid = fork();
	if (pid == 0)
		become(p, &launch);
	free(launch.environment);
	if (launch.learnt >= 0)
		close(launch.learnt);
	if (pid < 0) {
		fprintf(stderr, "upgrade: cannot start a process: %s\n", strerror(errno));
		return;
	}
	p->upgrade.successor = pid;
	iso_timer_init(&p->upgrade.timer, on_deadline);
	iso_timer_set(&p->loop.wheel, &p->upgrade.timer,
		      p->loop.now_us + p->snapshot->limits.upgrade_timeout_us);
	fprintf(stderr, "upgrade: process %ld is starting\n", (long)pid);
}

void iso_upgrade_reap(struct iso_process *p)
{
	int status = 0;

	/* The first process of a container inherits the orphans of what is run beside it. */
	while (getpid() == 1 && waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (p->upgrade.successor <= 0 ||
	    waitpid(p->upgrade.successor, &status, WNOHANG) != p->upgrade.successor)
		return;
	if (WIFEXITED(status))
		fprintf(stderr, "upgrade: process %ld has ended with %d: this one goes on\n",
			(long)p->upgrade.successor, WEXITSTATUS(status));
	else
		fprintf(stderr, "upgrade: process %ld was killed by signal %d: this one goes on\n",
			(long)p->upgrade.successor, WTERMSIG(status));
	p->upgrade.successor = 0;
	iso_timer_clear(&p->loop.wheel, &p->upgrade.timer);
}

void iso_upgrade_learn(struct iso_process *p)
{
	uint32_t regions = 0;

	if (p->upgrade.learnt < 0)
		return;
	if (iso_learnt_read(p->publisher, p->upgrade.learnt, &regions) == ISO_OK)
		fprintf(stderr, "upgrade: what was learnt of %u regions is kept\n", regions);
	else
		fprintf(stderr,
			"upgrade: what was learnt is not understood, the regions are measured anew\n");
	close(p->upgrade.learnt);
	p->upgrade.learnt = -1;
}

bool iso_upgrade_is_one(void)
{
	return getenv(ISO_UPGRADE_FROM) != NULL;
}

void iso_upgrade_take_over(void)
{
	const char *from = getenv(ISO_UPGRADE_FROM);
	long pid = from != NULL ? atol(from) : 0;

	unsetenv(ISO_UPGRADE_FROM);
	/* Whoever has started us is still there, or has gone and been replaced by init. */
	if (pid > 1 && pid == (long)getppid())
		(void)kill((pid_t)pid, SIGTERM);
}
