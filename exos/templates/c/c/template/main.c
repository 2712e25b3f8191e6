/* What the kernel shows of itself, by its calls: cargo exo run. */
#include <aegis.h>
#include <stdio.h>

int main(void)
{
    uint32_t mine = 0;
    uint32_t me = aegis_self();

    for (int position = 0; position < AEGIS_SLICES; position++)
        mine += aegis_public_slice(position)[0] == me;
    printf("template: environment %#lx, interface %d, %lu slice of %d, %.2f ms each\n", (unsigned long)me, AEGIS_VERSION,
           (unsigned long)mine, AEGIS_SLICES, AEGIS_SLICE_MICROSECONDS / 1000.0);
    return 0;
}
