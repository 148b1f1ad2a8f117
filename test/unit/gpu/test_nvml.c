/* SPDX-License-Identifier: Apache-2.0 */
/* The binding over a real shared library, test/double/nvml.c, whose devices are steered by a file. */
#include "gpu/nvml.h"
#include "test.h"

#include <dlfcn.h>
#include <unistd.h>

#include "base/buf.h"

enum {
    LOST = 15,
    RESET_REQUIRED = 16,
    UNKNOWN_ERROR = 999,
    NOT_SUPPORTED = 3,
    VERSION_MISMATCH = 18
};

static char folder[] = "/tmp/fairway-nvml-XXXXXX";
static char state_path[64], sysfs_path[64];
static struct buf file;
static struct gpu_inventory inventory;
static struct nvml *nvml;

/* ---- the double's file ---- */

static void save(void)
{
    FILE *out = fopen(state_path, "we");
    assert_non_null(out);
    fprintf(out, "%.*s", STR_ARG(buf_str(&file)));
    assert_int_equal(fclose(out), 0);
}

/* The first line with a key counts: a later one goes before. */
PRINTF_LIKE(1, 2) static void set(const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    struct buf changed;
    buf_init(&changed, 65536);
    buf_printf(&changed, "%s\n%.*s", line, STR_ARG(buf_str(&file)));
    assert_int_equal(changed.error, 0);
    buf_fini(&file);
    file = changed;
    save();
}

static void add_device(int index, const char *name, int mib)
{
    set("%d.uuid=GPU-%d", index, index);
    set("%d.name=%s", index, name);
    set("%d.memory=%lld", index, (long long)mib << 20);
    set("%d.used=%lld", index, (long long)(index + 1) << 30);
    set("%d.bus=%02x", index, 0x10 + index);
}

static void h100(int count)
{
    set("count=%d", count);
    for (int i = 0; i < count; i++)
        add_device(i, "NVIDIA H100 80GB HBM3", 81559);
}

/* ---- reading ---- */

static void open_library(const char *library)
{
    nvml = nvml_open(&(struct nvml_options){.library = library, .sysfs = sysfs_path});
}

static const struct gpu_inventory *reading(void)
{
    if (!nvml)
        open_library(NVML_DOUBLE);
    memset(&inventory, 0x5a, sizeof(inventory));
    nvml_read(nvml, &inventory);
    return &inventory;
}

static const struct gpu_device *device(int index)
{
    assert_in_range(index, 0, reading()->count - 1);
    assert_int_equal(inventory.state, GPU_READY);
    return &inventory.devices[index];
}

static int setup(void **state)
{
    buf_init(&file, 65536);
    save();
    return 0;
}

static int teardown(void **state)
{
    if (nvml)
        nvml_close(nvml);
    nvml = NULL;
    buf_fini(&file);
    return 0;
}

#define assert_says(text, part)                          \
    do {                                                 \
        if (!strstr((text), (part)))                     \
            fail_msg("\"%s\" lacks \"%s\"", text, part); \
    } while (0)

/* ---- no GPUs ---- */

static void test_no_library(void **state)
{
    open_library("libthere-is-none.so.7");
    assert_int_equal(reading()->state, GPU_NO_LIBRARY);
    assert_int_equal(inventory.count, 0);
    assert_says(inventory.problem, "libthere-is-none.so.7");
    assert_string_equal(gpu_state_text(inventory.state), "no NVML library");
}

static void test_another_library(void **state)
{
    open_library("libm.so.6");
    assert_int_equal(reading()->state, GPU_OLD_LIBRARY);
    assert_int_equal(inventory.count, 0);
    assert_says(inventory.problem, "libm.so.6 lacks nvmlInit_v2");
}

static void test_the_environment_names_it(void **state)
{
    setenv("FAIRWAY_NVML", NVML_DOUBLE, 1);
    open_library(NULL);
    unsetenv("FAIRWAY_NVML");
    h100(1);
    assert_int_equal(reading()->state, GPU_READY);
}

