"""Features, sources, regressors, metrics and beat trackers: what each must provide, and their registries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from .registry import Registry

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]


# What the metadata of a feature state of its origin, for the leaderboard.
METADATA = {
    "licence": "licence of code and weights",
    "parameters": "number of parameters; 0 without any",
    "training_data": "what the feature was trained on; none without any training",
    "labels_used": "labels that the training used; none without any",
    "collections": "names of the music collections in the training data, such as msd, fma, magnatagatune or jamendo",
    "outside_data": "whether the training data are others than the training part of a fold; derived if not given",
    "group": "hand-crafted, learned here or pretrained elsewhere; derived if not given",
}


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
    parallel : bool
        Whether batches are computed in worker processes, or on the cluster of the run. The object must be picklable
        before ``prepare``, which is then called in each process, and declare a ``revision``.
    family : str
        Name under which values are cached, where several features take columns of the same values.
    part : slice
        Columns that the feature takes.
    metadata : mapping
        What the leaderboard shows of the feature's origin, see :data:`METADATA`.
    training_ids : collection of str or None
        Ids of the recordings that the feature was trained on elsewhere, where they are published: track ids of the
        Million Song Dataset, or ids of clips or songs of a corpus.
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
    parallel: bool = False
    family: str = ""
    part: slice = slice(None)
    metadata: Mapping[str, Any] = MappingProxyType({})
    training_ids: Collection[str] | None = None
    trainable: bool = False

    def fetch(self) -> None:
        """Download what ``prepare`` reads; called once, before worker processes start."""

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
    collections : tuple of str
        Music collections that its recordings come from, such as ``fma``, by which training data of pretrained models
        are compared with the corpus.
    downloads : callable, optional
        ``downloads(options)`` returns a :class:`emobench.builders.downloads.Download` of the files that are fetched
        before ``load`` is called, or None if there is nothing to fetch.
    provenance : Provenance, optional
        Origin of the corpus and its annotations, an :class:`emobench.cards.dataset.Provenance`; without it, that of the
        corpus that ``load`` returns.
    """

    name: str
    title: str
    options: type
    load: Callable[..., Any]
    examples: tuple[str, ...] = ()
    dataset_name: Callable[[Any], str] | None = None
    labelled: bool = True
    downloads: Callable[[Any], Any] | None = None
    provenance: Any = None
    collections: tuple[str, ...] = ()


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

    Verification computes the predictions of a result again (``docs/verification.md``). A regressor with the attribute
    ``closed_form`` and True is fitted again for this. Otherwise the fitted regressor may have a method ``arrays()``,
    which returns its parameters as a mapping of str to ndarray, and the regressor the method
    ``restore(arrays, features)``, which returns a fitted regressor from these and the features of the training part.
    Without them, results are verified only if a second fit gives the same predictions.
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
