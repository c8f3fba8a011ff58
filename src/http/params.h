/*
 * Header values of the form `value; name=token; name="quoted string"`
 * (RFC 9110 section 5.6): Content-Type and Content-Disposition.
 *
 * Pure; nothing is allocated, results go to the caller's buffers.
 */
#ifndef SLIPWAY_HTTP_PARAMS_H
#define SLIPWAY_HTTP_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

/* The part before the first ';', in lower case without surrounding blanks.
 * false if it is empty or longer than cap - 1. */
bool params_value(const char *header, char *out, size_t cap);

enum params_result { PARAMS_ABSENT, PARAMS_FOUND, PARAMS_BAD };

/* Find one parameter by its case-insensitive name. PARAMS_BAD if the header
 * is malformed anywhere, the parameter occurs twice, or its value does not
 * fit into cap - 1 bytes or contains a control byte. Quoted pairs are
 * unescaped.
 *
 * Browsers write a file name as %22, %0D and %0A for the three bytes they
 * must escape (WHATWG HTML, multipart/form-data encoding); decoding that is
 * for the multipart parser, not done here. */
enum params_result params_get(const char *header, const char *name, char *out,
                              size_t cap);

#endif
