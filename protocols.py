"""Features, sources, regressors, metrics and beat trackers: what each must provide, and the registry that finds them.

A registry collects the entries of one kind. Modules of the packages it names register theirs when they are imported,
which happens when the registry is first asked; other packages add entries through an entry-point group. So a new
feature, source, regressor or metric is one file, and no list elsewhere names it. This module imports nothing heavy.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from .errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a sentence that suggests the known name most like another, or ``""`` if none is alike."""
    found = get_close_matches(name.lower(), [each.lower() for each in known], n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


class Named(Protocol):
    """Object that can be registered, with a name and a one-line title."""

    @property
    def name(self) -> str:
        """Name as typed."""
        ...

    @property
    def title(self) -> str:
        """Name as tables print it."""
        ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Entries of one kind by name.

    Parameters
    ----------
    kind : str
        Name of the kind in messages, such as ``"feature"``.
    packages : sequence of str
        Packages whose modules register entries when they are imported.
    group : str, optional
        Entry-point group in which other packages name entries.
    expected : str
        What an entry point of the group should name, for messages.
    accepts : callable
        Whether an object can be an entry.
    """

    def __init__(
        self,
        kind: str,
        *,
        packages: Sequence[str] = (),
        group: str | None = None,
        expected: str = "an object",
        accepts: Callable[[Any], bool] = lambda entry: True,
    ) -> None:
        self.kind = kind
        self._packages = packages
        self._group = group
        self._expected = expected
        self._accepts = accepts
        self._entries: dict[str, T] = {}
        self._discovered = False

    def register(self, entry: T) -> T:
        """Add an entry and return it, so that this can decorate a class instance's factory.

        Raises
        ------
        InputError
            If another entry has its name.
        """
        if self._entries.setdefault(entry.name, entry) is not entry:
            raise InputError(f"two {self.kind}s are called {entry.name!r}; expected each name once.")
        return entry

    def unregister(self, name: str) -> None:
        """Remove an entry."""
        del self._entries[name]

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        for package in self._packages:
            for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
                importlib.import_module(f"{package}.{module.name}")

    def plugins(self) -> dict[str, EntryPoint]:
        """Entry points of other packages by name; nothing is imported."""
        return {point.name: point for point in _entry_points().select(group=self._group)} if self._group else {}

    def __iter__(self) -> Iterator[T]:
        """Iterate over the registered entries in their order, without plug-ins."""
        self._discover()
        return iter(sorted(self._entries.values(), key=lambda each: (getattr(each, "order", 100), each.name)))

    def names(self) -> list[str]:
        """Names of all entries, those of plug-ins last."""
        own = [entry.name for entry in self]
        return own + sorted(set(self.plugins()) - set(own))

    def title(self, name: str) -> str:
        """Title of an entry; the name itself where it is not registered, or is that of a plug-in."""
        self._discover()
        return self._entries[name].title if name in self._entries else name

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def __getitem__(self, name: str) -> T:
        """Return the entry of a name; one of another package is imported first.

        Raises
        ------
        InputError
            If there is none, or another package does not provide what it declares.
        """
        self._discover()
        if name not in self._entries:
            point = self.plugins().get(name)
            if point is None:
                raise InputError(
                    f"no {self.kind} is called {name!r}; expected one of {', '.join(self.names())}."
                    + did_you_mean(name, self.names())
                )
            self.register(self._load(point))
        return self._entries[name]

    def _load(self, point: EntryPoint) -> T:
        try:
            entry = point.load()
            entry = entry() if isinstance(entry, type) else entry
        except Exception as error:  # another package's import may raise anything
            raise InputError(f"the {self.kind} {point.name} of {point.value} cannot be imported ({error}).") from error
        if not self._accepts(entry) or entry.name != point.name:
            raise InputError(
                f"entry point {point.name} of the group {self._group}: expected {self._expected} called {point.name!r}."
            )
        return entry

    def all(self) -> list[T]:
        """Return every entry, those of other packages included, which are imported."""
        return [self[name] for name in self.names()]


@cache
def _entry_points() -> Any:
    """Entry points of all installed packages, whose metadata takes long to read."""
    return entry_points()


class Feature:
    """A feature computed from the samples of a clip; subclass it, or use any object with the same attributes.

    Attributes
    ----------
    name : str
        Name in ``--features``, tables and results.
    title : str
        Name as tables print it; the name where empty.
    order : int
        Position in tables and lists.
    sample_rate : int
        Sample rate of the samples in hertz.
    revision : str or None
        Version of the code and parameters. Features that declare one are cached under it; others are extracted on
        every run.
    align : {"center", "end"}
        Whether frame times are frame centres, or the ends of the frames' contexts. With ``"end"``, seconds before the
        first frame take the first frame.
    sparse : bool
        Whether seconds without a frame are allowed; the last value then holds.
    device : str
        Device the feature computes on: ``cpu``, or ``cuda`` where the run asks for it and the feature has ``prepare``.
    batch_size : int or None
        Number of clips per call; ``samples`` is then a list of arrays, and a list of results is returned.
    metadata : mapping
        Licence, number of parameters, training data, labels used.
    trainable : bool
        Whether ``fit(clips, targets)`` is called with the training clips of each fold.
    """

    name: str = ""
    title: str = ""
    order: int = 100
    sample_rate: int = 22_050
    revision: str | None = None
    align: str = "center"
    sparse: bool = False
    device: str = "cpu"
    batch_size: int | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})
    trainable: bool = False

    def prepare(self) -> None:
        """Prepare the first call, such as by loading a model; not called if all clips are cached."""

    def __call__(self, samples: Any) -> tuple[Any, Any]:
        """Compute the frames of a clip.

        Parameters
        ----------
        samples : ndarray of float32, shape (n_samples,)
            Mono signal at ``sample_rate``.

        Returns
        -------
        times : ndarray, shape (n,)
            Times of the frames in seconds from the clip's start, increasing.
        values : ndarray, shape (n, d)
            Values of the frames, finite.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Source:
    """A corpus, or another origin of datasets, that ``build_dataset`` can read.

    Attributes
    ----------
    name : str
        Name of the source, and of its subcommand.
    title : str
        What it builds, in one line.
    options : type
        Frozen, keyword-only dataclass whose fields are the source's options, declared with :func:`option`. A field may
        be a dataclass of options that several sources share, declared with :func:`shared`. Its ``__post_init__``
        checks the values.
    load : callable
        ``load(options, *, out, seed)`` returns a corpus or a sequence of corpora. ``out`` is the folder of the dataset,
        ``seed`` the seed of everything random. Heavy packages are imported inside. The first corpus is built in
        ``out``; a pre-training corpus after it is built beside, in ``<out>-pretrain``.
    examples : tuple of str
        Command lines for the help text, without the program's name.
    dataset_name : callable, optional
        Default name of the dataset for an instance of ``options``; the name of the source without it.
    labelled : bool
        Whether a labelled dataset is built, which has folds.
    downloads : callable, optional
        ``downloads(options)`` returns a :class:`emobench.builders.downloads.Download` of the files that are fetched
        before ``load`` is called, or None if there is nothing to fetch.
    """

    name: str
    title: str
    options: type
    load: Callable[..., Any]
    examples: tuple[str, ...] = ()
    dataset_name: Callable[[Any], str] | None = None
    labelled: bool = True
    downloads: Callable[[Any], Any] | None = None


# Default of an option without one.
REQUIRED: Any = MISSING


def option(default: Any, help: str, *, metavar: str | None = None) -> Any:
    """Declare a field of a source's options with its help text; ``REQUIRED`` is the default of one without."""
    return field(default=default, metadata={"help": help, "metavar": metavar})


def shared(kind: type, panel: str) -> Any:
    """Declare a field that holds options shared by several sources; help texts list them under ``panel``."""
    return field(default_factory=kind, metadata={"panel": panel})


class Regressor(Protocol):
    """Fits targets from features on the training part of a fold.

    A regressor may have the attribute ``residual_covariance``, with False if the covariance of its residuals is not to
    be added to the predicted covariances unless a run asks for it.

    If it has the attribute ``sequential`` with True, it predicts the seconds of a clip together. Then ``fit`` has the
    further keyword ``groups``, a pair of arrays with the sequence of each row of the training and the verification
    part, and fitted regressors are called with the features and the sequence of each row. A sequence is a number of
    consecutive seconds of one clip; its rows follow one another in the order of time.
    """

    @property
    def name(self) -> str:
        """Name as typed."""
        ...

    @property
    def title(self) -> str:
        """Name as tables print it."""
        ...

    def fit(
        self,
        features: FloatArray,
        targets: FloatArray,
        verification: tuple[FloatArray, FloatArray],
    ) -> Fitted:
        """Fit the training part; whatever is chosen is chosen on the verification part.

        Parameters
        ----------
        features : ndarray, shape (n, d)
            Features of the training part.
        targets : ndarray, shape (n, k)
            Known targets of the training part.
        verification : tuple of ndarray
            Features and targets of the verification part.
        """
        ...


class Fitted(Protocol):
    """A fitted regressor."""

    @property
    def chosen(self) -> Mapping[str, float]:
        """Settings that were chosen on the verification part, by name."""
        ...

    def __call__(self, features: FloatArray) -> FloatArray:
        """Predict targets, shape (n, k)."""
        ...


@dataclass(frozen=True)
class Metric:
    """A score of predicted Gaussians that is a function of weighted sums over seconds.

    Rows are ``[mu_a, mu_v, var_a, var_v, cov_av]``, with NaN for what is unknown.

    Attributes
    ----------
    name : str
        Name in results.
    title : str
        Name in tables.
    statistics : callable
        ``statistics(true, predicted)`` returns an array of shape (n, m) for rows of shape (n, 5). Metrics that share
        this function share the work.
    score : callable
        ``score(sums)`` returns scores of shape (...) for sums of shape (..., 1 + m): the number of seconds, and the
        weighted sums of the statistics. NaN where the score is undefined.
    per_clip : bool
        Whether the score is computed within each clip and averaged over the clips for which it is defined.
    higher_is_better : bool
        Whether larger values are better.
    column : bool
        Whether tables have a column of it; CSV and JSON always have.
    order : int
        Position in tables and lists.
    """

    name: str
    title: str
    statistics: Callable[[FloatArray, FloatArray], FloatArray]
    score: Callable[[FloatArray], FloatArray]
    per_clip: bool = False
    higher_is_better: bool = False
    column: bool = True
    order: int = 100


features: Registry[Any] = Registry(
    "feature", packages=("emobench.baselines", "emobench.benchmark.features.families"), group="emobench.features"
)
sources: Registry[Source] = Registry(
    "source",
    packages=("emobench.builders.sources",),
    group="emobench.sources",
    expected="a Source",
    accepts=lambda entry: isinstance(entry, Source),
)
regressors: Registry[Regressor] = Registry(
    "regressor",
    packages=("emobench.benchmark.scoring.regressors",),
    group="emobench.regressors",
    expected="a Regressor with the methods of emobench.protocols.Regressor,",
    accepts=lambda entry: hasattr(entry, "name") and callable(getattr(entry, "fit", None)),
)
# Entry points are functions of samples, or classes; see emobench.builders.given_beats.
beat_trackers: Registry[Any] = Registry("beat tracker", group="emobench.beats")
metrics: Registry[Metric] = Registry(
    "metric",
    packages=("emobench.benchmark.scoring.metrics",),
    group="emobench.metrics",
    expected="a Metric",
    accepts=lambda entry: isinstance(entry, Metric),
)
