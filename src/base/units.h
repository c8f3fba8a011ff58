/*
 * Sizes and durations as people write them: 512M, 16G, 90s, 7d. A number with
 * at most one unit letter, no sign, no blank, no fraction. Pure.
 */
#ifndef SLIPWAY_BASE_UNITS_H
#define SLIPWAY_BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

enum { UNITS_TEXT_MAX = 24 };

/* Bytes; the units K M G T P E in either case are powers of 1024. */
bool units_parse_size(const char *s, uint64_t *bytes);

/* Seconds; the units are s m h d, none means seconds. */
bool units_parse_duration(const char *s, uint64_t *seconds);

/* The shortest exact form that the functions above read back. */
void units_format_size(char out[UNITS_TEXT_MAX], uint64_t bytes);
void units_format_duration(char out[UNITS_TEXT_MAX], uint64_t seconds);

#endif
