/*
 * wan: a wide area network on one machine. One thread, one epoll; everything hangs off struct wan.
 *
 * A node is a network namespace with one TUN device; a path leads from one node to another, so a pair has
 * two. All packets under way lie in one heap by the moment they are due, in memory that is taken once.
 * Packets of one path never overtake each other. The namespaces have no names: they end with the last process
 * in them, whatever ends it.
 */
#ifndef WAN_PRIV_H
#define WAN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NODES_MAX = 16,
	NAME_LEN_MAX = 15,
	PACKET_MAX = 1500, /* the MTU of a TUN device */
	WORDS_MAX = 8,
	ROOM = 8192, /* packets that a device holds for us */
};

#define WAN_DEVICE "wan0"

struct node {
	char name[NAME_LEN_MAX + 1];
	uint32_t address, mask; /* in network order */
	int space, tun;         /* descriptors of the namespace and of its device */
};

/* The way from one node to another. A path that was never named has all zero: packets go through at once. */
struct path {
	uint64_t delay_ns, jitter_ns; /* a packet takes delay +- jitter, at least 0 */
	double loss;                  /* 0 to 1 */
	double bits_per_ns;           /* 0: no limit */
	uint64_t queue_ns;            /* what would wait for the limit for longer is dropped */
	uint64_t free_ns;             /* when the limit lets the next packet begin */
	uint64_t last_ns;             /* when the packet before is due */
	uint64_t random;              /* the state of its own generator */
};

enum verdict { PATH_FORWARDS, PATH_LOSES, PATH_IS_FULL };

struct packet {
	uint64_t due_ns, order;
	struct packet *next; /* while free */
	uint16_t to, len;
	uint8_t bytes[PACKET_MAX];
};

struct queue {
	struct packet *memory, *free;
	struct packet **heap;
	size_t count, max;
	uint64_t order;
};

struct wan {
	struct node nodes[NODES_MAX];
	unsigned node_count;
	struct path paths[NODES_MAX][NODES_MAX];
	struct queue queue;
	int home, epoll, timer, signals;
	uint64_t armed_ns; /* what the timer is set to; 0: nothing */
	uint64_t forwarded, lost, full, stray;
	char line[256]; /* of standard input, as far as it has come */
	size_t line_len;
	bool ended;
	char why[256]; /* what was wrong with the last thing that failed */
};

/* Writes the reason into wan->why; returns false, so that a caller can pass it on. */
bool wan_fail(struct wan *wan, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* wan_node.c: makes the namespace and the device of "NAME ADDRESS/BITS". wan->home is where the process
 * lives. */
bool node_make(struct wan *wan, const char *name, const char *network);
void node_close(struct node *node);

/* wan_path.c. Lays "key=value" over a path; nothing is changed when it returns false. */
bool path_set(struct wan *wan, struct path *path, const char *setting);
/* Each path draws from its own numbers: what it loses does not depend on what the others carry. */
void path_seed(struct path *path, uint64_t seed);
/* A packet of so many bytes comes to the path now. Whether it arrives, and when. */
enum verdict path_take(struct path *path, size_t len, uint64_t now_ns, uint64_t *ret_due_ns);

/* wan_queue.c */
bool queue_init(struct queue *queue, size_t packets);
void queue_done(struct queue *queue);
/* A packet to fill and push, or to give back; NULL: all are under way. */
struct packet *queue_take(struct queue *queue);
void queue_give_back(struct queue *queue, struct packet *packet);
void queue_push(struct queue *queue, struct packet *packet);
/* The packet that is due first, and stays where it is; NULL: there is none. */
const struct packet *queue_first(const struct queue *queue);
/* Takes it out; the caller gives it back. */
struct packet *queue_pop(struct queue *queue);

#endif
