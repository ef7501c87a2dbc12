"""Draw the pictures that explain the metrics: ``python docs/metric_pictures.py FOLDER``. ``make figures`` calls it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import emobench as eb
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

BOARD = Path(__file__).parent / "corpora" / "synthetic.md"
# Two colours of Okabe and Ito, which people with any colour vision can distinguish.
TRUE, PREDICTED = "#0072b2", "#d55e00"
TARGET = [0.15, 0.1, 0.03, 0.02, 0.008]


def ellipse(axes: Axes, gaussian: list[float], colour: str, *, level: float = 0.5) -> None:
    """Draw the mean of a Gaussian, and the ellipse that contains a share of it."""
    variances, directions = np.linalg.eigh([[gaussian[3], gaussian[4]], [gaussian[4], gaussian[2]]])
    width, height = 2 * np.sqrt(-2 * np.log(1 - level) * variances)
    angle = np.degrees(np.arctan2(directions[1, 0], directions[0, 0]))
    centre = (gaussian[1], gaussian[0])
    axes.add_patch(Ellipse(centre, width, height, angle=angle, facecolor=colour, edgecolor=colour, alpha=0.2))
    axes.add_patch(Ellipse(centre, width, height, angle=angle, fill=False, edgecolor=colour))
    axes.plot(*centre, "o", color=colour)


def plane(axes: Axes, title: str = "") -> None:
    """Label the plane of arousal and valence."""
    axes.set(xlim=(-0.5, 0.5), ylim=(-0.5, 0.5), xlabel="valence", ylabel="arousal", title=title, aspect="equal")
    axes.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    axes.axvline(0, color="0.85", linewidth=0.8, zorder=0)


def mean_distance() -> Figure:
    """Draw a target, a prediction and their distance."""
    predicted = [-0.15, -0.2]
    figure = Figure(figsize=(3.6, 3.4), layout="constrained")
    axes = figure.subplots()
    plane(axes)
    axes.plot([TARGET[1], predicted[1]], [TARGET[0], predicted[0]], "--", color="0.4")
    axes.plot(TARGET[1], TARGET[0], "o", color=TRUE)
    axes.plot(predicted[1], predicted[0], "s", color=PREDICTED)
    axes.annotate("target", (TARGET[1], TARGET[0]), (6, 6), textcoords="offset points", color=TRUE)
    axes.annotate("prediction", (predicted[1], predicted[0]), (-14, -16), textcoords="offset points", color=PREDICTED)
    distance = eb.metrics.mean_distance([TARGET[:2]], [predicted])
    axes.annotate(f"distance {distance:.2f}", (0.03, -0.06))
    return figure


def kl_divergence() -> Figure:
    """Draw two predictions with the same mean, one too narrow and one too wide."""
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    for axes, (name, factor) in zip(figure.subplots(1, 2), {"too narrow": 0.25, "too wide": 4.0}.items(), strict=True):
        predicted = [0.05, -0.02, *(factor * value for value in TARGET[2:])]
        scores = eb.metrics.scores([TARGET], [predicted])
        plane(axes, f"{name}: distance {scores['mean_distance']:.2f}, KL {scores['kl_divergence']:.2f}")
        ellipse(axes, TARGET, TRUE)
        ellipse(axes, predicted, PREDICTED)
    return figure


def agreement() -> Figure:
    """Draw predictions with typical errors against targets, with their scores."""
    generator = np.random.default_rng(0)
    true, noise = generator.normal(0, 0.15, 80), generator.normal(0, 1, 80)
    cases = {
        "good": true + 0.05 * noise,
        "shrunk": 0.35 * true + 0.02 * noise,
        "shifted": true + 0.15 + 0.05 * noise,
        "noisy": true + 0.15 * noise,
    }
    figure = Figure(figsize=(9.0, 2.9), layout="constrained")
    for axes, (name, predicted) in zip(figure.subplots(1, 4, sharey=True), cases.items(), strict=True):
        rows = [np.column_stack([values, np.zeros_like(values)]) for values in (true, predicted)]
        scores = eb.metrics.scores(*rows)
        names = {"rmse": "RMSE", "r2": "R²", "ccc": "CCC", "pearson": "r"}
        text = [f"{title} {scores[f'{key}_arousal']:.2f}".replace("-", "−") for key, title in names.items()]
        axes.plot([-0.5, 0.5], [-0.5, 0.5], color="0.8")
        axes.plot(true, predicted, ".", color=PREDICTED, markersize=4)
        axes.set(xlim=(-0.5, 0.5), ylim=(-0.5, 0.5), aspect="equal", xlabel="target")
        axes.set_title(f"{name}\n{', '.join(text[:2])}\n{', '.join(text[2:])}", fontsize=10)
    figure.axes[0].set_ylabel("prediction")
    return figure


def coverage() -> Figure:
    """Draw the 50 % ellipse of two predictions over ratings."""
    generator = np.random.default_rng(1)
    covariance = [[TARGET[3], TARGET[4]], [TARGET[4], TARGET[2]]]
    ratings = generator.multivariate_normal([TARGET[1], TARGET[0]], covariance, 120)
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    for axes, (name, factor) in zip(figure.subplots(1, 2), {"calibrated": 1.0, "too sure": 0.3}.items(), strict=True):
        predicted = [0.12, 0.07, *(factor * value for value in TARGET[2:])]
        share = eb.metrics.scores([TARGET], [predicted])["coverage_50"]
        plane(axes, f"{name}: coverage_50 = {share:.2f}")
        axes.plot(*ratings.T, ".", color=TRUE, markersize=3)
        ellipse(axes, predicted, PREDICTED)
    return figure


def references() -> Figure:
    """Draw the mean distances of the board of the synthetic corpus between its references."""
    board = BOARD.read_text(encoding="utf-8").partition("<!-- board -->")[2].partition("<!-- /board -->")[0]
    rows = re.findall(r"^\| ([^|]+) \| (\d\.\d+) ±", board, flags=re.MULTILINE)
    figure = Figure(figsize=(7.0, 1.7), layout="constrained")
    axes = figure.subplots()
    for name, score in rows:
        reference = name.partition(" (")[0] if not name.startswith("`") else None
        axes.axvline(float(score), color=TRUE if reference else PREDICTED, linewidth=2 if reference else 1, ymax=0.6)
        if reference:
            axes.annotate(reference, (float(score), 0.65), color=TRUE, ha="center")
    axes.set(xlim=(0, 0.2), ylim=(0, 1), yticks=[], xlabel="mean distance on the synthetic corpus (orange: features)")
    axes.spines[["top", "left", "right"]].set_visible(False)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "mean-distance": mean_distance,
    "kl-divergence": kl_divergence,
    "agreement": agreement,
    "coverage": coverage,
    "references": references,
}


def main(folder: Path) -> None:
    """Write all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    # The same bytes on every call; text is drawn by the browser.
    with mpl.rc_context({"svg.hashsalt": "emobench", "svg.fonttype": "none", "font.family": "sans-serif"}):
        for name, draw in PICTURES.items():
            draw().savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
