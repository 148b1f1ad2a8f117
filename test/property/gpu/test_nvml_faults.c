/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of devices that fail, recover, are lost and raise XIDs, on the double of the
 * library (test/double/nvml.c), against a naive account of what each device must be after each
 * reading. What one device does never shows on another.
 */
#include "gpu/nvml.h"
#include "test.h"

#include <unistd.h>

#include "base/mem.h"

enum { DEVICES = 4, HISTORIES = 60, READINGS = 15, EVENTS = 2 * READINGS };

/* Calls about a device, in the order in which they are made. */
enum call {
    HANDLE,
    UUID,
    NAME,
    MEMORY,
    BUS,
    CAPABILITY,
    MIG,
    USED,
    UTILISATION,
    TEMPERATURE,
    POWER,
    CALLS
};
static const char *const names[CALLS] = {"handle",      "uuid",        "name", "memory",
                                         "bus",         "capability",  "mig",  "used",
                                         "utilisation", "temperature", "power"};

struct account {
    int error[CALLS];
    int value[CALLS];
    bool has_handle, identified, watched, lost, ill;
    bool faulty; /* in this reading */
    bool answered[CALLS];
    int xid;
};

struct history {
    struct account devices[DEVICES];
    struct {
        int device, xid;
    } events[EVENTS];
    int event_count, told;
    int wait_error;
    uint64_t random;
};

static char state_path[] = "/tmp/fairway-nvml-XXXXXX";

/* ---- what happens ---- */

static int pick_error(struct history *h)
{
    static const int errors[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 999, 10, 15, 16};
    return errors[test_below(&h->random, ARRAY_LEN(errors))];
}

static void change(struct history *h)
{
    static const int xids[] = {13, 31, 43, 63, 94, 46, 48, 64, 74, 79, 95, 119, 120};
    for (uint64_t n = test_below(&h->random, 6); n--;) {
        struct account *d = &h->devices[test_below(&h->random, DEVICES)];
        enum call call = test_below(&h->random, CALLS);
        d->error[call] = pick_error(h);
        d->value[call] = (int)test_below(&h->random, 1000);
    }
    for (uint64_t n = test_below(&h->random, 3); n-- && h->event_count < EVENTS;) {
        h->events[h->event_count].device = (int)test_below(&h->random, DEVICES);
        h->events[h->event_count++].xid = xids[test_below(&h->random, ARRAY_LEN(xids))];
    }
    h->wait_error = test_below(&h->random, 4) ? 0 : 15;
}

static void save(const struct history *h)
{
    FILE *out = fopen(state_path, "we");
    assert_non_null(out);
    fprintf(out, "count=%d\nwait.error=%d\nevents=", DEVICES, h->wait_error);
    for (int i = 0; i < h->event_count; i++)
        fprintf(out, "%d:%d ", h->events[i].device, h->events[i].xid);
    fprintf(out, "\n");
    for (int i = 0; i < DEVICES; i++) {
        const struct account *d = &h->devices[i];
        fprintf(out, "%d.uuid=GPU-%d\n%d.name=NVIDIA L4\n%d.memory=24152899584\n", i, i, i, i);
        fprintf(out, "%d.bus=%d\n%d.capability=8.9\n%d.mig=0\n", i, i, i, i);
        for (enum call c = USED; c < CALLS; c++)
            fprintf(out, "%d.%s=%d\n", i, names[c], d->value[c]);
        for (enum call c = 0; c < CALLS; c++)
            fprintf(out, "%d.%s.error=%d\n", i, names[c], d->error[c]);
    }
    assert_int_equal(fclose(out), 0);
}

/* ---- what must be ---- */

/* In the double one call tells total and used memory, and either error is the call's. */
static int error_of(const struct account *d, enum call call)
{
    if (call == MEMORY || call == USED)
        return d->error[MEMORY] ? d->error[MEMORY] : d->error[USED];
    if (call == HANDLE && d->error[HANDLE] == 3)
        return 0; /* the double's handles are always supported */
    return d->error[call];
}

