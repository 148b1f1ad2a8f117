/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/local/folder.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int folder_make(const char *path, struct err *err)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return err_set(err, ERR_TOO_BIG, "the path of folder %s is too long", path);
    for (char *slash = part + 1; *slash; slash++) {
        if (*slash != '/')
            continue;
        *slash = 0;
        (void)mkdir(part, 0755); /* the last one tells */
        *slash = '/';
    }
    if (mkdir(path, 0700) && errno != EEXIST)
        return err_set(err, err_from_errno(errno), "folder %s: %s", path, strerror(errno));
    return 0;
}