/* An empty name is none. */
static void test_the_environment_names_nothing(void **state)
{
    open_library(NULL);
    enum gpu_state without = reading()->state;
    nvml_close(nvml);
    setenv("FAIRWAY_NVML", "", 1);
    open_library(NULL);
    unsetenv("FAIRWAY_NVML");
    assert_int_equal(reading()->state, without);
    assert_int_not_equal(inventory.state, GPU_OLD_LIBRARY);
}

/* Also after a start that failed half way. */
static void test_what_is_started_is_shut_down(void **state)
{
    void *library = dlopen(NVML_DOUBLE, RTLD_NOW);
    assert_non_null(library);
    const int *running = dlsym(library, "nvml_double_running");
    set("count.error=%d", UNKNOWN_ERROR);
    assert_int_equal(reading()->state, GPU_NO_DRIVER);
    assert_int_equal(*running, 0);
    set("count.error=0");
    h100(1);
    assert_int_equal(reading()->state, GPU_READY);
    assert_int_equal(reading()->state, GPU_READY);
    assert_int_equal(*running, 1);
    nvml_close(nvml);
    nvml = NULL;
    assert_int_equal(*running, 0);
    dlclose(library);
}

static void test_no_device(void **state)
{
    assert_int_equal(reading()->state, GPU_NO_DEVICE);
    assert_int_equal(inventory.count, 0);
    assert_string_equal(inventory.problem, "");
}

static void test_a_driver_that_answers_later(void **state)
{
    h100(2);
    set("init=%d", VERSION_MISMATCH);
    assert_int_equal(reading()->state, GPU_NO_DRIVER);
    assert_int_equal(inventory.count, 0);
    assert_string_equal(inventory.problem,
                        "NVML does not start (is the driver loaded? nvidia-smi says more): "
                        "error 18 of the double");
    set("init=0");
    set("count.error=%d", UNKNOWN_ERROR);
    assert_int_equal(reading()->state, GPU_NO_DRIVER);
    assert_string_equal(inventory.problem, "the GPUs cannot be counted: error 999 of the double");
    set("count.error=0");
    assert_int_equal(reading()->state, GPU_READY);
    assert_int_equal(inventory.count, 2);
    assert_string_equal(inventory.problem, "");
}

/* ---- what devices are ---- */

static void write_numa(const char *bus, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:%s:00.0", sysfs_path, bus);
    char command[256];
    snprintf(command, sizeof(command), "mkdir -p %s && echo %s > %s/numa_node", path, text, path);
    assert_int_equal(system(command), 0);
}

static void test_what_a_device_is(void **state)
{
    write_numa("10", "1");
    write_numa("11", "-1");
    h100(3);
    add_device(1, "Tesla T4", 15109);
    set("0.capability=9.0");
    const struct gpu_device *d = device(0);
    assert_int_equal(inventory.count, 3);
    assert_false(inventory.simulated);
    assert_int_equal(d[0].index, 0);
    assert_string_equal(d[0].uuid, "GPU-0");
    assert_string_equal(d[0].name, "NVIDIA H100 80GB HBM3");
    assert_string_equal(d[0].model, "H100-80G");
    assert_int_equal(d[0].memory, INT64_C(81559) << 20);
    assert_int_equal(d[0].capability, 90);
    assert_int_equal(d[0].numa, 1);
    assert_string_equal(d[1].model, "T4-16G");
    assert_int_equal(d[1].capability, GPU_UNKNOWN);
    assert_int_equal(d[1].numa, GPU_UNKNOWN); /* the kernel does not know */
    assert_int_equal(d[2].numa, GPU_UNKNOWN); /* there is no such file */
    for (int i = 0; i < 3; i++)
        assert_false(d[i].faulty || d[i].mig || d[i].reason[0]);
}

static void test_more_than_are_used(void **state)
{
    h100(19);
    assert_int_equal(reading()->count, PLACE_GPUS_MAX);
    assert_string_equal(inventory.problem, "3 of 19 GPUs are not used: over PLACE_GPUS_MAX (16)");
}

/* ---- how they are ---- */

