"""Plots of a model as PNG files: training curves, and receptive fields of the first layer.

The receptive field of a hidden unit is what it adds to the input when it is on. By equation (2) of Schmidt and Kim
(2013), the visible units of the lowest RBM have the mean ``b + W h``, in standard deviations from the mean of the
pre-training data, so unit j adds ``scale * W[:, j]`` in the units of the features:

- ``rhythm``: cepstral coefficients, converted to decibels of mel bands by the inverse of the orthonormal DCT-II
  (coefficients after the last one are 0, which smooths the spectrum);
- ``pitch``: magnitudes of semitones;
- ``pitch2d``: magnitudes of the 2-D FFT of patches of beats and semitones;
- ``texture``: levels of mel bands and semitones, and spectral contrast.

A contrastive encoder has training curves only, because its first layer does not model its input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from ..errors import InputError
from .pictures import figure_at, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

_NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_CURVES = {
    "reconstruction_error": ("Reconstruction error", "squared, per unit and example"),
    "free_energy_gap": ("Free-energy gap", "held out − training, nats"),
    "hidden_mean": ("Hidden activations: mean", "probability"),
    "hidden_std": ("Hidden activations: spread", "standard deviation"),
    "weight_norm": ("Weights", "norm"),
    "examples_per_second": ("Speed", "examples per second"),
}
# Of a contrastive encoder.
_ENCODER_CURVES = {"loss": ("Loss", "nats"), "accuracy": ("Accuracy", "share of the clips in a batch")}
_COLUMNS = 5


@dataclass(frozen=True)
class FirstLayer:
    """The lowest RBM of a model.

    Attributes
    ----------
    domain : {"rhythm", "pitch", "pitch2d", "texture"}
        Input domain of the network.
    window : int
        Number of beats, or patches, of an input window.
    weight : ndarray, shape (dims, n_hidden)
        Weights for inputs in standard deviations; row ``k`` of a window begins at ``k * dims / window``.
    scale : ndarray, shape (dims,)
        Standard deviation of each input.
    mel_hz : sequence of float
        Centre frequencies of the mel bands in hertz, increasing; for ``rhythm``.
    lowest_hz : float
        Frequency of the lowest semitone in hertz; for ``pitch``.
    """

    domain: str
    window: int
    weight: npt.NDArray[Any]
    scale: npt.NDArray[Any]
    mel_hz: Sequence[float] = ()
    lowest_hz: float = 98.0

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.scale.shape != self.weight.shape[:1] or len(self.scale) % self.window:
            raise ValueError(
                f"weight of {self.weight.shape} and scale of {self.scale.shape} for a window of {self.window}"
            )
        if not (np.isfinite(self.weight).all() and np.isfinite(self.scale).all()):
            raise ValueError("a weight or scale is not finite")
        if self.domain == "rhythm" and len(self.mel_hz) < self.row:
            raise ValueError(f"{len(self.mel_hz)} mel bands for {self.row} cepstral coefficients")
        if self.domain == "pitch2d" and self.row % self.window:
            raise ValueError(f"rows of {self.row} values cannot be divided into patches of {self.window} beats")

    @property
    def row(self) -> int:
        """Number of values in one row of the window."""
        return len(self.scale) // self.window


def most_used(layer: FirstLayer) -> npt.NDArray[np.intp]:
    """Sort hidden units by the norm of their weight vector, largest first; returns indices, shape (n_hidden,).

    Weights are relative to the standard deviations of the inputs, so the units of the features have no influence.
    Training starts from weights near 0 and increases those that the data require. The sort is stable.
    """
    return np.argsort(-np.linalg.norm(layer.weight, axis=0), kind="stable")


def receptive_fields(layer: FirstLayer) -> FloatArray:
    """Compute the receptive fields of the hidden units in the units of the features.

    Parameters
    ----------
    layer : FirstLayer
        The RBM.

    Returns
    -------
    ndarray of float64, shape (n_hidden, height, width)
        For ``rhythm``, mel bands by beats, in decibels. For ``pitch``, semitones by beats. For ``texture``, all values
        by beats. For ``pitch2d``, modulation
        over pitch by modulation over beats, with the patches side by side; in each patch, the frequency increases from
        -1/2 cycle per beat (-1/2, -1/4, 0, 1/4 for four beats).
    """
    added = (layer.weight * layer.scale[:, None]).astype(np.float64).T.reshape(-1, layer.window, layer.row)
    if layer.domain == "rhythm":
        whole = np.zeros((*added.shape[:2], len(layer.mel_hz)))
        whole[:, :, : layer.row] = added
        return np.asarray(scipy.fft.idct(whole, type=2, norm="ortho", axis=2)).transpose(0, 2, 1)
    if layer.domain in ("pitch", "texture"):
        return added.transpose(0, 2, 1)
    patches = added.reshape(len(added), layer.window, layer.row // layer.window, layer.window)
    return np.concatenate(np.split(np.fft.fftshift(patches, axes=3), layer.window, axis=1), axis=3)[:, 0]


def draw_rows(layer: FirstLayer, path: Path, *, title: str, limit: int = 25) -> None:
    """Draw the receptive fields of the hidden units with the largest weights as a PNG.

    Parameters
    ----------
    layer : FirstLayer
        The RBM.
    path : Path
        File to write.
    title : str
        Title of the figure.
    limit : int
        Maximum number of hidden units.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    shown = most_used(layer)[:limit]
    fields = receptive_fields(layer)[shown]
    norms = np.linalg.norm(layer.weight, axis=0)
    rows = -(-len(shown) // _COLUMNS)
    size = (15.0 if layer.domain == "pitch2d" else 11.0, 2.1 + 2.2 * rows)
    with figure_at(path, size) as figure:
        norm = _colours(fields, wide=layer.domain == "pitch2d")
        axes = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True)
        image = None
        for place, axis in enumerate(axes.flat):
            if place >= len(shown):
                axis.set_visible(False)
                continue
            image = axis.imshow(
                fields[place],
                cmap="RdBu_r",
                norm=norm,
                aspect="auto",
                origin="lower",
                interpolation="nearest",
            )
            axis.set_title(f"unit {shown[place]}   |w| {norms[shown[place]]:.2f}", fontsize=8, pad=3)
            # If the last row is not full, the row above it has tick labels too.
            axis.tick_params(labelbottom=place + _COLUMNS >= len(shown), labelsize=7, length=2)
        heading, across, up, unit = _label(axes[0, 0], layer)
        figure.suptitle(
            f"{plain_text(title)}\n{heading}\nred: increased by the unit, blue: decreased; largest weights first",
            fontsize=11,
        )
        figure.supxlabel(across, fontsize=10)
        figure.supylabel(up, fontsize=10)
        assert image is not None
        bar = figure.colorbar(image, ax=axes, extend="both", fraction=0.02, pad=0.01, aspect=45)
        if layer.domain == "pitch2d":
            bar.set_ticks(_ratios(norm), minor=False)
            bar.ax.minorticks_off()
            bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.set_label(unit, fontsize=9)
        bar.ax.tick_params(labelsize=8)
        for axis in axes.flat[: len(shown)]:
            _divide(axis, layer)


