/*
 * See admin_get.h. One blocking request: a command has nothing else to do.
 */
#include "admin_get.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "iso/base/clock.h"
#include "iso/http/uri.h"

enum { WAIT_US = 10 * 1000 * 1000, ANSWER_MAX = 16 * 1024 * 1024 };

/* The next call on the socket may take what is left; false: nothing is. */
static bool allow_rest(int fd, uint64_t deadline_us)
{
	uint64_t now_us = iso_clock_mono_us(), rest_us;
	struct timeval wait;

	if (now_us >= deadline_us) {
		errno = ETIMEDOUT;
		return false;
	}
	rest_us = deadline_us - now_us;
	wait = (struct timeval){ .tv_sec = (time_t)(rest_us / 1000000),
				 .tv_usec = (suseconds_t)(rest_us % 1000000) };
	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0;
}

static int connect_to(const char *address, uint64_t deadline_us)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	struct iso_slice host = iso_uri_host(iso_slice_str(address));
	const char *port = strrchr(address, ':');
	char name[256];
	int fd = -1, why;

	if (port == NULL || host.len >= sizeof(name)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(name, host.ptr, host.len);
	name[host.len] = '\0';
	if (getaddrinfo(host.len > 0 ? name : "127.0.0.1", port + 1, &hints, &found) != 0) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    (!allow_rest(fd, deadline_us) || connect(fd, found->ai_addr, found->ai_addrlen) != 0)) {
		why = errno;
		close(fd);
		fd = -1;
		errno = why;
	}
	freeaddrinfo(found);
	return fd;
}

static bool ask(int fd, const char *address, const char *target, uint64_t deadline_us,
		struct iso_text *answer)
{
	char chunk[16384];
	ssize_t n;

	iso_text_fmt(answer, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, address);
	n = iso_text_ok(answer) == ISO_OK ? send(fd, answer->bytes, answer->len, MSG_NOSIGNAL) : -1;
	if (n != (ssize_t)answer->len)
		return false;
	answer->len = 0;
	do {
		if (!allow_rest(fd, deadline_us))
			return false;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n > 0)
			iso_text_add(answer, iso_slice(chunk, (size_t)n));
	} while (n > 0);
	return n == 0 && iso_text_ok(answer) == ISO_OK;
}

int admin_get(const char *address, const char *target, struct iso_text *text)
{
	return admin_get_within(address, target, WAIT_US, text);
}

int admin_get_within(const char *address, const char *target, uint64_t wait_us, struct iso_text *text)
{
	uint64_t deadline_us = iso_clock_mono_us() + wait_us;
	int fd = connect_to(address, deadline_us), status = 0;
	const char *content = NULL;
	struct iso_text answer;
	uint64_t code;
	bool complete;

	iso_text_init(&answer, ANSWER_MAX);
	complete = fd >= 0 && ask(fd, address, target, deadline_us, &answer);
	if (!complete)
		fprintf(stderr, "isochrone: the admin API at %s does not answer: %s\n", address,
			errno == EAGAIN || errno == EINPROGRESS ? "it takes too long" : strerror(errno));
	else
		content = memmem(answer.bytes, answer.len, "\r\n\r\n", 4);
	if (content != NULL && answer.len > 12 && memcmp(answer.bytes, "HTTP/1.1 ", 9) == 0) {
		status = iso_slice_u64(iso_slice(answer.bytes + 9, 3), &code) == ISO_OK ? (int)code : 0;
		content += 4;
		iso_text_add(text, iso_slice(content, (size_t)(answer.bytes + answer.len - content)));
	} else if (complete) {
		fprintf(stderr, "isochrone: what answers at %s is no admin API\n", address);
	}
	if (fd >= 0)
		close(fd);
	iso_text_done(&answer);
	return status;
}
