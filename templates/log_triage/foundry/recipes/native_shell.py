"""Build scripts that stop: a command, a file, a right, a secret or the time to run is missing."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, chatter, script, warm_up

__all__: list[str] = []


def _folder(shop: Workshop) -> str:
    return shop.rng.choice(("config", "data", "assets", "deploy", "fixtures", "etc", "."))


def _secret(shop: Workshop) -> str:
    """``BILLING_DEPLOY_TOKEN``: no noun list makes it a real variable."""
    return f"{shop.names.noun().upper()}_{shop.rng.choice(('TOKEN', 'API_KEY', 'SECRET', 'PASSWORD', 'DEPLOY_KEY'))}"


@recipe("bash.command-not-found", tool="bash", category="other", origin="infra", requires=("bash",))
def command_not_found(shop: Workshop) -> Fault:
    """A script calls a program the runner does not have."""
    name = shop.rng.choice(
        (shop.names.package(), f"{shop.names.noun()}ctl", f"{shop.names.noun()}-{shop.names.noun()}")
    )
    argument = shop.names.noun()
    line = shop.rng.choice(
        (
            f"{name} {shop.rng.choice(('build', 'lint', 'sync', 'deploy'))} --{argument}",
            f"version=$({name} --version)\necho $version",
            f"if ! {name} check {argument}; then exit 3; fi",
            f"echo {argument} | {name} -",
        )
    )
    command, _ = script(shop, line)
    run = shop.failing(command)
    return Fault(
        run,
        (f"{name}: command not found",),
        name,
        f"Command `{name}` is not found.",
        f"Install `{name}` on the runner.",
    )


@recipe("bash.unset-secret", tool="bash", category="permission_or_secret", origin="config", requires=("bash",))
def unset_secret(shop: Workshop) -> Fault:
    """A script reads a secret that the workflow did not pass."""
    secret, tool = _secret(shop), shop.names.noun()
    if chance(shop, 0.4):
        message = shop.rng.choice((f"{secret} is required", f"set {secret} first", f"please export {secret}"))
        line = f': "${{{secret}:?{message}}}"'
        says = f"{secret}: {message}"
    else:
        line = shop.rng.choice(
            (
                f'curl -H "Authorization: ${secret}" https://{tool}.invalid/v1',
                f'echo "${secret}" > {tool}.txt',
                f"login=${{{secret}}}",
            )
        )
        says = f"{secret}: unbound variable"
    command, _ = script(shop, "set -u", line, options=shop.rng.choice(("-eu", "-euo pipefail", "-e")))
    run = shop.failing(command)
    return Fault(run, (says,), secret, f"Secret `{secret}` is not set.", f"Set `{secret}` for this job.")


@recipe("bash.missing-file", tool="bash", category="other", origin="code", requires=("bash",))
def missing_file(shop: Workshop) -> Fault:
    """A script reads a file that is not there."""
    suffix = shop.rng.choice(("yml", "json", "env", "txt", "csv", "toml"))
    path = f"{_folder(shop)}/{shop.names.module()}.{suffix}".removeprefix("./")
    line = shop.rng.choice(
        (
            f"head -n 3 {path}",
            f"cp {path} build.tmp",
            f"source ./{path}",
            f"wc -l < {path}",
            f"sort {path} -o sorted.txt",
            f"mv {path} {path}.bak",
            f"sed -i 's/a/b/' {path}",
            f"stat {path}",
        )
    )
    command, _ = script(shop, line)
    run = shop.failing(command)
    return Fault(run, (path,), path, f"File `{path}` is missing.", f"Add `{path}` or correct the path.")


@recipe("bash.syntax-error", tool="bash", category="compile_error", origin="code", requires=("bash",))
def syntax_error(shop: Workshop) -> Fault:
    """A script that bash cannot parse."""
    name, word = shop.names.noun(), shop.names.noun()
    lines, token = shop.rng.choice(
        (
            (f"for {name} in a b c\n  echo ${name}\ndone", "echo"),
            (f"if [ -d {name} ]; then\n  echo {word}\ndone", "done"),
            (f"{name}() {{\n  echo {word}\n)}}", ")"),
            (f"case {word} in\n  {name}) echo 1\n  x) echo 2 ;;\nesac", ")"),
            (f"while read {name}; do\n  echo ${name}\nfi < /dev/null", "fi"),
        )
    )
    path = f"scripts/{shop.names.function()}.sh"
    shop.write(path, "#!/bin/bash\n" + "\n".join([*chatter(shop), lines, *chatter(shop)]) + "\n")
    run = shop.failing(shop.rng.choice((f"bash {path}", f"bash -n {path}", f"bash -eu {path}")))
    return Fault(
        run,
        ("syntax error near unexpected token",),
        path,
        f"`{path}` does not parse: syntax error near `{token}`.",
        f"Correct the syntax in `{path}` before `{token}`.",
    )


@recipe("bash.not-executable", tool="bash", category="permission_or_secret", origin="code", requires=("bash",))
def not_executable(shop: Workshop) -> Fault:
    """A script lacks its executable bit."""
    folder, suffix = shop.rng.choice(("scripts", "ci", "bin", "tools")), shop.rng.choice((".sh", "", ".py"))
    path = f"./{folder}/{shop.names.module()}{suffix}"
    shop.write(path, "#!/bin/sh\necho ready\n")
    call = path + shop.rng.choice(("", " --all", f" {shop.names.noun()}"))
    command, _ = script(shop, call) if chance(shop, 0.6) else (call, "")
    run = shop.failing(command)
    return Fault(
        run, (f"{path}: Permission denied",), path, f"Permission denied: `{path}`.", f"Make `{path}` executable."
    )


@recipe(
    "coreutils.not-writable", tool="coreutils", category="permission_or_secret", origin="infra", requires=("setpriv",)
)
def not_writable(shop: Workshop) -> Fault:
    """The job's user may not write where the script writes."""
    folder, name = shop.rng.choice(("dist", "cache", "out", "reports", "var")), shop.names.module()
    path = f"{folder}/{name}.{shop.rng.choice(('log', 'txt', 'json', 'tar'))}"
    line = shop.rng.choice(
        (
            f"touch {path}",
            f"cp README.md {path}",
            f"mkdir {path}",
            f"tee {path} < README.md",
            f"ln -s README.md {path}",
            f"dd if=README.md of={path}",
        )
    )
    shop.write("README.md", f"# {shop.repo}\n")
    path_of = shop.write(
        "run.sh", "set -e\n" + "\n".join([*(x for x in chatter(shop) if "mkdir" not in x), line]) + "\n"
    )
    shop.quiet(f"mkdir {folder} && chmod 755 . {folder} && chmod 644 {path_of.name} README.md")
    user = shop.rng.choice((65534, 1001, 1500))
    run = shop.failing(f"setpriv --reuid {user} --regid {user} --clear-groups bash run.sh")
    return Fault(
        run,
        ("Permission denied",),
        path,
        f"Permission denied: `{path}`.",
        f"Give the job's user the right to write `{path}`.",
    )


