/*
 * Answers of the gateway and their checks: see answer.h. No state.
 */
#define _GNU_SOURCE
#include "answer.h"

#include <ctype.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "spell.h"

static const char problem_type[] = "urn:slipway:problem:";

void wrong_add(struct buf *wrong, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_printf(wrong, "%s%s", wrong->len > 0 ? "; " : "", text);
}

static const char *header(const json_t *headers, const char *name)
{
    return json_string_value(json_object_get(headers, name));
}

static bool token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("-_", s[i]))
            return false;
    return len > 0;
}

static bool printable(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
            return false;
    return true;
}

static void add_field(struct answer *a, const char *line, size_t len)
{
    char name[64];
    size_t name_len = strcspn(line, ":");
    const char *value = line + name_len + 2;
    size_t value_len = len - name_len - 2;
    const json_t *before;
    struct buf all;

    for (size_t i = 0; i <= name_len; i++)
        name[i] = (char)tolower((unsigned char)line[i]);
    name[name_len] = '\0';
    before = json_object_get(a->headers, name);
    buf_init(&all, 128 * 1024);
    if (before)
        buf_printf(&all, "%s, ", json_string_value(before));
    buf_append(&all, value, value_len);
    json_object_set_new(a->headers, name,
                        json_stringn_nocheck(buf_text(&all), all.len));
    buf_free(&all);
}

static void parse_head(struct answer *a, const char *head, const char *end,
                       struct buf *wrong)
{
    while (head < end) {
        const char *eol = strstr(head, "\r\n");
        size_t len = (size_t)(eol - head);
        size_t name_len = strcspn(head, ":");

        if (name_len + 2 > len || name_len >= 64 || !token(head, name_len) ||
            head[name_len + 1] != ' ' || !printable(head, len))
            wrong_add(wrong, "malformed header line %.*s", (int)len, head);
        else
            add_field(a, head, len);
        head = eol + 2;
    }
}

static void check_framing(const struct answer *a, const char *method,
                          struct buf *wrong)
{
    const char *length = header(a->headers, "content-length");
    const char *type = header(a->headers, "content-type");
    bool bodiless = (method && strcmp(method, "HEAD") == 0) || a->status == 304;
    uint64_t n;

    if (a->status < 200 || a->status > 599)
        wrong_add(wrong, "no proper Status field");
    if (bodiless && a->body_len > 0)
        wrong_add(wrong, "a body where there must be none");
    if (length && (!text_parse_u64(length, strlen(length), &n) ||
                   (!bodiless && n != a->body_len)))
        wrong_add(wrong, "Content-Length %s for %zu bytes", length,
                  a->body_len);
    if (type && strstr(type, "json") && a->body_len > 0 && !a->json &&
        !header(a->headers, "content-disposition"))
        wrong_add(wrong, "the body is not JSON");
}

/* One head, into status and headers. What follows it, or NULL if it is not
 * whole. */
static const char *take_head(struct answer *a, const char *head,
                             struct buf *wrong)
{
    const char *end = strstr(head, "\r\n\r\n");
    const char *status;

    if (!end)
        return NULL;
    json_decref(a->headers);
    a->headers = json_object();
    parse_head(a, head, end + 2, wrong);
    status = header(a->headers, "status");
    a->status = status ? (int)strtol(status, NULL, 10) : 0;
    return end + 4;
}

void answer_parse(struct answer *a, const struct buf *raw, const char *method,
                  struct buf *wrong)
{
    const char *text = buf_text(raw);

