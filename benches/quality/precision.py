"""Whether bf16 chains cost quality: the MNIST recipe with f32 and with bf16 chains, from the same seeds.

For each finished run: the AUROC of its own table, by energy, and the Frechet distance of 2,000 images drawn fresh from
noise with the averaged weights, in the precision that the run trained with.
"""

import argparse
import json
import os
import statistics
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from features import OUT, Failure, Frechet
from ours import Training, ensure_built, sample

PRECISIONS = ("f32", "bf16")


def main() -> None:
    args = arguments()
    ensure_built()
    OUT.mkdir(exist_ok=True)
    distance = Frechet()
    begun = datetime.now(timezone.utc)
    folder = OUT / f"precision-{begun:%Y-%m-%dT%H-%M-%S}"
    folder.mkdir()
    results = {}
    for run, seed, precision in train_all(folder, args):
        results[seed, precision] = figures(run, distance, args)
        print(f"seed {seed}, {precision}: {results[seed, precision]}", file=sys.stderr)
    report(results, distance.scale(args.images), args)
    path = folder / "results.json"
    path.write_text(json.dumps({f"{precision}, seed {seed}": r for (seed, precision), r in results.items()}, indent=1))
    print(f"\nevery figure: {path}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 (5)")
    parser.add_argument("--steps", type=int, help="steps of training; the recipe's unless given")
    parser.add_argument("--images", type=int, default=2000, help="images a run (2000)")
    parser.add_argument("--chain", type=int, default=300, help="steps of the chains that draw them (300)")
    jobs = max(1, len(os.sched_getaffinity(0)))
    parser.add_argument("--jobs", type=int, default=jobs, help=f"runs at once, a thread each ({jobs})")
    return parser.parse_args()


def train_all(folder: Path, args: argparse.Namespace) -> list[tuple[Path, int, str]]:
    """Trains every run, so many at once, in pairs of the same seed."""
    pairs = [(seed, precision) for seed in range(args.seeds) for precision in PRECISIONS]
    waiting = [(folder / f"{precision}-{seed}", seed, precision) for seed, precision in pairs]
    done, active = list(waiting), []
    while waiting or active:
        while waiting and len(active) < args.jobs:
            run, seed, precision = waiting.pop(0)
            sets = [f"sampler.precision={precision}", f"seed={seed}", "threads=1"]
            sets += [f"train.steps={args.steps}"] if args.steps else []
            active.append(Training(run, *sets))
        time.sleep(1)
        for training in [t for t in active if t.process.poll() is not None]:
            training.wait(float("inf"))
            active.remove(training)
            print(f"{training.run.name} is trained", file=sys.stderr)
    return done


def figures(run: Path, distance: Frechet, args: argparse.Namespace) -> dict[str, float]:
    """The measures of a finished run by name, and its seconds of training."""
    results = json.loads((run / "results.json").read_text())
    measures = {f"AUROC, {row['set']}": row["auroc"] for row in results["ood"]["rows"]}
    measures["Frechet distance"] = distance(sample(run, "last", args.images, args.chain))
    measures["seconds of training"] = results["seconds"]
    return measures


def report(results: dict, scale: dict[str, float], args: argparse.Namespace) -> None:
    print(
        f"experiments/mnist.yaml, {args.seeds} seeds, a thread a run; mean and standard deviation over the seeds."
        f" Frechet distance of {args.images} images after {args.chain} steps from noise. For scale: "
        + ", ".join(f"{name} {value:.1f}" for name, value in scale.items())
        + ".\n"
    )
    print("| measure | f32 chains | bf16 chains | bf16 - f32, same seed |")
    print("|---|---|---|---|")
    for measure in results[0, "f32"]:
        both = {p: [results[seed, p][measure] for seed in range(args.seeds)] for p in PRECISIONS}
        difference = [b - a for a, b in zip(both["f32"], both["bf16"], strict=True)]
        print(f"| {measure} | {spread(both['f32'])} | {spread(both['bf16'])} | {spread(difference)} |")


def spread(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{deviation}"


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
