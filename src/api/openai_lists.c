/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of models and of vectors. */
#include "api/openai_reply.h"
#include "base/json.h"

static void put_model(struct json_writer *w, const struct openai_model *model)
{
    json_object(w);
    json_key(w, STR("id"));
    json_str(w, model->id);
    json_key(w, STR("object"));
    json_str(w, STR("model"));
    json_key(w, STR("created"));
    json_int(w, model->created);
    json_key(w, STR("owned_by"));
    json_str(w, model->owner);
    if (model->length_max) {
        json_key(w, STR("max_model_len"));
        json_u64(w, model->length_max);
    }
    json_end(w);
}

void openai_write_model(const struct openai_model *model, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    put_model(&w, model);
}

void openai_write_models(const struct openai_model *models, size_t count, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    json_object(&w);
    json_key(&w, STR("object"));
    json_str(&w, STR("list"));
    json_key(&w, STR("data"));
    json_array(&w);
    for (size_t i = 0; i < count; i++)
        put_model(&w, &models[i]);
    json_end(&w);
    json_end(&w);
}

/* RFC 4648, with padding. */
static void put_base64(const unsigned char *bytes, size_t len, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        buf_put_char(out, digits[group >> 18]);
        buf_put_char(out, digits[group >> 12 & 63]);
        buf_put_char(out, (char)(left > 1 ? digits[group >> 6 & 63] : '='));
        buf_put_char(out, (char)(left > 2 ? digits[group & 63] : '='));
    }
}

static void put_vector(struct json_writer *w, const float *vector, size_t width, bool base64)
{
    json_key(w, STR("embedding"));
    if (base64) {
        struct buf text;
        buf_init(&text, width * 6 + 16);
        put_base64((const unsigned char *)vector, width * sizeof(float), &text);
        json_str(w, buf_str(&text));
        buf_fini(&text);
        return;
    }
    json_array(w);
    for (size_t i = 0; i < width; i++)
        json_double(w, vector[i]);
    json_end(w);
}

void openai_write_embeddings(struct str model, const float *const *vectors, size_t count,
                             size_t width, bool base64, uint64_t prompt_tokens, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    json_object(&w);
    json_key(&w, STR("object"));
    json_str(&w, STR("list"));
    json_key(&w, STR("data"));
    json_array(&w);
    for (size_t i = 0; i < count; i++) {
        json_object(&w);
        json_key(&w, STR("object"));
        json_str(&w, STR("embedding"));
        json_key(&w, STR("index"));
        json_u64(&w, i);
        put_vector(&w, vectors[i], width, base64);
        json_end(&w);
    }
    json_end(&w);
    json_key(&w, STR("model"));
    json_str(&w, model);
    json_key(&w, STR("usage"));
    json_object(&w);
    json_key(&w, STR("prompt_tokens"));
    json_u64(&w, prompt_tokens);
    json_key(&w, STR("total_tokens"));
    json_u64(&w, prompt_tokens);
    json_end(&w);
    json_end(&w);
}
