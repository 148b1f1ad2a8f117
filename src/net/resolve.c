/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <uv.h>

#include "base/mem.h"

enum { NAME_MAX_LENGTH = 253 };

struct resolve {
    uv_getaddrinfo_t request;
    struct loop *loop;
    void (*done)(void *ctx, const struct resolve_answer *answer); /* NULL: cancelled */
    void *ctx;
    struct mail failed; /* deferred: it could not even be started */
    int status;
};

static void read_addresses(const struct addrinfo *list, struct resolve_answer *answer)
{
    for (const struct addrinfo *a = list; a && answer->count < RESOLVE_ADDRESSES_MAX;
         a = a->ai_next)
        if (uv_ip_name(a->ai_addr, answer->addresses[answer->count], RESOLVE_ADDRESS_MAX) == 0)
            answer->count++;
}

static void tell(struct resolve *r, const struct addrinfo *list)
{
    struct resolve_answer answer = {.failure = NULL};
    read_addresses(list, &answer);
    if (r->status || !answer.count)
        answer.failure = r->status ? uv_strerror(r->status) : "it has no address";
    if (r->done)
        r->done(r->ctx, &answer);
    loop_work_ended(r->loop);
    mem_free(r);
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct resolve *r = container_of(request, struct resolve, request);
    r->status = status;
    tell(r, list);
    uv_freeaddrinfo(list);
}

static void on_failed(struct mail *task)
{
    tell(container_of(task, struct resolve, failed), NULL);
}

struct resolve *resolve_start(struct loop *loop, struct str name,
                              void (*done)(void *ctx, const struct resolve_answer *answer),
                              void *ctx)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char text[NAME_MAX_LENGTH + 1];
    struct resolve *r = NEW(struct resolve);
    r->loop = loop;
    r->done = done;
    r->ctx = ctx;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    loop_work_began(loop);
    r->status = uv_getaddrinfo(loop_uv(loop), &r->request, on_answer, text, NULL, &hints);
    if (r->status) {
        r->failed.deliver = on_failed;
        loop_defer(loop, &r->failed);
    }
    return r;
}

void resolve_cancel(struct resolve *r)
{
    r->done = NULL;
    uv_cancel((uv_req_t *)&r->request); /* if it has begun it runs to its end */
}
