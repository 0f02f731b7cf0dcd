/*
 * What a service manager is told (sd_notify(3)'s protocol): a datagram to the socket that NOTIFY_SOCKET
 * names, and a sign of life as often as WATCHDOG_USEC asks. Nothing without one. Thread: control.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "iso/base/clock.h"
#include "process_priv.h"

void iso_notify(const char *format, ...)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char text[256];
	va_list args;
	int n, fd;

	if (name == NULL || (name[0] != '/' && name[0] != '@') || strlen(name) >= sizeof(to.sun_path))
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	memcpy(to.sun_path, name, strlen(name));
	if (name[0] == '@')
		to.sun_path[0] = '\0'; /* an abstract one */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (n > 0)
		(void)sendto(fd, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, MSG_NOSIGNAL,
			     (struct sockaddr *)(void *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
	close(fd);
}

void iso_notify_reloading(void)
{
	iso_notify("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)iso_clock_mono_us());
}

static void on_watchdog(struct iso_timer *timer)
{
	struct iso_process *p = ISO_CONTAINER(timer, struct iso_process, watchdog_timer);

	iso_notify("WATCHDOG=1");
	iso_timer_set(&p->loop.wheel, timer, p->loop.now_us + p->watchdog_us);
}

void iso_notify_start(struct iso_process *p)
{
	const char *every = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	iso_notify("READY=1\nMAINPID=%ld", (long)getpid());
	if (every == NULL || (pid != NULL && atol(pid) != (long)getpid()))
		return;
	p->watchdog_us = strtoull(every, NULL, 10) / 2;
	if (p->watchdog_us == 0)
		return;
	iso_timer_init(&p->watchdog_timer, on_watchdog);
	on_watchdog(&p->watchdog_timer);
}
