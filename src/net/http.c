/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

struct str http_header_get(const struct http_headers *headers, struct str name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (str_eq_nocase(headers->items[i].name, name))
            return headers->items[i].value;
    return STR_NONE;
}

struct http_limits http_limits_default(void)
{
    return (struct http_limits){
        .head_max = 32 * 1024,
        .target_max = 8 * 1024,
        .body_max = 32 * 1024 * 1024,
        .head_timeout = SEC(10),
        .body_timeout = SEC(30),
        .idle_timeout = SEC(75),
        .write_timeout = SEC(60),
        .write_high_water = 256 * 1024,
        .connections_max = 20000,
        .streams_max = 100,
        .buffered_max = 64 * 1024 * 1024,
        .resets_burst = 200,
        .resets_per_sec = 33,
    };
}

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}
