/*
 * GET /status: that slipway works, and what it accepts, for scripts and for
 * the browser element. With ?probe=TOKEN: see probe.c.
 */
#include "base/config.h"
#include "http/query.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "routes/transfer.h"

static json_t *limit(const struct app *app, enum option_id id)
{
    uint64_t value = config_number(app->config, id);

    return value ? json_integer((json_int_t)value) : json_null();
}

/* What [upload] protocols switches on; form is always there. */
static json_t *protocols(const struct app *app)
{
    static const char *const names[] = {
        [PROTOCOL_TUS] = "tus",
        [PROTOCOL_IETF] = "ietf",
        [PROTOCOL_FILEPOND] = "filepond",
        [PROTOCOL_DROPZONE] = "dropzone",
    };
    json_t *list = json_pack("[s]", "form");

    for (int i = PROTOCOL_TUS; i <= PROTOCOL_DROPZONE; i++)
        if (transfer_speaks(app, (enum transfer_protocol)i))
            json_array_append_new(list, json_string(names[i]));
    return list;
}

enum error_code status_get(struct app *app, struct request *req,
                           const char *rest, struct response *res,
                           struct error *e)
{
    json_t *limits, *j;
    char token[2];

    if (query_get(req->query, "probe", token, sizeof token) != QUERY_ABSENT)
        return probe_get(app, req, rest, res, e);
    limits = json_object();
    j = json_object();
    json_object_set_new(limits, "max_file_size", limit(app, OPT_MAX_FILE_SIZE));
    json_object_set_new(limits, "min_file_size", limit(app, OPT_MIN_FILE_SIZE));
    json_object_set_new(limits, "max_files", limit(app, OPT_MAX_FILES));
    json_object_set_new(limits, "max_request_size",
                        limit(app, OPT_MAX_REQUEST_SIZE));
    json_object_set_new(limits, "accept",
                        json_string(config_text(app->config, OPT_ACCEPT)));
    json_object_set_new(j, "status", json_string("ok"));
    json_object_set_new(j, "version", json_string(SLIPWAY_VERSION));
    json_object_set_new(j, "limits", limits);
    json_object_set_new(j, "protocols", protocols(app));
    render_json(res, j);
    return ERR_NONE;
}
