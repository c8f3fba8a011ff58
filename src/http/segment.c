/*
 * Building and cutting segment lists. Pure; memory from the caller's arena.
 */
#include "http/segment.h"

static bool append(struct segment_list *l, struct arena *a,
                   struct segment value)
{
    struct segment *s;

    if (value.length == 0)
        return true;
    s = arena_alloc(a, sizeof *s);
    if (!s)
        return false;
    *s = value;
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
    l->length += value.length;
    return true;
}

bool segment_literal(struct segment_list *l, struct arena *a, const void *bytes,
                     size_t len)
{
    return append(l, a, (struct segment){.literal = bytes, .length = len});
}

bool segment_slice(struct segment_list *l, struct arena *a,
                   struct source *source, uint64_t offset, uint64_t length)
{
    return append(
        l, a,
        (struct segment){.source = source, .offset = offset, .length = length});
}

bool segment_cut(struct segment_list *l, struct arena *a,
                 const struct segment_list *from, struct range range)
{
    uint64_t skip = range.first;
    uint64_t left = range.length;

    for (const struct segment *s = from->first; s && left > 0; s = s->next) {
        struct segment piece = *s;

        if (skip >= s->length) {
            skip -= s->length;
            continue;
        }
        piece.next = NULL;
        piece.offset += skip;
        piece.length -= skip;
        if (piece.literal)
            piece.literal = (const char *)s->literal + skip;
        if (piece.length > left)
            piece.length = left;
        if (!append(l, a, piece))
            return false;
        left -= piece.length;
        skip = 0;
    }
    return true;
}

struct source *segment_whole_source(const struct segment_list *l)
{
    const struct segment *s = l->first;

    if (s && s == l->last && s->source && s->offset == 0 &&
        s->length == s->source->size)
        return s->source;
    return NULL;
}
