"""The commands: each parses its arguments, calls one function of a room, and prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import __version__
from ..errors import InputError
from . import compare as cli_compare
from . import publish as cli_publish
from . import results as cli_results
from . import verify as cli_verify
from .options import (
    AllowLeakage,
    AsJson,
    Audio,
    ClipUrl,
    Country,
    Dataset,
    Development,
    Device,
    Features,
    MinBitRate,
    MinDuration,
    MinSampleRate,
    Models,
    Out,
    PerDay,
    PretrainData,
    Quiet,
    Scheduler,
    Seed,
    SilenceDb,
    Split,
    TrackFiles,
    Verbose,
    Workers,
    network_config,
)
from .output import Commands, State, data_folder, print_json, print_tables, remark, say, settle, tell_built, tell_found

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager


app = typer.Typer(
    name="emobench",
    cls=Commands,
    help="A benchmark for music emotion recognition: datasets, learned features, leaderboards.",
    epilog="Begin with:  emobench build-data   then:  emobench run --features rhythm+pitch",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emobench {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


def _pool(workers: int | None, scheduler: str | None) -> AbstractContextManager[Executor]:
    from ..runtime.executor import executor, processors

    return executor(workers or processors(), scheduler)


@app.command("build-data")
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
    quiet: Quiet = False,
    verbose: Verbose = False,
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
    settle(quiet=quiet, verbose=verbose, address_space=3)
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
    with _pool(workers, scheduler) as pool:
        built = sources.build(source, options, place, version=dataset_version, seed=seed, pool=pool)
    tell_built(built, as_json)


@app.command()
def pretrain(
    features: Features = None,
    pretrain_data: Annotated[
        str | None, typer.Option(metavar="DIR", help="Pre-training or labelled dataset, or hf://user/name@v1.0.0.")
    ] = None,
    models: Models = Path("models"),
    window: Annotated[int, typer.Option(min=1, max=16, help="Beats an input window.")] = 4,
    layers: Annotated[str | None, typer.Option(help="Hidden units, any number of layers, such as 75,50,25.")] = None,
    epochs: Annotated[str | None, typer.Option(help="Epochs to keep, such as 5,10,20,50.")] = None,
    rate: Annotated[float, typer.Option(help="Learning rate of the summed gradient.")] = 1e-5,
    schedule: Annotated[str, typer.Option(help="Of the rate: constant, linear or cosine.")] = "constant",
    batch: Annotated[int, typer.Option(help="Examples a step.")] = 100,
    steps: Annotated[int, typer.Option(help="Steps of Gibbs sampling (CD-k).")] = 1,
    persistent: Annotated[bool, typer.Option("--persistent", help="Chains that persist from batch to batch.")] = False,
    momentum: Annotated[float, typer.Option(help="Share of the last change in the next.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Of the squared weights, an example.")] = 0.0,
    sparsity_target: Annotated[float | None, typer.Option(help="Mean activation to draw hidden units to.")] = None,
    sparsity_cost: Annotated[float, typer.Option(help="How strongly, an example.")] = 0.1,
    likelihood: Annotated[
        bool, typer.Option("--ais", help="Estimate the log-likelihood of the binary layers, for training.json.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of training; they gain with large batches only.")] = 1,
    device: Device = "cpu",
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a deep belief network for a domain: rhythm, pitch or pitch2d.

    For example:

      emobench pretrain --features rhythm

      emobench pretrain --features rhythm --features pitch --pretrain-data data/synthetic-pretrain

      torchrun --nproc-per-node 2 -m emobench pretrain --features pitch2d --batch 1000
    """
    from ..dbn.distributed import started_by_torchrun

    # Of several processes the first speaks for all.
    first = not started_by_torchrun() or os.environ.get("RANK") == "0"
    settle(quiet=quiet or not first, verbose=verbose and first, address_space=4)
    from ..benchmark.hub_datasets import locate
    from ..benchmark.pretrain import pretrain_domains

    data = locate(pretrain_data or str(data_folder() / "synthetic-pretrain"), audio=True, say=remark)
    names = [name for spec in features or [] for name in spec.split("+")]
    with _pool(workers, scheduler) as pool:
        made = pretrain_domains(
            names,
            data.folder,
            config=network_config(
                seed,
                epochs,
                layers,
                window=window,
                rate=rate,
                schedule=schedule,
                batch=batch,
                steps=steps,
                persistent=persistent,
                momentum=momentum,
                weight_decay=weight_decay,
                sparsity_target=sparsity_target,
                sparsity_cost=sparsity_cost,
            ),
            models=models,
            device=device,
            pool=pool,
            threads=threads,
            likelihood=likelihood,
        )
    if not first:
        return
    if as_json:
        print_json(
            [{"domain": model.domain.name, "model": str(model.folder), "sha256": model.sha256} for model in made]
        )
        return
    for model in made:
        say(f"{model.domain.name}: {model.folder} ({model.config['examples']} examples)")


