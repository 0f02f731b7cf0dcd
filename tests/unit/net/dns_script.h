/*
 * A scripted DNS server on the test's own loop: one UDP socket, answers from a table (RFC 1035). Names that
 * are not in the table get NXDOMAIN.
 */
#ifndef ISO_TEST_NET_DNS_SCRIPT_H
#define ISO_TEST_NET_DNS_SCRIPT_H

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>

#include "iso/net/resolver.h"
#include "net/loop_guard.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28 };

enum dns_manner {
	DNS_ANSWERS,
	DNS_SILENT,
	DNS_GARBAGE,  /* bytes that are no message */
	DNS_WRONG_ID, /* somebody else's answer */
	DNS_SERVFAIL,
	DNS_CUT, /* the last record ends early */
};

struct dns_record {
	const char *owner;
	enum dns_type type;
	uint32_t ttl;
	const char *data; /* an address or a name */
};

struct dns_script {
	struct event *event;
	int fd;
	char address[32]; /* for iso_resolver_new */
	const struct dns_record *records;
	size_t n;
	enum dns_manner manner, manner_aaaa; /* AAAA questions get whichever is not DNS_ANSWERS */
	int queries;
};

/* A name in wire form; returns the bytes. */
static inline size_t dns_put_name(uint8_t *to, const char *name)
{
	size_t used = 0;

	while (*name != '\0') {
		size_t label = strcspn(name, ".");

		to[used++] = (uint8_t)label;
		memcpy(to + used, name, label);
		used += label;
		name += label + (name[label] == '.');
	}
	to[used++] = 0;
	return used;
}

static inline size_t dns_put_record(uint8_t *to, const struct dns_record *record)
{
	size_t used = dns_put_name(to, record->owner), data;
	uint8_t head[10] = { 0, (uint8_t)record->type, 0, 1 }; /* type, class IN, TTL, length */

	for (int i = 0; i < 4; i++)
		head[4 + i] = (uint8_t)(record->ttl >> (24 - 8 * i));
	if (record->type == DNS_CNAME) {
		data = dns_put_name(to + used + 10, record->data);
	} else {
		data = record->type == DNS_A ? 4 : 16;
		assert_int_equal(inet_pton(data == 4 ? AF_INET : AF_INET6, record->data, to + used + 10), 1);
	}
	head[9] = (uint8_t)data;
	memcpy(to + used, head, sizeof(head));
	return used + 10 + data;
}

/* Follows CNAMEs as a recursive server does. Returns the message's length. */
static inline size_t dns_answer(const struct dns_script *dns, uint8_t *message, size_t question,
				const char *asked, int type)
{
	const char *name = asked;
	size_t used = question;
	int count = 0;
	bool known = false, again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < dns->n && !again; i++) {
			const struct dns_record *r = &dns->records[i];

			if (strcmp(r->owner, name) != 0)
				continue;
			known = true;
			if (r->type != DNS_CNAME && (int)r->type != type)
				continue;
			used += dns_put_record(message + used, r);
			count++;
			again = r->type == DNS_CNAME;
			if (again)
				name = r->data;
		}
	}
	message[2] |= 0x80; /* a response */
	message[3] = (uint8_t)(0x80 | (known ? 0 : 3));
	message[7] = (uint8_t)count;
	memset(message + 8, 0, 4);
	return used;
}

static inline void dns_on_query(evutil_socket_t fd, short what, void *arg)
{
	struct dns_script *dns = arg;
	uint8_t message[4096];
	char name[256] = "";
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t got = recvfrom(fd, message, 512, 0, (struct sockaddr *)&from, &from_len);
	size_t at = 12, len = 0;
	enum dns_manner manner = dns->manner;

	(void)what;
	dns->queries++;
	if (got < 17)
		return;
	for (; message[at] != 0; at += 1u + message[at]) {
		memcpy(name + len, message + at + 1, message[at]);
		len += message[at];
		name[len++] = '.';
	}
	name[len > 0 ? len - 1 : 0] = '\0';
	if (manner == DNS_ANSWERS && message[at + 2] == DNS_AAAA)
		manner = dns->manner_aaaa;
	if (manner == DNS_SILENT)
		return;
	len = dns_answer(dns, message, at + 5, name, message[at + 2]);
	if (manner == DNS_GARBAGE)
		memset(message + 2, 0xff, len - 2); /* the id is right, the rest is not */
	if (manner == DNS_WRONG_ID)
		message[0] ^= 0x55;
	if (manner == DNS_SERVFAIL)
		message[3] = 0x82;
	if (manner == DNS_CUT)
		len -= 3;
	sendto(fd, message, len, 0, (struct sockaddr *)&from, from_len);
}

static inline void dns_start(struct dns_script *dns, struct iso_loop *loop, const struct dns_record *records,
			     size_t n)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(own);

	*dns = (struct dns_script){ .records = records, .n = n };
	dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(dns->fd >= 0);
	assert_int_equal(bind(dns->fd, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(getsockname(dns->fd, (struct sockaddr *)&own, &len), 0);
	snprintf(dns->address, sizeof(dns->address), "127.0.0.1:%u", ntohs(own.sin_port));
	dns->event = event_new(loop->base, dns->fd, EV_READ | EV_PERSIST, dns_on_query, dns);
	assert_non_null(dns->event);
	assert_int_equal(event_add(dns->event, NULL), 0);
}

static inline void dns_stop(struct dns_script *dns)
{
	event_free(dns->event);
	close(dns->fd);
}

#endif
