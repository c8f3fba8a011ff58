/*
 * The segment list: every body that slipway sends is a list of segments,
 * literal bytes or slices of a source. Length, ranges and HEAD are exact for
 * all of them, with constant memory.
 *
 * A source is something with random access and a fixed size that store/
 * provides; nothing here knows that it is a file. Segments and sources live
 * in the request's arena; an opened source must be closed.
 */
#ifndef SLIPWAY_HTTP_SEGMENT_H
#define SLIPWAY_HTTP_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "http/range.h"

struct source {
    /* Make it readable; ERR_NOT_FOUND if it is gone. */
    enum error_code (*open)(struct source *s, struct error *e);
    /* Up to len bytes at offset; 0 only at the end; -1 and e on failure. */
    long (*read)(struct source *s, void *buf, size_t len, uint64_t offset,
                 struct error *e);
    void (*close)(struct source *s);
    uint64_t size;          /* bytes, fixed */
    const char *local_path; /* where a front server on the same machine finds
                               it, or NULL */
    const char *mount_path; /* the same below the upload directory, or NULL */
};

struct segment {
    const void *literal;   /* bytes, or NULL for a slice of source */
    struct source *source; /* where the slice is from */
    uint64_t offset;       /* first byte of the slice */
    uint64_t length;       /* bytes */
    struct segment *next;
};

struct segment_list {
    struct segment *first; /* NULL if empty */
    struct segment *last;
    uint64_t length; /* bytes of all segments */
};

/* Append; false if there is no memory. Literals are not copied. */
bool segment_literal(struct segment_list *l, struct arena *a, const void *bytes,
                     size_t len);
bool segment_slice(struct segment_list *l, struct arena *a,
                   struct source *source, uint64_t offset, uint64_t length);

/* Append the bytes [range) of from to l, sharing literals and sources. */
bool segment_cut(struct segment_list *l, struct arena *a,
                 const struct segment_list *from, struct range range);

/* The source if the list is exactly one whole source, else NULL: that is what
 * a front server can send instead. */
struct source *segment_whole_source(const struct segment_list *l);

#endif
