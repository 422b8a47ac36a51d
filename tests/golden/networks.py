"""The networks in models/, and small ones that use every other layer, in PyTorch; nn.py takes their golden values."""
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm
from torch.nn.utils.spectral_norm import SpectralNorm


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


def toy_mlp():
    """The network of points in the plane."""
    hidden = [layer for inputs in (2, 128, 128) for layer in (nn.Linear(inputs, 128), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(128, 1))


def uva(c, hidden, out=1):
    return nn.Sequential(
        nn.Conv2d(1, c[0], 5, 2, 4), nn.SiLU(), nn.Conv2d(c[0], c[1], 3, 2, 1), nn.SiLU(),
        nn.Conv2d(c[1], c[2], 3, 2, 1), nn.SiLU(), nn.Conv2d(c[2], c[3], 3, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Linear(4 * c[3], hidden), nn.SiLU(), nn.Linear(hidden, out),
    )


class Levels(nn.Sequential):
    """E(x, sigma) at the lowest level: layers on the state at two scales and the level, added to a Gaussian."""

    def forward(self, x, sigma=0.05, data_std=1.0):
        variance = sigma**2 + data_std**2
        u = x / variance**0.5
        level = torch.full_like(x[:, :1], math.log(sigma) / 4)
        correction = super().forward(torch.cat([u, u * (data_std / (2 * sigma)) ** 0.5, level], 1))
        return x.flatten(1).square().sum(1, keepdim=True) / (2 * variance) + correction * (data_std / sigma)


def mnist_levels():
    conv, half = nn.Conv2d, lambda c: nn.Conv2d(c, 2 * c, 4, 2, 1)
    double = lambda: Over(lambda x: F.interpolate(x, scale_factor=2))
    block = lambda *layers: Residual(nn.Sequential(*layers))
    whole = block(nn.Flatten(), nn.Linear(2048, 256), nn.SiLU(), nn.Linear(256, 2048), nn.Unflatten(1, (128, 4, 4)))
    block4 = block(half(64), nn.SiLU(), whole, nn.SiLU(), conv(128, 128, 3, 1, 1), nn.SiLU(), conv(128, 64, 3, 1, 1), double())
    block8 = block(half(32), nn.SiLU(), block4, nn.SiLU(), conv(64, 32, 3, 1, 1), double())
    block16 = block(half(16), nn.SiLU(), block8, nn.SiLU(), conv(32, 16, 3, 1, 1), double())
    block32 = block(conv(3, 16, 5, 1, 4), nn.SiLU(), block16, nn.SiLU(), conv(16, 3, 5))
    return Levels(block32, Over(torch.square), Over(lambda x: x.flatten(1).sum(1, keepdim=True)))


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
