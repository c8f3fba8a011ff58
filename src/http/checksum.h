/*
 * Checksums that a client may send along with the bytes of one request, as tus
 * (Upload-Checksum) and RFC 9530 (Content-Digest) have them. Computed by
 * nettle; CRC-32C by a table of our own, since no library here has it. Not
 * thread-safe per object; no allocation.
 */
#ifndef SLIPWAY_HTTP_CHECKSUM_H
#define SLIPWAY_HTTP_CHECKSUM_H

#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum checksum_algorithm {
    CHECKSUM_SHA1,
    CHECKSUM_MD5,
    CHECKSUM_SHA256,
    CHECKSUM_SHA512,
    CHECKSUM_CRC32C
};

enum { CHECKSUM_MAX = 64 }; /* bytes of the longest */

/* What Tus-Checksum-Algorithm lists. */
#define CHECKSUM_TUS_NAMES "sha1,md5,sha256,sha512,crc32c"

struct checksum {
    enum checksum_algorithm algorithm; /* which of state is in use */
    union {
        struct sha1_ctx sha1;
        struct md5_ctx md5;
        struct sha256_ctx sha256;
        struct sha512_ctx sha512;
        uint32_t crc32c;
    } state; /* of the computation so far */
};

/* The algorithm that tus calls so (lower case), or false. */
bool checksum_by_tus_name(const char *name, enum checksum_algorithm *out);

/* Bytes of a checksum. CRC-32C: 4, most significant first. */
size_t checksum_size(enum checksum_algorithm a);

void checksum_init(struct checksum *c, enum checksum_algorithm a);
void checksum_update(struct checksum *c, const void *data, size_t len);

/* Ends the computation and compares. */
bool checksum_matches(struct checksum *c, const void *expected, size_t len);

#endif
