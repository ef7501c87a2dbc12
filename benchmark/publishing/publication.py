"""Releases of datasets, leaderboards and models, sent or only listed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ...cards import hub_release
from ...cards.hub_release import Release, Released
from ...runtime.files import data_folder
from ..report.leaderboard import rank
from ..results.verify_data import Datasets
from . import board, dataset
from .model import model_release


@dataclass(frozen=True)
class Publication:
    """Releases that were sent, or would be.

    Attributes
    ----------
    releases : list of Release
        Files for each repository.
    released : list of Released
        Commits that were made; empty after a dry run, and where there was nothing to propose.
    problems : list of str
        One line for each result that was left out.
    """

    releases: list[Release]
    released: list[Released] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        if not self.released:
            return f"Publication(nothing sent; {sum(len(each.uploads) for each in self.releases)} files listed)"
        return f"Publication({', '.join(f'{each.state} {each.url}' for each in self.released)})"


def publish_dataset(
    folder: Path, repo: str, *, with_audio: bool, private: bool, create_pr: bool, tag: bool | None, dry_run: bool
) -> Publication:
    """Release a dataset as :func:`emobench.publish` does."""
    release = dataset.dataset_release(
        folder, repo, with_audio=with_audio, private=private, create_pr=create_pr, tag=tag is not False
    )
    return Publication([release], [] if dry_run else [dataset.publish_dataset(release)])


def publish_leaderboard(
    folder: Path,
    repo: str,
    *,
    space: str | None,
    datasets: Datasets,
    models: Path,
    private: bool,
    create_pr: bool,
    tag: bool,
    dry_run: bool,
    features: board.Sent = "float32",
) -> Publication:
    """Release a leaderboard as :func:`emobench.publish` does."""
    made = board.board(
        folder,
        repo,
        space=f"{repo}-space" if space is None else space or None,
        render_page=lambda store: rank(store).page(data_folder()),
        datasets=datasets,
        models=models,
        private=private,
        tag=tag,
        create_pr=create_pr,
        look=not dry_run,
        features=features,
    )
    if dry_run:
        made.announce()
    releases = [release for release in (made.results, made.space) if release is not None]
    return Publication(releases, [] if dry_run else board.publish_board(made), made.problems)


def publish_model(
    folder: Path,
    repo: str,
    *,
    results: Path,
    datasets: Datasets,
    evaluation: Path | None,
    private: bool,
    create_pr: bool,
    tag: bool,
    dry_run: bool,
) -> Publication:
    """Release a model as :func:`emobench.publish` does."""
    release = model_release(
        folder,
        repo,
        results=results,
        datasets=datasets,
        evaluation=evaluation,
        private=private,
        tag=tag,
        create_pr=create_pr,
    )
    return Publication([release], [] if dry_run else [hub_release.publish(release)])
