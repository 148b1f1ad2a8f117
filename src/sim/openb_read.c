/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the openb experiment. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "sim/openb.h"

enum { CHUNK = 64 * 1024, COLUMNS_MAX = 64 };

/* ---- bytes ---- */

static int unpack(gzFile file, const char *path, struct buf *out, struct err *err)
{
    int got, code;
    do {
        char *room = buf_reserve(out, CHUNK);
        if (!room)
            return err_set(err, ERR_TOO_BIG, "%s: more than %zu bytes", path, out->max);
        got = gzread(file, room, CHUNK);
        buf_commit(out, got > 0 ? (size_t)got : 0);
    } while (got > 0);
    const char *text = gzerror(file, &code);
    if (got < 0 || code != Z_OK)
        return err_set(err, ERR_IO, "%s: cannot be read: %s", path,
                       code == Z_ERRNO ? strerror(errno) : text);
    return 0;
}

int openb_read(const char *path, struct buf *out, struct err *err)
{
    gzFile file = gzopen(path, "rb"); /* reads what is not packed as it is */
    if (!file)
        return err_set(err, err_from_errno(errno), "%s: %s", path, strerror(errno));
    int error = unpack(file, path, out, err);
    gzclose(file);
    return error;
}

/* ---- lines ---- */

/* A file as it is read: where, and which columns are of interest. */
struct table {
    const char *name;
    struct str rest;
    struct str line; /* without its end */
    size_t number;
    const char *const *columns; /* wanted, in this order; the first `required` must be there */
    int wanted, required;
    int place[COLUMNS_MAX]; /* by column of the file: index in `columns`, or -1 */
    int column_count;
    struct err *err;
};

static int complain(const struct table *t, const char *what)
{
    return err_set(t->err, ERR_PARSE, "%s, line %zu: %s", t->name, t->number, what);
}

static int complain_of(const struct table *t, const char *what, struct str value)
{
    char text[80];
    size_t len = MIN(value.len, sizeof(text));
    if (len)
        memcpy(text, value.ptr, len);
    return err_set(t->err, ERR_PARSE, "%s, line %zu: %s: '%.*s'", t->name, t->number, what,
                   (int)len, text);
}

static bool next_line(struct table *t)
{
    if (t->rest.len == 0)
        return false;
    size_t end = str_find_char(t->rest, '\n');
    t->line = str_sub(t->rest, 0, end);
    t->rest = str_sub(t->rest, end + 1, t->rest.len);
    if (str_ends(t->line, STR("\r")))
        t->line.len--;
    t->number++;
    return true;
}

static int column_index(const struct table *t, struct str name)
{
    for (int i = 0; i < t->wanted; i++)
        if (str_eq(name, str_from(t->columns[i])))
            return i;
    return -1;
}

static int read_head(struct table *t)
{
    uint64_t seen = 0;
    if (!next_line(t))
        return complain(t, "the line of column names is missing");
    struct str rest = t->line, name;
    for (; str_split(&rest, ',', &name); t->column_count++) {
        if (t->column_count == COLUMNS_MAX)
            return complain(t, "too many columns");
        int index = column_index(t, name);
        if (index >= 0 && seen >> index & 1)
            return complain_of(t, "a column twice", name);
        t->place[t->column_count] = index;
        seen |= index >= 0 ? UINT64_C(1) << index : 0;
    }
    for (int i = 0; i < t->required; i++)
        if (!(seen >> i & 1))
            return complain_of(t, "no column of this name", str_from(t->columns[i]));
    return 0;
}

/* The wanted cells of the present line; those of columns that are not there are empty. */
static int read_cells(const struct table *t, struct str *cells)
{
    struct str rest = t->line;
    for (int i = 0; i < t->wanted; i++)
        cells[i] = STR_NONE;
    for (int column = 0; column < t->column_count; column++) {
        size_t end = str_find_char(rest, ',');
        if ((end == rest.len) != (column == t->column_count - 1))
            return complain_of(t, "not as many cells as columns", t->line);
        if (t->place[column] >= 0)
            cells[t->place[column]] = str_sub(rest, 0, end);
        rest = str_sub(rest, end + 1, rest.len);
    }
    return 0;
}

static int read_number(const struct table *t, const char *what, struct str cell, uint64_t most,
                       uint64_t *ret_value)
{
    uint64_t value;
    if (str_to_u64(cell, &value) || value > most)
        return complain_of(t, what, cell);
    *ret_value = value;
    return 0;
}

static size_t count_lines(struct str text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    return lines + 1;
}

/* ---- models ---- */

static int model_number(const struct table *t, struct arena *a, struct openb_trace *trace,
                        struct str name, int *ret_number)
{
    for (int i = 0; i < trace->model_count; i++) {
        if (str_eq(trace->models[i], name)) {
            *ret_number = i;
            return 0;
        }
    }
    if (name.len == 0)
        return complain_of(t, "a GPU model without a name", t->line);
    if (trace->model_count == PLACE_MODELS_MAX)
        return complain_of(t, "too many GPU models", name);
    struct str copy = arena_dup(a, name);
    if (!copy.ptr)
        return err_set(t->err, ERR_NO_MEMORY, "%s: too large", t->name);
    *ret_number = trace->model_count;
    trace->models[trace->model_count++] = copy;
    return 0;
}

