/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's command line and environment, in one table: a flag wins over its environment name,
 * that over the default.
 *
 * Ownership: texts are borrowed from argv and the environment. Thread rule: at the start of the
 * program.
 */
#ifndef FAIRWAY_ENGINE_CONFIG_H
#define FAIRWAY_ENGINE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "engine/sim_profile.h"

struct engine_config {
    struct str model; /* path; ptr NULL when simulated */
    struct str name;
    struct str host;
    uint64_t port;
    uint64_t slots;     /* sequences that run at a time */
    uint64_t queue_max; /* sequences that wait */
    uint64_t length_max;
    uint64_t kv_total;    /* cells; 0: as many as the model's memory budget holds */
    uint64_t prefill_max; /* prompt tokens per step */
    uint64_t micro_batch;
    uint64_t threads; /* 0: one less than there are cores */
    uint64_t gpus;    /* TENSOR_PARALLEL_SIZE; 0: not said */
    double gpu_memory;
    nsec step_target, drain_timeout;
    enum log_format log_format;
    enum log_level log_level;
    bool simulated;
    struct sim_profile profile;
    bool help, version; /* asked for: nothing else is checked */
};

/* ERR_INVALID with a message that names the flag or variable and the way out. */
[[nodiscard]] int engine_config_read(int argc, char **argv, struct engine_config *ret_config,
                                     struct err *err);

void engine_config_help(struct buf *out);

#endif
