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

    fn ebm_convolution_backward_image(
        grad: *const c_void,
        weight: *const c_void,
        height: i64,
        width: i64,
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
    let [g, x, w] = [grad, input, weight].map(|t| t.as_ptr().cast());
    taken(|error, size| {
        // SAFETY: a `tch::Tensor` points to an `at::Tensor` that lives as long as its borrow; the shim only reads the
        // three, lets no exception out, and writes at most `size` bytes to `error`, the last one 0.
        unsafe { ebm_convolution_backward_input(g, x, w, stride, padding, error, size) }
    })
}

/// The same for x of few channels on a CPU, `[B,C,height,width]`, f32 and contiguous whatever the kind of the others,
/// which are fastest where channels lie last.
///
/// # Panics
/// As [`convolution_backward_input`].
pub(crate) fn convolution_backward_image(
    grad: &Tensor,
    weight: &Tensor,
    [height, width]: [i64; 2],
    stride: i64,
    padding: i64,
) -> Tensor {
    let [g, w] = [grad, weight].map(|t| t.as_ptr().cast());
    taken(|error, size| {
        // SAFETY: as above; the shim checks that both lie on a CPU and have four dimensions, and reads and writes inside
        // the tensors that it makes of them.
        unsafe { ebm_convolution_backward_image(g, w, height, width, stride, padding, error, size) }
    })
}

/// The tensor that `call` makes; it gets room for an error text, and its size.
fn taken(call: impl FnOnce(*mut c_char, usize) -> *mut c_void) -> Tensor {
    let mut error = [0 as c_char; 512];
    let found = call(error.as_mut_ptr(), error.len());
    if found.is_null() {
        // SAFETY: the shim wrote a text that ends with 0 into `error`.
        let text = unsafe { CStr::from_ptr(error.as_ptr()) };
        panic!("gradient of a convolution: {}", text.to_string_lossy());
    }
    // SAFETY: `found` is an `at::Tensor` that the shim made with `new` for its caller to own, as `tch` expects.
    unsafe { Tensor::from_ptr(found.cast()) }
}
