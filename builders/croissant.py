"""``croissant.json``: the description of a dataset for machines, in Croissant 1.1 with its RAI vocabulary.

It is made from the manifest, the source's :class:`~emobench.cards.dataset.About` and the schemas of the Parquet files,
so the same dataset has the same bytes. The specifications are at https://docs.mlcommons.org/croissant/.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ..cards.dataset import About
from .manifest import Manifest

CROISSANT = "croissant.json"

_CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_LANGUAGES = {"@container": "@language"}
_TERMS = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileObject fileProperty fileSet format "
    "includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace "
    "samplingRate separator source subField transform"
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": _LANGUAGES,
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": _LANGUAGES,
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
} | {term: f"cr:{term}" for term in _TERMS.split()}

_FORMATS = {
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".md": "text/markdown",
    ".png": "image/png",
}
_TYPES = {
    pl.String: "sc:Text",
    pl.Boolean: "sc:Boolean",
    pl.Int32: "cr:Int32",
    pl.Int64: "cr:Int64",
    pl.Float32: "cr:Float32",
    pl.Float64: "cr:Float64",
}

_TABLES = {
    "clips": "The clips, with those that are excluded or rejected and the reason.",
    "annotations": "The ratings of every annotator.",
    "targets": "Mean, variances and covariance of the ratings, one row per second, or per clip where clips were rated "
    "as a whole.",
    "beats": "The beats, with the means of the targets interpolated linearly.",
    "folds": "The part of every clip in every repeat of the folds.",
    "rhythm": "Features of the domain rhythm, one row per beat.",
    "pitch": "Features of the domain pitch, one row per beat.",
    "texture": "Features of the domain texture, one row per beat.",
    "licences": "The licence of every track.",
}
_COLUMNS = {
    "clip_id": "Identifier of the clip.",
    "track_id": "Identifier of the track.",
    "start": "Start of the clip in the song, in seconds.",
    "duration": "Duration in seconds.",
    "audio": "Path of the audio relative to the audio folder.",
    "n_annotators": "Number of traces.",
    "n_beats": "Number of beats.",
    "excluded": "Reason for the exclusion, or null.",
    "kept": "Whether the clip passes the quality filter.",
    "rejected": "Reason for the rejection, or null.",
    "bit_rate": "Bit rate in bits per second.",
    "sample_rate": "Sample rate in hertz.",
    "rms_db": "Level in decibels relative to full scale.",
    "trace": "Number of the trace within its clip.",
    "annotator_id": "Identifier of the annotator within the corpus.",
    "time": "Time in seconds from the start of the clip; that of a target is the end of its second, or of its clip.",
    "n": "Number of ratings, or null where it was not published.",
    "arousal": "Arousal from -0.5 (calm) to 0.5 (excited).",
    "valence": "Valence from -0.5 (negative) to 0.5 (positive).",
    "arousal_var": "Variance of arousal over annotators, or null.",
    "valence_var": "Variance of valence over annotators, or null.",
    "covariance": "Covariance of arousal and valence over annotators, or null.",
    "beat": "Number of the beat.",
    "features": "Values of the features.",
    "repeat": "Number of the repeat.",
    "split": "Part of the folds: train, verification or test.",
    "redistribution": "Whether the licence allows anyone to redistribute copies.",
}


def croissant(folder: Path, manifest: Manifest, about: About) -> dict[str, Any]:
    """Describe a dataset in Croissant.

    Parameters
    ----------
    folder : Path
        Folder of the dataset, whose Parquet files are complete.
    manifest : Manifest
        Its manifest, without ``croissant.json`` itself.
    about : About
        Description of its source.

    Returns
    -------
    dict
        Content of ``croissant.json``. What is not known is absent.
    """
    tables: dict[str, list[str]] = {}
    for name, file in manifest.files.items():
        # As in the card, tables without rows are left out.
        if file.rows:
            tables.setdefault(name.partition("/")[0], []).append(name)
    provenance = about.provenance
    facts = {
        "@context": dict(sorted(_CONTEXT.items())),
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": manifest.name,
        "version": manifest.version,
        "description": f"{about.title}: {about.summary}",
        "license": about.terms if about.license in ("other", "unknown") else about.license,
        "usageInfo": about.terms,
        "url": provenance.url,
        "datePublished": provenance.published,
        "creator": [{"@type": "sc:Person", "name": name} for name in provenance.creators],
        "citeAs": about.citation,
        "keywords": ["music", "music emotion recognition", "arousal", "valence"]
        + (["synthetic"] if manifest.synthetic else []),
        "isLiveDataset": False,
        "distribution": [_file(name, file.sha256) for name, file in manifest.files.items()]
        + [_shards(table) for table, names in tables.items() if len(names) > 1],
        "recordSet": [_record_set(folder, table, names) for table, names in tables.items()],
        **_responsible(manifest, about),
    }
    return _known(facts)


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], ())}


def _file(name: str, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": _FORMATS.get(Path(name).suffix, "application/octet-stream"),
        "sha256": sha256,
    }


def _shards(table: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{table}-files",
        "name": f"{table}-files",
        "encodingFormat": _FORMATS[".parquet"],
        "includes": f"{table}/*.parquet",
    }


def _record_set(folder: Path, table: str, names: list[str]) -> dict[str, Any]:
    source = {"fileObject": {"@id": names[0]}} if len(names) == 1 else {"fileSet": {"@id": f"{table}-files"}}
    schema = pl.read_parquet_schema(folder / names[0])
    key = next((name for name in ("clip_id", "track_id") if table == "clips" and name in schema), None)
    return _known(
        {
            "@type": "cr:RecordSet",
            "@id": table,
            "name": table,
            "description": _TABLES.get(table),
            "key": {"@id": f"{table}/{key}"} if key else None,
            "field": [_field(table, name, kind, source) for name, kind in schema.items()],
        }
    )


def _field(table: str, name: str, kind: pl.DataType, source: dict[str, Any]) -> dict[str, Any]:
    inner = kind.inner if isinstance(kind, pl.List) else kind
    return _known(
        {
            "@type": "cr:Field",
            "@id": f"{table}/{name}",
            "name": name,
            "description": _COLUMNS.get(name),
            "dataType": _TYPES[type(inner)],
            "isArray": True if isinstance(kind, pl.List) else None,
            "arrayShape": "-1" if isinstance(kind, pl.List) else None,
            "source": source | {"extract": {"column": name}},
        }
    )


def _responsible(manifest: Manifest, about: About) -> dict[str, Any]:
    """Return the fields of the RAI vocabulary."""
    provenance, counts = about.provenance, manifest.counts
    labelled = manifest.kind == "labelled"
    left_out = counts.get("excluded", 0) if labelled else counts.get("rejected", {})
    reasons = sorted(set(manifest.excluded.values())) if labelled else sorted(left_out)
    number = left_out if labelled else sum(left_out.values())
    given = manifest.source.keys() & {"beats_sha256", "beats_tracker"}
    facts = {
        "rai:dataCollection": provenance.collection,
        "rai:dataCollectionMissingData": f"{number} of {counts['clips']} clips are left out: {', '.join(reasons)}."
        if number
        else "No clip is left out.",
        "rai:machineAnnotationTools": "Beats were tracked by emobench." if counts.get("beats") and not given else None,
        "rai:dataPreprocessingProtocol": manifest.remarks,
        "rai:dataBiases": list(provenance.biases),
        "rai:dataLimitations": list(provenance.limitations),
        "rai:personalSensitiveInformation": provenance.personal,
        "rai:dataUseCases": "Training of features without labels.",
        "rai:dataReleaseMaintenancePlan": "A published version is never changed; corrections are new versions.",
    }
    if labelled:
        facts |= {
            "rai:dataAnnotationPlatform": provenance.platform,
            "rai:annotatorDemographics": provenance.annotators,
            "rai:dataAnnotationProtocol": provenance.instructions,
            "rai:annotationsPerItem": f"{counts['traces']:,} traces of {counts['clips']:,} clips, "
            f"{counts['traces'] / counts['clips']:.3g} per clip.",
            "rai:dataManipulationProtocol": "Ratings are scaled to [-0.5, 0.5]. Statistics of ratings that the source "
            "does not provide are null; nothing is filled in.",
            "rai:dataUseCases": "Training and evaluation of models that predict how listeners rate the arousal and "
            "valence of music.",
        }
    return facts
