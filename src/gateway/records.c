/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/records.h"

#include "base/clock.h"
#include "base/mem.h"

void records_init(struct records *r)
{
    pthread_mutex_init(&r->mutex, NULL);
    r->ring = mem_array(RECORDS_MAX, sizeof(struct record));
    r->next = 1;
}

void records_fini(struct records *r)
{
    mem_free(r->ring);
    pthread_mutex_destroy(&r->mutex);
}

static struct record *place(struct records *r, uint64_t number)
{
    return &r->ring[number % RECORDS_MAX];
}

uint64_t records_add(struct records *r, const struct record *first)
{
    pthread_mutex_lock(&r->mutex);
    uint64_t number = r->next++;
    *place(r, number) = *first;
    place(r, number)->number = number;
    pthread_mutex_unlock(&r->mutex);
    return number;
}

struct record *records_lock(struct records *r, uint64_t number)
{
    pthread_mutex_lock(&r->mutex);
    struct record *record = place(r, number);
    if (record->number == number)
        return record;
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

void records_unlock(struct records *r)
{
    pthread_mutex_unlock(&r->mutex);
}

struct record *records_find(struct records *r, struct str id)
{
    pthread_mutex_lock(&r->mutex);
    for (uint64_t n = r->next - 1; n > 0 && place(r, n)->number == n; n--)
        if (str_eq(str_from(place(r, n)->id), id))
            return place(r, n);
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

size_t records_newest(struct records *r, struct record *ret_records, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&r->mutex);
    for (uint64_t n = r->next - 1; n > 0 && place(r, n)->number == n && count < max; n--)
        ret_records[count++] = *place(r, n);
    pthread_mutex_unlock(&r->mutex);
    return count;
}

/* ---- as JSON ---- */

static void put_seconds(struct json_writer *w, struct str key, nsec time)
{
    json_member_double(w, key, nsec_to_seconds(time));
}

static void put_queue(struct json_writer *w, const struct record *r)
{
    if (r->state != RECORD_WAITING && r->attempts == 0)
        return;
    json_key(w, STR("queue"));
    json_object(w);
    if (r->state == RECORD_WAITING) {
        json_member_u64(w, STR("position"), r->position);
        if (r->expected_wait != NSEC_NEVER)
            put_seconds(w, STR("expectedWait"), r->expected_wait);
    }
    if (r->attempts) {
        json_member_u64(w, STR("positionAtArrival"), r->queue.position);
        json_member_u64(w, STR("othersServed"), r->queue.others_served);
        json_member_u64(w, STR("tenantsWaiting"), r->queue.tenants_waiting);
        json_member_double(w, STR("tenantCounter"), (double)r->queue.counter / 1000);
    }
    json_end(w);
}

static void put_attempts(struct json_writer *w, const struct record *r)
{
    json_key(w, STR("attempts"));
    json_array(w);
    for (unsigned i = 0; i < MIN(r->attempts, (unsigned)RECORD_ATTEMPTS_MAX); i++) {
        const struct record_attempt *a = &r->attempt[i];
        json_object(w);
        json_member_u64(w, STR("replica"), a->replica);
        json_member_int(w, STR("candidates"), a->candidates);
        if (a->hedge)
            json_member_bool(w, STR("hedge"), true);
        put_seconds(w, STR("dispatched"), a->dispatched);
        if (a->outcome) {
            put_seconds(w, STR("ended"), a->ended);
            json_member_str(w, STR("outcome"), str_from(a->outcome));
        }
        if (a->status)
            json_member_int(w, STR("status"), a->status);
        json_end(w);
    }
    json_end(w);
}

static void put_usage(struct json_writer *w, const struct record *r)
{
    json_key(w, STR("usage"));
    json_object(w);
    json_member_u64(w, STR("inputTokens"), r->input_tokens);
    json_member_u64(w, STR("cachedTokens"), r->cached_tokens);
    json_member_u64(w, STR("outputTokens"), r->output_tokens);
    json_member_double(w, STR("cost"), (double)r->cost / 1e6);
    json_member_bool(w, STR("reported"), r->usage_reported);
    json_end(w);
}

void record_write(const struct record *r, struct json_writer *w)
{
    static const char *const states[] = {"waiting", "running", "ended"};
    static const char *const bands[] = {"high", "normal", "low"};
    char arrived[CLOCK_RFC3339_MAX];
    json_member_str(w, STR("id"), str_from(r->id));
    json_member_str(w, STR("tenant"), str_from(r->tenant));
    json_member_str(w, STR("model"), str_from(r->model));
    if (r->asked[0])
        json_member_str(w, STR("askedModel"), str_from(r->asked));
    json_member_str(w, STR("state"), str_from(states[r->state]));
    json_member_str(w, STR("priority"), str_from(bands[r->band]));
    json_member_bool(w, STR("stream"), r->stream);
    json_member_str(w, STR("arrived"), str_from(clock_rfc3339(r->arrived_wall, arrived)));
    if (r->attempts || r->state == RECORD_ENDED)
        put_seconds(w, STR("waited"), r->waited);
    if (r->first_chunk)
        put_seconds(w, STR("firstChunk"), r->first_chunk);
    if (r->state == RECORD_ENDED) {
        put_seconds(w, STR("took"), r->took);
        json_member_int(w, STR("status"), r->status);
        put_usage(w, r);
    }
    if (r->reason)
        json_member_str(w, STR("reason"), str_from(r->reason));
    put_queue(w, r);
    put_attempts(w, r);
}
