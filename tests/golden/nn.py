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
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm
from torch.nn.utils.spectral_norm import SpectralNorm


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


class Residual(nn.Module):
    def __init__(self, branch, shortcut=None):
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x):
        return self.branch(x) + (x if self.shortcut is None else self.shortcut(x))


class Over(nn.Module):
    """A reduction that torch.nn has no module for."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


class Bounded(SpectralNorm):
    """w / sigma * min(sigma, 1)"""

    def compute_weight(self, module, do_power_iteration):
        normalised = super().compute_weight(module, do_power_iteration)
        u, v = module.weight_u.clone(), module.weight_v.clone()
        sigma = torch.dot(u, torch.mv(self.reshape_weight_to_matrix(module.weight_orig), v))
        return normalised * torch.clamp(sigma, max=1)


def bounded(layer):
    spectral_norm(layer)
    for hook in layer._forward_pre_hooks.values():
        hook.__class__ = Bounded
    return layer


def strokes():
    """The network for the drawn strokes and discs."""
    layers = [nn.Conv2d(1, 16, 5, 2, 2), nn.SiLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(32, 64, 3, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(256, 1))


def uva(c, hidden):
    return nn.Sequential(
        nn.Conv2d(1, c[0], 5, 2, 4), nn.SiLU(), nn.Conv2d(c[0], c[1], 3, 2, 1), nn.SiLU(),
        nn.Conv2d(c[1], c[2], 3, 2, 1), nn.SiLU(), nn.Conv2d(c[2], c[3], 3, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Linear(4 * c[3], hidden), nn.SiLU(), nn.Linear(hidden, 1),
    )


def vanilla():
    a = lambda: nn.LeakyReLU(0.2)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 1, 1), a(), nn.Conv2d(64, 128, 4, 2, 1), a(), nn.Conv2d(128, 256, 4, 2, 1), a(),
        nn.Conv2d(256, 512, 4, 2, 1), a(), nn.Conv2d(512, 1, 4, 1, 0),
    )


def xie():
    a = lambda: nn.LeakyReLU(0.2)
    return nn.Sequential(
        nn.Conv2d(3, 64, 5, 2, 2), a(), nn.Conv2d(64, 128, 3, 2, 1), a(), nn.Conv2d(128, 256, 3, 1, 1), a(),
        nn.Flatten(), nn.Linear(256 * 16 * 16, 100), Over(lambda x: x.sum(1, keepdim=True)),
    )


def igebm():
    layers = [spectral_norm(nn.Conv2d(3, 128, 3, 1, 1)), nn.LeakyReLU(0.2)]
    before = 128
    for out, down in [(128, True), (128, False), (256, True), (256, False), (256, True), (256, False)]:
        branch = nn.Sequential(
            spectral_norm(nn.Conv2d(before, out, 3, 1, 1)), nn.LeakyReLU(0.2), bounded(nn.Conv2d(out, out, 3, 1, 1))
        )
        change = down or before != out
        layers.append(Residual(branch, spectral_norm(nn.Conv2d(before, out, 1, bias=False)) if change else None))
        layers += [nn.AvgPool2d(2)] if down else []
        layers.append(nn.LeakyReLU(0.2))
        before = out
    return nn.Sequential(*layers, nn.ReLU(), Over(lambda x: x.sum((2, 3))), nn.Linear(256, 1))


def norms():
    first = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.GroupNorm(4, 8), nn.Softplus(), nn.Conv2d(8, 12, 3, 2, 1))
    second = nn.Sequential(nn.ReLU(), nn.Conv2d(12, 12, 1))
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8, eps=1e-3, momentum=0.2), nn.ELU(),
        Residual(first, nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(8, 12, 1))), nn.MaxPool2d(3, 2, 1),
        Residual(second), nn.ReLU(), Over(lambda x: x.mean((2, 3))), nn.BatchNorm1d(12),
        spectral_norm(nn.Linear(12, 6), n_power_iterations=2), nn.SiLU(), nn.Linear(6, 1),
    )


def pools():
    return nn.Sequential(
        bounded(nn.Conv2d(3, 6, 3)), nn.ReLU(), nn.AvgPool2d(2, divisor_override=1),
        bounded(nn.Conv2d(6, 6, 3, 1, 1, bias=False)), nn.ELU(), nn.GroupNorm(1, 6), nn.LeakyReLU(),
        nn.AvgPool2d(3, 1, 1), Over(lambda x: x.flatten(1).sum(1, keepdim=True)),
    )


def wide_resnet(depth, width, norm=False):
    """The form of JEM: pre-activation, the stride on a block's second convolution; or that of JEM++, with batch norm."""
    a = lambda: nn.LeakyReLU(0.2)
    norms = lambda channels: [nn.BatchNorm2d(channels, momentum=0.9)] if norm else []
    layers, before = [nn.Conv2d(3, 16, 3, 1, 1)], 16
    for out, first_stride in [(16 * width, 1), (32 * width, 2), (64 * width, 2)]:
        for i in range((depth - 4) // 6):
            stride = first_stride if i == 0 else 1
            branch = nn.Sequential(
                *norms(before), a(), nn.Conv2d(before, out, 3, 1, 1),
                *norms(out), a(), nn.Conv2d(out, out, 3, stride, 1),
            )
            change = stride != 1 or before != out
            layers.append(Residual(branch, nn.Conv2d(before, out, 1, stride) if change else None))
            before = out
    return nn.Sequential(*layers, *norms(before), a(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(before, 10))


class Normalised(nn.Sequential):
    """Takes images in [-1, 1] as torchvision's Normalize would those in [0, 1]."""

    def __init__(self, mean, std, *layers):
        super().__init__(*layers)
        self.mean, self.std = (torch.tensor(v, dtype=torch.float64).reshape(1, -1, 1, 1) for v in (mean, std))

    def forward(self, x):
        images = (x + 1) / 2
        return super().forward((images - self.mean.to(x.dtype)) / self.std.to(x.dtype))


def resnet20():
    """He et al. 2016 with option A: the shortcut takes every other pixel and adds channels of zeroes on both sides."""
    conv = lambda c, out, stride: nn.Conv2d(c, out, 3, stride, 1, bias=False)
    layers, before = [conv(3, 16, 1), nn.BatchNorm2d(16), nn.ReLU()], 16
    for out in (16, 32, 64):
        for _ in range(3):
            stride = 1 if out == before else 2
            branch = nn.Sequential(
                conv(before, out, stride), nn.BatchNorm2d(out), nn.ReLU(), conv(out, out, 1), nn.BatchNorm2d(out)
            )
            fewer = lambda x, c=out: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, c // 4, c // 4))
            layers += [Residual(branch, Over(fewer) if stride == 2 else None), nn.ReLU()]
            before = out
    last = [Over(lambda x: x.mean((2, 3))), nn.Linear(64, 10)]
    return Normalised([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], *layers, *last)


def preactivation():
    """Blocks that begin with an activation of what their shortcut reads too; an odd number of added channels."""
    conv = lambda out=4, stride=1: nn.Conv2d(4, out, 3, stride, 1)
    block = lambda: Residual(
        nn.Sequential(nn.ELU(), spectral_norm(conv()), nn.BatchNorm2d(4), nn.ReLU(), conv()), None
    )
    added = Over(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)))
    return Normalised(
        [0.4, 0.6], [0.2, 0.3],
        nn.Conv2d(2, 4, 3, 1, 1), Residual(nn.Sequential(nn.ReLU(), conv(), nn.ELU(), conv())), block(), block(),
        Residual(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), conv(7, 2)), added),
        nn.ReLU(), Over(lambda x: x.mean((2, 3))), nn.Linear(7, 3),
    )


CASES = {
    "mnist": (lambda: uva([32, 64, 128, 128], 128), [2, 1, 28, 28], {}),
    "strokes": (strokes, [2, 1, 16, 16], {}),
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
IMAGES = {"wrn_16_4": "image 9", "wrn_28_2": "image 4", "wrn_28_2_bn": "image 13"}
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
