"""Pictures of models: what is in them, read back from the figures; the transforms against the forward ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import librosa
import matplotlib as mpl
import numpy as np
import pytest
from emobench.cards import model_plots
from emobench.cards.model_plots import FirstLayer, draw_curves, draw_rows, most_used, note_name, receptive_fields
from emobench.dbn.domains import Domain, examples
from emobench.errors import InputError
from matplotlib.figure import Figure

MEL_HZ = tuple(librosa.mel_frequencies(n_mels=42, fmin=0.0, fmax=11025.0)[1:-1].tolist())


def _layer(domain: str, window: int = 4, hidden: int = 30, seed: int = 0) -> FirstLayer:
    dims = {"rhythm": 20, "pitch": 48, "pitch2d": 24 * window}[domain] * window
    draw = np.random.default_rng(seed)
    weight, scale = draw.normal(0, 0.1, (dims, hidden)), draw.uniform(0.5, 50, dims)
    return FirstLayer(domain, window, weight.astype(np.float32), scale.astype(np.float32), MEL_HZ)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn, after they were written."""
    kept: list[Figure] = []
    inner = model_plots.figure_at

    @contextmanager
    def keeping(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
        with inner(path, size) as figure:
            yield figure
        kept.append(figure)

    monkeypatch.setattr(model_plots, "figure_at", keeping)
    return kept


def _visible(figure: Figure) -> list[Any]:
    return [axis for axis in figure.axes if axis.get_visible() and axis.get_label() != "<colorbar>"]


def test_rhythm_is_inverted_to_mel_bands() -> None:
    # A spectrum per beat of the first 20 cosines, summed term by term, so its coefficients are known.
    draw = np.random.default_rng(1)
    coefficients, scale = draw.normal(0, 3, (4, 20)), draw.uniform(0.5, 50, 80)
    spectrum = np.zeros((40, 4))
    for band in range(40):
        for beat in range(4):
            for k in range(20):
                norm = np.sqrt((1 if k == 0 else 2) / 40)
                spectrum[band, beat] += norm * coefficients[beat, k] * np.cos(np.pi * k * (2 * band + 1) / 80)
    layer = FirstLayer("rhythm", 4, (coefficients.ravel() / scale)[:, None], scale, MEL_HZ)
    np.testing.assert_allclose(receptive_fields(layer), spectrum[None], atol=1e-10)


def test_pitch_is_semitones_by_beats_in_the_units_of_the_features() -> None:
    clip = np.random.default_rng(2).uniform(0, 5, (4, 48)).astype(np.float32)
    window = examples(Domain("pitch"), [clip]).matrix()[0]
    scale = np.linspace(1, 2, 192)
    layer = FirstLayer("pitch", 4, np.stack([window / scale, np.zeros(192)], axis=1), scale)
    fields = receptive_fields(layer)
    assert fields.shape == (2, 48, 4)
    np.testing.assert_allclose(fields[0], clip.T, rtol=1e-6)
    assert not fields[1].any()


@pytest.mark.parametrize(("rises", "column"), [(True, 1), (False, 3)])
def test_pitch2d_has_rising_patterns_on_the_left_and_octaves_at_one_cycle(rises: bool, column: int) -> None:
    beat, note = np.arange(7)[:, None], np.arange(48)[None]
    # One wave per octave that rises, or falls, by a quarter of an octave each beat.
    clip = (1 + np.cos(2 * np.pi * (note / 12 - (beat if rises else -beat) / 4))).astype(np.float32)
    window = examples(Domain("pitch2d"), [clip]).matrix()
    assert window.shape == (1, 384)
    fields = receptive_fields(FirstLayer("pitch2d", 4, window.T, np.ones(384)))
    assert fields.shape == (1, 24, 16)
    for patch in np.split(fields[0], 4, axis=1):
        assert patch[0, 2] == pytest.approx(192, rel=1e-5)  # the mean, no modulation
        patch[0, 2] = 0
        assert np.unravel_index(patch.argmax(), patch.shape) == (4, column)


def test_the_longest_weight_vectors_come_first_at_any_scale() -> None:
    weight = np.zeros((80, 4))
    weight[0] = [0.1, 0.5, 0.1, -0.7]
    weight[79] = [0.0, 0.0, 0.0, 0.0]
    scale = np.ones(80)
    assert most_used(FirstLayer("rhythm", 4, weight, scale, MEL_HZ)).tolist() == [3, 1, 0, 2]
    weight[79] = [0.6, 0.0, 0.0, 0.0]
    scale[79] = 1000
    assert most_used(FirstLayer("rhythm", 4, weight, scale, MEL_HZ)).tolist() == [3, 0, 1, 2]


def test_notes_have_their_names() -> None:
    for midi in range(12, 128):
        assert note_name(midi) == librosa.midi_to_note(midi, unicode=False)


@pytest.mark.parametrize("domain", ["rhythm", "pitch", "pitch2d"])
def test_rows_show_the_fields_with_zero_in_the_middle(domain: str, tmp_path: Path, figures: list[Figure]) -> None:
    layer = _layer(domain)
    draw_rows(layer, tmp_path / "rows.png", title="a model")
    axes = _visible(figures[0])
    assert len(axes) == 25
    order, fields = most_used(layer), receptive_fields(layer)
    for place, axis in enumerate(axes):
        (image,) = axis.get_images()
        np.testing.assert_array_equal(image.get_array(), fields[order[place]])
        assert axis.get_title().startswith(f"unit {order[place]} ")
        assert image.norm(0.0) == pytest.approx(0.5)
        assert image.norm(-1.7) == pytest.approx(1 - image.norm(1.7))
        assert image.get_cmap().name == "RdBu_r"
        # The first row of the picture is the lowest band or note.
        assert image.origin == "lower"
    assert len({axis.get_images()[0].norm.vmax for axis in axes}) == 1
    assert "a model" in figures[0].get_suptitle()


def _ticks(axis: Any) -> tuple[dict[str, float], dict[str, float]]:
    return tuple(
        {
            label.get_text(): float(place)
            for label, place in zip(side.get_ticklabels(), side.get_ticklocs(), strict=True)
        }
        for side in (axis.xaxis, axis.yaxis)
    )  # pyright: ignore[reportReturnType]


def test_axes_are_in_hertz_notes_and_cycles(tmp_path: Path, figures: list[Figure]) -> None:
    for domain in ("rhythm", "pitch", "pitch2d"):
        draw_rows(_layer(domain), tmp_path / f"{domain}.png", title=domain)
    rhythm, pitch, pitch2d = (_visible(figure)[20] for figure in figures)
    beats, hertz = _ticks(rhythm)
    assert beats == {"1": 0, "2": 1, "3": 2, "4": 3}
    for label, place in hertz.items():
        expected = float(label.replace("k", "000"))
        assert MEL_HZ[int(place)] <= expected <= MEL_HZ[int(place) + 1]
    assert list(hertz) == ["100", "300", "1k", "2k", "4k", "8k"]
    beats, notes = _ticks(pitch)
    assert notes == {"G2": 0, "C3": 5, "C4": 17, "C5": 29, "C6": 41, "F#6": 47}
    _, cycles = _ticks(pitch2d)
    assert cycles == {"0": 0, "1": 4, "2": 8, "3": 12, "4": 16, "5": 20}
    assert [label.get_text() for label in pitch2d.get_xticklabels()] == ["−½", "0"] * 4
    assert pitch2d.get_xticks().tolist() == [0, 2, 4, 6, 8, 10, 12, 14]


@pytest.mark.parametrize(
    ("domain", "window", "hidden"),
    [("rhythm", 1, 3), ("pitch2d", 1, 2), ("pitch", 3, 1), ("pitch2d", 3, 1), ("rhythm", 16, 6), ("pitch2d", 16, 2)],
)
def test_other_windows_and_widths(domain: str, window: int, hidden: int, tmp_path: Path, figures: list[Figure]) -> None:
    draw_rows(_layer(domain, window, hidden), tmp_path / "rows.png", title="x")
    assert len(_visible(figures[0])) == hidden


def test_a_machine_without_weights_is_drawn_too(tmp_path: Path) -> None:
    for domain in ("rhythm", "pitch2d"):
        layer = _layer(domain)
        layer.weight[:] = 0
        draw_rows(layer, tmp_path / "rows.png", title="nothing learned yet")


def _rbms() -> dict[str, list[dict[str, Any]]]:
    def epochs(count: int, first: float) -> list[dict[str, Any]]:
        return [
            {
                "epoch": epoch,
                "reconstruction_error": first / epoch,
                "free_energy_gap": first - epoch,
                "hidden_mean": 0.5,
                "hidden_std": 0.1,
                "weight_norm": float(epoch),
                "examples_per_second": 1e5,
                "seconds": 1.0,
            }
            for epoch in range(1, count + 1)
        ]

    return {"layer 0": epochs(20, 1.0), "layer 1 on 5 epochs": epochs(5, 0.5), "layer 1 on 20 epochs": epochs(20, 0.4)}


def test_curves_are_the_log(tmp_path: Path, figures: list[Figure]) -> None:
    rbms = _rbms()
    draw_curves(rbms, tmp_path / "curves.png", title="a model")
    panels = _visible(figures[0])
    assert len(panels) == 6
    for panel, key in zip(panels, model_plots._CURVES, strict=True):
        lines = [line for line in panel.get_lines() if len(line.get_xdata()) > 2]
        assert len(lines) == 3
        for line, epochs in zip(lines, rbms.values(), strict=True):
            np.testing.assert_allclose(line.get_xdata(), [epoch["epoch"] for epoch in epochs])
            np.testing.assert_allclose(line.get_ydata(), [epoch[key] for epoch in epochs])
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == list(rbms)
    assert len({tuple(line.get_color()) for line in panels[0].get_lines()}) == 3


def test_what_was_not_measured_is_left_out(tmp_path: Path, figures: list[Figure]) -> None:
    rbms = _rbms()
    for epochs in rbms.values():
        for epoch in epochs:
            for key in ("hidden_mean", "hidden_std", "weight_norm", "examples_per_second"):
                del epoch[key]
    del rbms["layer 0"][3]["free_energy_gap"]
    rbms["layer 1 on 5 epochs"] = [{"epoch": 1, "free_energy_gap": None}]
    draw_curves(rbms, tmp_path / "curves.png", title="a model")
    errors, gaps = _visible(figures[0])
    assert [len(line.get_xdata()) for line in errors.get_lines()] == [20, 20]
    assert 4 not in gaps.get_lines()[0].get_xdata()
    with pytest.raises(InputError, match="some model: the training log is empty"):
        draw_curves({"layer 0": [{"epoch": 1}], "layer 1": []}, tmp_path / "none.png", title="some model")
    assert not (tmp_path / "none.png").exists()


def test_the_same_input_gives_the_same_bytes_whatever_the_users_style(tmp_path: Path) -> None:
    def drawn(name: str) -> list[bytes]:
        draw_rows(_layer("pitch2d"), tmp_path / name / "rows.png", title="m")
        draw_curves(_rbms(), tmp_path / name / "curves.png", title="m")
        return [(tmp_path / name / kind).read_bytes() for kind in ("rows.png", "curves.png")]

    first = drawn("a")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 30, "image.cmap": "jet"}):
        second = drawn("b")
        assert mpl.rcParams["font.size"] == 30
    assert first == second
    assert all(picture.startswith(b"\x89PNG\r\n") and b"Software" not in picture for picture in first)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["curves.png", "rows.png"]


@pytest.mark.parametrize("title", ["50 $ and $x^{2", "音楽", "_a^b\\frac{"])
def test_titles_are_shown_literally(title: str, tmp_path: Path) -> None:
    draw_curves({title: _rbms()["layer 0"]}, tmp_path / "curves.png", title=title)
    draw_rows(_layer("rhythm", hidden=2), tmp_path / "rows.png", title=title)


def test_parts_that_do_not_fit_are_refused() -> None:
    good = _layer("rhythm")
    with pytest.raises(ValueError, match="scale"):
        FirstLayer("rhythm", 4, good.weight, good.scale[:-1], MEL_HZ)
    with pytest.raises(ValueError, match="window of 3"):
        FirstLayer("rhythm", 3, good.weight, good.scale, MEL_HZ)
    with pytest.raises(ValueError, match="mel bands"):
        FirstLayer("rhythm", 4, good.weight, good.scale)
    with pytest.raises(ValueError, match="finite"):
        FirstLayer("rhythm", 4, good.weight * np.nan, good.scale, MEL_HZ)
    with pytest.raises(ValueError, match="patches"):
        FirstLayer("pitch2d", 4, np.zeros((4 * 23, 2)), np.ones(4 * 23))
