/*
 * Media types. The table is sorted by extension for a binary search; the test
 * checks the order. What a browser could run has the type that it has, and
 * mediatype_is_inline_safe() keeps it from being shown.
 *
 * Pure; safe from any thread.
 */
#include "http/mediatype.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/params.h"
#include "http/token.h"

static const char fallback[] = "application/octet-stream";

struct type_row {
    const char *extension; /* lower case, without the dot */
    const char *type;      /* lower case, without parameters */
};

static const struct type_row types[] = {
    {"3gp", "video/3gpp"},
    {"3mf", "model/3mf"},
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"ac3", "audio/ac3"},
    {"ai", "application/postscript"},
    {"aif", "audio/aiff"},
    {"aiff", "audio/aiff"},
    {"apk", "application/vnd.android.package-archive"},
    {"apng", "image/apng"},
    {"appcache", "text/cache-manifest"},
    {"atom", "application/atom+xml"},
    {"avi", "video/x-msvideo"},
    {"avif", "image/avif"},
    {"azw", "application/vnd.amazon.ebook"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/plain"},
    {"cab", "application/vnd.ms-cab-compressed"},
    {"cbr", "application/vnd.comicbook-rar"},
    {"cbz", "application/vnd.comicbook+zip"},
    {"cc", "text/plain"},
    {"conf", "text/plain"},
    {"cpp", "text/plain"},
    {"crt", "application/x-x509-ca-cert"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"deb", "application/vnd.debian.binary-package"},
    {"diff", "text/plain"},
    {"dll", "application/octet-stream"},
    {"dmg", "application/x-apple-diskimage"},
    {"doc", "application/msword"},
    {"docm", "application/vnd.ms-word.document.macroenabled.12"},
    {"docx",
     "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"dot", "application/msword"},
    {"dotx",
     "application/vnd.openxmlformats-officedocument.wordprocessingml.template"},
    {"dwg", "image/vnd.dwg"},
    {"dxf", "image/vnd.dxf"},
    {"eml", "message/rfc822"},
    {"eot", "application/vnd.ms-fontobject"},
    {"eps", "application/postscript"},
    {"epub", "application/epub+zip"},
    {"exe", "application/octet-stream"},
    {"flac", "audio/flac"},
    {"flv", "video/x-flv"},
    {"gif", "image/gif"},
    {"glb", "model/gltf-binary"},
    {"gltf", "model/gltf+json"},
    {"gpx", "application/gpx+xml"},
    {"gz", "application/gzip"},
    {"h", "text/plain"},
    {"hdf", "application/x-hdf"},
    {"heic", "image/heic"},
    {"heics", "image/heic-sequence"},
    {"heif", "image/heif"},
    {"hpp", "text/plain"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar"},
    {"img", "application/octet-stream"},
    {"ini", "text/plain"},
    {"ipynb", "application/json"},
    {"iso", "application/octet-stream"},
    {"jar", "application/java-archive"},
    {"java", "text/plain"},
    {"jpe", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"jxl", "image/jxl"},
    {"key", "application/vnd.apple.keynote"},
    {"kml", "application/vnd.google-earth.kml+xml"},
    {"kmz", "application/vnd.google-earth.kmz"},
    {"log", "text/plain"},
    {"lz", "application/x-lzip"},
    {"lz4", "application/x-lz4"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"m4a", "audio/mp4"},
    {"m4v", "video/mp4"},
    {"map", "application/json"},
    {"mbox", "application/mbox"},
    {"md", "text/markdown"},
    {"mht", "multipart/related"},
    {"mhtml", "multipart/related"},
    {"mid", "audio/midi"},
    {"midi", "audio/midi"},
    {"mjs", "text/javascript"},
    {"mka", "audio/matroska"},
    {"mkv", "video/matroska"},
    {"mobi", "application/x-mobipocket-ebook"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"mpg", "video/mpeg"},
    {"msi", "application/octet-stream"},
    {"mts", "video/mp2t"},
    {"numbers", "application/vnd.apple.numbers"},
    {"odg", "application/vnd.oasis.opendocument.graphics"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pages", "application/vnd.apple.pages"},
    {"parquet", "application/vnd.apache.parquet"},
    {"patch", "text/plain"},
    {"pcap", "application/vnd.tcpdump.pcap"},
    {"pdf", "application/pdf"},
    {"pem", "application/x-pem-file"},
    {"pfx", "application/x-pkcs12"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptm", "application/vnd.ms-powerpoint.presentation.macroenabled.12"},
    {"pptx", "application/"
             "vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"ps", "application/postscript"},
    {"psd", "image/vnd.adobe.photoshop"},
    {"rar", "application/vnd.rar"},
    {"rpm", "application/x-rpm"},
    {"rs", "text/plain"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"shtml", "text/html"},
    {"sql", "application/sql"},
    {"sqlite", "application/vnd.sqlite3"},
    {"sqlite3", "application/vnd.sqlite3"},
    {"srt", "application/x-subrip"},
    {"stl", "model/stl"},
    {"svg", "image/svg+xml"},
    {"svgz", "image/svg+xml"},
    {"swf", "application/x-shockwave-flash"},
    {"tar", "application/x-tar"},
    {"tex", "application/x-tex"},
    {"text", "text/plain"},
    {"tgz", "application/gzip"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"torrent", "application/x-bittorrent"},
    {"ts", "video/mp2t"},
    {"tsv", "text/tab-separated-values"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain"},
    {"vcf", "text/vcard"},
    {"vsd", "application/vnd.visio"},
    {"vtt", "text/vtt"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"wma", "audio/x-ms-wma"},
    {"wmv", "video/x-ms-wmv"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xla", "application/vnd.ms-excel"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsb", "application/vnd.ms-excel.sheet.binary.macroenabled.12"},
    {"xlsm", "application/vnd.ms-excel.sheet.macroenabled.12"},
    {"xlsx",
     "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"xpi", "application/x-xpinstall"},
    {"xsl", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

static int compare_row(const void *key, const void *element)
{
    const struct type_row *row = element;
    const char *a = key, *b = row->extension;

    while (*a != '\0' && token_lower(*a) == *b) {
        a++;
        b++;
    }
    return (unsigned char)token_lower(*a) - (unsigned char)*b;
}

const char *mediatype_by_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    const struct type_row *row;

    if (!dot)
        return NULL;
    row = bsearch(dot + 1, types, sizeof types / sizeof types[0],
                  sizeof types[0], compare_row);
    return row ? row->type : NULL;
}

/* The length of the restricted-name that s begins with (RFC 6838 section
 * 4.2), which is narrower than a token. */
static size_t name_span(const char *s)
{
    size_t n = 0;

    if (token_is_alnum(*s))
        n = 1 + strspn(s + 1, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789!#$&-^_.+");
    return n;
}

/* type "/" subtype, and the end. */
static bool is_type(const char *s, size_t len)
{
    size_t n = name_span(s), subtype;

    if (n == 0 || s[n] != '/')
        return false;
    subtype = name_span(s + n + 1);
    return subtype > 0 && n + 1 + subtype == len;
}

void mediatype_effective(char out[MEDIATYPE_MAX], const char *name,
                         const char *declared)
{
    const char *known = name ? mediatype_by_name(name) : NULL;

    if (!known && params_value(declared, out, MEDIATYPE_MAX) &&
        is_type(out, strlen(out)))
        return;
    if (!known)
        known = fallback;
    memcpy(out, known, strlen(known) + 1);
}

/* The next element of a comma-separated list without the blanks around it;
 * false at the end. *list is left behind its comma. */
static bool next_element(const char **list, const char **element, size_t *len)
{
    const char *s = *list, *end;

    if (!s)
        return false;
    end = s + strcspn(s, ",");
    *list = *end == ',' ? end + 1 : NULL;
    while (s < end && token_is_blank(*s))
        s++;
    while (end > s && token_is_blank(end[-1]))
        end--;
    *element = s;
    *len = (size_t)(end - s);
    return true;
}

static bool same_ci(const char *a, const char *b, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (token_lower(a[i]) != token_lower(b[i]))
            return false;
    return true;
}

static bool element_matches(const char *e, size_t len, const char *name,
                            const char *type)
{
    size_t name_len = strlen(name), type_len = strcspn(type, "; \t");

    if (len == 0)
        return false;
    if (*e == '.')
        return len > 1 && name_len >= len &&
               same_ci(name + name_len - len, e, len);
    if (len == 3 && memcmp(e, "*/*", 3) == 0)
        return true;
    if (len > 2 && memcmp(e + len - 2, "/*", 2) == 0)
        return type_len > len - 1 && same_ci(type, e, len - 1);
    return type_len == len && same_ci(type, e, len);
}

static bool is_empty(const char *list)
{
    return !list || *token_skip_blanks(list) == '\0';
}

bool mediatype_accepted(const char *list, const char *name, const char *type)
{
    const char *element;
    size_t len;

    if (is_empty(list))
        return true;
    while (next_element(&list, &element, &len))
        if (element_matches(element, len, name ? name : "", type ? type : ""))
            return true;
    return false;
}

bool mediatype_is_inline_safe(const char *type)
{
    char base[MEDIATYPE_MAX];

    if (!params_value(type, base, sizeof base) || !is_type(base, strlen(base)))
        return false;
    if (text_starts_ci(base, "image/"))
        return !strstr(base, "svg") && !strstr(base, "xml");
    return text_starts_ci(base, "audio/") || text_starts_ci(base, "video/") ||
           text_equal_ci(base, "application/pdf") ||
           text_equal_ci(base, "text/plain");
}
