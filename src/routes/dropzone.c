/*
 * POST /dropzone: the chunks of Dropzone.js. Each chunk is a form of its own
 * with dz* fields before its piece of the file; chunks come in any order, at
 * once, and again after a failure, and nothing tells the end.
 *
 * A chunk becomes a partial session, whose id is made of the file's dzuuid
 * and the chunk's number; the request that finds all of them whole makes the
 * final session of them. A form without dzuuid is a plain one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "routes/form.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "routes/transfer.h"

enum {
    UUID_LENGTH = 36,
    CHUNKS_MAX = 10000,
    WAIT_SECONDS = 600 /* for the chunks to become a file */
};

/* The numbers among the fields. */
enum number { INDEX, COUNT, CHUNK_SIZE, OFFSET, TOTAL, NUMBERS };

static const char *const number_names[NUMBERS] = {
    [INDEX] = "dzchunkindex",     [COUNT] = "dztotalchunkcount",
    [CHUNK_SIZE] = "dzchunksize", [OFFSET] = "dzchunkbyteoffset",
    [TOTAL] = "dztotalfilesize",
};

struct chunk {
    struct form plain;          /* where there is no dzuuid */
    char uuid[UUID_LENGTH + 1]; /* "" if there is none */
    uint64_t number[NUMBERS];   /* UINT64_MAX until it comes */
    struct transfer t;          /* of this chunk */
    bool had_file;              /* the chunk's file part has come */
    bool is_done;               /* an earlier try brought all of it, if any */
    bool is_new;                /* there was no earlier try */
    const char *name;           /* of the file, in the arena */
    struct upload *watched;     /* the session that is being received */
};

static enum error_code bad(struct error *e, const char *what)
{
    return error_set(e, ERR_BAD_REQUEST, "The chunk's %s is wrong.", what);
}

/* A UUID as Dropzone writes it. */
static bool is_uuid(const char *s)
{
    return strlen(s) == UUID_LENGTH &&
           strspn(s, "0123456789abcdef-") == UUID_LENGTH;
}

static enum error_code on_field(void *ctx, const char *name, const char *value,
                                bool *keep, struct error *e)
{
    struct chunk *c = ctx;

    if (strncmp(name, "dz", 2) == 0 && (c->had_file || c->plain.upload))
        return error_set(e, ERR_BAD_REQUEST,
                         "The field %s must come before the file.", name);
    if (strcmp(name, "dzuuid") == 0) {
        *keep = false;
        if (!is_uuid(value))
            return bad(e, "dzuuid");
        memcpy(c->uuid, value, UUID_LENGTH + 1);
        return ERR_NONE;
    }
    for (size_t i = 0; i < NUMBERS; i++)
        if (strcmp(name, number_names[i]) == 0) {
            *keep = false;
            return transfer_number(value, &c->number[i])
                       ? ERR_NONE
                       : bad(e, number_names[i]);
        }
    return *c->uuid ? ERR_NONE : form_field(&c->plain, name, value, keep, e);
}

/* Do the numbers fit together? */
static enum error_code check_numbers(const struct chunk *c, struct error *e)
{
    const uint64_t *n = c->number;

    for (size_t i = 0; i < NUMBERS; i++)
        if (n[i] == UINT64_MAX)
            return bad(e, number_names[i]);
    if (n[COUNT] == 0 || n[COUNT] > CHUNKS_MAX)
        return bad(e, number_names[COUNT]);
    if (n[INDEX] >= n[COUNT])
        return bad(e, number_names[INDEX]);
    if (n[CHUNK_SIZE] == 0 ||
        n[COUNT] - 1 != (n[TOTAL] ? (n[TOTAL] - 1) / n[CHUNK_SIZE] : 0))
        return bad(e, number_names[CHUNK_SIZE]);
    if (n[OFFSET] != n[INDEX] * n[CHUNK_SIZE])
        return bad(e, number_names[OFFSET]);
    return ERR_NONE;
}

