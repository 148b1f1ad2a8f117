/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"

enum option_type { OPTION_TEXT, OPTION_COUNT, OPTION_SHARE, OPTION_DURATION, OPTION_WORD };

struct option {
    const char *flag, *variable; /* either may be NULL */
    const char *value;           /* its name in the help */
    enum option_type type;
    size_t offset;
    uint64_t least, most; /* OPTION_COUNT */
    const char *standard; /* default, as text; NULL: none */
    const char *help;
};

#define AT(member) offsetof(struct engine_config, member)

static const struct option options[] = {
    {"--model", "MODEL_PATH", "FILE", OPTION_TEXT, AT(model), 0, 0, NULL, "GGUF file to serve"},
    {"--simulate", NULL, "PROFILE", OPTION_WORD, AT(profile), 0, 0, NULL,
     "serve a simulated model instead (keys below; \"\" for the defaults)"},
    {"--name", "MODEL_NAME", "NAME", OPTION_TEXT, AT(name), 0, 0, NULL,
     "the model's name in the API (default: the file's)"},
    {"--host", NULL, "ADDRESS", OPTION_TEXT, AT(host), 0, 0, "127.0.0.1",
     "address to listen on, or unix:/PATH"},
    {"--port", NULL, "N", OPTION_COUNT, AT(port), 0, 65535, "8000",
     "port; 0 takes a free one, which the log names"},
    {"--slots", "MAX_CONCURRENT_REQUESTS", "N", OPTION_COUNT, AT(slots), 1, 256, "32",
     "sequences that are computed at a time"},
    {"--queue", NULL, "N", OPTION_COUNT, AT(queue_max), 1, 1000000, "4096",
     "sequences that may wait for a slot"},
    {"--context", "MAX_MODEL_LEN", "N", OPTION_COUNT, AT(length_max), 16, 1 << 24, "4096",
     "tokens of prompt and answer together"},
    {"--kv", NULL, "N", OPTION_COUNT, AT(kv_total), 0, 1u << 30, "0",
     "KV cells in all; 0: slots x context if 512 MiB hold that, else what 512 MiB hold"},
    {"--batch", NULL, "N", OPTION_COUNT, AT(prefill_max), 1, 65536, "128",
     "prompt tokens per step, when nobody generates"},
    {"--micro-batch", NULL, "N", OPTION_COUNT, AT(micro_batch), 1, 4096, "32",
     "tokens per pass of the kernels; answers repeat exactly only under 64 (CPU)"},
    {"--step", NULL, "DURATION", OPTION_DURATION, AT(step_target), 0, 0, "250ms",
     "how long a step may take while somebody generates"},
    {"--threads", NULL, "N", OPTION_COUNT, AT(threads), 0, 1024, "0",
     "threads that compute; 0: one less than there are cores"},
    {"--drain-timeout", NULL, "DURATION", OPTION_DURATION, AT(drain_timeout), 0, 0, "30s",
     "on SIGTERM, time for running requests to end"},
    {NULL, "GPU_MEMORY_UTILIZATION", "SHARE", OPTION_SHARE, AT(gpu_memory), 0, 0, "0.9",
     "share of each GPU's memory to use (no effect without a GPU)"},
    {NULL, "TENSOR_PARALLEL_SIZE", "N", OPTION_COUNT, AT(gpus), 0, 1024, "0",
     "GPUs that share the model (no effect without a GPU)"},
    {"--log-format", "LOG_FORMAT", "FORMAT", OPTION_WORD, AT(log_format), 0, 0, "logfmt",
     "logfmt or json"},
    {"--log-level", "LOG_LEVEL", "LEVEL", OPTION_WORD, AT(log_level), 0, 0, "info",
     "debug, info, warn or error"},
};

/* Words that are read by another module's parser. */
static int read_word(const struct option *o, struct str text, struct engine_config *config,
                     struct err *err)
{
    if (o->offset == AT(profile)) {
        config->simulated = true;
        return sim_profile_parse(text, &config->profile, err);
    }
    if (o->offset == AT(log_format))
        return log_format_parse(text, &config->log_format);
    return log_level_parse(text, &config->log_level);
}

