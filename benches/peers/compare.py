"""The same work by the peers and by this program, in alternation: `make bench-peers`, or with options by --help.

Every contender is a process of its own that is kept for a row and sleeps while the others work. A round asks each
once, in rotating order; the first round, in which torch.compile compiles, does not count. What is compared are ratios
within a round; their medians are printed with the least and the largest.

Before anything is timed, every contender runs the row's chain from the same start with the same weights, without noise
and without a clamp, in f32, and must end where ours ends.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

import torch
from equality import MEDIAN_WITH_KINKS, TOLERANCE, check_equal
from process import Contender, Failure, built_worker
from rows import CUDA_ROWS, OUT, OURS, PEERS, ROOT, ROWS, TITLES, Row, prepare

# Between two answers: idle threads of the contender that answered last stop spinning.
PAUSE = 0.1


def main() -> None:
    args = arguments()
    OUT.mkdir(exist_ok=True)
    shutil.rmtree(OUT / "runs", ignore_errors=True)
    rows = chosen(args)
    worker = built_worker()
    begun, results = datetime.now(timezone.utc), []
    print(heading(begun), flush=True)
    for row in rows:
        result = measure(row, worker, args)
        print(table(row, result), flush=True)
        results.append({"row": asdict(row), **result})
    path = OUT / f"{begun:%Y-%m-%dT%H-%M-%S}.json"
    path.write_text(json.dumps({"begun": begun.isoformat(), "machine": machine(), "rows": results}, indent=1))
    print(f"every round: {path.relative_to(ROOT)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    keys = ", ".join(row.key for row in ROWS + CUDA_ROWS)
    parser.add_argument("--rows", nargs="+", metavar="KEY", help=f"only these of: {keys}")
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="only the rows of these models/NAME.yaml")
    parser.add_argument("--peers", nargs="+", metavar="NAME", help=f"only these of: {', '.join(PEERS)}, jem")
    parser.add_argument("--batch", type=int, help="this batch instead of each row's own")
    parser.add_argument("--threads", type=int, help="so many threads instead of each row's own")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="a contender works at least so long a round (0.5)")
    return parser.parse_args()


def chosen(args: argparse.Namespace) -> list[Row]:
    rows = ROWS + (CUDA_ROWS if torch.cuda.is_available() else [])
    for option, names, known in [
        ("--rows", args.rows, {row.key for row in rows}),
        ("--networks", args.networks, {row.model for row in rows}),
        ("--peers", args.peers, {peer for row in rows for peer in row.peers}),
    ]:
        if set(names or ()) - known:
            raise Failure(f"{option}: {sorted(set(names) - known)} are not here; there are {sorted(known)}")
    rows = [row for row in rows if not args.rows or row.key in args.rows]
    rows = [row for row in rows if not args.networks or row.model in args.networks]
    changes = {key: value for key, value in [("batch", args.batch), ("threads", args.threads)] if value}
    if args.peers:
        rows = [replace(row, peers=tuple(peer for peer in row.peers if peer in args.peers)) for row in rows]
    rows = [replace(row, **changes) for row in rows if row.peers]
    if not rows or args.rounds < 1:
        raise Failure("nothing is left to measure; choose fewer limits, and 1 round or more")
    return rows


def form(answer):
    """The precision of a prepared contender, and its layout in memory where it says so."""
    return " ".join(filter(None, [answer["precision"], answer.get("layout")]))


def measure(row: Row, worker: Path, args: argparse.Namespace) -> dict:
    """All rounds of a row, and how far each contender's end lies from ours."""
    script = [sys.executable, str(ROOT / "benches/peers/contender.py")]
    commands = {peer: [*script, peer] for peer in row.peers} | {ours: [str(worker)] for ours in OURS}
    contenders = {}
    try:
        for name, command in commands.items():
            contenders[name] = Contender(name, command, row.threads)
        differences = check_equal(row, contenders)
        precisions = {name: form(prepare(row, name, c)) for name, c in contenders.items()}
        rounds = alternate(row, contenders, args)
    finally:
        for contender in contenders.values():
            contender.end()
    return {"differences": differences, "precisions": precisions, **rounds}


def alternate(row: Row, contenders: dict[str, Contender], args: argparse.Namespace) -> dict:
    """Seconds of each round, and how often a round repeats the work."""
    what = "run-chain" if row.work == "chain" else "train"
    extra = {"end": None} if row.work == "chain" else {}

    def timed(contender: Contender, times: int) -> float:
        time.sleep(PAUSE)
        return contender.ask(what, times=times, **extra)["seconds"]

    for contender in contenders.values():
        timed(contender, 1)
    once = min(timed(contender, 1) for contender in contenders.values())
    times = max(1, round(args.seconds / once))
    names, rounds = list(contenders), []
    for number in range(args.rounds):
        shift = number % len(names)
        order = names[shift:] + names[:shift]
        rounds.append({name: timed(contenders[name], times) for name in order})
    return {"times": times, "rounds": rounds}


def table(row: Row, result: dict) -> str:
    """A row's table: a line a contender."""
    rounds = result["rounds"]
    done = row.batch * row.steps * result["times"]
    names = [*row.peers, *OURS]
    rates = {name: statistics.median(done / r[name] for r in rounds) for name in names}
    fastest = max(row.peers, key=rates.get)
    lines = [
        f"### {row.title}: batch {row.batch}, K = {row.steps}, {row.threads} threads, {row.device} (`{row.key}`)",
        "",
        "| | precision | images x steps / s | as shipped / it | in f32 / it | its end: largest difference (median) |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        own = [ratio(rounds, ours, name) for ours in OURS] if name in row.peers else ["", ""]
        title = TITLES[name] + (" (the fastest peer)" if name == fastest else "")
        end = result["differences"][name]
        distance = f"{end['absolute']:.1e} ({end['median']:.0e})" if name != "ours f32" else "is the measure"
        precision = result["precisions"][name]
        lines.append(f"| {title} | {precision} | {plain(rates[name])} | {' | '.join(own)} | {distance} |")
    seconds = {name: statistics.median(r[name] / result["times"] for r in rounds) for name in names}
    shown = ", ".join(f"{TITLES[name]} {value:.4g}" for name, value in seconds.items())
    unit = "a chain" if row.work == "chain" else "a step"
    lines += ["", f"{len(rounds)} rounds of {result['times']}; seconds {unit}: {shown}.", ""]
    return "\n".join(lines)


def plain(rate: float) -> str:
    """Four figures, without an exponent."""
    return f"{rate:.0f}" if rate >= 1000 else f"{rate:.4g}"


def ratio(rounds: list[dict], ours: str, peer: str) -> str:
    """How many times as fast as a peer: the median over the rounds, the least and the largest."""
    ratios = sorted(r[peer] / r[ours] for r in rounds)
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f})"


def heading(begun: datetime) -> str:
    return (
        f"## {begun:%Y-%m-%d}, {machine()}\n\nThe peers compute in f32, on their defaults. Medians over the rounds;"
        " ratios within a round, with the least and the largest. Last column: how far the end of the chain without"
        " noise lies from ours in f32, in units of [-1, 1], and in brackets the median as a share of the longest way"
        f" of a pixel. Allowed, as such a share: {TOLERANCE:.0e} at most, or a median of {MEDIAN_WITH_KINKS:.0e} where"
        " leaky ReLUs have kinks.\n"
    )


def machine() -> str:
    """The processor or GPU, the number of cores, and the releases."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return f"{os.cpu_count()} cores of {processor}{gpu}, torch {torch.__version__}, commit {commit.stdout.strip()}"


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
