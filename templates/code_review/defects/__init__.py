"""Truth by construction: real functions, one known defect introduced as a diff, and clean diffs of the same shapes.

Start reading in ``registry.py``. Building needs LibCST (the ``dev`` extra); whoever reads what was built does not.
"""

from __future__ import annotations

from understudy.templates.code_review.defects.generate import Tally, specimens
from understudy.templates.code_review.defects.records import Category, Finding, Severity, Specimen
from understudy.templates.code_review.defects.registry import Operator, all_operators
from understudy.templates.code_review.defects.source import Source, installed_packages, standard_library

__all__ = [
    "OPERATORS",
    "Category",
    "Finding",
    "Operator",
    "Severity",
    "Source",
    "Specimen",
    "Tally",
    "installed_packages",
    "specimens",
    "standard_library",
]

OPERATORS: tuple[Operator, ...] = tuple(all_operators().values())
"""Every operator, in the order of the names."""