@recipe("coreutils.disk-full", tool="coreutils", category="other", origin="infra", requires=("tar", "gzip"))
def disk_full(shop: Workshop) -> Fault:
    """No space is left on the device a tool writes to."""
    folder, suffix = (
        shop.rng.choice(("dist", "out", "artifacts", "cache")),
        shop.rng.choice(("tar", "bin", "img", "log")),
    )
    path = f"{folder}/{shop.names.module()}.{suffix}"
    shop.write("src/data.txt", "".join(f"{shop.names.function()}\n" for _ in range(9)) * 40)
    shop.quiet(f"mkdir -p $(dirname {path}) && ln -s /dev/full {path}")
    line = shop.rng.choice(
        (
            f"cp src/data.txt {path}",
            f"tar -cf {path} src",
            f"tee {path} < src/data.txt > /dev/null",
            f"dd if=src/data.txt of={path} bs=4k",
            f"sed -n 'w {path}' src/data.txt",
            f"tar -cvf {path} src",
        )
    )
    command, _ = script(shop, line)
    run = shop.failing(command)
    return Fault(
        run,
        ("No space left on device",),
        path,
        f"No space is left to write `{path}`.",
        f"Free space for `{path}` or use a larger disk.",
    )


@recipe(
    "coreutils.corrupt-archive", tool="coreutils", category="other", origin="external", requires=("gzip", "xz", "unzip")
)
def corrupt_archive(shop: Workshop) -> Fault:
    """A downloaded archive is cut short or is no archive at all."""
    stem = f"{shop.rng.choice(('vendor', 'downloads', 'third_party'))}/{shop.names.module()}-{shop.names.version()}"
    shop.write("body.txt", "".join(f"{shop.names.function()} {shop.names.version()}\n" for _ in range(60)))
    kind = shop.rng.choice(("gz", "xz", "zip", "html"))
    suffix = {"html": shop.rng.choice(("gz", "xz")), "zip": "zip"}.get(kind, kind)
    path = f"{stem}.{suffix}"
    if kind == "html":
        shop.write(path, f"<html><title>{shop.names.noun()} moved</title></html>\n")
    else:
        cut = shop.rng.randint(60, 200)
        shop.write(path, "")
        shop.quiet(
            f"{'xz' if kind == 'xz' else 'gzip'} -nc body.txt 2>/dev/null | head -c {cut} > {path}"
            if kind != "xz"
            else f"xz -c body.txt | head -c {cut} > {path}"
        )
    tool = (
        {"gz": "gzip -t", "xz": "xz -t", "zip": "unzip -q"}[suffix]
        if chance(shop, 0.6)
        else {"gz": "gunzip -k", "xz": "xz -dk", "zip": "unzip -t"}[suffix]
    )
    command, _ = script(shop, f"{tool} {path}")
    run = shop.failing(command)
    says = f"one of {path} or" if suffix == "zip" else f"{path}: "
    return Fault(run, (says,), path, f"Archive `{path}` is corrupt.", f"Download `{path}` again.")


