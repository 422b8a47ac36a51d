"""Whether the contenders do the same work: where their chains end without noise and without a clamp, in f32."""

import torch
from networks import Energy
from process import Contender, Failure
from rows import OUT, TITLES, Row, model_file, network, start, weights
from safetensors.torch import load_file

# How far an end may lie from ours, as a share of the way that ours went. The gradients of two f32 programs differ in
# the order of their sums, by about 1e-6 of their largest element; bf16 would differ by 1e-3 and more, another function,
# step size or number of steps by 1e-2 and more. Where a network has kinks (leaky ReLU), a unit that is within rounding
# of 0 takes the other slope now and then and moves a few pixels by up to 1e-2, in f32 against f64 as well: there, half
# of the pixels must keep to a limit of their own, and all to a wider one in the mean square.
TOLERANCE = 1e-4
MEDIAN_WITH_KINKS = 3e-4
RMS_WITH_KINKS = 1e-2

# The longest way, roughly: the first step's size is such that the whole chain moves a pixel so far.
WAY = 0.2


def check_equal(row: Row, contenders: dict[str, Contender]) -> dict[str, dict[str, float]]:
    """How far each end lies from ours in f32."""
    size = slope_step(row)
    sampler = {"n_steps": row.steps, "step_size": size, "noise_scale": 0.0, "clamp": None}
    ends, precisions = {}, {}
    for name, contender in contenders.items():
        end = OUT / f"end-{name.replace(' ', '-')}.safetensors"
        request = network(row, name, sampler) | {"start": str(start(row)), "exact": True}
        precisions[name] = contender.ask("prepare-chain", **request)["precision"]
        contender.ask("run-chain", times=1, end=str(end))
        ends[name] = load_file(end)["x"]
    ours = ends["ours f32"]
    way = ours - load_file(start(row))["x"]
    if not WAY / 10 < way.abs().max().item() < WAY * 10:
        raise Failure(f"{row.title}: our chain moved a pixel by {way.abs().max():.2g} at most, not by {WAY} or so")
    differences = {name: difference(end - ours, way) for name, end in ends.items()}
    kinks = any("ReLU" in type(module).__name__ for module in Energy(model_file(row)).modules())
    for name, d in differences.items():
        same = d["largest"] <= TOLERANCE
        if kinks:
            same = d["median"] <= MEDIAN_WITH_KINKS and d["rms"] <= RMS_WITH_KINKS
        # As shipped, our network may compute in bf16: that distance is shown, not judged.
        if precisions[name] == "f32" and not same:
            raise Failure(
                f"{row.title}: {TITLES[name]} does not do the same work as ours. Without noise its end differs from"
                f" ours, in shares of the way, by {d}; allowed are "
                + (f"median {MEDIAN_WITH_KINKS}, rms {RMS_WITH_KINKS}" if kinks else f"{TOLERANCE} at most")
            )
    return differences


def difference(x: torch.Tensor, way: torch.Tensor) -> dict[str, float]:
    """How large `x` is against the longest way of a pixel, and in the mean square against the way."""
    longest = way.abs().max().item()
    return {
        "largest": x.abs().max().item() / longest,
        "median": x.abs().median().item() / longest,
        "rms": (x.square().mean() / way.square().mean()).sqrt().item(),
        "absolute": x.abs().max().item(),
    }


def slope_step(row: Row) -> float:
    """A step size by which the chain goes as far as WAY."""
    energy = Energy(model_file(row))
    energy.layers.load_state_dict(load_file(weights(row)))
    x = load_file(start(row))["x"][:1].requires_grad_(True)
    (grad,) = torch.autograd.grad(energy(x).sum(), x)
    return WAY / (row.steps * grad.abs().max().item())
