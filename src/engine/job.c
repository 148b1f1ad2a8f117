/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/job.h"

#include "base/mem.h"

/* Stop strings with their tables, and biases. */
enum { JOB_ARENA_CAP = 256 << 10, JOB_NEWS_TEXT_MAX = 4 << 20 };

static int copy_params(struct job *job, const struct job_params *params)
{
    struct sampler_params *s = &job->params.sampling;
    size_t size = s->bias_count * sizeof(struct sampler_bias);
    struct sampler_bias *biases = arena_alloc(&job->arena, size);
    if (!biases)
        return ERR_NO_MEMORY;
    if (size)
        memcpy(biases, params->sampling.biases, size);
    s->biases = biases;
    job->params.stops = NULL; /* answer_init copies them */
    return answer_init(&job->answer, &job->arena, params->stops, params->stop_count);
}

int job_new(const struct job_params *params, const int32_t *prompt, size_t count,
            uint32_t length_max, struct job **ret_job)
{
    CHECK(count > 0 && count <= length_max);
    struct job *job = NEW(struct job);
    job->params = *params;
    job->prompt_count = job->count = (uint32_t)count;
    job->params.max_tokens = MIN(params->max_tokens, length_max - job->count);
    job->tokens = mem_array(count + job->params.max_tokens + 1, sizeof(job->tokens[0]));
    memcpy(job->tokens, prompt, count * sizeof(prompt[0]));
    list_init(&job->link);
    arena_init(&job->arena, JOB_ARENA_CAP);
    buf_init(&job->outbox.text, JOB_NEWS_TEXT_MAX);
    buf_init(&job->taken.text, JOB_NEWS_TEXT_MAX);
    int error = copy_params(job, params);
    if (error) {
        job_free(job);
        return error;
    }
    if (params->sampling.frequency_penalty != 0 || params->sampling.presence_penalty != 0)
        job->seen = mem_array(job->params.max_tokens + 1, sizeof(job->seen[0]));
    *ret_job = job;
    return 0;
}

static void outbox_fini(struct job_outbox *box)
{
    buf_fini(&box->text);
    mem_free(box->tokens);
}

void job_free(struct job *job)
{
    outbox_fini(&job->outbox);
    outbox_fini(&job->taken);
    answer_fini(&job->answer);
    arena_fini(&job->arena);
    mem_free(job->tokens);
    mem_free(job->seen);
    mem_free(job->vector);
    mem_free(job);
}

void job_push(struct job *job, int32_t token)
{
    job->tokens[job->count++] = token;
    if (!job->seen)
        return;
    for (size_t i = 0; i < job->seen_count; i++) {
        if (job->seen[i].token == token) {
            job->seen[i].times++;
            return;
        }
    }
    job->seen[job->seen_count++] = (struct sampler_count){token, 1};
}

bool job_replay(struct job *job, int32_t token, struct str piece)
{
    const struct answer_token record = {.token = token};
    size_t bytes, tokens;
    if (job_drawn(job) >= job->params.max_tokens)
        return false;
    job_push(job, token);
    answer_put(&job->answer, &record, piece);
    answer_ready(&job->answer, &bytes, &tokens);
    answer_drop(&job->answer, bytes, tokens);
    return !job->answer.stop.matched && job_drawn(job) < job->params.max_tokens;
}
