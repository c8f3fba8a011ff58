/*
 * Every failure in slipway is a value of this type.
 *
 * A function that can fail returns an error_code and fills the struct error
 * its caller passed; ERR_NONE means success, whatever is in the struct then.
 * The code is stable: it is the last part of the problem type that clients see,
 * the word that the log carries, and the row that fixes the HTTP status.
 *
 * What the struct holds may reach the client, with one exception: sys, the
 * errno behind the failure, is for the log only. detail must therefore never
 * contain a path of the server.
 */
#ifndef SLIPWAY_BASE_ERROR_H
#define SLIPWAY_BASE_ERROR_H

#include <stdint.h>

enum error_code {
    ERR_NONE,
    ERR_BAD_REQUEST,       /* malformed target, header or parameter */
    ERR_BAD_MULTIPART,     /* body is not RFC 7578 multipart/form-data */
    ERR_BAD_NAME,          /* a file name that cannot be made safe */
    ERR_BAD_ID,            /* an id that is not of the documented form */
    ERR_TRUNCATED,         /* body ended before its announced length */
    ERR_CLIENT_GONE,       /* client or front server closed the connection */
    ERR_TIMEOUT,           /* client was silent for too long */
    ERR_FORBIDDEN,         /* the access rules do not allow it */
    ERR_NOT_FOUND,         /* no such file, upload or resource */
    ERR_METHOD,            /* resource exists, method is not for it */
    ERR_ID_IN_USE,         /* the caller chose an upload id that is taken */
    ERR_CANCELLED,         /* the upload was cancelled */
    ERR_FINISHED,          /* the upload is over already */
    ERR_BUSY,              /* another one holds the upload or the database */
    ERR_GONE,              /* cancelled, expired or failed before */
    ERR_UNFINISHED,        /* the upload is not whole yet */
    ERR_COMPLETED,         /* the upload is stored, nothing can be added */
    ERR_OFFSET,            /* not where the upload goes on */
    ERR_LENGTH_EXCEEDED,   /* more bytes than the upload's length */
    ERR_LENGTH,            /* lengths that contradict each other */
    ERR_NO_LENGTH,         /* the end of the body could be anywhere */
    ERR_CHECKSUM,          /* tus Upload-Checksum does not match */
    ERR_DIGEST,            /* RFC 9530 digest does not match */
    ERR_VERSION,           /* a tus version that is not spoken here */
    ERR_PRECONDITION,      /* RFC 9110 section 13 condition is false */
    ERR_FILE_TOO_LARGE,    /* over max_file_size */
    ERR_FILE_TOO_SMALL,    /* under min_file_size */
    ERR_TOO_MANY_FILES,    /* over max_files */
    ERR_REQUEST_TOO_LARGE, /* over max_request_size */
    ERR_TOO_MANY_FIELDS,   /* over max_fields */
    ERR_FIELDS_TOO_LARGE,  /* over max_fields_size */
    ERR_TYPE_NOT_ACCEPTED, /* not in accept */
    ERR_UNSUPPORTED,       /* content coding or form type not understood */
    ERR_RANGE,             /* RFC 9110 section 14: none satisfiable */
    ERR_NO_SPACE,          /* disk full, quota, or below the reserve */
    ERR_SHUTTING_DOWN,     /* the process is leaving */
    ERR_CONFIG,            /* configuration file or value is wrong */
    ERR_DATABASE,          /* SQLite failed, is damaged, or too new */
    ERR_IO,                /* a file operation failed */
    ERR_MEMORY,            /* no memory or descriptors, or a ceiling */
    ERR_INTERNAL,          /* an invariant does not hold */
    ERR_COUNT_             /* number of codes; not a code */
};

enum { ERROR_FILE_MAX = 256, ERROR_DETAIL_MAX = 384 };

struct error {
    enum error_code code;          /* what happened */
    const char *limit;             /* static name of the option hit, or NULL */
    uint64_t limit_value;          /* its value, in bytes or a count */
    const char *limit_text;        /* its value where that is not a number */
    uint64_t expected_offset;      /* of ERR_OFFSET: where an upload goes on */
    uint64_t provided_offset;      /* and where the client wanted to */
    char file[ERROR_FILE_MAX];     /* client's name of the file concerned */
    char detail[ERROR_DETAIL_MAX]; /* one sentence for the user, UTF-8 */
    int sys;                       /* errno for the log, 0 if none */
};

/* Fill e (which may be NULL) with a code and a printf-style sentence; the
 * other members are cleared. Returns code, so that `return error_set(...)`
 * reads well. */
enum error_code error_set(struct error *e, enum error_code code,
                          const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a limit that was hit. limit must be a string literal. */
enum error_code error_limit(struct error *e, enum error_code code,
                            const char *limit, uint64_t value, const char *fmt,
                            ...) __attribute__((format(printf, 5, 6)));

/* ERR_OFFSET: the upload goes on at expected, the client said provided. */
enum error_code error_offset(struct error *e, uint64_t expected,
                             uint64_t provided);

/* The same for a failed system call: maps sys (an errno) to ERR_NO_SPACE,
 * ERR_FILE_TOO_LARGE, ERR_MEMORY or ERR_IO and keeps it for the log. what
 * says what was being done, without any path. */
enum error_code error_errno(struct error *e, int sys, const char *what);

/* Note the client's name of the file concerned; cut at a UTF-8 boundary. */
void error_file(struct error *e, const char *name);

int error_status(enum error_code code);         /* HTTP status */
const char *error_slug(enum error_code code);   /* "file-too-large" */
const char *error_title(enum error_code code);  /* "File too large" */
const char *error_remedy(enum error_code code); /* what to do, or "" */

#endif
