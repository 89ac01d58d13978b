"""What is said of the paper's figures, worked out from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from landslide_scale.paper.published import SIZES, TABLES, PublishedScores

ROWS = [(kind, name, row) for kind, table in TABLES.items() for name, row in table.rows.items()]


def macro(shares: np.ndarray) -> np.ndarray:
    """Macro P, R, F1 and IoU in percent of a pooled confusion matrix (TP, FP, FN, TN)."""
    tp, fp, fn, tn = shares
    both = [(hit / (hit + fa), hit / (hit + miss), 2 * hit / (2 * hit + fa + miss), hit / (hit + fa + miss))
            for hit, fa, miss in ((tp, fp, fn), (tn, fn, fp))]  # fmt: skip
    return 50 * np.array(both).sum(0)


def nearest(row: PublishedScores) -> tuple[float, float]:
    """By how many points the nearest confusion matrix misses a row, and the landslide fraction of that matrix."""
    wanted = np.array([row.precision, row.recall, row.f1, row.miou])

    def shares(logits: np.ndarray) -> np.ndarray:
        powers = np.exp(np.append(logits, 0))
        return powers / powers.sum()

    best = (np.inf, np.nan)
    for fraction in (0.02, 0.1, 0.3):
        for error in (0.05, 0.2, 0.5):
            start = np.log(np.array([1 - error, error, error]) * fraction / (1 - fraction * (1 + error)))
            found = least_squares(lambda logits: macro(shares(logits)) - wanted, start)
            tp, _, fn, _ = shares(found.x)
            best = min(best, (float(np.abs(found.fun).max()), float(tp + fn)))
    return best


@pytest.mark.parametrize(("kind", "name", "row"), ROWS, ids=[f"{kind}-{name}" for kind, name, _ in ROWS])
def test_nine_of_ten_rows_fit_one_pooled_confusion_matrix(kind: str, name: str, row: PublishedScores):
    off, fraction = nearest(row)
    if (kind, name) == ("bijie", "landslidenet"):
        assert off > 0.5
        return
    assert off < 0.01
    assert fraction == pytest.approx({"bijie": 0.10, "landslide4sense": 0.0235}[kind], rel=0.02)


@pytest.mark.parametrize("name", SIZES)
def test_the_mean_f1_of_table_3_is_that_of_tables_1_and_2_but_for_landslidenet(name: str):
    mean = np.mean([table.rows[name].f1 for table in TABLES.values()])
    # 92.18 and 83.93 give 88.06; the paper prints 88.94.
    assert (abs(mean - SIZES[name].mf1) < 0.011) == (name != "landslidenet")