static void test_readings(void **state)
{
    h100(2);
    set("0.utilisation=87");
    set("0.temperature=61");
    set("0.power=412345");
    set("0.processes=4242:1048576 77:?");
    const struct gpu_device *d = device(0);
    assert_int_equal(d[0].memory_used, INT64_C(1) << 30);
    assert_int_equal(d[0].utilisation, 87);
    assert_int_equal(d[0].temperature, 61);
    assert_int_equal(d[0].power, 412345);
    assert_int_equal(d[0].process_count, 2);
    assert_int_equal(d[0].processes[0].pid, 4242);
    assert_int_equal(d[0].processes[0].memory, 1048576);
    assert_int_equal(d[0].processes[1].pid, 77);
    assert_int_equal(d[0].processes[1].memory, GPU_UNKNOWN);
    /* Not supported is unknown, and no fault. */
    assert_int_equal(d[1].utilisation, GPU_UNKNOWN);
    assert_int_equal(d[1].temperature, GPU_UNKNOWN);
    assert_int_equal(d[1].power, GPU_UNKNOWN);
    assert_int_equal(d[1].process_count, GPU_UNKNOWN);
    assert_false(d[1].faulty);

    /* What was read before is not told again. */
    set("0.temperature.error=%d", UNKNOWN_ERROR);
    set("0.utilisation=3");
    d = device(0);
    assert_int_equal(d->temperature, GPU_UNKNOWN);
    assert_int_equal(d->utilisation, 3);
    assert_false(d->faulty);
}

static void test_more_processes_than_are_kept(void **state)
{
    char list[GPU_PROCESSES_MAX * 8 + 8] = "";
    for (int i = 0; i < GPU_PROCESSES_MAX; i++)
        snprintf(list + strlen(list), 8, "%d:9 ", 100 + i);
    h100(1);
    set("0.processes=%s", list);
    assert_int_equal(device(0)->process_count, GPU_PROCESSES_MAX);
    set("0.processes=%s 7:9", list);
    assert_int_equal(device(0)->process_count, GPU_UNKNOWN);
}

static void test_mig(void **state)
{
    h100(2);
    set("0.mig=1");
    set("1.mig=0");
    assert_true(device(0)->mig);
    assert_false(inventory.devices[1].mig);
    assert_string_equal(gpu_place_spec(&inventory.devices[0], 0).mig->gpu, "H100-80G");
    set("0.mig=0");
    assert_false(device(0)->mig);
}

static void test_an_old_driver(void **state)
{
    h100(1);
    set("0.mig=1");
    set("0.processes=1:1");
    set("0.temperature=50");
    set("events=0:79");
    open_library(NVML_DOUBLE_OLD);
    const struct gpu_device *d = device(0);
    assert_int_equal(d->temperature, 50);
    assert_int_equal(d->process_count, GPU_UNKNOWN);
    assert_int_equal(d->xid, GPU_UNKNOWN);
    assert_false(d->mig || d->faulty);
    assert_string_equal(inventory.problem, "");
}

/* ---- NVLink ---- */