static bool call_answers(struct account *d, enum call call)
{
    int error = error_of(d, call);
    bool needed = call <= MEMORY || (call == MIG && error != 3);
    d->answered[call] = error == 0;
    d->lost |= error == 15 || error == 16;
    d->ill |= d->lost;
    d->faulty |= d->lost || (needed && error);
    return error == 0;
}

static void account_identity(struct account *d)
{
    if (!d->has_handle)
        d->has_handle = call_answers(d, HANDLE);
    d->identified =
        d->has_handle && call_answers(d, UUID) && call_answers(d, NAME) && call_answers(d, MEMORY);
    if (d->identified)
        call_answers(d, BUS);
    if (d->identified && d->error[BUS] != 15 && d->error[BUS] != 16)
        call_answers(d, CAPABILITY);
}

static void account_reading(struct account *d)
{
    memset(d->answered, 0, sizeof(d->answered));
    d->faulty = d->ill;
    if (!d->lost && !d->identified)
        account_identity(d);
    for (enum call c = MIG; c < CALLS && d->identified && !d->lost; c++)
        call_answers(d, c);
    d->watched |= d->has_handle;
}

static void account_events(struct history *h)
{
    bool watched = false;
    for (int i = 0; i < DEVICES; i++)
        watched |= h->devices[i].watched;
    if (!watched || h->wait_error)
        return;
    for (; h->told < h->event_count; h->told++) {
        struct account *d = &h->devices[h->events[h->told].device];
        if (!d->watched)
            continue;
        d->xid = h->events[h->told].xid;
        if (nvml_fatal_xid((uint64_t)d->xid))
            d->ill = d->faulty = true;
    }
}

static void compare(const struct gpu_device *g, const struct account *d, uint64_t seed, int step)
{
    PROPERTY(g->faulty == d->faulty, seed, step);
    PROPERTY((g->reason[0] != 0) == d->faulty, seed, step);
    PROPERTY((g->uuid[0] != 0) == d->identified, seed, step);
    PROPERTY(!strcmp(g->model, d->identified ? "L4-24G" : ""), seed, step);
    PROPERTY(g->xid == (d->watched ? d->xid : GPU_UNKNOWN), seed, step);
    PROPERTY(g->memory_used == (d->answered[USED] ? d->value[USED] : GPU_UNKNOWN), seed, step);
    PROPERTY(g->utilisation == (d->answered[UTILISATION] ? d->value[UTILISATION] : GPU_UNKNOWN),
             seed, step);
    PROPERTY(g->temperature == (d->answered[TEMPERATURE] ? d->value[TEMPERATURE] : GPU_UNKNOWN),
             seed, step);
    PROPERTY(g->power == (d->answered[POWER] ? d->value[POWER] : GPU_UNKNOWN), seed, step);
    PROPERTY(gpu_place_spec(g, 0).faulty == d->faulty, seed, step);
}

static void run(uint64_t seed)
{
    struct history h = {.random = seed};
    struct gpu_inventory *inventory = NEW(struct gpu_inventory);
    struct nvml *nvml = nvml_open(&(struct nvml_options){.library = NVML_DOUBLE, .sysfs = "/none"});
    for (int step = 0; step < READINGS; step++) {
        change(&h);
        save(&h);
        nvml_read(nvml, inventory);
        for (int i = 0; i < DEVICES; i++)
            account_reading(&h.devices[i]);
        account_events(&h);
        PROPERTY(inventory->state == GPU_READY && inventory->count == DEVICES, seed, step);
        for (int i = 0; i < DEVICES; i++)
            compare(&inventory->devices[i], &h.devices[i], seed, step);
    }
    nvml_close(nvml);
    mem_free(inventory);
}

static void test_histories(void **state)
{
    uint64_t seed = test_seed(1);
    for (uint64_t i = 0; i < HISTORIES; i++)
        run(seed + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    int file = mkstemp(state_path);
    assert_true(file >= 0);
    close(file);
    setenv("NVML_DOUBLE_STATE", state_path, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(state_path);
    return failed;
}
