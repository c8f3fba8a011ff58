/*
 * Tokens are files beside the database; what is remembered are rows of the
 * lease table.
 */
#include "store/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/internal.h"

const char *place_data(const struct store *s)
{
    return s->data_path;
}

const char *place_uploads(const struct store *s)
{
    return s->uploads.real_path;
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

enum error_code place_put_token(struct store *s, struct place_token *t,
                                struct error *e)
{
    char random[ID_LENGTH + 1];
    enum error_code code;
    int fd;

    if (id_new(random, e) != ERR_NONE || id_new(t->content, e) != ERR_NONE)
        return e->code;
    (void)snprintf(t->name, sizeof t->name, "reach-%s", random);
    fd = disk_create(s->data, t->name, PUBLIC_FILE_MODE, e);
    if (fd < 0)
        return e->code;
    code = disk_write(fd, t->content, ID_LENGTH, 0, e);
    close(fd);
    if (code != ERR_NONE)
        place_remove_token(s, t);
    return code;
}

void place_remove_token(struct store *s, const struct place_token *t)
{
    struct error e;

    if (disk_remove_file(s->data, t->name, false, &e) != ERR_NONE)
        log_failure(LOG_WARNING, &e);
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
