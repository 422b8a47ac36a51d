//! The gradient of a convolution in its input.

use std::ffi::{CStr, c_char, c_void};

use tch::Tensor;

unsafe extern "C" {
    fn ebm_convolution_backward_input(
        grad: *const c_void,
        input: *const c_void,
        weight: *const c_void,
        stride: i64,
        padding: i64,
        error: *mut c_char,
        size: usize,
    ) -> *mut c_void;
}

/// dL/dx of `conv2d(x, weight, stride, padding)` from dL/dy, a new tensor.
///
/// `input` gives the shape of x, and its layout in memory takes part in the choice of the result's.
///
/// # Panics
/// With LibTorch's own words, where shapes or kinds do not fit each other.
pub(crate) fn convolution_backward_input(
    grad: &Tensor,
    input: &Tensor,
    weight: &Tensor,
    stride: i64,
    padding: i64,
) -> Tensor {
    let mut error = [0 as c_char; 512];
    // SAFETY: a `tch::Tensor` points to an `at::Tensor` that lives as long as its borrow; the shim only reads the three,
    // lets no exception out, and writes at most `error.len()` bytes, the last one 0.
    let found = unsafe {
        ebm_convolution_backward_input(
            grad.as_ptr().cast(),
            input.as_ptr().cast(),
            weight.as_ptr().cast(),
            stride,
            padding,
            error.as_mut_ptr(),
            error.len(),
        )
    };
    if found.is_null() {
        // SAFETY: the shim wrote a text that ends with 0 into `error`.
        let text = unsafe { CStr::from_ptr(error.as_ptr()) };
        panic!("gradient of a convolution: {}", text.to_string_lossy());
    }
    // SAFETY: `found` is an `at::Tensor` that the shim made with `new` for its caller to own, as `tch` expects.
    unsafe { Tensor::from_ptr(found.cast()) }
}
