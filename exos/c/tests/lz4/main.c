/* A megabyte is compressed and restored by the LZ4 library as it is published. */
#include "lz4.h"
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES (1 << 20)

int main(void)
{
    int room = LZ4_compressBound(BYTES);
    char *text = malloc(BYTES);
    char *small = malloc(room);
    char *again = malloc(BYTES);
    uint32_t random = 1;
    int bytes;

    assert(text && small && again);
    /* Words of a small vocabulary. */
    for (int at = 0; at < BYTES; at++) {
        if (at % 8 == 0)
            random = random * 1664525 + 1013904223;
        text[at] = "etaoinshrdlucmfw"[random >> (at % 8 * 2 + 8) & 15];
    }
    bytes = LZ4_compress_default(text, small, BYTES, room);
    assert(bytes > 0 && bytes < BYTES);
    assert(LZ4_decompress_safe(small, again, bytes, BYTES) == BYTES);
    assert(memcmp(text, again, BYTES) == 0);
    small[bytes / 2] ^= 0xff;
    LZ4_decompress_safe(small, again, bytes, BYTES);
    assert(LZ4_decompress_safe(small, again, bytes / 3, BYTES) != BYTES);
    printf("lz4: %d bytes in %d, and back\n", BYTES, bytes);
    return 0;
}
