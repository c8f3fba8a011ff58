/*
 * The table of options, the one place where a setting is declared: what the
 * loader checks, the sample file shows and `slipway config` prints.
 */
#include "base/config.h"

#define MIB (UINT64_C(1) << 20)

/* 1E. An off_t holds eight times as much, so sums of a few sizes fit. */
#define SIZE_TOP (UINT64_C(1) << 60)

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* clang-format off */
const struct config_option config_options[OPT_COUNT_] = {
    [OPT_DATA] = {
        .section = "storage", .key = "data",
        .type = OPTION_PATH, .standard = "data", .min = 1,
        .help = "The private directory: the database slipway.db and, in "
                "incoming/, the uploads under way. It must be on the same "
                "filesystem as [uploads] directory, and no web server may "
                "serve it.",
    }, [OPT_DURABILITY] = {
        .section = "storage", .key = "durability",
        .type = OPTION_CHOICE, .standard = "power",
        .choices = "power process",
        .help = "What a confirmed upload survives. power: a power cut, as "
                "files reach the disk before the answer is sent. process: "
                "only the end of the program, which is faster.",
    }, [OPT_MIN_FREE_SPACE] = {
        .section = "storage",
        .key = "min_free_space",
        .type = OPTION_SIZE, .standard = "128M", .min = 0, .max = SIZE_TOP,
        .help = "Uploads are refused when less than this would stay free on "
                "the disk. 0 lets them fill it.",
    }, [OPT_UPLOADS_DIR] = {
        .section = "uploads", .key = "directory",
        .type = OPTION_PATH, .standard = "uploads", .min = 1,
        .help = "The directory that stored files go to and that the web "
                "server serves as static files. No script may run in it. It "
                "must not lie in [storage] data, nor that in it.",
    }, [OPT_UPLOADS_URL] = {
        .section = "uploads", .key = "url",
        .type = OPTION_URL, .standard = "/_upload", .min = 1,
        .help = "Where the web server serves that directory: the start of "
                "the static URL of every file. If this is not set, and the "
                ".htaccess of cgi-bin/ guards the directory, its path below "
                "the document root is used.",
    }, [OPT_MAX_FILE_SIZE] = {
        .section = "limits", .key = "max_file_size",
        .type = OPTION_SIZE, .standard = "16G", .min = 0, .max = SIZE_TOP,
        .help = "The largest file. 0 means no limit.",
    }, [OPT_MIN_FILE_SIZE] = {
        .section = "limits", .key = "min_file_size",
        .type = OPTION_SIZE, .standard = "0", .min = 0, .max = SIZE_TOP,
        .help = "The smallest file. With 0, empty files are accepted.",
    }, [OPT_MAX_FILES] = {
        .section = "limits", .key = "max_files",
        .type = OPTION_COUNT, .standard = "1000", .min = 1, .max = 10000,
        .help = "The most files in one request.",
    }, [OPT_MAX_REQUEST_SIZE] = {
        .section = "limits",
        .key = "max_request_size",
        .type = OPTION_SIZE, .standard = "0", .min = 0, .max = SIZE_TOP,
        .help = "The largest request, all files and fields together. 0 means "
                "no limit. The web server may have a limit of its own.",
    }, [OPT_MAX_FIELDS] = {
        .section = "limits", .key = "max_fields",
        .type = OPTION_COUNT, .standard = "100", .min = 0, .max = 10000,
        .help = "The most form fields beside the files in one request.",
    }, [OPT_MAX_FIELDS_SIZE] = {
        .section = "limits",
        .key = "max_fields_size",
        .type = OPTION_SIZE, .standard = "64K", .min = 0, .max = MIB,
        .help = "The most bytes in the names and values of those fields "
                "together. They are held in memory.",
    }, [OPT_ACCEPT] = {
        .section = "limits", .key = "accept",
        .type = OPTION_ACCEPT, .standard = "",
        .help = "The files that may be uploaded, by extension or by media "
                "type, as in the accept attribute of HTML. Empty means all.",
    }, [OPT_DIGEST] = {
        .section = "upload", .key = "digest",
        .type = OPTION_CHOICE, .standard = "sha256",
        .choices = "sha256 none",
        .help = "The digest to compute while a file arrives. It becomes part "
                "of the answer and lets clients check what they download.",
    }, [OPT_PROGRESS_KEEP] = {
        .section = "upload", .key = "progress_keep",
        .type = OPTION_DURATION, .standard = "15m", .min = 10, .max = 7 * DAY,
        .help = "How long the state of an upload can be asked for after its "
                "end.",
    }, [OPT_IDLE_TIMEOUT] = {
        .section = "upload", .key = "idle_timeout",
        .type = OPTION_DURATION, .standard = "60s", .min = 1, .max = HOUR,
        .help = "How long a client may send nothing before its upload is "
                "given up.",
    }, [OPT_PROTOCOLS] = {
        .section = "upload", .key = "protocols",
        .type = OPTION_WORDS, .standard = "tus ietf",
        .choices = "tus ietf filepond dropzone",
        .help = "The protocols for uploads in several requests. tus: tus "
                "1.0.0. ietf: the draft for resumable uploads over HTTP. "
                "filepond and dropzone: those of the two widgets, at "
                "/filepond and /dropzone. Forms and PUT always work.",
    }, [OPT_EXPIRE_AFTER] = {
        .section = "upload", .key = "expire_after",
        .type = OPTION_DURATION, .standard = "1d", .min = 10, .max = 366 * DAY,
        .help = "How long an unfinished resumable upload is kept after its "
                "last byte. Its end is remembered as long, and while its "
                "file is there.",
    }, [OPT_INTERIM] = {
        .section = "upload", .key = "interim",
        .type = OPTION_CHOICE, .standard = "off",
        .choices = "off on",
        .help = "Whether the ietf protocol sends interim answers (104), which "
                "tell where an upload can be resumed before it is complete. "
                "Only for web servers that pass them on: lighttpd.",
    }, [OPT_OFFLOAD] = {
        .section = "download", .key = "offload",
        .type = OPTION_CHOICE, .standard = "none",
        .choices = "none xsendfile xaccel local-redirect",
        .help = "Who sends the bytes of a download. none: slipway itself. The "
                "others hand the file to the web server: xsendfile with "
                "X-Sendfile (Apache, lighttpd), xaccel with X-Accel-Redirect "
                "(nginx), local-redirect as in RFC 3875.",
    }, [OPT_OFFLOAD_PREFIX] = {
        .section = "download",
        .key = "offload_prefix",
        .type = OPTION_URL, .standard = "", .min = 0,
        .help = "The internal location at which the web server finds [uploads] "
                "directory for xaccel and local-redirect, which need it.",
    }, [OPT_ANONYMOUS] = {
        .section = "access", .key = "anonymous",
        .type = OPTION_WORDS, .standard = "upload download",
        .choices = "upload download list delete",
        .help = "What everybody may do without signing in. Everything else "
                "is forbidden.",
    }, [OPT_PROBE_TOKEN] = {
        .section = "access", .key = "probe_token",
        .type = OPTION_TOKEN, .standard = "",
        .help = "A secret for the owner: with /status?probe=TOKEN slipway "
                "examines itself and its web server and says what is wrong. "
                "Empty: nobody can ask for that.",
    }, [OPT_MAX_THREADS] = {
        .section = "server", .key = "max_threads",
        .type = OPTION_COUNT, .standard = "2000", .min = 1, .max = 30000,
        .help = "The most requests served at once under FastCGI. Each holds "
                "one thread; further ones wait. At most half of them are "
                "streams of events.",
    }, [OPT_BODY_FILES] = {
        .section = "server", .key = "body_files",
        .type = OPTION_PATH, .standard = "", .min = 0,
        .help = "The directory in which nginx leaves request bodies as files "
                "(client_body_in_file_only), so that they are stored without "
                "being copied. It must be on the filesystem of [storage] data "
                "and belong to the same user. Empty: bodies arrive the usual "
                "way.",
    }, [OPT_LOG_LEVEL] = {
        .section = "log", .key = "level",
        .type = OPTION_CHOICE, .standard = "info",
        .choices = "error warning info debug",
        .help = "How much is written to standard error, where web servers "
                "collect it. Each level includes those before it.",
    },
};
/* clang-format on */
