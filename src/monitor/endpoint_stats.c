/*
 * See endpoint_stats_priv.h.
 */
#include "endpoint_stats_priv.h"

#include "iso/net/resolver.h"

enum {
	NOISE_PERCENT = 128, /* as between regions: what is within 28 % is equal */
	NOISE_US = 2000,
	EXCESS_US = 50 * 1000, /* five failures in a hundred */
};

static uint64_t age_of(const struct iso_sample *sample)
{
	return sample->end_us > sample->start_us ? sample->end_us - sample->start_us : 0;
}

bool iso_blamed_news(struct iso_blamed *blamed, uint32_t serial)
{
	if (serial == 0)
		return true;
	for (uint32_t i = 0; i < ISO_BLAMED_KEPT; i++)
		if (blamed->serials[i] == serial)
			return false;
	blamed->serials[blamed->at++ % ISO_BLAMED_KEPT] = serial;
	return true;
}

void iso_endpoint_stat_init(struct iso_endpoint_stat *e, const struct iso_sockaddr *addr)
{
	memset(e, 0, sizeof(*e));
	e->addr = *addr;
	iso_estimate_init(&e->estimate);
	iso_outlier_init(&e->outlier);
	iso_ewma_init(&e->rtt);
}

void iso_endpoint_stats_init(struct iso_endpoint_stats *es)
{
	memset(es, 0, sizeof(*es));
}

static const struct iso_endpoint_stat *known(const struct iso_endpoint_stats *es,
					     const struct iso_sockaddr *addr)
{
	for (uint32_t i = 0; i < es->count; i++)
		if (iso_sockaddr_eq(&es->v[i].addr, addr))
			return &es->v[i];
	return NULL;
}

/* Indexes have changed their meaning: what is known moves along. */
static void move(struct iso_endpoint_stats *es, const struct iso_board_region *board)
{
	struct iso_endpoint_stat moved[ISO_ENDPOINTS_MAX];

	for (uint32_t i = 0; i < board->endpoint_count; i++) {
		const struct iso_endpoint_stat *e = known(es, &board->endpoints[i].addr);

		if (e == NULL && es->left != NULL)
			e = known(es->left, &board->endpoints[i].addr);
		if (e != NULL)
			moved[i] = *e;
		else
			iso_endpoint_stat_init(&moved[i], &board->endpoints[i].addr);
	}
	memcpy(es->v, moved, board->endpoint_count * sizeof(moved[0]));
	es->count = board->endpoint_count;
	es->epoch = board->endpoints_epoch;
	es->run = 0;
}

void iso_endpoint_stats_inherit(struct iso_endpoint_stats *es, const struct iso_endpoint_stats *left)
{
	es->left = left;
	for (uint32_t i = 0; i < es->count; i++) {
		const struct iso_endpoint_stat *e = known(left, &es->v[i].addr);
		bool listed = es->v[i].listed;

		if (e == NULL)
			continue;
		es->v[i] = *e;
		es->v[i].listed = listed;
	}
}

void iso_endpoint_stats_bind(struct iso_endpoint_stats *es, const struct iso_board_region *board)
{
	if (es->epoch != board->endpoints_epoch || es->count != board->endpoint_count)
		move(es, board);
	for (uint32_t i = 0; i < es->count; i++)
		es->v[i].listed = board->endpoints[i].usable;
}

int iso_endpoint_stats_index(const struct iso_endpoint_stats *es, const struct iso_sample *sample)
{
	return sample->endpoint < es->count && sample->endpoints_epoch == es->epoch ? sample->endpoint : -1;
}

static bool in_use(const struct iso_endpoint_stat *e)
{
	return e->listed && !e->outlier.ejected;
}

bool iso_endpoint_stats_other(const struct iso_endpoint_stats *es, uint32_t i)
{
	for (uint32_t k = 0; k < es->count; k++)
		if (k != i && in_use(&es->v[k]))
			return true;
	return false;
}

