"""Dependencies that pip cannot resolve, verify or build, offline: every index is a folder of hand-made wheels."""

from __future__ import annotations

import hashlib
import zipfile

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line

__all__ = ["write_wheel"]

_PIP = ("pip", "make")


def write_wheel(
    shop: Workshop,
    folder: str,
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    python: str = "",
    tag: str = "py3-none-any",
    description: str = "",
) -> str:
    """Write a minimal wheel, the same bytes for the same arguments, and return its path in the project."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    metadata += f"Requires-Python: {python}\n" if python else ""
    metadata += f"Description-Content-Type: text/x-rst\n\n{description}" if description else ""
    files = {
        f"{stem}/__init__.py": f'__version__ = "{version}"\n',
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = f"{folder}/{stem}-{version}-{tag}.whl"
    target = shop.write(path, "")
    with zipfile.ZipFile(target, "w") as archive:
        for member, text in files.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


class _Shelf:
    """A project with a folder of wheels that ``pip install`` is pointed at."""

    def __init__(self, shop: Workshop) -> None:
        self.shop, self.project = shop, Project(shop)
        self.folder = shop.rng.choice(("wheelhouse", "vendor", "third_party/wheels", "dist/deps"))
        self.others: list[str] = []
        for _ in range(shop.rng.randint(1, 4)):
            name, version = shop.names.package(), shop.names.version()
            write_wheel(shop, self.folder, name, version)
            self.others.append(shop.rng.choice((name, f"{name}=={version}", f"{name}<=99")))

    def install(self, *wanted: str, flags: str = "", passing: bool = True) -> Step:
        """Install ``wanted`` among the others, from the command line or a requirements file."""
        rng, shop = self.shop.rng, self.shop
        if passing and rng.random() < 0.4:
            shop.passing(
                f"pip install --no-index --find-links {self.folder} --target "
                f".libs {rng.choice(self.others).split('=')[0].split('<')[0]}"
            )
        else:
            self.project.warm_up()
        source = f"--no-index --find-links {self.folder}"
        if rng.random() < 0.6:
            lines = [*self.others, *wanted]
            rng.shuffle(lines)
            file = rng.choice(
                ("requirements.txt", "requirements/ci.txt", "requirements-dev.txt", "constraints/build.txt")
            )
            shop.write(file, "\n".join(lines) + "\n")
            what = f"-r {file}"
        else:
            what = " ".join(f"'{each}'" if set("<>!~ ;") & set(each) else each for each in wanted)
        program = rng.choice(("pip", "python -m pip"))
        return self.project.fail(
            " ".join(f"{program} install {flags} {source} {what}".split()), env={"PIP_TARGET": "libs"}
        )


def _not_installed(step: Step, lines: tuple[str, ...], name: str, why: str, fix: str) -> Fault:
    return Fault(step, lines, name, f"Dependency `{name}` cannot be installed: {why}.", fix)


@recipe("pip.no-distribution", tool="pip", category="dependency_install", origin="dependency", requires=_PIP)
def no_distribution(shop: Workshop) -> Fault:
    """No source offers the package at all."""
    shelf, name = _Shelf(shop), shop.names.package()
    wanted = shop.rng.choice((name, f"{name}=={shop.names.version()}", f"{name}>={shop.rng.randint(1, 9)}"))
    if shop.rng.random() < 0.3:  # asked for by another package
        parent = shop.names.package()
        write_wheel(shop, shelf.folder, parent, "1.0", requires=(wanted,))
        wanted = parent
    step = shelf.install(wanted)
    lines = (
        find_line(step, "ERROR: Could not find a version", name),
        find_line(step, "ERROR: No matching distribution", name),
    )
    return _not_installed(
        step, lines, name, "no matching distribution", f"Correct the name `{name}` or add the index that has it."
    )


@recipe("pip.no-version", tool="pip", category="dependency_install", origin="dependency", requires=_PIP)
def no_version(shop: Workshop) -> Fault:
    """The package exists, the wanted version does not."""
    shelf, name, rng = _Shelf(shop), shop.names.package(), shop.rng
    for minor in range(rng.randint(1, 4)):
        write_wheel(shop, shelf.folder, name, f"{rng.randint(1, 3)}.{minor}.{rng.randint(0, 9)}")
    wanted = rng.choice(
        (
            f"{name}=={rng.randint(4, 9)}.{rng.randint(0, 9)}.0",
            f"{name}>={rng.randint(4, 9)}.1",
            f"{name}~={rng.randint(4, 9)}.2",
            f"{name}<0.9",
        )
    )
    step = shelf.install(wanted)
    lines = (
        find_line(step, "ERROR: Could not find a version", name),
        find_line(step, "ERROR: No matching distribution", name),
    )
    return _not_installed(step, lines, name, "no matching version", f"Ask for a version of `{name}` that exists.")


@recipe("pip.conflict", tool="pip", category="dependency_install", origin="dependency", requires=_PIP)
def conflict(shop: Workshop) -> Fault:
    """Two packages want versions of a third that exclude each other."""
    shelf, rng = _Shelf(shop), shop.rng
    shared, one, two = shop.names.package(), shop.names.package(), shop.names.package()
    low = rng.randint(1, 5)
    for major in (low, low + 1):
        write_wheel(shop, shelf.folder, shared, f"{major}.0")
    write_wheel(shop, shelf.folder, one, "1.4", requires=(f"{shared}<{low + 1}",))
    write_wheel(shop, shelf.folder, two, "2.1", requires=(f"{shared}>={low + 1}",))
    direct = rng.random() < 0.4
    step = shelf.install(one, f"{shared}=={low + 1}.0" if direct else two)
    by = "The user requested" if direct else f"    {two} "
    first, second = find_line(step, f"    {one} ", "depends on"), find_line(step, "    ", by.strip(), shared)
    lines = (find_line(step, "ERROR: Cannot install"), first, second)
    return _not_installed(
        step, lines, shared, "the wanted versions conflict", f"Loosen the versions of `{shared}` that are asked for."
    )


@recipe("pip.requires-python", tool="pip", category="dependency_install", origin="dependency", requires=_PIP)
def requires_python(shop: Workshop) -> Fault:
    """The package wants another Python."""
    shelf, name, rng = _Shelf(shop), shop.names.package(), shop.rng
    wants, version = (
        rng.choice((f">=3.{rng.randint(13, 19)}", f"<3.{rng.randint(7, 10)}", "==2.7.*")),
        shop.names.version(),
    )
    path = write_wheel(shop, shelf.folder, name, version, python=wants)
    step = shelf.install(rng.choice((f"./{path}", name, f"{name}=={version}")))
    line = find_line(step, "ERROR: Package ", name)
    return _not_installed(step, (line,), name, "it requires another Python", f"Use a Python that `{name}` supports.")


@recipe("pip.hash-mismatch", tool="pip", category="dependency_install", origin="dependency", requires=_PIP)
def hash_mismatch(shop: Workshop) -> Fault:
    """A pinned hash is not the hash of the file, or one file has none."""
    shelf, name, version = _Shelf(shop), shop.names.package(), shop.names.version()
    shelf.others.clear()
    path = write_wheel(shop, shelf.folder, name, version)
    if shop.rng.random() < 0.6:
        other = hashlib.sha256(shop.repo.encode()).hexdigest()
        shop.write("requirements.txt", f"{name}=={version} --hash=sha256:{other}\n")
        head, why = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "its hash does not match"
    else:
        right = hashlib.sha256((shop.root / path).read_bytes()).hexdigest()
        extra = shop.names.package()
        write_wheel(shop, shelf.folder, extra, "1.0")
        shop.write("requirements.txt", f"{extra}==1.0\n{name}=={version} --hash=sha256:{right}\n")
        name, head, why = extra, "ERROR: Hashes are required in --require-hashes mode", "its hash is missing"
    shelf.project.warm_up()
    step = shelf.project.fail(
        f"pip install --no-index --find-links {shelf.folder} -r requirements.txt", env={"PIP_TARGET": "libs"}
    )
    lines = (find_line(step, head), find_line(step, "    ", f"{name}=="))
    return _not_installed(step, lines, name, why, f"Check the file of `{name}` and update its hash.")


@recipe("pip.build-error", tool="pip", category="dependency_install", origin="dependency", requires=_PIP)
def build_error(shop: Workshop) -> Fault:
    """The package's own ``setup.py`` fails while it is built."""
    project, rng, name = Project(shop), shop.rng, shop.names.package()
    missing = shop.names.package().replace("-", "_")
    program, file = f"{shop.names.noun()}-config", f"{shop.names.noun().upper()}.rst"
    error, subject, line = rng.choice(
        (
            ("ModuleNotFoundError", missing, f"import {missing}"),
            ("RuntimeError", program, f'raise RuntimeError("{program} was not found, install its headers first")'),
            ("FileNotFoundError", file, f'open("{file}").read()'),
        )
    )
    folder = f"{rng.choice(('vendor', 'libs', 'packages'))}/{name}"
    shop.write(
        f"{folder}/setup.py",
        f'from setuptools import setup\n\n{line}\n\nsetup(name="{name}", version="{shop.names.version()}")\n',
    )
    project.warm_up()
    step = project.fail(f"pip install --no-build-isolation --no-index ./{folder}", env={"PIP_TARGET": "libs"})
    shown = find_line(step, f"      {error}: ", subject)
    cause = f"A dependency cannot be installed: its build needs `{subject}`."
    return Fault(step, (shown,), subject, cause, f"Provide `{subject}` before the build.")


