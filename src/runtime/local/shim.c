/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/local/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/str.h"

enum { CANNOT_RUN = 126 };

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

_Noreturn static void become(char **argv, pid_t shim, const sigset_t *mask)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != shim) /* it died before that was set */
        _exit(SHIM_NOT_STARTED);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    fprintf(stderr, "fairway: cannot start %s: %s\n", argv[0], strerror(errno));
    fflush(stderr);
    _exit(errno == ENOENT ? SHIM_NOT_STARTED : CANNOT_RUN);
}

/* Whole or not at all. */
static void write_down(const char *file, int exit_code)
{
    char part[PATH_MAX], text[16];
    snprintf(part, sizeof(part), "%s.part", file);
    int len = snprintf(text, sizeof(text), "%d\n", exit_code);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, text, (size_t)len) == len;
    if (fd >= 0)
        close(fd);
    if (!written || rename(part, file))
        fprintf(stderr, "fairway: %s cannot be written: %s\n", file, strerror(errno));
}

static int wait_for(pid_t child, const sigset_t *signals)
{
    for (;;) {
        int status, number = sigwaitinfo(signals, NULL);
        if (number == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
            return WIFSIGNALED(status) ? SHIM_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
        if (number > 0 && number != SIGCHLD)
            kill(child, number);
    }
}

int shim_run(char **argv)
{
    sigset_t signals, before;
    pid_t shim = getpid();
    if (!argv[0] || !argv[1])
        return SHIM_NOT_STARTED;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
        sigaddset(&signals, passed_on[i]);
    sigprocmask(SIG_BLOCK, &signals, &before);
    pid_t child = fork();
    if (child == 0)
        become(argv + 1, shim, &before);
    if (child < 0)
        fprintf(stderr, "fairway: cannot start %s: %s\n", argv[1], strerror(errno));
    int exit_code = child < 0 ? SHIM_NOT_STARTED : wait_for(child, &signals);
    write_down(argv[0], exit_code);
    return exit_code;
}

bool shim_read(const char *file, int *ret_exit_code)
{
    char text[16];
    uint64_t code;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0 || str_to_u64(str_trim((struct str){text, (size_t)got}), &code) || code > INT_MAX)
        return false;
    *ret_exit_code = (int)code;
    return true;
}
