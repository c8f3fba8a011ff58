/*
 * The handlers of the route table, one file per resource.
 *
 * A handler gives ERR_NONE with a complete response, or a code with e filled;
 * then whatever it put into the response is replaced by the problem document,
 * except for header fields that belong to the failure (Content-Range of a
 * 416). rest is what follows the route's path, "" or without a slash in
 * front.
 */
#ifndef SLIPWAY_ROUTES_ROUTES_H
#define SLIPWAY_ROUTES_ROUTES_H

#include "routes/app.h"

typedef enum error_code handler(struct app *app, struct request *req,
                                const char *rest, struct response *res,
                                struct error *e);

handler home_get;
handler status_get;
handler probe_get;
handler probe_echo;
handler probe_file_get;
handler probe_file_post;
handler probe_file_delete;
handler upload_post;
handler upload_put;
handler resource_options;
handler resource_get;
handler resource_patch;
handler resource_post;
handler resource_delete;
handler filepond_post;
handler filepond_get;
handler filepond_patch;
handler filepond_delete;
handler dropzone_post;
handler progress_handle;
handler cancel_post;
handler download_get;
handler files_list;
handler files_get;
handler files_delete;
handler files_post;

#endif
