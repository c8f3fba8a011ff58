/*
 * A per-request arena: everything a request allocates is freed at once, so
 * that no early return can leak. Memory comes in chunks; an arena has a
 * ceiling, and an allocation over it returns NULL as malloc would.
 *
 * An arena belongs to one thread at a time.
 */
#ifndef SLIPWAY_BASE_ARENA_H
#define SLIPWAY_BASE_ARENA_H

#include <stddef.h>

struct arena;

/* ceiling: the most bytes it may ever hold. NULL if there is no memory. */
struct arena *arena_new(size_t ceiling);
void arena_free(struct arena *a);

/* Forget all allocations and keep the first chunk for the next request. */
void arena_reset(struct arena *a);

/* Zeroed memory, aligned for any type; NULL at the ceiling. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
