/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/local/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/mem.h"

enum { PROC_FILE_MAX = 1024 * 1024 };

struct process {
    uv_poll_t poll; /* on the pidfd; freed in its close callback */
    int pidfd;
    pid_t pid;
    uint64_t start_time;
    struct process_events events;
};

char *process_end_text(const struct process_end *end, char text[PROCESS_END_TEXT_MAX])
{
    if (!end->known)
        snprintf(text, PROCESS_END_TEXT_MAX, "ended");
    else if (end->signal)
        snprintf(text, PROCESS_END_TEXT_MAX, "killed by signal %d (%s)", end->signal,
                 strsignal(end->signal));
    else
        snprintf(text, PROCESS_END_TEXT_MAX, "exit code %d", end->exit_code);
    return text;
}

/* ---- /proc ---- */

static int read_proc(pid_t pid, const char *file, struct buf *out)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    ssize_t got = -1;
    char *room;
    while ((room = buf_reserve(out, 4096)) && (got = read(fd, room, 4096)) > 0)
        buf_commit(out, (size_t)got);
    close(fd);
    return got < 0 ? ERR_IO : out->error;
}

/* Field 22 of /proc/PID/stat; the command in field 2 may hold spaces and parentheses, so count behind its last ')'. */
static int read_start_time(pid_t pid, uint64_t *ret_time)
{
    struct buf stat;
    buf_init(&stat, PROC_FILE_MAX);
    int error = read_proc(pid, "stat", &stat);
    struct str rest = buf_str(&stat), field = STR_NONE;
    while (str_find_char(rest, ')') < rest.len)
        rest = str_sub(rest, str_find_char(rest, ')') + 1, rest.len);
    rest = str_trim(rest);
    for (int i = 3; i <= 22 && !error; i++)
        if (!str_split(&rest, ' ', &field))
            error = ERR_PARSE;
    if (!error)
        error = str_to_u64(field, ret_time);
    buf_fini(&stat);
    return error;
}

uint64_t process_memory(const struct process *p)
{
    struct buf statm;
    buf_init(&statm, PROC_FILE_MAX);
    uint64_t pages = 0;
    struct str size, resident;
    if (read_proc(p->pid, "statm", &statm) == 0) {
        struct str rest = buf_str(&statm);
        if (!str_split(&rest, ' ', &size) || !str_split(&rest, ' ', &resident) ||
            str_to_u64(resident, &pages))
            pages = 0;
    }
    buf_fini(&statm);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct str find_variable(struct str environment, struct str name)
{
    struct str entry;
    while (str_split(&environment, 0, &entry))
        if (str_starts(entry, name) && entry.len > name.len && entry.ptr[name.len] == '=')
            return str_sub(entry, name.len + 1, entry.len);
    return STR_NONE;
}

void process_scan(struct str name,
                  void (*found)(void *ctx, pid_t pid, uint64_t start_time, struct str value),
                  void *ctx)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    struct buf environment;
    buf_init(&environment, PROC_FILE_MAX);
    for (struct dirent *entry; (entry = readdir(proc));) {
        uint64_t pid, start_time;
        if (str_to_u64(str_from(entry->d_name), &pid))
            continue;
        buf_clear(&environment);
        if (read_proc((pid_t)pid, "environ", &environment))
            continue;
        struct str value = find_variable(buf_str(&environment), name);
        if (value.ptr && read_start_time((pid_t)pid, &start_time) == 0)
            found(ctx, (pid_t)pid, start_time, value);
    }
    buf_fini(&environment);
    closedir(proc);
}

/* ---- watching ---- */

static int pidfd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int pidfd_signal(int pidfd, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static struct process_end reap(const struct process *p)
{
    siginfo_t info = {0};
    struct process_end end = {0};
    /* ECHILD: adopted, somebody else is told. */
    if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED) == 0) {
        end.known = true;
        end.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
        end.exit_code = info.si_code == CLD_EXITED ? info.si_status : 0;
    }
    return end;
}