static int accepted_models(const struct table *t, struct arena *a, struct openb_trace *trace,
                           struct str list, uint64_t *ret_models)
{
    struct str rest = list, name;
    uint64_t models = 0;
    int error = 0, number = 0;
    while (list.len && !error && str_split(&rest, '|', &name)) {
        error = model_number(t, a, trace, name, &number);
        models |= error ? 0 : UINT64_C(1) << number;
    }
    *ret_models = models;
    return error;
}

/* ---- nodes ---- */

static int read_node(const struct table *t, struct arena *a, struct openb_trace *trace)
{
    enum { CPU, MEMORY, GPUS, MODEL, WANTED };
    struct str cells[WANTED];
    uint64_t cpu = 0, memory = 0, gpus = 0;
    int model = 0, error = read_cells(t, cells);
    if (!error)
        error = read_number(t, "cpu_milli is no number", cells[CPU], PLACE_AMOUNT_MAX, &cpu);
    if (!error)
        error = read_number(t, "memory_mib is no number", cells[MEMORY], PLACE_AMOUNT_MAX, &memory);
    if (!error)
        error = read_number(t, "gpu is no number up to 16", cells[GPUS], PLACE_GPUS_MAX, &gpus);
    if (!error && gpus)
        error = model_number(t, a, trace, cells[MODEL], &model);
    if (error)
        return error;
    struct place_node_spec *n = &trace->nodes[trace->node_count++];
    n->id = trace->node_count;
    n->cpu = (int64_t)cpu;
    n->memory = (int64_t)memory;
    n->gpu_count = (int)gpus;
    for (uint64_t i = 0; i < gpus; i++)
        n->gpus[i].model = (uint8_t)model;
    trace->gpus += gpus;
    return 0;
}

int openb_parse_nodes(struct arena *a, struct str text, const char *name, struct openb_trace *trace,
                      struct err *err)
{
    static const char *const columns[] = {"cpu_milli", "memory_mib", "gpu", "model"};
    struct table t = {
        .name = name, .rest = text, .columns = columns, .wanted = 4, .required = 4, .err = err};
    int error = read_head(&t);
    trace->nodes = arena_array(a, count_lines(text), sizeof(*trace->nodes));
    if (!error && !trace->nodes)
        error = err_set(err, ERR_NO_MEMORY, "%s: too large", name);
    while (!error && next_line(&t)) {
        if (trace->node_count == OPENB_NODES_MAX)
            error = complain(&t, "too many nodes");
        else
            error = read_node(&t, a, trace);
    }
    if (!error && trace->gpus == 0)
        error = complain(&t, "no node has a GPU");
    return error;
}

/* ---- tasks ---- */

static int read_demand(const struct table *t, struct str count, struct str milli,
                       struct place_request *task)
{
    uint64_t gpus = 0, share = 0;
    int error = read_number(t, "num_gpu is no number up to 16", count, PLACE_GPUS_MAX, &gpus);
    if (!error)
        error = read_number(t, "gpu_milli is no number up to 1000", milli, PLACE_MILLI, &share);
    if (error)
        return error;
    if (gpus == 0)
        return 0;
    if (share == 0 || (gpus > 1 && share != PLACE_MILLI))
        return complain_of(t, "only one GPU can be shared, and not to 0 thousandths", t->line);
    if (share == PLACE_MILLI)
        task->gpus = (uint8_t)gpus;
    else
        task->share_milli = (uint16_t)share;
    return 0;
}

static int read_task(const struct table *t, struct arena *a, struct openb_trace *trace)
{
    enum { CPU, MEMORY, GPUS, MILLI, MODELS, WANTED };
    struct str cells[WANTED];
    struct place_request task = {0};
    uint64_t cpu = 0, memory = 0;
    int error = read_cells(t, cells);
    if (!error)
        error = read_number(t, "cpu_milli is no number", cells[CPU], PLACE_AMOUNT_MAX, &cpu);
    if (!error)
        error = read_number(t, "memory_mib is no number", cells[MEMORY], PLACE_AMOUNT_MAX, &memory);
    if (!error)
        error = read_demand(t, cells[GPUS], cells[MILLI], &task);
    if (!error)
        error = accepted_models(t, a, trace, cells[MODELS], &task.models);
    if (error)
        return error;
    task.cpu = (int64_t)cpu;
    task.memory = (int64_t)memory;
    trace->tasks[trace->task_count++] = task;
    return 0;
}

static bool any_wants_gpu(const struct openb_trace *trace)
{
    for (size_t i = 0; i < trace->task_count; i++)
        if (trace->tasks[i].gpus || trace->tasks[i].share_milli)
            return true;
    return false;
}

int openb_parse_tasks(struct arena *a, struct str text, const char *name, struct openb_trace *trace,
                      struct err *err)
{
    static const char *const columns[] = {"cpu_milli", "memory_mib", "num_gpu", "gpu_milli",
                                          "gpu_spec"};
    struct table t = {
        .name = name, .rest = text, .columns = columns, .wanted = 5, .required = 4, .err = err};
    int error = read_head(&t);
    trace->tasks = arena_array(a, count_lines(text), sizeof(*trace->tasks));
    if (!error && !trace->tasks)
        error = err_set(err, ERR_NO_MEMORY, "%s: too large", name);
    while (!error && next_line(&t)) {
        if (trace->task_count == OPENB_TASKS_MAX)
            error = complain(&t, "too many tasks");
        else
            error = read_task(&t, a, trace);
    }
    if (!error && !any_wants_gpu(trace))
        error = complain(&t, "no task asks for a GPU");
    return error;
}
