"""What reviewers would remark on in code as it stands; such code is not used where it would count as clean."""

from __future__ import annotations

import re

__all__ = ["smell"]

_SMELLS = re.compile(
    r"""
    ^[ ]*except\s*: | ^[ ]*except[ ](Base)?Exception\b.*:\s*(\n[ ]*)?pass$
    | [=!]=[ ](None|True|False)\b | \bis[ ](not[ ])?["'\d] | \btype\([^()]*\)[ ](==|is)[ ]
    | \b(TODO|FIXME|XXX|HACK)\b | ^[ ]*print\( | ^[ ]*global[ ]
    | \bpickle\.loads?\( | \b(eval|exec)\( | \bos\.(system|popen)\( | shell=True | \bmktemp\(
    | \b(md5|sha1)\b | \bimport[ ]\* | ^[ ]*assert[ ]*\( | \bverify=False
    | ^[ ]*def[ ].*=[ ]?(\[|\{|list\(|dict\(|set\() | \bnot[ ][\w.]+[ ](in|is)[ ]
    | ^[ ]*\#[ ]*(if|for|def|return|import|print|self\.|\w+[ ]=|\w+\()
    | \.warn\( | \bexcept[ ](Base)?Exception\b
    | assertRaises\(Exception\b | \.readlines\(\) | \bsorted\([^()]*\)\[ | \.pop\(0\)
    | \blogg(er|ing)\.\w+\(f["'] | \btime\.sleep\(
    | \b(id|type|list|dict|str|input|filter|map|object|bytes|hash|max|min|sum|len|all|any|next|dir|vars)[ ]=[ ]
    | ^[ ]*[a-z]+[A-Z]\w*[ ]=[ ] | ^[ ]*[lOI][ ]=[ ] | ^[ ]*\w+[ ]=[ ]open\( | \.acquire\(\)$
    | \b(urlopen|create_connection)\((?!.*timeout) | ^[ ]*\w+[ ]=[ ]lambda | ;[ ]*\w+
    """,
    re.MULTILINE | re.VERBOSE,
)


def smell(text: str) -> str | None:
    """Return the first piece of the text that a reviewer might remark on, or None."""
    found = _SMELLS.search(text)
    return found[0] if found else None
