/*
 * The log: one line per event on standard error, which every front server
 * collects.
 *
 *   2026-11-20T11:00:00Z error no-space req=6b00dac2-3f43-1 sentence
 *
 * Control bytes, backslashes and invalid UTF-8 in a line are written as \xNN,
 * so that nothing a client sends can forge or break a line. One write(2) per
 * line: lines of several threads and processes never mix. The number of lines
 * per request is bounded, so that a hostile request cannot fill the disk.
 */
#ifndef SLIPWAY_BASE_LOG_H
#define SLIPWAY_BASE_LOG_H

#include "base/error.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Where lines go from now on. fd stays the caller's. Call before threads. */
void log_open(int fd, enum log_level level);

/* The request this thread works for, shown in its lines; NULL for none. Also
 * starts a fresh count of lines. The string must outlive the request. */
void log_request(const char *id);

void log_write(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A failure with its code, sentence, file, limit and errno. */
void log_failure(enum log_level level, const struct error *e);

#endif
