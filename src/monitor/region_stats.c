/*
 * One region's statistics. Pure; owned by the publisher.
 */
#include "region_stats_priv.h"

#include "iso/policy/suspicion.h"

enum {
	REFUSED_RUN = 3,        /* 429s and nothing else, */
	CLOSED_US = 300 * 1000, /* for so long: it takes nothing at all */
	CLOSED_FOR_LONG_US = 1000 * 1000,
};

void iso_region_stats_init(struct iso_region_stats *rs)
{
	memset(rs, 0, sizeof(*rs));
	iso_estimate_init(&rs->estimate);
	iso_window_init(&rs->window);
	iso_window_init(&rs->connects);
	iso_window_init(&rs->handshakes);
	iso_window_init(&rs->totals);
	iso_endpoint_stats_init(&rs->endpoints);
	iso_outlier_init(&rs->outlier);
	iso_health_init(&rs->health);
	iso_throttle_init(&rs->throttle);
}

/* A normal answer lifts suspicion when it began after it. */
static void normal(struct iso_region_stats *rs, uint64_t start_us)
{
	if (start_us > rs->normal_us)
		rs->normal_us = start_us;
	if (rs->suspect_us != 0 && start_us > rs->suspect_us)
		rs->suspect_us = rs->silent_us = 0;
}

/* The route's own numbers, where it keeps any; NULL. */
static struct iso_track_stats *own(const struct iso_region_stats *rs, const struct iso_sample *sample)
{
	return iso_track_of(rs->tracks, sample->track);
}

static struct iso_bearers bearers(struct iso_region_stats *rs)
{
	return (struct iso_bearers){ &rs->estimate, rs->tracks };
}

/* An error or a try given up, which its time alone speaks of. */
static void error(struct iso_region_stats *rs, const struct iso_sample *sample, uint64_t age_us)
{
	struct iso_track_stats *track = own(rs, sample);

	iso_estimate_error(&rs->estimate, age_us, sample->end_us);
	if (track != NULL)
		iso_estimate_error(&track->estimate, age_us, sample->end_us);
}

static void note_bad(struct iso_region_stats *rs, const struct iso_sample *sample)
{
	struct iso_track_stats *track = own(rs, sample);

	iso_window_bad(&rs->window, sample->end_us);
	if (track != NULL)
		iso_window_bad(&track->window, sample->end_us);
}

static void good(struct iso_region_stats *rs, const struct iso_sample *sample)
{
	struct iso_track_stats *track = own(rs, sample);
	uint32_t usual_us = track != NULL ? track->usual_us : iso_estimate_usual_us(&rs->estimate);
	struct iso_bearers to = bearers(rs);
	int i = iso_endpoint_stats_index(&rs->endpoints, sample);

	if (sample->ttfb_us <= iso_patience_us(usual_us))
		normal(rs, sample->start_us);
	iso_endpoint_stats_good(&rs->endpoints, i, sample);
	iso_endpoint_stats_settle(&rs->endpoints, i, &to);
	/* A new request does not go to an address that is out of favour: its time is none of the region's. */
	if (iso_endpoint_stats_favoured(&rs->endpoints, i)) {
		iso_estimate_good(&rs->estimate, sample->ttfb_us, sample->end_us);
		if (track != NULL)
			iso_track_stats_good(track, sample->ttfb_us, &rs->estimate, sample->end_us);
	}
	iso_window_good(&rs->window, sample->ttfb_us, sample->end_us);
	if (track != NULL)
		iso_window_good(&track->window, sample->ttfb_us, sample->end_us);
	iso_outlier_good(&rs->outlier, sample->end_us);
	rs->live_good_us = sample->end_us;
	rs->wish = NULL;
}

static uint64_t age_of(const struct iso_sample *sample)
{
	return sample->end_us > sample->start_us ? sample->end_us - sample->start_us : 0;
}

static void failed(struct iso_region_stats *rs, const struct iso_sample *sample, enum iso_failure kind)
{
	int i = iso_endpoint_stats_index(&rs->endpoints, sample);
	bool was_out = i >= 0 && rs->endpoints.v[i].outlier.ejected;
	bool lone = iso_endpoint_stats_failed(&rs->endpoints, i, sample, kind);
	struct iso_bearers to = bearers(rs);
	const char *words;

	if (was_out && lone)
		return; /* of an address that is out already */
	/* One dead connection is one failure, however many streams it takes along: their time counts. */
	if (!iso_blamed_news(&rs->blamed, sample->conn)) {
		if (!lone)
			error(rs, sample, age_of(sample));
		return;
	}
	iso_endpoint_stats_charge(&rs->endpoints, i, lone, sample, &to);
	note_bad(rs, sample);
	/* What set out before the region was out, or while it was, says nothing new about it. */
	if (rs->out || sample->start_us < rs->back_us)
		return;
	words = iso_outlier_failure(&rs->outlier, kind, sample->end_us);
	if (words != NULL && !lone)
		rs->wish = words;
}

