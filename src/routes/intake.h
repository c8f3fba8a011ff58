/*
 * Reading a request body into an upload session: the one loop that waits for
 * clients. It watches limits on the whole request, silence, and cancel.
 */
#ifndef SLIPWAY_ROUTES_INTAKE_H
#define SLIPWAY_ROUTES_INTAKE_H

#include "routes/app.h"
#include "store/upload.h"

/* What is done with each piece of the body. */
typedef enum error_code intake_sink(void *ctx, const void *data, size_t len,
                                    struct error *e);

/* ERR_REQUEST_TOO_LARGE for a body that is, or is announced as, too large.
 * intake_body sees to it by itself. */
enum error_code intake_size(const struct app *app, const struct request *req,
                            struct error *e);

/* ERR_NO_LENGTH unless the end of the body is that of the file. */
enum error_code intake_end(const struct request *req, struct error *e);

/* Feed the whole body to sink. *u is the session to watch over, which sink
 * may set on the way; NULL while there is none. ERR_NONE only for a complete
 * body. */
enum error_code intake_body(struct app *app, struct request *req,
                            struct upload *const *u, intake_sink *sink,
                            void *ctx, struct error *e);

/* What the caller chose for the request: the upload id (query upload_id or
 * header Upload-Id; id is "" if neither) and directory=1 in the query. */
struct intake_choice {
    char id[UPLOAD_ID_MAX + 1]; /* valid, or "" */
    bool directory;
};

enum error_code intake_choose(const struct request *req,
                              struct intake_choice *out, struct error *e);

/* ERR_BAD_ID unless id is one that a caller may choose; else copy it. */
enum error_code intake_id(struct intake_choice *choice, const char *id,
                          struct error *e);

/* ERR_UNSUPPORTED for a content coding, which is not undone. */
enum error_code intake_coding(const struct request *req, struct error *e);

enum { INTAKE_NAME_MAX = 1024 };

/* The query parameter filename; "" if there is none. ERR_BAD_NAME. */
enum error_code intake_query_name(const struct request *req,
                                  char name[INTAKE_NAME_MAX], struct error *e);

/* The name of a file that is the body: query filename, Content-Disposition, or
 * "upload". ERR_BAD_NAME. */
enum error_code intake_name(const struct request *req,
                            char name[INTAKE_NAME_MAX], struct error *e);

#endif
