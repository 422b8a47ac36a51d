"""Golden values of the networks in models/ and of small ones that use every other layer, from PyTorch.

Run with PyTorch 2.11 on a CPU from any folder: python nn.py. It writes nn.json beside itself.
Weights and images follow a rule that both sides compute (`fill`), so that no tensor has to be stored. Values are computed
in double precision from weights rounded to single; what single precision itself deviates by is printed, and the
tolerance of the Rust test rests on that. A gradient jumps where an activation's input passes zero, and among a million
inputs some lie within single precision's error of it: printed is how many such errors the nearest one is away.
"""
import json
import pathlib

import numpy as np
import torch
from torch import nn

from networks import igebm, mnist_levels, norms, pools, preactivation, resnet20, strokes, toy_mlp, uva, vanilla
from networks import wide_resnet, xie


def uniform(key, count):
    """Numbers in [0, 1): an integer hash of the position, keyed by a hash of the name."""
    seed = 0x811C9DC5
    for byte in key.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(seed)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    h = h ^ (h >> np.uint32(16))
    return h.astype(np.float64) / 2.0**32


def fill(name, shape, scales):
    """The value of the tensor called `name`: weights as wide as He et al. want, the rest of the order of 1."""
    u = uniform(name, int(np.prod(shape)))
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if len(shape) >= 2:
        fan_in = int(np.prod(shape[1:]))
        value = (2 * u - 1) * np.sqrt(6.0 / fan_in) * scales.get(name, 1.0)
    elif last == "bias":
        value = (u - 0.5) * 0.2
    elif last in ("weight", "running_var"):
        value = u + 0.5
    else:
        value = 2 * u - 1
    return torch.from_numpy(value.astype(np.float32)).reshape(shape)


CASES = {
    "mnist": (lambda: uva([32, 64, 128, 128], 128), [2, 1, 28, 28], {}),
    "mnist_classifier": (lambda: uva([32, 64, 128, 128], 128, 10), [2, 1, 28, 28], {}),
    "mnist_levels": (mnist_levels, [2, 1, 28, 28], {}),
    "strokes": (strokes, [2, 1, 16, 16], {}),
    "toy_mlp": (toy_mlp, [5, 2], {}),
    "uva_tutorial8": (lambda: uva([16, 32, 64, 64], 64), [2, 1, 28, 28], {}),
    "vanilla_convnet": (vanilla, [2, 3, 32, 32], {}),
    "xie_generative_convnet": (xie, [2, 3, 64, 64], {}),
    "igebm_cifar10": (igebm, [2, 3, 32, 32], {"2.branch.2.weight_orig": 0.1}),
    "norms": (norms, [3, 4, 8, 8], {}),
    # The first weight's largest singular value is below 1, the second's above: both sides of the bound.
    "pools": (pools, [3, 3, 10, 10], {"0.weight_orig": 0.1, "3.weight_orig": 2.0}),
    "preactivation": (preactivation, [3, 2, 9, 9], {}),
    "resnet20_cifar10": (resnet20, [2, 3, 32, 32], {}),
    "wrn_16_4": (lambda: wide_resnet(16, 4), [1, 3, 32, 32], {}),
    "wrn_28_2": (lambda: wide_resnet(28, 2), [1, 3, 32, 32], {}),
    "wrn_28_2_bn": (lambda: wide_resnet(28, 2, norm=True), [1, 3, 32, 32], {}),
    "wrn_28_4": (lambda: wide_resnet(28, 4), [1, 3, 32, 32], {}),
    "wrn_28_10": (lambda: wide_resnet(28, 10), [1, 3, 32, 32], {}),
    "wrn_28_10_bn": (lambda: wide_resnet(28, 10, norm=True), [1, 3, 32, 32], {}),
}
# Images, by their name in `uniform`, that keep every activation's input several errors away from zero.
IMAGES = {"igebm_cifar10": "image 3", "wrn_16_4": "image 9", "wrn_28_2": "image 4", "wrn_28_2_bn": "image 13"}
# Large networks of a form that a smaller one has too: a pass in evaluation only, to keep the test short. No image keeps
# all of their millions of inputs away from zero, so that gradients agree to about 1/sqrt(inputs of a layer) at best.
EVALUATED_ONLY = ("wrn_28_4", "wrn_28_10", "wrn_28_10_bn")


