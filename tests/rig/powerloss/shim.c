/* Records what a process does to the files directly in one directory, in the order in which the kernel saw it.
 *
 *   cc -shared -fPIC -O1 -o shim.so shim.c
 *   POWERLOSS_DIR=/tmp/x/state POWERLOSS_LOG=/tmp/x/log LD_PRELOAD=/tmp/x/shim.so python child.py
 *
 * One lock is held from before a call until its record is written, so records are in the order of the calls,
 * whatever threads make them. A call that fails leaves no record. A record, little endian:
 *
 *   u32 kind, u32 0, u64 inode, u64 offset, u64 length, length bytes
 *
 * Not seen: subdirectories, files whose name ends in "-shm" (SQLite's shared index, which is no data), writes
 * through mappings, and calls other than those below. Whoever replays the log compares its end with the real
 * directory, which tells of anything that was missed. */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_DIRECTORY, RENAME, UNLINK, LINK, MARK };
enum { TRACED_MAX = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char directory[PATH_MAX];
static struct stat directory_stat;
static ino_t traced[TRACED_MAX];
static int traced_count;

#define REAL(result, name, ...)                                                   \
    static result (*real_##name)(__VA_ARGS__);                                    \
    if (!real_##name) real_##name = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static void fail(const char *what) {
    dprintf(2, "powerloss shim: %s: %s\n", what, strerror(errno));
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("POWERLOSS_DIR"), *log = getenv("POWERLOSS_LOG");
    if (!dir || !log) return;
    if (!realpath(dir, directory) || stat(directory, &directory_stat)) fail("POWERLOSS_DIR");
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) fail("POWERLOSS_LOG");
}

static void put(const void *data, size_t length) {
    for (const char *at = data; length;) {
        ssize_t done = syscall(SYS_write, log_fd, at, length);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) fail("the log");
        at += done, length -= (size_t)done;
    }
}

static void record(enum kind kind, ino_t inode, uint64_t offset, const void *data, size_t length) {
    struct { uint32_t kind, zero; uint64_t inode, offset, length; } head = {kind, 0, inode, offset, length};
    int saved = errno;
    put(&head, sizeof head);
    put(data, length);
    errno = saved;
}

static int trace_of(ino_t inode) {
    for (int i = 0; i < traced_count; i++)
        if (traced[i] == inode) return i;
    return -1;
}

static void trace(ino_t inode) {
    if (trace_of(inode) >= 0) return;
    if (traced_count == TRACED_MAX) fail("too many files");
    traced[traced_count++] = inode;
}

/* A file without a name is gone after a power loss, and its inode number may come back elsewhere. */
static void unname(const struct stat *file) {
    int i = file->st_nlink == 1 ? trace_of(file->st_ino) : -1;
    if (i >= 0) traced[i] = traced[--traced_count];
}

static int ours(int fd, struct stat *file) {
    int saved = errno;
    int found = log_fd >= 0 && !fstat(fd, file) && S_ISREG(file->st_mode) &&
                file->st_dev == directory_stat.st_dev && trace_of(file->st_ino) >= 0;
    errno = saved;
    return found;
}

/* Whether a path names something directly in the directory; its name there. */
static int named(int dirfd, const char *path, char *name) {
    char full[2 * PATH_MAX], parent[PATH_MAX], base[PATH_MAX] = "";
    int saved = errno, found = 0;
    if (log_fd < 0 || strlen(path) >= PATH_MAX) return 0;
    if (path[0] != '/') {
        char link[64];
        snprintf(link, sizeof link, dirfd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dirfd);
        ssize_t length = readlink(link, base, sizeof base - 1);
        base[length < 0 ? 0 : length] = 0;
    }
    snprintf(full, sizeof full, "%s%s%s", base, path[0] == '/' ? "" : "/", path);
    char *slash = strrchr(full, '/');
    strcpy(name, slash + 1);
    slash[slash == full] = 0;
    size_t length = strlen(name);
    if (length && strcmp(name, ".") && strcmp(name, "..") && realpath(full, parent) &&
        (length < 4 || strcmp(name + length - 4, "-shm")))
        found = !strcmp(parent, directory);
    errno = saved;
    return found;
}

