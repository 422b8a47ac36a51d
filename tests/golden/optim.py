"""Golden values for tests/optim.rs from PyTorch's own optimisers: python optim.py > optim.json"""
import json
import torch
from torch.optim.lr_scheduler import (ChainedScheduler, ConstantLR, CosineAnnealingLR, LinearLR, MultiStepLR,
                                      SequentialLR, StepLR)
from torch.optim.swa_utils import get_ema_multi_avg_fn

SHAPES = {"0.weight": (2, 3), "0.bias": (3,)}
KEPT = (1, 2, 10, 100)


def value(t, i, j):
    """A gradient that f32 holds exactly, with a spike at every seventh step."""
    return ((t * 37 + j * 17 + i * 7) % 23 - 11) / 16 * (8 if t % 7 == 3 else 1)


def filled(t, i, shape):
    return torch.tensor([value(t, i, j) for j in range(torch.Size(shape).numel())], dtype=torch.float32).reshape(shape)


def parameters():
    return [torch.nn.Parameter(filled(1000, i, shape)) for i, shape in enumerate(SHAPES.values())]


def run(make, clip=None):
    params = parameters()
    optimizer = make(params)
    kept, norms = {}, []
    for t in range(1, 101):
        for i, p in enumerate(params):
            p.grad = filled(t, i, p.shape)
        norms.append(float(torch.nn.utils.get_total_norm([p.grad for p in params])))
        if clip:
            clip(params, optimizer)
        optimizer.step()
        if t in KEPT:
            kept[t] = {}
            for name, p in zip(SHAPES, params):
                kept[t][name] = p.detach().flatten().tolist()
                for key, state in optimizer.state.get(p, {}).items():
                    if key != "step" and state is not None:
                        kept[t][f"{name}.{key}"] = state.flatten().tolist()
    return {"kept": kept, "norms": norms}


@torch.no_grad()
def clip_by_moment(k, floor):
    """The rule of IGEBM's code, on the state before the step."""
    def clip(params, optimizer):
        for p in params:
            state = optimizer.state.get(p, {})
            if state:
                beta2 = optimizer.param_groups[0]["betas"][1]
                limit = k * (state["exp_avg_sq"] / (1 - beta2 ** float(state["step"]))).sqrt() + floor
                p.grad.copy_(torch.clamp(p.grad, -limit, limit))
    return clip


def uphill(params, t):
    """Gradients of a loss that is no straight line: sum of c sin(w), and a bowl over all weights together."""
    for p in params:
        p.grad = None
    waves = sum((filled(t, i, p.shape) * torch.sin(p)).sum() for i, p in enumerate(params))
    (waves + 0.25 * sum(p.sum() for p in params) ** 2).backward()


def sharpness_aware(make, rho, adaptive):
    """Foret et al. 2021 and, adaptive, Kwon et al. 2021: e from the gradients at w, the step from those at w + e."""
    params = parameters()
    optimizer = make(params)
    kept = {}
    for t in range(1, 101):
        uphill(params, t)
        with torch.no_grad():
            scaled = [p.abs() * p.grad if adaptive else p.grad for p in params]
            norm = torch.norm(torch.stack([s.norm() for s in scaled]))
            before = [p.detach().clone() for p in params]
            climbs = [(p * p if adaptive else 1.0) * p.grad * (rho / (norm + 1e-12)) for p in params]
            for p, e in zip(params, climbs):
                p.add_(e)
        at = [p.detach().flatten().tolist() for p in params]
        uphill(params, t)
        with torch.no_grad():
            for p, w in zip(params, before):
                p.copy_(w)
        optimizer.step()
        if t in KEPT:
            kept[t] = {name: p.detach().flatten().tolist() for name, p in zip(SHAPES, params)}
            kept[t] |= {f"{name}.climbed": a for name, a in zip(SHAPES, at)}
    return kept


def schedule(make, total=100):
    optimizer = torch.optim.SGD(parameters(), lr=0.1)
    scheduler = make(optimizer)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def ema(decay):
    average, kept = [p.detach().clone() for p in parameters()], {}
    for t in range(1, 101):
        rate = min(decay, t / (9 + t))
        get_ema_multi_avg_fn(rate)(average, [filled(t, i, a.shape) for i, a in enumerate(average)], None)
        if t in KEPT:
            kept[t] = {name: a.flatten().tolist() for name, a in zip(SHAPES, average)}
    return kept


O = torch.optim
plain = dict(lr=0.01, foreach=False, fused=False)
warm = lambda o: LinearLR(o, start_factor=1 / 8, total_iters=7)
after_warm = lambda o, s: SequentialLR(o, [warm(o), s], milestones=[8])
norm = torch.nn.utils.clip_grad_norm_
print(json.dumps({
    "optimizers": {
        "adam": run(lambda p: O.Adam(p, **plain)),
        "adam_beta1_0": run(lambda p: O.Adam(p, betas=(0.0, 0.999), **plain)),
        "adam_weight_decay": run(lambda p: O.Adam(p, betas=(0.5, 0.9), eps=1e-4, weight_decay=0.05, **plain)),
        "adamw": run(lambda p: O.AdamW(p, betas=(0.0, 0.99), weight_decay=0.1, **plain)),
        "sgd": run(lambda p: O.SGD(p, **plain)),
        "sgd_momentum": run(lambda p: O.SGD(p, momentum=0.9, weight_decay=0.02, **plain)),
        "sgd_nesterov": run(lambda p: O.SGD(p, momentum=0.8, nesterov=True, weight_decay=0.02, **plain)),
        "clip_norm": run(lambda p: O.SGD(p, **plain), lambda p, _: norm(p, 1.5)),
        "clip_value": run(lambda p: O.SGD(p, **plain), lambda p, _: torch.nn.utils.clip_grad_value_(p, 0.5)),
        "clip_moment": run(lambda p: O.Adam(p, betas=(0.0, 0.9), **plain), clip_by_moment(1.5, 0.1)),
    },
    "sam": {
        "plain": sharpness_aware(
            lambda p: O.SGD(p, momentum=0.9, weight_decay=0.02, nesterov=True, **plain), 0.05, False),
        "adaptive": sharpness_aware(
            lambda p: O.SGD(p, momentum=0.9, weight_decay=0.02, nesterov=True, **plain), 0.5, True),
    },
    "schedules": {
        "constant": schedule(lambda o: ConstantLR(o, factor=1)),
        "warmup": schedule(warm),
        "step": schedule(lambda o: ChainedScheduler([warm(o), MultiStepLR(o, [5, 40, 70], gamma=0.3)])),
        "exponential": schedule(lambda o: after_warm(o, StepLR(o, 3, gamma=0.9))),
        "cosine": schedule(lambda o: after_warm(o, CosineAnnealingLR(o, T_max=92, eta_min=0.02))),
    },
    "ema": ema(0.95),
}, indent=None))
