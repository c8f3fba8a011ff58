/*
 * Plain CGI (RFC 3875): one process, one request.
 */
#ifndef SLIPWAY_GATEWAY_CGI_H
#define SLIPWAY_GATEWAY_CGI_H

#include "routes/app.h"

/* Answer the request in the environment, standard input and output. */
void cgi_serve(struct app *app);

/* Answer that slipway could not start, before there is an app. */
void cgi_failed(const struct error *why);

#endif
