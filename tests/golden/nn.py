"""Golden values of the networks in models/ and of two small ones that use every other layer, from PyTorch.

Run with PyTorch 2.11 on a CPU from any folder: python nn.py. It writes nn.json beside itself.
Weights and images follow a rule that both sides compute (`fill`), so that no tensor has to be stored. Values are computed
in double precision from weights rounded to single; what single precision itself deviates by is printed, and the
tolerance of the Rust test rests on that.
"""
import json
import pathlib

import numpy as np
import torch
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
}


def digest(name, tensor):
    """The norm, and the products with two random directions over that norm's scale: any real difference shows."""
    t = tensor.detach().double().flatten().numpy()
    ways = [2 * uniform(f"{name}/{way}", t.size) - 1 for way in ("a", "b")]
    return [float(np.linalg.norm(t))] + [float(t @ way) for way in ways]


def gradients(net, x):
    net.zero_grad()
    x = x.clone().requires_grad_()
    energy = net(x).flatten()
    energy.sum().backward()
    grads = {name: digest(name, p.grad) for name, p in net.named_parameters()}
    return {"energy": energy.tolist(), "grad_x": digest("x", x.grad), "grads": grads}


def run(build, shape, scales, kind):
    torch.manual_seed(0)
    net = build()
    state = {name: fill(name, list(t.shape), scales) for name, t in net.state_dict().items()}
    net.load_state_dict(state)
    net.to(kind)
    x = torch.from_numpy((2 * uniform("x", int(np.prod(shape))) - 1).astype(np.float32)).reshape(shape).to(kind)
    out = {
        "input": shape,
        "scales": scales,
        "state": [[name, list(t.shape)] for name, t in net.state_dict().items()],
        "parameters": [name for name, _ in net.named_parameters()],
    }
    # Two passes that only move the buffers, then one with gradients, then the same in evaluation.
    net.train()
    for _ in range(2):
        with torch.no_grad():
            net(x)
    out["train"] = gradients(net, x)
    out["buffers"] = {name: digest(name, b) for name, b in net.named_buffers()}
    net.eval()
    out["eval"] = gradients(net, x)
    return out


def deviation(exact, single):
    """Largest difference of single precision, relative to each tensor's norm; energies and gradients apart."""
    energies, grads = [0.0], [0.0]
    for part in ("train", "eval"):
        a, b = exact[part], single[part]
        size = max(map(abs, a["energy"]))
        energies += [abs(p - q) / size for p, q in zip(a["energy"], b["energy"])]
        pairs = [(a["grad_x"], b["grad_x"])] + [(a["grads"][n], b["grads"][n]) for n in a["grads"]]
        grads += [abs(p - q) / max(d[0], 1e-30) for d, e in pairs for p, q in zip(d, e)]
    for n, d in exact["buffers"].items():
        grads += [abs(p - q) / max(d[0], 1e-30) for p, q in zip(d, single["buffers"][n])]
    return max(energies), max(grads)


def main():
    golden = {}
    for name, (build, shape, scales) in CASES.items():
        golden[name] = run(build, shape, scales, torch.float64)
        energy, grad = deviation(golden[name], run(build, shape, scales, torch.float32))
        print(f"{name}: single precision is off by {energy:.1e} in energies, {grad:.1e} in gradients and buffers")
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
