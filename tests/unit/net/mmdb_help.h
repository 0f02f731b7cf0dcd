/*
 * Writes small databases in MaxMind's format, by its specification (MaxMind DB File Format, version 2.0).
 */
#ifndef ISO_TESTS_MMDB_HELP_H
#define ISO_TESTS_MMDB_HELP_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "iso/net/resolver.h"

enum { MMDB_NODES_MAX = 2048, MMDB_BYTES_MAX = 16384 };

struct mmdb {
	unsigned int version;              /* 4 or 6 */
	uint32_t nodes[MMDB_NODES_MAX][2]; /* 0: empty; with the top bit a place in the data */
	uint32_t node_count;               /* at least the root */
	uint8_t bytes[MMDB_BYTES_MAX];     /* of the data section */
	size_t len;
};

#define MMDB_DATA 0x80000000u

static inline void mmdb_init(struct mmdb *m, unsigned int version)
{
	memset(m, 0, sizeof(*m));
	m->version = version;
	m->node_count = 1;
}

static inline void mmdb_bytes(struct mmdb *m, const void *bytes, size_t n)
{
	assert_true(m->len + n <= sizeof(m->bytes));
	memcpy(m->bytes + m->len, bytes, n);
	m->len += n;
}

/* Type and size: a control byte, and one more for the types behind 7. */
static inline void mmdb_control(struct mmdb *m, unsigned int type, size_t size)
{
	uint8_t extended[2] = { (uint8_t)size, (uint8_t)(type - 7) }, plain = (uint8_t)(type << 5 | size);

	assert_true(size < 29);
	if (type > 7)
		mmdb_bytes(m, extended, 2);
	else
		mmdb_bytes(m, &plain, 1);
}

static inline void mmdb_text(struct mmdb *m, const char *text)
{
	mmdb_control(m, 2, strlen(text));
	mmdb_bytes(m, text, strlen(text));
}

static inline void mmdb_map(struct mmdb *m, size_t pairs)
{
	mmdb_control(m, 7, pairs);
}

static inline void mmdb_double(struct mmdb *m, double value)
{
	uint64_t bits;
	uint8_t bytes[8];

	memcpy(&bits, &value, sizeof(bits));
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(bits >> (56 - 8 * i));
	mmdb_control(m, 3, 8);
	mmdb_bytes(m, bytes, 8);
}

static inline void mmdb_uint(struct mmdb *m, unsigned int type, uint32_t value)
{
	uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
			     (uint8_t)value };
	size_t size = type == 5 ? 2 : 4;

	mmdb_control(m, type, size);
	mmdb_bytes(m, bytes + 4 - size, size);
}

/* The record that begins at `data` is the network's. */
static inline void mmdb_network(struct mmdb *m, const char *host, unsigned int prefix, size_t data)
{
	struct iso_sockaddr addr;
	const uint8_t *bits;
	uint32_t node = 0;

	assert_int_equal(iso_sockaddr_parse(host, 0, &addr), ISO_OK);
	bits = addr.u.sa.sa_family == AF_INET6 ? (const uint8_t *)&addr.u.v6.sin6_addr
					       : (const uint8_t *)&addr.u.v4.sin_addr;
	/* In a tree of IPv6, IPv4 is ::/96. */
	for (unsigned int i = 0; m->version == 6 && addr.u.sa.sa_family == AF_INET && i < 96; i++) {
		if (m->nodes[node][0] == 0)
			m->nodes[node][0] = m->node_count++;
		node = m->nodes[node][0];
	}
	for (unsigned int i = 0; i < prefix; i++) {
		uint32_t *next = &m->nodes[node][bits[i / 8] >> (7 - i % 8) & 1];

		assert_true(m->node_count < MMDB_NODES_MAX && (*next & MMDB_DATA) == 0);
		if (i + 1 == prefix) {
			*next = MMDB_DATA | (uint32_t)data;
		} else {
			if (*next == 0)
				*next = m->node_count++;
			node = *next;
		}
	}
}

static inline size_t mmdb_place(struct mmdb *m, double latitude, double longitude)
{
	size_t at = m->len;

	mmdb_map(m, 2);
	mmdb_text(m, "country");
	mmdb_text(m, "somewhere");
	mmdb_text(m, "location");
	mmdb_map(m, 2);
	mmdb_text(m, "latitude");
	mmdb_double(m, latitude);
	mmdb_text(m, "longitude");
	mmdb_double(m, longitude);
	return at;
}

static inline void mmdb_metadata(struct mmdb *m)
{
	m->len = 0;
	mmdb_bytes(m, "\xab\xcd\xefMaxMind.com", 14);
	mmdb_map(m, 9);
	mmdb_text(m, "node_count");
	mmdb_uint(m, 6, m->node_count);
	mmdb_text(m, "record_size");
	mmdb_uint(m, 5, 24);
	mmdb_text(m, "ip_version");
	mmdb_uint(m, 5, m->version);
	mmdb_text(m, "database_type");
	mmdb_text(m, "Test-City");
	mmdb_text(m, "languages");
	mmdb_control(m, 11, 0);
	mmdb_text(m, "binary_format_major_version");
	mmdb_uint(m, 5, 2);
	mmdb_text(m, "binary_format_minor_version");
	mmdb_uint(m, 5, 0);
	mmdb_text(m, "build_epoch");
	mmdb_uint(m, 9, 1750000000);
	mmdb_text(m, "description");
	mmdb_map(m, 0);
}

/* All but the last `cut` bytes. m is of no use afterwards. */
static inline void mmdb_write(struct mmdb *m, const char *path, size_t cut)
{
	FILE *out = fopen(path, "wb");

	assert_non_null(out);
	for (uint32_t i = 0; i < 2 * m->node_count; i++) {
		uint32_t record = m->nodes[i / 2][i % 2];
		uint32_t value = record == 0                 ? m->node_count
				 : (record & MMDB_DATA) != 0 ? m->node_count + 16 + (record & ~MMDB_DATA)
							     : record;

		fputc((int)(value >> 16 & 255), out);
		fputc((int)(value >> 8 & 255), out);
		fputc((int)(value & 255), out);
	}
	for (int i = 0; i < 16; i++)
		fputc(0, out);
	fwrite(m->bytes, 1, m->len, out);
	mmdb_metadata(m);
	fwrite(m->bytes, 1, m->len - cut, out);
	assert_int_equal(fclose(out), 0);
}

#endif