static uint64_t chunk_length(const struct chunk *c)
{
    uint64_t rest = c->number[TOTAL] - c->number[OFFSET];

    return rest < c->number[CHUNK_SIZE] ? rest : c->number[CHUNK_SIZE];
}

static const char *chunk_id(const struct chunk *c, uint64_t index)
{
    return arena_printf(c->plain.req->arena, "dz-%s-%" PRIu64, c->uuid, index);
}

/* Begin the chunk's session, or go on with that of an earlier try. */
static enum error_code open_chunk(struct chunk *c, struct error *e)
{
    struct upload_spec spec = {.id = chunk_id(c, c->number[INDEX]),
                               .total = chunk_length(c),
                               .arena = c->plain.req->arena};
    const struct resumable_spec r = {.name = UPLOAD_UNNAMED, .partial = true};
    struct store *s = c->plain.app->store;
    enum error_code code;

    if (!spec.id)
        return error_set(e, ERR_MEMORY, "No memory for a chunk.");
    code = upload_create(s, &spec, &r, &c->t.upload, e);
    c->is_new = code == ERR_NONE;
    if (code != ERR_ID_IN_USE)
        return code;
    code = upload_resume(s, spec.arena, spec.id, &c->t.upload, e);
    c->is_done = code == ERR_COMPLETED; /* or used up */
    if (code == ERR_NONE && upload_total(c->t.upload) != spec.total) {
        upload_abandon(c->t.upload);
        c->t.upload = NULL;
        return bad(e, number_names[TOTAL]);
    }
    if (code == ERR_NONE)
        c->t.skip = upload_offset(c->t.upload);
    return c->is_done ? ERR_NONE : code;
}

static enum error_code on_file_begin(void *ctx, const char *name,
                                     const char *type, struct error *e)
{
    struct chunk *c = ctx;
    enum error_code code;

    if (!*c->uuid) {
        code = form_file_begin(&c->plain, name, type, e);
        c->watched = c->plain.upload;
        return code;
    }
    if (c->had_file)
        return error_set(e, ERR_BAD_REQUEST,
                         "A chunk must be the only file of its form.");
    c->had_file = true;
    c->name = arena_strdup(c->plain.req->arena, name);
    if (!c->name)
        return error_set(e, ERR_MEMORY, "No memory for a chunk.");
    code = check_numbers(c, e);
    if (code == ERR_NONE)
        code = upload_check_new(c->plain.app->store, c->plain.req->arena, name,
                                NULL, c->number[TOTAL], e);
    if (code == ERR_NONE)
        code = open_chunk(c, e);
    c->watched = c->t.upload;
    return code;
}

static enum error_code on_file_data(void *ctx, const void *data, size_t len,
                                    struct error *e)
{
    struct chunk *c = ctx;

    if (!*c->uuid)
        return form_file_data(&c->plain, data, len, e);
    return c->is_done ? ERR_NONE : transfer_append(&c->t, data, len, e);
}

static enum error_code on_file_end(void *ctx, struct error *e)
{
    struct chunk *c = ctx;

    if (!*c->uuid)
        return form_file_end(&c->plain, e);
    if (c->is_done || upload_remaining(c->t.upload) == 0)
        return ERR_NONE;
    return error_set(e, ERR_TRUNCATED,
                     "The chunk is shorter than its dzchunksize.");
}

/* Is it the last chunk? Then the file's session, or NULL. */
static enum error_code join(struct chunk *c, const char *metadata,
                            const char **id, struct error *e)
{
    struct arena *a = c->plain.req->arena;
    size_t count = (size_t)c->number[COUNT];
    const char **ids = arena_alloc(a, count * sizeof *ids);
    const struct upload_spec spec = {.arena = a};
    const struct resumable_spec r = {.name = c->name, .fields = metadata};
    const char *concat = arena_printf(a, "final;dz-%s", c->uuid);
    enum error_code code;

    *id = NULL;
    for (size_t i = 0; ids && i < count; i++)
        if (!(ids[i] = chunk_id(c, i)))
            ids = NULL;
    if (!ids || !concat)
        return error_set(e, ERR_MEMORY, "No memory for the chunks.");
    code = upload_concat(c->plain.app->store, &spec, &r, concat, ids, count, id,
                         e);
    return code == ERR_NOT_FOUND || code == ERR_UNFINISHED ? ERR_NONE : code;
}

