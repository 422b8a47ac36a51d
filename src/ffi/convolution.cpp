// The gradient of a convolution in its input, which tch leaves out of its bindings.

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/Dispatch.h>

#include <algorithm>
#include <cstring>
#include <exception>

namespace {

// A new tensor from `work`, or null with a text in `error`; its first `size` bytes, ended by 0, are for the text.
template <typename Work>
at::Tensor* guarded(char* error, size_t size, Work work) {
  try {
    return new at::Tensor(work());
  } catch (const std::exception& fault) {
    std::strncpy(error, fault.what(), size - 1);
    error[size - 1] = 0;
    return nullptr;
  } catch (...) {
    std::strncpy(error, "an exception of unknown type", size - 1);
    error[size - 1] = 0;
    return nullptr;
  }
}

struct Window {
  int64_t channels, height, width, rows, columns, kernel, stride, padding;
};

// Adds the patches of one image, [rows, columns, kernel, kernel, channels], where they lie in it, [channels, height,
// width].
template <typename T>
void add_patches(const T* patch, float* image, const Window& w) {
  for (int64_t row = 0; row < w.rows; ++row) {
    const int64_t top = row * w.stride - w.padding;
    const int64_t first_row = std::max<int64_t>(0, -top);
    const int64_t last_row = std::min(w.kernel, w.height - top);
    for (int64_t column = 0; column < w.columns; ++column) {
      const int64_t left = column * w.stride - w.padding;
      const int64_t first = std::max<int64_t>(0, -left);
      const int64_t last = std::min(w.kernel, w.width - left);
      for (int64_t i = first_row; i < last_row; ++i) {
        const T* from = patch + i * w.kernel * w.channels;
        float* to = image + (top + i) * w.width + left;
        for (int64_t c = 0; c < w.channels; ++c) {
          for (int64_t j = first; j < last; ++j) {
            to[c * w.height * w.width + j] += static_cast<float>(from[j * w.channels + c]);
          }
        }
      }
      patch += w.kernel * w.kernel * w.channels;
    }
  }
}

at::Tensor image_gradient(
    const at::Tensor& grad, const at::Tensor& weight, int64_t height, int64_t width, int64_t stride, int64_t padding) {
  // What follows reads and writes memory by these numbers.
  const auto plain = [](const at::Tensor& t) { return t.dim() == 4 && t.device().is_cpu(); };
  TORCH_CHECK(plain(grad) && plain(weight), "expected two tensors of four dimensions on a CPU");
  TORCH_CHECK(weight.size(2) == weight.size(3), "expected a square kernel");
  TORCH_CHECK(height > 0 && width > 0 && stride > 0 && padding >= 0, "expected sides and a stride above 0");
  const Window w{weight.size(1), height, width, grad.size(2), grad.size(3), weight.size(2), stride, padding};
  const int64_t images = grad.size(0), outputs = grad.size(1);
  const at::Tensor rows = grad.permute({0, 2, 3, 1}).reshape({-1, outputs});
  const at::Tensor patches = at::mm(rows, weight.permute({0, 2, 3, 1}).reshape({outputs, -1})).contiguous();
  at::Tensor image = at::zeros({images, w.channels, height, width}, grad.options().dtype(at::kFloat));
  float* to = image.data_ptr<float>();
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, patches.scalar_type(), "image_gradient", [&] {
    const scalar_t* from = patches.const_data_ptr<scalar_t>();
    at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t per_image = w.rows * w.columns * w.kernel * w.kernel * w.channels;
        add_patches(from + i * per_image, to + i * w.channels * height * width, w);
      }
    });
  });
  return image;
}

}  // namespace

extern "C" at::Tensor* ebm_convolution_backward_input(
    const at::Tensor* grad, const at::Tensor* input, const at::Tensor* weight, int64_t stride, int64_t padding,
    char* error, size_t size) {
  return guarded(error, size, [&] {
    auto gradients = at::convolution_backward(
        *grad, *input, *weight, /*bias_sizes=*/std::nullopt, {stride, stride}, {padding, padding}, /*dilation=*/{1, 1},
        /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1, /*output_mask=*/{true, false, false});
    return std::get<0>(gradients);
  });
}

// The same for images of few channels on a CPU, in f32: a product that gives every output's patch, and their sum. The
// general kernels pad channels to a whole register and waste most of it.
extern "C" at::Tensor* ebm_convolution_backward_image(
    const at::Tensor* grad, const at::Tensor* weight, int64_t height, int64_t width, int64_t stride, int64_t padding,
    char* error, size_t size) {
  return guarded(error, size, [&] { return image_gradient(*grad, *weight, height, width, stride, padding); });
}
