/*
 * Conditional requests (RFC 9110 section 13) for a representation with a
 * strong entity tag and a modification time.
 *
 * Pure. The order of evaluation is that of section 13.2.2.
 */
#ifndef SLIPWAY_HTTP_CONDITION_H
#define SLIPWAY_HTTP_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

struct conditions {
    const char *if_match; /* header values, NULL where absent */
    const char *if_none_match;
    const char *if_modified_since;
    const char *if_unmodified_since;
};

enum condition_result {
    CONDITION_GO,           /* perform the request */
    CONDITION_NOT_MODIFIED, /* 304 */
    CONDITION_FAILED        /* 412 */
};

/* etag: with its quotes, strong. modified: seconds since the epoch.
 * safe: the method is GET or HEAD. */
enum condition_result condition_check(const struct conditions *c,
                                      const char *etag, int64_t modified,
                                      bool safe);

/* Whether Range is to be honoured as far as If-Range goes (section 13.1.5):
 * true without If-Range; else only on a strong match, or a date that is
 * exactly modified and at least a second older than now. */
bool condition_if_range(const char *if_range, const char *etag,
                        int64_t modified, int64_t now);

#endif
