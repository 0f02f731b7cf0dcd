/*
 * Where addresses are, by a database in MaxMind's format. Immutable once opened, read by all threads at once.
 * The file is mapped: it may be replaced by another one (rename), and must not be written into while it is
 * open.
 */
#ifndef ISO_NET_GEO_DB_H
#define ISO_NET_GEO_DB_H

#include "iso/base/geo.h"
#include "iso/net/transport.h"

struct iso_geo_db;

/*
 * ISO_OK; ISO_ENOMEM; ISO_ESYS: it cannot be read; ISO_EBAD: it is no such database. *ret_why says why in
 * either case, a static text.
 */
ISO_MUST_USE int iso_geo_db_new(const char *path, const char **ret_why, struct iso_geo_db **ret_db);
void iso_geo_db_free(struct iso_geo_db *db); /* NULL is fine */
/*
 * Whether a record with a place is found among the first thousands: a database of countries or networks has
 * none.
 */
bool iso_geo_db_has_places(const struct iso_geo_db *db);
/* False: the database does not say. Allocates nothing. */
bool iso_geo_db_find(const struct iso_geo_db *db, const struct iso_sockaddr *addr,
		     struct iso_geo_point *ret_point);

#endif
