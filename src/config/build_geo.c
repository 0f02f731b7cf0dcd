/*
 * Places: of clients by a database, of regions by their names or as the file says.
 */
#include "load_priv.h"

#include "iso/aws/region_point.h"

static void open_database(struct iso_load *load, struct iso_slice path)
{
	const char *mend =
		"name a MaxMind DB file of cities, such as GeoLite2-City.mmdb, readable by the proxy";
	struct iso_geo_db *db = NULL;
	const char *why = "";

	switch (iso_geo_db_new(path.ptr, &why, &db)) {
	case ISO_OK:
		load->snapshot->geo_db = db;
		break;
	case ISO_ESYS:
		iso_load_error_in(load, "database", mend, "%.*s cannot be read: %s", ISO_SLICE_FMT(path),
				  why);
		break;
	case ISO_EBAD:
		iso_load_error_in(load, "database", mend, "%.*s is no MaxMind DB file: %s",
				  ISO_SLICE_FMT(path), why);
		break;
	default:
		load->nomem = true;
	}
	if (db != NULL && !iso_geo_db_has_places(db))
		iso_load_note(
			load, "use a database of cities: one of countries has no coordinates",
			"no place was found in the database; requests of clients without one go by latency");
}

void iso_load_geo(struct iso_load *load, const json_t *root)
{
	json_t *object = iso_load_member(root, "geo");
	size_t mark = iso_pointer_key(&load->at, ISO_SLICE("geo"));
	struct iso_slice name = iso_load_text(load, object, "geo.database");

	load->geo = json_object_get(root, "geo") != NULL;
	if (name.len > 0) {
		size_t at = iso_pointer_key(&load->at, ISO_SLICE("database"));
		struct iso_slice path = iso_load_watched_file(load, name);

		iso_pointer_cut(&load->at, at);
		open_database(load, path);
	}
	iso_pointer_cut(&load->at, mark);
}

void iso_load_place(struct iso_load *load, const json_t *region_object, struct iso_cfg_region *region)
{
	json_t *object = iso_load_member(region_object, "location");

	if (!iso_load_has(object, "latitude") || !iso_load_has(object, "longitude"))
		/* What was given badly was reported: it shall not be reported as missing too. */
		region->placed = json_object_get(region_object, "location") != NULL ||
				 iso_aws_region_point(region->name, &region->place);
	else
		region->placed =
			iso_geo_point_of(
				iso_load_number(load, object, "services.*.regions.*.location.latitude"),
				iso_load_number(load, object, "services.*.regions.*.location.longitude"),
				&region->place) == ISO_OK;
}