def digest(name, tensor):
    """The norm, and the products with two random directions over that norm's scale: any real difference shows."""
    t = tensor.detach().double().flatten().numpy()
    ways = [2 * uniform(f"{name}/{way}", t.size) - 1 for way in ("a", "b")]
    return rounded([float(np.linalg.norm(t))] + [float(t @ way) for way in ways])


def rounded(values):
    """To 12 digits, which is far beyond single precision."""
    return [float(f"{v:.12g}") for v in values]


def gradients(net, x):
    """The output, and the gradients of its sum; of logits that sum is weighted, so that no class is like another."""
    net.zero_grad()
    x = x.clone().requires_grad_()
    out = net(x)
    weights = torch.ones_like(out)
    if out.shape[1] > 1:
        weights = torch.from_numpy(2 * uniform("classes", out.numel()) - 1).reshape(out.shape).to(out)
    (out * weights).sum().backward()
    grads = {name: digest(name, p.grad) for name, p in net.named_parameters()}
    return {"out": rounded(out.flatten().tolist()), "grad_x": digest("x", x.grad), "grads": grads}


def watched(net):
    """A list that collects what the network's kinked activations are given."""
    seen = []
    for module in net.modules():
        if isinstance(module, (nn.ReLU, nn.LeakyReLU)):
            module.register_forward_pre_hook(lambda _, x: seen.append(x[0].detach().double()))
    return seen


def nearest(exact, single):
    """How near to zero an activation's input comes, in units of its layer's error in single precision."""
    pairs = [(a, (a - b).square().mean().sqrt()) for a, b in zip(exact, single)]
    return min((float(a.abs().min() / error) for a, error in pairs if error > 0), default=float("inf"))


def run(name, kind):
    build, shape, scales = CASES[name]
    image = IMAGES.get(name, "x")
    torch.manual_seed(0)
    net = build()
    state = {name: fill(name, list(t.shape), scales) for name, t in net.state_dict().items()}
    net.load_state_dict(state)
    net.to(kind)
    x = torch.from_numpy((2 * uniform(image, int(np.prod(shape))) - 1).astype(np.float32)).reshape(shape).to(kind)
    out = {
        "input": shape,
        "image": image,
        "scales": scales,
        "state": [[name, list(t.shape)] for name, t in net.state_dict().items()],
        "parameters": [name for name, _ in net.named_parameters()],
    }
    if name in EVALUATED_ONLY:
        net.eval()
        seen = watched(net)
        return out | {"train": None, "buffers": {}, "eval": gradients(net, x)}, seen
    # Two passes that only move the buffers, then one with gradients, then the same in evaluation.
    net.train()
    for _ in range(2):
        with torch.no_grad():
            net(x)
    seen = watched(net)
    out["train"] = gradients(net, x)
    out["buffers"] = {name: digest(name, b) for name, b in net.named_buffers()}
    net.eval()
    out["eval"] = gradients(net, x)
    return out, seen


def size(digest, all_of_them):
    """The norm; for what is zero but for rounding, such as the gradient of a bias before batch norm, the largest."""
    largest = max(d[0] for d in all_of_them)
    return digest[0] if digest[0] > 1e-9 * largest else largest


def deviation(exact, single):
    """Largest difference of single precision, relative to each tensor's norm; outputs and gradients apart."""
    outs, grads = [0.0], [0.0]
    for part in ("train", "eval"):
        a, b = exact[part], single[part]
        if a is None:
            continue
        outs += [abs(p - q) / max(map(abs, a["out"])) for p, q in zip(a["out"], b["out"])]
        pairs = [(a["grad_x"], b["grad_x"])] + [(a["grads"][n], b["grads"][n]) for n in a["grads"]]
        grads += [abs(p - q) / size(d, a["grads"].values()) for d, e in pairs for p, q in zip(d, e)]
    for n, d in exact["buffers"].items():
        grads += [abs(p - q) / max(d[0], 1e-30) for p, q in zip(d, single["buffers"][n])]
    return max(outs), max(grads)


def main():
    torch.set_num_threads(1)
    golden = {}
    for name in CASES:
        golden[name], seen = run(name, torch.float64)
        single, seen_single = run(name, torch.float32)
        out, grad = deviation(golden[name], single)
        print(
            f"{name}: single precision is off by {out:.1e} in outputs, {grad:.1e} in gradients and buffers; "
            f"nearest kink {nearest(seen, seen_single):.1f} errors away"
        )
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
