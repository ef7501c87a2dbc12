"""Build datasets from a source."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..protocols import Source, sources
from ..runtime.shards import Tally
from . import labelled_dataset as labelled
from . import pretraining
from .corpus import LabelledCorpus, PretrainCorpus
from .downloads import Download
from .folds import FoldConfig
from .given_beats import given_beats
from .groups import keep_together
from .manifest import Manifest, load_manifest
from .options import make_options


@dataclass(frozen=True)
class Built:
    """A dataset that was built or already existed.

    Attributes
    ----------
    folder : Path
        Folder of the dataset.
    fresh : bool
        Whether it was built by this call.
    manifest : Manifest
        Its manifest.
    tally : Tally or None
        Time and number of clips of the extraction, if a pre-training dataset was built.
    """

    folder: Path
    fresh: bool
    manifest: Manifest
    tally: Tally | None = None

    def __repr__(self) -> str:
        return f"<Built {self.manifest.name} {self.manifest.version} ({self.manifest.kind}) in {self.folder}>"


@dataclass(frozen=True)
class Found:
    """Content of a source, and the dataset that would be built from it.

    Attributes
    ----------
    folder : Path
        Folder of the dataset.
    kind : {"labelled", "pre-training"}
        Kind of the dataset.
    source : dict
        Description of the source for the manifest.
    counts : dict
        Numbers of clips, artists, annotations and so on.
    remarks : tuple of str
        Sentences about what was corrected in the source or could not be checked.
    """

    folder: Path
    kind: str
    source: dict[str, Any]
    counts: dict[str, int]
    remarks: tuple[str, ...] = ()


def default_folder(source: str, data: Path, **options: Any) -> Path:
    """Return the default folder of a source's dataset in ``data``.

    Raises
    ------
    InputError
        If there is no such source or an option is invalid.
    """
    found = sources[source]
    return data / _dataset_name(found, make_options(found, options))


def build_dataset(
    source: str,
    *,
    out: str | Path,
    pool: Executor,
    version: str = "1.0.0",
    seed: int = 0,
    references: labelled.References | None = None,
    **options: Any,
) -> list[Built]:
    """Build the datasets of a source.

    Parameters
    ----------
    source : str
        Name of the source.
    out : str or Path
        Folder of the dataset; its name becomes the name of the dataset.
    pool : Executor
        Executor of :func:`emobench.runtime.executor.executor`.
    version : str
        Version of the dataset, such as ``"1.0.0"``.
    seed : int
        Seed of everything random.
    references : callable, optional
        As for :func:`.labelled_dataset.build`.
    **options
        Options of the source, and ``group`` and ``beats`` for labelled datasets. Paths may be strings.

    Returns
    -------
    list of Built
        The datasets: one, or a labelled and a pre-training dataset.

    Raises
    ------
    InputError
        If the source or an option is unknown, a required option is missing, or the input is invalid.
    """
    return [
        _build(corpus, folder, version=version, seed=seed, pool=pool, references=references)
        for corpus, folder in _load(source, options, Path(out), seed)
    ]


def _build(
    corpus: LabelledCorpus | PretrainCorpus,
    folder: Path,
    *,
    version: str,
    seed: int,
    pool: Executor,
    references: labelled.References | None,
) -> Built:
    if isinstance(corpus, LabelledCorpus):
        # A published split has one repeat.
        folds = FoldConfig(seed=seed) if corpus.parts is None else FoldConfig(seed=seed, repeats=1)
        config = labelled.LabelledConfig(folds=folds)
        fresh = labelled.build(
            corpus, folder, name=folder.name, version=version, config=config, pool=pool, references=references
        )
        return Built(folder, fresh, load_manifest(folder))
    config = pretraining.PretrainConfig(quality=corpus.quality, sample=corpus.sample, seed=seed)
    tally = pretraining.build(corpus, folder, name=folder.name, version=version, config=config, pool=pool)
    return Built(folder, tally is not None, load_manifest(folder), tally)


def survey(source: str, *, out: str | Path, seed: int = 0, **options: Any) -> list[Found]:
    """Read and check a source as :func:`build_dataset` does, without building a dataset or downloading files.

    Parameters
    ----------
    source, out, seed, **options
        As for :func:`build_dataset`.

    Raises
    ------
    InputError
        As in :func:`build_dataset`.
    """
    described = sources[source]
    download = _download(described, make_options(described, options))
    if download and (missing := download.missing()):
        kind = "labelled" if described.labelled else "pre-training"
        counts = {"archives to download or unpack": len(missing)}
        return [Found(Path(out), kind, {"type": source}, counts, tuple(download.plans()))]
    return [_found(corpus, folder) for corpus, folder in _load(source, options, Path(out), seed)]


def _found(corpus: LabelledCorpus | PretrainCorpus, folder: Path) -> Found:
    counts = {"clips": len(corpus.clips), "artists": corpus.clips["artist"].n_unique()}
    if corpus.audio_folder is not None:
        counts["clips with audio"] = corpus.clips["audio"].count()
    if isinstance(corpus, PretrainCorpus):
        counts |= corpus.found
        if corpus.sample:
            counts["clips to draw at most"] = corpus.sample
        return Found(folder, "pre-training", corpus.source, counts)
    counts["annotations"] = len(corpus.annotations)
    counts["annotators"] = corpus.annotations["annotator_id"].n_unique()
    if corpus.problems:
        counts["clips to exclude"] = len(corpus.problems)
    return Found(folder, "labelled", corpus.source, counts, corpus.remarks)


def _load(
    name: str, options: dict[str, Any], out: Path, seed: int
) -> Iterator[tuple[LabelledCorpus | PretrainCorpus, Path]]:
    """Read the corpora of a source; yields each with the folder of its dataset."""
    source = sources[name]
    made = make_options(source, options)
    if download := _download(source, made):
        download.fetch()
    loaded = source.load(made, out=out, seed=seed)
    corpora = [loaded] if isinstance(loaded, (LabelledCorpus, PretrainCorpus)) else loaded
    for number, corpus in enumerate(corpora):
        place = out.with_name(f"{out.name}-pretrain") if number else out
        described = _described(corpus, source)
        yield _completed(described, options) if isinstance(described, LabelledCorpus) else described, place


def _described(corpus: LabelledCorpus | PretrainCorpus, source: Source) -> LabelledCorpus | PretrainCorpus:
    """Add what the source states about the origin of the corpus."""
    if source.provenance is None:
        return corpus
    return replace(corpus, about=replace(corpus.about, provenance=source.provenance))


def _completed(corpus: LabelledCorpus, options: dict[str, Any]) -> LabelledCorpus:
    """Apply the options of all labelled sources."""
    groups, given = options.get("group"), options.get("beats")
    if groups:
        corpus = keep_together(corpus, Path(groups))
    if not given:
        return corpus
    if corpus.audio_folder is None and corpus.render is None:
        raise InputError("`beats`: the dataset has no audio, so no features are computed between beats; leave it out.")
    attach, identity = given_beats(given, corpus.clips["clip_id"])
    return replace(corpus, beats=attach, source=corpus.source | identity)


def _download(source: Source, options: Any) -> Download | None:
    return source.downloads(options) if source.downloads else None


def _dataset_name(source: Source, options: Any) -> str:
    return source.dataset_name(options) if source.dataset_name else source.name