bool iso_endpoint_stats_favoured(const struct iso_endpoint_stats *es, int i)
{
	return i < 0 || (!es->v[i].outlier.ejected && !es->v[i].slower);
}

void iso_endpoint_stats_good(struct iso_endpoint_stats *es, int i, const struct iso_sample *sample)
{
	es->run = 0;
	if (i < 0)
		return;
	iso_estimate_good(&es->v[i].estimate, sample->ttfb_us, sample->end_us);
	iso_outlier_good(&es->v[i].outlier, sample->end_us);
	es->v[i].wish = NULL;
}

void iso_endpoint_stats_error(struct iso_endpoint_stats *es, int i, uint64_t age_us, bool answered,
			      uint64_t now_us)
{
	if (answered)
		es->run = 0;
	if (i < 0)
		return;
	iso_estimate_error(&es->v[i].estimate, age_us, now_us);
	if (answered) {
		iso_outlier_good(&es->v[i].outlier, now_us);
		es->v[i].wish = NULL;
	}
}

/* It has failed: what is its own of it. */
static void fail(struct iso_endpoint_stat *e, enum iso_failure kind, uint64_t start_us, uint64_t end_us)
{
	const char *words;

	/* What set out before it was out, or while it was, says nothing new about it. */
	if (e->outlier.ejected || start_us < e->outlier.back_us)
		return;
	words = iso_outlier_failure(&e->outlier, kind, end_us);
	if (words != NULL)
		e->wish = words;
}

bool iso_endpoint_stats_failed(struct iso_endpoint_stats *es, int i, const struct iso_sample *sample,
			       enum iso_failure kind)
{
	struct iso_endpoint_stat *e;

	if (i < 0) {
		es->run = UINT16_MAX; /* it may have been any */
		return false;
	}
	e = &es->v[i];
	iso_estimate_failure(&e->estimate, age_of(sample), sample->retry_after_us, sample->end_us);
	if (e->outlier.ejected)
		return iso_endpoint_stats_other(es, (uint32_t)i);
	if (iso_blamed_news(&es->blamed, sample->conn))
		fail(e, kind, sample->start_us, sample->end_us);
	es->run = (uint16_t)(es->run | 1u << i);
	return es->run == 1u << i && iso_endpoint_stats_other(es, (uint32_t)i);
}

static void note_rtt(struct iso_endpoint_stat *e, uint32_t us, uint64_t now_us)
{
	if (us != 0)
		(void)iso_ewma_update(&e->rtt, us, now_us);
}

void iso_endpoint_stats_link(struct iso_endpoint_stats *es, const struct iso_sample *sample)
{
	int i = iso_endpoint_stats_index(es, sample);

	if (i < 0)
		return;
	switch ((enum iso_sample_kind)sample->kind) {
	case ISO_SAMPLE_LINK_UP: /* a handshake of TCP is one round trip */
		note_rtt(&es->v[i], sample->connect_us, sample->end_us);
		return;
	case ISO_SAMPLE_RTT:
		note_rtt(&es->v[i], sample->us, sample->end_us);
		return;
	case ISO_SAMPLE_LINK_DOWN:
		if (!iso_blamed_news(&es->blamed, sample->conn))
			return;
		es->run = (uint16_t)(es->run | 1u << i);
		fail(&es->v[i], sample->outcome == ISO_OUTCOME_TLS ? ISO_FAILURE_TLS : ISO_FAILURE_CONNECT,
		     sample->start_us, sample->end_us);
		return;
	default:
		return;
	}
}

