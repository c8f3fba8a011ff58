/*
 * Up to three requests to one port: for the file that must be barred, then, if
 * it is, for proof that the answer was this site's.
 */
#include "probe/reach.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "http/query.h"
#include "probe/selfcall.h"
#include "probe/vouch.h"
#include "store/place.h"
#include "store/witness.h"

enum {
    URL_MAX_BYTES = 8192,
    ANSWER_MAX = 8192, /* bytes of an answer that are looked at */
    HTTP_PORT = 80,
    FILE_MS = 2000,   /* until a file must have come */
    PROGRAM_MS = 5000 /* until slipway must have answered: mod_fcgid waits a
                         second before it starts a second process */
};

/* One look at a port. */
struct inquiry {
    struct store *store;
    const struct request *req; /* it came to the same address and host */
    const char *data_url;      /* path of the data directory */
    struct witness witness;    /* is there meanwhile */
    int port;                  /* 0 for that of req */
};

enum reach reach_verdict(const char *answer, const char *content)
{
    switch (client_status(answer)) {
    case 401:
    case 403:
    case 404:
        return REACH_BARRED;
    case 200:
        return strstr(answer, content) ? REACH_REACHABLE : REACH_UNKNOWN;
    default:
        return REACH_UNKNOWN;
    }
}

/* What the answer says of the witness. */
static enum reach fetch(const struct inquiry *q, const struct buf *path,
                        const char *mark, int limit_ms)
{
    char answer[ANSWER_MAX];
    char fields[sizeof SELFCALL_MARK + sizeof q->witness.name + 32];
    struct client_call call = {
        .method = "GET", .fields = fields, .limit_ms = limit_ms};

    if (buf_failed(path))
        return REACH_UNKNOWN;
    (void)snprintf(fields, sizeof fields,
                   SELFCALL_MARK ": %s\r\nAccept: */*\r\n", mark);
    call.path = buf_text(path);
    if (!selfcall(q->req, q->port, &call, answer, sizeof answer))
        return REACH_UNKNOWN;
    return reach_verdict(answer, q->witness.content);
}

static enum reach fetch_witness(const struct inquiry *q, const char *dir_url,
                                const char *file)
{
    struct buf path;
    enum reach r;

    buf_init(&path, URL_MAX_BYTES);
    buf_printf(&path, "%s/%s", dir_url, file);
    r = fetch(q, &path, SELFCALL_FILE, FILE_MS);
    buf_free(&path);
    return r;
}

static bool shows_uploads(const struct inquiry *q)
{
    return fetch_witness(q, place_uploads_url(q->store), q->witness.path) ==
           REACH_REACHABLE;
}

/* Does slipway, on these same directories, answer there? */
static bool runs_slipway(const struct inquiry *q)
{
    const char *script = request_variable(q->req, "SCRIPT_NAME");
    struct buf path;
    enum reach r;

    buf_init(&path, URL_MAX_BYTES);
    percent_encode_path(&path, script ? script : "");
    if (path.len == 0 || buf_text(&path)[path.len - 1] != '/')
        buf_puts(&path, "/");
    r = fetch(q, &path, q->witness.name, PROGRAM_MS);
    buf_free(&path);
    return r == REACH_REACHABLE;
}

static enum reach ask_port(const struct inquiry *q)
{
    enum reach r = fetch_witness(q, q->data_url, q->witness.name);

    if (r != REACH_BARRED || shows_uploads(q) || runs_slipway(q))
        return r;
    log_write(LOG_WARNING,
              "%s is refused, but by a server that does not show to be this "
              "site's",
              q->data_url);
    return REACH_UNKNOWN;
}

static enum reach ask(struct store *s, const struct request *req,
                      const char *data_url)
{
    struct inquiry q = {.store = s, .req = req, .data_url = data_url};
    struct error e;
    enum reach r;

    if (witness_put(s, &q.witness, &e) != ERR_NONE) {
        log_failure(LOG_ERROR, &e);
        return REACH_UNKNOWN;
    }
    r = ask_port(&q);
    if (r == REACH_UNKNOWN && selfcall_is_tls(req)) {
        q.port = HTTP_PORT; /* a TLS site may have a plain port too */
        r = ask_port(&q);
    }
    witness_remove(s, q.witness.name);
    return r;
}

enum reach reach_ask(struct store *s, const struct request *req,
                     const char *data_url)
{
    enum reach r = ask(s, req, data_url);

    return r == REACH_UNKNOWN && vouch_bars(req, place_data(s)) ? REACH_BARRED
                                                                : r;
}
