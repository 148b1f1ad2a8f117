/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/local/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int copy(int from, int to, uint64_t size)
{
    while (size > 0) {
        ssize_t sent = sendfile(to, from, NULL, size);
        if (sent <= 0)
            return sent < 0 ? err_from_errno(errno) : 0;
        size -= (uint64_t)sent;
    }
    return 0;
}

int log_file_rotate(const char *path, uint64_t max_size)
{
    char old[PATH_MAX];
    struct stat st;
    if (snprintf(old, sizeof(old), "%s.1", path) >= (int)sizeof(old))
        return ERR_TOO_BIG;
    if (stat(path, &st))
        return err_from_errno(errno);
    if ((uint64_t)st.st_size <= max_size)
        return 0;
    int from = open(path, O_RDWR | O_CLOEXEC);
    if (from < 0)
        return err_from_errno(errno);
    int to = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int error = to < 0 ? err_from_errno(errno) : copy(from, to, (uint64_t)st.st_size);
    if (!error && ftruncate(from, 0))
        error = err_from_errno(errno);
    if (to >= 0)
        close(to);
    close(from);
    return error;
}

static size_t start_of_last_lines(struct str text, size_t lines)
{
    size_t at = text.len;
    if (at && text.ptr[at - 1] == '\n')
        at--;
    for (; at > 0; at--)
        if (text.ptr[at - 1] == '\n' && --lines == 0)
            return at;
    return 0;
}

int log_file_tail(const char *path, size_t lines, struct buf *out)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    if (lines == 0 || fstat(fd, &st)) {
        close(fd);
        return lines ? err_from_errno(errno) : 0;
    }
    size_t room = out->max - out->len, size = MIN((size_t)st.st_size, room);
    char *bytes = size ? buf_reserve(out, size) : NULL;
    ssize_t got = bytes ? pread(fd, bytes, size, st.st_size - (off_t)size) : 0;
    close(fd);
    if (got < 0)
        return err_from_errno(errno);
    size_t from = out->len;
    buf_commit(out, (size_t)got);
    size_t start = start_of_last_lines(str_sub(buf_str(out), from, out->len), lines);
    memmove(out->ptr + from, out->ptr + from + start, (size_t)got - start);
    buf_truncate(out, from + (size_t)got - start);
    return 0;
}