def _colours(fields: FloatArray, *, wide: bool) -> Normalize:
    """Make a colour scale that is symmetric about 0 and common to all units, so that they can be compared."""
    from matplotlib.colors import Normalize, SymLogNorm

    sizes = np.abs(fields)
    # A few extreme values are clipped.
    bound = float(np.quantile(sizes, 0.995)) or 1.0
    if wide:
        # Constant components are tens of times larger than modulations, so colours are logarithmic, except for the
        # smaller half of the values.
        return SymLogNorm(float(np.median(sizes)) or bound / 10, linscale=0.5, vmin=-bound, vmax=bound, base=10)
    return Normalize(-bound, bound)


def _ratios(norm: Normalize) -> list[float]:
    """Choose the ticks ±1, ±3, ±10 and so on in the logarithmic part of the scale."""
    bound, small = float(norm.vmax or 1.0), float(getattr(norm, "linthresh", 1.0))
    decades = range(int(np.floor(np.log10(small))), int(np.floor(np.log10(bound))) + 1)
    above = [value for decade in decades for value in (10.0**decade, 3 * 10.0**decade) if small <= value <= bound]
    return [*(-value for value in reversed(above)), 0.0, *above]


def _label(axis: Axes, layer: FirstLayer) -> tuple[str, str, str, str]:
    """Set the common ticks; returns heading, labels of both axes, and label of the colour bar."""
    beats = np.arange(layer.window)
    if layer.domain == "pitch2d":
        height = layer.row // layer.window
        # Row k has k cycles over all semitones; the rows are the first half of the spectrum.
        octave = 2 * height / 12
        cycles = np.arange(int((height - 1) / octave) + 1)
        axis.set_yticks(cycles * octave, [str(number) for number in cycles])
        frequencies = np.fft.fftshift(np.fft.fftfreq(layer.window))
        columns = [
            (patch * layer.window + place, _fraction(float(value)))
            for patch in range(layer.window)
            for place, value in enumerate(frequencies)
            if value == 0 or (value == -0.5 and layer.window <= 4)
        ]
        places, names = zip(*columns, strict=True)
        axis.set_xticks(places, names)
        axis.set_xticks(np.arange(layer.window**2) if layer.window <= 4 else [], minor=True)
        steps = f"{_fraction(float(frequencies[0]))} to {_fraction(float(frequencies[-1]))}"
        if layer.window <= 4:
            steps = ", ".join(_fraction(float(value)) for value in frequencies)
        return (
            f"pitch2d: 2-D FFT of {layer.window}-beat patches, {layer.window} successive patches side by side",
            f"modulation over time, cycles per beat: {steps} in each patch "
            "(left of 0: rising patterns, right: falling; ½: alternating from beat to beat)",
            "modulation over pitch, cycles per octave",
            "added magnitude of the 2-D FFT",
        )
    step = -(-layer.window // 8)
    axis.set_xticks(beats[::step], [str(beat + 1) for beat in beats[::step]])
    across = f"beat of the window ({layer.window}: last beat)"
    if layer.domain == "pitch":
        lowest = round(69 + 12 * np.log2(layer.lowest_hz / 440.0))
        ends = {0, layer.row - 1}
        ticks = [place for place in range(layer.row) if (lowest + place) % 12 == 0 or place in ends]
        axis.set_yticks(ticks, [note_name(lowest + place) for place in ticks])
        return "pitch: semitones over beats", across, "note", "added magnitude"
    if layer.domain == "texture":
        # The first value of each kind; see emobench.audio.texture.
        axis.set_yticks([0, 40, 80, 128], ["harmonic", "percussive", "semitones", "contrast"])
        return "texture: levels over beats", across, "values from", "added level, dB"
    wanted = [hertz for hertz in (100, 300, 1000, 2000, 4000, 8000) if layer.mel_hz[0] <= hertz <= layer.mel_hz[-1]]
    axis.set_yticks(
        np.interp(wanted, layer.mel_hz, np.arange(len(layer.mel_hz))),
        [f"{hertz // 1000}k" if hertz >= 1000 else str(hertz) for hertz in wanted],
    )
    return "rhythm: percussive spectrum over beats", across, "centre of the mel band, Hz", "added level, dB"


def _divide(axis: Axes, layer: FirstLayer) -> None:
    """Draw lines between beats, or between patches."""
    for place in range(1, layer.window):
        at = place * layer.window if layer.domain == "pitch2d" else place
        axis.axvline(at - 0.5, color="0.35" if layer.domain == "pitch2d" else "0.85", linewidth=0.6)


def note_name(midi: int) -> str:
    """Return the scientific name of a MIDI note, such as ``G2`` for 43."""
    return f"{_NOTES[midi % 12]}{midi // 12 - 1}"


def _fraction(value: float) -> str:
    names = {0.0: "0", 0.25: "¼", 0.5: "½"}
    shown = names.get(abs(value), f"{abs(value):.2g}")
    return f"−{shown}" if value < 0 else shown


def draw_curves(
    rbms: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, *, title: str, unit: str = "epoch"
) -> None:
    """Draw the training log of a model as a PNG: one panel per quantity, with a curve for each RBM.

    Parameters
    ----------
    rbms : mapping of str to sequence of mapping
        Name of each RBM to its epochs, as ``rbms`` in ``training.json``, or of an encoder to its updates. Missing
        values and panels without values are left out.
    path : Path
        File to write.
    title : str
        Title of the figure.
    unit : str
        Name of what the log counts.

    Raises
    ------
    InputError
        If there is nothing to draw, or matplotlib is not installed.
    """
    known = _CURVES | _ENCODER_CURVES
    found = {key: {name: curve for name, epochs in rbms.items() if (curve := _curve(epochs, key))} for key in known}
    panels = [key for key, curves in found.items() if curves]
    if not panels:
        raise InputError(f"{title}: the training log is empty; train the model again with 'emobench pretrain'.")
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    with figure_at(path, (4.2 * columns + 2.2, 3.3 * rows + 0.6)) as figure:
        axes = figure.subplots(rows, columns, squeeze=False)
        styles = _styles(figure, list(rbms))
        lines = {}
        for place, axis in enumerate(axes.flat):
            if place >= len(panels):
                axis.set_visible(False)
                continue
            heading, scale = known[panels[place]]
            for name, curve in found[panels[place]].items():
                (lines[name],) = axis.plot(
                    *zip(*curve, strict=True), markersize=3.5, markevery=-(-len(curve) // 10), **styles[name]
                )
            axis.set_title(heading, fontsize=10)
            axis.set_ylabel(scale, fontsize=8)
            axis.set_xlabel(unit, fontsize=8)
            axis.tick_params(labelsize=8)
            axis.grid(color="0.92")
            axis.xaxis.get_major_locator().set_params(integer=True)
            _stretch(axis, panels[place])
        names = [name for name in styles if name in lines]
        figure.legend(
            [lines[name] for name in names], [plain_text(name) for name in names], loc="outside right upper", fontsize=8
        )
        figure.suptitle(plain_text(title), fontsize=11)


def _stretch(axis: Axes, key: str) -> None:
    """Choose scales on which the small values of upper layers are legible beside those of the lowest layer."""
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axis.get_lines()])
    if key == "reconstruction_error" and (values > 0).all():
        axis.set_yscale("log")
    if key == "free_energy_gap":
        axis.set_yscale("symlog", linthresh=0.1)
        # At 0, held-out and training examples are equally likely; a growing gap indicates overfitting (Hinton 2010).
        axis.axhline(0.0, color="0.5", linewidth=0.8, linestyle=":")


def _curve(epochs: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(epoch["epoch"], float(epoch[key])) for epoch in epochs if epoch.get(key) is not None]


def _styles(figure: Figure, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Choose a hue per layer, and a shade and marker per RBM; RBMs trained longest are darkest."""
    from matplotlib import colormaps

    hues = [colormaps[name] for name in ("Greys", "Blues", "Oranges", "Greens", "Purples", "Reds")]
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault((re.findall(r"\d+", name) or [name])[0], []).append(name)
    styles: dict[str, dict[str, Any]] = {}
    for number, members in enumerate(layers.values()):
        shades = np.linspace(0.45, 0.95, len(members)) if len(members) > 1 else [0.85]
        for place, (name, shade) in enumerate(zip(members, shades, strict=True)):
            styles[name] = {
                "color": hues[number % len(hues)](shade),
                "marker": "os^Dv<>p"[place % 8],
                "linewidth": 1.3,
            }
    return styles
