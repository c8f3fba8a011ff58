/*
 * Fuzzing of Range and Content-Range. The first eight bytes are the length of
 * the file, the rest is the header.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct range ranges[RANGE_MAX];
    uint64_t length, end = 0;
    size_t count, i;
    char *header;

    if (size < sizeof length)
        return 0;
    memcpy(&length, data, sizeof length);
    data += sizeof length;
    size -= sizeof length;
    header = malloc(size + 1);
    check(header);
    memcpy(header, data, size);
    header[size] = '\0';
    if (range_parse(header, length, ranges, &count) == RANGE_OK) {
        check(count >= 1 && count <= RANGE_MAX);
        for (i = 0; i < count; i++) {
            check(ranges[i].length > 0 && ranges[i].first >= end);
            check(ranges[i].first < length &&
                  ranges[i].length <= length - ranges[i].first);
            end = ranges[i].first + ranges[i].length;
        }
    }
    if (range_is_whole(header, length))
        check(length > 0);
    free(header);
    return 0;
}
