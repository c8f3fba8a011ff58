/*
 * What the JSON of a case spells: byte strings, ${captured} values and paths
 * to members, as README.md describes them. Results live in the arena given;
 * one thread at a time.
 */
#ifndef SLIPWAY_TESTS_HTTP_SPELL_H
#define SLIPWAY_TESTS_HTTP_SPELL_H

#include <jansson.h>

#include "base/arena.h"

struct bytes {
    const char *data; /* followed by a NUL; NULL if it was malformed */
    size_t len;       /* bytes, without that NUL */
};

/* The bytes of a string (one for each character up to U+00FF), of {"repeat",
 * "times"}, of {"b64"}, or of an array of these. A NULL value spells "". */
struct bytes spell(struct arena *a, const json_t *value);

/* text with each ${name} replaced by that member of the object captured. A
 * name that was not captured makes it malformed. */
struct bytes spell_fill(struct arena *a, struct bytes text,
                        const json_t *captured);

/* Both, one after the other. */
struct bytes spell_filled(struct arena *a, const json_t *value,
                          const json_t *captured);

/* The member of value at a path such as files.0.name; NULL if absent. It
 * stays the property of value. */
json_t *spell_member(const json_t *value, const char *path);

#endif
