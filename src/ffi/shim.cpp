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
