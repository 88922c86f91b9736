// A machine whose clock is wrong: put before the C library of a process, it shifts the time of day. The file that
// CLOCK_SHIFT names holds the seconds to add, eight bytes in the machine's order; it is mapped, so a clock that jumps
// under a running process is a write to that file. Clocks that only count on (CLOCK_MONOTONIC) stay as they are, as they
// do on a real machine whose date is set.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic(int64_t) *shift;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_SHIFT");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *at = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED) shift = at;
}

static int64_t seconds(void) { return shift ? atomic_load_explicit(shift, memory_order_relaxed) : 0; }

int clock_gettime(clockid_t which, struct timespec *to) {
    int result = (int)syscall(SYS_clock_gettime, which, to);
    if (result == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) to->tv_sec += seconds();
    return result;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    int result = (int)syscall(SYS_gettimeofday, to, zone);
    if (result == 0) to->tv_sec += seconds();
    return result;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
