"""git commands that fail against real local repositories, or against hosts that do not exist."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, closed_port, warm_up

__all__: list[str] = []

_DATES = {
    "GIT_AUTHOR_DATE": "2026-03-02T08:00:00Z",
    "GIT_COMMITTER_DATE": "2026-03-02T08:00:00Z",
    "GIT_TERMINAL_PROMPT": "0",
}


def _repository(shop: Workshop, *, advice: bool | None = None) -> str:
    """Make the project a repository with one to four commits and return the name of its branch."""
    branch, person = shop.rng.choice(("main", "main", "master", "develop")), shop.names.noun()
    advice = chance(shop, 0.5) if advice is None else advice
    config = (
        f"[user]\n\tname = {person}\n\temail = {person}@example.com\n[init]\n"
        f'\tdefaultBranch = {branch}\n[protocol "file"]\n\tallow = always\n'
    )
    (shop.home / ".gitconfig").write_text(
        config + ("" if advice else "[advice]\n\tstatusHints = false\n\tpushUpdateRejected = false\n"), encoding="utf-8"
    )
    shop.quiet("git init -q .")
    for _ in range(shop.rng.randint(1, 4)):
        _commit(
            shop,
            f"{shop.names.noun()}/{shop.names.module()}.txt",
            "".join(f"{shop.names.function()}\n" for _ in range(4)),
        )
    return branch


def _commit(shop: Workshop, path: str, text: str) -> None:
    shop.write(path, text)
    shop.quiet(f"git add {path} && git commit -q -m '{shop.rng.choice(('Add', 'Change', 'Fix'))} {path}'", env=_DATES)


def _warm(shop: Workshop) -> None:
    warm_up(
        shop,
        "git --version",
        "git log --oneline -n 3",
        "git status --short --branch",
        "git remote -v && git branch",
        most=2,
    )


@recipe("git.merge-conflict", tool="git", category="other", origin="code", requires=("git",))
def merge_conflict(shop: Workshop) -> Fault:
    """Two branches change the same lines."""
    branch, topic = _repository(shop), f"{shop.rng.choice(('feature', 'fix', 'chore'))}/{shop.names.module()}"
    folder, suffix = shop.rng.choice(("src", "docs", "config")), shop.rng.choice(("py", "md", "yml", "c"))
    path = f"{folder}/{shop.names.module()}.{suffix}"
    rows = [shop.names.function() for _ in range(shop.rng.randint(3, 12))]
    spot = shop.rng.randrange(len(rows))

    def variant(word: str) -> str:
        return "\n".join([*rows[:spot], word, *rows[spot + 1 :]]) + "\n"

    _commit(shop, path, variant("start"))
    shop.quiet(f"git checkout -q -b {topic}")
    _commit(shop, path, variant(shop.names.variable()))
    if chance(shop, 0.5):
        _commit(shop, f"docs/{shop.names.module()}.md", "error codes\n")
    shop.quiet(f"git checkout -q {branch}")
    _commit(shop, path, variant(shop.names.variable()))
    _warm(shop)
    command = shop.rng.choice(
        (
            f"git merge {topic}",
            f"git merge --no-ff {topic}",
            f"git rebase {topic}",
            f"git cherry-pick {topic}",
            f"git merge --squash {topic}",
        )
    )
    if "cherry" in command:
        command = f"git cherry-pick $(git log -n 1 --format=%H {topic} -- {path})"
    run = shop.failing(command, env=_DATES)
    return Fault(
        run,
        (f"Merge conflict in {path}",),
        path,
        f"Merge conflict in `{path}`.",
        f"Resolve the conflict in `{path}`.",
    )


@recipe("git.unknown-ref", tool="git", category="other", origin="config", requires=("git",))
def unknown_ref(shop: Workshop) -> Fault:
    """A branch, tag or path is asked for that does not exist."""
    _repository(shop)
    ref = shop.rng.choice(
        (
            f"v{shop.names.version()}",
            f"release/{shop.names.version()}",
            f"feature/{shop.names.module()}",
            shop.names.module(),
        )
    )
    _warm(shop)
    run = shop.failing(
        shop.rng.choice(
            (
                f"git checkout {ref}",
                f"git log --oneline {ref}",
                f"git diff --stat {ref}",
                f"git rev-parse --verify -q HEAD\ngit switch {ref}",
                f"git branch -d {ref}",
                f"git show {ref}",
                f"git tag -d {ref}",
                f"git merge {ref}",
                f"git worktree add ../tree {ref}",
            )
        )
    )
    return Fault(run, (ref,), ref, f"Git reference `{ref}` is missing.", f"Create `{ref}` or correct its name.")


@recipe("git.push-rejected", tool="git", category="other", origin="code", requires=("git",))
def push_rejected(shop: Workshop) -> Fault:
    """The remote branch has commits the pushed one lacks."""
    branch = _repository(shop)
    remote = f"{shop.names.noun()}.git"
    path, other = f"{shop.names.module()}.md", shop.names.noun()
    shop.quiet(
        f"git clone -q --bare . ../{remote} && git remote add origin ../{remote} && git clone -q ../{remote} ../other\n"
        f"cd ../other && echo {other} > {path} && git add . && git "
        f"commit -q -m 'Add {path}' && git push -q origin {branch}",
        env=_DATES,
    )
    _commit(shop, f"{shop.names.module()}.md", "own\n")
    if chance(shop, 0.4):
        shop.quiet("git fetch -q")
    _warm(shop)
    run = shop.failing(
        shop.rng.choice(
            (
                f"git push origin {branch}",
                f"git push -u origin {branch}",
                f"git push origin HEAD:{branch}",
                f"git push --tags origin {branch}",
            )
        )
    )
    return Fault(
        run,
        ("[rejected]",),
        branch,
        f"Push of `{branch}` is rejected: the remote has newer commits.",
        f"Rebase `{branch}` onto the remote and push again.",
    )


@recipe("git.protected-branch", tool="git", category="permission_or_secret", origin="config", requires=("git",))
def protected_branch(shop: Workshop) -> Fault:
    """The server's hook refuses the push."""
    branch = _repository(shop)
    remote, hook = f"{shop.names.noun()}.git", shop.rng.choice(("pre-receive", "update"))
    shop.quiet(f"git clone -q --bare . ../{remote} && git remote add origin ../{remote}")
    word = shop.rng.choice(
        (
            f"error: GH006: Protected branch update failed for refs/heads/{branch}.",
            f"GitLab: You are not allowed to push code to protected branches on this project ({branch}).",
            f"Permission to refs/heads/{branch} denied to ci-bot.",
        )
    )
    path = shop.root.parent / remote / "hooks" / hook
    path.write_text(f"#!/bin/sh\necho '{word}'\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)
    _commit(shop, f"{shop.names.module()}.md", "own\n")
    _warm(shop)
    run = shop.failing(
        shop.rng.choice((f"git push origin {branch}", f"git push origin HEAD:{branch}", f"git push -q origin {branch}"))
    )
    return Fault(
        run,
        (word, "[remote rejected]"),
        branch,
        f"Permission denied: push to `{branch}`.",
        f"Give the job the right to push to `{branch}`.",
    )


@recipe("git.missing-submodule", tool="git", category="other", origin="config", requires=("git",))
def missing_submodule(shop: Workshop) -> Fault:
    """A submodule has no entry in .gitmodules, or its repository is gone."""
    _repository(shop)
    folder = f"{shop.rng.choice(('vendor', 'third_party', 'libs'))}/{shop.names.package()}"
    commit = "".join(shop.rng.choice("0123456789abcdef") for _ in range(40))
    shop.quiet(f"git update-index --add --cacheinfo 160000,{commit},{folder}")
    if chance(shop, 0.5):
        says = f"No url found for submodule path '{folder}'"
    else:
        source = f"../{shop.names.noun()}-{shop.names.noun()}.git"
        shop.write(".gitmodules", f'[submodule "{folder}"]\n\tpath = {folder}\n\turl = {source}\n')
        shop.quiet("git add .gitmodules && git remote add origin ../upstream.git")
        says = f"into submodule path '/home/runner/work/{shop.repo}/{shop.repo}/{folder}' failed"
    shop.quiet("git commit -q -m 'Add submodule'", env=_DATES)
    _warm(shop)
    run = shop.failing(shop.rng.choice(("git submodule update --init --recursive", "git submodule update --init")))
    return Fault(
        run,
        (says,),
        folder,
        f"Submodule `{folder}` is missing.",
        f"Correct the entry of `{folder}` in the submodule list.",
    )


@recipe(
    "git.unresolvable-host",
    tool="git",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("git",),
)
def unresolvable_host(shop: Workshop) -> Fault:
    """The remote's name does not resolve."""
    _repository(shop)
    host, owner = shop.names.host(), shop.names.noun()
    url = shop.rng.choice(
        (
            f"https://{host}/{owner}/{shop.repo}.git",
            f"https://git@{host}/{owner}/{shop.repo}",
            f"http://{host}/{owner}.git",
        )
    )
    _warm(shop)
    command = shop.rng.choice(
        (
            f"git clone {url} deps",
            f"git ls-remote {url}",
            f"git remote add upstream {url}\ngit fetch upstream",
            f"git clone --depth 1 -q {url} vendor",
            f"git submodule add {url} libs/{owner}",
            f"git pull {url} main",
            f"git push {url} HEAD",
        )
    )
    run = shop.failing(command, env=_DATES)
    return Fault(
        run,
        (f"Could not resolve host: {host}",),
        host,
        f"Host `{host}` cannot be reached.",
        f"Run again or check the name `{host}`.",
    )


@recipe(
    "git.refused-remote", tool="git", category="network_or_flaky", origin="external", transient=True, requires=("git",)
)
def refused_remote(shop: Workshop) -> Fault:
    """The remote's port is closed."""
    _repository(shop)
    port, owner = closed_port(shop), shop.names.noun()
    host = shop.rng.choice(("127.0.0.1", "localhost"))
    address = f"{host}:{port}"
    url = shop.rng.choice(("http", "https")) + f"://{address}/{owner}/{shop.repo}.git"
    _warm(shop)
    run = shop.failing(
        shop.rng.choice(
            (f"git clone {url} deps", f"git ls-remote {url}", f"git fetch {url} main", f"git push {url} HEAD")
        ),
        env=_DATES,
    )
    return Fault(
        run,
        ("unable to access",),
        address,
        f"Host `{address}` cannot be reached.",
        f"Run again or check the server at `{address}`.",
    )


@recipe("git.dubious-ownership", tool="git", category="permission_or_secret", origin="infra", requires=("git",))
def dubious_ownership(shop: Workshop) -> Fault:
    """Git refuses a checkout that belongs to another user."""
    _repository(shop)
    owner = shop.rng.choice((1000, 1001, 1500, 65534))
    shop.quiet(f"chown -R {owner} .")
    run = shop.failing(
        shop.rng.choice(
            (
                "git status",
                "git describe --always",
                "git rev-parse HEAD",
                "git fetch --tags",
                "git log -n 1 --format=%h",
                "git ls-files --others",
            )
        )
    )
    path = f"/home/runner/work/{shop.repo}/{shop.repo}"
    return Fault(
        run,
        ("detected dubious ownership",),
        path,
        f"Permission denied: `{path}` belongs to another user.",
        f"Mark `{path}` as a safe directory.",
    )


@recipe("git.whitespace-check", tool="git", category="formatting_failure", origin="code", requires=("git",))
def whitespace_check(shop: Workshop) -> Fault:
    """Git diff --check finds blanks at the end of a line."""
    _repository(shop)
    path = (
        f"{shop.rng.choice(('src', 'docs', 'lib'))}/{shop.names.module()}.{shop.rng.choice(('py', 'md', 'js', 'txt'))}"
    )
    rows = [shop.names.function() + "()" for _ in range(shop.rng.randint(2, 9))]
    _commit(shop, path, "\n".join(rows) + "\n")
    spot = shop.rng.randrange(len(rows) + 1)
    bad, says = shop.rng.choice(
        (
            (f"{shop.names.function()}()  ", "trailing whitespace"),
            (f"   \t{shop.names.function()}()", "space before tab in indent"),
        )
    )
    shop.write(path, "\n".join([*rows[:spot], bad, *rows[spot:]]) + "\n")
    _warm(shop)
    base = shop.rng.choice(("git diff --check", "git diff --check HEAD"))
    if chance(shop, 0.4):
        shop.quiet(f"git commit -q -m 'Change {path}' {path}", env=_DATES)
        base = shop.rng.choice(("git diff --check HEAD~1", "git show --check HEAD"))
    run = shop.failing(base)
    return Fault(
        run,
        (f"{path}:{spot + 1}: {says}",),
        path,
        f"`{path}` is not formatted.",
        f"Remove the stray blanks in `{path}`.",
    )
