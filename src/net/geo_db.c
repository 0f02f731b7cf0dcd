/*
 * See geo_db.h. A record that is damaged, or says what is no place, counts as none.
 */
#include "iso/net/geo_db.h"

#include <errno.h>
#include <maxminddb.h>
#include <stdlib.h>

enum {
	SAMPLE_MAX = 20000, /* nodes of the search tree */
	STACK_MAX = 160,    /* a walk of a tree of 128 bits has at most 129 nodes to come back to */
};

struct iso_geo_db {
	MMDB_s mmdb;
};

int iso_geo_db_new(const char *path, const char **ret_why, struct iso_geo_db **ret_db)
{
	struct iso_geo_db *db = calloc(1, sizeof(*db));
	int status, saved;

	if (db == NULL)
		return ISO_ENOMEM;
	errno = 0;
	status = MMDB_open(path, MMDB_MODE_MMAP, &db->mmdb);
	saved = errno;
	if (status == MMDB_SUCCESS) {
		*ret_db = db;
		return ISO_OK;
	}
	free(db); /* MMDB_open has given back what it had */
	if (status == MMDB_OUT_OF_MEMORY_ERROR)
		return ISO_ENOMEM;
	if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR) {
		*ret_why = saved != 0 ? strerror(saved) : MMDB_strerror(status);
		return ISO_ESYS;
	}
	*ret_why = MMDB_strerror(status);
	return ISO_EBAD;
}

void iso_geo_db_free(struct iso_geo_db *db)
{
	if (db == NULL)
		return;
	MMDB_close(&db->mmdb);
	free(db);
}

static bool read_degrees(MMDB_entry_s *entry, const char *name, double *ret_degrees)
{
	const char *const path[] = { "location", name, NULL };
	MMDB_entry_data_s data;

	/* Not MMDB_get_value: that copies the path to the heap. */
	if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data)
		return false;
	if (data.type == MMDB_DATA_TYPE_DOUBLE)
		*ret_degrees = data.double_value;
	else if (data.type == MMDB_DATA_TYPE_FLOAT)
		*ret_degrees = (double)data.float_value;
	else
		return false;
	return true;
}

static bool read_point(MMDB_entry_s *entry, struct iso_geo_point *ret_point)
{
	double latitude, longitude;

	return read_degrees(entry, "latitude", &latitude) && read_degrees(entry, "longitude", &longitude) &&
	       iso_geo_point_of(latitude, longitude, ret_point) == ISO_OK;
}

bool iso_geo_db_has_places(const struct iso_geo_db *db)
{
	uint32_t stack[STACK_MAX] = { 0 }, depth = 1;
	struct iso_geo_point point;

	for (uint32_t seen = 0; depth > 0 && seen < SAMPLE_MAX; seen++) {
		MMDB_search_node_s node;

		if (MMDB_read_node(&db->mmdb, stack[--depth], &node) != MMDB_SUCCESS)
			continue;
		if ((node.left_record_type == MMDB_RECORD_TYPE_DATA &&
		     read_point(&node.left_record_entry, &point)) ||
		    (node.right_record_type == MMDB_RECORD_TYPE_DATA &&
		     read_point(&node.right_record_entry, &point)))
			return true;
		if (node.right_record_type == MMDB_RECORD_TYPE_SEARCH_NODE && depth < STACK_MAX)
			stack[depth++] = (uint32_t)node.right_record;
		if (node.left_record_type == MMDB_RECORD_TYPE_SEARCH_NODE && depth < STACK_MAX)
			stack[depth++] = (uint32_t)node.left_record;
	}
	return false;
}

bool iso_geo_db_find(const struct iso_geo_db *db, const struct iso_sockaddr *addr,
		     struct iso_geo_point *ret_point)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	const struct sockaddr *sa = &addr->u.sa;
	MMDB_lookup_result_s found;
	int err = MMDB_SUCCESS;

	/* Not every database knows IPv4 addresses by their IPv6 form. */
	if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&addr->u.v6.sin6_addr)) {
		memcpy(&v4.sin_addr, &addr->u.v6.sin6_addr.s6_addr[12], sizeof(v4.sin_addr));
		sa = (const struct sockaddr *)&v4;
	}
	found = MMDB_lookup_sockaddr(&db->mmdb, sa, &err);
	return err == MMDB_SUCCESS && found.found_entry && read_point(&found.entry, ret_point);
}
