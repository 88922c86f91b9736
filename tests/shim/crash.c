/*
 * A shim before the C library that counts the storage calls of a process and harms one of them.
 *
 *   SHIM_PATH    harm only files whose path contains this; empty: nothing happens at all
 *   SHIM_MODE    count | kill | torn | power | enospc | eio | fsync_eio
 *   SHIM_AT      which call, from 1
 *   SHIM_SEED    what power undoes
 *   SHIM_REPORT  a file that gets the number of calls when the process ends by itself
 *   SHIM_WHILE   a file; calls are counted and harmed only while it exists (a disk that is full for a day)
 *   SHIM_SWALLOW syncs of files whose path contains this too do nothing and report success: sabotage, to see it caught
 *
 *   mode       counts             what happens to call SHIM_AT
 *   count      all                nothing
 *   kill       all                SIGKILL instead of the call
 *   torn       writes             half of the bytes are written, then SIGKILL (a call without bytes: only SIGKILL)
 *   power      all                some of what was written since each file's last sync is undone, whole or in
 *                                 half, then SIGKILL: what a page cache loses with the mains
 *   enospc     writes             it and every later write fails with ENOSPC; a file is cut all the same, which needs no room
 *   eio        writes             fails with EIO, once
 *   fsync_eio  syncs              fails with EIO, once, and nothing is synced
 *
 * Calls: write, writev, pwrite, pwritev, ftruncate, rename and unlink (all "writes"), fsync and fdatasync ("syncs").
 *
 * Assumed, and so not simulated: rename, unlink and the truncation of open(O_TRUNC) reach the disk at once and in
 * order; nothing is written through mmap (SQLite's -shm is, and is no data), io_uring or sendfile; no O_DSYNC.
 * The project's Rust forbids unsafe code; this file is the reason that it can.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#if __SIZEOF_POINTER__ != 8
#error "offsets are passed to system calls in one register: 64-bit machines only"
#endif

enum mode { OFF, COUNT, KILL, TORN, POWER, ENOSPC_, EIO_, FSYNC_EIO };
static const char *const NAMES[] = {"", "count", "kill", "torn", "power", "enospc", "eio", "fsync_eio"};

static enum mode mode = OFF;
static unsigned long long at, dice;
static const char *part = "", *report = "", *during = "", *swallow = "";
static atomic_ullong calls;

/* What a write destroyed. Newest last; the lock is held over the write itself, so that the order is the real one. */
struct undo {
    char *path;
    off_t offset, old_size;
    size_t len;
    char *old;
};
static struct undo *undos;
static size_t undo_count, undo_room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *env(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((constructor)) static void begin(void) {
    part = env("SHIM_PATH");
    report = env("SHIM_REPORT");
    during = env("SHIM_WHILE");
    swallow = env("SHIM_SWALLOW");
    at = strtoull(env("SHIM_AT"), NULL, 10);
    dice = strtoull(env("SHIM_SEED"), NULL, 10) * 2 + 1;
    for (size_t i = 1; i < sizeof NAMES / sizeof *NAMES; i++)
        if (*part && strcmp(env("SHIM_MODE"), NAMES[i]) == 0) mode = (enum mode)i;
}

__attribute__((destructor)) static void end(void) {
    char text[32];
    if (mode == OFF || !*report) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int len = snprintf(text, sizeof text, "%llu\n", (unsigned long long)atomic_load(&calls));
    if (fd >= 0 && syscall(SYS_write, fd, text, (size_t)len) == len) syscall(SYS_close, fd);
}

/* Also the end of this thread: nobody outlives SIGKILL, and nobody writes meanwhile. */
static _Noreturn void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* xorshift64 (Marsaglia, 2003). */
static unsigned long long draw(void) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice;
}

/* The path behind a descriptor, if it is one of ours. */
static bool ours(int fd, char path[PATH_MAX]) {
    if (mode == OFF) return false;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno;
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    errno = saved;
    if (n <= 0) return false;
    path[n] = 0;
    return strstr(path, part) != NULL;
}

/* Counts a call; true when it is the one to harm. */
static bool hit(bool sync) {
    if (mode == FSYNC_EIO ? !sync : sync && (mode == TORN || mode == ENOSPC_ || mode == EIO_)) return false;
    if (*during) {
        int saved = errno;
        bool over = access(during, F_OK) != 0;
        errno = saved;
        if (over) return false;
    }
    unsigned long long n = atomic_fetch_add(&calls, 1) + 1;
    return mode == ENOSPC_ ? n >= at : n == at;
}

static atomic_long asleep;
static void sleep_for_good(int signal) {
    (void)signal;
    atomic_fetch_add(&asleep, 1);
    for (;;) pause();
}

