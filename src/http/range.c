/*
 * Byte ranges. Positions are 64 bits wide and saturate, so that a position
 * of any number of digits is simply beyond the end.
 *
 * Pure; safe from any thread.
 */
#include "http/range.h"

#include <string.h>

#include "base/text.h"
#include "http/token.h"

/* 1*DIGIT, saturating. false if there is no digit. */
static bool read_position(const char **s, uint64_t *out)
{
    const char *p = *s;
    uint64_t value = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        if (value > (UINT64_MAX - digit) / 10)
            value = UINT64_MAX;
        else
            value = value * 10 + digit;
    }
    if (p == *s)
        return false;
    *s = p;
    *out = value;
    return true;
}

/* One int-range or suffix-range (RFC 9110 section 14.1.1). false if it is
 * malformed; range->length is 0 if no byte of it exists. */
static bool read_range(const char **s, uint64_t length, struct range *range)
{
    uint64_t first, last = UINT64_MAX;

    range->first = range->length = 0;
    if (**s == '-') {
        ++*s;
        if (!read_position(s, &last))
            return false;
        range->length = last < length ? last : length;
        range->first = length - range->length;
        return true;
    }
    if (!read_position(s, &first) || **s != '-')
        return false;
    ++*s;
    if (**s >= '0' && **s <= '9' && (!read_position(s, &last) || last < first))
        return false;
    if (first >= length)
        return true;
    range->first = first;
    range->length = (last < length ? last + 1 : length) - first;
    return true;
}

/* Adds a satisfiable range; false if there is no room or it does not lie
 * behind the one before. */
static bool add(const struct range *range, struct range ranges[RANGE_MAX],
                size_t *count)
{
    const struct range *before = *count > 0 ? &ranges[*count - 1] : NULL;

    if (*count == RANGE_MAX ||
        (before && range->first < before->first + before->length))
        return false;
    ranges[(*count)++] = *range;
    return true;
}

enum range_result range_parse(const char *header, uint64_t length,
                              struct range ranges[RANGE_MAX], size_t *count)
{
    size_t seen = 0;

    *count = 0;
    if (!header || !text_starts_ci(header, "bytes="))
        return RANGE_IGNORE;
    header += strlen("bytes=");
    for (;;) {
        struct range range;

        header = token_skip_blanks(header);
        if (*header != ',' && *header != '\0') {
            if (++seen > RANGE_MAX || !read_range(&header, length, &range) ||
                (range.length > 0 && !add(&range, ranges, count)))
                return RANGE_IGNORE;
            header = token_skip_blanks(header);
        }
        if (*header == '\0')
            break;
        if (*header++ != ',')
            return RANGE_IGNORE;
    }
    if (seen == 0)
        return RANGE_IGNORE;
    return *count > 0 ? RANGE_OK : RANGE_UNSATISFIABLE;
}

bool range_is_whole(const char *content_range, uint64_t length)
{
    const char *s = content_range;
    uint64_t first, last, complete;

    if (!s || length == 0 || !text_starts_ci(s, "bytes "))
        return false;
    s += strlen("bytes ");
    if (!read_position(&s, &first) || *s++ != '-' ||
        !read_position(&s, &last) || *s++ != '/' ||
        !read_position(&s, &complete) || *s != '\0')
        return false;
    return first == 0 && last == length - 1 && complete == length;
}
