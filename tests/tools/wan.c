/*
 * wan: makes network namespaces and a network between them that delays, drops and limits packets. Where `tc
 * netem` is not in the kernel, or nobody wants to give it rights over the machine's own network.
 */
#include "wan_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: wan [--seed N] [--packets N] COMMAND...\n"
	"  'node NAME ADDRESS/BITS'       a network namespace with a device " WAN_DEVICE "\n"
	"  'link NAME NAME KEY=VALUE...'  both ways between two nodes\n"
	"  'path NAME NAME KEY=VALUE...'  the way from the first to the second\n"
	"      delay=MS  jitter=MS (more or less)  loss=PERCENT\n"
	"      rate=MBIT (a second; 0: no limit)  queue=MS (what would wait longer for it is dropped)\n"
	"  --seed N     of what is lost and how much is added, default 1\n"
	"  --packets N  that may be under way at a time, default 16384\n"
	"Prints `node NAME ADDRESS /proc/PID/fd/N` for each namespace (nsenter --net=...), then `ready`.\n"
	"Further links and paths are read from standard input and answered with `ok` or `error: ...`.\n"
	"Its end, SIGTERM and SIGINT end the network; the last line counts packets.\n";

enum { EVENT_TIMER = NODES_MAX, EVENT_SIGNAL, EVENT_INPUT, BATCH = 64 };

