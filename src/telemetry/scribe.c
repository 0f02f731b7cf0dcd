/*
 * The scribe: a thread that writes the workers' rings to the log. Each ring has one writer (its worker moves
 * `head`) and one reader (the scribe moves `tail`); both count bytes since the start and only grow.
 *
 * Invariants: between tail and head lie whole lines; tail moves by whole lines, and `written` says how much
 * of the line at tail is out already, so that a line cut by a full disk is completed before any other is
 * begun. A worker rings the bell (eventfd) only when the scribe has said that it sleeps; both sides use
 * sequentially consistent accesses there, so that either the worker sees the sleeper or the scribe sees the
 * line.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iso/base/clock.h"
#include "iso/telemetry/access_log.h"
#include "scribe_priv.h"

enum {
	PACE_MS = 50,   /* lines are gathered for so long */
	RETRY_MS = 500, /* after a failed write */
	TELL_MS = 1000, /* how often an otherwise idle scribe looks whether trouble may be told */
	STOP_US = 1000000,
};

struct iso_log_ring {
	struct iso_log_ring *next; /* fixed once published */
	struct iso_scribe *scribe;
	char *bytes;
	size_t size; /* a power of two */
	struct {     /* the worker writes */
		_Alignas(64) _Atomic uint64_t head;
		_Atomic uint64_t dropped;
		uint64_t tail_seen;
	} own;
	struct { /* the scribe writes */
		_Alignas(64) _Atomic uint64_t tail;
		_Atomic uint64_t lost; /* left over when the scribe stopped */
		uint64_t goal;         /* head when this pass began */
		size_t written;
	} reader;
};

struct iso_scribe {
	struct iso_scribe_config config; /* its path is ours */
	pthread_t thread;
	int wake_fd;
	struct {
		_Atomic bool asleep, stopping, reopen;
		_Atomic(struct iso_log_ring *) rings; /* newest first; only grows */
	} shared;
	struct { /* the thread's */
		int fd;
		bool regular;
		int err, reopen_err;
		struct iso_log_ring *torn; /* the ring whose line is half out */
		struct iso_scribe_alarm alarm;
	} own;
};

/* What a pass over the rings came to. */
enum pass { PASS_IDLE, PASS_WROTE, PASS_BLOCKED, PASS_FAILED };

static void wake(struct iso_scribe *s)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(s->wake_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	/* EAGAIN: it is rung already. */
}

/* ---- The worker's side ---- */

bool iso_log_ring_push(struct iso_log_ring *ring, const char *line, size_t len)
{
	uint64_t head = atomic_load_explicit(&ring->own.head, memory_order_relaxed);
	size_t at = (size_t)head & (ring->size - 1), first;

	assert(len > 0 && line[len - 1] == '\n');
	if (head - ring->own.tail_seen + len > ring->size)
		ring->own.tail_seen = atomic_load_explicit(&ring->reader.tail, memory_order_acquire);
	if (head - ring->own.tail_seen + len > ring->size) {
		atomic_store_explicit(&ring->own.dropped,
				      atomic_load_explicit(&ring->own.dropped, memory_order_relaxed) + 1,
				      memory_order_relaxed);
		return false;
	}
	first = ring->size - at < len ? ring->size - at : len;
	memcpy(ring->bytes + at, line, first);
	memcpy(ring->bytes, line + first, len - first);
	atomic_store(&ring->own.head, head + len);
	if (atomic_load(&ring->scribe->shared.asleep) && atomic_exchange(&ring->scribe->shared.asleep, false))
		wake(ring->scribe);
	return true;
}

/* ---- The scribe's side ---- */

bool iso_scribe_alarm_due(struct iso_scribe_alarm *alarm, uint64_t now_us, int err, uint64_t lost,
			  uint64_t *ret_lost)
{
	if (err == ISO_OK && lost == alarm->told_lost)
		return false;
	if (alarm->told && now_us - alarm->told_us < ISO_SCRIBE_TELL_EVERY_US)
		return false;
	*ret_lost = lost - alarm->told_lost;
	*alarm = (struct iso_scribe_alarm){ .told_us = now_us, .told_lost = lost, .told = true };
	return true;
}

