"""The commands of ``emobench publish``: release a dataset, a leaderboard or a model to the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .command import SETTINGS, Group, command
from .options import AsJson, Models, ResultsFolder
from .output import print_json, remark, say, tell

if TYPE_CHECKING:
    from ..benchmark.publishing.publication import Publication
    from ..cards.hub_release import Release

app = typer.Typer(
    cls=Group,
    help="Release a dataset, a leaderboard or a model to the Hub.",
    context_settings=SETTINGS,
    no_args_is_help=True,
)

Repo = Annotated[str, typer.Argument(metavar="REPO", help="Repository on the Hub, user/name.")]
Private = Annotated[
    bool,
    typer.Option(
        "--private/--public",
        " /--no-private",
        help="Create the repository as private, and send nothing to one that is already public.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="List what would be sent, without sending it. No token is needed.")
]
CreatePr = Annotated[
    bool, typer.Option("--create-pr", help="Propose the files to an existing repository as a pull request.")
]


@command(app, "dataset")
def dataset(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset built by emobench.")],
    repo: Repo,
    private: Private = True,
    with_audio: Annotated[
        bool, typer.Option("--with-audio", help="Also send the clips' audio, where its licence allows.")
    ] = False,
    dry_run: DryRun = False,
    create_pr: CreatePr = False,
    tag: Annotated[bool, typer.Option("--tag/--no-tag", help="Tag the commit with the version, as v1.0.0.")] = True,
    as_json: AsJson = False,
) -> None:
    """Release a dataset as one commit, tagged with its version.

    For example:

      emobench publish dataset data/synthetic ann/synthetic --dry-run

      emobench publish dataset data/synthetic ann/synthetic --public

      emobench run --features mfcc --dataset hf://ann/synthetic@v1.0.0 --audio clips/
    """
    from ..api.results import publish

    done = publish(
        "dataset",
        folder,
        repo,
        dry_run=dry_run,
        private=private,
        create_pr=create_pr,
        tag=tag,
        with_audio=with_audio,
    )
    _tell(done, as_json, dry_run=dry_run)


@command(app, "leaderboard")
def leaderboard(
    repo: Repo,
    results: ResultsFolder = Path("results"),
    models: Models = Path("models"),
    space: Annotated[
        str | None,
        typer.Option(metavar="SPACE", help="Space of the page, user/name. Default: REPO-space; '' for none."),
    ] = None,
    private: Private = True,
    dry_run: DryRun = False,
    create_pr: CreatePr = False,
    tag: Annotated[bool, typer.Option("--tag", help="Tag the commit with the hash of its entries.")] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Send features as float16; others can then verify only scores.")
    ] = False,
    without_features: Annotated[
        bool, typer.Option("--without-features", help="Leave out the features. Others can then verify only the scores.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Release results, predictions and features to a repository, and their page to a static Space.

    Entries that are already in the repository stay there and are not sent again. New entries are verified first, as by
    'emobench verify', and so are those that were merged since the last time; the page shows the level that each
    reached. With --create-pr, only the new entries are proposed.

    For example:

      emobench publish leaderboard ann/results --dry-run

      emobench publish leaderboard ann/results --public

      emobench publish leaderboard bob/results --create-pr
    """
    from ..api.results import publish

    done = publish(
        "leaderboard",
        results,
        repo,
        dry_run=dry_run,
        private=private,
        create_pr=create_pr,
        tag=tag,
        space=space,
        models=models,
        compact=compact,
        without_features=without_features,
    )
    for problem in done.problems:
        tell(f"left out: {problem}", err=True)
    if not dry_run and not done.released and not as_json:
        say(f"{repo} already holds all of these entries; there is nothing to propose")
        return
    _tell(done, as_json, dry_run=dry_run)


@command(app, "model")
def model(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model trained by emobench pretrain.")],
    repo: Repo,
    results: Annotated[Path, typer.Option(help="Folder of results; the card shows those made with this model.")] = Path(
        "results"
    ),
    evaluation: Annotated[
        Path | None,
        typer.Option(metavar="RESULT.json", help="A result to put into the model's metadata, in the Hub's formats."),
    ] = None,
    private: Private = True,
    dry_run: DryRun = False,
    create_pr: CreatePr = False,
    tag: Annotated[bool, typer.Option("--tag", help="Tag the commit with the hash of the weights.")] = False,
    as_json: AsJson = False,
) -> None:
    """Release a model: weights, configuration, training log, and a card with its scores.

    For example:

      emobench publish model models/rhythm-0bfac3ec9725 ann/rhythm --dry-run

      emobench publish model models/rhythm-0bfac3ec9725 ann/rhythm --public --tag
    """
    from ..api.results import publish

    done = publish(
        "model",
        folder,
        repo,
        dry_run=dry_run,
        private=private,
        create_pr=create_pr,
        tag=tag,
        results=results,
        evaluation=evaluation,
    )
    _tell(done, as_json, dry_run=dry_run)


def _list(done: Publication, as_json: bool) -> None:
    """List what would be sent."""
    from ..cards.hub_release import listing

    listed: list[dict[str, Any]] = [
        {
            "repo": release.repo,
            "kind": release.kind,
            "tag": release.tag,
            "refused": _exposure(release),
            "files": listing(release),
        }
        for release in done.releases
    ]
    for each in listed:
        if each["refused"]:
            tell(f"would be refused: {each['refused']}", err=True)
    if as_json:
        print_json(listed)
        return
    for each in listed:
        size = sum(file["size"] for file in each["files"])
        tag = f", tag {each['tag']}" if each["tag"] else ""
        say(f"would go to the {each['kind']} {each['repo']}{tag}: {len(each['files'])} files, {size:,} bytes")
        for file in each["files"]:
            say(f"  {file['sha256']}  {file['size']:>12,}  {file['path']}")


def _exposure(release: Release) -> str | None:
    """Return why nothing would be sent to a public repository; None if it is not public, or this is not known."""
    from ..cards.hub_release import exposure
    from ..errors import EmobenchError

    try:
        return exposure(release)
    except EmobenchError as error:
        remark(f"whether {release.repo} is public could not be looked up: {error}")
        return None


_STATES = {
    "released": "released",
    "tagged": "already there, now tagged:",
    "same": "already there, complete and unchanged:",
    "proposed": "proposed",
    "pending": "nothing was sent: an open pull request has the same content,",
}


def _tell(done: Publication, as_json: bool, *, dry_run: bool) -> None:
    """Print what was done, or what would be."""
    if dry_run:
        _list(done, as_json)
        return
    if as_json:
        print_json([vars(each) for each in done.released])
        return
    for each in done.released:
        tag = f", tag {each.tag}" if each.tag else ""
        changes = f", {len(each.sent)} files sent" if each.sent else ""
        changes += f", {len(each.deleted)} deleted" if each.deleted else ""
        where = each.pull_request or each.url
        say(f"{_STATES[each.state]} {where} (commit {each.commit[:12]}{tag}{changes})")
        for line in each.remarks:
            say(f"  {line}")
