/*
 * SHA-256 of a file while it arrives, with a midstate that can be stored and
 * taken up again by another process. Computed by nettle.
 */
#ifndef SLIPWAY_STORE_DIGEST_H
#define SLIPWAY_STORE_DIGEST_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    DIGEST_SIZE = 32,       /* bytes of the digest */
    DIGEST_STATE_SIZE = 112 /* bytes of a stored midstate */
};

struct digest {
    struct sha256_ctx ctx; /* nettle's state */
};

void digest_init(struct digest *d);
void digest_update(struct digest *d, const void *data, size_t len);
void digest_final(struct digest *d, unsigned char out[DIGEST_SIZE]);

/* Write the midstate in a form that does not depend on the machine; read it
 * back. false if it is not one of ours. */
void digest_save(const struct digest *d, unsigned char out[DIGEST_STATE_SIZE]);
bool digest_restore(struct digest *d, const void *state, size_t len);

#endif
