/* The types of the contract, as include/hasty.h must define them (documented there). layout.c compares the two. */
#include <stddef.h>
#include <stdint.h>
typedef int32_t hasty_status;
enum { HASTY_OK = 0, HASTY_ERR_NULL = 1, HASTY_ERR_INVALID = 2, HASTY_ERR_STATE = 3, HASTY_ERR_IO = 4, HASTY_ERR_CLOSED = 5, HASTY_ERR_TIMEOUT = 6,
       HASTY_ERR_PANIC = 7, HASTY_ERR_LIMIT = 8, HASTY_ERR_NOT_FOUND = 9, HASTY_ERR_UNSUPPORTED = 10, HASTY_NEXT = 100 };
enum { HASTY_METHOD_OTHER = 0, HASTY_GET = 1, HASTY_HEAD = 2, HASTY_POST = 3, HASTY_PUT = 4, HASTY_DELETE = 5, HASTY_CONNECT = 6, HASTY_OPTIONS = 7, HASTY_TRACE = 8, HASTY_PATCH = 9 };
enum { HASTY_KIND_TEXT = 0, HASTY_KIND_HTML = 1, HASTY_KIND_JSON = 2, HASTY_KIND_BYTES = 3, HASTY_KIND_FILE = 4, HASTY_KIND_NONE = 5 };
enum { HASTY_LOG_ERROR = 1, HASTY_LOG_WARN = 2, HASTY_LOG_INFO = 3, HASTY_LOG_DEBUG = 4 };
enum { HASTY_JSON_NULL = 0, HASTY_JSON_BOOL = 1, HASTY_JSON_NUMBER = 2, HASTY_JSON_STRING = 3, HASTY_JSON_ARRAY = 4, HASTY_JSON_OBJECT = 5 };
#define HASTY_NONE UINT32_MAX      /* literally zero, none or off, where 0 means the default */
#define HASTY_NONE64 UINT64_MAX
/* constants may be #defines or anonymous enums */

typedef struct hasty_app hasty_app;            /* owned by you */
typedef struct hasty_request hasty_request;    /* borrowed */
typedef struct hasty_response hasty_response;  /* borrowed */
typedef struct hasty_exchange hasty_exchange;  /* owned: one request and the answer you owe */
typedef struct hasty_json hasty_json;          /* owned, or borrowed from a request */

typedef struct hasty_str { const char *data; size_t len; } hasty_str;   /* data NULL = absent */

typedef struct hasty_options {
    size_t size;
    uint64_t max_body_bytes;
    uint32_t threads, max_connections, max_connections_per_ip, max_header_bytes, max_headers, max_target_bytes;
    uint32_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms, exchange_timeout_ms, max_requests_per_connection;
    const char *server_header;
} hasty_options;

typedef struct hasty_cors {            /* comma-separated lists; NULL = the default */
    size_t size;
    const char *origins, *methods, *headers, *expose;
    uint32_t max_age_s;
    int32_t credentials, private_network;
    uint32_t reserved;
} hasty_cors;

typedef struct hasty_static {
    size_t size;
    const char *index, *fallback, *cache_control;   /* "index.html"; none; none */
    int32_t list, dotfiles;
} hasty_static;

typedef struct hasty_cookie {
    size_t size;
    const char *path, *domain, *same_site;          /* "/"; none; "Lax" */
    int64_t max_age_s;                              /* 0 = session */
    int32_t secure, script_visible;                 /* HttpOnly unless script_visible */
} hasty_cookie;

typedef struct hasty_file {                         /* one file part of a multipart body */
    size_t size;
    hasty_str name, filename, content_type, data;   /* data absent when spooled */
    const char *path;                               /* the spool file, gone with the request; NULL when in memory */
    uint64_t length;
} hasty_file;

typedef struct hasty_access {                       /* one finished request */
    size_t size;
    hasty_str method, target, route, remote_address, user_agent, referer, id;
    uint64_t bytes_in, bytes_out, duration_us;
    int64_t time_us;
    int32_t status;
    uint32_t reserved;
} hasty_access;

typedef struct hasty_slot {                         /* one per worker thread, at a fixed address */
    size_t size;
    hasty_app *app;
    uint64_t ticket;                                /* 0 = no answer owed */
    int32_t route, method;
    void *user_data;                                /* the route's */
    const hasty_request *request;                   /* everything else, read when asked for */
    const char *method_text, *path, *query, *params, *header_names, *header_values;
    uint64_t path_len, query_len, params_len, header_count;
    const uint8_t *body;
    uint64_t body_len;
    int32_t status, kind;                           /* the answer, preset to 200, text, empty */
    const char *content_type, *extra_headers;
    uint64_t extra_headers_len;
    const uint8_t *reply;
    uint64_t reply_len;
} hasty_slot;

typedef hasty_status (*hasty_handler)(const hasty_request *req, hasty_response *res, void *user_data);
typedef void    (*hasty_drop)(void *user_data);
typedef void    (*hasty_notify_fn)(void *user_data);
typedef void    (*hasty_log_fn)(int32_t level, const hasty_str *message, void *user_data);
typedef void    (*hasty_access_fn)(const hasty_access *record, void *user_data);
typedef int32_t (*hasty_allow_fn)(const hasty_str *key, void *user_data);
