/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "runtime/local/folder.h"
#include "runtime/local/log_file.h"
#include "runtime/local/process.h"
#include "runtime/local/shim.h"
#include "test.h"

static char folder[64];

static int setup(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/fairway-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* ---- folders and logs ---- */

static void test_folders_are_made_with_those_above(void **state)
{
    struct stat st;
    assert_int_equal(folder_make(in_folder("a/b/c"), NULL), 0);
    assert_int_equal(folder_make(in_folder("a/b/c"), NULL), 0);
    assert_int_equal(stat(in_folder("a/b/c"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");
    fputs(text, file);
    fclose(file);
}

static void test_the_tail_of_a_log(void **state)
{
    struct buf out;
    const char *path = in_folder("log");
    write_file(path, "one\ntwo\nthree\n");
    buf_init(&out, 100);
    assert_int_equal(log_file_tail(path, 2, &out), 0);
    assert_true(str_eq(buf_str(&out), STR("two\nthree\n")));
    buf_clear(&out);
    assert_int_equal(log_file_tail(path, 9, &out), 0);
    assert_true(str_eq(buf_str(&out), STR("one\ntwo\nthree\n")));
    buf_clear(&out);
    assert_int_equal(log_file_tail(path, 0, &out), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(log_file_tail(in_folder("none"), 2, &out), ERR_NOT_FOUND);
    buf_fini(&out);
}

static void test_a_log_is_rotated_under_its_writer(void **state)
{
    struct stat st;
    char path[128];
    snprintf(path, sizeof(path), "%s", in_folder("log"));
    FILE *writer = fopen(path, "a");
    fputs("old\n", writer);
    fflush(writer);
    assert_int_equal(log_file_rotate(path, 100), 0);
    assert_int_equal(stat(in_folder("log.1"), &st), -1); /* not yet over */
    assert_int_equal(log_file_rotate(path, 3), 0);
    fputs("new\n", writer);
    fclose(writer);
    stat(path, &st);
    assert_int_equal(st.st_size, 4);
    stat(in_folder("log.1"), &st);
    assert_int_equal(st.st_size, 4);
}

/* ---- processes ---- */

struct watch {
    struct loop *loop;
    struct process *process;
    struct process_end end;
};

static void on_exited(void *ctx, const struct process_end *end)
{
    struct watch *w = ctx;
    w->end = *end;
    process_release(w->process);
    loop_stop(w->loop);
}

static int spawn(struct watch *w, const char *script, struct err *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const char *const env[] = {"PATH=/bin:/usr/bin", "FAIRWAY_TEST_MARK=here", NULL};
    const struct process_spec spec = {.argv = argv, .env = env, .log_path = in_folder("log")};
    const struct process_events events = {on_exited, w};
    return process_spawn(w->loop, &spec, &events, &w->process, err);
}

static void test_exit_code_and_output(void **state)
{
    struct watch w = {.loop = loop_new()};
    struct buf out;
    struct err err;
    assert_int_equal(spawn(&w, "echo hello; exit 7", &err), 0);
    loop_run(w.loop);
    assert_true(w.end.known);
    assert_int_equal(w.end.exit_code, 7);
    buf_init(&out, 100);
    assert_int_equal(log_file_tail(in_folder("log"), 1, &out), 0);
    assert_true(str_eq(buf_str(&out), STR("hello\n")));
    buf_fini(&out);
    loop_free(w.loop);
}

static void test_signals(void **state)
{
    struct watch w = {.loop = loop_new()};
    char text[PROCESS_END_TEXT_MAX];
    struct err err;
    assert_int_equal(spawn(&w, "exec sleep 100", &err), 0);
    process_signal(w.process, SIGKILL);
    loop_run(w.loop);
    assert_int_equal(w.end.signal, SIGKILL);
    assert_string_equal(process_end_text(&w.end, text), "killed by signal 9 (Killed)");
    loop_free(w.loop);
}

static void test_a_program_that_is_not_there(void **state)
{
    const char *const argv[] = {"/no/such/program", NULL}, *const env[] = {NULL};
    const struct process_spec spec = {.argv = argv, .env = env, .log_path = in_folder("log")};
    const struct process_events events = {on_exited, NULL};
    struct loop *loop = loop_new();
    struct process *p;
    struct err err;
    assert_int_equal(process_spawn(loop, &spec, &events, &p, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "/no/such/program"));
    loop_free(loop);
}

struct found {
    pid_t pid;
    uint64_t start_time;
    int count;
};

static void on_found(void *ctx, pid_t pid, uint64_t start_time, struct str value)
{
    struct found *f = ctx;
    if (pid != f->pid || !str_eq(value, STR("here")))
        return;
    f->start_time = start_time;
    f->count++;
}

/* A process that another program started is found by its mark, adopted, watched, and ended. */
static void test_adoption(void **state)
{
    struct watch mine = {.loop = loop_new()}, adopter = {.loop = mine.loop};
    struct err err;
    assert_int_equal(spawn(&mine, "exec sleep 100", &err), 0);
    struct found found = {.pid = process_pid(mine.process)};
    while (found.count ==
           0) { /* while it executes another program its environment reads as empty */
        process_scan(STR("FAIRWAY_TEST_MARK"), on_found, &found);
        usleep(1000);
    }
    assert_int_equal(found.count, 1);
    assert_int_equal(found.start_time, process_start_time(mine.process));
    const struct process_events events = {on_exited, &adopter};
    assert_int_equal(
        process_adopt(mine.loop, found.pid, found.start_time + 1, &events, &adopter.process, &err),
        ERR_NOT_FOUND); /* another process with the same pid */
    process_kill(found.pid, found.start_time + 1);
    assert_int_equal(kill(found.pid, 0), 0);
    assert_int_equal(
        process_adopt(mine.loop, found.pid, found.start_time, &events, &adopter.process, &err), 0);
    assert_true(process_memory(adopter.process) > 0);
    process_release(mine.process); /* as if its first owner were gone */
    process_signal(adopter.process, SIGTERM);
    loop_run(mine.loop);
    loop_free(mine.loop);
}

/* ---- the shim ---- */

/* As a process of its own; returns what it exited with. */
static int run_shim(const char *file, const char *script, int signal)
{
    char sh[] = "sh", c[] = "-c";
    char *argv[] = {(char *)file, sh, c, (char *)script, NULL};
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(shim_run(argv));
    while (signal && access(in_folder("ready"), F_OK))
        usleep(1000);
    if (signal)
        kill(pid, signal);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)unlink(in_folder("ready"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_a_shim_writes_down_how_it_ended(void **state)
{
    char file[128], script[256];
    int code;
    snprintf(file, sizeof(file), "%s", in_folder("end"));
    assert_false(shim_read(file, &code));
    assert_int_equal(run_shim(file, "exit 3", 0), 3);
    assert_true(shim_read(file, &code) && code == 3);
    assert_int_equal(run_shim(file, "kill -9 $$", 0), SHIM_SIGNAL + SIGKILL);
    assert_true(shim_read(file, &code) && code == SHIM_SIGNAL + SIGKILL);
    snprintf(script, sizeof(script), "trap 'exit 7' USR1; touch %s; while :; do sleep 0.01; done",
             in_folder("ready"));
    assert_int_equal(run_shim(file, script, SIGUSR1), 7);
    assert_true(shim_read(file, &code) && code == 7);
    char no_program[] = "/does/not/exist";
    char *nothing[] = {file, no_program, NULL};
    assert_int_equal(shim_run(nothing), SHIM_NOT_STARTED);
    assert_true(shim_read(file, &code) && code == SHIM_NOT_STARTED);
}

/* What it runs ends with it, and nothing is written down. */
static void test_a_shim_that_is_killed(void **state)
{
    char file[128], script[256];
    int code;
    snprintf(file, sizeof(file), "%s", in_folder("end"));
    snprintf(script, sizeof(script), "echo $$ >%s/pid; touch %s/ready; exec sleep 1000", folder,
             folder);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(run_shim(file, script, SIGKILL), -SIGKILL);
    FILE *pid_file = fopen(in_folder("pid"), "r");
    int pid = 0;
    assert_int_equal(fscanf(pid_file, "%d", &pid), 1);
    fclose(pid_file);
    assert_int_equal(waitpid(pid, &code, 0), pid); /* an orphan, which is ours now */
    assert_true(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL);
    assert_false(shim_read(file, &code));
}

static void test_what_is_no_end(void **state)
{
    int code;
    write_file(in_folder("odd"), "many");
    assert_false(shim_read(in_folder("odd"), &code));
    write_file(in_folder("empty"), "");
    assert_false(shim_read(in_folder("empty"), &code));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_folders_are_made_with_those_above, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_tail_of_a_log, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_log_is_rotated_under_its_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exit_code_and_output, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_program_that_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_adoption, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_shim_writes_down_how_it_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_shim_that_is_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
