/* What the C library asks of a system and has its own types for: the console as the standard streams, the clock. */
#include <aegis.h>
#include <errno.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

void exos_c_put(char byte);
int exos_c_get(void);

static int put(char byte, FILE *stream)
{
    (void)stream;
    exos_c_put(byte);
    return (unsigned char)byte;
}

static int get(FILE *stream)
{
    int byte = exos_c_get();
    (void)stream;
    return byte < 0 ? _FDEV_EOF : byte;
}

static FILE console = FDEV_SETUP_STREAM(put, get, NULL, _FDEV_SETUP_RW);

FILE *const stdin = &console;
FILE *const stdout = &console;
FILE *const stderr = &console;

/* Seconds since the machine started: it does not know the date. */
int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    uint64_t microseconds = (uint64_t)(uint32_t)aegis_clock() * AEGIS_SLICE_MICROSECONDS;

    (void)zone;
    now->tv_sec = microseconds / 1000000;
    now->tv_usec = microseconds % 1000000;
    return 0;
}

/* The time that has passed, whoever ran. */
clock_t times(struct tms *now)
{
    clock_t ticks = (uint64_t)(uint32_t)aegis_clock() * AEGIS_SLICE_MICROSECONDS * CLOCKS_PER_SEC / 1000000;

    *now = (struct tms){.tms_utime = ticks};
    return ticks;
}

/* The boot archive is not written to. */
int unlink(const char *path)
{
    (void)path;
    errno = EROFS;
    return -1;
}

int rename(const char *from, const char *to)
{
    (void)from;
    (void)to;
    errno = EROFS;
    return -1;
}

/* What the library asks for the text of an error that it does not know. */
char *_user_strerror(int error, int internal, int *result)
{
    (void)error;
    (void)internal;
    (void)result;
    return "";
}
