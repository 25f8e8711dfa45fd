"""The recipes' own tools at exact versions: ``python -m understudy.templates.log_triage.foundry --toolbox``.

Everything else (gcc, make, cmake, ninja, git, cargo, javac, maven, node, shellcheck, buildah ...) is taken from the
system where it is there; recipes whose tools are missing are skipped by name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["install", "search_path", "toolbox_folder"]

_PYTHON = (
    "bandit==1.9.4",
    "black==26.10.1",
    "build==1.6.1",
    "check-jsonschema==0.39.0",
    "coverage==7.17.3",
    "djlint==1.49.9",
    "flake8==7.5.0",
    "isort==9.0.2",
    "mypy==2.4.1",
    "pylint==4.1.4",
    "pytest==9.2.0",
    "pytest-timeout==2.4.0",
    "ruff==0.17.5",
    "setuptools",
    "twine==7.0.0",
    "wheel",
    "yamllint==1.38.0",
)
_NODE = (
    "@eslint/js@9.39.5",
    "esbuild@0.28.2",
    "eslint@9.39.5",
    "jest@29.7.0",
    "markdownlint-cli@0.48.0",
    "mocha@11.8.0",
    "prettier@3.10.1",
    "stylelint@16.26.1",
    "typescript@5.9.3",
    "webpack@5.112.2",
    "webpack-cli@7.3.1",
)


def toolbox_folder() -> Path:
    """Return where the tools are installed: ``UNDERSTUDY_TOOLBOX``, else a folder below ``~/.cache``."""
    return Path(os.environ.get("UNDERSTUDY_TOOLBOX", Path.home() / ".cache" / "understudy" / "toolbox"))


def search_path() -> list[Path]:
    """Return the folders that are searched for tools before those of the system."""
    tools = toolbox_folder()
    return [tools / "python" / "bin", tools / "node" / "node_modules" / ".bin", Path.home() / ".cargo" / "bin"]


def install() -> None:
    """Install the pinned tools, about 400 MB; what is there already at the right version stays.

    Raises:
        subprocess.CalledProcessError: pip or npm failed; it has said why.
    """
    python, node = toolbox_folder() / "python", toolbox_folder() / "node"
    if not (python / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(python)], check=True)
    subprocess.run([str(python / "bin" / "python"), "-m", "pip", "install", "--quiet", *_PYTHON], check=True)
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not installed: the recipes of the node tools will be skipped", file=sys.stderr)
        return
    node.mkdir(parents=True, exist_ok=True)
    subprocess.run([npm, "install", "--silent", "--prefix", str(node), *_NODE], check=True)
