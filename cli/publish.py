"""The commands of ``emobench publish``: a dataset, a leaderboard or a model, released to the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.files import data_folder
from .command import SETTINGS, Group, command
from .options import AsJson, Models
from .output import print_json, remark, say, tell

if TYPE_CHECKING:
    from ..cards.hub_release import Release, Released

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
        help="Create the repository as private, and send nothing to one that is public already.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List what would go; nothing is sent, no token is needed.")]
CreatePr = Annotated[bool, typer.Option("--create-pr", help="Propose it to a repository that is there.")]


@command(app, "dataset")
def dataset(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset that emobench built.")],
    repo: Repo,
    private: Private = True,
    with_audio: Annotated[
        bool, typer.Option("--with-audio", help="Send the clips' audio too, where its licence allows.")
    ] = False,
    dry_run: DryRun = False,
    create_pr: CreatePr = False,
    tag: Annotated[bool, typer.Option("--tag/--no-tag", help="Tag it v and its version.")] = True,
    as_json: AsJson = False,
) -> None:
    """Release a dataset: one commit, tagged with its version.

    For example:

      emobench publish dataset data/synthetic ann/synthetic --dry-run

      emobench publish dataset data/synthetic ann/synthetic --public

      emobench run --features mfcc --dataset hf://ann/synthetic@v1.0.0 --audio clips/
    """
    from ..benchmark.publishing.dataset import dataset_release, publish_dataset

    release = dataset_release(folder, repo, with_audio=with_audio, private=private, create_pr=create_pr, tag=tag)
    if dry_run:
        _list([release], as_json)
        return
    _tell([publish_dataset(release)], as_json)


@command(app, "leaderboard")
def leaderboard(
    repo: Repo,
    results: Annotated[Path, typer.Option(help="Folder of results.")] = Path("results"),
    models: Models = Path("models"),
    space: Annotated[
        str | None, typer.Option(help="Space of the page, user/name. Default: REPO-space; '' for none.")
    ] = None,
    private: Private = True,
    dry_run: DryRun = False,
    create_pr: CreatePr = False,
    tag: Annotated[bool, typer.Option("--tag", help="Tag the results with the hash of their rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Release results and predictions to a repository of results, and their page to a static Space.

    Rows that are there already stay, and are not sent again; --create-pr proposes the new ones alone. New rows are
    verified first, as by 'emobench verify'.

    For example:

      emobench publish leaderboard ann/results --dry-run

      emobench publish leaderboard ann/results --public

      emobench publish leaderboard bob/results --create-pr
    """
    from ..benchmark.publishing.board import board, publish_board
    from ..benchmark.report.leaderboard import rank
    from ..benchmark.results.verify_data import Datasets

    made = board(
        results,
        repo,
        space=f"{repo}-space" if space is None else space or None,
        render_page=lambda store: rank(store).page(data_folder()),
        datasets=Datasets([], data_folder(), only=False),
        models=models,
        private=private,
        tag=tag,
        create_pr=create_pr,
        look=not dry_run,
    )
    for problem in made.problems:
        tell(f"left out: {problem}", err=True)
    if dry_run:
        _list([release for release in (made.results, made.space) if release is not None], as_json)
        return
    released = publish_board(made)
    if not released and not as_json:
        say(f"{repo} holds all of these rows already; there is nothing to propose")
        return
    _tell(released, as_json)


@command(app, "model")
def model(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model of emobench pretrain.")],
    repo: Repo,
    results: Annotated[
        Path, typer.Option(help="Folder of results; the card shows those that were made with it.")
    ] = Path("results"),
    evaluation: Annotated[
        Path | None, typer.Option(metavar="RESULT.json", help="A result for the card's head, in the Hub's form.")
    ] = None,
    private: Private = True,
    dry_run: DryRun = False,
    create_pr: CreatePr = False,
    tag: Annotated[bool, typer.Option("--tag", help="Tag it with the hash of its weights.")] = False,
    as_json: AsJson = False,
) -> None:
    """Release a model: weights, configuration, training log, and a card with the scores.

    For example:

      emobench publish model models/rhythm-0bfac3ec9725 ann/rhythm --dry-run

      emobench publish model models/rhythm-0bfac3ec9725 ann/rhythm --public --tag
    """
    from ..benchmark.publishing.model import model_release
    from ..benchmark.results.verify_data import Datasets
    from ..cards.hub_release import publish

    release = model_release(
        folder,
        repo,
        results=results,
        datasets=Datasets([], data_folder(), only=False),
        evaluation=evaluation,
        private=private,
        tag=tag,
        create_pr=create_pr,
    )
    if dry_run:
        _list([release], as_json)
        return
    _tell([publish(release)], as_json)


def _list(releases: Sequence[Release], as_json: bool) -> None:
    """List what would go."""
    from ..cards.hub_release import listing

    listed: list[dict[str, Any]] = [
        {
            "repo": release.repo,
            "kind": release.kind,
            "tag": release.tag,
            "refused": _exposure(release),
            "files": listing(release),
        }
        for release in releases
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
    """Why nothing would be sent to a repository that is public; None if it is not, or if nobody can be asked."""
    from ..cards.hub_release import exposure
    from ..errors import EmobenchError

    try:
        return exposure(release)
    except EmobenchError as error:
        remark(f"whether {release.repo} is public could not be looked up: {error}")
        return None


_STATES = {
    "released": "released",
    "tagged": "was there already, and is tagged now:",
    "same": "is there already, whole and the same:",
    "proposed": "proposed",
    "pending": "nothing was sent: an open proposal has the same content,",
}


def _tell(released: Sequence[Released], as_json: bool) -> None:
    """Tell what was done."""
    if as_json:
        print_json([vars(each) for each in released])
        return
    for each in released:
        tag = f", tag {each.tag}" if each.tag else ""
        changes = f", {len(each.sent)} files sent" if each.sent else ""
        changes += f", {len(each.deleted)} taken away" if each.deleted else ""
        where = each.pull_request or each.url
        say(f"{_STATES[each.state]} {where} (commit {each.commit[:12]}{tag}{changes})")
        for line in each.remarks:
            say(f"  {line}")
