/*
 * The stored midstate is, in network byte order: a version (4 bytes), the
 * bytes in the open block (4), the number of complete blocks (8), the eight
 * state words (32), the open block (64).
 */
#include "store/digest.h"

#include <stdint.h>
#include <string.h>

enum { STATE_VERSION = 1 };

static unsigned char *put(unsigned char *p, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *p++ = (unsigned char)(value >> (8 * i));
    return p;
}

static uint64_t get(const unsigned char **p, int bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *(*p)++;
    return value;
}

void digest_init(struct digest *d)
{
    sha256_init(&d->ctx);
}

void digest_update(struct digest *d, const void *data, size_t len)
{
    sha256_update(&d->ctx, len, data);
}

void digest_final(struct digest *d, unsigned char out[DIGEST_SIZE])
{
    sha256_digest(&d->ctx, DIGEST_SIZE, out);
}

void digest_save(const struct digest *d, unsigned char out[DIGEST_STATE_SIZE])
{
    unsigned char *p = put(out, STATE_VERSION, 4);

    p = put(p, d->ctx.index, 4);
    p = put(p, d->ctx.count, 8);
    for (int i = 0; i < 8; i++)
        p = put(p, d->ctx.state[i], 4);
    memset(p, 0, sizeof d->ctx.block);
    memcpy(p, d->ctx.block, d->ctx.index);
}

bool digest_restore(struct digest *d, const void *state, size_t len)
{
    const unsigned char *p = state;
    uint64_t index;

    if (len != DIGEST_STATE_SIZE || get(&p, 4) != STATE_VERSION)
        return false;
    index = get(&p, 4);
    if (index >= sizeof d->ctx.block)
        return false;
    sha256_init(&d->ctx);
    d->ctx.index = (unsigned)index;
    d->ctx.count = get(&p, 8);
    for (int i = 0; i < 8; i++)
        d->ctx.state[i] = (uint32_t)get(&p, 4);
    memcpy(d->ctx.block, p, sizeof d->ctx.block);
    return true;
}
