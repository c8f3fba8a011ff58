/*
 * The values of options: see option_value.h. Pure; safe from any thread.
 */
#include "base/option_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

enum { TOKEN_MIN = 16, TOKEN_MAX = 128 };

/* RFC 9110 section 5.6.2, without the star, which stands for any subtype. */
static const char token_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz"
                                  "0123456789!#$%&'+-.^_`|~";

/* RFC 3986 section 3.3: what a path may hold without percent-encoding. */
static const char path_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "0123456789-._~!$&'()*+,;=:@/";

/* RFC 4648 section 5: base64url, of which base32 and hex are parts. */
static const char token_url_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "abcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_";

static bool parse_url(const struct config_option *o, const char *text)
{
    size_t len = strlen(text);

    if (len == 0)
        return o->min == 0;
    return text[0] == '/' && text[len - 1] != '/' && !strstr(text, "//") &&
           strspn(text, path_chars) == len;
}

/* The index of the word of len bytes among choices, -1 if it is not there. */
static int choice_index(const char *choices, const char *word, size_t len)
{
    int index = 0;

    while (*choices) {
        size_t n = strcspn(choices, " ");
        if (n == len && memcmp(choices, word, n) == 0)
            return index;
        choices += n;
        choices += strspn(choices, " ");
        index++;
    }
    return -1;
}

static bool parse_choice(const char *choices, const char *text,
                         uint64_t *number)
{
    int index = choice_index(choices, text, strlen(text));

    if (index < 0)
        return false;
    *number = (uint64_t)index;
    return true;
}

static bool parse_words(const char *choices, const char *text, uint64_t *number)
{
    static const char blanks[] = " \t";
    uint64_t set = 0;

    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        size_t len = strcspn(text, blanks);
        int index = choice_index(choices, text, len);
        if (index < 0)
            return false;
        set |= UINT64_C(1) << index;
        text += len;
    }
    *number = set;
    return true;
}

/* One item of an accept list: .ext, type/subtype or type and a star. */
static bool accept_item(const char *s, size_t len)
{
    size_t type = strspn(s, token_chars);

    if (type > len)
        type = len;
    if (len > 1 && s[0] == '.')
        return type == len && s[len - 1] != '.';
    if (type == 0 || type == len || s[type] != '/')
        return false;

    const char *subtype = s + type + 1;
    size_t left = len - type - 1;
    if (left == 1 && *subtype == '*')
        return true;
    return left > 0 && strspn(subtype, token_chars) >= left;
}

static bool parse_accept(const char *text)
{
    static const char blanks[] = " \t";

    text += strspn(text, blanks);
    if (*text == '\0')
        return true;
    for (;;) {
        size_t len = strcspn(text, ",");
        size_t used = len;
        while (used > 0 && strchr(blanks, text[used - 1]))
            used--;
        if (!accept_item(text, used))
            return false;
        text += len;
        if (*text == '\0')
            return true;
        text++;
        text += strspn(text, blanks);
    }
}

/* Long enough not to be guessed, and as it is in a URL. */
static bool parse_token(const char *text)
{
    size_t len = strlen(text);

    return len == 0 || (len >= TOKEN_MIN && len <= TOKEN_MAX &&
                        strspn(text, token_url_chars) == len);
}

bool option_parse(const struct config_option *o, const char *text,
                  uint64_t *number)
{
    bool read = false;

    *number = 0;
    switch (o->type) {
    case OPTION_PATH:
        return text[0] != '\0' || o->min == 0;
    case OPTION_URL:
        return parse_url(o, text);
    case OPTION_CHOICE:
        return parse_choice(o->choices, text, number);
    case OPTION_WORDS:
        return parse_words(o->choices, text, number);
    case OPTION_ACCEPT:
        return parse_accept(text);
    case OPTION_TOKEN:
        return parse_token(text);
    case OPTION_SIZE:
        read = units_parse_size(text, number);
        break;
    case OPTION_COUNT:
        read = text_parse_u64(text, strlen(text), number);
        break;
    case OPTION_DURATION:
        read = units_parse_duration(text, number);
        break;
    }
    return read && *number >= o->min && *number <= o->max;
}

void option_expected(const struct config_option *o,
                     char out[OPTION_EXPECTED_MAX])
{
    const size_t size = OPTION_EXPECTED_MAX;
    char min[UNITS_TEXT_MAX];
    char max[UNITS_TEXT_MAX];

    switch (o->type) {
    case OPTION_PATH:
        (void)snprintf(out, size, "the path of a directory%s",
                       o->min == 0 ? ", or nothing" : "");
        break;
    case OPTION_URL:
        (void)snprintf(out, size,
                       "the path of a URL such as /name, with a slash at the "
                       "start and none at the end%s",
                       o->min == 0 ? ", or nothing" : "");
        break;
    case OPTION_SIZE:
        units_format_size(min, o->min);
        units_format_size(max, o->max);
        (void)snprintf(out, size, "a size such as 512M, from %s to %s", min,
                       max);
        break;
    case OPTION_COUNT:
        (void)snprintf(out, size, "a number from %" PRIu64 " to %" PRIu64,
                       o->min, o->max);
        break;
    case OPTION_DURATION:
        units_format_duration(min, o->min);
        units_format_duration(max, o->max);
        (void)snprintf(out, size,
                       "a duration such as 90s or 15m, from %s to %s", min,
                       max);
        break;
    case OPTION_CHOICE:
        (void)snprintf(out, size, "one word of: %s", o->choices);
        break;
    case OPTION_WORDS:
        (void)snprintf(out, size, "any words of: %s; or nothing", o->choices);
        break;
    case OPTION_ACCEPT:
        (void)snprintf(out, size,
                       "a list such as .pdf, image/*, text/plain; or nothing");
        break;
    case OPTION_TOKEN:
        (void)snprintf(out, size,
                       "%d to %d of the characters A-Z a-z 0-9 - _, or nothing",
                       TOKEN_MIN, TOKEN_MAX);
        break;
    }
}
