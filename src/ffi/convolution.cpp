// The gradient of a convolution in its input, which tch leaves out of its bindings.

#include <ATen/Functions.h>

#include <cstring>
#include <exception>

// A new tensor, or null with a text in `error`; its first `size` bytes, ended by 0, are for the text.
extern "C" at::Tensor* ebm_convolution_backward_input(
    const at::Tensor* grad, const at::Tensor* input, const at::Tensor* weight, int64_t stride, int64_t padding,
    char* error, size_t size) {
  try {
    auto gradients = at::convolution_backward(
        *grad, *input, *weight, /*bias_sizes=*/c10::nullopt, {stride, stride}, {padding, padding}, /*dilation=*/{1, 1},
        /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1, /*output_mask=*/{true, false, false});
    return new at::Tensor(std::get<0>(gradients));
  } catch (const std::exception& fault) {
    std::strncpy(error, fault.what(), size - 1);
    error[size - 1] = 0;
    return nullptr;
  }
}
