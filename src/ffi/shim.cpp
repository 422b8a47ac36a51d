// The few LibTorch switches that tch does not reach.

#include <ATen/Context.h>

#include <cstdlib>

// Only algorithms that repeat bit for bit; an operation that has none then throws.
extern "C" void ebm_set_deterministic(bool on) {
  // cuBLAS reads this when its first handle is made; a value that the user gave stays.
  if (on) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  auto& context = at::globalContext();
  context.setDeterministicAlgorithms(on, /*warn_only=*/false);
  context.setDeterministicCuDNN(on);
  if (on) context.setBenchmarkCuDNN(false);
}

extern "C" bool ebm_is_deterministic() {
  return at::globalContext().deterministicAlgorithms();
}

// These two keep LibTorch's older flags and its newer per-backend precision in step; setting one kind alone makes the
// other's readers throw. They are plain flags, there without CUDA too.
extern "C" void ebm_set_tf32(bool on) {
  auto& context = at::globalContext();
  context.setAllowTF32CuBLAS(on);
  context.setAllowTF32CuDNN(on);
}

extern "C" bool ebm_matmul_tf32() {
  return at::globalContext().allowTF32CuBLAS();
}

extern "C" bool ebm_conv_tf32() {
  return at::globalContext().allowTF32CuDNN();
}
