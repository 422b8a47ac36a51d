// How the C library keeps memory, and how the processor treats the smallest numbers.

#include <ATen/Context.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

// Blocks of any size come from the heap, and a heap that shrank keeps its pages: a large tensor that is freed and made
// anew in every step would otherwise be mapped and zeroed by the kernel each time.
extern "C" void ebm_keep_freed_memory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

// False where the processor cannot.
extern "C" bool ebm_flush_denormals(bool on) {
  try {
    return at::globalContext().setFlushDenormal(on);
  } catch (...) {
    return false;
  }
}
