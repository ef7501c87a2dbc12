"""Domains: dimensions and counts of Table 1, windows copied by hand, and the 2-d FFT compared with numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from emobench.dbn.domains import NAMES, Domain, examples
from hypothesis import given, settings
from hypothesis import strategies as st

BANDS = {"rhythm": 20, "pitch": 48, "pitch2d": 48, "texture": 142}


def _clip(segments: int, bands: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, segments]).normal(size=(segments, bands)).astype(np.float32)


def _by_hand(name: str, clip: np.ndarray, window: int) -> np.ndarray:
    """Make the examples of one clip with loops; a pitch2d example is ``window`` patches of ``window`` segments."""
    bands = clip.shape[1]
    if name == "pitch2d":
        rows = []
        for start in range(len(clip) - window + 1):
            full = np.abs(np.fft.fft2(clip[start : start + window].T.astype(np.float64)))
            rows.append(full[: bands // 2].reshape(-1))
        dims = bands // 2 * window * window
    else:
        rows, dims = list(clip), bands * window
    made = [np.concatenate(rows[start : start + window]) for start in range(len(rows) - window + 1)]
    return np.array(made).reshape(len(made), dims)


# Table 1


@pytest.mark.parametrize(("name", "dims", "lost"), [("rhythm", 80, 3), ("pitch", 192, 3), ("pitch2d", 384, 6)])
def test_dimensions_and_counts_of_table_1(name: str, dims: int, lost: int) -> None:
    domain = Domain(name)
    clips = [_clip(segments, BANDS[name]) for segments in (0, 1, 3, 4, 6, 7, 8, 93)]
    made = examples(domain, clips)
    assert made.dims == dims
    assert made.counts.tolist() == [max(len(clip) - lost, 0) for clip in clips]
    assert len(made) == made.counts.sum()
    assert made.matrix().shape == (len(made), dims)
    assert made.matrix().dtype == np.float32
    assert domain.context == lost


def test_the_papers_difference_of_150_000() -> None:
    # Three examples per clip fewer, for 50,000 clips: 4,645,526 - 4,495,526.
    clips = [_clip(segments, 48) for segments in (40, 93, 120)]
    pitch, pitch2d = (len(examples(Domain(name), clips)) for name in ("pitch", "pitch2d"))
    assert (pitch - pitch2d) * 50_000 / len(clips) == 4_645_526 - 4_495_526


@pytest.mark.parametrize(("name", "table"), [("rhythm", "rhythm"), ("pitch", "pitch"), ("pitch2d", "pitch")])
def test_table(name: str, table: str) -> None:
    assert Domain(name).table == table


# Windows


@pytest.mark.parametrize("name", ["rhythm", "pitch"])
def test_an_example_is_four_segments_in_order_of_time(name: str) -> None:
    bands = BANDS[name]
    # Every number encodes its segment and band.
    clip = (100 * np.arange(7)[:, None] + np.arange(bands)).astype(np.float32)
    made = examples(Domain(name), [clip])
    for number, example in enumerate(made.matrix()):
        expected = [100 * segment + band for segment in range(number, number + 4) for band in range(bands)]
        assert example.tolist() == expected
    assert made.beats.tolist() == [3, 4, 5, 6]


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    window=st.integers(1, 16),
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    bands=st.sampled_from([2, 12, 20, 48]),
)
def test_against_loops(name: str, window: int, lengths: list[int], bands: int) -> None:
    clips = [_clip(segments, bands, seed=1) for segments in lengths]
    made = examples(Domain(name, window), clips)
    expected = [_by_hand(name, clip, window) for clip in clips]
    assert made.counts.tolist() == [len(each) for each in expected]
    if len(made):
        np.testing.assert_allclose(made.matrix(), np.concatenate(expected), rtol=1e-4, atol=1e-4)
    # The last example of a clip ends with its last beat, the one before with the beat before, and so on.
    closing = [np.arange(len(clip) - len(own), len(clip)) for clip, own in zip(clips, expected, strict=True)]
    assert made.beats.tolist() == np.concatenate(closing).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_no_example_crosses_from_one_clip_into_the_next(name: str) -> None:
    clips = [np.full((segments, BANDS[name]), value, np.float32) for value, segments in ((1, 9), (2, 8), (4, 12))]
    apart = np.concatenate([examples(Domain(name), [clip]).matrix() for clip in clips])
    together = examples(Domain(name), clips)
    np.testing.assert_array_equal(together.matrix(), apart)
    if name != "pitch2d":
        owner = np.repeat([1, 2, 4], together.counts)
        assert (together.matrix() == owner[:, None]).all()


# 2-d FFT


def test_patch_against_numpy() -> None:
    clip = _clip(4, 48)
    row = Domain("pitch2d").rows(clip)
    full = np.abs(np.fft.fft2(clip.T.astype(np.float64)))
    assert row.shape == (1, 96)
    np.testing.assert_allclose(row.reshape(24, 4), full[:24], rtol=1e-5, atol=1e-4)


def test_the_dropped_half_follows_from_the_kept_one() -> None:
    clip = _clip(4, 48, seed=2)
    full = np.abs(np.fft.fft2(clip.T.astype(np.float64)))
    kept = Domain("pitch2d").rows(clip).reshape(24, 4)
    # |F[-k, -t]| = |F[k, t]|: rows 25 to 47 are rows 23 to 1 read backwards in time frequency.
    for row in range(25, 48):
        for column in range(4):
            assert full[row, column] == pytest.approx(kept[48 - row, -column % 4], rel=1e-4, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(semitones=st.integers(-47, 47), beats=st.integers(0, 3))
def test_magnitudes_do_not_change_with_shifts_of_pitch_and_time(semitones: int, beats: int) -> None:
    clip = _clip(4, 48, seed=3)
    moved = np.ascontiguousarray(np.roll(clip, (beats, semitones), axis=(0, 1)))
    rows = [Domain("pitch2d").rows(part) for part in (clip, moved)]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-4, atol=1e-4)


def test_example_of_2d_fft_is_four_successive_patches() -> None:
    clip = _clip(9, 48, seed=4)
    made = examples(Domain("pitch2d"), [clip])
    patches = [np.abs(np.fft.fft2(clip[start : start + 4].T.astype(np.float64)))[:24].reshape(-1) for start in range(6)]
    for number, example in enumerate(made.matrix()):
        np.testing.assert_allclose(example, np.concatenate(patches[number : number + 4]), rtol=1e-4, atol=1e-4)
    # Patch 0 covers beats 0 to 3; four patches end with beat 6.
    assert made.beats.tolist() == [6, 7, 8]


@pytest.mark.parametrize("name", NAMES)
def test_a_later_segment_changes_no_earlier_example(name: str) -> None:
    clip = _clip(12, BANDS[name], seed=5)
    changed = clip.copy()
    changed[8:] += 1
    before, after = (examples(Domain(name), [part]) for part in (clip, changed))
    same = (before.matrix() == after.matrix()).all(axis=1)
    np.testing.assert_array_equal(same, before.beats < 8)


# Clips too short for one example


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(NAMES), window=st.integers(1, 6), segments=st.integers(1, 14))
def test_padding_repeats_the_first_segment(name: str, window: int, segments: int) -> None:
    domain = Domain(name, window)
    clip = _clip(segments, 12, seed=6)
    covered = window if name != "pitch2d" else 2 * window - 1
    made = examples(domain, [clip], pad=True)
    lacking = max(covered - segments, 0)
    expected = _by_hand(name, np.concatenate([clip[:1]] * lacking + [clip]), window)
    np.testing.assert_allclose(made.matrix(), expected, rtol=1e-4, atol=1e-4)
    assert made.counts.tolist() == [max(segments - covered + 1, 1)]
    # Beats are counted in the clip itself, without the padding.
    assert made.beats.tolist() == list(range(segments - len(expected), segments))


@pytest.mark.parametrize("name", NAMES)
def test_padding_does_not_change_long_clips(name: str) -> None:
    clips = [_clip(segments, BANDS[name]) for segments in (7, 20)]
    padded, plain = (examples(Domain(name), clips, pad=pad) for pad in (True, False))
    np.testing.assert_array_equal(padded.matrix(), plain.matrix())
    assert padded.beats.tolist() == plain.beats.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_short_clip_among_others(name: str) -> None:
    clips = [_clip(10, BANDS[name]), _clip(2, BANDS[name]), _clip(0, BANDS[name]), _clip(9, BANDS[name])]
    lost = Domain(name).context
    assert examples(Domain(name), clips).counts.tolist() == [10 - lost, 0, 0, 9 - lost]
    padded = examples(Domain(name), clips, pad=True)
    assert padded.counts.tolist() == [10 - lost, 1, 0, 9 - lost]
    assert padded.beats[10 - lost] == 1


@pytest.mark.parametrize("name", NAMES)
def test_examples_hold_no_view_of_the_clip(name: str) -> None:
    clip = _clip(8, BANDS[name])
    made = examples(Domain(name), [clip])
    kept = made.matrix().copy()
    clip[:] = 0
    np.testing.assert_array_equal(made.matrix(), kept)


# Wrong input


@pytest.mark.parametrize("name", ["", "Rhythm", "chroma", "pitch2D"])
def test_unknown_domain(name: str) -> None:
    with pytest.raises(ValueError, match=r"rhythm.*pitch.*pitch2d"):
        Domain(name)


@pytest.mark.parametrize("window", [-1, 0, 17])
def test_window_out_of_range(window: int) -> None:
    with pytest.raises(ValueError, match=f"window={window}.*1 to 16"):
        Domain("rhythm", window)


def test_no_clips() -> None:
    with pytest.raises(ValueError, match="at least one"):
        examples(Domain("rhythm"), [])


def test_clips_of_different_widths() -> None:
    with pytest.raises(ValueError, match="same number of bands"):
        examples(Domain("rhythm"), [_clip(8, 20), _clip(8, 48)])


@pytest.mark.parametrize("name", NAMES)
def test_no_example_at_all_is_an_empty_matrix(name: str) -> None:
    made = examples(Domain(name), [_clip(2, BANDS[name])])
    assert len(made) == 0
    assert made.matrix().shape == (0, made.dims)