@app.command()
def run(
    features: Features = None,
    dataset: Dataset = None,
    pretrain_data: PretrainData = None,
    audio: Audio = None,
    msd: TrackFiles = None,
    out: Out = Path("results"),
    models: Models = Path("models"),
    model: Annotated[
        list[Path] | None,
        typer.Option(help="A model that was trained elsewhere, for its domain. May be repeated, one a domain."),
    ] = None,
    regressor: Annotated[str, typer.Option(help="mlr (the paper's) or ridge.")] = "mlr",
    layer: Annotated[list[int] | None, typer.Option(help="Only this layer of networks (0, 1, 2 …).")] = None,
    phase: Annotated[list[str] | None, typer.Option(help="Only this phase: pre-trained or fine-tuned.")] = None,
    control: Annotated[bool, typer.Option("--control", help="Also rows with random weights.")] = False,
    carry_over: Annotated[
        bool,
        typer.Option("--carry-over", help="Ablation that leaks: keep fine-tuned weights from fold to fold."),
    ] = False,
    allow_leakage: AllowLeakage = False,
    window: Annotated[int, typer.Option(min=1, max=16, help="Beats an input window of networks.")] = 4,
    epochs: Annotated[str | None, typer.Option(help="Pre-training epochs to choose from, such as 5,10,20,50.")] = None,
    layers: Annotated[str | None, typer.Option(help="Hidden units, such as 75,50,25.")] = None,
    device: Device = "cpu",
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Compute finished rows again.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score features: extract, pre-train what is missing, fine-tune per fold, regress, print the table.

    For example:

      emobench run --features rhythm+pitch

      emobench run --features mfcc --features chroma --dataset data/moodswings

      emobench run --features file:my_features.csv --dataset data/moodswings --regressor ridge

      emobench run --features file:mine.csv --dataset hf://ann/corpus@v1.0.0

      emobench run --features rhythm --model elsewhere/rhythm-0bfac3ec9725

      emobench run --features mfcc --features ent --msd MillionSongSubset/
    """
    settle(quiet=quiet, verbose=verbose, address_space=4)
    if not features:
        raise InputError("run: names no features; give some, such as --features mfcc or --features rhythm+pitch.")
    from dataclasses import replace

    from ..benchmark import runs
    from ..benchmark.features.spec import choose_phases, needs_audio
    from ..benchmark.hub_datasets import find_places
    from ..benchmark.report import tables

    networks = network_config(seed, epochs, layers, window=window)
    config = runs.RunConfig(
        regressor=regressor,
        layers=tuple(layer) if layer else None,
        phases=choose_phases(phase, control=control),
    )
    places = find_places(
        dataset or str(data_folder() / "synthetic"),
        pretrain_data,
        data=data_folder(),
        audio_too=audio is None and needs_audio(features),
        say=remark,
        out=out,
        models=models,
        audio=audio,
        trained=tuple(model or ()),
        msd=msd,
    )
    if carry_over:
        networks = replace(networks, carry_over=True)
    with _pool(workers, scheduler) as pool:
        outcome = runs.run(
            features,
            places,
            config,
            networks,
            device=device,
            pool=pool,
            force=force,
            allow_leakage=allow_leakage,
        )
    if as_json:
        print_json({"results": outcome.results, "notes": outcome.notes})
        return
    if not quiet:
        print_tables(tables.tables(outcome.results))
    for note in outcome.notes:
        say(f"no row: {note}")
    for line in outcome.remarks:
        say(line)
    if outcome.pretrained_on:
        say(f"pre-trained on {outcome.pretrained_on}")
    for path in outcome.models:
        say(f"  {path}")
    finished = len(outcome.results) - outcome.computed
    say(f"{outcome.computed} rows computed, {finished} were finished; predictions are beside each, ending in .parquet:")
    for path in outcome.paths:
        say(f"  {path}")


app.command("leaderboard")(cli_results.leaderboard)
app.command("list")(cli_results.list_things)
app.command("verify")(cli_verify.verify)
app.command("compare")(cli_compare.compare)
app.command("reproduce")(cli_compare.reproduce)
app.add_typer(cli_publish.app, name="publish")


def main() -> None:
    """Run the command line; ``--debug``, wherever it stands, shows the traceback of an error."""
    State.debug = "--debug" in sys.argv
    # All products run on one thread; OpenBLAS would reserve memory for a thread of each processor all the same.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app([argument for argument in sys.argv[1:] if argument != "--debug"])
