/*
 * Checksums. CRC-32C is the reflected polynomial 0x82f63b78 with all bits
 * inverted before and after, as in RFC 3720 section 12.1.
 *
 * One thread at a time per object.
 */
#include "http/checksum.h"

#include <string.h>

/* The remainder of a byte is the sum of those of its bits. */
#define BIT(i, n, remainder) (((i) >> (n)) % 2 != 0 ? (remainder) : UINT32_C(0))
#define CRC(i)                                                               \
    (BIT(i, 0, 0xf26b8303) ^ BIT(i, 1, 0xe13b70f7) ^ BIT(i, 2, 0xc79a971f) ^ \
     BIT(i, 3, 0x8ad958cf) ^ BIT(i, 4, 0x105ec76f) ^ BIT(i, 5, 0x20bd8ede) ^ \
     BIT(i, 6, 0x417b1dbc) ^ BIT(i, 7, 0x82f63b78))
#define CRC_4(i)  CRC(i), CRC((i) + 1), CRC((i) + 2), CRC((i) + 3)
#define CRC_16(i) CRC_4(i), CRC_4((i) + 4), CRC_4((i) + 8), CRC_4((i) + 12)
#define CRC_64(i) \
    CRC_16(i), CRC_16((i) + 16), CRC_16((i) + 32), CRC_16((i) + 48)

static const uint32_t crc_table[256] = {CRC_64(0), CRC_64(64), CRC_64(128),
                                        CRC_64(192)};

static const struct {
    const char *tus_name; /* in Upload-Checksum */
    size_t size;          /* bytes */
} algorithms[] = {
    [CHECKSUM_SHA1] = {"sha1", SHA1_DIGEST_SIZE},
    [CHECKSUM_MD5] = {"md5", MD5_DIGEST_SIZE},
    [CHECKSUM_SHA256] = {"sha256", SHA256_DIGEST_SIZE},
    [CHECKSUM_SHA512] = {"sha512", SHA512_DIGEST_SIZE},
    [CHECKSUM_CRC32C] = {"crc32c", 4},
};

bool checksum_by_tus_name(const char *name, enum checksum_algorithm *out)
{
    size_t i;

    for (i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        if (strcmp(algorithms[i].tus_name, name) == 0) {
            *out = (enum checksum_algorithm)i;
            return true;
        }
    return false;
}

size_t checksum_size(enum checksum_algorithm a)
{
    return algorithms[a].size;
}

void checksum_init(struct checksum *c, enum checksum_algorithm a)
{
    c->algorithm = a;
    switch (a) {
    case CHECKSUM_SHA1:
        sha1_init(&c->state.sha1);
        break;
    case CHECKSUM_MD5:
        md5_init(&c->state.md5);
        break;
    case CHECKSUM_SHA256:
        sha256_init(&c->state.sha256);
        break;
    case CHECKSUM_SHA512:
        sha512_init(&c->state.sha512);
        break;
    case CHECKSUM_CRC32C:
        c->state.crc32c = UINT32_MAX;
        break;
    }
}

static uint32_t crc32c(uint32_t crc, const unsigned char *p, size_t len)
{
    while (len-- > 0)
        crc = crc >> 8 ^ crc_table[(crc ^ *p++) & 0xff];
    return crc;
}

void checksum_update(struct checksum *c, const void *data, size_t len)
{
    if (len == 0)
        return;
    switch (c->algorithm) {
    case CHECKSUM_SHA1:
        sha1_update(&c->state.sha1, len, data);
        break;
    case CHECKSUM_MD5:
        md5_update(&c->state.md5, len, data);
        break;
    case CHECKSUM_SHA256:
        sha256_update(&c->state.sha256, len, data);
        break;
    case CHECKSUM_SHA512:
        sha512_update(&c->state.sha512, len, data);
        break;
    case CHECKSUM_CRC32C:
        c->state.crc32c = crc32c(c->state.crc32c, data, len);
        break;
    }
}

static void finish(struct checksum *c, unsigned char out[CHECKSUM_MAX])
{
    int i;

    switch (c->algorithm) {
    case CHECKSUM_SHA1:
        sha1_digest(&c->state.sha1, SHA1_DIGEST_SIZE, out);
        break;
    case CHECKSUM_MD5:
        md5_digest(&c->state.md5, MD5_DIGEST_SIZE, out);
        break;
    case CHECKSUM_SHA256:
        sha256_digest(&c->state.sha256, SHA256_DIGEST_SIZE, out);
        break;
    case CHECKSUM_SHA512:
        sha512_digest(&c->state.sha512, SHA512_DIGEST_SIZE, out);
        break;
    case CHECKSUM_CRC32C:
        for (i = 0; i < 4; i++)
            out[i] = (unsigned char)(~c->state.crc32c >> (24 - 8 * i));
        break;
    }
}

bool checksum_matches(struct checksum *c, const void *expected, size_t len)
{
    unsigned char got[CHECKSUM_MAX];

    finish(c, got);
    return len == checksum_size(c->algorithm) &&
           memcmp(got, expected, len) == 0;
}
