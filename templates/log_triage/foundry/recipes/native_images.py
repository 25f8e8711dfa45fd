"""Image builds that fail before anything runs in a container: buildah without a daemon, a network or privileges."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, closed_port

__all__: list[str] = []

_BASES = (
    "alpine:3.20",
    "debian:12-slim",
    "python:3.12-slim",
    "node:20-alpine",
    "golang:1.22",
    "ubuntu:24.04",
    "nginx:1.27",
)


def _environment(shop: Workshop) -> dict[str, str]:
    """Settings that keep every image of the sample below its own home folder."""
    settings, lookup = shop.home / "storage.conf", shop.home / "registries.conf"
    folder = shop.home / "containers"
    settings.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/images"\n', encoding="utf-8"
    )
    lookup.write_text('unqualified-search-registries = []\nshort-name-mode = "permissive"\n', encoding="utf-8")
    return {
        "CONTAINERS_STORAGE_CONF": str(settings),
        "CONTAINERS_REGISTRIES_CONF": str(lookup),
        "TMPDIR": str(shop.home),
    }


def _base(shop: Workshop) -> str:
    """``scratch``, or an empty local image that stands for a popular one."""
    if chance(shop, 0.5):
        return "scratch"
    base = shop.rng.choice(_BASES)
    shop.write("../Basefile", "FROM scratch\nLABEL kind=base\n")
    shop.quiet(f"buildah build -q -t docker.io/library/{base} -f ../Basefile ..", env=_environment(shop))
    return f"docker.io/library/{base}"


def _sound(shop: Workshop, least: int = 0) -> list[str]:
    """Instructions that work, the files they copy written."""
    lines = []
    for _ in range(shop.rng.randint(least, 4)):
        name = f"{shop.names.module()}.{shop.rng.choice(('py', 'txt', 'js', 'toml'))}"
        kind = shop.rng.randrange(5)
        if kind == 0:
            shop.write(name, f"# {shop.names.noun()}\n")
        lines.append(
            (
                f"COPY {name} /app/{name}",
                f"ENV {shop.names.constant()}={shop.rng.randint(1, 99)}",
                f"LABEL {shop.names.noun()}={shop.names.version()}",
                f"WORKDIR /{shop.names.noun()}",
                f"EXPOSE {shop.rng.randint(3000, 9000)}",
            )[kind]
        )
    return lines


def _file(shop: Workshop, *lines: str) -> str:
    """Write the Containerfile, with a comment or two, and return its path."""
    path = shop.rng.choice(
        ("Dockerfile", "Dockerfile", "Containerfile", "docker/Dockerfile", f"{shop.names.noun()}.Dockerfile")
    )
    head = [f"# {shop.names.noun()} image, see docs/{shop.names.module()}.md"] if chance(shop, 0.4) else []
    shop.write(path, "\n".join([*head, *lines]) + "\n")
    shop.write("README.md", f"# {shop.repo}\n")
    return path


def _build(shop: Workshop, path: str, options: str = "") -> Step:
    tag = f"-t {shop.repo}:{shop.rng.choice(('latest', 'ci', shop.names.version()))}" if chance(shop, 0.6) else ""
    where = "" if path in ("Dockerfile", "Containerfile") else f"-f {path}"
    words = [
        "buildah",
        shop.rng.choice(("build", "bud")),
        tag,
        where,
        options,
        shop.rng.choice(("", "--layers", "--no-cache")),
        ".",
    ]
    if chance(shop, 0.3):
        shop.passing("buildah --version")
    return shop.failing(" ".join(word for word in words if word), env=_environment(shop))


@recipe("image.missing-source", tool="buildah", category="docker_build", origin="code", requires=("buildah",))
def missing_source(shop: Workshop) -> Fault:
    """COPY or ADD names a file that is not in the build context."""
    name = shop.rng.choice(
        (
            f"{shop.names.module()}.{shop.rng.choice(('txt', 'json', 'lock', 'sh'))}",
            f"dist/{shop.names.module()}",
            f"{shop.names.noun()}/{shop.names.module()}.conf",
        )
    )
    line = f"{shop.rng.choice(('COPY', 'COPY', 'ADD'))} {name} /{shop.rng.choice(('app/', 'etc/', 'srv/', 'opt/'))}"
    path = _file(shop, f"FROM {_base(shop)}", *_sound(shop), line, *_sound(shop))
    run = _build(shop, path)
    return Fault(
        run,
        (f'stat: "/{name}"',),
        name,
        f"The image build fails: `{name}` is missing.",
        f"Add `{name}` to the build context or correct its path.",
    )


@recipe("image.unknown-instruction", tool="buildah", category="docker_build", origin="code", requires=("buildah",))
def unknown_instruction(shop: Workshop) -> Fault:
    """An instruction is misspelled."""
    word = shop.rng.choice(
        ("COPPY", "COPYY", "ENVV", "LABLE", "WORKDIRR", "EXPOSED", "ENTRY_POINT", "INSTALL", "IMPORT", "CMDS", "RUNN")
    )
    path = _file(
        shop, f"FROM {_base(shop)}", *_sound(shop), f"{word} {shop.names.module()} /{shop.names.noun()}", *_sound(shop)
    )
    run = _build(shop, path)
    return Fault(
        run,
        (f'Unknown instruction: "{word}"',),
        word,
        f"The image build fails: `{word}` is no instruction.",
        f"Correct the instruction `{word}`.",
    )


@recipe("image.unknown-stage", tool="buildah", category="docker_build", origin="code", requires=("buildah",))
def unknown_stage(shop: Workshop) -> Fault:
    """COPY --from names a stage that does not exist."""
    stages = [shop.names.noun() for _ in range(shop.rng.randint(1, 3))]
    wrong = shop.rng.choice((shop.names.noun(), f"{stages[0]}s", f"{shop.names.noun()}-builder"))
    lines = [line for stage in stages for line in (f"FROM scratch AS {stage}", *_sound(shop), "")]
    path = _file(shop, *lines, f"FROM {_base(shop)}", *_sound(shop), f"COPY --from={wrong} /{shop.names.noun()} /app/")
    run = _build(shop, path)
    return Fault(
        run,
        (f"COPY --from={wrong}: no stage or image",),
        wrong,
        f"The image build fails: stage `{wrong}` is missing.",
        f"Add the stage `{wrong}` or correct its name.",
    )


@recipe("image.unknown-target", tool="buildah", category="docker_build", origin="config", requires=("buildah",))
def unknown_target(shop: Workshop) -> Fault:
    """The build asks for a target stage that does not exist."""
    stages = [shop.names.noun() for _ in range(shop.rng.randint(1, 4))]
    wrong = shop.rng.choice((shop.names.noun(), f"{stages[-1]}-release", "production"))
    path = _file(shop, *[line for stage in stages for line in (f"FROM scratch AS {stage}", *_sound(shop))])
    run = _build(shop, path, f"--target {wrong}")
    return Fault(
        run,
        (f'The target "{wrong}" was not found',),
        wrong,
        f"The image build fails: stage `{wrong}` is missing.",
        f"Add the stage `{wrong}` or correct its name.",
    )


@recipe("image.missing-containerfile", tool="buildah", category="docker_build", origin="config", requires=("buildah",))
def missing_containerfile(shop: Workshop) -> Fault:
    """The Dockerfile itself is not there."""
    written = _file(shop, f"FROM {_base(shop)}", *_sound(shop))
    path = shop.rng.choice(
        (
            f"{shop.names.noun()}/Dockerfile",
            f"deploy/{shop.names.module()}.Dockerfile",
            f"Dockerfile.{shop.names.noun()}",
        )
    )
    if chance(shop, 0.4):
        shop.passing(f"wc -l {written}")
    run = _build(shop, path)
    return Fault(
        run,
        (f"{path}: no such file or directory",),
        path,
        f"The image build fails: `{path}` is missing.",
        f"Add `{path}` or correct the path.",
    )


@recipe("image.invalid-reference", tool="buildah", category="docker_build", origin="code", requires=("buildah",))
def invalid_reference(shop: Workshop) -> Fault:
    """FROM names something that can be no image."""
    noun, version = shop.names.noun(), shop.names.version()
    name = shop.rng.choice(
        (
            f"{noun.capitalize()}:{version}",
            f"{noun}:{version}:slim",
            f"docker.io/{noun}//{shop.names.noun()}",
            f"{noun}:-{version}",
            f"registry.example.com/{noun.upper()}/base:{version}",
        )
    )
    path = _file(shop, f"FROM {name}", *_sound(shop, 1))
    run = _build(shop, path)
    return Fault(
        run,
        (f"FROM {name}", "Error: creating build container: "),
        name,
        f"The image build fails: `{name}` is no valid image name.",
        f"Correct the image name `{name}`.",
    )


@recipe("image.unknown-base", tool="buildah", category="docker_build", origin="dependency", requires=("buildah",))
def unknown_base(shop: Workshop) -> Fault:
    """The base image is neither here nor in a registry at hand."""
    nouns = f"{shop.names.noun()}/{shop.names.noun()}"
    name = f"{shop.rng.choice((shop.names.package(), f'{shop.names.noun()}-base', nouns))}:{shop.names.version()}"
    local = chance(shop, 0.5)
    base = f"localhost/{name}" if local else name
    path = _file(shop, f"FROM {base}", *_sound(shop, 1))
    run = _build(shop, path, "--pull=never" if local else "")
    return Fault(
        run,
        (f"Error: creating build container: {base}" if local else f'short-name "{name}"',),
        base,
        f"The image build fails: `{base}` is missing.",
        f"Build or publish `{base}`, or correct its name.",
    )


@recipe("image.missing-argument", tool="buildah", category="docker_build", origin="config", requires=("buildah",))
def missing_argument(shop: Workshop) -> Fault:
    """FROM uses a build argument that was not passed."""
    name = shop.rng.choice(
        (f"{shop.names.noun().upper()}_IMAGE", f"BASE_{shop.names.noun().upper()}", shop.names.constant())
    )
    use = shop.rng.choice((f"${name}", f"${{{name}}}"))
    path = _file(shop, f"ARG {name}", f"FROM {use}", *_sound(shop, 1))
    run = _build(shop, path, shop.rng.choice(("", f"--build-arg {shop.names.constant()}={shop.names.version()}")))
    return Fault(
        run,
        (f'missing \\"{name}\\" build argument', "no FROM statement found"),
        name,
        f"The image build fails: build argument `{name}` is not set.",
        f"Pass a value for `{name}`.",
    )


@recipe("image.bad-arguments", tool="buildah", category="docker_build", origin="code", requires=("buildah",))
def bad_arguments(shop: Workshop) -> Fault:
    """An instruction has too few arguments or arguments of the wrong shape."""
    word, noun = (
        shop.rng.choice(
            (
                "WORKDIR",
                "USER",
                "LABEL",
                "VOLUME",
                "MAINTAINER",
                "SHELL",
                "HEALTHCHECK",
                "ENV",
                "STOPSIGNAL",
                "ONBUILD",
                "COPY",
            )
        ),
        shop.names.noun(),
    )
    line, says = {
        "SHELL": (f"SHELL /bin/{noun}", "SHELL requires the arguments to be in JSON form"),
        "HEALTHCHECK": (f"HEALTHCHECK {noun.upper()} /bin/true", f'Unknown type "{noun.upper()}" in HEALTHCHECK'),
        "ENV": (f"ENV {shop.names.constant()}", "ENV must have two arguments"),
        "STOPSIGNAL": (f"STOPSIGNAL {noun.upper()}", f'at STEP "STOPSIGNAL {noun.upper()}"'),
        "ONBUILD": (f"ONBUILD FROM {noun}", "an ONBUILD trigger"),
        "COPY": (f"COPY --{noun}=1 README.md /app/", "COPY only supports the"),
    }.get(word, (word, f"{word} requires "))
    path = _file(shop, f"FROM {_base(shop)}", *_sound(shop), line, *_sound(shop))
    run = _build(shop, path)
    return Fault(
        run,
        (says,),
        word,
        f"The image build fails: the arguments of `{word}` are wrong.",
        f"Correct the arguments of `{word}`.",
    )


@recipe("image.unknown-user", tool="buildah", category="docker_build", origin="code", requires=("buildah",))
def unknown_user(shop: Workshop) -> Fault:
    """Files are to belong to a user the image does not have."""
    user = shop.rng.choice((shop.names.noun(), f"{shop.names.noun()}-svc", f"app{shop.rng.randint(1, 9)}"))
    owner = shop.rng.choice((user, f"{user}:{shop.names.noun()}", f"{user}:0"))
    path = _file(
        shop,
        f"FROM {_base(shop)}",
        *_sound(shop),
        f"{shop.rng.choice(('COPY', 'ADD'))} --chown={owner} README.md /app/",
        *_sound(shop),
    )
    run = _build(shop, path)
    return Fault(
        run,
        (f'looking up user "{user}"',),
        user,
        f"The image build fails: user `{user}` is missing.",
        f"Create `{user}` in the image before it is used.",
    )


@recipe(
    "image.unreachable-registry",
    tool="buildah",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("buildah",),
)
def unreachable_registry(shop: Workshop) -> Fault:
    """The registry of the base image does not resolve."""
    host = shop.names.host()
    path = _file(
        shop, f"FROM {host}/{shop.names.noun()}/{shop.names.module()}:{shop.names.version()}", *_sound(shop, 1)
    )
    run = (
        _build(shop, path)
        if chance(shop, 0.6)
        else shop.failing(f"buildah pull {host}/{shop.names.noun()}:{shop.names.version()}", env=_environment(shop))
    )
    return Fault(
        run, (f"lookup {host}",), host, f"Host `{host}` cannot be reached.", f"Run again or check the name `{host}`."
    )


@recipe(
    "image.unreachable-download",
    tool="buildah",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("buildah",),
)
def unreachable_download(shop: Workshop) -> Fault:
    """ADD downloads from a server that does not answer."""
    host = shop.names.host() if chance(shop, 0.5) else f"127.0.0.1:{closed_port(shop)}"
    url = f"{shop.rng.choice(('http', 'https'))}://{host}/{shop.names.module()}-{shop.names.version()}.tar.gz"
    path = _file(shop, f"FROM {_base(shop)}", *_sound(shop), f"ADD {url} /opt/", *_sound(shop))
    run = _build(shop, path)
    return Fault(
        run,
        (f'reading "{url}"',),
        host,
        f"Host `{host}` cannot be reached.",
        f"Run again or check the server `{host}`.",
    )
