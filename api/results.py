"""Results: comparison, verification, leaderboards and publication."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..benchmark.report import leaderboard as _leaderboard
from ..benchmark.report.compare import Comparison
from ..benchmark.report.compare import compare as compared
from ..benchmark.report.leaderboard import Leaderboard
from ..benchmark.results.checks import LEVELS, Level, Report
from ..benchmark.results.collection import Collection, verify_all
from ..benchmark.results.model import Result
from ..benchmark.results.store import ResultStore
from ..benchmark.results.verify import verify as verified
from ..benchmark.results.verify_data import Datasets
from ..errors import InputError
from ..runtime.executor import executor, processors
from ..runtime.files import data_folder

if TYPE_CHECKING:
    from ..benchmark.publishing.publication import Publication

Location = str | Path


def compare(first: Result | Location, second: Result | Location, *, results: Location = "results") -> Comparison:
    """Compare two results on the same folds: difference of each score, interval, p value, and what differs in them.

    Parameters
    ----------
    first, second : Result, str or Path
        Results; their files; or their names or signatures, or what these begin with.
    results : str or Path
        Folder in which names are looked up.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If a name matches no result, or several.
    """
    store = ResultStore(Path(results))
    pair = [each if isinstance(each, Result) else store.find(str(each)) for each in (first, second)]
    return compared(pair[0], pair[1], store)


def leaderboard(results: Location = "results", *, outside_data: bool = True) -> Leaderboard:
    """Rank the results in a folder.

    Parameters
    ----------
    results : str or Path
        Folder of results.
    outside_data : bool
        Whether entries are included whose features were trained on outside data, or do not state that they were not.

    Returns
    -------
    Leaderboard
        With the methods ``table`` (DataFrame), ``to_html``, and ``save`` for other formats.

    Raises
    ------
    InputError
        If there is no result.
    """
    return _leaderboard.load(Path(results), outside_data=outside_data)


def verify(
    result: Result | Location,
    *,
    level: Level = "regression",
    retrain: bool = False,
    datasets: Sequence[Location] = (),
    models: Location = "models",
    audio: Location | None = None,
) -> Report | Collection:
    """Verify a result by computing it again.

    Parameters
    ----------
    result : Result, str or Path
        Result; its JSON file; its name, if it is in the folder ``results``; or a folder, all results of which are
        checked.
    level : {"scores", "regression", "features"}
        Level to verify to. ``scores``: the stored predictions are scored again; data, folds, hashes and signature are
        checked. ``regression``: the predictions are also computed again from the stored features, and must be equal
        to 1e-6. ``features``: the features are also computed again from audio and weights, within a tolerance.
    retrain : bool
        Whether regressors without a closed form are fitted again, and the difference is reported.
    datasets : sequence of str or Path
        Datasets that results were made on. By default, the dataset of a result is looked up by its name in the folder
        of datasets.
    models : str or Path
        Folder of models.
    audio : str or Path, optional
        Folder of the clips' audio for the level features, if it is not where the dataset was built.

    Returns
    -------
    Report or Collection
        A Collection of Reports for a folder, or for an entry of several seeds. A report has the ``level`` that was
        reached, what was ``unchecked``, and is ``ok`` if the level that was asked for was reached.

    Raises
    ------
    InputError
        If there is no such level or result, or no dataset in one of the folders given.
    """
    if level not in LEVELS:
        raise InputError(f"`level` {level}: expected {', '.join(LEVELS)}.")
    if not isinstance(result, Result):
        path = Path(result)
        if not path.exists() and path.suffix != ".json":
            result = ResultStore(Path("results")).find(str(result))
    members = result.members if isinstance(result, Result) else ()
    path = members[0].path if members else Path(str(result))
    known = Datasets([Path(each) for each in datasets], data_folder(), only=not path.is_dir())
    options: dict[str, Any] = {"level": level, "retrain": retrain, "audio": None if audio is None else Path(audio)}

    def check(**more: Any) -> Report | Collection:
        if len(members) > 1:
            reports = [verified(each.path, known, Path(models), **options, **more) for each in members]
            return Collection(path.parent, reports, [])
        return (verify_all if path.is_dir() else verified)(path, known, Path(models), **options, **more)

    if level != "features":
        return check()
    with executor(processors()) as pool:
        return check(pool=pool)


def publish(
    kind: Literal["dataset", "leaderboard", "model"],
    folder: Location,
    repo: str,
    *,
    dry_run: bool = False,
    private: bool = True,
    create_pr: bool = False,
    tag: bool | None = None,
    with_audio: bool = False,
    space: str | None = None,
    models: Location = "models",
    compact: bool = False,
    without_features: bool = False,
    results: Location = "results",
    evaluation: Location | None = None,
) -> Publication:
    """Release a dataset, a leaderboard or a model to the Hub.

    Parameters
    ----------
    kind : {"dataset", "leaderboard", "model"}
        What to release.
    folder : str or Path
        Folder of the dataset, of the results, or of the model.
    repo : str
        Repository on the Hub, ``user/name``.
    dry_run : bool
        Whether to list what would be sent without sending it; no token is needed.
    private : bool
        Whether to create the repository as private, and to send nothing to one that is public.
    create_pr : bool
        Whether to propose the files to an existing repository.
    tag : bool, optional
        Whether to tag the commit: a dataset with its version (by default), a leaderboard or model with a hash.
    with_audio : bool
        Datasets: whether to send the clips' audio too, where its licence allows.
    space : str, optional
        Leaderboards: Space of the page; by default ``<repo>-space``. An empty text stands for none.
    models : str or Path
        Leaderboards: folder of models, with which new entries are verified.
    compact, without_features : bool
        Leaderboards: whether the features that the regressors received are rounded to float16, or not sent. Others
        can then verify the entries only to the level scores. The sizes are logged before anything is sent.
    results, evaluation : str or Path, optional
        Models: folder of results, and the result for the card's metadata.

    Returns
    -------
    Publication
        What was sent, or would be.

    Raises
    ------
    InputError
        If something cannot be released as it is.
    EmobenchError
        If the Hub cannot be reached.
    """
    from ..benchmark.publishing import publication

    if kind == "dataset":
        return publication.publish_dataset(
            Path(folder), repo, with_audio=with_audio, private=private, create_pr=create_pr, tag=tag, dry_run=dry_run
        )
    known = Datasets([], data_folder(), only=False)
    shared = {"private": private, "create_pr": create_pr, "tag": bool(tag), "dry_run": dry_run}
    if kind == "leaderboard":
        if compact and without_features:
            raise InputError("`compact` and `without_features`: expected at most one of them.")
        features = "none" if without_features else "float16" if compact else "float32"
        return publication.publish_leaderboard(
            Path(folder), repo, space=space, datasets=known, models=Path(models), features=features, **shared
        )
    if kind != "model":
        raise InputError(f"`kind` {kind}: expected dataset, leaderboard or model.")
    chosen = None if evaluation is None else Path(evaluation)
    return publication.publish_model(
        Path(folder), repo, results=Path(results), datasets=known, evaluation=chosen, **shared
    )
