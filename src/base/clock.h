/*
 * The two clocks, in milliseconds. Thread-safe.
 */
#ifndef SLIPWAY_BASE_CLOCK_H
#define SLIPWAY_BASE_CLOCK_H

#include <stdint.h>

/* Since the epoch: for rows and header fields. May be set back. */
int64_t clock_wall_ms(void);

/* For waiting: only goes forward, exact to a few milliseconds, cheap. */
int64_t clock_monotonic_ms(void);

#endif
