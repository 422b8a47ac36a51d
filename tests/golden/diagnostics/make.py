"""Golden values for tests/diagnostics.rs: ArviZ's figures of several sets of chains: python make.py

Run with arviz 0.22.0, numpy 2.4.6 and scipy 1.17.1. It writes diagnostics.json beside itself: of each set the draws,
[draws, chains], rounded to few digits, the figures of the rounded ones, and their autocorrelation to 9 decimals.
"""
import json
import pathlib

import arviz
import numpy as np
from arviz.stats.stats_utils import autocorr


def autoregressive(rng, draws, chains, coefficient):
    x = np.empty((draws, chains))
    x[0] = rng.normal(size=chains)
    for t in range(1, draws):
        x[t] = coefficient * x[t - 1] + np.sqrt(1 - coefficient**2) * rng.normal(size=chains)
    return x


def sets():
    rng = np.random.default_rng(7)
    stuck = rng.normal(size=(40, 3))
    stuck[:, 1] = 0.25
    return {
        "independent": rng.normal(3, 2, size=(120, 4)),
        "autoregressive": autoregressive(rng, 300, 4, 0.9),
        "antithetic": autoregressive(rng, 96, 3, -0.6),
        "different means": rng.normal(size=(64, 5)) + np.array([0, 0, 6, 0, -2]),
        "different widths": rng.normal(size=(120, 4)) * np.array([1, 1, 4, 1]),
        "trend": rng.normal(size=(90, 3)) + np.linspace(0, 4, 90)[:, None],
        "odd": autoregressive(rng, 101, 3, 0.5),
        "few": rng.normal(size=(13, 2)),
        "fewest": rng.normal(size=(4, 3)),
        "five": rng.normal(size=(5, 2)),
        "one chain": autoregressive(rng, 75, 1, 0.3),
        "many chains": autoregressive(rng, 12, 70, 0.7),
        "ties": rng.integers(0, 4, size=(90, 4)).astype(float),
        "binary": (autoregressive(rng, 120, 4, 0.8) > 0.8).astype(float),
        "rare": (rng.random(size=(80, 4)) > 0.97).astype(float),
        "heavy tails": rng.standard_cauchy(size=(110, 4)),
        "far from zero": 1e6 + rng.normal(size=(100, 4)),
        "one stuck": stuck,
    }


def finite(x):
    return float(x) if np.isfinite(x) else None


def case(name, x):
    x = np.round(x, 4) + 0.0
    chains = x.T
    figures = {
        "rhat": arviz.rhat(chains, method="rank"),
        "ess_bulk": arviz.ess(chains, method="bulk"),
        "ess_tail": arviz.ess(chains, method="tail"),
        "ess_mean": arviz.ess(chains, method="mean"),
        "mcse_mean": arviz.mcse(chains, method="mean"),
    }
    correlation = autocorr(chains, axis=-1).T
    return {
        "name": name,
        "draws": x.tolist(),
        **{key: finite(value) for key, value in figures.items()},
        "autocorrelation": [[finite(np.round(c, 9)) for c in row] for row in correlation],
    }


cases = [case(name, x) for name, x in sets().items()]
path = pathlib.Path(__file__).with_name("diagnostics.json")
path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