/* Dropzone wants JSON: of the whole file once it is stored, else of nothing
 * yet. It has no further request, so this one waits for the file. */
static enum error_code answer_chunk(struct chunk *c, const char *id,
                                    struct response *res, struct error *e)
{
    struct progress p = {.id = id};
    enum error_code code = ERR_NONE;
    json_t *j;

    if (id)
        code = upload_concat_wait(c->plain.app->store, id, WAIT_SECONDS, e);
    if (id && code == ERR_NONE)
        code = progress_get(c->plain.app->store, c->plain.req->arena, id, &p,
                            e);
    if (code != ERR_NONE)
        return code;
    j = json_object();
    json_object_set_new(
        j, "files", render_files(c->plain.app, c->plain.req, &p.files, false));
    if (id)
        json_object_set_new(j, "upload_id", json_string(id));
    render_json(res, j);
    return ERR_NONE;
}

static enum error_code end_chunk(struct chunk *c, const char *metadata,
                                 struct response *res, struct error *e)
{
    struct upload *u = c->t.upload;
    const char *id;
    enum error_code code = ERR_NONE;

    if (!c->had_file)
        return error_set(e, ERR_BAD_REQUEST, "The form contains no chunk.");
    c->t.upload = NULL;
    if (u)
        code = upload_suspend(u, e);
    if (code == ERR_NONE || code == ERR_COMPLETED)
        code = join(c, metadata, &id, e);
    return code == ERR_NONE ? answer_chunk(c, id, res, e) : code;
}

static enum error_code end_plain(struct chunk *c, const char *metadata,
                                 struct response *res, struct error *e)
{
    struct file_list files = {0};
    enum error_code code = form_finish(&c->plain, metadata, &files, e);

    if (code == ERR_NONE)
        render_upload(c->plain.app, c->plain.req, res, c->plain.choice->id,
                      &files);
    return code;
}

/* ERR_COMPLETED: while this chunk came once more, another request has put the
 * file together. */
static enum error_code receive(struct chunk *c, struct response *res,
                               struct error *e)
{
    static const struct form_events events = {on_field, on_file_begin,
                                              on_file_data, on_file_end};
    const char *metadata = "{}";
    enum error_code code = form_read(c->plain.app, c->plain.req, &events, c,
                                     &c->watched, &metadata, e);

    if (code == ERR_COMPLETED && c->t.upload) {
        upload_discard(c->t.upload, e);
        c->t.upload = NULL;
        code = ERR_NONE;
    }
    if (code == ERR_NONE)
        code = *c->uuid ? end_chunk(c, metadata, res, e)
                        : end_plain(c, metadata, res, e);
    if (c->plain.upload)
        upload_discard(c->plain.upload, e);
    if (c->t.upload) {
        transfer_fail(&c->t, e);
        code = e->code;
        if (c->is_new && code == ERR_BAD_REQUEST)
            transfer_forget(c->plain.app, upload_id(c->t.upload));
    }
    return code;
}

enum error_code dropzone_post(struct app *app, struct request *req,
                              const char *rest, struct response *res,
                              struct error *e)
{
    struct intake_choice choice;
    struct chunk c = {.plain = {app, req, &choice, NULL},
                      .t = {.app = app, .req = req}};
    enum error_code code = intake_coding(req, e);

    (void)rest;
    res->plain_error = true;
    memset(c.number, 0xff, sizeof c.number);
    if (code == ERR_NONE)
        code = intake_choose(req, &choice, e);
    return code == ERR_NONE ? receive(&c, res, e) : code;
}
