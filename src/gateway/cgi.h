/*
 * Plain CGI (RFC 3875): one process, one request.
 */
#ifndef SLIPWAY_GATEWAY_CGI_H
#define SLIPWAY_GATEWAY_CGI_H

#include "gateway/service.h"

/* Answer the request in the environment, standard input and output. */
void cgi_serve(struct service *s);

#endif
