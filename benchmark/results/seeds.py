"""Results that differ in the seed of their networks alone, as one entry: the mean over the seeds, and their spread.

The files stay one per seed. An album's share of the entry's score is the mean over the seeds, so intervals, ranks and
tests are those of the mean over the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from pydantic import JsonValue, PrivateAttr

from ...dbn.config import CONTRASTIVE
from ...dbn.domains import NAMES as DOMAINS
from ...runtime.files import digest
from ..features.spec import parts_of
from ..scoring.significance import album_intervals
from .model import Cost, MetricScore, Result
from .predictions import PredictionsError, TestPredictions

# Draws of the bootstrap over albums, as for the scores of a single result.
DRAWS = 1000

Seeds = tuple[int, ...]
Reader = Callable[[Result], TestPredictions]

# What another seed changes in the settings of a network, and in the weights that they give.
_SEEDED = frozenset({"seed", "model_sha256", "weights_sha256"})


class SeedScore(MetricScore):
    """Score of several seeds.

    Attributes
    ----------
    mean, per_repeat : float or None, tuple of float or None
        Means over the seeds.
    std : float or None
        Sample standard deviation of ``per_repeat``.
    spread : (float, float) or None
        Lowest and highest mean of a seed.
    """

    spread: tuple[float, float] | None


class SeedGroup(Result):
    """Results of several seeds as one entry; its file is that of the first seed."""

    _members: tuple[Result, ...] = PrivateAttr(())

    @classmethod
    def of(cls, members: Sequence[Result], read: Reader | None = None) -> SeedGroup:
        """Make the entry of some results, given in the order of their seeds; ``read`` as for :func:`entries_of`."""
        first = members[0]
        fields = {field.alias or name: getattr(first, name) for name, field in Result.model_fields.items()}
        costs = [member.cost for member in members]
        processors = {cost.processor for cost in costs}
        made = cls.model_construct(
            **fields
            | {
                "signature": digest([member.signature for member in members])[:12],
                "scores": _scores(members, read),
                "cost": Cost(
                    seconds_per_clip=_mean([cost.seconds_per_clip for cost in costs]),
                    train_seconds=_mean([cost.train_seconds for cost in costs]),
                    processor=first.cost.processor if len(processors) == 1 else None,
                ),
                "created": max((member.created for member in members), key=datetime.fromisoformat),
            }
        )
        made._members = tuple(members)
        return made.at(first.path, first.text)

    @property
    def members(self) -> tuple[Result, ...]:
        """Results of the seeds, in the order of these."""
        return self._members

    @property
    def seeds(self) -> Seeds:
        """Seeds of the members."""
        return tuple(seed for member in self._members for seed in (seeds_of(member) or ())[:1])

    @property
    def changed(self) -> list[str]:
        """One line for each field of a member that was changed after it was written."""
        return [f"{member.path.name}: {line}" for member in self._members for line in member.changed]

    @property
    def predictions(self) -> pl.DataFrame:
        """Predictions of all test seconds of every seed, with the column ``seed`` in front."""
        return pl.concat(
            member.predictions.select(pl.lit(seed).alias("seed"), pl.all())
            for seed, member in zip(self.seeds, self._members, strict=True)
        )

    def record(self) -> dict[str, JsonValue]:
        """Return the entry as plain data: its name, seeds, the signatures of its results, and scores."""
        return {
            "name": self.name,
            "seeds": list(self.seeds),
            "signature": self.signature,
            "signatures": [member.signature for member in self._members],
            "scores": {name: score.model_dump(mode="json") for name, score in self.scores.items()},
        }

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {len(self._members)} seeds)"

    __str__ = __repr__


def entries_of(results: Iterable[Result], read: Reader | None = None) -> list[Result]:
    """Replace results that differ in their seed alone by one entry, in the place of the first of them.

    Of several results with the same seed, such as those of models that were trained on two machines, the latest is in
    the group; the others are entries of their own.

    Parameters
    ----------
    results : iterable of Result
        Results.
    read : callable, optional
        Reads the predictions of a result. Without it, or if it raises PredictionsError, the scores of several seeds
        have no intervals, which take as long as scoring the seeds.

    Returns
    -------
    list of Result
        Results, and a :class:`SeedGroup` for each group of at least two.
    """
    found = list(results)
    groups: dict[str, dict[Seeds, Result]] = {}
    for result in found:
        if (identity := _identity(result)) is not None:
            own = groups.setdefault(identity[0], {})
            other = own.get(identity[1])
            if other is None or datetime.fromisoformat(other.created) < datetime.fromisoformat(result.created):
                own[identity[1]] = result
    made: dict[str, Result | None] = {}
    for own in groups.values():
        members = [result for _, result in sorted(own.items())]
        if len(members) > 1:
            chosen = [result.signature for result in found if result in members]
            made |= dict.fromkeys(chosen[1:]) | {chosen[0]: SeedGroup.of(members, read)}
    return [entry for result in found if (entry := made.get(result.signature, result)) is not None]


def _identity(result: Result) -> tuple[str, Seeds] | None:
    """Return what results of other seeds share with a result, and its seeds; None without networks."""
    config, networks = result.config, result.config.networks
    seeds = seeds_of(result)
    if seeds is None or not isinstance(networks, dict):
        return None
    names = ("analysis", "own_statistics", *_sections(result))
    shared = [
        *(result.board, result.context, result.features, result.layer, result.phase, result.regressor),
        *(config.residual_covariance, config.carry_over, config.leakage, config.bootstrap_seed, config.pretrained_on),
        _seedless([[networks.get(name) for name in names], _elsewhere(result)]),
        [_seedless(part) if isinstance(part, dict) and "model_sha256" in part else part for part in config.parts],
    ]
    return digest(shared), seeds


def seeds_of(result: Result) -> Seeds | None:
    """Return the seeds of the networks of a result, and of their fine-tuning; None without networks."""
    networks: Any = result.config.networks
    parts: tuple[Any, ...] = result.config.parts
    try:
        trained = [each["training"] for each in _elsewhere(result)] or [networks[name] for name in _sections(result)]
        tuned = [part["finetuning"] for part in parts if isinstance(part, dict) and "finetuning" in part]
        seeds = tuple(int(each["seed"]) for each in (*trained, *tuned))
    except (KeyError, TypeError, ValueError):
        # Settings that are not those of networks.
        return None
    return (seeds[:1] if len(set(seeds)) == 1 else seeds) or None


def _sections(result: Result) -> list[str]:
    """Name the sections of the settings of networks that pre-train the networks of a result."""
    parts = parts_of(result.features)
    encoders, deep = CONTRASTIVE in parts, any(part in DOMAINS for part in parts)
    return [*(["contrastive"] if encoders else []), *(["pretraining"] if deep else [])]


def _elsewhere(result: Result) -> list[Any]:
    """Return the configurations of models that were trained elsewhere."""
    records = (each for each in result.config.training if isinstance(each, dict))
    return [each["trained_elsewhere"] for each in records if "trained_elsewhere" in each]


def _seedless(value: Any) -> Any:
    """Leave out what depends on the seed."""
    if isinstance(value, dict):
        return {name: _seedless(part) for name, part in value.items() if name not in _SEEDED}
    return [_seedless(part) for part in value] if isinstance(value, list) else value


def _scores(members: Sequence[Result], read: Reader | None) -> dict[str, MetricScore]:
    intervals = {}
    if read is not None:
        with suppress(PredictionsError):
            repeats = stacked([read(member) for member in members]).by_repeat()
            intervals = album_intervals(repeats, draws=DRAWS, seed=members[0].config.bootstrap_seed)
    names = [name for name in members[0].scores if all(name in member.scores for member in members)]
    return {name: joined_score([member.scores[name] for member in members], intervals.get(name)) for name in names}


def joined_score(scores: Sequence[MetricScore], interval: tuple[float, float] | None = None) -> MetricScore:
    """Return the score of several seeds, with an interval of it; the score itself of a single one."""
    if len(scores) == 1:
        return scores[0]
    means = [score.mean for score in scores if score.mean is not None]
    # Seeds are tested on the same folds.
    per_repeat = tuple(_mean(values) for values in zip(*(score.per_repeat for score in scores), strict=False))
    defined = [value for value in per_repeat if value is not None]
    return SeedScore(
        mean=_mean([score.mean for score in scores]),
        std=float(np.std(defined, ddof=1)) if len(defined) > 1 else None,
        per_repeat=per_repeat,
        ci95=interval,
        spread=(min(means), max(means)) if len(means) == len(scores) else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if a value is missing, because a mean over fewer seeds is another one."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def stacked(parts: Sequence[TestPredictions]) -> TestPredictions:
    """Return the predictions of several seeds as those of one entry: each seed's repeats follow those of the last.

    Raises
    ------
    PredictionsError
        If they were not tested on the same seconds.
    """
    first = parts[0]
    if any(part.layout != first.layout for part in parts):
        raise PredictionsError("its seeds were tested on different clips, seconds or albums")
    repeats = 1 + int(first.repeats.max())
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("clips", "albums", "times", "true", "predicted")
    }
    places = np.concatenate([part.repeats + repeats * number for number, part in enumerate(parts)])
    return replace(first, repeats=places, seeds=len(parts), **joined)
