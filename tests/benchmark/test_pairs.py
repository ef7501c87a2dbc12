"""Paired differences compared with scipy and enumeration, and the error rates of the tests."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats
from emobench.benchmark.scoring.pairs import LEVEL, bootstrap_scores, contributions, corrected_p, pair_p, sign_flips
from emobench.benchmark.scoring.significance import RepeatPredictions, album_intervals

RNG = np.random.default_rng


def test_contributions_by_hand() -> None:
    # Two repeats; album 0 has 2 of 4 seconds in the first and none in the second, where album 1 has all.
    sums = np.array([[[0.2, 0.6], [0.0, 0.5]]])
    seconds = np.array([[2.0, 2.0], [0.0, 5.0]])
    assert contributions(sums, seconds) == pytest.approx(np.array([[0.2 / 4 / 2, (0.6 / 4 + 0.5 / 5) / 2]]))


def test_score_is_the_sum_of_contributions_and_its_bootstrap_that_of_the_scores() -> None:
    generator = RNG(0)
    repeats, sums, seconds = [], [], []
    for _ in range(3):
        tested = np.sort(generator.choice(12, 5, replace=False))
        songs = np.repeat(np.arange(5), generator.integers(2, 6, 5))
        true = np.column_stack(
            [generator.uniform(-0.5, 0.5, (len(songs), 2)), np.full((len(songs), 2), 0.02), songs * 0]
        ).astype(float)
        predicted = true + generator.normal(0, 0.1, true.shape) * [1, 1, 0, 0, 0]
        repeats.append(RepeatPredictions(true, predicted, songs, tested))
        error = np.hypot(*(true - predicted)[:, :2].T)
        sums.append(np.bincount(tested[songs], error, minlength=12))
        seconds.append(np.bincount(tested[songs], minlength=12).astype(float))
    rows, counts = np.array([sums]), np.array(seconds)
    plain = np.mean([np.hypot(*(part.true - part.predicted)[:, :2].T).mean() for part in repeats])
    assert contributions(rows, counts).sum() == pytest.approx(plain, abs=1e-15)
    # Album 11 may be in no test part; the other bootstrap numbers albums up to the last one used.
    last = 1 + max(int(part.albums.max()) for part in repeats)
    drawn = bootstrap_scores(rows[:, :, :last], counts[:, :last], draws=300, seed=4)
    expected = album_intervals(repeats, draws=300, seed=4)["mean_distance"]
    assert np.percentile(drawn[:, 0], [2.5, 97.5]) == pytest.approx(expected, abs=1e-14)


def test_paired_bootstrap_against_scipy() -> None:
    generator = RNG(1)
    both = generator.normal(0.2, 0.05, (1, 60)) + generator.normal([[0.0], [0.01]], 0.02, (2, 60))
    drawn = bootstrap_scores(both[:, None], np.ones((1, 60)), draws=20_000, seed=0)
    ours = np.percentile(drawn[:, 0] - drawn[:, 1], [2.5, 97.5])
    theirs = scipy.stats.bootstrap(
        (both[0] - both[1],), np.mean, n_resamples=20_000, method="percentile", rng=RNG(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.03 * width)
    # What both entries share cancels out: the difference is more certain than either score.
    assert width < np.ptp(np.percentile(drawn[:, 0], [2.5, 97.5]))


@pytest.mark.parametrize("n_albums", [2, 5, 9])
def test_few_flips_are_enumerated(n_albums: int) -> None:
    differences = RNG(n_albums).normal(0.3, 1.0, n_albums)
    theirs = scipy.stats.permutation_test(
        (differences, np.zeros(n_albums)),
        lambda x, y: (x - y).sum(),
        permutation_type="samples",
        n_resamples=2**n_albums,
    ).pvalue
    enumerated = np.mean(
        [
            abs(np.dot(signs, differences)) >= abs(differences.sum()) - 1e-12
            for signs in product((1, -1), repeat=n_albums)
        ]
    )
    ours = pair_p(differences, draws=5000, seed=0)
    assert ours == pytest.approx(enumerated, abs=1e-12)
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_random_flips_against_scipy() -> None:
    differences = RNG(3).normal(0.25, 1.0, 40)
    ours = pair_p(differences, draws=20_000, seed=0)
    theirs = scipy.stats.permutation_test(
        (differences, np.zeros(40)),
        lambda x, y, axis: (x - y).sum(axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        vectorized=True,
        rng=RNG(1),
    ).pvalue
    assert ours == pytest.approx(theirs, abs=float(4 * np.sqrt(theirs * (1 - theirs) / 10_000)))


def test_a_p_value_is_never_zero() -> None:
    # All 40 albums agree: no random flip reaches this, and the observed data count as one.
    assert pair_p(np.ones(40) + np.arange(40), draws=99, seed=0) == pytest.approx(1 / 100)
    assert corrected_p(np.array([np.zeros(40), np.ones(40)]), draws=99, seed=0)[0, 1] == pytest.approx(1 / 100)


def test_equal_entries_have_p_of_exactly_one() -> None:
    row = RNG(4).uniform(0, 1e-3, 30)
    assert pair_p(row - row, draws=99, seed=0) == 1.0
    found = corrected_p(np.array([row, row, row * (1 + 1e-16) + 1e-19]), draws=99, seed=0)
    assert (found == 1.0).all()


def test_one_pair_needs_no_correction() -> None:
    rows = RNG(5).normal([[0.0], [0.4]], 1.0, (2, 10)) / 10
    expected = pair_p(rows[0] - rows[1], draws=5000, seed=0)
    assert corrected_p(rows, draws=5000, seed=0)[0, 1] == pytest.approx(expected, abs=1e-12)


def _stepwise(rows: np.ndarray) -> dict[tuple[int, int], bool]:
    """Return the pairs that differ significantly, by loops over all flips and the remaining pairs."""
    pairs = list(combinations(range(len(rows)), 2))
    spread = {(i, j): np.sqrt(((rows[i] - rows[j]) ** 2).sum()) for i, j in pairs}
    under = []
    for signs in product((1, -1), repeat=rows.shape[1]):
        total = rows @ np.array(signs)
        under.append({(i, j): abs(total[i] - total[j]) / spread[i, j] for i, j in pairs})
    left, apart = list(pairs), dict.fromkeys(pairs, False)
    while left:
        largest = np.array([max(flip[pair] for pair in left) for flip in under])
        found = [pair for pair in left if np.mean(largest >= under[0][pair] - 1e-9) < LEVEL]
        if not found:
            break
        apart |= dict.fromkeys(found, True)
        left = [pair for pair in left if pair not in found]
    return apart


@pytest.mark.parametrize("seed", range(6))
def test_correction_against_loops_over_all_flips(seed: int) -> None:
    generator = RNG(seed)
    rows = generator.normal(generator.uniform(0, 1.5, (4, 1)), 0.6, (4, 9)) / 9
    found = corrected_p(rows, draws=1000, seed=0)
    assert {pair: bool(found[pair] < LEVEL) for pair in combinations(range(4), 2)} == _stepwise(rows)
    assert (found == found.T).all()
    assert (np.diag(found) == 1).all()


def test_a_correction_only_raises_p() -> None:
    rows = RNG(7).normal(np.linspace(0, 0.8, 6)[:, None], 1.0, (6, 11)) / 11
    found = corrected_p(rows, draws=2000, seed=0)
    for i, j in combinations(range(6), 2):
        assert found[i, j] >= pair_p(rows[i] - rows[j], draws=2000, seed=0) - 1e-12


def test_equal_entries_differ_significantly_in_a_twentieth_of_the_tables() -> None:
    generator = RNG(8)
    singly = several = 0
    for trial in range(400):
        albums = generator.exponential(1.0, (1, 40))
        rows = (albums + generator.normal(0, 0.5, (5, 40)) * albums) / 40
        singly += pair_p(rows[0] - rows[1], draws=199, seed=trial) < LEVEL
        several += bool((corrected_p(rows, draws=199, seed=trial) < LEVEL).any())
    # Binomial of 400 with p = 0.05: 20, standard deviation 4.4. The second counts a single false pair among ten.
    assert 7 <= singly <= 35
    assert 7 <= several <= 35


def test_equal_entries_beside_a_better_one_do_not_differ_more_often() -> None:
    generator = RNG(9)
    false = found = 0
    for trial in range(200):
        rows = generator.normal(0.2, 0.02, (4, 40)) / 40
        rows[0] -= 0.03 / 40
        apart = corrected_p(rows, draws=199, seed=trial) < LEVEL
        found += bool(apart[0, 1:].all())
        false += bool(apart[1:, 1:].any())
    assert found == 200
    # Binomial of 200 with p = 0.05: 10, standard deviation 3.1.
    assert false <= 22


def test_many_entries_can_still_differ_significantly() -> None:
    # With 4,950 pairs, Holm's correction would require p < 1e-5 first, which 999 random flips cannot give.
    rows = RNG(10).normal(0.2, 0.01, (100, 80)) / 80
    rows[:50] -= 0.05 / 80
    apart = corrected_p(rows, draws=999, seed=0) < LEVEL
    assert apart[:50, 50:].all()
    assert not apart[:50, :50].any()


def test_the_seed_determines_the_result() -> None:
    rows = RNG(11).normal(np.linspace(0, 0.5, 3)[:, None], 1.0, (3, 40))
    first = corrected_p(rows, draws=99, seed=1)
    assert (corrected_p(rows, draws=99, seed=1) == first).all()
    assert (corrected_p(rows, draws=99, seed=2) != first).any()


def test_flips_are_signs_and_the_first_changes_nothing() -> None:
    signs, every = sign_flips(4, draws=100, seed=0)
    assert every
    assert signs[0].tolist() == [1, 1, 1, 1]
    # With their negatives, these are all sixteen.
    assert len({tuple(row) for row in np.vstack([signs, -signs])}) == 16
    signs, every = sign_flips(30, draws=100, seed=0)
    assert not every
    assert signs.shape == (100, 30)
    assert set(np.unique(signs)) == {-1.0, 1.0}


def test_a_family_of_pairs_is_corrected_separately() -> None:
    rows = RNG(12).normal(np.linspace(0, 0.5, 5)[:, None], 1.0, (5, 40)) / 40
    family = np.zeros((5, 5), bool)
    family[0, 1:] = family[1:, 0] = True
    found = corrected_p(rows, draws=999, seed=0, family=family)
    among_all = corrected_p(rows, draws=999, seed=0)
    assert (found[~family] == 1).all()
    assert (found[family] <= among_all[family]).all()
    assert (found[family] < among_all[family]).any()
    # A family of one pair is the test of that pair.
    one = np.zeros((5, 5), bool)
    one[0, 4] = one[4, 0] = True
    alone = corrected_p(rows, draws=999, seed=0, family=one)[0, 4]
    assert alone == pytest.approx(pair_p(rows[4] - rows[0], draws=999, seed=0), abs=1e-12)
