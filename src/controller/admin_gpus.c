/* SPDX-License-Identifier: Apache-2.0 */
/* The GPUs of this machine, for the status of its Node and for `fairway gpus`. What is not known is left out. */
#include <stdio.h>

#include "controller/admin_internal.h"
#include "controller/gpus.h"

static void put_reading(struct json_writer *w, struct str key, int64_t value)
{
    if (value != GPU_UNKNOWN)
        json_member_int(w, key, value);
}

static void put_text(struct json_writer *w, struct str key, const char *text)
{
    if (*text)
        json_member_str(w, key, str_from(text));
}

static void put_user(void *ctx, struct cluster_guest *g, unsigned member,
                     const struct place_lease *lease)
{
    struct json_writer *w = ctx;
    json_object(w);
    json_member_str(w, STR("name"), g->name);
    json_member_int(w, STR("member"), member);
    json_member_int(w, STR("share"), lease->milli);
    json_end(w);
}

/* Who was given it, or a part of it. */
static void put_users(const struct controller *c, struct json_writer *w, const char *uuid)
{
    json_key(w, STR("users"));
    json_array(w);
    cluster_each_on_gpu(c->cluster, uuid, put_user, w);
    json_end(w);
}

static void put_device(const struct controller *c, struct json_writer *w,
                       const struct gpu_device *d)
{
    json_object(w);
    json_member_int(w, STR("index"), d->index);
    put_text(w, STR("uuid"), d->uuid);
    put_text(w, STR("model"), d->model);
    put_reading(w, STR("memory"), d->memory);
    json_member_str(w, STR("health"), d->faulty ? STR("faulty") : STR("ok"));
    put_text(w, STR("reason"), d->reason);
    put_users(c, w, d->uuid);
    put_reading(w, STR("memoryUsed"), d->memory_used);
    put_reading(w, STR("utilisation"), d->utilisation);
    put_reading(w, STR("temperature"), d->temperature);
    if (d->power != GPU_UNKNOWN)
        json_member_double(w, STR("power"), d->power / 1000.0);
    json_end(w);
}

/* "ready", or what is the matter. */
static void put_state(struct json_writer *w, struct str key, const struct gpu_inventory *in)
{
    char text[GPU_PROBLEM_MAX + 64];
    snprintf(text, sizeof(text), "%s%s%s", gpu_state_text(in->state), in->problem[0] ? ": " : "",
             in->problem);
    json_member_str(w, key, in->simulated ? STR("simulated") : str_from(text));
}

static void put_gpus(struct controller *c, struct json_writer *w, struct str state, struct str list)
{
    struct gpu_inventory in;
    if (gpus_last(c->gpus, 0, &in)) {
        put_state(w, state, &in);
    } else {
        json_member_str(w, state, STR("not read yet"));
        in.count = 0;
    }
    json_key(w, list);
    json_array(w);
    for (int i = 0; i < in.count; i++)
        put_device(c, w, &in.devices[i]);
    json_end(w);
}

void admin_put_node_gpus(struct controller *c, struct json_writer *w)
{
    put_gpus(c, w, STR("gpuState"), STR("gpus"));
}

void admin_get_gpus(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct admin_reply r;
    admin_begin(&r);
    json_object(&r.json);
    put_gpus(c, &r.json, STR("state"), STR("items"));
    json_end(&r.json);
    admin_send(&r, x, 200);
}
