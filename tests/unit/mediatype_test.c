/*
 * Media types: by name, declared, accepted, and safe to show.
 */
#include "http/mediatype.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void test_by_name(void **state)
{
    static const struct {
        const char *name;
        const char *want;
    } rows[] = {
        {"a.3gp", "video/3gpp"},
        {"a.7z", "application/x-7z-compressed"},
        {"a.aac", "audio/aac"},
        {"a.avif", "image/avif"},
        {"a.c", "text/plain"},
        {"a.csv", "text/csv"},
        {"a.css", "text/css"},
        {"a.docx", "application/vnd.openxmlformats-officedocument."
                   "wordprocessingml.document"},
        {"a.flac", "audio/flac"},
        {"a.gif", "image/gif"},
        {"a.gz", "application/gzip"},
        {"a.h", "text/plain"},
        {"a.heic", "image/heic"},
        {"a.htm", "text/html"},
        {"a.html", "text/html"},
        {"a.jpeg", "image/jpeg"},
        {"a.jpg", "image/jpeg"},
        {"a.js", "text/javascript"},
        {"a.json", "application/json"},
        {"a.m4a", "audio/mp4"},
        {"a.md", "text/markdown"},
        {"a.mp3", "audio/mpeg"},
        {"a.mp4", "video/mp4"},
        {"a.odt", "application/vnd.oasis.opendocument.text"},
        {"a.ogg", "audio/ogg"},
        {"a.pdf", "application/pdf"},
        {"a.png", "image/png"},
        {"a.svg", "image/svg+xml"},
        {"a.tar", "application/x-tar"},
        {"a.tar.gz", "application/gzip"},
        {"a.txt", "text/plain"},
        {"a.wasm", "application/wasm"},
        {"a.wav", "audio/wav"},
        {"a.webm", "video/webm"},
        {"a.webp", "image/webp"},
        {"a.xml", "application/xml"},
        {"a.xlsx", "application/vnd.openxmlformats-officedocument."
                   "spreadsheetml.sheet"},
        {"a.zip", "application/zip"},
        {"a.zst", "application/zstd"},
        {"A.PNG", "image/png"},
        {"a.png.JPG", "image/jpeg"},
        {".png", "image/png"},
        {"png", NULL},
        {"a", NULL},
        {"a.", NULL},
        {"", NULL},
        {"a.pn", NULL},
        {"a.pngx", NULL},
        {"a.png ", NULL},
        {"a.png_", NULL},
        {"a.\xc3\xa9", NULL},
        {"a.zzzz", NULL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        const char *got = mediatype_by_name(rows[i].name);

        if ((got != NULL) != (rows[i].want != NULL) ||
            (got && strcmp(got, rows[i].want) != 0))
            fail_msg("%s: %s", rows[i].name, got ? got : "(unknown)");
    }
}

/* A table out of order would not find all of its rows. */
static void test_every_extension(void **state)
{
    static const char extensions[] =
        "3gp 3mf 7z aac ac3 ai aif aiff apk apng appcache atom avi avif "
        "azw bin bmp bz2 c cab cbr cbz cc conf cpp crt css csv deb diff "
        "dll dmg doc docm docx dot dotx dwg dxf eml eot eps epub exe flac "
        "flv gif glb gltf gpx gz h hdf heic heics heif hpp htm html ico "
        "ics img ini ipynb iso jar java jpe jpeg jpg js json jsonld jxl "
        "key kml kmz log lz lz4 m3u8 m4a m4v map mbox md mht mhtml mid "
        "midi mjs mka mkv mobi mov mp3 mp4 mpeg mpg msi mts numbers odg "
        "odp ods odt oga ogg ogv opus otf pages parquet patch pcap pdf pem "
        "pfx png ppt pptm pptx ps psd rar rpm rs rss rtf shtml sql sqlite "
        "sqlite3 srt stl svg svgz swf tar tex text tgz tif tiff toml "
        "torrent ts tsv ttf txt vcf vsd vtt wasm wav weba webm webmanifest "
        "webp wma wmv woff woff2 xhtml xla xls xlsb xlsm xlsx xml xpi xsl "
        "xz yaml yml zip zst";
    const char *s = extensions;

    (void)state;
    for (;;) {
        size_t len = strcspn(s, " ");
        char name[32] = ".";

        assert_true(len + 2 <= sizeof name);
        memcpy(name + 1, s, len);
        if (!mediatype_by_name(name))
            fail_msg("%s", name);
        if (s[len] == '\0')
            break;
        s += len + 1;
    }
}

static void test_effective(void **state)
{
    static const char octets[] = "application/octet-stream";
    static const struct {
        const char *name;
        const char *declared;
        const char *want;
    } rows[] = {
        {"a.png", "image/png", "image/png"},
        {"a.png", "text/html", "image/png"},
        {"a.png", NULL, "image/png"},
        {"a.html", "image/png", "text/html"},
        {"a", "Image/PNG", "image/png"},
        {"a.unknown", "text/x-thing; charset=utf-8", "text/x-thing"},
        {"a", "application/vnd.a+b.c-d", "application/vnd.a+b.c-d"},
        {NULL, "a/b", "a/b"},
        {"a", NULL, octets},
        {"a", "", octets},
        {"a", "text", octets},
        {"a", "text/", octets},
        {"a", "/plain", octets},
        {"a", "text/plain/x", octets},
        {"a", "text /plain", octets},
        {"a", "text/pl ain", octets},
        {"a", "text/plain\r\nX: y", octets},
        {"a", "text/<script>", octets},
        {"a", "text/\xc3\xa9", octets},
        {"a", "*/*", octets},
        {"a", ".x/y", octets},
        {"a", "x/.y", octets},
        {"a", "x/y'z", octets},
        {"a", "image/*", octets},
        {"a", "text/plain,text/html", octets},
        {"a",
         "application/"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         octets},
    };
    char out[MEDIATYPE_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        mediatype_effective(out, rows[i].name, rows[i].declared);
        if (strcmp(out, rows[i].want) != 0)
            fail_msg("row %zu: %s", i, out);
    }
}

static void test_accepted(void **state)
{
    static const struct {
        const char *list, *name, *type;
        bool want;
    } rows[] = {
        {NULL, "a", "a/b", true},
        {"", "a", "a/b", true},
        {"  ", "a", "a/b", true},
        {".png", "a.png", "image/png", true},
        {".PNG", "a.png", "x/y", true},
        {".png", "A.PNG", "x/y", true},
        {".jpg, .png", "a.png", "x/y", true},
        {".jpg,.gif", "a.png", "image/png", false},
        {".png", "png", "image/png", false},
        {".png", "a.png.exe", "x/y", false},
        {".png", "apng", "image/apng", false},
        {".tar.gz", "a.tar.gz", "application/gzip", true},
        {".tar.gz", "a.gz", "application/gzip", false},
        {".gz", "a.tar.gz", "application/gzip", true},
        {"image/png", "a", "image/png", true},
        {"Image/PNG", "a", "image/png", true},
        {"image/png", "a", "IMAGE/png; x=y", true},
        {"image/png", "a.png", "image/pngx", false},
        {"image/pngx", "a.png", "image/png", false},
        {"image/*", "a", "image/png", true},
        {"IMAGE/*", "a", "image/svg+xml", true},
        {"image/*", "a", "image/", false},
        {"image/*", "a", "image", false},
        {"image/*", "a", "imagex/png", false},
        {"image/*", "a", "video/mp4", false},
        {"video/*, image/*,audio/*", "a", "audio/ogg", true},
        {".pdf,image/*", "a.pdf", "application/pdf", true},
        {".pdf,image/*", "a.PNG", "image/png", true},
        {".pdf,image/*", "a.exe", "application/octet-stream", false},
        {"*/*", "a", "a/b", true},
        {"*", "a", "a/b", false},
        {",", "a", "a/b", false},
        {".", "a.", "a/b", false},
        {"image/*", NULL, NULL, false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        if (mediatype_accepted(rows[i].list, rows[i].name, rows[i].type) !=
            rows[i].want)
            fail_msg("row %zu: %s", i, rows[i].list);
}

static void test_inline_safe(void **state)
{
    static const struct {
        const char *type;
        bool want;
    } rows[] = {
        {"image/png", true},
        {"IMAGE/JPEG", true},
        {"image/webp; x=y", true},
        {"audio/mpeg", true},
        {"video/mp4", true},
        {"application/pdf", true},
        {"text/plain", true},
        {"text/plain; charset=utf-8", true},
        {"image/svg+xml", false},
        {"IMAGE/SVG+XML", false},
        {"image/svg", false},
        {"image/svg+xml; x=y", false},
        {"image/x+xml", false},
        {"image/", false},
        {"image", false},
        {"image/png/x", false},
        {"text/html", false},
        {"text/xml", false},
        {"text/javascript", false},
        {"text/markdown", false},
        {"text/plainx", false},
        {"application/xhtml+xml", false},
        {"application/json", false},
        {"application/octet-stream", false},
        {"multipart/related", false},
        {"", false},
        {NULL, false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        if (mediatype_is_inline_safe(rows[i].type) != rows[i].want)
            fail_msg("row %zu: %s", i, rows[i].type);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_every_extension),
        cmocka_unit_test(test_effective),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_inline_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
