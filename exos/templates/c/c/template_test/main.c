/* Calls, their errors, the C library, arguments: cargo exo test. */
#include <aegis.h>
#include <assert.h>
#include <errno.h>
#include <exos.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void calls(void)
{
    uint32_t now;

    assert(aegis_null() == 0);
    assert(aegis_slice_free(AEGIS_SLICES) == AEGIS_BAD_ARGUMENT);
    assert(aegis_slice_free(63) == AEGIS_DENIED);
    assert(aegis_slice_allocate(63) == 0 && aegis_slice_free(63) == 0);
    assert(aegis_wake(0) == AEGIS_NO_SUCH_ENVIRONMENT);
    assert(aegis_call(AEGIS_CALL_TLB_WRITE - 0x80, 0, 0, 0, 0) == AEGIS_NO_SUCH_CALL);
    assert(exos_c_yield_to(0) == AEGIS_NO_SUCH_ENVIRONMENT);
    now = aegis_clock();
    exos_c_wait(now + 2);
    assert((uint32_t)aegis_clock() - now >= 2);
    exos_c_yield();
}

static int compare(const void *one, const void *other)
{
    return *(const int *)one - *(const int *)other;
}

static void library(void)
{
    static jmp_buf place;
    char text[80];
    int numbers[1000];
    char *large;
    int left;

    snprintf(text, sizeof text, "%5.2f %lld %s", sqrt(2.0), 1234567890123LL, "abc");
    assert(strcmp(text, " 1.41 1234567890123 abc") == 0);
    assert(strtod("6.02e23", NULL) == 6.02e23);
    for (int i = 0; i < 1000; i++)
        numbers[i] = i * 7919 % 1000;
    qsort(numbers, 1000, sizeof *numbers, compare);
    for (int i = 0; i < 1000; i++)
        assert(numbers[i] == i);
    large = malloc(1 << 20);
    assert(large != NULL && malloc(64 << 20) == NULL);
    memset(large, 0x5a, 1 << 20);
    assert(large[(1 << 20) - 1] == 0x5a);
    free(large);
    left = setjmp(place);
    if (left < 3)
        longjmp(place, left + 1);
    assert(fopen("no such file", "r") == NULL);
}

int main(int count, char **arguments)
{
    assert(count == 3 && strcmp(arguments[1], "one") == 0 && strcmp(arguments[2], "two") == 0);
    calls();
    library();
    printf("%s: all is well\n", arguments[0]);
    return 0;
}
