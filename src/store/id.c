/*
 * Making and recognising ids. No state.
 */
#include "store/id.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char chosen[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz0123456789_-";

enum error_code id_new(char out[ID_LENGTH + 1], struct error *e)
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return error_errno(e, errno, "Drawing a random id");
    text_base32_16(out, bytes);
    return ERR_NONE;
}

bool id_is_generated(const char *s)
{
    return strlen(s) == ID_LENGTH && strspn(s, base32) == ID_LENGTH;
}

bool id_is_upload(const char *s)
{
    size_t len = strlen(s);

    return len >= UPLOAD_ID_MIN && len <= UPLOAD_ID_MAX &&
           strspn(s, chosen) == len;
}