bool wan_fail(struct wan *wan, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(wan->why, sizeof(wan->why), format, args);
	va_end(args);
	return false;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- Commands ---- */

/* Cuts the text into words, in place; WORDS_MAX + 1: there are more. */
static unsigned split(char *text, char *ret_words[WORDS_MAX])
{
	unsigned count = 0;

	for (char *at = text, *word; (word = strsep(&at, " \t")) != NULL;) {
		if (*word == '\0')
			continue;
		if (count == WORDS_MAX)
			return WORDS_MAX + 1;
		ret_words[count++] = word;
	}
	return count;
}

static int find(struct wan *wan, const char *name)
{
	for (unsigned i = 0; i < wan->node_count; i++)
		if (strcmp(wan->nodes[i].name, name) == 0)
			return (int)i;
	(void)wan_fail(wan, "%s: there is no such node", name);
	return -1;
}

/* All settings or none. */
static bool set_paths(struct wan *wan, char *const words[], unsigned count, bool both)
{
	int a = find(wan, words[1]), b = a >= 0 ? find(wan, words[2]) : -1;
	struct path there, back;

	if (b < 0)
		return false;
	if (a == b)
		return wan_fail(wan, "%s: no path leads from a node to itself", words[1]);
	there = wan->paths[a][b];
	back = wan->paths[b][a];
	for (unsigned i = 3; i < count; i++)
		if (!path_set(wan, &there, words[i]) || (both && !path_set(wan, &back, words[i])))
			return false;
	wan->paths[a][b] = there;
	wan->paths[b][a] = back;
	return true;
}

static bool command(struct wan *wan, char *text, bool may_add)
{
	char *words[WORDS_MAX];
	unsigned count = split(text, words);
	const char *verb = count > 0 ? words[0] : "";

	if (count > WORDS_MAX)
		return wan_fail(wan, "%s: more than %d words", verb, WORDS_MAX);
	if (strcmp(verb, "node") == 0 && count == 3)
		return may_add ? node_make(wan, words[1], words[2])
			       : wan_fail(wan, "node: all are named when the network is started");
	if ((strcmp(verb, "link") == 0 || strcmp(verb, "path") == 0) && count >= 4)
		return set_paths(wan, words, count, verb[0] == 'l');
	return wan_fail(
		wan, "'%s': `node NAME ADDRESS/BITS`, `link NAME NAME KEY=VALUE…` or `path …` was expected",
		verb);
}

/* ---- Packets ---- */

/* The node that an IPv4 packet is for; -1: none of ours. */
static int destination(const struct wan *wan, const uint8_t *bytes, size_t len)
{
	uint32_t address;

	if (len < 20 || bytes[0] >> 4 != 4)
		return -1;
	memcpy(&address, bytes + 16, sizeof(address));
	for (unsigned i = 0; i < wan->node_count; i++)
		if (wan->nodes[i].address == address)
			return (int)i;
	return -1;
}

/* Sends a packet that has been read on its way, or gives it back. */
static void dispatch(struct wan *wan, unsigned from, struct packet *packet)
{
	int to = destination(wan, packet->bytes, packet->len);

	if (to < 0) {
		wan->stray += packet->bytes[0] >> 4 == 4; /* not what IPv6 asks its neighbours by itself */
		queue_give_back(&wan->queue, packet);
		return;
	}
	switch (path_take(&wan->paths[from][to], packet->len, now(), &packet->due_ns)) {
	case PATH_FORWARDS:
		packet->to = (uint16_t)to;
		queue_push(&wan->queue, packet);
		return;
	case PATH_LOSES:
		wan->lost++;
		break;
	case PATH_IS_FULL:
		wan->full++;
		break;
	}
	queue_give_back(&wan->queue, packet);
}

/* How many it had, at most BATCH. */
static int read_node(struct wan *wan, unsigned from)
{
	for (int i = 0; i < BATCH; i++) {
		struct packet *packet = queue_take(&wan->queue), none;
		ssize_t n = read(wan->nodes[from].tun, packet ? packet->bytes : none.bytes, PACKET_MAX);

		if (n > 0 && packet) {
			packet->len = (uint16_t)n;
			dispatch(wan, from, packet);
			continue;
		}
		if (packet)
			queue_give_back(&wan->queue, packet);
		if (n <= 0)
			return i;
		wan->full++;
	}
	return BATCH;
}

static void answer(struct wan *wan)
{
	wan->line[wan->line_len] = '\0';
	wan->line_len = 0;
	if (command(wan, wan->line, false))
		puts("ok");
	else
		printf("error: %s\n", wan->why);
	fflush(stdout);
}

static void read_input(struct wan *wan)
{
	char bytes[512];
	ssize_t n;

	/* A command is for what sets out after it: what has set out before is read first. */
	for (unsigned i = 0; i < wan->node_count; i++)
		for (int left = ROOM / BATCH; left > 0 && read_node(wan, i) == BATCH; left--)
			;
	n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		wan->ended = true;
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			answer(wan);
		else if (wan->line_len < sizeof(wan->line) - 1)
			wan->line[wan->line_len++] = bytes[i]; /* what is cut off makes no sense either way */
	}
}

static void deliver(struct wan *wan)
{
	uint64_t now_ns = now();

	while (queue_first(&wan->queue) && queue_first(&wan->queue)->due_ns <= now_ns) {
		struct packet *packet = queue_pop(&wan->queue);

		if (write(wan->nodes[packet->to].tun, packet->bytes, packet->len) < 0)
			wan->full++;
		else
			wan->forwarded++;
		queue_give_back(&wan->queue, packet);
	}
}