@recipe("coreutils.checksum-mismatch", tool="coreutils", category="other", origin="external", requires=("sha256sum",))
def checksum_mismatch(shop: Workshop) -> Fault:
    """A file is not the one its checksum was taken of."""
    sums = shop.rng.choice(("sha256sum", "md5sum", "sha1sum", "sha512sum"))
    folder = shop.rng.choice(("", "vendor/", "downloads/"))
    files = [
        f"{folder}{shop.names.module()}-{shop.names.version()}.{shop.rng.choice(('tar.gz', 'whl', 'jar', 'bin'))}"
        for _ in range(shop.rng.randint(1, 7))
    ]
    for name in files:
        shop.write(name, shop.names.function())
    listing = shop.rng.choice(("checksums.txt", "SHASUMS", "vendor.lock"))
    shop.quiet(f"{sums} {' '.join(files)} > {listing}")
    bad = shop.rng.choice(files)
    shop.write(bad, shop.names.function())
    command, _ = script(shop, f"{sums} {shop.rng.choice(('-c', '--check', '--check --strict'))} {listing}")
    run = shop.failing(command)
    return Fault(
        run,
        (f"{bad}: FAILED",),
        bad,
        f"The checksum of `{bad}` does not match.",
        f"Download `{bad}` again or update its checksum.",
    )


