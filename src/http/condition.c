/*
 * Conditional requests. A list of entity tags is read up to the first thing
 * that is not one; a malformed date is as if it were absent (RFC 9110
 * sections 13.1.3 and 13.1.4).
 *
 * Pure; safe from any thread.
 */
#include "http/condition.h"

#include <string.h>

#include "http/date.h"
#include "http/token.h"

/* One entity tag (section 8.8.3). */
struct tag {
    const char *text; /* its opaque part, with the quotes */
    size_t len;       /* bytes of that */
    bool weak;        /* W/ stood before it */
};

static bool read_tag(const char **s, struct tag *tag)
{
    const char *p = *s;

    tag->weak = strncmp(p, "W/", 2) == 0;
    if (tag->weak)
        p += 2;
    tag->text = p;
    if (*p++ != '"')
        return false;
    while ((unsigned char)*p > ' ' && *p != '"' && *p != 0x7f)
        p++;
    if (*p++ != '"')
        return false;
    tag->len = (size_t)(p - tag->text);
    *s = p;
    return true;
}

/* Section 8.8.3.2; etag is strong. */
static bool same_tag(const struct tag *tag, const char *etag, bool weak_counts)
{
    return (weak_counts || !tag->weak) && strlen(etag) == tag->len &&
           memcmp(tag->text, etag, tag->len) == 0;
}

/* Whether a list of tags, or its star, names etag. */
static bool names(const char *list, const char *etag, bool weak_counts)
{
    struct tag tag;

    list = token_skip_blanks(list);
    if (*list == '*')
        return *token_skip_blanks(list + 1) == '\0';
    for (;;) {
        list = token_skip_blanks(list);
        if (*list == ',') {
            list++;
            continue;
        }
        if (!read_tag(&list, &tag))
            return false;
        list = token_skip_blanks(list);
        if (*list != ',' && *list != '\0')
            return false;
        if (same_tag(&tag, etag, weak_counts))
            return true;
    }
}

enum condition_result condition_check(const struct conditions *c,
                                      const char *etag, int64_t modified,
                                      bool safe)
{
    int64_t date;

    /* Two-digit years are taken to be near the time of modification. */
    if (c->if_match) {
        if (!names(c->if_match, etag, false))
            return CONDITION_FAILED;
    } else if (c->if_unmodified_since &&
               date_parse(c->if_unmodified_since, modified, &date) &&
               modified > date) {
        return CONDITION_FAILED;
    }
    if (c->if_none_match) {
        if (names(c->if_none_match, etag, true))
            return safe ? CONDITION_NOT_MODIFIED : CONDITION_FAILED;
    } else if (safe && c->if_modified_since &&
               date_parse(c->if_modified_since, modified, &date) &&
               modified <= date) {
        return CONDITION_NOT_MODIFIED;
    }
    return CONDITION_GO;
}

bool condition_if_range(const char *if_range, const char *etag,
                        int64_t modified, int64_t now)
{
    struct tag tag;
    int64_t date;

    if (!if_range)
        return true;
    if (*if_range == '"' || *if_range == 'W')
        if (read_tag(&if_range, &tag))
            return *if_range == '\0' && same_tag(&tag, etag, false);
    return date_parse(if_range, now, &date) && date == modified &&
           modified < now;
}