static int open_at(int dirfd, const char *path, int flags, mode_t mode) {
    char name[PATH_MAX];
    struct stat before, file;
    REAL(int, openat, int, const char *, int, ...);
    if (!named(dirfd, path, name)) return real_openat(dirfd, path, flags, mode);
    pthread_mutex_lock(&lock);
    int saved = errno, there = !fstatat(dirfd, path, &before, AT_SYMLINK_NOFOLLOW);
    errno = saved;
    int fd = real_openat(dirfd, path, flags, mode);
    if (fd >= 0 && !fstat(fd, &file) && S_ISREG(file.st_mode)) {
        if (!there) record(CREATE, file.st_ino, 0, name, strlen(name));
        else if (flags & O_TRUNC) record(TRUNCATE, file.st_ino, 0, "", 0);
        trace(file.st_ino);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(name, path_arguments, dirfd)                                         \
    int name(path_arguments const char *path, int flags, ...) {                   \
        va_list more;                                                             \
        va_start(more, flags);                                                    \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                             \
        return open_at(dirfd, path, flags, mode);                                 \
    }
#define WITH_DIRECTORY int at,
OPEN(open, , AT_FDCWD)
OPEN(open64, , AT_FDCWD)
OPEN(openat, WITH_DIRECTORY, at)
OPEN(openat64, WITH_DIRECTORY, at)
int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static off_t place(int fd, const struct stat *file) {
    return fcntl(fd, F_GETFL) & O_APPEND ? file->st_size : lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    struct stat file;
    pthread_mutex_lock(&lock);
    int mine = ours(fd, &file);
    if (!mine) pthread_mutex_unlock(&lock); /* A pipe may wait for ever. */
    off_t offset = mine ? place(fd, &file) : 0;
    ssize_t done = real_write(fd, data, length);
    if (mine && done > 0) record(WRITE, file.st_ino, (uint64_t)offset, data, (size_t)done);
    if (mine) pthread_mutex_unlock(&lock);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    struct stat file;
    pthread_mutex_lock(&lock);
    int mine = ours(fd, &file);
    if (!mine) pthread_mutex_unlock(&lock);
    off_t offset = mine ? place(fd, &file) : 0;
    ssize_t done = real_writev(fd, parts, count);
    size_t left = mine && done > 0 ? (size_t)done : 0;
    for (int i = 0; i < count && left; i++) {
        size_t length = parts[i].iov_len < left ? parts[i].iov_len : left;
        record(WRITE, file.st_ino, (uint64_t)offset, parts[i].iov_base, length);
        offset += (off_t)length, left -= length;
    }
    if (mine) pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    struct stat file;
    pthread_mutex_lock(&lock);
    ssize_t done = real_pwrite64(fd, data, length, offset);
    if (done > 0 && ours(fd, &file)) record(WRITE, file.st_ino, (uint64_t)offset, data, (size_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    struct stat file;
    pthread_mutex_lock(&lock);
    int failed = real_ftruncate64(fd, length);
    if (!failed && ours(fd, &file)) record(TRUNCATE, file.st_ino, (uint64_t)length, "", 0);
    pthread_mutex_unlock(&lock);
    return failed;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static void synced(int fd) {
    struct stat file;
    if (ours(fd, &file)) record(SYNC, file.st_ino, 0, "", 0);
    else if (log_fd >= 0 && !fstat(fd, &file) && file.st_dev == directory_stat.st_dev &&
             file.st_ino == directory_stat.st_ino)
        record(SYNC_DIRECTORY, 0, 0, "", 0);
}

#define SYNC_CALL(name)                                                           \
    int name(int fd) {                                                            \
        REAL(int, name, int);                                                     \
        pthread_mutex_lock(&lock);                                                \
        int failed = real_##name(fd);                                             \
        if (!failed) synced(fd);                                                  \
        pthread_mutex_unlock(&lock);                                              \
        return failed;                                                            \
    }
SYNC_CALL(fsync)
SYNC_CALL(fdatasync)

static void two_names(enum kind kind, ino_t inode, const char *from, const char *to) {
    char both[2 * PATH_MAX];
    int length = snprintf(both, sizeof both, "%s/%s", from, to);
    record(kind, inode, 0, both, (size_t)length);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    char old[PATH_MAX], new[PATH_MAX];
    struct stat file, replaced;
    int mine = named(from_fd, from, old) & named(to_fd, to, new);
    pthread_mutex_lock(&lock);
    int saved = errno, known = mine && !fstatat(from_fd, from, &file, AT_SYMLINK_NOFOLLOW);
    int over = mine && !fstatat(to_fd, to, &replaced, AT_SYMLINK_NOFOLLOW);
    errno = saved;
    int failed = real_renameat(from_fd, from, to_fd, to);
    if (!failed && known) {
        two_names(RENAME, file.st_ino, old, new);
        if (over && replaced.st_ino != file.st_ino) unname(&replaced);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int unlinkat(int dirfd, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    char name[PATH_MAX];
    struct stat file;
    int mine = named(dirfd, path, name);
    pthread_mutex_lock(&lock);
    int saved = errno, known = mine && !fstatat(dirfd, path, &file, AT_SYMLINK_NOFOLLOW);
    errno = saved;
    int failed = real_unlinkat(dirfd, path, flags);
    if (!failed && known && S_ISREG(file.st_mode)) {
        record(UNLINK, file.st_ino, 0, name, strlen(name));
        unname(&file);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    char old[PATH_MAX], new[PATH_MAX];
    struct stat file;
    int mine = named(from_fd, from, old) & named(to_fd, to, new);
    pthread_mutex_lock(&lock);
    int failed = real_linkat(from_fd, from, to_fd, to, flags);
    if (!failed && mine && !fstatat(to_fd, to, &file, AT_SYMLINK_NOFOLLOW))
        two_names(LINK, file.st_ino, old, new);
    pthread_mutex_unlock(&lock);
    return failed;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* Called by the child when an operation was acknowledged to its caller. */
void powerloss_mark(const void *data, size_t length) {
    pthread_mutex_lock(&lock);
    if (log_fd >= 0) record(MARK, 0, 0, data, length);
    pthread_mutex_unlock(&lock);
}