static void tell(struct iso_scribe *s)
{
	int err = s->own.err != ISO_OK ? s->own.err : s->own.reopen_err;
	uint64_t lost;

	if (!iso_scribe_alarm_due(&s->own.alarm, iso_clock_mono_us(), err, iso_scribe_dropped(s), &lost))
		return;
	s->own.reopen_err = ISO_OK;
	if (s->config.on_trouble != NULL)
		s->config.on_trouble(s->config.arg, err, lost);
}

static int output_open(const char *path, int *ret_fd, bool *ret_regular)
{
	struct stat st;
	int fd;

	if (strcmp(path, "-") == 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else /* O_NONBLOCK: a FIFO that nobody reads is an error now, not a thread that waits for ever */
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	if (fd < 0)
		return iso_err_from_errno(errno);
	*ret_fd = fd;
	*ret_regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	return ISO_OK;
}

static void output_reopen(struct iso_scribe *s)
{
	bool regular = false;
	int fd = -1;

	if (strcmp(s->config.path, "-") == 0)
		return;
	s->own.reopen_err = output_open(s->config.path, &fd, &regular);
	if (s->own.reopen_err != ISO_OK)
		return;
	(void)close(s->own.fd);
	s->own.fd = fd;
	s->own.regular = regular;
	/* A line that is half in the old file goes into the new one from its beginning. */
	if (s->own.torn != NULL)
		s->own.torn->reader.written = 0;
	s->own.torn = NULL;
}

static char ring_at(const struct iso_log_ring *ring, uint64_t pos)
{
	return ring->bytes[(size_t)pos & (ring->size - 1)];
}

/* Length of the longest run from pos on that ends with a line and has at most max bytes; max when there is
 * none. */
static size_t whole_lines(const struct iso_log_ring *ring, uint64_t pos, size_t len, size_t max)
{
	if (len <= max)
		return len;
	for (size_t n = max; n > 0; n--)
		if (ring_at(ring, pos + n - 1) == '\n')
			return n;
	return max;
}

/* n more bytes are out: tail goes to the end of the last whole line. */
static void ring_advance(struct iso_scribe *s, struct iso_log_ring *ring, size_t n)
{
	uint64_t tail = atomic_load_explicit(&ring->reader.tail, memory_order_relaxed);
	uint64_t begun = tail + ring->reader.written, out = begun + n, end = out;

	while (end > begun && ring_at(ring, end - 1) != '\n')
		end--;
	if (end > begun) {
		ring->reader.written = (size_t)(out - end);
		atomic_store_explicit(&ring->reader.tail, end, memory_order_release);
	} else {
		ring->reader.written += n;
	}
	s->own.torn = ring->reader.written > 0 ? ring : NULL;
}

/*
 * One write of what lies between tail and goal. A descriptor that is no file is asked first and gets no more
 * than PIPE_BUF, which it then takes without blocking: standard output may be shared with others, so that it
 * cannot be made non-blocking.
 */
static enum pass ring_write(struct iso_scribe *s, struct iso_log_ring *ring)
{
	uint64_t pos = atomic_load_explicit(&ring->reader.tail, memory_order_relaxed) + ring->reader.written;
	size_t len = (size_t)(ring->reader.goal - pos), at = (size_t)pos & (ring->size - 1), first;
	struct iovec iov[2];
	ssize_t n;

	if (!s->own.regular) {
		struct pollfd out = { .fd = s->own.fd, .events = POLLOUT };

		if (poll(&out, 1, 0) == 0)
			return PASS_BLOCKED;
		len = whole_lines(ring, pos, len, PIPE_BUF);
	}
	first = ring->size - at < len ? ring->size - at : len;
	iov[0] = (struct iovec){ ring->bytes + at, first };
	iov[1] = (struct iovec){ ring->bytes, len - first };
	n = writev(s->own.fd, iov, len > first ? 2 : 1);
	if (n < 0 && errno == EINTR)
		return PASS_WROTE;
	if (n < 0 && errno == EAGAIN)
		return PASS_BLOCKED;
	if (n < 0) {
		s->own.err = iso_err_from_errno(errno);
		return PASS_FAILED;
	}
	s->own.err = ISO_OK;
	ring_advance(s, ring, (size_t)n);
	return PASS_WROTE;
}

static enum pass ring_drain(struct iso_scribe *s, struct iso_log_ring *ring)
{
	enum pass result = PASS_IDLE;

	while (atomic_load_explicit(&ring->reader.tail, memory_order_relaxed) + ring->reader.written <
	       ring->reader.goal) {
		result = ring_write(s, ring);
		if (result != PASS_WROTE)
			break;
	}
	return result;
}

/*
 * Writes what is in the rings now. The heads are read before the wish to reopen is: a line that was pushed
 * after the wish is then only seen together with it.
 */
static enum pass run_pass(struct iso_scribe *s)
{
	struct iso_log_ring *rings = atomic_load_explicit(&s->shared.rings, memory_order_acquire);
	enum pass result = PASS_IDLE, one;

	for (struct iso_log_ring *ring = rings; ring != NULL; ring = ring->next)
		ring->reader.goal = atomic_load_explicit(&ring->own.head, memory_order_acquire);
	if (atomic_exchange(&s->shared.reopen, false))
		output_reopen(s);
	if (s->own.torn != NULL)
		result = ring_drain(s, s->own.torn);
	for (struct iso_log_ring *ring = rings; ring != NULL && result < PASS_BLOCKED; ring = ring->next) {
		one = ring_drain(s, ring);
		if (one != PASS_IDLE)
			result = one;
	}
	return result;
}

static bool rings_empty(struct iso_scribe *s)
{
	struct iso_log_ring *ring = atomic_load_explicit(&s->shared.rings, memory_order_acquire);

	for (; ring != NULL; ring = ring->next)
		if (atomic_load(&ring->own.head) !=
		    atomic_load_explicit(&ring->reader.tail, memory_order_relaxed))
			return false;
	return true;
}

/* Waits until there may be something to do. `limit_ms` bounds it (-1: no bound). */
static void rest(struct iso_scribe *s, enum pass last, int limit_ms)
{
	struct pollfd fds[2] = { { .fd = s->wake_fd, .events = POLLIN },
				 { .fd = s->own.fd, .events = POLLOUT } };
	bool asleep = last == PASS_IDLE;
	int ms = last == PASS_WROTE ? PACE_MS : last == PASS_FAILED ? RETRY_MS : -1;
	uint64_t rung;

	if (limit_ms >= 0 && (ms < 0 || ms > limit_ms))
		ms = limit_ms;
	if (asleep) {
		atomic_store(&s->shared.asleep, true);
		if (!rings_empty(s))
			ms = 0;
	}
	(void)poll(fds, last == PASS_BLOCKED ? 2 : 1, ms);
	if (asleep)
		atomic_store(&s->shared.asleep, false);
	if (fds[0].revents != 0 && read(s->wake_fd, &rung, sizeof(rung)) < 0)
		return; /* somebody else's signal or none: the pass that follows finds out */
}

/* What cannot be written any more is counted. */
static void give_up(struct iso_scribe *s)
{
	struct iso_log_ring *ring = atomic_load_explicit(&s->shared.rings, memory_order_acquire);

	for (; ring != NULL; ring = ring->next) {
		uint64_t pos = atomic_load_explicit(&ring->reader.tail, memory_order_relaxed), lost = 0;
		uint64_t head = atomic_load_explicit(&ring->own.head, memory_order_acquire);

		for (; pos < head; pos++)
			lost += ring_at(ring, pos) == '\n' ? 1 : 0;
		atomic_store_explicit(&ring->reader.lost, lost, memory_order_relaxed);
		atomic_store_explicit(&ring->reader.tail, head, memory_order_relaxed);
	}
	/* Last words: what is not told yet is, whether or not the minute is over. */
	if (iso_scribe_dropped(s) != s->own.alarm.told_lost || s->own.reopen_err != ISO_OK)
		s->own.alarm.told = false;
	else
		s->own.err = ISO_OK;
	tell(s);
}

static void *scribe_main(void *arg)
{
	struct iso_scribe *s = arg;
	uint64_t give_up_us = 0;

	for (;;) {
		bool stopping = atomic_load(&s->shared.stopping);
		enum pass result = run_pass(s);
		int limit_ms = -1;

		tell(s);
		if (stopping && (result == PASS_IDLE || result == PASS_FAILED))
			break;
		if (stopping && give_up_us == 0)
			give_up_us = iso_clock_mono_us() + STOP_US;
		if (stopping && iso_clock_mono_us() >= give_up_us)
			break;
		if (stopping)
			limit_ms = result == PASS_WROTE ? 0 : PACE_MS;
		else if (result == PASS_BLOCKED || iso_scribe_dropped(s) != s->own.alarm.told_lost ||
			 s->own.reopen_err != ISO_OK)
			limit_ms = TELL_MS;
		rest(s, result, limit_ms);
	}
	give_up(s);
	return NULL;
}

/* ---- Control's side ---- */

static void scribe_free(struct iso_scribe *s)
{
	struct iso_log_ring *ring, *next;

	if (s == NULL)
		return;
	for (ring = atomic_load(&s->shared.rings); ring != NULL; ring = next) {
		next = ring->next;
		free(ring->bytes);
		free(ring);
	}
	if (s->own.fd >= 0)
		(void)close(s->own.fd);
	if (s->wake_fd >= 0)
		(void)close(s->wake_fd);
	free((char *)(uintptr_t)s->config.path);
	free(s);
}

/* Signals go to the control thread; those that a fault raises stay, for whoever reports crashes. */
static int thread_start(struct iso_scribe *s)
{
	sigset_t all, before;
	int errnum;

	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGSEGV);
	(void)sigdelset(&all, SIGBUS);
	(void)sigdelset(&all, SIGFPE);
	(void)sigdelset(&all, SIGILL);
	(void)sigdelset(&all, SIGABRT);
	errnum = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (errnum != 0)
		return iso_err_from_errno(errnum);
	errnum = pthread_create(&s->thread, NULL, scribe_main, s);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errnum != 0)
		return iso_err_from_errno(errnum);
	(void)pthread_setname_np(s->thread, "iso-scribe");
	return ISO_OK;
}

