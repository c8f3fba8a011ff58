/*
 * Multipart events in, session calls out. State lives on the stack of
 * form_receive; the session opens with the first file.
 */
#include "routes/form.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/multipart.h"

enum part_kind { PART_FIELD, PART_FILE, PART_EMPTY };

struct form {
    struct app *app;              /* */
    struct request *req;          /* */
    struct intake_choice *choice; /* */
    struct multipart *parser;     /* */
    struct upload *upload;        /* NULL before the first file */
    json_t *metadata;             /* object of all fields so far */
    enum part_kind kind;          /* of the current part */
    char *field_name;             /* of the current field, in the arena */
    struct buf value;             /* of the current field */
    uint64_t field_count;         /* */
    size_t field_bytes;           /* names and values so far */
};

static enum error_code charge_field(struct form *f, size_t bytes,
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

static enum error_code begin_field(struct form *f, const char *name,
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

static enum error_code open_upload(struct form *f, struct error *e)
{
    struct upload_spec spec = {
        .id = *f->choice->id ? f->choice->id : NULL,
        .total = f->req->body->length,
        .directory = f->choice->directory,
        .arena = f->req->arena,
    };

    return f->upload ? ERR_NONE
                     : upload_open(f->app->store, &spec, &f->upload, e);
}

static enum error_code
on_part_begin(void *ctx, const struct multipart_part *part, struct error *e)
{
    struct form *f = ctx;
    enum error_code code;

    if (!part->filename)
        return begin_field(f, part->name, e);
    if (*part->filename == '\0') {
        f->kind = PART_EMPTY;
        return ERR_NONE;
    }
    f->kind = PART_FILE;
    code = open_upload(f, e);
    if (code == ERR_NONE)
        code = upload_begin_file(f->upload, part->filename, part->type,
                                 UPLOAD_SIZE_UNKNOWN, e);
    return code;
}

static enum error_code on_part_data(void *ctx, const void *data, size_t len,
                                    struct error *e)
{
    struct form *f = ctx;
    enum error_code code;

    switch (f->kind) {
    case PART_FILE:
        return upload_append(f->upload, data, len, e);
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

/* Special fields steer the session, so they must come before it. */
static enum error_code special_field(struct form *f, const char *value,
                                     struct error *e)
{
    if (f->upload)
        return error_set(e, ERR_BAD_REQUEST,
                         "The field %s must come before the first file.",
                         f->field_name);
    if (strcmp(f->field_name, "upload_id") == 0)
        return intake_id(f->choice, value, e);
    f->choice->directory = strcmp(value, "1") == 0;
    return ERR_NONE;
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

static enum error_code end_field(struct form *f, struct error *e)
{
    const char *value = buf_text(&f->value);

    if (memchr(value, '\0', f->value.len) || !text_is_utf8(value, f->value.len))
        return error_set(e, ERR_BAD_MULTIPART,
                         "A form field is not text in UTF-8.");
    if (strcmp(f->field_name, "upload_id") == 0 ||
        strcmp(f->field_name, "directory") == 0)
        return special_field(f, value, e);
    if (!add_metadata(f->metadata, f->field_name, json_string(value)))
        return error_set(e, ERR_MEMORY, "No memory for a form field.");
    return ERR_NONE;
}

static enum error_code on_part_end(void *ctx, struct error *e)
{
    struct form *f = ctx;

    switch (f->kind) {
    case PART_FILE:
        return upload_end_file(f->upload, e);
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
    struct form *f = ctx;

    return multipart_feed(f->parser, data, len, e);
}

/* What counts in the end is the size as it is stored: JSON, escapes and all. */
static enum error_code finish(struct form *f, struct file_list *files,
                              struct error *e)
{
    struct upload *u = f->upload;
    char *metadata;
    enum error_code code;

    if (!u)
        return error_set(e, ERR_BAD_REQUEST, "The form contains no file.");
    metadata = json_dumps(f->metadata, JSON_COMPACT);
    if (!metadata)
        return error_set(e, ERR_MEMORY, "No memory for the metadata.");
    f->field_bytes = 0;
    code = charge_field(f, strlen(metadata), e);
    if (code == ERR_NONE) {
        f->upload = NULL;
        code = upload_finish(u, metadata, files, e);
    }
    if (code == ERR_NONE)
        memcpy(f->choice->id, upload_id(u), strlen(upload_id(u)) + 1);
    free(metadata);
    return code;
}

enum error_code form_receive(struct app *app, struct request *req,
                             struct intake_choice *choice,
                             struct file_list *files, struct error *e)
{
    static const struct multipart_events events = {on_part_begin, on_part_data,
                                                   on_part_end};
    struct form f = {.app = app, .req = req, .choice = choice};
    enum error_code code;

    f.parser = multipart_new(request_header(req, "Content-Type"), &events, &f,
                             e);
    if (!f.parser)
        return e->code;
    f.metadata = json_object();
    buf_init(&f.value, config_number(app->config, OPT_MAX_FIELDS_SIZE));
    code = intake_body(app, req, &f.upload, feed, &f, e);
    if (code == ERR_NONE)
        code = multipart_end(f.parser, e);
    if (code == ERR_NONE)
        code = finish(&f, files, e);
    if (f.upload)
        upload_discard(f.upload, e);
    multipart_free(f.parser);
    json_decref(f.metadata);
    buf_free(&f.value);
    return code;
}
