/*
 * The sockets that clients come to: bound here, or inherited from a service manager or the process before
 * (sd_listen_fds(3)'s protocol); handed to the workers, and kept as well for a process that comes after.
 * Thread: control.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process_priv.h"

enum { FIRST_INHERITED = 3 };

/* One that is bound to an address; the descriptor is ours. */
struct iso_socket {
	struct iso_sockaddr addr;
	int fd;
};

static int add(struct iso_sockets *sockets, int fd, const struct iso_sockaddr *addr)
{
	struct iso_socket *grown = realloc(sockets->v, (sockets->n + 1u) * sizeof(*grown));

	if (grown == NULL) {
		close(fd);
		return ISO_ENOMEM;
	}
	sockets->v = grown;
	sockets->v[sockets->n++] = (struct iso_socket){ *addr, fd };
	return ISO_OK;
}

void iso_sockets_close(struct iso_sockets *sockets)
{
	for (uint32_t i = 0; i < sockets->n; i++)
		close(sockets->v[i].fd);
	free(sockets->v);
	*sockets = (struct iso_sockets){ NULL, 0 };
}

/* A number in an environment variable that is for us; -1: none. */
static long number_of(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	long n = text != NULL ? strtol(text, &end, 10) : -1;

	return end != NULL && *end == '\0' && end != text ? n : -1;
}

int iso_sockets_inherit(struct iso_process *p)
{
	long count = number_of("LISTEN_PID") == (long)getpid() ? number_of("LISTEN_FDS") : 0;
	int err = ISO_OK;

	for (long i = 0; i < count && i < ISO_SOCKETS_MAX && err == ISO_OK; i++) {
		int fd = FIRST_INHERITED + (int)i, listening = 0;
		struct iso_sockaddr addr = { .len = sizeof(addr.u) };
		socklen_t len = sizeof(listening);

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || listening == 0 ||
		    getsockname(fd, &addr.u.sa, &addr.len) != 0) {
			fprintf(stderr, "inherited descriptor %d is no listening socket: not used\n", fd);
			continue;
		}
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		err = add(&p->inherited, fd, &addr);
	}
	if (count > 0 && count <= ISO_SOCKETS_MAX && iso_upgrade_is_one()) {
		/* The descriptor itself: a copy would leave this one open, here and in all that come after.
		 */
		if (fcntl(FIRST_INHERITED + (int)count, F_SETFD, FD_CLOEXEC) == 0)
			p->upgrade.learnt = FIRST_INHERITED + (int)count;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return err;
}

/* Takes those with this address out of `from`. */
static int take(struct iso_sockets *from, const struct iso_sockaddr *addr, struct iso_sockets *to)
{
	uint32_t left = 0;
	int err = ISO_OK;

	for (uint32_t i = 0; i < from->n; i++) {
		if (err == ISO_OK && iso_sockaddr_eq(&from->v[i].addr, addr))
			err = add(to, from->v[i].fd, addr);
		else
			from->v[left++] = from->v[i];
	}
	from->n = left;
	return err;
}

/* All on one address. */
static int bind_new(struct iso_cfg_listener *listener, uint32_t count, struct iso_sockets *to)
{
	for (uint32_t i = 0; i < count; i++) {
		int fd, err = iso_listener_bind(&listener->addr, &fd);

		if (err != ISO_OK)
			return err;
		listener->addr.len = sizeof(listener->addr.u);
		getsockname(fd, &listener->addr.u.sa, &listener->addr.len); /* port 0 has become a number */
		err = add(to, fd, &listener->addr);
		if (err != ISO_OK)
			return err;
	}
	return ISO_OK;
}

int iso_sockets_open(struct iso_process *p, struct iso_cfg_listener *listener, uint32_t count,
		     const char **ret_why)
{
	static char why[200];
	struct iso_sockets *to = &p->sockets;
	uint32_t before = to->n;
	int err = take(&p->inherited, &listener->addr, to);

	if (err == ISO_OK && to->n == before)
		err = bind_new(listener, count, to);
	if (err == ISO_OK)
		return ISO_OK;
	snprintf(why, sizeof(why), "cannot listen on %.*s: %s", ISO_SLICE_FMT(listener->address),
		 err == ISO_EEXISTS ? "the address is in use" : iso_err_text(err));
	*ret_why = why;
	while (to->n > before)
		close(to->v[--to->n].fd);
	return err;
}

bool iso_sockets_have(const struct iso_sockets *sockets, const struct iso_sockaddr *addr)
{
	for (uint32_t i = 0; i < sockets->n; i++) {
		if (iso_sockaddr_eq(&sockets->v[i].addr, addr))
			return true;
	}
	return false;
}

/*
 * The n-th socket that worker `index` accepts on, of those of the address. With one for each worker each has
 * its own; inherited ones may be more or fewer: none is left alone, and no worker goes without.
 */
static int nth_of(const struct iso_sockets *sockets, const struct iso_sockaddr *addr, uint32_t workers,
		  uint32_t index, uint32_t n)
{
	uint32_t count = 0, at = index + n * workers;

	for (uint32_t i = 0; i < sockets->n; i++)
		count += iso_sockaddr_eq(&sockets->v[i].addr, addr) ? 1 : 0;
	if (count == 0 || (n > 0 && at >= count))
		return -1;
	at %= count;
	for (uint32_t i = 0; i < sockets->n; i++) {
		if (iso_sockaddr_eq(&sockets->v[i].addr, addr) && at-- == 0)
			return fcntl(sockets->v[i].fd, F_DUPFD_CLOEXEC, 0);
	}
	return -1;
}

int iso_sockets_share(const struct iso_sockets *sockets, const struct iso_sockaddr *addr, uint32_t workers,
		      uint32_t index, int fds[ISO_WORKER_SOCKETS_MAX])
{
	int n = 0;

	while (n < ISO_WORKER_SOCKETS_MAX) {
		fds[n] = nth_of(sockets, addr, workers, index, (uint32_t)n);
		if (fds[n] < 0)
			break;
		n++;
	}
	return n;
}

void iso_sockets_retain(struct iso_sockets *sockets, const struct iso_snapshot *snapshot,
			const struct iso_sockaddr *also)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < sockets->n; i++) {
		bool named = also->len > 0 && iso_sockaddr_eq(&sockets->v[i].addr, also);

		for (uint32_t k = 0; k < snapshot->listener_count && !named; k++)
			named = iso_sockaddr_eq(&sockets->v[i].addr, &snapshot->listeners[k].addr);
		if (named)
			sockets->v[left++] = sockets->v[i];
		else
			close(sockets->v[i].fd);
	}
	sockets->n = left;
}

uint32_t iso_sockets_copy(const struct iso_sockets *sockets, int *fds, uint32_t max)
{
	uint32_t n = 0;

	while (n < sockets->n && n < max) {
		fds[n] = sockets->v[n].fd;
		n++;
	}
	return n;
}