/*
 * A 429. One client's own quota is not the region's failure. Nor is a limit that is learnt, as long as
 * anything passes it: what exceeds it goes elsewhere, and the rest is answered as fast as ever.
 */
static void throttled(struct iso_region_stats *rs, const struct iso_sample *sample)
{
	struct iso_track_stats *track = own(rs, sample);
	bool closed;

	if (!iso_throttle_refused(&rs->throttle, sample->api_key, sample->end_us))
		return;
	iso_throttle_asked(&rs->throttle, sample->retry_after_us, sample->end_us);
	if (rs->refused_run == 0)
		rs->refused_us = sample->end_us;
	if (rs->refused_run < REFUSED_RUN)
		rs->refused_run++;
	closed = rs->refused_run >= REFUSED_RUN && sample->end_us > rs->passed_us + CLOSED_US;
	if (rs->learns && !closed)
		return;
	iso_estimate_failure(&rs->estimate, age_of(sample), sample->retry_after_us, sample->end_us);
	if (track != NULL)
		iso_estimate_failure(&track->estimate, age_of(sample), sample->retry_after_us,
				     sample->end_us);
	note_bad(rs, sample);
	if (!rs->out && sample->start_us >= rs->back_us && closed &&
	    sample->end_us > rs->passed_us + CLOSED_FOR_LONG_US)
		rs->wish = "it answers every request with 429";
}

/*
 * An answer that is an error. What is the client's or the application's fault proves that the region answers,
 * but its speed proves nothing: refusals are fast.
 */
static void answered(struct iso_region_stats *rs, const struct iso_sample *sample)
{
	switch ((enum iso_fault)sample->fault) {
	case ISO_FAULT_REGION:
		failed(rs, sample, ISO_FAILURE_GATEWAY);
		return;
	case ISO_FAULT_THROTTLE:
		throttled(rs, sample);
		return;
	default:
		iso_endpoint_stats_error(&rs->endpoints, iso_endpoint_stats_index(&rs->endpoints, sample),
					 sample->ttfb_us, true, sample->end_us);
		error(rs, sample, sample->ttfb_us);
		iso_outlier_good(&rs->outlier, sample->end_us);
		rs->wish = NULL;
		return;
	}
}

/* A wait in vain for a route that may take as long there, for all that is known: no word on the region. */
static bool is_routes_alone(const struct iso_region_stats *rs, const struct iso_sample *sample)
{
	const struct iso_track_stats *track = own(rs, sample);

	return sample->outcome == ISO_OUTCOME_TIMEOUT && track != NULL &&
	       !iso_ewma_known(&track->estimate.live);
}

/* What it means when the sample is that of a trial. */
static enum iso_trial_end trial_end(const struct iso_region_stats *rs, const struct iso_sample *sample)
{
	if (is_routes_alone(rs, sample))
		return ISO_TRIAL_NONE;
	if (sample->fault == ISO_FAULT_THROTTLE && rs->refused_run >= REFUSED_RUN)
		return ISO_TRIAL_BAD;
	switch ((enum iso_outcome)sample->outcome) {
	case ISO_OUTCOME_OK:
	case ISO_OUTCOME_STATUS:
		return sample->fault == ISO_FAULT_REGION ? ISO_TRIAL_BAD : ISO_TRIAL_GOOD;
	case ISO_OUTCOME_CANCELLED:
		return sample->status != 0 ? ISO_TRIAL_GOOD : ISO_TRIAL_NONE;
	case ISO_OUTCOME_REFUSED_STREAM:
	case ISO_OUTCOME_GOAWAY:
	case ISO_OUTCOME_OVERLOAD:
		return ISO_TRIAL_NONE;
	default:
		return ISO_TRIAL_BAD;
	}
}

/* Given up before its head: it would have taken at least this long. */
static void given_up(struct iso_region_stats *rs, const struct iso_sample *sample)
{
	int i = iso_endpoint_stats_index(&rs->endpoints, sample);

	iso_endpoint_stats_error(&rs->endpoints, i, age_of(sample), false, sample->end_us);
	if (iso_endpoint_stats_favoured(&rs->endpoints, i))
		error(rs, sample, age_of(sample));
}