int iso_scribe_start(const struct iso_scribe_config *config, struct iso_scribe **ret_scribe)
{
	struct iso_scribe *s = calloc(1, sizeof(*s));
	int err = ISO_ENOMEM;

	if (s == NULL)
		return ISO_ENOMEM;
	s->own.fd = s->wake_fd = -1;
	s->config = *config;
	s->config.path = strdup(config->path);
	if (s->config.path == NULL)
		goto out;
	err = output_open(s->config.path, &s->own.fd, &s->own.regular);
	if (err != ISO_OK)
		goto out;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0) {
		err = iso_err_from_errno(errno);
		goto out;
	}
	err = thread_start(s);
	if (err != ISO_OK)
		goto out;
	*ret_scribe = s;
	return ISO_OK;
out:
	scribe_free(s);
	return err;
}

int iso_scribe_add_ring(struct iso_scribe *s, size_t bytes, struct iso_log_ring **ret_ring)
{
	struct iso_log_ring *ring;

	assert(bytes >= ISO_LOG_LINE_MAX && (bytes & (bytes - 1)) == 0);
	ring = aligned_alloc(_Alignof(struct iso_log_ring), sizeof(*ring));
	if (ring == NULL)
		return ISO_ENOMEM;
	memset(ring, 0, sizeof(*ring));
	ring->bytes = malloc(bytes);
	if (ring->bytes == NULL) {
		free(ring);
		return ISO_ENOMEM;
	}
	ring->size = bytes;
	ring->scribe = s;
	ring->next = atomic_load_explicit(&s->shared.rings, memory_order_relaxed);
	atomic_store_explicit(&s->shared.rings, ring, memory_order_release);
	*ret_ring = ring;
	return ISO_OK;
}

void iso_scribe_reopen(struct iso_scribe *s)
{
	atomic_store(&s->shared.reopen, true);
	wake(s);
}

void iso_scribe_stop(struct iso_scribe *s)
{
	if (s == NULL)
		return;
	atomic_store(&s->shared.stopping, true);
	wake(s);
	(void)pthread_join(s->thread, NULL);
	scribe_free(s);
}

uint64_t iso_scribe_dropped(const struct iso_scribe *s)
{
	const struct iso_log_ring *ring = atomic_load_explicit(&s->shared.rings, memory_order_acquire);
	uint64_t sum = 0;

	for (; ring != NULL; ring = ring->next)
		sum += atomic_load_explicit(&ring->own.dropped, memory_order_relaxed) +
		       atomic_load_explicit(&ring->reader.lost, memory_order_relaxed);
	return sum;
}
