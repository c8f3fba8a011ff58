/*
 * Multipart events in, fields and files out. All state lives on the stack of
 * form_read.
 */
#include "routes/form_reader.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "http/multipart.h"
#include "routes/render.h"

enum part_kind { PART_FIELD, PART_FILE, PART_EMPTY };

struct reader {
    struct app *app;
    struct request *req;
    const struct form_events *events; /* the caller's */
    void *ctx;
    struct multipart *parser;
    json_t *metadata;    /* object of the fields so far */
    enum part_kind kind; /* of the current part */
    char *field_name;    /* of the current field, in the arena */
    struct buf value;    /* of the current field */
    uint64_t field_count;
    size_t field_bytes; /* names and values so far */
};

static enum error_code charge_field(struct reader *f, size_t bytes,
                                    struct error *e)
{
    uint64_t most = config_number(f->app->config, OPT_MAX_FIELDS_SIZE);

    f->field_bytes += bytes;
    if (f->field_bytes <= most)
        return ERR_NONE;
    return error_limit(
        e, ERR_FIELDS_TOO_LARGE, "max_fields_size", most,
        "All form fields together may have at most %" PRIu64 " bytes.", most);
}

static enum error_code begin_field(struct reader *f, const char *name,
                                   struct error *e)
{
    uint64_t most = config_number(f->app->config, OPT_MAX_FIELDS);

    f->kind = PART_FIELD;
    if (++f->field_count > most)
        return error_limit(e, ERR_TOO_MANY_FIELDS, "max_fields", most,
                           "A form may have at most %" PRIu64 " fields.", most);
    buf_clear(&f->value);
    f->field_name = arena_strdup(f->req->arena, name);
    if (!f->field_name)
        return error_set(e, ERR_MEMORY, "No memory for a form field.");
    return charge_field(f, strlen(name), e);
}

static enum error_code
on_part_begin(void *ctx, const struct multipart_part *part, struct error *e)
{
    struct reader *f = ctx;

    if (!part->filename)
        return begin_field(f, part->name, e);
    if (*part->filename == '\0') {
        f->kind = PART_EMPTY;
        return ERR_NONE;
    }
    f->kind = PART_FILE;
    return f->events->file_begin(f->ctx, part->filename, part->type, e);
}

static enum error_code on_part_data(void *ctx, const void *data, size_t len,
                                    struct error *e)
{
    struct reader *f = ctx;
    enum error_code code;

    switch (f->kind) {
    case PART_FILE:
        return f->events->file_data(f->ctx, data, len, e);
    case PART_EMPTY:
        return error_set(e, ERR_BAD_NAME, "A file has no name.");
    case PART_FIELD:
        break;
    }
    code = charge_field(f, len, e);
    if (code != ERR_NONE)
        return code;
    buf_append(&f->value, data, len);
    return buf_failed(&f->value)
               ? error_set(e, ERR_MEMORY, "No memory for a form field.")
               : ERR_NONE;
}

/* A name that comes again turns its value into an array. */
static bool add_metadata(json_t *metadata, const char *name, json_t *value)
{
    json_t *had = json_object_get(metadata, name);

    if (!had)
        return json_object_set_new(metadata, name, value) == 0;
    if (!json_is_array(had)) {
        json_t *list = json_array();

        json_array_append(list, had);
        json_object_set_new(metadata, name, list);
        had = list;
    }
    return json_array_append_new(had, value) == 0;
}

static enum error_code end_field(struct reader *f, struct error *e)
{
    const char *value = buf_text(&f->value);
    bool keep = true;
    enum error_code code;

    if (memchr(value, '\0', f->value.len) || !text_is_utf8(value, f->value.len))
        return error_set(e, ERR_BAD_MULTIPART,
                         "A form field is not text in UTF-8.");
    code = f->events->field(f->ctx, f->field_name, value, &keep, e);
    if (code != ERR_NONE || !keep)
        return code;
    if (!add_metadata(f->metadata, f->field_name, json_string(value)))
        return error_set(e, ERR_MEMORY, "No memory for a form field.");
    return ERR_NONE;
}

static enum error_code on_part_end(void *ctx, struct error *e)
{
    struct reader *f = ctx;

    switch (f->kind) {
    case PART_FILE:
        return f->events->file_end(f->ctx, e);
    case PART_FIELD:
        return end_field(f, e);
    case PART_EMPTY:
        break;
    }
    return ERR_NONE;
}

static enum error_code feed(void *ctx, const void *data, size_t len,
                            struct error *e)
{
    struct reader *f = ctx;

    return multipart_feed(f->parser, data, len, e);
}

/* What counts in the end is the size as it is stored: JSON, escapes and all. */
static enum error_code finish(struct reader *f, const char **metadata,
                              struct error *e)
{
    *metadata = render_text(f->req->arena, f->metadata);
    f->field_bytes = 0;
    return *metadata ? charge_field(f, strlen(*metadata), e)
                     : error_set(e, ERR_MEMORY, "No memory for the metadata.");
}

enum error_code form_read(struct app *app, struct request *req,
                          const struct form_events *events, void *ctx,
                          struct upload *const *u, const char **metadata,
                          struct error *e)
{
    static const struct multipart_events parts = {on_part_begin, on_part_data,
                                                  on_part_end};
    struct reader f = {.app = app, .req = req, .events = events, .ctx = ctx};
    enum error_code code;

    f.parser = multipart_new(request_header(req, "Content-Type"), &parts, &f,
                             e);
    if (!f.parser)
        return e->code;
    f.metadata = json_object();
    buf_init(&f.value, config_number(app->config, OPT_MAX_FIELDS_SIZE));
    code = intake_body(app, req, u, feed, &f, e);
    if (code == ERR_NONE)
        code = multipart_end(f.parser, e);
    if (code == ERR_NONE)
        code = finish(&f, metadata, e);
    multipart_free(f.parser);
    json_decref(f.metadata);
    buf_free(&f.value);
    return code;
}
