/*
 * The application: what a transport needs to answer requests. One per
 * process, read-only, shared by all threads.
 */
#ifndef SLIPWAY_ROUTES_APP_H
#define SLIPWAY_ROUTES_APP_H

#include "http/request.h"
#include "http/response.h"
#include "store/store.h"

struct app {
    const struct config *config;
    struct store *store;
};

/* Answer one request: find the route, check the access, run the handler. The
 * response is always complete afterwards; a failure has become a problem
 * document. */
void app_handle(struct app *app, struct request *req, struct response *res);

#endif