    *a = (struct answer){.interim = json_array(), .body = ""};
    a->body = take_head(a, text, wrong);
    while (a->body && a->status / 100 == 1) {
        json_array_append_new(
            a->interim,
            json_pack("{sisO}", "status", a->status, "headers", a->headers));
        a->body = take_head(a, a->body, wrong);
    }
    if (!a->body || buf_failed(raw)) {
        wrong_add(wrong, "the answer has no whole head");
        a->body = "";
        return;
    }
    a->body_len = raw->len - (size_t)(a->body - text);
    a->json = json_loadb(a->body, a->body_len,
                         JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    check_framing(a, method, wrong);
}

void answer_free(struct answer *a)
{
    json_decref(a->headers);
    json_decref(a->interim);
    json_decref(a->json);
}

const char *answer_slug(const struct answer *a)
{
    const char *type = json_string_value(json_object_get(a->json, "type"));
    size_t skip = sizeof problem_type - 1;

    return type && strncmp(type, problem_type, skip) == 0 ? type + skip : "";
}

const char *answer_pick(const struct answer *a, struct arena *arena,
                        const char *from)
{
    const char *name = "header:";
    const json_t *value;

    if (strcmp(from, "body") == 0)
        return arena_strndup(arena, a->body, a->body_len);
    if (text_starts_ci(from, name))
        value = json_object_get(a->headers, from + strlen(name));
    else
        value = spell_member(a->json, from);
    if (json_is_integer(value))
        return arena_printf(arena, "%" JSON_INTEGER_FORMAT,
                            json_integer_value(value));
    return json_is_string(value) ? arena_strdup(arena, json_string_value(value))
                                 : NULL;
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    bool found;

    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

bool status_wanted(const json_t *wanted, int status)
{
    size_t i;
    json_t *one;

    json_array_foreach(wanted, i,
                       one) if (json_integer_value(one) == status) return true;
    return json_integer_value(wanted) == status;
}

static void check_header(const json_t *headers, const char *name,
                         const json_t *wanted, const json_t *captured,
                         struct arena *arena, struct buf *wrong)
{
    const char *found = header(headers, name);
    const json_t *pattern = json_object_get(wanted, "match");

    if (json_is_null(wanted)) {
        if (found)
            wrong_add(wrong, "%s is there: %s", name, found);
        return;
    }
    struct bytes text = pattern ? spell(arena, pattern)
                                : spell_filled(arena, wanted, captured);
    if (!text.data)
        wrong_add(wrong, "%s: cannot read what is expected", name);
    else if (!found)
        wrong_add(wrong, "%s is missing", name);
    else if (pattern ? !matches(found, text.data)
                     : strcmp(found, text.data) != 0)
        wrong_add(wrong, "%s is %s, wanted %s", name, found, text.data);
}

static bool same(const json_t *found, const json_t *wanted,
                 const json_t *captured, struct arena *arena)
{
    if (json_is_string(wanted)) {
        struct bytes raw = {json_string_value(wanted),
                            json_string_length(wanted)};
        struct bytes text = spell_fill(arena, raw, captured);

        return text.data && json_is_string(found) &&
               json_string_length(found) == text.len &&
               memcmp(json_string_value(found), text.data, text.len) == 0;
    }
    if (json_is_number(wanted) && json_is_number(found))
        return json_number_value(wanted) == json_number_value(found);
    return json_equal(found, wanted);
}

static bool member_right(const json_t *found, const json_t *wanted,
                         const json_t *captured, struct arena *arena)
{
    const json_t *rule = json_object_get(wanted, "match");

    if (rule)
        return json_is_string(found) &&
               matches(json_string_value(found), json_string_value(rule));
    rule = json_object_get(wanted, "exists");
    if (rule)
        return (found != NULL) == json_is_true(rule);
    rule = json_object_get(wanted, "length");
    if (rule)
        return json_is_array(found) &&
               json_array_size(found) == (size_t)json_integer_value(rule);
    return same(found, wanted, captured, arena);
}

static void check_member(const struct answer *a, const char *at,
                         const json_t *wanted, const json_t *captured,
                         struct arena *arena, struct buf *wrong)
{
    const json_t *found = spell_member(a->json, at);
    char *is, *want;

    if (member_right(found, wanted, captured, arena))
        return;
    is = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    want = json_dumps(wanted, JSON_ENCODE_ANY | JSON_COMPACT);
    wrong_add(wrong, "%s is %s, wanted %s", at, is ? is : "missing",
              want ? want : "?");
    free(is);
    free(want);
}

static void check_problem(const struct answer *a, const json_t *slugs,
                          struct buf *wrong)
{
    static const char *const texts[] = {"title", "detail", "request_id"};
    const char *type = header(a->headers, "content-type");
    bool for_widget = json_object_get(a->json, "error") != NULL;
    const char *slug = answer_slug(a);
    bool named = json_is_string(slugs) &&
                 strcmp(json_string_value(slugs), slug) == 0;
    size_t i;
    json_t *one;

    json_array_foreach(slugs, i, one)
        named = named || strcmp(json_string_value(one), slug) == 0;
    if (!named) {
        char *want = json_dumps(slugs, JSON_ENCODE_ANY | JSON_COMPACT);

        wrong_add(wrong, "problem %s, wanted %s", slug, want ? want : "?");
        free(want);
    }
    if (!type || !text_starts_ci(type, for_widget ? "application/json"
                                                  : "application/problem+json"))
        wrong_add(wrong, "a problem as %s", type ? type : "nothing");
    if (json_integer_value(json_object_get(a->json, "status")) != a->status)
        wrong_add(wrong, "the problem has another status");
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (json_string_length(json_object_get(a->json, texts[i])) == 0)
            wrong_add(wrong, "the problem has no %s", texts[i]);
}

static void check_parts(const struct answer *a, const json_t *parts,
                        bool wanted, const json_t *captured,
                        struct arena *arena, struct buf *wrong)
{
    size_t i;
    json_t *part;

    json_array_foreach(parts, i, part)
    {
        struct bytes text = spell_filled(arena, part, captured);
        bool found = text.data &&
                     memmem(a->body, a->body_len, text.data, text.len);

        if (!text.data)
            wrong_add(wrong, "cannot read what is expected in the body");
        else if (found != wanted)
            wrong_add(wrong, "the body %s %s", wanted ? "lacks" : "has",
                      text.data);
    }
}

/* The interim answers: as many as wanted, each with its status and fields. */
static void check_interim(const struct answer *a, const json_t *wanted,
                          const json_t *captured, struct arena *arena,
                          struct buf *wrong)
{
    size_t count = json_array_size(a->interim), i;
    const char *name;
    json_t *one, *value;

    if (count != json_array_size(wanted))
        wrong_add(wrong, "%zu interim answers, wanted %zu", count,
                  json_array_size(wanted));
    json_array_foreach(wanted, i, one)
    {
        const json_t *found = json_array_get(a->interim, i);

        if (!json_equal(json_object_get(found, "status"),
                        json_object_get(one, "status")))
            wrong_add(wrong, "interim answer %zu has another status", i);
        json_object_foreach(json_object_get(one, "headers"), name, value)
            check_header(json_object_get(found, "headers"), name, value,
                         captured, arena, wrong);
    }
}

void answer_check(const struct answer *a, json_t *expect,
                  const json_t *captured, struct arena *arena,
                  struct buf *wrong)
{
    const json_t *wanted = json_object_get(expect, "status");
    const char *name;
    json_t *value;

    if (!status_wanted(wanted, a->status)) {
        char *want = json_dumps(wanted, JSON_ENCODE_ANY | JSON_COMPACT);

        wrong_add(wrong, "status %d, wanted %s", a->status, want ? want : "?");
        free(want);
    }
    check_interim(a, json_object_get(expect, "interim"), captured, arena,
                  wrong);
    json_object_foreach(json_object_get(expect, "headers"), name, value)
        check_header(a->headers, name, value, captured, arena, wrong);
    wanted = json_object_get(expect, "problem");
    if (wanted)
        check_problem(a, wanted, wrong);
    json_object_foreach(json_object_get(expect, "json"), name, value)
        check_member(a, name, value, captured, arena, wrong);
    wanted = json_object_get(expect, "body");
    if (wanted) {
        struct bytes body = spell_filled(arena, wanted, captured);

        if (!body.data || body.len != a->body_len ||
            memcmp(body.data, a->body, body.len) != 0)
            wrong_add(wrong,
                      "the body has %zu bytes, or others than the %zu "
                      "wanted",
                      a->body_len, body.len);
    }
    check_parts(a, json_object_get(expect, "contains"), true, captured, arena,
                wrong);
    check_parts(a, json_object_get(expect, "lacks"), false, captured, arena,
                wrong);
}
