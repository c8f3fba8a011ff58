/*
 * The values of options: how each type is read and described. Pure.
 */
#ifndef SLIPWAY_BASE_OPTION_VALUE_H
#define SLIPWAY_BASE_OPTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

enum { OPTION_EXPECTED_MAX = 160 };

/* Read text as a value of o, range included. *number becomes the size, count
 * or duration, the index of a choice or the bit set of words, else 0. */
bool option_parse(const struct config_option *o, const char *text,
                  uint64_t *number);

/* What o takes, as the end of a sentence: "a size such as 512M, from 0 to
 * 1E". */
void option_expected(const struct config_option *o,
                     char out[OPTION_EXPECTED_MAX]);

#endif
