/*
 * The two clocks. Only loops and commands read them; decisions get the time as an argument.
 */
#ifndef ISO_BASE_CLOCK_H
#define ISO_BASE_CLOCK_H

#include <stdint.h>

uint64_t iso_clock_mono_us(void); /* CLOCK_MONOTONIC, microseconds */
uint64_t iso_clock_wall_us(void); /* CLOCK_REALTIME, microseconds since 1970 */

#endif
