/*
 * The clocks. Thread-safe.
 */
#ifndef SLIPWAY_BASE_CLOCK_H
#define SLIPWAY_BASE_CLOCK_H

#include <stdint.h>

/* Since the epoch, in milliseconds and microseconds: for rows and header
 * fields. May be set back. */
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);

/* Milliseconds for waiting: only goes forward, exact to a few milliseconds,
 * cheap. */
int64_t clock_monotonic_ms(void);

#endif
