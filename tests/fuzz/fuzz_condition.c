/*
 * Fuzzing of dates and conditions. The input is a header value; a date that
 * is understood must survive being written and read again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/condition.h"
#include "http/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TAG      "\"abc\""
#define MODIFIED INT64_C(784111777)
#define NOW      INT64_C(1785000000)

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_date(const char *text)
{
    char out[DATE_MAX];
    int64_t seconds, again;

    if (!date_parse(text, NOW, &seconds))
        return;
    date_http(out, seconds);
    check(strlen(out) == 29);
    if (seconds <= INT64_C(253402300799)) /* a leap second at the very end */
        check(date_parse(out, NOW, &again) && again == seconds);
    date_rfc3339(out, seconds);
    check(strlen(out) == 20);
}

static void check_conditions(const char *text)
{
    struct conditions match = {.if_match = text};
    struct conditions none_match = {.if_none_match = text};
    struct conditions since = {.if_modified_since = text};
    struct conditions unmodified = {.if_unmodified_since = text};
    bool named = condition_check(&match, TAG, MODIFIED, true) == CONDITION_GO;

    /* what matches strongly matches weakly */
    if (named)
        check(condition_check(&none_match, TAG, MODIFIED, false) ==
              CONDITION_FAILED);
    check(condition_check(&none_match, TAG, MODIFIED, true) !=
          CONDITION_FAILED);
    check(condition_check(&since, TAG, MODIFIED, false) == CONDITION_GO);
    check(condition_check(&unmodified, TAG, MODIFIED, true) !=
          CONDITION_NOT_MODIFIED);
    if (condition_if_range(text, TAG, MODIFIED, NOW))
        check(strcmp(text, TAG) == 0 ||
              condition_check(&since, TAG, MODIFIED, true) ==
                  CONDITION_NOT_MODIFIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    check(text);
    memcpy(text, data, size);
    text[size] = '\0';
    check_date(text);
    check_conditions(text);
    free(text);
    return 0;
}
