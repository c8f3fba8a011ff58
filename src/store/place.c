/*
 * What is remembered are rows of the lease table.
 */
#include "store/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/internal.h"

const char *place_data(const struct store *s)
{
    return s->data_path;
}

const char *place_uploads(const struct store *s)
{
    return s->uploads.real_path;
}

const char *place_uploads_url(const struct store *s)
{
    return s->uploads.url;
}

bool place_set_url(struct store *s, const char *url)
{
    char *copy = strdup(url);

    if (!copy)
        return false;
    free(s->found_url);
    s->found_url = copy;
    s->uploads.url = copy;
    return true;
}

void place_remember(struct store *s, const char *name, int64_t ms)
{
    struct error e;
    struct conn *c = db_write(s->db, &e);
    struct stmt *q;

    if (!c)
        return;
    q = db_statement(c, SQL_LEASE_PUT);
    stmt_text(q, ":name", name);
    stmt_int(q, ":until", clock_wall_ms() + ms);
    stmt_run(q);
    (void)db_end(c, true, &e);
}

bool place_recall(struct store *s, const char *name, int64_t ms)
{
    struct error e;
    struct conn *c = db_read(s->db, &e);
    int64_t now = clock_wall_ms();
    int64_t until = 0;
    struct stmt *q;

    if (!c)
        return false;
    q = db_statement(c, SQL_LEASE_GET);
    stmt_text(q, ":name", name);
    if (stmt_step(q))
        until = stmt_get_int(q, 0);
    return db_end(c, true, &e) == ERR_NONE && until > now && until <= now + ms;
}