@recipe("pip.requirements-file-missing", tool="pip", category="other", origin="config", requires=_PIP)
def requirements_file_missing(shop: Workshop) -> Fault:
    """The requirements file that the command names does not exist."""
    project, rng = Project(shop), shop.rng
    file = rng.choice(
        (
            f"requirements-{shop.names.noun()}.txt",
            f"requirements/{shop.names.noun()}.txt",
            f"{shop.names.noun()}/requirements.txt",
        )
    )
    shop.write("requirements.txt", "pytest\n")
    wanted = f"-r {file}"
    if rng.random() < 0.3:
        shop.write("requirements.txt", f"pytest\n-r {file}\n")
        wanted = "-r requirements.txt"
    project.warm_up()
    step = project.fail(
        f"{rng.choice(('pip', 'python -m pip'))} install "
        f"{rng.choice(('', '--no-index', '--no-deps', '--upgrade'))} {wanted}"
    )
    return Fault(
        step,
        (find_line(step, "ERROR: Could not open requirements file", file),),
        file,
        f"File `{file}` is missing.",
        f"Add `{file}` or correct its path.",
    )


@recipe("pip.invalid-requirement", tool="pip", category="dependency_install", origin="config", requires=_PIP)
def invalid_requirement(shop: Workshop) -> Fault:
    """One line of a requirements file cannot be read."""
    shelf, rng, name = _Shelf(shop), shop.rng, shop.names.package()
    bad = rng.choice(
        (f"{name}=1.{rng.randint(0, 9)}", f"{name}==>2", f"{name} 3.{rng.randint(0, 9)}", f"{name}!1", f"{name}[fast")
    )
    file = rng.choice(("requirements.txt", "requirements-dev.txt", "requirements/test.txt"))
    lines = [*shelf.others, bad]
    rng.shuffle(lines)
    shop.write(file, "\n".join(lines) + "\n")
    shelf.project.warm_up()
    step = shelf.project.fail(
        f"pip install --no-index --find-links {shelf.folder} -r {file}", env={"PIP_TARGET": "libs"}
    )
    line = find_line(step, "ERROR: Invalid requirement: ", name)
    return _not_installed(step, (line,), name, "its requirement is invalid", f"Correct the line about `{name}`.")


@recipe("pip.unsupported-wheel", tool="pip", category="dependency_install", origin="dependency", requires=_PIP)
def unsupported_wheel(shop: Workshop) -> Fault:
    """A wheel was made for another platform, or is no archive at all."""
    shelf, rng, name = _Shelf(shop), shop.rng, shop.names.package()
    tag = rng.choice(
        ("cp39-cp39-win_amd64", "cp312-cp312-macosx_11_0_arm64", "cp38-cp38-manylinux1_i686", "py2-none-any")
    )
    path = write_wheel(shop, shelf.folder, name, shop.names.version(), tag=tag)
    step = shelf.install(f"./{path}", flags=rng.choice(("", "--no-deps")))
    file = path.rsplit("/", 1)[1]
    line = find_line(step, "ERROR: ", file, "is not a supported wheel on this platform")
    return _not_installed(step, (line,), file, "wrong platform", "Use a wheel that was built for this platform.")
