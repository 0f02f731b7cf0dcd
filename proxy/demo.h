/*
 * The demo's parts: processes, certificates, and the view in the terminal.
 */
#ifndef ISO_PROXY_DEMO_H
#define ISO_PROXY_DEMO_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

enum { DEMO_REGIONS = 3 };

struct demo_region {
	const char *name;
	int delay_ms;
};

extern const struct demo_region demo_regions[DEMO_REGIONS];

struct demo_part {
	pid_t pid;
	int fd; /* its stderr */
	char address[64], control[64];
};

struct demo {
	char dir[256];
	struct demo_part regions[DEMO_REGIONS], proxy, load;
};

/*
 * fork, but a signal that ends the demo ends the child too, also before it has become another program: the
 * demo's own handler would swallow it there.
 */
pid_t demo_fork(void);
/* A CA and a server certificate for localhost in demo->dir, by the openssl command. */
bool demo_make_certs(struct demo *demo);
void demo_remove_dir(struct demo *demo);
/* Sends a gentle load and prints shares and latencies each second, until *stopped or for `seconds` (0: for
 * ever). */
void demo_watch(struct demo *demo, long seconds, volatile sig_atomic_t *stopped);

#endif
