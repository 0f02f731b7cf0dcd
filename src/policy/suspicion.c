/*
 * Suspicion by silence. Pure.
 */
#include "iso/policy/suspicion.h"

enum {
	PATIENCE_MIN_US = 80 * 1000,
	PATIENCE_FACTOR = 4,
	PATIENCE_UNKNOWN_US = 1000 * 1000,
	FAILED_US = 1000 * 1000,
};

uint64_t iso_patience_us(uint32_t usual_us)
{
	uint64_t patience_us = (uint64_t)usual_us * PATIENCE_FACTOR;

	if (usual_us == 0)
		return PATIENCE_UNKNOWN_US;
	return patience_us > PATIENCE_MIN_US ? patience_us : PATIENCE_MIN_US;
}

uint64_t iso_silence_us(uint64_t now_us, uint64_t oldest_us, uint64_t progress_us, uint32_t waiting)
{
	uint64_t since_us = oldest_us > progress_us ? oldest_us : progress_us;

	/* The cells of other threads are read without a lock: a time ahead of ours is no silence. */
	return waiting != 0 && now_us > since_us ? now_us - since_us : 0;
}

bool iso_wary(uint64_t now_us, uint64_t failed_us, uint64_t silence_us, uint32_t usual_us)
{
	if (failed_us != 0 && now_us < failed_us + FAILED_US)
		return true;
	return silence_us > iso_patience_us(usual_us) / 2;
}
