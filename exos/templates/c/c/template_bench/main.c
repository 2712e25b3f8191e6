/* What the null system call takes from C: cargo exo bench. What is counted stands between marks. */
#include <aegis.h>
#include <stdio.h>

int main(void)
{
    printf("mark 1 table=template op=null system=template how=the system call that does nothing, from C\n");
    printf("loop 101 of=1 rounds=1000 how=the same, and the loop's own\n");
    for (int i = 0; i < 1000; i++) {
        AEGIS_MARK_BEGIN(1);
        aegis_null();
        AEGIS_MARK_END(1);
    }
    for (int round = 0; round < 9; round++) {
        AEGIS_MARK_BEGIN(101);
        for (int i = 0; i < 1000; i++)
            aegis_null();
        AEGIS_MARK_END(101);
    }
    return 0;
}