static void take_try(struct iso_region_stats *rs, const struct iso_sample *sample)
{
	if (sample->outcome < ISO_OUTCOME_COUNT)
		rs->outcomes[sample->outcome]++;
	if (sample->status != 0 && sample->fault != ISO_FAULT_THROTTLE) {
		iso_throttle_passed(&rs->throttle, sample->end_us);
		rs->passed_us = sample->end_us;
		rs->refused_run = 0;
	}
	iso_outlier_trial(&rs->outlier, trial_end(rs, sample), sample->start_us, sample->end_us);
	switch ((enum iso_outcome)sample->outcome) {
	case ISO_OUTCOME_OK:
	case ISO_OUTCOME_STATUS:
		if (sample->outcome == ISO_OUTCOME_OK && sample->fault == ISO_FAULT_NONE &&
		    sample->status != 0)
			good(rs, sample);
		else
			answered(rs, sample);
		return;
	case ISO_OUTCOME_CONNECT:
		failed(rs, sample, ISO_FAILURE_CONNECT);
		return;
	case ISO_OUTCOME_TLS:
		failed(rs, sample, ISO_FAILURE_TLS);
		return;
	case ISO_OUTCOME_RESET:
	case ISO_OUTCOME_PROTOCOL:
		failed(rs, sample, ISO_FAILURE_RESET);
		return;
	case ISO_OUTCOME_TIMEOUT:
		if (!is_routes_alone(rs, sample)) {
			failed(rs, sample, ISO_FAILURE_TIMEOUT);
			return;
		}
		given_up(rs, sample);
		iso_estimate_failure(&own(rs, sample)->estimate, age_of(sample), 0, sample->end_us);
		note_bad(rs, sample);
		return;
	case ISO_OUTCOME_CANCELLED:
		if (sample->status == 0)
			given_up(rs, sample);
		return;
	default: /* REFUSED_STREAM, GOAWAY: a node goes in peace; OVERLOAD: our own limit */
		return;
	}
}

void iso_region_stats_sample(struct iso_region_stats *rs, const struct iso_sample *sample)
{
	switch ((enum iso_sample_kind)sample->kind) {
	case ISO_SAMPLE_TRY:
		take_try(rs, sample);
		return;
	case ISO_SAMPLE_TOTAL:
		iso_window_good(&rs->totals, sample->us, sample->end_us);
		if (own(rs, sample) != NULL)
			iso_window_good(&own(rs, sample)->totals, sample->us, sample->end_us);
		return;
	case ISO_SAMPLE_LINK_UP:
		iso_window_good(&rs->connects, sample->connect_us, sample->end_us);
		if (sample->tls_us != 0)
			iso_window_good(&rs->handshakes, sample->tls_us, sample->end_us);
		iso_endpoint_stats_link(&rs->endpoints, sample);
		return;
	default:
		iso_endpoint_stats_link(&rs->endpoints, sample);
		return;
	}
}

/* Probes may take longer than traffic does (deep checks): they are normal by their own past, too. */
static bool probe_is_normal(const struct iso_region_stats *rs, uint32_t ttfb_us)
{
	uint32_t usual_us = iso_estimate_usual_us(&rs->estimate);

	return ttfb_us <= iso_patience_us(usual_us) ||
	       (rs->estimate.probes_us[0] != 0 && ttfb_us <= iso_patience_us(rs->estimate.probes_us[0]));
}

/* The next track that is kept, from *at on; NULL: there is none. */
static struct iso_track_stats *next_track(const struct iso_region_stats *rs, uint32_t *at)
{
	while (rs->tracks != NULL && *at < ISO_TRACK_SLOTS) {
		struct iso_track_stats *track = rs->tracks[(*at)++];

		if (track != NULL)
			return track;
	}
	return NULL;
}

/* What a good probe says of the routes; heard: it has ended a suspicion. */
static void pass_tracks(struct iso_region_stats *rs, const struct iso_probe_note *note, bool heard)
{
	struct iso_track_stats *track;
	uint32_t at = 0;

	while ((track = next_track(rs, &at)) != NULL) {
		iso_track_stats_probe(track, note->ttfb_us, note->at_us);
		if (heard)
			iso_estimate_heard(&track->estimate, note->at_us);
	}
}

static void fail_tracks(struct iso_region_stats *rs)
{
	struct iso_track_stats *track;
	uint32_t at = 0;

	while ((track = next_track(rs, &at)) != NULL)
		iso_estimate_probe_failed(&track->estimate);
}