static void check_groups(const int *groups, int count)
{
    assert_int_equal(reading()->count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(inventory.devices[i].nvlink, groups[i]);
}

static void test_links_between_pairs(void **state)
{
    static const int groups[] = {0, 1, 0, 1, 4, 5, 6};
    h100(7);
    set("0.links=off:11 gpu:12");
    set("2.links=gpu:10");
    set("3.links=gpu:11"); /* told from one side only */
    set("4.links=cpu:40"); /* the same processor is no link */
    set("5.links=cpu:40");
    set("6.links=off:10");
    check_groups(groups, 7);
}

static void test_links_at_a_switch(void **state)
{
    static const int groups[] = {0, 0, 2, 0};
    h100(4);
    set("0.links=switch:c1 switch:c2");
    set("1.links=switch:c2 off:12");
    set("2.links=switch:d0");
    set("3.links=gpu:11"); /* through the second to the first */
    check_groups(groups, 4);
}

/* A chain whose lowest end is found last. */
static void test_links_in_a_chain(void **state)
{
    static const int groups[] = {0, 0, 0, 0, 0};
    h100(5);
    set("1.links=gpu:14");
    set("4.links=gpu:12");
    set("2.links=gpu:13");
    set("3.links=gpu:10");
    check_groups(groups, 5);
}

/* ---- faults ---- */

/* Only this device, and with its identity. */
static void test_a_device_is_lost(void **state)
{
    h100(3);
    set("1.temperature=40");
    assert_false(device(1)->faulty);
    set("1.error=%d", LOST);
    const struct gpu_device *d = device(1);
    assert_true(d->faulty);
    assert_string_equal(d->reason, "error 15 of the double");
    assert_string_equal(d->uuid, "GPU-1");
    assert_string_equal(d->model, "H100-80G");
    assert_int_equal(d->memory_used, GPU_UNKNOWN);
    assert_int_equal(d->temperature, GPU_UNKNOWN);
    assert_true(gpu_place_spec(d, 0).faulty);
    assert_false(inventory.devices[0].faulty || inventory.devices[2].faulty);
    assert_int_equal(inventory.devices[2].memory_used, INT64_C(3) << 30);
    set("1.error=0"); /* it is not trusted any more, nor asked */
    assert_true(device(1)->faulty);
    assert_int_equal(inventory.devices[1].temperature, GPU_UNKNOWN);
    assert_string_equal(inventory.devices[1].reason, "error 15 of the double");
}

static void test_a_reading_says_that_a_reset_is_due(void **state)
{
    h100(1);
    set("0.power.error=%d", RESET_REQUIRED);
    assert_true(device(0)->faulty);
    assert_string_equal(inventory.devices[0].reason, "error 16 of the double");
}

static void test_a_device_that_is_lost_from_the_start(void **state)
{
    h100(2);
    set("0.handle.error=%d", LOST);
    const struct gpu_device *d = device(0);
    assert_true(d[0].faulty);
    assert_string_equal(d[0].uuid, "");
    assert_string_equal(d[0].model, "");
    assert_int_equal(d[0].memory, GPU_UNKNOWN);
    assert_false(d[1].faulty);
    assert_int_equal(d[1].index, 1);
}

/* What it is cannot be read: faulty until it can. */
static void test_identity_comes_later(void **state)
{
    static const char *const needed[] = {"handle", "uuid", "name", "memory"};
    static const char *const reasons[] = {"the device", "its UUID", "its name", "its memory"};
    h100(2);
    for (int i = 0; i < 4; i++) {
        set("1.%s.error=%d", needed[i], UNKNOWN_ERROR);
        const struct gpu_device *d = device(1);
        char reason[GPU_REASON_MAX];
        snprintf(reason, sizeof(reason), "%s cannot be read: error 999 of the double", reasons[i]);
        assert_true(d->faulty);
        assert_string_equal(d->reason, reason);
        assert_string_equal(d->uuid, "");
        assert_false(inventory.devices[0].faulty);
        set("1.%s.error=0", needed[i]);
    }
    set("0.links=gpu:11");
    const struct gpu_device *d = device(1);
    assert_false(d->faulty);
    assert_string_equal(d->reason, "");
    assert_string_equal(d->uuid, "GPU-1");
    assert_int_equal(d->nvlink, 0); /* its links are known now, too */
}

static void test_mig_mode_is_needed(void **state)
{
    h100(1);
    set("0.mig.error=%d", UNKNOWN_ERROR);
    assert_true(device(0)->faulty);
    assert_string_equal(inventory.devices[0].reason,
                        "its MIG mode cannot be read: error 999 of the double");
    set("0.mig.error=%d", NOT_SUPPORTED);
    assert_false(device(0)->faulty);
}

/* ---- events ---- */

static void test_a_fatal_xid(void **state)
{
    h100(2);
    set("1.temperature=33");
    assert_int_equal(device(1)->xid, 0);
    set("events=1:79");
    const struct gpu_device *d = device(1);
    assert_true(d->faulty);
    assert_int_equal(d->xid, 79);
    assert_string_equal(d->reason, "XID 79: the GPU is gone from the bus; restart the machine");
    assert_int_equal(d->temperature, 33); /* it is asked as long as it answers */
    assert_false(inventory.devices[0].faulty);
    assert_int_equal(inventory.devices[0].xid, 0);
    /* A second one is noted; the first reason stays, and so does the fault. */
    set("events=1:79 1:48");
    assert_int_equal(device(1)->xid, 48);
    assert_says(inventory.devices[1].reason, "XID 79");
    assert_true(device(1)->faulty);
}

static void test_an_event_that_is_not_fatal(void **state)
{
    h100(1);
    set("events=0:63 0:94 0:13");
    assert_int_equal(device(0)->xid, 13);
    assert_int_equal(device(0)->xid, 13); /* it stays */
    assert_false(inventory.devices[0].faulty);
}

static void test_which_xids_are_fatal(void **state)
{
    static const int fatal[] = {46, 48, 64, 74, 79, 95, 119, 120};
    size_t found = 0;
    for (int xid = 0; xid < 1000; xid++) {
        const char *text = nvml_fatal_xid((uint64_t)xid);
        if (!text)
            continue;
        char start[16];
        snprintf(start, sizeof(start), "XID %d: ", xid);
        assert_memory_equal(text, start, strlen(start));
        assert_true(found < ARRAY_LEN(fatal));
        assert_int_equal(xid, fatal[found++]);
    }
    assert_int_equal(found, ARRAY_LEN(fatal));
}

static void test_an_event_with_another_handle(void **state)
{
    h100(2);
    set("events=~1:79");
    assert_true(device(1)->faulty);
    assert_false(inventory.devices[0].faulty);
    assert_string_equal(inventory.problem, "");
    set("1.uuid.error=%d", LOST);
    set("events=~1:79 1:48"); /* with the one that is known it needs no UUID */
    assert_int_equal(device(1)->xid, 48);
}

/* Nobody knows whose it is, or whether there was one: no device is worse for it. */
static void test_events_that_cannot_be_read(void **state)
{
    h100(2);
    set("events=?:79");
    assert_false(device(0)->faulty || inventory.devices[1].faulty);
    assert_string_equal(inventory.problem, "XID 79 of a GPU that is not known");
    set("wait.error=%d", LOST);
    assert_false(device(0)->faulty || inventory.devices[1].faulty);
    assert_string_equal(inventory.problem, "XID events cannot be read: error 15 of the double");
    set("wait.error=0");
    set("events=?:79 1:64");
    assert_true(device(1)->faulty);
    assert_string_equal(inventory.problem, "");
}

static void test_a_device_without_events(void **state)
{
    h100(1);
    set("register.error=%d", NOT_SUPPORTED);
    assert_int_equal(device(0)->xid, GPU_UNKNOWN);
    assert_string_equal(inventory.problem, "");
    set("register.error=0");
    set("events=0:64");
    assert_int_equal(device(0)->xid, 64);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_library),
        TEST(test_another_library),
        TEST(test_the_environment_names_it),
        TEST(test_the_environment_names_nothing),
        TEST(test_what_is_started_is_shut_down),
        TEST(test_no_device),
        TEST(test_a_driver_that_answers_later),
        TEST(test_what_a_device_is),
        TEST(test_more_than_are_used),
        TEST(test_readings),
        TEST(test_more_processes_than_are_kept),
        TEST(test_mig),
        TEST(test_an_old_driver),
        TEST(test_links_between_pairs),
        TEST(test_links_at_a_switch),
        TEST(test_links_in_a_chain),
        TEST(test_a_device_is_lost),
        TEST(test_a_reading_says_that_a_reset_is_due),
        TEST(test_a_device_that_is_lost_from_the_start),
        TEST(test_identity_comes_later),
        TEST(test_mig_mode_is_needed),
        TEST(test_a_fatal_xid),
        TEST(test_an_event_that_is_not_fatal),
        TEST(test_which_xids_are_fatal),
        TEST(test_an_event_with_another_handle),
        TEST(test_events_that_cannot_be_read),
        TEST(test_a_device_without_events),
    };
    assert_non_null(mkdtemp(folder));
    snprintf(state_path, sizeof(state_path), "%s/state", folder);
    snprintf(sysfs_path, sizeof(sysfs_path), "%s/sys", folder);
    setenv("NVML_DOUBLE_STATE", state_path, 1);
    unsetenv("FAIRWAY_NVML");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return failed | system(command);
}
