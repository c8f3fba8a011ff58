/*
 * The arena: see arena.h. The first chunk lives in the same block as the
 * arena itself and is small, because a waiting client holds one all the time;
 * later chunks double up to CHUNK_MAX. A request too large for a shared chunk
 * gets one of its own and leaves the current one in use.
 *
 * Invariants: held counts every byte got from malloc and passes ceiling only
 * if the ceiling does not even cover the arena's own header; used <= cap in
 * every chunk. One thread at a time.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 2048, CHUNK_MAX = 16384 };

struct chunk {
    struct chunk *next;                        /* older one, NULL at the end */
    size_t used;                               /* bytes given out */
    size_t cap;                                /* bytes in data */
    alignas(max_align_t) unsigned char data[]; /* the memory given out */
};

struct arena {
    alignas(max_align_t) struct chunk *current; /* newest shared chunk */
    size_t ceiling;                             /* most bytes to hold */
    size_t held;                                /* bytes got from malloc */
    size_t grow; /* block size of the next shared chunk */
};

/* The first chunk follows the arena in its block. */
static struct chunk *first_chunk(struct arena *a)
{
    return (struct chunk *)(void *)(a + 1);
}

struct arena *arena_new(size_t ceiling)
{
    const size_t headers = sizeof(struct arena) + sizeof(struct chunk);
    size_t block = ceiling < FIRST_BLOCK ? ceiling : FIRST_BLOCK;

    if (block < headers)
        block = headers;

    struct arena *a = malloc(block);
    if (!a)
        return NULL;
    a->ceiling = ceiling;
    a->held = block;
    a->grow = 2 * FIRST_BLOCK;
    a->current = first_chunk(a);
    a->current->next = NULL;
    a->current->used = 0;
    a->current->cap = block - headers;
    return a;
}

void arena_reset(struct arena *a)
{
    struct chunk *first = first_chunk(a);

    for (struct chunk *c = a->current, *next; c; c = next) {
        next = c->next;
        if (c != first)
            free(c);
    }
    first->next = NULL;
    first->used = 0;
    a->current = first;
    a->held = sizeof *a + sizeof *first + first->cap;
    a->grow = 2 * FIRST_BLOCK;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    free(a);
}

/* A new chunk with room for size bytes, not linked in yet. Its block has
 * preferred bytes if the ceiling allows and size needs no more. */
static struct chunk *chunk_new(struct arena *a, size_t size, size_t preferred)
{
    size_t left = a->held < a->ceiling ? a->ceiling - a->held : 0;

    if (left < sizeof(struct chunk) || size > left - sizeof(struct chunk))
        return NULL;

    size_t block = sizeof(struct chunk) + size;
    if (block < preferred)
        block = preferred < left ? preferred : left;

    struct chunk *c = malloc(block);
    if (!c)
        return NULL;
    a->held += block;
    c->next = NULL;
    c->used = 0;
    c->cap = block - sizeof *c;
    return c;
}

/* The chunk to take size bytes from: the current one, a new shared one, or
 * one that the request has for itself. */
static struct chunk *chunk_for(struct arena *a, size_t size)
{
    struct chunk *c = a->current;

    if (size <= c->cap - c->used)
        return c;
    if (size > a->grow / 2) {
        struct chunk *own = chunk_new(a, size, 0);
        if (own) {
            own->next = c->next;
            c->next = own;
        }
        return own;
    }
    struct chunk *shared = chunk_new(a, size, a->grow);
    if (shared) {
        shared->next = c;
        a->current = shared;
        if (a->grow < CHUNK_MAX)
            a->grow *= 2;
    }
    return shared;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t unit = alignof(max_align_t);

    if (size == 0)
        size = 1;
    if (size > SIZE_MAX - unit)
        return NULL;
    size = (size + unit - 1) / unit * unit;

    struct chunk *c = chunk_for(a, size);
    if (!c)
        return NULL;
    void *p = c->data + c->used;
    c->used += size;
    return memset(p, 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    len = strnlen(s, len);

    char *copy = arena_alloc(a, len + 1);
    if (copy)
        memcpy(copy, s, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        return NULL;

    char *text = arena_alloc(a, (size_t)len + 1);
    if (!text)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}
