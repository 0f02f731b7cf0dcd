/*
 * Live failures that take a region out at once, for a growing time. Tests for 2 to 5 regions: runs of
 * failures, not statistics over a crowd of hosts. Pure; whether a region may be taken out at all is the
 * service's question (is it the last one? is it our own uplink?).
 */
#ifndef ISO_POLICY_OUTLIER_H
#define ISO_POLICY_OUTLIER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	ISO_OUTLIER_TRANSPORT_RUN = 3,
	ISO_OUTLIER_GATEWAY_RUN = 5,
	ISO_OUTLIER_SECOND_RUN = 3,
};

enum iso_failure {
	ISO_FAILURE_CONNECT,
	ISO_FAILURE_TLS,
	ISO_FAILURE_RESET,
	ISO_FAILURE_TIMEOUT,
	ISO_FAILURE_GATEWAY, /* an answer that is the region's fault */
};

struct iso_outlier {
	uint32_t transport_run, gateway_run;        /* consecutive */
	uint64_t failed_us[ISO_OUTLIER_SECOND_RUN]; /* the last failures, newest first; 0: none */
	uint64_t good_us;                           /* the last good answer; 0: none */
	uint64_t connect_failed_us; /* the last failure to connect, probes included; 0: none */
	uint64_t answered_us;       /* the last answer of any kind, probes included; 0: none */
	bool ejected;
	uint64_t since_us, until_us; /* of the ejection */
	uint64_t back_us;            /* when the last ejection ended */
	uint32_t times;              /* ejections that followed each other closely */
	uint32_t good_probes;        /* in a row, since the ejection */
	uint64_t noticed_us;         /* when a probe last noticed that something is wrong */
	bool by_connect;             /* the ejection came from failures to connect */
	uint32_t trial;              /* half-open: names the trial request that is to be; 0: closed */
	uint64_t trial_us;           /* since when */
	bool trial_good;
	uint32_t draw;     /* of the ejection, for its jitter */
	const char *words; /* why; static; NULL while not ejected */
};

void iso_outlier_init(struct iso_outlier *outlier);
/* A good answer, live. */
void iso_outlier_good(struct iso_outlier *outlier, uint64_t now_us);
/* A failure that is the region's, live. Returns why it should be ejected (static words), NULL when it need
 * not be. */
const char *iso_outlier_failure(struct iso_outlier *outlier, enum iso_failure kind, uint64_t now_us);
/* Whether its last failure was one to connect. */
static inline bool iso_outlier_is_unreached(const struct iso_outlier *outlier)
{
	return outlier->connect_failed_us != 0 && outlier->connect_failed_us == outlier->failed_us[0];
}
/*
 * Takes it out for 5 s x 2^k, at most 300 s, +-10 % by draw; k counts ejections less than 60 s after the last
 * return. words are borrowed for as long as it is out. No-op on one that is out.
 */
void iso_outlier_eject(struct iso_outlier *outlier, const char *words, uint32_t draw, uint64_t now_us);
/*
 * Half-open at once: its requests have failed and its probes pass; one request is to tell. Not counted as an
 * ejection unless that one fails, too. words as above. No-op on one that is out.
 */
void iso_outlier_doubt(struct iso_outlier *outlier, const char *words, uint32_t draw, uint64_t now_us);
/* A probe ended: passed or failed; normal: it was not slower than usual either. */
void iso_outlier_probe(struct iso_outlier *outlier, bool passed, bool normal, uint64_t now_us);
/* For the uplink test: a probe was answered, whatever the answer; or it could not connect. */
void iso_outlier_reached(struct iso_outlier *outlier, bool connected, uint64_t now_us);
/*
 * Half-open: a live request that set out at start_us has ended, well or not. Another one's end says nothing.
 * A bad end ejects anew; `none`: it was given up, and another one is to be the trial.
 */
enum iso_trial_end { ISO_TRIAL_GOOD, ISO_TRIAL_BAD, ISO_TRIAL_NONE };
void iso_outlier_trial(struct iso_outlier *outlier, enum iso_trial_end end, uint64_t start_us,
		       uint64_t now_us);
/*
 * Ends the ejection when it is time: healthy_threshold good probes end it early, and after its time a single
 * one does. Then one request in the whole process tries the region (half-open): when it ends well the region
 * is back, and so it is when none came within a second; taken: a worker has sent it. Where no probe has
 * noticed the fault (a shallow health check), their word weighs less: twice as many are needed for each time
 * that it has come back too soon. True: it is back.
 */
bool iso_outlier_tick(struct iso_outlier *outlier, uint32_t healthy_threshold, bool taken, uint64_t now_us);
/* Ends it now, without counting it: it was not the region. */
void iso_outlier_pardon(struct iso_outlier *outlier);
/*
 * Whether it was our own uplink: every one of the n >= 2 regions failed to connect within the last second and
 * has not answered since.
 */
bool iso_outlier_uplink_down(const struct iso_outlier *const outliers[], uint32_t n, uint64_t now_us);

#endif