static void on_pidfd(uv_poll_t *poll, int status, int events)
{
    struct process *p = container_of(poll, struct process, poll);
    /* What it left behind in its group ends with it; the group's id is its own until it is reaped. */
    (void)kill(-p->pid, SIGKILL);
    struct process_end end = reap(p);
    uv_poll_stop(poll);
    p->events.exited(p->events.ctx, &end);
}

static int watch(struct loop *loop, pid_t pid, uint64_t start_time,
                 const struct process_events *events, struct process **ret_process, struct err *err)
{
    int pidfd = pidfd_open(pid);
    if (pidfd < 0)
        return err_set(err, err_from_errno(errno), "process %d: %s", (int)pid, strerror(errno));
    struct process *p = NEW(struct process);
    *p = (struct process){.pidfd = pidfd, .pid = pid, .start_time = start_time, .events = *events};
    int error = uv_poll_init(loop_uv(loop), &p->poll, pidfd);
    CHECK(error == 0);
    error = uv_poll_start(&p->poll, UV_READABLE, on_pidfd);
    CHECK(error == 0);
    *ret_process = p;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct process *p = container_of(handle, struct process, poll);
    close(p->pidfd);
    mem_free(p);
}

void process_release(struct process *p)
{
    if (p)
        uv_close((uv_handle_t *)&p->poll, on_closed);
}

pid_t process_pid(const struct process *p)
{
    return p->pid;
}

uint64_t process_start_time(const struct process *p)
{
    return p->start_time;
}

void process_signal(struct process *p, int signal)
{
    (void)pidfd_signal(p->pidfd, signal); /* gone already: its end is being reported */
}

void process_kill(pid_t pid, uint64_t start_time)
{
    int pidfd = pidfd_open(pid);
    uint64_t now;
    if (pidfd < 0)
        return;
    /* The pidfd holds on to one process; only if that is the one meant. */
    if (read_start_time(pid, &now) == 0 && now == start_time)
        (void)pidfd_signal(pidfd, SIGKILL);
    close(pidfd);
}

/* ---- starting ---- */

static int spawn(const struct process_spec *spec, int log_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, log_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, log_fd, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (spec->directory)
        posix_spawn_file_actions_addchdir_np(&files, spec->directory);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int error_number = posix_spawnp(ret_pid, spec->argv[0], &files, &attributes,
                                    (char *const *)spec->argv, (char *const *)spec->env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error_number;
}

static void limit_memory(pid_t pid, uint64_t memory_max)
{
    const struct rlimit limit = {memory_max, memory_max};
    if (memory_max)
        (void)prlimit(pid, RLIMIT_DATA, &limit, NULL);
}

int process_spawn(struct loop *loop, const struct process_spec *spec,
                  const struct process_events *events, struct process **ret_process,
                  struct err *err)
{
    int log_fd = open(spec->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        return err_set(err, err_from_errno(errno), "log file %s: %s", spec->log_path,
                       strerror(errno));
    pid_t pid;
    int error_number = spawn(spec, log_fd, &pid);
    close(log_fd);
    if (error_number)
        return err_set(err, err_from_errno(error_number), "cannot start %s: %s", spec->argv[0],
                       strerror(error_number));
    limit_memory(pid, spec->memory_max);
    uint64_t start_time = 0;
    int error = read_start_time(pid, &start_time);
    if (!error)
        error = watch(loop, pid, start_time, events, ret_process, err);
    else
        err_set(err, error, "process %d: its start time cannot be read", (int)pid);
    if (error) { /* it must not run unwatched */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return error;
}

int process_adopt(struct loop *loop, pid_t pid, uint64_t start_time,
                  const struct process_events *events, struct process **ret_process,
                  struct err *err)
{
    struct process *p;
    int error = watch(loop, pid, start_time, events, &p, err);
    if (error)
        return error;
    /* Read after the pidfd is held, so that it speaks of the same process. */
    uint64_t now;
    if (read_start_time(pid, &now) || now != start_time) {
        process_release(p);
        return err_set(err, ERR_NOT_FOUND, "process %d is another one than before", (int)pid);
    }
    *ret_process = p;
    return 0;
}