static void arm(struct wan *wan)
{
	const struct packet *first = queue_first(&wan->queue);
	uint64_t at_ns = first ? first->due_ns : 0;
	struct itimerspec at = { .it_value = { (time_t)(at_ns / 1000000000), (long)(at_ns % 1000000000) } };

	if (at_ns == wan->armed_ns)
		return;
	wan->armed_ns = at_ns;
	timerfd_settime(wan->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void turn(struct wan *wan)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(wan->epoll, events, BATCH, -1);
	uint64_t ticks;

	for (int i = 0; i < n; i++) {
		uint32_t what = events[i].data.u32;

		if (what < NODES_MAX)
			(void)read_node(wan, what);
		else if (what == EVENT_INPUT)
			read_input(wan);
		else if (what == EVENT_SIGNAL)
			wan->ended = true;
		else if (read(wan->timer, &ticks, sizeof(ticks)) == sizeof(ticks))
			wan->armed_ns = 0;
	}
	deliver(wan);
	arm(wan);
}

/* ---- Beginning and end ---- */

static bool watch(const struct wan *wan, int fd, uint32_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };

	return epoll_ctl(wan->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool set_up(struct wan *wan, uint64_t seed, size_t packets)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	(void)setpriority(PRIO_PROCESS, 0, -10); /* a busy machine must not lengthen the paths */
	wan->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	wan->epoll = epoll_create1(EPOLL_CLOEXEC);
	wan->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	wan->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (wan->home < 0 || wan->epoll < 0 || wan->timer < 0 || wan->signals < 0 ||
	    !watch(wan, wan->timer, EVENT_TIMER) || !watch(wan, wan->signals, EVENT_SIGNAL))
		return wan_fail(wan, "cannot set up: %s", strerror(errno));
	/* A file, /dev/null say, cannot be watched: then signals alone end it. */
	if (!watch(wan, STDIN_FILENO, EVENT_INPUT) && errno != EPERM && errno != EBADF)
		return wan_fail(wan, "standard input: %s", strerror(errno));
	if (!queue_init(&wan->queue, packets))
		return wan_fail(wan, "no memory for %zu packets", packets);
	for (unsigned a = 0; a < NODES_MAX; a++)
		for (unsigned b = 0; b < NODES_MAX; b++) {
			path_seed(&wan->paths[a][b], seed * NODES_MAX * NODES_MAX + a * NODES_MAX + b);
			wan->paths[a][b].queue_ns = 200 * 1000000;
		}
	return true;
}

static bool announce(struct wan *wan)
{
	for (unsigned i = 0; i < wan->node_count; i++) {
		const uint8_t *at = (const uint8_t *)&wan->nodes[i].address;

		if (!watch(wan, wan->nodes[i].tun, i))
			return wan_fail(wan, "%s: cannot watch its device: %s", wan->nodes[i].name,
					strerror(errno));
		printf("node %s %u.%u.%u.%u /proc/%d/fd/%d\n", wan->nodes[i].name, at[0], at[1], at[2], at[3],
		       (int)getpid(), wan->nodes[i].space);
	}
	puts("ready");
	fflush(stdout);
	return true;
}

static bool parse_count(const char *text, uint64_t max, uint64_t *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *ret_value <= max;
}

static bool parse_options(int argc, char **argv, uint64_t *seed, uint64_t *packets)
{
	static const struct option names[] = { { "seed", required_argument, NULL, 's' },
					       { "packets", required_argument, NULL, 'p' },
					       { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 's' && parse_count(optarg, UINT32_MAX, seed))
			continue;
		if (option == 'p' && parse_count(optarg, 1 << 20, packets) && *packets > 0)
			continue;
		return false;
	}
	return optind < argc;
}

int main(int argc, char **argv)
{
	static struct wan wan;
	uint64_t seed = 1, packets = 16384;
	bool ok;

	if (!parse_options(argc, argv, &seed, &packets)) {
		fputs(usage, stderr);
		return 2;
	}
	ok = set_up(&wan, seed, packets);
	for (int i = optind; ok && i < argc; i++)
		ok = command(&wan, argv[i], true);
	if (ok && announce(&wan))
		while (!wan.ended)
			turn(&wan);
	else
		ok = false;
	if (!ok)
		fprintf(stderr, "wan: %s\n", wan.why);
	else
		printf("forwarded %llu lost %llu full %llu stray %llu\n", (unsigned long long)wan.forwarded,
		       (unsigned long long)wan.lost, (unsigned long long)wan.full,
		       (unsigned long long)wan.stray);
	for (unsigned i = 0; i < wan.node_count; i++)
		node_close(&wan.nodes[i]);
	queue_done(&wan.queue);
	return ok ? 0 : 1;
}
