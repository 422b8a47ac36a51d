"""Golden values for the metrics of src/eval from NumPy, SciPy and scikit-learn: python eval.py > eval.json"""
import json
import numpy as np
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax
from sklearn.metrics import accuracy_score, average_precision_score, confusion_matrix, log_loss, roc_auc_score


def rounded(x, digits=3):
    """Numbers that are short to write down; the metrics are computed from the rounded ones."""
    return np.round(x, digits) + 0.0


# Detection: scores, higher = more out of distribution.

def figures(inside, outside):
    scores = np.concatenate([inside, outside])
    is_out = np.concatenate([np.zeros(len(inside)), np.ones(len(outside))])
    # The smallest threshold that accepts at least 95 % of the data, by trying each score.
    t = min(t for t in np.unique(inside) if np.mean(inside <= t) >= 0.95)
    # The largest that still flags at least 95 % of the outliers.
    u = max(u for u in np.unique(outside) if np.mean(outside >= u) >= 0.95)
    return {"auroc": roc_auc_score(is_out, scores), "aupr_in": average_precision_score(1 - is_out, -scores),
            "aupr_out": average_precision_score(is_out, scores), "fpr95_in": np.mean(outside <= t),
            "fpr95_out": np.mean(inside >= u), "threshold": t}


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
            for key in ("auroc", "aupr_in", "aupr_out", "fpr95_in", "fpr95_out")}


# Classification: logits and labels.

BINS = 15


def binned(confidence, right, members):
    """Count, mean confidence and accuracy of each bin, given as a list of index arrays."""
    return [[len(m), float(confidence[m].mean()), float(right[m].mean())] if len(m) else [0, 0.0, 0.0] for m in members]


def calibration_error(bins):
    total = sum(b[0] for b in bins)
    return sum(n * abs(accuracy - confidence) for n, confidence, accuracy in bins) / total


def classification_case(rng, n=211, k=5):
    logits = rounded(rng.normal(0, 2, (n, k)), 2)
    # Some are right; a class that never occurs.
    labels = np.where(rng.random(n) < 0.6, logits[:, :-1].argmax(1), rng.integers(0, k - 1, n))
    p = softmax(logits, axis=1)
    confidence, predicted = p.max(1), p.argmax(1)
    right = (predicted == labels).astype(float)
    # Bins ((m - 1) / 15, m / 15].
    of_width = np.searchsorted(np.arange(1, BINS) / BINS, confidence, side="left")
    bins = binned(confidence, right, [np.flatnonzero(of_width == m) for m in range(BINS)])
    order = np.argsort(confidence, kind="stable")
    assert len(np.unique(confidence)) == n
    mass_bins = binned(confidence, right, [order[m * n // BINS:(m + 1) * n // BINS] for m in range(BINS)])
    nll = log_loss(labels, p, labels=range(k))
    assert abs(nll + log_softmax(logits, axis=1)[np.arange(n), labels].mean()) < 1e-12
    confusion = confusion_matrix(labels, predicted, labels=range(k))
    return {"logits": logits.tolist(), "labels": labels.tolist(), "accuracy": accuracy_score(labels, predicted),
            "nll": nll, "brier": float(((p - np.eye(k)[labels]) ** 2).sum(1).mean()), "bins": bins,
            "mass_bins": mass_bins, "ece": calibration_error(bins), "ece_mass": calibration_error(mass_bins),
            "confusion": confusion.tolist()}


# Quality of samples: features of real and generated images.

def frechet_by_sqrtm(a, b):
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(apart + np.trace(s1 + s2 - 2 * np.real(sqrtm(s1 @ s2))))


def frechet_by_samples(a, b):
    """tr (S1 S2)^(1/2) as the sum of the singular values of the product of the centred samples, which needs no root
    and is exact where there are fewer samples than dimensions."""
    c1, c2 = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (a, b)]
    shared = np.linalg.svd(c1 @ c2.T, compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (c1 ** 2).sum() + (c2 ** 2).sum() - 2 * shared)


def frechet_cases(rng):
    mix = rng.normal(0, 1, (6, 6))
    sides = {
        "more samples": (rng.normal(0, 1, (120, 6)), rng.normal(0.3, 1, (90, 6)) @ mix),
        "more dimensions": (rng.normal(0, 1, (9, 24)), rng.normal(0.5, 2, (12, 24))),
        "one flat": (rng.normal(0, 1, (3, 6)), rng.normal(0, 1, (60, 6)) @ mix),
        "far from zero": (rng.normal(0, 1, (50, 4)) + 1000, rng.normal(0, 2, (40, 4)) + 1001),
    }
    cases = {}
    for name, (a, b) in sides.items():
        a, b = rounded(a), rounded(b)
        cases[name] = {"a": a.tolist(), "b": b.tolist(), "by_samples": frechet_by_samples(a, b),
                       "by_sqrtm": frechet_by_sqrtm(a, b)}
    return cases


def manifold_case(rng):
    real, generated = rounded(rng.normal(0, 1, (80, 3))), rounded(rng.normal(0.8, 0.8, (70, 3)))
    across = cdist(generated, real)

    def reach(x, k):
        return np.sort(cdist(x, x), axis=1)[:, k]

    def precision_recall(k):
        return [float((across <= reach(real, k)[None]).any(1).mean()),
                float((across <= reach(generated, k)[:, None]).any(0).mean())]

    def density_coverage(k):
        hits = across <= reach(real, k)[None]
        return [float(hits.sum() / (k * len(generated))), float(hits.any(0).mean())]

    return {"real": real.tolist(), "generated": generated.tolist(),
            "precision_recall": {k: precision_recall(k) for k in (1, 3, 10)},
            "density_coverage": {k: density_coverage(k) for k in (1, 5, 10)}}


def inception_case(rng, n=53, k=4):
    p = softmax(rounded(rng.normal(0, 2, (n, k)), 2), axis=1)
    scores = {}
    for splits in (1, 5, 10):
        parts = [p[s * n // splits:(s + 1) * n // splits] for s in range(splits)]
        each = [np.exp((q * np.log(q / q.mean(0))).sum(1).mean()) for q in parts]
        scores[splits] = [float(np.mean(each)), float(np.std(each))]
    return {"probabilities": p.tolist(), "scores": scores}


def main():
    out = {"detection": detection_cases(np.random.default_rng(1))}
    out["bootstrap"] = {"resamples": 4000}
    out["bootstrap"].update(bootstrap_brackets(out["detection"]["ties"], np.random.default_rng(2), 4000))
    out["classification"] = classification_case(np.random.default_rng(3))
    out["frechet"] = frechet_cases(np.random.default_rng(4))
    out["manifold"] = manifold_case(np.random.default_rng(5))
    out["inception"] = inception_case(np.random.default_rng(6))
    print(json.dumps(out))


main()
