/*
 * tus' Upload-Metadata on its way into the description of an upload.
 */
#include "routes/metadata.h"

#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "http/filename.h"
#include "http/tus.h"
#include "routes/render.h"

enum { VALUE_MAX = 64 * 1024 }; /* bytes of one decoded value */

/* Upload-Metadata on its way into a description. */
struct metadata {
    struct arena *arena;  /* the request's */
    json_t *fields;       /* what is not taken out */
    const char *filename; /* values of the keys, or NULL */
    const char *name;
    const char *filetype;
    const char *type;
    const char *fault; /* what is wrong, or NULL */
};

/* The member that takes a key out, or NULL. */
static const char **special(struct metadata *m, const char *key, size_t len)
{
    const struct {
        const char *key;
        const char **value;
    } table[] = {
        {"filename", &m->filename},
        {"name", &m->name},
        {"filetype", &m->filetype},
        {"type", &m->type},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strlen(table[i].key) == len && memcmp(table[i].key, key, len) == 0)
            return table[i].value;
    return NULL;
}

/* The relative path of a file that was picked with its folder. Uppy writes
 * "null" where there is none. */
static void add_relative_path(struct metadata *m, const char *value)
{
    char clean[FILENAME_PATH_MAX + 1];

    if (*value == '\0' || strcmp(value, "null") == 0)
        return;
    if (filename_clean_path(value, clean))
        json_object_set_new(m->fields, "relativePath", json_string(clean));
    else
        m->fault = "The relativePath in Upload-Metadata cannot be used.";
}

static bool is_text(const char *value, size_t len)
{
    return !memchr(value, '\0', len) && text_is_utf8(value, len);
}

/* A value may be any bytes. What is not text is told back to the client as it
 * came, but is nothing that the file's metadata could hold. */
static bool add_pair(void *ctx, const char *key, size_t key_len,
                     const char *value, size_t value_len)
{
    struct metadata *m = ctx;
    char *text = arena_strndup(m->arena, value, value_len);
    char *name = arena_strndup(m->arena, key, key_len);
    const char **member = special(m, key, key_len);

    if (!text || !name) {
        m->fault = "Upload-Metadata is too large.";
    } else if (!text_is_utf8(name, key_len)) {
        m->fault = "A key in Upload-Metadata is not text in UTF-8.";
    } else if (!is_text(value, value_len)) {
        if (member)
            m->fault = "A name or type in Upload-Metadata is not text in "
                       "UTF-8.";
    } else if (member) {
        *member = *text ? text : NULL;
    } else if (strcmp(name, "relativePath") == 0) {
        add_relative_path(m, text);
    } else {
        json_object_set_new(m->fields, name, json_string(text));
    }
    return !m->fault;
}

/* Type and name without the parts that only a form could have said. */
static enum error_code describe(struct metadata *m, const char *field,
                                struct resumable_spec *out, struct error *e)
{
    struct buf scratch;

    m->fault = tus_metadata_fault(field);
    buf_init(&scratch, VALUE_MAX);
    if (!m->fault && !tus_metadata_each(field, &scratch, add_pair, m) &&
        !m->fault)
        m->fault = "Upload-Metadata is too large.";
    buf_free(&scratch);
    if (m->fault)
        return error_set(e, ERR_BAD_REQUEST, "%s", m->fault);
    out->fields = render_text(m->arena, m->fields);
    out->name = m->filename ? m->filename : m->name;
    out->type = m->filetype ? m->filetype : m->type;
    out->echo = field;
    return out->fields ? ERR_NONE
                       : error_set(e, ERR_MEMORY, "No memory for metadata.");
}

enum error_code metadata_describe(const struct request *req,
                                  struct resumable_spec *out, struct error *e)
{
    const char *field = request_header(req, "Upload-Metadata");
    struct metadata m = {.arena = req->arena};
    enum error_code code = ERR_NONE;

    memset(out, 0, sizeof *out);
    if (!field)
        return ERR_NONE;
    m.fields = json_object();
    code = describe(&m, field, out, e);
    json_decref(m.fields);
    return code;
}
