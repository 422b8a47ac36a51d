"""Golden values for the metrics of src/eval from NumPy, SciPy and scikit-learn: python eval.py > eval.json"""
import json
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score


def rounded(x, digits=3):
    """Numbers that are short to write down; the metrics are computed from the rounded ones."""
    return np.round(x, digits) + 0.0


# Detection: scores, higher = more out of distribution.

def figures(inside, outside):
    scores = np.concatenate([inside, outside])
    is_out = np.concatenate([np.zeros(len(inside)), np.ones(len(outside))])
    # The smallest threshold that accepts at least 95 % of the data, by trying each score.
    t = min(t for t in np.unique(inside) if np.mean(inside <= t) >= 0.95)
    return {"auroc": roc_auc_score(is_out, scores), "aupr_in": average_precision_score(1 - is_out, -scores),
            "aupr_out": average_precision_score(is_out, scores), "fpr95": np.mean(outside <= t), "threshold": t}


def detection_cases(rng):
    sides = {
        "ties": (rng.integers(0, 12, 137).astype(float), rng.integers(4, 16, 93).astype(float)),
        "apart": (rounded(rng.normal(0, 1, 200)), rounded(rng.normal(2, 1, 40))),
        "beneath": (rounded(rng.normal(0, 1, 60)), rounded(rng.normal(-1, 0.5, 151))),
        "few": (np.array([0.5, -1.0, 2.0]), np.array([0.5])),
    }
    return {name: {"inside": i.tolist(), "outside": o.tolist(), **figures(i, o)} for name, (i, o) in sides.items()}


def bootstrap_brackets(case, rng, resamples, golden_resamples=4000):
    """Quantiles of the bootstrap distribution that enclose its 2.5 % and 97.5 % quantile as estimated from
    `resamples`, five standard errors of the level to each side."""
    inside, outside = np.array(case["inside"]), np.array(case["outside"])
    drawn = [figures(rng.choice(inside, len(inside)), rng.choice(outside, len(outside)))
             for _ in range(golden_resamples)]
    error = 5 * np.sqrt(0.025 * 0.975 * (1 / resamples + 1 / golden_resamples))
    levels = [0.025 - error, 0.025 + error, 0.975 - error, 0.975 + error]
    return {key: np.quantile([d[key] for d in drawn], np.clip(levels, 0, 1)).tolist()
            for key in ("auroc", "aupr_in", "aupr_out", "fpr95")}


def main():
    out = {"detection": detection_cases(np.random.default_rng(1))}
    out["bootstrap"] = {"resamples": 4000}
    out["bootstrap"].update(bootstrap_brackets(out["detection"]["ties"], np.random.default_rng(2), 4000))
    print(json.dumps(out))


main()
