/*
 * The address comes from the CGI variables and is numeric, so no name is
 * looked up.
 */
#define _GNU_SOURCE
#include "probe/selfcall.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 255 };

const char *selfcall_mark(const struct request *req)
{
    return request_header(req, SELFCALL_MARK);
}

bool selfcall_is_tls(const struct request *req)
{
    const char *https = request_variable(req, "HTTPS");
    const char *port = request_variable(req, "SERVER_PORT");

    return (https && strcasecmp(https, "off") != 0) ||
           (port && strcmp(port, "443") == 0);
}

/* The address the request came in by, if the web server tells it. */
static void server_address(const struct request *req, int port,
                           struct client_address *out)
{
    const char *address = request_variable(req, "SERVER_ADDR");
    const char *own = request_variable(req, "SERVER_PORT");
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->socket;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->socket;
    char bare[INET6_ADDRSTRLEN + 2];
    long number = port ? port : own ? strtol(own, NULL, 10) : 0;

    memset(out, 0, sizeof *out);
    if (!address || strlen(address) >= sizeof bare || number < 1 ||
        number > UINT16_MAX)
        return;
    (void)snprintf(bare, sizeof bare, "%s", address + (*address == '['));
    bare[strcspn(bare, "]%")] = '\0';
    if (inet_pton(AF_INET, bare, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)number);
        out->len = sizeof *v4;
    } else if (inet_pton(AF_INET6, bare, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)number);
        out->len = sizeof *v6;
    }
}

bool selfcall(const struct request *req, int port, struct client_call *call,
              char *answer, size_t cap)
{
    const char *host = request_header(req, "Host");
    struct client_address to;

    if (!host || strlen(host) > HOST_MAX || host[strcspn(host, " \t\r\n")])
        host = "localhost";
    call->host = host;
    server_address(req, port, &to);
    return client_exchange(&to, call, answer, cap);
}
