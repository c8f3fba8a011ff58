/*
 * Sizes and durations: see units.h. Two tables, each from the smallest unit to
 * the largest. Pure; safe from any thread.
 */
#include "base/units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct unit {
    char letter;    /* as printed; NUL: printed without a letter */
    uint64_t worth; /* in bytes or seconds */
};

static const struct unit sizes[] = {
    {'\0', 1},
    {'K', UINT64_C(1) << 10},
    {'M', UINT64_C(1) << 20},
    {'G', UINT64_C(1) << 30},
    {'T', UINT64_C(1) << 40},
    {'P', UINT64_C(1) << 50},
    {'E', UINT64_C(1) << 60},
};

static const struct unit durations[] = {
    {'s', 1},
    {'m', 60},
    {'h', 3600},
    {'d', 86400},
};

enum {
    SIZES = sizeof sizes / sizeof *sizes,
    DURATIONS = sizeof durations / sizeof *durations
};

static bool parse(const char *s, const struct unit *units, size_t count,
                  uint64_t *out)
{
    size_t digits = strspn(s, "0123456789");
    uint64_t worth = 1;
    uint64_t n;

    if (!text_parse_u64(s, digits, &n))
        return false;
    if (s[digits] != '\0') {
        size_t i = 0;
        while (i < count && units[i].letter != s[digits])
            i++;
        if (i == count || s[digits + 1] != '\0')
            return false;
        worth = units[i].worth;
    }
    if (n > UINT64_MAX / worth)
        return false;
    *out = n * worth;
    return true;
}

bool units_parse_size(const char *s, uint64_t *bytes)
{
    char upper[UNITS_TEXT_MAX];
    size_t len = strlen(s);

    if (len == 0 || len >= sizeof upper)
        return false;
    memcpy(upper, s, len + 1);
    if (upper[len - 1] >= 'a' && upper[len - 1] <= 'z')
        upper[len - 1] = (char)(upper[len - 1] - 'a' + 'A');
    return parse(upper, sizes, SIZES, bytes);
}

bool units_parse_duration(const char *s, uint64_t *seconds)
{
    return parse(s, durations, DURATIONS, seconds);
}

static void format(char out[UNITS_TEXT_MAX], const struct unit *units,
                   size_t count, uint64_t n)
{
    size_t i = n > 0 ? count - 1 : 0;

    while (n % units[i].worth != 0)
        i--;
    (void)snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 "%.1s", n / units[i].worth,
                   &units[i].letter);
}

void units_format_size(char out[UNITS_TEXT_MAX], uint64_t bytes)
{
    format(out, sizes, SIZES, bytes);
}

void units_format_duration(char out[UNITS_TEXT_MAX], uint64_t seconds)
{
    format(out, durations, DURATIONS, seconds);
}
