"""Build datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    AsJson,
    ClipUrl,
    Country,
    Development,
    MinBitRate,
    MinDuration,
    MinSampleRate,
    PerDay,
    Scheduler,
    Seed,
    SilenceDb,
    Split,
    Workers,
    executor_of,
)
from .output import data_folder, tell_built, tell_found


def build_data(
    source: Annotated[str, typer.Argument(help="synthetic, moodswings, msd, fma, deam or table.")] = "synthetic",
    labels: Annotated[Path | None, typer.Option(help="moodswings: msLiteTurk.mat; table: labels.csv.")] = None,
    clips: Annotated[Path | None, typer.Option(help="table: clips.csv; msd, fma: folder of the clips.")] = None,
    audio: Annotated[Path | None, typer.Option(help="Folder of the clips' audio.")] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="msd: file or folder of the Million Song Dataset; fma: folder of tracks.csv.")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help="deam: folder of annotations and metadata.")] = None,
    split: Split = None,
    development: Development = None,
    audio_kind: Annotated[
        str, typer.Option(help="moodswings: whether the audio is clips, songs, or auto (told by length).")
    ] = "auto",
    scale: Annotated[str, typer.Option(help="table: the ratings' range, LOW,HIGH.")] = "-0.5,0.5",
    out: Annotated[Path | None, typer.Option(help="Where the dataset goes. Default: data/<name>.")] = None,
    dataset_version: Annotated[str, typer.Option("--version", help="Version of the dataset, X.Y.Z.")] = "1.0.0",
    size: Annotated[int, typer.Option(min=3, help="synthetic: labelled clips.")] = 240,
    pretrain_size: Annotated[int, typer.Option(min=1, help="synthetic: clips for pre-training.")] = 200,
    sample: Annotated[
        int | None, typer.Option(help="msd, fma: clips to draw among those that pass; 0: all. [msd: 50000; fma: 0]")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="msd: fetch the clips from 7digital; to --clips, or data/<name>-clips.")
    ] = False,
    clip_url: ClipUrl = "https://previews.7digital.com/clip",
    country: Country = "US",
    per_day: PerDay = 4000,
    min_bit_rate: MinBitRate = 128_000,
    min_sample_rate: MinSampleRate = 22_050,
    min_duration: MinDuration = 30.0,
    silence_db: SilenceDb = -60.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what was found and would be built.")] = False,
    seed: Seed = 0,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Build a dataset from a source.

    For example:

      emobench build-data

      emobench build-data moodswings --labels msLiteTurk.mat --audio songs/

      emobench build-data msd --metadata track_metadata.db --clips previews/ --sample 50000

      SEVENDIGITAL_KEY=… SEVENDIGITAL_SECRET=… emobench build-data msd --metadata track_metadata.db --download

      emobench build-data fma --metadata fma_metadata/ --clips fma_small/

      emobench build-data deam --annotations DEAM/ --audio MEMD_audio/ --dry-run

      emobench build-data deam --annotations DEAM/ --audio MEMD_audio/ --split mediaeval2015 --development ids.txt

      emobench build-data table --clips clips.csv --labels labels.csv --audio music/ --scale 1,9
    """
    from ..builders import sources
    from ..builders.deam_split import SplitConfig
    from ..builders.quality import QualityConfig
    from ..builders.sevendigital import DownloadConfig

    options = sources.Options(
        labels=labels,
        clips=clips,
        audio=audio,
        metadata=metadata,
        annotations=annotations,
        split=SplitConfig(split or "", development) if split or development else None,
        audio_kind=audio_kind,
        scale=scale,
        size=size,
        pretrain_size=pretrain_size,
        sample=sample,
        download=DownloadConfig(base_url=clip_url, country=country, per_day=per_day) if download else None,
        quality=QualityConfig(
            min_bit_rate=min_bit_rate,
            min_sample_rate=min_sample_rate,
            min_duration=min_duration,
            silence_db=silence_db,
        ),
    )
    place = out or data_folder() / sources.dataset_name(source, options)
    if dry_run:
        tell_found(sources.survey(source, options, place, seed=seed), as_json)
        return
    with executor_of(workers, scheduler) as pool:
        built = sources.build(source, options, place, version=dataset_version, seed=seed, pool=pool)
    tell_built(built, as_json)