void iso_region_stats_probe(struct iso_region_stats *rs, const struct iso_probe_note *note, uint64_t start_us,
			    enum iso_outcome outcome, const struct iso_cfg_health *cfg, bool uplink_down)
{
	rs->probe = *note;
	if (note->status != 0)
		iso_outlier_reached(&rs->outlier, true, note->at_us);
	else if (outcome == ISO_OUTCOME_CONNECT)
		iso_outlier_reached(&rs->outlier, false, note->at_us);
	if (note->passed) {
		bool is_normal = probe_is_normal(rs, note->ttfb_us), was_suspect = rs->suspect_us != 0;

		rs->probes_passed++;
		if (is_normal)
			normal(rs, start_us);
		iso_estimate_probe(&rs->estimate, note->ttfb_us, note->at_us);
		if (was_suspect && rs->suspect_us == 0)
			iso_estimate_heard(&rs->estimate, note->at_us);
		pass_tracks(rs, note, was_suspect && rs->suspect_us == 0);
		iso_health_pass(&rs->health, cfg->healthy_threshold);
		if (!rs->outlier.ejected || start_us > rs->outlier.since_us)
			iso_outlier_probe(&rs->outlier, true, is_normal, note->at_us);
		return;
	}
	/* It was too slow, and answered requests well in the meantime: then it is the probe that hangs. */
	if (outcome == ISO_OUTCOME_TIMEOUT && rs->live_good_us > start_us && rs->wish == NULL) {
		rs->probes_ignored++;
		return;
	}
	rs->probes_failed++;
	if (uplink_down && outcome == ISO_OUTCOME_CONNECT)
		return;
	iso_estimate_probe_failed(&rs->estimate);
	fail_tracks(rs);
	iso_health_fail(&rs->health, cfg->unhealthy_threshold);
	iso_outlier_probe(&rs->outlier, false, false, note->at_us);
	/* Silence in all workers and a probe that fails: that is confirmed. */
	if (rs->suspect_us != 0 && !rs->out)
		rs->wish = "silent, and its probe failed";
}

/* Where the limit is learnt, 429s are no failures; but then something passes. */
static void notice_closed(struct iso_region_stats *rs, uint64_t now_us)
{
	struct iso_track_stats *track;
	uint32_t at = 0;

	if (!rs->learns || rs->refused_run == 0 || rs->estimate.bad_run != 0 ||
	    now_us <= rs->refused_us + CLOSED_US || now_us <= rs->passed_us + CLOSED_US)
		return;
	iso_estimate_failure(&rs->estimate, 0, 0, rs->refused_us);
	while ((track = next_track(rs, &at)) != NULL)
		iso_estimate_failure(&track->estimate, 0, 0, rs->refused_us);
}

/* For how long this worker's requests have waited there in vain; 0: they have not. */
static uint64_t silence_of(const struct iso_cell_view *c, uint64_t patience_us, uint64_t now_us)
{
	uint64_t us = c->oldest_us != 0 ? iso_silence_us(now_us, c->oldest_us, c->progress_us, c->waiting)
					: 0;
	uint64_t own_us = c->overdue_us != 0 && now_us > c->overdue_us ? now_us - c->overdue_us : 0;

	if (us <= patience_us)
		us = 0;
	return own_us > us ? own_us : us;
}

void iso_region_stats_cells(struct iso_region_stats *rs, const struct iso_cell_view *cells, uint32_t n,
			    uint64_t now_us)
{
	uint32_t usual_us = iso_estimate_usual_us(&rs->estimate);
	uint64_t patience_us = iso_patience_us(usual_us);
	uint64_t silent_us = 0;
	bool progress = false;

	notice_closed(rs, now_us);
	for (uint32_t i = 0; i < n; i++) {
		const struct iso_cell_view *c = &cells[i];
		uint64_t us = silence_of(c, patience_us, now_us);

		if (us > silent_us)
			silent_us = us;
		else if (us == 0 && c->waiting != 0 && c->progress_us + patience_us > now_us)
			progress = true;
	}
	if (silent_us != 0 && !progress) {
		if (rs->suspect_us == 0)
			rs->suspect_us = now_us;
		rs->silent_us = silent_us;
	}
}

bool iso_region_stats_doubted(const struct iso_region_stats *rs)
{
	return rs->suspect_us != 0 || rs->outlier.ejected || rs->wish != NULL ||
	       iso_estimate_in_question(&rs->estimate) || iso_endpoint_stats_doubted(&rs->endpoints);
}
