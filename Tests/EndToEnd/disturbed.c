/* A machine in trouble, for one process: preloaded, it gives what the folder FERRY_DISTURBED says.
 *
 *   full    while there is such a file: no space is left for the journal's files
 *   clock   how many seconds the clock is ahead of the true one, or behind it
 *
 * The monotonic clock is left alone, as it is when somebody sets a machine's time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int path_of(char *path, const char *name) {
  const char *folder = getenv("FERRY_DISTURBED");
  return folder && snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static int is_full(int file) {
  char path[PATH_MAX], link[64], name[PATH_MAX];
  if (!path_of(path, "full") || access(path, F_OK) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, name, sizeof name - 1);
  if (length < 0) return 0;
  name[length] = 0;
  return strstr(name, ".ferry.db") != NULL;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF_FULL(file) \
  if (is_full(file)) { \
    errno = ENOSPC; \
    return -1; \
  }

/* What SQLite writes with. */
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  FAIL_IF_FULL(file);
  return NEXT(pwrite64)(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  FAIL_IF_FULL(file);
  return NEXT(pwrite)(file, bytes, count, at);
}

static long ahead(void) {
  char path[PATH_MAX], text[32];
  if (!path_of(path, "clock")) return 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  text[length] = 0;
  return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = NEXT(clock_gettime)(clock, now);
  if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += ahead();
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int result = NEXT(gettimeofday)(now, zone);
  if (result == 0) now->tv_sec += ahead();
  return result;
}

time_t time(time_t *place) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (place) *place = now.tv_sec;
  return now.tv_sec;
}