/*
 * Stops every other thread. A power cut is one moment for all of them; without this, one that reads a file while it
 * is cut back ends by an error of its own, and by SIGBUS where the file is mapped, as SQLite's -shm is.
 */
static void stop_the_others(void) {
    struct sigaction stop = {.sa_handler = sleep_for_good};
    _Alignas(struct dirent64) char names[4096];
    sigfillset(&stop.sa_mask);
    /* No malloc from here on: whoever holds its lock may be asleep. */
    int tasks = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks < 0 || sigaction(SIGBUS, &stop, NULL)) abort();
    /* Threads may begin and end meanwhile, so they are called until a list has none that is awake: 5 s at most. */
    for (int tries = 0; tries < 50000; tries++) {
        long others = 0, n;
        syscall(SYS_lseek, tasks, 0L, SEEK_SET);
        while ((n = syscall(SYS_getdents64, tasks, names, sizeof names)) > 0) {
            for (long i = 0; i < n; i += ((struct dirent64 *)(names + i))->d_reclen) {
                long thread = strtol(((struct dirent64 *)(names + i))->d_name, NULL, 10);
                if (thread == 0 || thread == syscall(SYS_gettid)) continue;
                others++;
                syscall(SYS_tgkill, getpid(), thread, SIGBUS);
            }
        }
        if (atomic_load(&asleep) >= others) return;
        usleep(100);
    }
    abort();
}

static _Noreturn void power_cut(void) {
    /* The lock is never given back: whoever wants to write now waits for the end. */
    pthread_mutex_lock(&lock);
    stop_the_others();
    for (size_t i = undo_count; i-- > 0;) {
        struct undo *u = &undos[i];
        int fd = (int)syscall(SYS_openat, AT_FDCWD, u->path, O_WRONLY | O_CLOEXEC, 0);
        if (fd < 0) continue; /* unlinked since */
        unsigned long long fate = draw() % 4;
        if (fate == 0) {
            /* This one had reached the disk. */
        } else if (fate == 1) {
            syscall(SYS_pwrite64, fd, u->old, u->len / 2, u->offset);
        } else {
            syscall(SYS_pwrite64, fd, u->old, u->len, u->offset);
            if (draw() % 2) syscall(SYS_ftruncate, fd, u->old_size);
        }
        syscall(SYS_close, fd);
    }
    die();
}

/* Before a write in power mode, under the lock: keeps what it will destroy. */
static void remember(int fd, const char *path, off_t offset, size_t len) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return;
    if (undo_count == undo_room) {
        undo_room = undo_room ? 2 * undo_room : 64;
        undos = realloc(undos, undo_room * sizeof *undos);
        if (!undos) abort();
    }
    struct undo u = {.path = strdup(path), .offset = offset, .old_size = st.st_size, .old = malloc(len ? len : 1)};
    if (!u.path || !u.old) abort();
    ssize_t n = syscall(SYS_pread64, fd, u.old, len, offset);
    if (n < 0 && errno == EBADF) {
        /* Open for writing only. SQLite's files never are: closing this second descriptor would drop its locks. */
        int again = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        if (again >= 0) {
            n = syscall(SYS_pread64, again, u.old, len, offset);
            syscall(SYS_close, again);
        }
    }
    u.len = n > 0 ? (size_t)n : 0;
    undos[undo_count++] = u;
}

/* Forgets what is durable: the first `upto` entries, as far as they are of this path. */
static void forget(const char *path, size_t upto) {
    size_t kept = 0;
    for (size_t i = 0; i < undo_count; i++) {
        if (i < upto && strcmp(undos[i].path, path) == 0) {
            free(undos[i].path);
            free(undos[i].old);
        } else {
            undos[kept++] = undos[i];
        }
    }
    undo_count = kept;
}

/* One write, positional or not. `total` bytes lie in the vector; `offset` < 0: at the descriptor's own place. */
static ssize_t plain(int fd, const struct iovec *iov, int count, off_t offset) {
    return offset < 0 ? syscall(SYS_writev, fd, iov, (long)count)
                      : syscall(SYS_pwritev, fd, iov, (long)count, (long)offset, 0L);
}

