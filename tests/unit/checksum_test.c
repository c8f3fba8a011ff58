/*
 * Checksums against published values: "abc" of RFC 1321, RFC 3174 and
 * FIPS 180-4; CRC-32C of RFC 3720 appendix B.4.
 */
#include "http/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *name;
    const char *data;
    const char *want;
} rows[] = {
    {"md5", "", "d41d8cd98f00b204e9800998ecf8427e"},
    {"md5", "abc", "900150983cd24fb0d6963f7d28e17f72"},
    {"sha1", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {"sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"sha256", "",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"sha256", "abc",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"sha512", "",
     "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
     "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
    {"sha512", "abc",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    {"crc32c", "", "00000000"},
    {"crc32c", "a", "c1d04330"},
    {"crc32c", "123456789", "e3069283"},
    {"crc32c", "The quick brown fox jumps over the lazy dog", "22620404"},
};

static size_t from_hex(unsigned char *out, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    size_t n;

    for (n = 0; hex[2 * n] != '\0'; n++)
        out[n] = (unsigned char)((strchr(digits, hex[2 * n]) - digits) * 16 +
                                 (strchr(digits, hex[2 * n + 1]) - digits));
    return n;
}

/* Gives the data in two parts. */
static bool matches(enum checksum_algorithm a, const char *data, size_t cut,
                    const void *expected, size_t len)
{
    struct checksum c;

    checksum_init(&c, a);
    checksum_update(&c, data, cut);
    checksum_update(&c, NULL, 0);
    checksum_update(&c, data + cut, strlen(data) - cut);
    return checksum_matches(&c, expected, len);
}

static void test_values(void **state)
{
    unsigned char want[CHECKSUM_MAX + 1] = {0};
    enum checksum_algorithm a;
    size_t i, cut, len;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        assert_true(checksum_by_tus_name(rows[i].name, &a));
        len = from_hex(want, rows[i].want);
        assert_int_equal(checksum_size(a), len);
        for (cut = 0; cut <= strlen(rows[i].data); cut++)
            if (!matches(a, rows[i].data, cut, want, len))
                fail_msg("%s of \"%s\" cut at %zu", rows[i].name, rows[i].data,
                         cut);
    }
}

/* Any other bit, and any other length, is a mismatch. */
static void test_mismatch(void **state)
{
    unsigned char want[CHECKSUM_MAX + 1] = {0};
    enum checksum_algorithm a;
    size_t i, bit, len;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        assert_true(checksum_by_tus_name(rows[i].name, &a));
        len = from_hex(want, rows[i].want);
        for (bit = 0; bit < 8 * len; bit++) {
            want[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_false(matches(a, rows[i].data, 0, want, len));
            want[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        assert_false(matches(a, rows[i].data, 0, want, len - 1));
        assert_false(matches(a, rows[i].data, 0, want, len + 1));
        assert_false(matches(a, rows[i].data, 0, want, 0));
    }
}

/* Every entry of the table, and data with zeros and high bits in it. */
static void test_crc32c_bytes(void **state)
{
    static const struct {
        unsigned char first, step;
        const char *want;
    } patterns[] = {
        {0x00, 0, "8a9136aa"},
        {0xff, 0, "62a8ab43"},
        {0x00, 1, "46dd794e"},
        {0x1f, 0xff, "113fdb5c"},
    };
    unsigned char want[4], data[32], byte;
    struct checksum c;
    uint32_t crc;
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(patterns); i++) {
        for (k = 0; k < sizeof data; k++)
            data[k] = (unsigned char)(patterns[i].first + k * patterns[i].step);
        checksum_init(&c, CHECKSUM_CRC32C);
        checksum_update(&c, data, sizeof data);
        from_hex(want, patterns[i].want);
        assert_true(checksum_matches(&c, want, sizeof want));
    }
    for (i = 0; i < 256; i++) {
        crc = ~(uint32_t)i;
        for (k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc % 2 ? UINT32_C(0x82f63b78) : 0);
        for (k = 0; k < 4; k++)
            want[k] = (unsigned char)(~crc >> (24 - 8 * k));
        byte = (unsigned char)i;
        checksum_init(&c, CHECKSUM_CRC32C);
        checksum_update(&c, &byte, 1);
        assert_true(checksum_matches(&c, want, sizeof want));
    }
}

/* The listed names are the known ones; nothing near them is. */
static void test_names(void **state)
{
    static const char *const unknown[] = {
        "",    "SHA1",  "Md5",     "sha-1", "sha-256",  "sha2567",
        "sha", "crc32", "crc32c ", " sha1", "sha1,md5",
    };
    char list[] = CHECKSUM_TUS_NAMES, *name = list, *comma;
    enum checksum_algorithm a;
    unsigned seen = 0;
    size_t i;

    (void)state;
    for (; name; name = comma) {
        comma = strchr(name, ',');
        if (comma)
            *comma++ = '\0';
        assert_true(checksum_by_tus_name(name, &a));
        assert_true(checksum_size(a) <= CHECKSUM_MAX);
        seen |= 1u << a;
    }
    assert_int_equal(seen, 0x1f);
    for (i = 0; i < COUNT(unknown); i++)
        assert_false(checksum_by_tus_name(unknown[i], &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_crc32c_bytes),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
