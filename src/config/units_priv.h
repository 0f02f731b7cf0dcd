/*
 * Durations and sizes as the configuration writes them: digits, perhaps a fraction, and a unit.
 */
#ifndef ISO_CONFIG_UNITS_PRIV_H
#define ISO_CONFIG_UNITS_PRIV_H

#include "iso/base/err.h"
#include "iso/base/slice.h"

/* "250ms", "1.5s", "5m": microseconds; a part of one is dropped. ISO_OK or ISO_EBAD (also when it is too
 * large). */
ISO_MUST_USE int iso_unit_duration(struct iso_slice text, uint64_t *ret_us);
/* "512B", "64KiB", "1.5MiB": bytes. ISO_OK or ISO_EBAD. */
ISO_MUST_USE int iso_unit_size(struct iso_slice text, uint64_t *ret_bytes);

#endif