bool iso_endpoint_stats_probe(struct iso_endpoint_stats *es, int i, const struct iso_sample *sample,
			      bool passed, uint32_t unhealthy_threshold)
{
	struct iso_endpoint_stat *e;

	if (i < 0)
		return false;
	e = &es->v[i];
	if (!e->outlier.ejected || sample->start_us > e->outlier.since_us)
		iso_outlier_probe(&e->outlier, passed, passed, sample->end_us);
	if (passed) {
		e->probe_fails = 0;
		iso_estimate_probe(&e->estimate, sample->ttfb_us, sample->end_us);
		return false;
	}
	iso_estimate_probe_failed(&e->estimate);
	if (++e->probe_fails >= unhealthy_threshold && !e->outlier.ejected)
		e->wish = "its probes fail";
	for (uint32_t k = 0; k < es->count; k++)
		if (k != (uint32_t)i && in_use(&es->v[k]) && es->v[k].probe_fails == 0)
			return true;
	return false;
}

int iso_endpoint_stats_sound(const struct iso_endpoint_stats *es)
{
	bool failing = false;
	int sound = -1;

	for (uint32_t i = 0; i < es->count; i++) {
		if (!in_use(&es->v[i]))
			continue;
		failing |= es->v[i].probe_fails > 0;
		if (es->v[i].probe_fails == 0 && (sound < 0 || es->v[sound].slower))
			sound = (int)i;
	}
	return failing ? sound : -1;
}

static void charge(const struct iso_charge *charge, const struct iso_bearers *to)
{
	struct iso_track_stats *own = iso_track_of(to->tracks, charge->track);

	iso_estimate_failure(to->region, charge->age_us, charge->retry_after_us, charge->end_us);
	if (own != NULL)
		iso_estimate_failure(&own->estimate, charge->age_us, charge->retry_after_us, charge->end_us);
}

static void pay(struct iso_endpoint_stat *e, const struct iso_bearers *to)
{
	for (uint32_t i = 0; i < e->charge_count; i++)
		charge(&e->charges[i], to);
	e->charge_count = 0;
}

void iso_endpoint_stats_charge(struct iso_endpoint_stats *es, int i, bool lone,
			       const struct iso_sample *sample, const struct iso_bearers *to)
{
	struct iso_charge one = { .age_us = age_of(sample),
				  .retry_after_us = sample->retry_after_us,
				  .end_us = sample->end_us,
				  .track = sample->track };

	if (lone && es->v[i].charge_count < ISO_CHARGES_HELD) {
		es->v[i].charges[es->v[i].charge_count++] = one;
		return;
	}
	for (uint32_t k = 0; k < es->count; k++)
		pay(&es->v[k], to);
	charge(&one, to);
}

void iso_endpoint_stats_settle(struct iso_endpoint_stats *es, int i, const struct iso_bearers *to)
{
	if (i >= 0 && !es->v[i].outlier.ejected)
		pay(&es->v[i], to);
}

/* DNS may have taken away all but those that are out. */
static void pardon(struct iso_endpoint_stats *es)
{
	for (uint32_t i = 0; i < es->count; i++)
		if (in_use(&es->v[i]))
			return;
	for (uint32_t i = 0; i < es->count; i++)
		if (es->v[i].listed)
			iso_outlier_pardon(&es->v[i].outlier);
}

static void eject(struct iso_endpoint_stats *es, const struct iso_endpoint_judge *judge)
{
	for (uint32_t i = 0; i < es->count; i++) {
		struct iso_endpoint_stat *e = &es->v[i];

		if (e->wish == NULL || !in_use(e) || judge->uplink_down || !iso_endpoint_stats_other(es, i))
			continue;
		iso_outlier_eject(&e->outlier, e->wish, judge->draw, judge->now_us);
		e->wish = NULL;
		e->charge_count = 0; /* nothing of it is the region's any more */
	}
}

/* The quickest that is in use and known; NULL: none. */
static const struct iso_estimate *quickest(const struct iso_endpoint_stats *es)
{
	const struct iso_estimate *best = NULL;

	for (uint32_t i = 0; i < es->count; i++) {
		const struct iso_estimate *e = &es->v[i].estimate;

		if (in_use(&es->v[i]) && iso_estimate_us(e) != 0 &&
		    (best == NULL || iso_estimate_us(e) < iso_estimate_us(best)))
			best = e;
	}
	return best;
}

