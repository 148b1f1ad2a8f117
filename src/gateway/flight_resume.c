/* SPDX-License-Identifier: Apache-2.0 */
/* Exact continuation: a stream whose replica broke off goes on, on another one, with the next token. */
#include "base/log.h"
#include "gateway/body_edit.h"
#include "gateway/flight_internal.h"
#include "observe/metrics.h"

enum { RESUME_TEXT_MAX = 4 * 1024 * 1024 };

/* The request as it was first sent, and how far it came. */
static void write_body(struct flight *f)
{
    struct str body = flight_body(f);
    struct body_edits edits = {.count = 0};
    struct buf progress;
    buf_init(&progress, RESUME_TEXT_MAX);
    openai_resume_write(&f->resume, &progress);
    body_edit(&edits, body, str_sub(str_trim(body), 1, 1), buf_str(&progress));
    buf_fini(&f->resumed);
    f->resumed = body_edits_apply(&edits, body);
    buf_fini(&progress);
}

/* Only the words that end it are missing. */
static void end_finished(struct flight *f)
{
    flight_record_left(f->call, "broke off behind its last chunk");
    flight_settle(f);
    model_pool_finish(f->pool, &f->ticket, ROUTE_FAILED);
    flight_send_chunk(f, STR("data: [DONE]\n\n"));
    flight_send_end(f);
    flight_end(f);
}

bool flight_resume(struct flight *f)
{
    if (!f->resumable || !openai_resume_possible(&f->resume))
        return false;
    log_warn("replica failed in mid-stream, another goes on", log_str("id", f->id),
             log_text("model", model_pool_name(f->pool)), log_int("run", flight_run(f->call)),
             log_int("shown", (int64_t)f->resume.shown));
    metric_add(flight_meters(f)->resumed_streams, 1);
    if (f->resume.finished) {
        end_finished(f);
        return true;
    }
    write_body(f);
    f->resumptions++;
    buf_clear(&f->call->held);
    flight_move(f, FLIGHT_WAITING);
    flight_record_left(f->call, "broke off; another goes on");
    loop_timer_start(f->worker->loop, &f->keepalive, f->worker->options->keepalive);
    flight_settle(f);
    model_pool_continue(f->pool, &f->ticket);
    return true;
}