static ssize_t harmed_write(int fd, const struct iovec *iov, int count, off_t offset) {
    char path[PATH_MAX];
    size_t total = 0;
    if (!ours(fd, path)) return plain(fd, iov, count, offset);
    for (int i = 0; i < count; i++) total += iov[i].iov_len;
    if (hit(false)) switch (mode) {
        case KILL: die();
        case POWER: power_cut();
        case TORN: {
            size_t half = total / 2;
            for (int i = 0; i < count && half > 0; i++) {
                struct iovec one = {iov[i].iov_base, iov[i].iov_len < half ? iov[i].iov_len : half};
                ssize_t n = plain(fd, &one, 1, offset);
                if (n <= 0) break;
                half -= (size_t)n;
                if (offset >= 0) offset += n;
            }
            die();
        }
        case ENOSPC_: errno = ENOSPC; return -1;
        case EIO_: errno = EIO; return -1;
        default: break;
    }
    if (mode != POWER) return plain(fd, iov, count, offset);
    pthread_mutex_lock(&lock);
    off_t where = offset;
    struct stat st;
    if (where < 0) {
        bool append = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
        where = append && fstat(fd, &st) == 0 ? st.st_size : (off_t)syscall(SYS_lseek, fd, 0L, SEEK_CUR);
    }
    if (where >= 0) remember(fd, path, where, total);
    ssize_t written = plain(fd, iov, count, offset);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t write(int fd, const void *buf, size_t len) {
    struct iovec one = {(void *)buf, len};
    return harmed_write(fd, &one, 1, -1);
}
ssize_t writev(int fd, const struct iovec *iov, int count) { return harmed_write(fd, iov, count, -1); }
ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset) {
    struct iovec one = {(void *)buf, len};
    if (offset < 0) return errno = EINVAL, -1;
    return harmed_write(fd, &one, 1, offset);
}
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset) { return pwrite(fd, buf, len, offset); }
ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset) {
    if (offset < 0) return errno = EINVAL, -1;
    return harmed_write(fd, iov, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset) { return pwritev(fd, iov, count, offset); }

/* A counted write without bytes of its own, which may need room or not. True: it failed, errno is set. */
static bool harmed_change(bool room) {
    if (hit(false)) switch (mode) {
        case KILL: case TORN: die();
        case POWER: power_cut();
        case ENOSPC_: if (!room) return false; errno = ENOSPC; return true;
        case EIO_: errno = EIO; return true;
        default: break;
    }
    return false;
}

int ftruncate(int fd, off_t len) {
    char path[PATH_MAX];
    struct stat st;
    if (!ours(fd, path)) return (int)syscall(SYS_ftruncate, fd, len);
    bool grows = fstat(fd, &st) == 0 && len > st.st_size;
    if (harmed_change(grows)) return -1;
    if (mode != POWER) return (int)syscall(SYS_ftruncate, fd, len);
    pthread_mutex_lock(&lock);
    if (fstat(fd, &st) == 0) remember(fd, path, len, st.st_size > len ? (size_t)(st.st_size - len) : 0);
    int result = (int)syscall(SYS_ftruncate, fd, len);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off64_t len) { return ftruncate(fd, len); }

static int harmed_sync(int fd, long number) {
    char path[PATH_MAX];
    if (!ours(fd, path)) return (int)syscall(number, fd);
    if (hit(true)) switch (mode) {
        case KILL: die();
        case POWER: power_cut();
        case FSYNC_EIO: errno = EIO; return -1;
        default: break;
    }
    if (*swallow && strstr(path, swallow)) return 0;
    if (mode != POWER) return (int)syscall(number, fd);
    /* Under the lock: what others write meanwhile is not yet durable, and is not forgotten. */
    pthread_mutex_lock(&lock);
    int result = (int)syscall(number, fd);
    if (result == 0) forget(path, undo_count);
    pthread_mutex_unlock(&lock);
    return result;
}
int fsync(int fd) { return harmed_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return harmed_sync(fd, SYS_fdatasync); }

/* Names: ours if the path as given, made whole, contains the part. */
static bool ours_named(const char *name, char path[PATH_MAX]) {
    if (mode == OFF || !name) return false;
    char dir[PATH_MAX] = "";
    if (name[0] != '/' && !getcwd(dir, sizeof dir)) return false;
    int n = snprintf(path, PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", name);
    return n > 0 && n < PATH_MAX && strstr(path, part) != NULL;
}

int rename(const char *from, const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    bool mine = ours_named(from, old) && ours_named(to, new);
    if (mine && harmed_change(true)) return -1;
    if (!mine || mode != POWER) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (result == 0) {
        forget(new, undo_count); /* the file that was there is gone */
        for (size_t i = 0; i < undo_count; i++) {
            if (strcmp(undos[i].path, old) != 0) continue;
            free(undos[i].path);
            undos[i].path = strdup(new);
            if (!undos[i].path) abort();
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *name) {
    char path[PATH_MAX];
    if (!ours_named(name, path)) return (int)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
    if (harmed_change(true)) return -1;
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
    if (result == 0) forget(path, undo_count);
    pthread_mutex_unlock(&lock);
    return result;
}
