// The few LibTorch switches that tch does not reach. No exception crosses into Rust.

#include <ATen/Context.h>

namespace {

// What `read` finds, 1 or 0; -1 where it throws.
template <class Read>
int caught(Read&& read) {
  try {
    return read() ? 1 : 0;
  } catch (...) {
    return -1;
  }
}

} // namespace

// Only algorithms that repeat bit for bit; an operation that has none then throws. -1 where LibTorch refuses.
extern "C" int ebm_set_deterministic(bool on) {
  return caught([on] {
    auto& context = at::globalContext();
    context.setDeterministicAlgorithms(on, /*warn_only=*/false);
    context.setDeterministicCuDNN(on);
    if (on) context.setBenchmarkCuDNN(false);
    return true;
  });
}

extern "C" int ebm_is_deterministic() {
  return caught([] { return at::globalContext().deterministicAlgorithms(); });
}

// These two keep LibTorch's older flags and its newer per-backend precision in step; setting one kind alone makes the
// other's readers throw. They are plain flags, there without CUDA too.
extern "C" int ebm_set_tf32(bool on) {
  return caught([on] {
    auto& context = at::globalContext();
    context.setAllowTF32CuBLAS(on);
    context.setAllowTF32CuDNN(on);
    return true;
  });
}

extern "C" int ebm_matmul_tf32() {
  return caught([] { return at::globalContext().allowTF32CuBLAS(); });
}

extern "C" int ebm_conv_tf32() {
  return caught([] { return at::globalContext().allowTF32CuDNN(); });
}
