"""A release to the Hub: one commit on the parent that was looked at, then a tag on that very commit.

Each step finds out first whether it is done already, by content, so the same command may be run any number of
times: after a failure in the middle it goes on, after a success it does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import EmobenchError, InputError
from .hub import Proposal, Repository, State
from .hub_files import Forbidden, Upload, refuse_secrets


@dataclass(frozen=True)
class Release:
    """What shall be in a repository.

    Attributes
    ----------
    repo, kind : str
        ``user/name``, and ``dataset``, ``model`` or ``space``.
    uploads : sequence of Upload
        Files.
    message : str
        Of the commit.
    forbidden : sequence of Forbidden
        What must not be in them.
    marker : str
        How a path begins that tells a repository of this use; one that holds other things is left alone.
    parent : str or None
        Commit that the release was made from, where what is there is part of it.
    tag : str or None
        Of the commit.
    reserved : str or None
        Tag that must not hold other content, though it is not asked for.
    private : bool
        Create the repository as private, and send nothing to one that is public.
    sdk : str or None
        Of a Space.
    owned : frozenset of str
        Folders in which nothing else may stay.
    create_pr : bool
        Propose the commit instead of making it.
    """

    repo: str
    kind: str
    uploads: Sequence[Upload]
    message: str
    forbidden: Sequence[Forbidden]
    marker: str
    parent: str | None = None
    tag: str | None = None
    reserved: str | None = None
    private: bool = True
    sdk: str | None = None
    owned: frozenset[str] = frozenset()
    create_pr: bool = False


@dataclass(frozen=True)
class Released:
    """What a release did.

    Attributes
    ----------
    repo, kind, url : str
        Of the repository.
    state : {"released", "tagged", "same", "proposed", "pending"}
        A new commit; a tag on a commit that was there; nothing, as all was there; a new pull request; nothing, as an
        open pull request has the same content.
    commit : str
        Where the release is.
    tag : str or None
        On that commit.
    pull_request : str or None
        Its address.
    sent : list of str
        Files that the commit changed.
    deleted : list of str
        Files that it took away.
    remarks : list of str
        What the Hub remarked.
    """

    repo: str
    kind: str
    url: str
    state: str
    commit: str
    tag: str | None = None
    pull_request: str | None = None
    sent: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def listing(release: Release) -> list[dict[str, str | int]]:
    """What would go, without asking anyone: path, size and SHA-256 of each file; its content is checked."""
    refuse_secrets(release.uploads, release.forbidden)
    return [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in release.uploads]


def exposure(release: Release) -> str | None:
    """Why a release must not be sent to the repository that is there; None if it may, or there is none yet.

    One request is made. Without a token, a private repository looks like one that does not exist.
    """
    if not release.private or release.create_pr:
        return None
    repository = Repository(release.repo, release.kind)
    try:
        state = repository.state()
    except InputError:
        # Not visible to this token, or to anyone without one, and so not public.
        return None
    return None if state is None or state.private else _exposed(release)


def _exposed(release: Release) -> str:
    return (
        f"{release.repo}: this {release.kind} repository is public, so everything sent to it becomes public; add "
        "--public to agree, or make the repository private first."
    )


@dataclass(frozen=True)
class Plan:
    """What is left to do for a release, checked.

    Attributes
    ----------
    release : Release
        What shall be.
    repository : Repository
        Where.
    state : State or None
        Of the repository; None if it does not exist yet.
    changed, astray : list of str
        Files to send and to delete.
    tagged : str or None
        Commit of the release's tag, which has the same content.
    proposal : Proposal or None
        Open pull request with the same content.
    """

    release: Release
    repository: Repository
    state: State | None
    changed: list[str]
    astray: list[str]
    tagged: str | None = None
    proposal: Proposal | None = None


def plan(release: Release) -> Plan:
    """Find out what is left to do for a release; nothing is sent.

    Raises
    ------
    InputError
        If something must not be published, content would become public without being meant to, the tag exists with
        other content, there is no repository to propose to, or a token is missing, wrong or not enough.
    EmobenchError
        If the Hub is out of reach or fails.
    """
    repository = Repository(release.repo, release.kind, write=True)
    refuse_secrets(release.uploads, release.forbidden)
    state = repository.state()
    if state is None:
        if release.create_pr:
            raise InputError(f"{release.repo}: there is no such {release.kind} repository to propose to.")
        return Plan(release, repository, None, [upload.path for upload in release.uploads], [])
    name = release.tag or release.reserved
    tagged = repository.tags().get(name) if name else None
    if tagged is not None:
        there = repository.files(tagged)
        changed, astray = differences(release, there)
        if changed or astray:
            raise InputError(_conflict(release, changed, astray, there))
        if release.tag:
            return Plan(release, repository, state, [], [], tagged)
    there = repository.files(state.commit)
    _refuse_other_use(release, there)
    changed, astray = differences(release, there)
    proposal = None
    if changed or astray:
        if release.create_pr:
            proposal = _same_proposal(repository, release)
        # A proposal is made to somebody else's repository on purpose; it is not refused but remarked on.
        if release.private and not state.private and not release.create_pr:
            raise InputError(f"{_exposed(release)} Nothing was sent.")
    return Plan(release, repository, state, changed, astray, None, proposal)


def _same_proposal(repository: Repository, release: Release) -> Proposal | None:
    """Find the open pull request of this user that already has all content of a release."""
    for proposal in repository.own_proposals():
        changed, astray = differences(release, repository.files(f"refs/pr/{proposal.number}"))
        if not changed and not astray:
            return proposal
    return None


def publish(release: Release) -> Released:
    """Bring a repository to what a release says.

    Raises
    ------
    InputError
        As :func:`plan` does.
    EmobenchError
        If the Hub is out of reach, fails, or another commit came in between.
    """
    return carry_out(plan(release))


def carry_out(planned: Plan) -> Released:
    """Send what is left to do for a release.

    Raises
    ------
    EmobenchError
        If the Hub is out of reach, fails, or another commit came in between.
    """
    release, repository, state = planned.release, planned.repository, planned.state
    common = (release.repo, release.kind, repository.url)
    if planned.tagged is not None:
        assert release.tag is not None
        return Released(*common, "same", planned.tagged, release.tag, remarks=_moved(planned, planned.tagged))
    if planned.proposal is not None:
        # Its commit is that of the pull request's branch, which may have been changed since; its number names it.
        commit = repository.commit_of(f"refs/pr/{planned.proposal.number}")
        return Released(*common, "pending", commit, pull_request=planned.proposal.url)
    if state is None:
        repository.create(private=release.private, sdk=release.sdk)
        state = repository.state()
        if state is None:
            raise EmobenchError(f"{release.repo}: was created and is not there; run the same command again.")
        if release.private and not state.private:
            raise InputError(f"{_exposed(release)} Nothing was sent.")
    if not planned.changed and not planned.astray:
        return _tagged(repository, release, Released(*common, "same", state.commit))
    by_path = {upload.path: upload for upload in release.uploads}
    made, remarks = repository.commit(
        [by_path[path] for path in planned.changed],
        planned.astray,
        message=release.message,
        parent=release.parent or state.commit,
        create_pr=release.create_pr,
    )
    if release.create_pr and not state.private:
        remarks.append(f"{release.repo} is public: everyone can see this proposal.")
    if not release.create_pr:
        _refuse_lost(repository, release, made.oid)
    done = Released(
        *common,
        "proposed" if release.create_pr else "released",
        made.oid,
        pull_request=made.pr_url,
        sent=planned.changed,
        deleted=planned.astray,
        remarks=remarks,
    )
    return done if release.create_pr else _tagged(repository, release, done)


def _moved(planned: Plan, commit: str) -> list[str]:
    """Remark that a tag is on another commit than when this machine last saw it."""
    release = planned.release
    assert release.tag is not None
    before = planned.repository.resolved_before(release.marker, release.tag)
    if before is None or before == commit:
        return []
    return [
        f"warning: tag {release.tag} was on commit {before[:12]} and has been moved to {commit[:12]}, which holds the "
        "same files of this release."
    ]


def _refuse_other_use(release: Release, there: Iterable[str]) -> None:
    """Raise InputError where a repository holds something that is no release of this kind."""
    held = set(there) - {".gitattributes", "README.md"}
    if held and not any(path.startswith(release.marker) for path in held):
        raise InputError(
            f"{release.repo}: holds something else ({min(held)}, and no {release.marker}); name another repository."
        )


def _refuse_lost(repository: Repository, release: Release, commit: str) -> None:
    """Raise EmobenchError unless a commit holds what was sent: a ``.gitignore`` there may have kept files out."""
    changed, _ = differences(release, repository.files(commit))
    if changed:
        raise EmobenchError(
            f"{release.repo}: commit {commit[:12]} does not hold {changed[0]} as it was sent; look for rules there "
            "that keep it out (.gitignore), and run the same command again."
        )


def _tagged(repository: Repository, release: Release, done: Released) -> Released:
    """Tag what is released, where a tag is asked for."""
    if release.tag is None or release.create_pr:
        return done
    repository.tag(release.tag, done.commit)
    state = "tagged" if done.state == "same" else done.state
    return Released(**{**vars(done), "state": state, "tag": release.tag})


def differences(release: Release, there: dict[str, str]) -> tuple[list[str], list[str]]:
    """Files of a release that are not so at a commit, and files of its folders that are only there.

    Parameters
    ----------
    release : Release
        What shall be.
    there : dict
        Path to hash, as :meth:`.hub.Repository.files` gives them.
    """
    paths = {upload.path for upload in release.uploads}
    changed = [
        upload.path
        for upload in release.uploads
        if (found := there.get(upload.path)) is None or found != (upload.sha256 if len(found) == 64 else upload.git_oid)
    ]
    astray = [path for path in there if path not in paths and path.split("/")[0] in release.owned and "/" in path]
    return changed, sorted(astray)


def _conflict(release: Release, changed: Sequence[str], astray: Sequence[str], there: dict[str, str]) -> str:
    found = [f"{path} {'differs' if path in there else 'is not in it'}" for path in changed]
    found += [f"{path} is only in it" for path in astray]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return (
        f"{release.repo}: {release.tag or release.reserved} exists with other content ({found[0]}{more}) and is never "
        "overwritten; build it under a new version."
    )
