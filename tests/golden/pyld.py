"""Golden values for tests/pyld.rs, the proximal sampler of JEM++ on a small network: python pyld.py > pyld.json

The sampler is written after the description of its step, in double precision. Weights and images follow a rule that both
sides compute (`filled`); f32 holds every one of them exactly.
"""
import json

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
IMAGES = (3, 2, 6, 6)


def filled(key, shape, scale):
    count = torch.Size(shape).numel()
    return torch.tensor([((key * 37 + j * 17 + j * j * 5) % 47 - 23) / 32 * scale for j in range(count)]).reshape(shape)


def network(output):
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.SiLU(), nn.Conv2d(4, 6, 3, stride=2), nn.SiLU(), nn.Flatten(),
        nn.Linear(24, output))
    for key, p in enumerate(net.parameters()):
        p.data = filled(key, p.shape, 1.0)
    return net.requires_grad_(False)


def energy(net, h, classes):
    logits = net[1:](h)
    if logits.shape[1] == 1:
        return logits[:, 0]
    if classes is None:
        return -logits.logsumexp(1)
    return -logits.gather(1, classes[:, None])[:, 0]


def clip(g, by):
    if "value" in by:
        return g.clamp(-by["value"], by["value"])
    norm = g.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    return g * (by["norm"] / norm).clamp(max=1.0)


def sampler(net, n_steps, step_size, inner_steps, inner_step_size, grad_clip, clamp, classes=None):
    keep = (lambda x: x.clamp(*clamp)) if clamp else (lambda x: x)
    x, norms = filled(99, IMAGES, 1.25), []
    for _ in range(n_steps):
        x = x.detach().requires_grad_()
        h = net[0](x)
        e = energy(net, h, classes).sum()
        upstream, whole = torch.autograd.grad(e, [h, x])
        norms.append(whole.flatten(1).norm(dim=1).mean().item())
        x = x.detach()
        if step_size > 0:
            x = keep(x - step_size * clip(whole, grad_clip))
        for _ in range(inner_steps):
            x.requires_grad_()
            g, = torch.autograd.grad((net[0](x) * upstream).sum(), x)
            x = keep(x.detach() - inner_step_size * clip(g, grad_clip))
    return {"x": x.flatten().tolist(), "grad_norm": sum(norms) / len(norms),
            "at_the_ends": (x.abs() == 1).double().mean().item()}


# As published, apart from the clip: at 1 it would never bite here.
published = dict(n_steps=10, step_size=0.0, inner_steps=5, inner_step_size=0.2, grad_clip={"value": 0.3}, clamp=[-1, 1])
outer = dict(n_steps=4, step_size=0.05, inner_steps=3, inner_step_size=0.01, grad_clip={"norm": 3.0}, clamp=None)
print(json.dumps({
    "published": sampler(network(5), **published),
    "published_classes": sampler(network(5), **published, classes=torch.tensor([4, 0, 2])),
    "outer": sampler(network(1), **outer),
}))
