"""Maps the four folders to ``understudy.*``, which pyproject.toml alone cannot say; all else stands there."""

from setuptools import find_namespace_packages, setup

_ROOTS = ("core", "templates", "evals", "integrations")

setup(
    packages=[
        f"understudy.{name}" for root in _ROOTS for name in find_namespace_packages(".", include=[root, f"{root}.*"])
    ]
)