static int store(const struct option *o, struct str text, struct engine_config *config,
                 struct err *err)
{
    void *member = (char *)config + o->offset;
    uint64_t count;
    double share;
    switch (o->type) {
    case OPTION_TEXT:
        *(struct str *)member = text;
        return text.len > 0 ? 0 : ERR_INVALID;
    case OPTION_COUNT:
        if (str_to_u64(text, &count) || count < o->least || count > o->most)
            return err_set(err, ERR_INVALID, "expected a whole number from %llu to %llu",
                           (unsigned long long)o->least, (unsigned long long)o->most);
        *(uint64_t *)member = count;
        return 0;
    case OPTION_SHARE:
        if (str_to_double(text, &share) || share <= 0 || share > 1)
            return err_set(err, ERR_INVALID, "expected a share above 0, at most 1");
        *(double *)member = share;
        return 0;
    case OPTION_DURATION:
        return nsec_parse(text, member);
    case OPTION_WORD:
        return read_word(o, text, config, err);
    }
    return ERR_INVALID;
}

static int set(const struct option *o, const char *source, const char *text,
               struct engine_config *config, struct err *err)
{
    struct err inner = {0};
    if (store(o, str_from(text), config, &inner) == 0)
        return 0;
    return err_set(err, ERR_INVALID, "%s: \"%.100s\": %s", source, text,
                   inner.code ? inner.message : o->help);
}

static int set_defaults(struct engine_config *config, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];
        const char *value = o->variable ? getenv(o->variable) : NULL;
        int error = 0;
        if (o->standard)
            error = set(o, "default", o->standard, config, err);
        if (!error && value && *value)
            error = set(o, o->variable, value, config, err);
        if (error)
            return error;
    }
    return 0;
}

/* The flag that an argument is, with its value after '=' or in the next argument. */
static int read_argument(int argc, char **argv, int *at, struct engine_config *config,
                         struct err *err)
{
    struct str argument = str_from(argv[*at]);
    struct str flag = str_sub(argument, 0, str_find_char(argument, '='));
    if (str_eq(argument, STR("--help")) || str_eq(argument, STR("-h"))) {
        config->help = true;
        return 0;
    }
    if (str_eq(argument, STR("--version"))) {
        config->version = true;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];
        if (!o->flag || !str_eq(str_from(o->flag), flag))
            continue;
        if (flag.len < argument.len)
            return set(o, o->flag, argument.ptr + flag.len + 1, config, err);
        if (*at + 1 == argc)
            return err_set(err, ERR_INVALID, "%s needs a value: %s", o->flag, o->help);
        return set(o, o->flag, argv[++*at], config, err);
    }
    return err_set(err, ERR_INVALID, "unknown argument %.*s (see --help)", STR_ARG(flag));
}

/* "models/chat.Q4_1.gguf" is called "chat.Q4_1". */
static struct str stem(struct str path)
{
    size_t slash = path.len;
    while (slash > 0 && path.ptr[slash - 1] != '/')
        slash--;
    struct str name = str_sub(path, slash, path.len);
    return str_ends(name, STR(".gguf")) ? str_sub(name, 0, name.len - 5) : name;
}

static int complete(struct engine_config *config, struct err *err)
{
    if (config->simulated) {
        if (!config->name.ptr)
            config->name = STR("simulated");
        if (config->profile.slots == 0)
            config->profile.slots = config->slots;
        config->slots = config->profile.slots;
    } else if (!config->model.ptr) {
        return err_set(err, ERR_INVALID,
                       "no model: give --model FILE.gguf (or MODEL_PATH), or --simulate PROFILE");
    } else if (!config->name.ptr) {
        config->name = stem(config->model);
    }
    if (config->threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        config->threads = cores > 2 ? (uint64_t)cores - 1 : 1;
    }
    return 0;
}

int engine_config_read(int argc, char **argv, struct engine_config *ret_config, struct err *err)
{
    struct engine_config config = {0};
    int error = set_defaults(&config, err);
    for (int i = 1; i < argc && !error; i++)
        error = read_argument(argc, argv, &i, &config, err);
    if (!error && !config.help && !config.version)
        error = complete(&config, err);
    if (!error)
        *ret_config = config;
    return error;
}

void engine_config_help(struct buf *out)
{
    buf_put(out, STR("usage: fairway-engine --model FILE.gguf [options]\n"
                     "       fairway-engine --simulate PROFILE [options]\n\n"
                     "Serves one model over the OpenAI API.\n\n"));
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];
        char head[64];
        snprintf(head, sizeof(head), "%s %s", o->flag ? o->flag : o->variable, o->value);
        buf_printf(out, "  %-24s %s", head, o->help);
        if (o->standard && strcmp(o->standard, "0") != 0)
            buf_printf(out, " (%s)", o->standard);
        if (o->flag && o->variable)
            buf_printf(out, " [%s]", o->variable);
        buf_put_char(out, '\n');
    }
    buf_put(out, STR("  --help, --version\n\n"
                     "A name in brackets is the environment variable that says the same.\n\n"
                     "Keys of PROFILE (key=value,...):\n"));
    buf_put(out, str_from(sim_profile_help));
}