/*
 * Who is slower than the quickest, by more than noise. A failure or two among many answers does not make one
 * slower: runs of them eject it.
 */
static void compare(struct iso_endpoint_stats *es, const struct iso_estimate *best)
{
	for (uint32_t i = 0; i < es->count; i++) {
		struct iso_endpoint_stat *e = &es->v[i];
		uint64_t usual_us = iso_estimate_usual_us(&e->estimate);

		e->slower = best != NULL &&
			    (usual_us >
				     (uint64_t)iso_estimate_usual_us(best) * NOISE_PERCENT / 100 + NOISE_US ||
			     e->estimate.excess_us > best->excess_us + EXCESS_US);
	}
}

static uint16_t favoured(const struct iso_endpoint_stats *es)
{
	uint16_t mask = 0;

	for (uint32_t i = 0; i < es->count; i++)
		if (iso_endpoint_stats_favoured(es, (int)i))
			mask = (uint16_t)(mask | 1u << i);
	return mask;
}

void iso_endpoint_stats_judge(struct iso_endpoint_stats *es, const struct iso_endpoint_judge *judge,
			      struct iso_estimate *region)
{
	uint16_t before = favoured(es);
	const struct iso_estimate *best;

	for (uint32_t i = 0; i < es->count; i++) {
		struct iso_endpoint_stat *e = &es->v[i];

		iso_estimate_tick(&e->estimate, judge->now_us);
		/* A probe on its own connection is the trial: no request need risk it. */
		if (iso_outlier_tick(&e->outlier, judge->healthy_threshold, false, judge->now_us)) {
			e->wish = NULL;
			e->probe_fails = 0;
		}
	}
	pardon(es);
	eject(es, judge);
	best = quickest(es);
	compare(es, best);
	if (best != NULL && (before & ~favoured(es)) != 0)
		iso_estimate_without(region, iso_estimate_usual_us(best));
}

void iso_endpoint_stats_fill(const struct iso_endpoint_stats *es, struct iso_board_region *board)
{
	for (uint32_t i = 0; i < es->count && i < board->endpoint_count; i++) {
		const struct iso_endpoint_stat *e = &es->v[i];
		struct iso_board_endpoint *to = &board->endpoints[i];

		to->estimate_us = iso_estimate_us(&e->estimate);
		to->rtt_us = iso_ewma_us(&e->rtt);
		to->ejected = e->outlier.ejected;
		to->usable = to->usable && !e->outlier.ejected;
		to->slower = e->slower;
	}
}

uint32_t iso_endpoint_stats_rtt_us(const struct iso_endpoint_stats *es)
{
	uint32_t least_us = 0;

	for (uint32_t i = 0; i < es->count; i++) {
		uint32_t us = in_use(&es->v[i]) && !es->v[i].slower ? iso_ewma_us(&es->v[i].rtt) : 0;

		if (us != 0 && (least_us == 0 || us < least_us))
			least_us = us;
	}
	return least_us;
}

/* Traffic does not measure it, or not well enough. */
static bool wants_probe(const struct iso_endpoint_stats *es, uint32_t i)
{
	return es->v[i].listed && (!iso_endpoint_stats_favoured(es, (int)i) || es->v[i].probe_fails > 0);
}

int iso_endpoint_stats_wanting(struct iso_endpoint_stats *es)
{
	for (uint32_t k = 0; k < es->count; k++) {
		uint32_t i = (es->turn + k) % es->count;

		if (wants_probe(es, i)) {
			es->turn = i + 1;
			return (int)i;
		}
	}
	return -1;
}

bool iso_endpoint_stats_wants(const struct iso_endpoint_stats *es)
{
	for (uint32_t i = 0; i < es->count; i++)
		if (wants_probe(es, i))
			return true;
	return false;
}

bool iso_endpoint_stats_doubted(const struct iso_endpoint_stats *es)
{
	for (uint32_t i = 0; i < es->count; i++)
		if (es->v[i].listed && es->v[i].outlier.ejected)
			return true;
	return false;
}
