/*
 * One HTTP/1.1 exchange (RFC 9112) in the clear, on a connection of its own.
 * One time limit goes over all of it. Thread-safe.
 */
#ifndef SLIPWAY_PROBE_CLIENT_H
#define SLIPWAY_PROBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define CLIENT_FORM "multipart/form-data; boundary=b"

struct client_call {
    const char *method; /* as in a request line */
    const char *path;   /* the same: absolute, with the query */
    const char *host;   /* value of the Host field */
    const char *fields; /* further field lines, each with its CRLF */
    bool is_form;       /* the body is a file in a form of CLIENT_FORM */
    uint64_t length;    /* bytes of the body or that file, all zeros */
    int pause_ms;       /* to wait when half of the body is sent */
    int limit_ms;       /* for all of it */
};

struct client_address {
    struct sockaddr_storage socket;
    socklen_t len; /* 0: none */
};

/* The beginning of the answer, head and body as they come, goes to answer as
 * a string. A server may answer before it has the whole body; the rest is not
 * sent then. false if there was no answer. */
bool client_exchange(const struct client_address *to,
                     const struct client_call *call, char *answer, size_t cap);

/* The status of an answer, 0 if it is none; and its body, NULL if that has not
 * come. */
long client_status(const char *answer);
const char *client_body(const char *answer);

#endif