@recipe("coreutils.timeout", tool="coreutils", category="timeout_or_oom", origin="infra", requires=("timeout",))
def timed_out(shop: Workshop) -> Fault:
    """A step runs longer than its limit."""
    path = (
        f"./{shop.rng.choice(('scripts', 'ci', 'tests', 'bench'))}/{shop.names.module()}{shop.rng.choice(('.sh', ''))}"
    )
    shop.write(path, "#!/bin/bash\n" + "\n".join(chatter(shop, 1)) + f"\nexec sleep {shop.rng.randint(30, 900)}\n")
    shop.quiet(f"chmod +x {path}")
    signal = shop.rng.choice(("", "", "-s INT ", "-s KILL "))
    call = f"timeout -v {signal}0.{shop.rng.randint(15, 40)}s {path}"
    command, _ = script(shop, call) if chance(shop, 0.5) else (call, "")
    run = shop.failing(command)
    return Fault(
        run,
        ("timeout: sending signal",),
        path,
        f"`{path}` exceeded its time limit.",
        f"Make `{path}` faster or raise its time limit.",
    )


@recipe("bash.cpu-limit", tool="bash", category="timeout_or_oom", origin="infra", requires=("perl",))
def cpu_limit(shop: Workshop) -> Fault:
    """A program burns all the CPU time its limit allows."""
    path = f"{shop.rng.choice(('tools', 'bench', 'scripts'))}/{shop.names.module()}.{shop.rng.choice(('pl', 'sh'))}"
    loop = (
        shop.rng.choice(("1 while 1;", "my $n = 0; while (1) { $n += 2 }"))
        if path.endswith("pl")
        else "while :; do :; done"
    )
    shop.write(path, f"{loop}\n")
    command, _ = script(shop, "ulimit -S -t 1", f"{'perl' if path.endswith('pl') else 'bash'} {path}\necho finished")
    run = shop.failing(command)
    return Fault(
        run, (path,), path, f"`{path}` exceeded its time limit.", f"Make `{path}` faster or raise its time limit."
    )


@recipe("bash.memory-limit", tool="bash", category="timeout_or_oom", origin="infra", requires=("dd", "shuf", "xz"))
def memory_limit(shop: Workshop) -> Fault:
    """A tool asks for more memory than its limit allows."""
    path, large = f"data/{shop.names.module()}.txt", shop.rng.randint(300, 900)
    shop.write(path, "".join(f"{shop.names.function()}\n" for _ in range(30)))
    line, says, subject = shop.rng.choice(
        (
            (f"dd if={path} of={path}.raw bs={large}M", "dd: memory exhausted", "dd"),
            (f"shuf -i 1-{large}000000 -n {large}00000 -o sample.txt", "shuf: memory exhausted", "shuf"),
            (f"xz -9k {path}", "Cannot allocate memory", "xz"),
        )
    )
    command, _ = script(shop, f"ulimit -v {shop.rng.randint(40, 64)}000", line)
    run = shop.failing(command)
    return Fault(run, (says,), subject, f"`{subject}` ran out of memory.", f"Give `{subject}` more memory.")


@recipe("bash.killed", tool="bash", category="timeout_or_oom", origin="infra", transient=True, requires=("bash",))
def killed(shop: Workshop) -> Fault:
    """A program is killed from outside, as the kernel does when memory runs out."""
    path = f"./{shop.rng.choice(('bin', 'tools', 'build', 'tests'))}/{shop.names.module()}"
    shop.write(path, "#!/bin/bash\n" + "\n".join(chatter(shop, 1)) + "\nkill -KILL $$\n")
    shop.quiet(f"chmod +x {path}")
    warm_up(shop, "bash --version | head -n 1", f"test -x {path} && echo ok")
    command, _ = script(shop, shop.rng.choice((f"{path} --jobs {shop.rng.randint(2, 16)}", path)) + "\necho finished")
    run = shop.failing(command)
    return Fault(
        run,
        ("Killed",),
        path,
        f"`{path}` was killed: it probably ran out of memory.",
        f"Give `{path}` more memory and run it again.",
    )
