/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>

#include "base/mem.h"
#include "engine/llama_internal.h"
#include "engine/llama_template.h"

/* The last thing that libllama complained about, for our own message. One model per process. */
static char last_complaint[256];

static void listen(enum ggml_log_level level, const char *text, void *arg)
{
    if (level == GGML_LOG_LEVEL_ERROR)
        snprintf(last_complaint, sizeof(last_complaint), "%.*s", STR_ARG(str_trim(str_from(text))));
}

/* Structs are passed by value: a library of another version than the headers would corrupt memory.
 */
static int check_version(struct err *err)
{
    struct str version = str_from(llama_version());
    struct str base = str_sub(version, 0, str_find_char(version, '-'));
    if (str_eq(base, STR(FAIRWAY_LLAMA)))
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "libllama is version %.*s, but this program was built for " FAIRWAY_LLAMA
                   ": put the matching library in place (scripts/deps-llama) or build again",
                   STR_ARG(version));
}

/* The back ends are plug-ins beside libllama. */
static void load_back_ends(void)
{
    Dl_info info;
    char folder[4096];
    CHECK(dladdr(__extension__(void *) llama_version, &info) && info.dli_fname);
    snprintf(folder, sizeof(folder), "%s", info.dli_fname);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    ggml_backend_load_all_from_path(slash ? folder : ".");
}

static int open_weights(struct llama *l, struct err *err)
{
    struct llama_model_params params = llama_model_default_params();
    last_complaint[0] = 0;
    l->weights = llama_model_load_from_file(l->options.path, params);
    if (!l->weights)
        return err_set(err, ERR_INVALID, "cannot load model %s: %s", l->options.path,
                       last_complaint[0] ? last_complaint : "not a GGUF file that libllama reads");
    if (!llama_model_has_decoder(l->weights) || llama_model_has_encoder(l->weights))
        return err_set(err, ERR_UNSUPPORTED,
                       "model %s does not generate text (only decoder models are served)",
                       l->options.path);
    l->vocab = llama_model_get_vocab(l->weights);
    return 0;
}

static int read_vocabulary(struct llama *l, struct err *err)
{
    struct model_info *info = &l->model.info;
    info->vocabulary = (uint32_t)llama_vocab_n_tokens(l->vocab);
    l->ends = mem_array(info->vocabulary, sizeof(l->ends[0]));
    info->ends = l->ends;
    for (int32_t token = 0; token < (int32_t)info->vocabulary; token++) {
        char text[MODEL_PIECE_MAX];
        int32_t len = llama_token_to_piece(l->vocab, token, text, sizeof(text), 0, true);
        if (len < 0)
            return err_set(err, ERR_UNSUPPORTED, "model %s: token %d is longer than %d bytes",
                           l->options.path, (int)token, MODEL_PIECE_MAX);
        info->piece_max = MAX(info->piece_max, (size_t)len);
        if (llama_vocab_is_eog(l->vocab, token))
            l->ends[info->end_count++] = token;
    }
    if (llama_vocab_get_add_bos(l->vocab) && llama_vocab_bos(l->vocab) >= 0)
        l->begin = str_from(llama_vocab_get_text(l->vocab, llama_vocab_bos(l->vocab)));
    return 0;
}

/* A number of the model file, ARCHITECTURE.NAME; `fallback` when it does not say. */
static uint64_t read_number(const struct llama *l, const char *name, uint64_t fallback)
{
    char architecture[64], key[128], text[32];
    uint64_t value;
    llama_model_meta_val_str(l->weights, "general.architecture", architecture,
                             sizeof(architecture));
    snprintf(key, sizeof(key), "%s.%s", architecture, name);
    if (llama_model_meta_val_str(l->weights, key, text, sizeof(text)) < 0 ||
        str_to_u64(str_from(text), &value))
        return fallback;
    return value;
}

/* Memory of one KV cell: a key and a value of 16-bit numbers in each layer. */
static uint64_t cell_size(const struct llama *l)
{
    uint64_t heads = MAX((uint64_t)llama_model_n_head(l->weights), 1);
    uint64_t width = (uint64_t)llama_model_n_embd(l->weights) / heads;
    uint64_t key = read_number(l, "attention.key_length", width);
    uint64_t value = read_number(l, "attention.value_length", width);
    return MAX(2 * (key + value) * (uint64_t)llama_model_n_head_kv(l->weights) *
                   (uint64_t)llama_model_n_layer(l->weights),
               1);
}

