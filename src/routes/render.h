/*
 * Files and progress as JSON, text and HTML: the one place that knows how an
 * answer names things.
 */
#ifndef SLIPWAY_ROUTES_RENDER_H
#define SLIPWAY_ROUTES_RENDER_H

#include <jansson.h>

#include "routes/app.h"
#include "store/progress.h"

/* {id, name, size, type, sha256, url, download, delete} and for a directory
 * upload {directory, count}. full adds created and metadata. The caller owns
 * the reference. */
json_t *render_file(const struct app *app, const struct request *req,
                    const struct file *f, bool full);

/* An array of them. */
json_t *render_files(const struct app *app, const struct request *req,
                     const struct file_list *l, bool full);

/* {id, state, loaded, total, progress, error}: the same small size for every
 * upload. */
json_t *render_progress(const struct progress *p);

/* JSON as text in the arena. NULL without memory. */
char *render_text(struct arena *a, const json_t *j);

/* Repr-Digest (RFC 9530), if the file's digest is known. */
void render_repr_digest(struct response *res, const struct file *f);

/* Answer with JSON; takes over the reference. */
void render_json(struct response *res, json_t *j);

/* Answer with the static URLs, one per line. */
void render_urls(const struct app *app, struct response *res,
                 const struct file_list *l);

/* A header field with the static URL of a file. */
void render_url(const struct app *app, const struct request *req,
                struct response *res, const char *field, const struct file *f);

/* Answer 201 with the files of a finished upload, in the form the client
 * prefers; render_upload with the file's URL as Location, if there is one
 * file. */
void render_stored(const struct app *app, const struct request *req,
                   struct response *res, const char *id,
                   const struct file_list *files);
void render_upload(const struct app *app, const struct request *req,
                   struct response *res, const char *id,
                   const struct file_list *files);

#endif
