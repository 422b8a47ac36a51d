"""How soon each program's samples are how good: ours against ebmkit, MNIST, both from their defaults.

Ours is `ebm train experiments/mnist.yaml`. ebmkit's is its own example for MNIST, `examples/train_mnist.py` of its
source package 0.16.0, setting for setting. Each trains alone on the machine. Sampling and checkpoints do not count.

At each moment 2,000 images are drawn fresh from uniform noise by the program's own sampler with its training settings,
once with as many steps as its training chains have and once with 300, which is what either program draws its pictures
with; the better distance counts. ebmkit's raw and averaged weights are both tried and the better counts, since its
average lags in the first minutes; of ours the averaged ones are used, its default.
"""

import argparse
import copy
import json
import shutil
import sys
import time
from datetime import datetime, timezone

import ebm
import torch
from features import OUT, Failure, Frechet, mnist, scaled, to_u8
from ours import Training, chain_steps, ensure_built, sample, seconds_at

LONG = 300
MOMENTS = (0.03, 0.06, 0.12, 0.25, 0.4, 0.6, 0.8, 1.0)
CHECKPOINTS = (50, 100, 150, 200, 300, 400, 600, 800, 1000, 1400, 2000)
EVERY = 50


def main() -> None:
    args = arguments()
    ensure_built()
    OUT.mkdir(exist_ok=True)
    distance = Frechet()
    begun = datetime.now(timezone.utc)
    ours = curve_of_ours(distance, args, f"{begun:%Y-%m-%dT%H-%M-%S}")
    theirs = curve_of_ebmkit(distance, args)
    report(ours, theirs, distance.scale(args.images), args)
    path = OUT / f"time-to-quality-{begun:%Y-%m-%dT%H-%M-%S}.json"
    path.write_text(json.dumps({"options": vars(args), "ours": ours, "ebmkit": theirs}, indent=1))
    print(f"\nevery figure: {path}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30, help="the most training of either program (30)")
    parser.add_argument("--images", type=int, default=2000, help="images a moment (2000)")
    what = f"steps of ours to look at, multiples of {EVERY}"
    parser.add_argument("--checkpoints", type=int, nargs="+", default=CHECKPOINTS, help=what)
    parser.add_argument("--moments", type=float, nargs="+", default=MOMENTS, help="shares of the time for ebmkit")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of either program")
    args = parser.parse_args()
    if any(step % EVERY for step in args.checkpoints):
        parser.error(f"--checkpoints: give multiples of {EVERY}")
    return args


def curve_of_ours(distance: Frechet, args: argparse.Namespace, name: str) -> list[dict]:
    run = OUT / f"time-{name}"
    sets = (f"train.checkpoint_every={EVERY}", "train.keep=100000", f"threads={args.threads}", "evaluate.ood=[]")
    Training(run, *sets).wait(60 * args.minutes)
    seconds, short, curve = seconds_at(run), chain_steps(run), []
    for step in sorted(args.checkpoints):
        if step not in seconds or seconds[step] > 60 * args.minutes:
            continue
        distances = {str(k): distance(sample(run, str(step), args.images, k)) for k in sorted({short, LONG})}
        curve.append(point("ours", step, seconds[step], distances))
    # Each has the buffer and the optimiser's moments: a gigabyte in all.
    shutil.rmtree(run / "checkpoints")
    if not curve:
        raise Failure("ours reached no checkpoint in the time given: give more --minutes or earlier --checkpoints")
    return curve


def curve_of_ebmkit(distance: Frechet, args: argparse.Namespace) -> list[dict]:
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    sampler, trainer = example()
    images = scaled(mnist("train")[0])
    limit, kept, seconds = 60 * args.minutes, [], 0.0
    for moment in sorted(args.moments):
        while seconds < moment * limit and trainer.step_count < 8000:
            clock = time.perf_counter()
            trainer.fit(images, steps=1, batch_size=128, verbose=False)
            seconds += time.perf_counter() - clock
        weights = {"averaged": copy.deepcopy(trainer.ema.module), "raw": copy.deepcopy(trainer.energy)}
        kept.append((trainer.step_count, seconds, weights))
        print(f"ebmkit: {seconds:.0f} s of training, step {trainer.step_count}", file=sys.stderr)
    curve = []
    for step, seconds, weights in kept:
        distances = {}
        for which, model in weights.items():
            for k, drawn in fresh(sampler, model.eval(), args.images).items():
                distances[f"{k}, {which}"] = distance(drawn)
        curve.append(point("ebmkit", step, seconds, distances))
    return curve


def example() -> tuple[ebm.LangevinDynamics, ebm.Trainer]:
    """The sampler and the trainer of ebmkit's example, with its settings; it makes 8,000 steps of batch 128."""
    energy = ebm.nets.ConvEnergy(in_channels=1, channels=(32, 64, 128))
    sampler = ebm.LangevinDynamics(
        step_size=10.0, noise_scale=0.005, grad_clip=0.01, steps=60, clamp=(-1, 1)
    )
    buffer = ebm.ReplayBuffer(10_000, (1, 28, 28), reinit_prob=0.05, init_fn=uniform)
    loss = ebm.ContrastiveDivergence(sampler, buffer=buffer, energy_reg=1.0)
    return sampler, ebm.Trainer(energy, loss, lr=1e-4, ema_decay=0.999, device="cpu")


def uniform(shape: tuple) -> torch.Tensor:
    return torch.rand(shape) * 2 - 1


def fresh(sampler: ebm.LangevinDynamics, model: torch.nn.Module, n: int) -> dict[int, torch.Tensor]:
    """Images from noise after the training chain's steps and, further on the same chains, after LONG."""
    short = [sampler.sample(model, part) for part in uniform((n, 1, 28, 28)).split(250)]
    long = [sampler.sample(model, part, steps=LONG - sampler.steps) for part in short]
    return {sampler.steps: to_u8(torch.cat(short)), LONG: to_u8(torch.cat(long))}


def point(program: str, step: int, seconds: float, distances: dict[str, float]) -> dict:
    best = min(distances, key=distances.get)
    print(f"{program}: step {step}, {seconds:.0f} s: {distances[best]:.1f} ({best})", file=sys.stderr)
    found = {"distances": distances, "best": distances[best], "by": best}
    return {"program": program, "step": step, "seconds": seconds, **found}


def report(ours: list[dict], theirs: list[dict], scale: dict[str, float], args: argparse.Namespace) -> None:
    print(
        f"Frechet distance of {args.images} images, fresh from noise, from the 10,000 test images of MNIST;"
        f" {args.threads} threads. For scale: "
        + ", ".join(f"{name} {value:.1f}" for name, value in scale.items())
        + ".\n"
    )
    print("| program | seconds of training | step | Frechet distance | by (steps of the chain, weights) |")
    print("|---|---|---|---|---|")
    for at in sorted(ours + theirs, key=lambda at: (at["program"] != "ours", at["seconds"])):
        name = {"ours": "deep-ebm", "ebmkit": "ebmkit"}[at["program"]]
        print(f"| {name} | {at['seconds']:.0f} | {at['step']} | {at['best']:.1f} | {at['by']} |")
    best = {"ours": min(at["best"] for at in ours), "ebmkit": min(at["best"] for at in theirs)}
    slower = max(best, key=best.get)
    reached = {"ours": first(ours, best[slower]), "ebmkit": first(theirs, best[slower])}
    ratio = reached["ebmkit"] / reached["ours"]
    print(
        f"\nThe larger of the two best distances is {best[slower]:.1f}, of {slower}. At or below it for the first time:"
        f" ours after {reached['ours']:.0f} s, ebmkit after {reached['ebmkit']:.0f} s."
        f" Ours is {ratio:.1f} times as soon."
    )


def first(curve: list[dict], distance: float) -> float:
    """Seconds until a program's samples were at least so good, at one of the moments looked at."""
    return min(at["seconds"] for at in curve if at["best"] <= distance)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
