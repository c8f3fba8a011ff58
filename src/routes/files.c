/*
 * GET /files (a page of the list), GET and DELETE /files/ID; also DELETE as a
 * form, for hosts that block the method.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "http/accept.h"
#include "http/query.h"
#include "routes/form_reader.h"
#include "routes/render.h"
#include "routes/routes.h"

enum { PAGE_STANDARD = 100, VALUE_MAX = 1024, CURSOR_MAX = 24 };

static enum error_code bad(struct error *e, const char *name,
                           const char *allowed)
{
    return error_set(e, ERR_BAD_REQUEST, "%s must be %s.", name, allowed);
}

/* A cursor is the place of the page's last file in the order of the list. */
static enum error_code read_cursor(const char *value, struct file_filter *f,
                                   struct error *e)
{
    uint64_t place;

    if (!text_parse_u64(value, strlen(value), &place) || place > INT64_MAX)
        return bad(e, "cursor", "the next of an earlier page");
    f->before = (int64_t)place;
    return ERR_NONE;
}

/* limit, cursor and name; each at most once. */
static enum error_code read_plain(struct request *req, struct file_filter *f,
                                  struct error *e)
{
    char value[VALUE_MAX];
    enum query_result r;
    uint64_t number;

    r = query_get(req->query, "limit", value, sizeof value);
    if (r == QUERY_FOUND && text_parse_u64(value, strlen(value), &number) &&
        number >= 1 && number <= FILE_PAGE_MAX)
        f->limit = (unsigned)number;
    else if (r != QUERY_ABSENT)
        return bad(e, "limit", "one number from 1 to 1000");
    r = query_get(req->query, "name", value, sizeof value);
    if (r == QUERY_BAD)
        return bad(e, "name", "one part of a file name");
    if (r == QUERY_FOUND)
        f->name = arena_strdup(req->arena, value);
    r = query_get(req->query, "cursor", value, sizeof value);
    if (r == QUERY_BAD)
        return bad(e, "cursor", "the next of an earlier page");
    return r == QUERY_FOUND ? read_cursor(value, f, e) : ERR_NONE;
}

/* All meta.KEY=VALUE as a JSON object; each key at most once. */
static enum error_code read_metadata(struct request *req, json_t *metadata,
                                     struct error *e)
{
    char name[VALUE_MAX], value[VALUE_MAX];
    size_t pos = 0;

    for (;;) {
        switch (query_next(req->query, &pos, name, sizeof name, value,
                           sizeof value)) {
        case QUERY_ABSENT:
            return ERR_NONE;
        case QUERY_BAD:
            return error_set(e, ERR_BAD_REQUEST, "The query is malformed.");
        case QUERY_FOUND:
            break;
        }
        if (strncmp(name, "meta.", 5) != 0)
            continue;
        if (json_object_get(metadata, name + 5))
            return bad(e, "meta", "given once for each key");
        json_object_set_new(metadata, name + 5, json_string(value));
    }
}

static enum error_code read_filter(struct request *req, struct file_filter *f,
                                   struct error *e)
{
    json_t *metadata = json_object();
    enum error_code code;

    *f = (struct file_filter){.before = INT64_MAX, .limit = PAGE_STANDARD};
    code = read_plain(req, f, e);
    if (code == ERR_NONE)
        code = read_metadata(req, metadata, e);
    f->metadata = render_text(req->arena, metadata);
    json_decref(metadata);
    if (code == ERR_NONE && !f->metadata)
        code = error_set(e, ERR_MEMORY, "No memory for the list.");
    return code;
}

static json_t *next_cursor(const struct file_list *l)
{
    char cursor[CURSOR_MAX];

    if (!l->more)
        return json_null();
    (void)snprintf(cursor, sizeof cursor, "%lld",
                   (long long)l->last->created_at);
    return json_string(cursor);
}

enum error_code files_list(struct app *app, struct request *req,
                           const char *rest, struct response *res,
                           struct error *e)
{
    struct file_list list = {0};
    struct file_filter filter;
    enum error_code code = read_filter(req, &filter, e);

    (void)rest;
    if (code == ERR_NONE)
        code = files_page(app->store, req->arena, &filter, &list, e);
    if (code != ERR_NONE)
        return code;
    response_header(res, "Vary", "Accept");
    if (accept_choose(request_header(req, "Accept"), ACCEPT_TEXT) ==
        ACCEPT_TEXT) {
        render_urls(app, res, &list);
    } else {
        json_t *j = json_object();

        json_object_set_new(j, "files", render_files(app, req, &list, true));
        json_object_set_new(j, "next", next_cursor(&list));
        render_json(res, j);
    }
    return ERR_NONE;
}

enum error_code files_get(struct app *app, struct request *req,
                          const char *rest, struct response *res,
                          struct error *e)
{
    struct file_list inside = {0};
    struct file *f = file_get(app->store, req->arena, rest, e);
    enum error_code code = ERR_NONE;
    json_t *j;

    if (!f)
        return e->code;
    if (f->is_directory)
        code = files_of_directory(app->store, req->arena, f->id, &inside, e);
    if (code != ERR_NONE)
        return code;
    j = render_file(app, req, f, true);
    if (f->is_directory)
        json_object_set_new(j, "files", render_files(app, req, &inside, false));
    render_json(res, j);
    return ERR_NONE;
}

enum error_code files_delete(struct app *app, struct request *req,
                             const char *rest, struct response *res,
                             struct error *e)
{
    enum error_code code = file_delete(app->store, rest, e);

    (void)req;
    res->status = 204;
    return code;
}

static enum error_code take_field(void *ctx, const char *name,
                                  const char *value, bool *keep,
                                  struct error *e)
{
    bool *wanted = ctx;

    (void)keep;
    (void)e;
    *wanted = *wanted ||
              (strcmp(name, "action") == 0 && strcmp(value, "delete") == 0);
    return ERR_NONE;
}

static enum error_code refuse_file(void *ctx, const char *name,
                                   const char *type, struct error *e)
{
    (void)ctx;
    (void)name;
    (void)type;
    return error_set(e, ERR_BAD_REQUEST, "This form takes no file.");
}

enum error_code files_post(struct app *app, struct request *req,
                           const char *rest, struct response *res,
                           struct error *e)
{
    static const struct form_events events = {.field = take_field,
                                              .file_begin = refuse_file};
    struct upload *none = NULL;
    const char *metadata;
    bool wanted = false;

    if (request_is_cross_site(req)) /* no browser asks before a form */
        return error_set(e, ERR_FORBIDDEN,
                         "Pages of other sites cannot delete files.");
    if (intake_coding(req, e) != ERR_NONE ||
        form_read(app, req, &events, &wanted, &none, &metadata, e) != ERR_NONE)
        return e->code;
    if (!wanted)
        return error_set(e, ERR_BAD_REQUEST,
                         "The field action must be delete.");
    return files_delete(app, req, rest, res, e);
}
