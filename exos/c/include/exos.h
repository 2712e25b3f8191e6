/* What the library adds to the kernel's calls (aegis.h): those that end a slice, and transfers. Errors are those of the kernel. */
#ifndef EXOS_H
#define EXOS_H

#include <stdint.h>

/* Ends the slice; returns in a later one. */
void exos_c_yield(void);
/* Gives the rest of the slice to an environment. */
int exos_c_yield_to(uint32_t to);
/* Waits until a tick of the clock (aegis_clock), or to be woken (aegis_wake). */
void exos_c_wait(uint32_t deadline);
/* Calls an environment and waits for its answer. */
int exos_c_call(uint32_t callee, const uint32_t message[4], uint32_t answer[2]);

#endif