/* Lengths and cells. Rounded as libllama rounds a sequence's own memory. */
static void decide_sizes(struct llama *l, struct llama_context_params *params)
{
    const struct llama_options *o = &l->options;
    struct model_info *info = &l->model.info;
    info->length_max = MIN(o->length_max, (uint32_t)llama_model_n_ctx_train(l->weights));
    info->sequences = o->sequences;
    info->quantum = o->micro_batch;
    uint64_t length = ((uint64_t)info->length_max + 255) / 256 * 256;
    uint64_t full = length * info->sequences;
    uint64_t wanted = o->kv_total ? o->kv_total : LLAMA_KV_BYTES / cell_size(l);
    params->kv_unified = wanted < (uint64_t)info->length_max * info->sequences;
    wanted = (MAX(wanted, length) + 255) / 256 * 256;
    params->n_ctx = (uint32_t)(params->kv_unified ? wanted : full);
    info->kv_total = params->n_ctx;
    l->shared = params->kv_unified;
}

static void fill_params(const struct llama *l, struct llama_context_params *params)
{
    const struct llama_options *o = &l->options;
    params->n_batch = (uint32_t)l->batch_max;
    params->n_ubatch = o->micro_batch;
    params->n_threads = params->n_threads_batch = (int32_t)o->threads;
    params->no_perf = true;
}

static int open_context(struct llama *l, struct err *err)
{
    struct llama_context_params params = llama_context_default_params();
    decide_sizes(l, &params);
    l->batch_max = l->options.sequences + l->options.prefill_max;
    fill_params(l, &params);
    params.n_seq_max = l->options.sequences;
    l->context = llama_init_from_model(l->weights, params);
    if (!l->context)
        return err_set(err, ERR_NO_MEMORY,
                       "no memory for %u KV cells of %llu bytes each for model %s (%s): ask for "
                       "fewer (--kv, MAX_CONCURRENT_REQUESTS, MAX_MODEL_LEN)",
                       params.n_ctx, (unsigned long long)cell_size(l), l->options.path,
                       last_complaint);
    l->batch = llama_batch_init((int32_t)l->batch_max, 0, 1);
    l->model.info.embedding_width = (uint32_t)llama_model_n_embd_out(l->weights);
    return 0;
}

bool llama_open_embedder(struct llama *l)
{
    struct llama_context_params params = llama_context_default_params();
    fill_params(l, &params);
    params.n_ctx = l->model.info.length_max;
    params.n_seq_max = 1;
    params.embeddings = true;
    params.pooling_type = LLAMA_POOLING_TYPE_NONE;
    l->embedder = llama_init_from_model(l->weights, params);
    return l->embedder != NULL;
}

static void read_template(struct llama *l)
{
    const struct llama_chat_message probe = {"user", "x"};
    buf_init(&l->default_system, 64 << 10);
    l->template_text = llama_model_chat_template(l->weights, NULL);
    l->template_known = l->template_text &&
                        llama_chat_apply_template(l->template_text, &probe, 1, true, NULL, 0) >= 0;
    if (l->template_known)
        llama_template_default_system(str_from(l->template_text), &l->default_system);
}

static void describe(struct llama *l)
{
    char text[128];
    llama_model_desc(l->weights, text, sizeof(text));
    snprintf(l->description, sizeof(l->description), "%s, KV cells %s, chat template: %s", text,
             l->shared ? "shared (answers may differ between runs)"
                       : "of their own for each sequence",
             l->template_known  ? "its own"
             : l->template_text ? "chatml (its own is not known)"
                                : "chatml (it has none)");
    l->model.info.description = str_from(l->description);
}

int llama_load(struct model *m, struct err *err)
{
    struct llama *l = container_of(m, struct llama, model);
    llama_log_set(listen, NULL);
    int error = check_version(err);
    if (error)
        return error;
    load_back_ends();
    llama_backend_init();
    error = open_weights(l, err);
    if (!error)
        error = read_vocabulary(l, err);
    if (!error)
        error = open_context(l, err);
    if (error)
        return error;
    read_template(l);
    describe(l);
    return 0;
}

void llama_unload(struct llama *l)
{
    if (l->embedder)
        llama_free(l->embedder);
    if (l->context)
        llama_free(l->context);
    if (l->batch_max)
        llama_batch_free(l->batch);
    if (l->weights)
        llama_model_free(l->weights);
    buf_fini(&l->default_system);
    mem_free(l->ends);
}
