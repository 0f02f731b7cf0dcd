/*
 * A region that does clearly worse than it did and than the others do, without failing in a row: by the part
 * of its answers that fail, and by its median time. For 2 to 5 regions, so nothing is compared with a crowd's
 * spread, but each region with its own past and with what the others do at the same time. Pure.
 */
#ifndef ISO_POLICY_ANOMALY_H
#define ISO_POLICY_ANOMALY_H

#include <stdbool.h>
#include <stdint.h>

/* Live answers of some span of time. */
struct iso_anomaly_span {
	uint64_t good, bad;
	uint32_t p50_us; /* of the good ones; 0: none */
};

struct iso_anomaly_input {
	struct iso_anomaly_span recent, past; /* the last 10 to 20 s, and the minute before */
	bool up;                              /* takes traffic: one that does not is no comparison */
};

/*
 * Why region i of n should be ejected (static words), or NULL. Its failure rate counts when even its lower
 * bound (Wilson, 99.5 %) is above 5 % and twice what it was before and twice what the others have now; its
 * median when it is four times and 100 ms above its own past, and three times that of another region whose
 * own median has not doubled.
 */
const char *iso_anomaly_find(const struct iso_anomaly_input regions[], uint32_t n, uint32_t i);

#endif
