/*
 * The configuration: one table of options (section, key, type, range,
 * default, help), filled from one ini file through iniparser.
 *
 * Everything is checked when it is loaded; afterwards a config is read-only
 * and may be used by all threads. An unknown section or key, a bad value, a
 * value out of range or a key given twice is an error that names the file,
 * the line, the key and what is allowed; no value is silently replaced.
 */
#ifndef SLIPWAY_BASE_CONFIG_H
#define SLIPWAY_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum option_id {
    OPT_DATA,             /* [storage] data */
    OPT_DURABILITY,       /* [storage] durability */
    OPT_MIN_FREE_SPACE,   /* [storage] min_free_space */
    OPT_UPLOADS_DIR,      /* [uploads] directory */
    OPT_UPLOADS_URL,      /* [uploads] url */
    OPT_MAX_FILE_SIZE,    /* [limits] max_file_size */
    OPT_MIN_FILE_SIZE,    /* [limits] min_file_size */
    OPT_MAX_FILES,        /* [limits] max_files */
    OPT_MAX_REQUEST_SIZE, /* [limits] max_request_size */
    OPT_MAX_FIELDS,       /* [limits] max_fields */
    OPT_MAX_FIELDS_SIZE,  /* [limits] max_fields_size */
    OPT_ACCEPT,           /* [limits] accept */
    OPT_DIGEST,           /* [upload] digest */
    OPT_PROGRESS_KEEP,    /* [upload] progress_keep */
    OPT_IDLE_TIMEOUT,     /* [upload] idle_timeout */
    OPT_PROTOCOLS,        /* [upload] protocols */
    OPT_EXPIRE_AFTER,     /* [upload] expire_after */
    OPT_INTERIM,          /* [upload] interim */
    OPT_OFFLOAD,          /* [download] offload */
    OPT_OFFLOAD_PREFIX,   /* [download] offload_prefix */
    OPT_ANONYMOUS,        /* [access] anonymous */
    OPT_PROBE_TOKEN,      /* [access] probe_token */
    OPT_MAX_THREADS,      /* [server] max_threads */
    OPT_BODY_FILES,       /* [server] body_files */
    OPT_LOG_LEVEL,        /* [log] level */
    OPT_COUNT_
};

/* The words of some options, in their order. */
enum durability { DURABILITY_POWER, DURABILITY_PROCESS };
enum digest_choice { DIGEST_SHA256, DIGEST_NONE };
enum offload { OFFLOAD_NONE, OFFLOAD_XSENDFILE, OFFLOAD_XACCEL, OFFLOAD_LOCAL };

enum option_type {
    OPTION_PATH,     /* a path; relative ones count from the directory of the
                        ini file, without one from that of the executable */
    OPTION_URL,      /* the path of a URL: starts with a slash, ends without;
                        empty where min is 0 */
    OPTION_SIZE,     /* bytes, with K M G T P E (powers of 1024) */
    OPTION_COUNT,    /* a plain number */
    OPTION_DURATION, /* seconds, with s m h d */
    OPTION_CHOICE,   /* one word of a list */
    OPTION_WORDS,    /* several words of a list, separated by blanks */
    OPTION_ACCEPT,   /* a list as in HTML's accept attribute */
    OPTION_TOKEN     /* a secret for URLs, or empty */
};

struct config_option {
    const char *section;   /* ini section */
    const char *key;       /* ini key */
    enum option_type type; /* how the value is read */
    const char *standard;  /* default, written as in the file */
    uint64_t min, max;     /* range of numbers, inclusive; min 1: not empty */
    const char *choices;   /* words separated by blanks, or NULL */
    const char *help;      /* one or more sentences, plain text */
};

/* The table, OPT_COUNT_ rows in the order of the sample file. */
extern const struct config_option config_options[OPT_COUNT_];

struct config;

/* Load path; NULL means defaults only. On failure NULL and e says why, naming
 * the file without its directory. Not thread-safe, because iniparser is not:
 * call it before threads start. */
struct config *config_load(const char *path, struct error *e);
void config_free(struct config *c);

/* Path, URL, accept list and token: the value, absolute for a path, "" if
 * empty. */
const char *config_text(const struct config *c, enum option_id id);
/* Size (bytes), count, duration (seconds). */
uint64_t config_number(const struct config *c, enum option_id id);
/* Choice: the index of the chosen word in the option's choices. Words: a bit
 * set of those indices. */
unsigned config_choice(const struct config *c, enum option_id id);

/* Whether the file gives the option, be it with the default's value. */
bool config_is_set(const struct config *c, enum option_id id);

/* The directory that relative paths count from, absolute and without symbolic
 * links. */
const char *config_directory(const struct config *c);

/* The name of the ini file in that directory, NULL for defaults only. */
const char *config_file(const struct config *c);

/* `slipway config`: each option as in the file, with a comment that says
 * where the value came from (default, or file and line). */
void config_print(const struct config *c, FILE *out);

/* The sample file: every option with help, allowed values and default,
 * commented out. cgi-bin/slipway.ini is exactly this; a unit test compares
 * them. */
void config_print_sample(FILE *out);

/* The same list in mdoc(7), for slipway.ini(5). */
void config_print_manual(FILE *out);

/* The path of the ini file: flag if not NULL, else the environment variable
 * SLIPWAY_CONFIG, else slipway.ini next to the executable if that exists,
 * else NULL (also if there is no memory). The result is owned by the
 * caller. */
char *config_find(const char *flag);

#endif
