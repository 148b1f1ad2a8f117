/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured logging: one event a line, as logfmt or JSON, to one file descriptor (stderr by
 * default).
 *
 *   log_info("replica ready", log_str("model", name), log_int("port", port), log_dur("took",
 * elapsed));
 *
 * Services only: src/core and libraries do not log (checked). Prompts and keys are never logged.
 * Each line is one write(), so lines of several threads or processes do not mix. Any thread.
 */
#ifndef FAIRWAY_BASE_LOG_H
#define FAIRWAY_BASE_LOG_H

#include "base/check.h"
#include "base/str.h"
#include "base/time.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum log_kind {
    LOG_FIELD_STR,
    LOG_FIELD_INT,
    LOG_FIELD_DOUBLE,
    LOG_FIELD_DURATION,
    LOG_FIELD_BOOL
};

struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        struct str text;
        int64_t integer;
        double number;
        nsec duration;
        bool boolean;
    };
};

/* Set once at the start of a program, before there are threads. */
void log_setup(enum log_level least, enum log_format format, int fd);
bool log_enabled(enum log_level level);
[[nodiscard]] int log_level_parse(struct str name, enum log_level *ret_level);
[[nodiscard]] int log_format_parse(struct str name, enum log_format *ret_format);

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

static inline struct log_field log_text(const char *key, struct str value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_STR, .text = value};
}
static inline struct log_field log_str(const char *key, const char *value)
{
    return log_text(key, str_from(value));
}
static inline struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_INT, .integer = value};
}
static inline struct log_field log_double(const char *key, double value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_DOUBLE, .number = value};
}
static inline struct log_field log_dur(const char *key, nsec value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_DURATION, .duration = value};
}
static inline struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_BOOL, .boolean = value};
}

#define LOG_AT(level, event, ...)                                                          \
    do {                                                                                   \
        if (log_enabled(level)) {                                                          \
            const struct log_field log_fields_[] = {log_bool(NULL, false), ##__VA_ARGS__}; \
            log_write(level, event, log_fields_ + 1, ARRAY_LEN(log_fields_) - 1);          \
        }                                                                                  \
    } while (0)

#define log_debug(event, ...) LOG_AT(LOG_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_INFO, event, ##__VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_WARN, event, ##__VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_ERROR, event, ##__VA_ARGS__)

#endif
