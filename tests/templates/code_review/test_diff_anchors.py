"""Where GitHub takes a comment: written down by hand from a pull request page, not computed."""

from __future__ import annotations

from understudy.templates.code_review.diff import Anchor, read_patch

PATCH = b"""diff --git a/app.py b/app.py
index 1..2 100644
--- a/app.py
+++ b/app.py
@@ -1,4 +1,5 @@
 import os
-import sys
+import re
+import json
 
 def main():
@@ -20,3 +21,2 @@ def helper():
     a = 1
-    b = 2
     return a
diff --git a/old.py b/new.py
similarity index 90%
rename from old.py
rename to new.py
index 1..2 100644
--- a/old.py
+++ b/new.py
@@ -7 +7 @@
-x = 1
+x = 2
\\ No newline at end of file
diff --git a/gone.py b/gone.py
deleted file mode 100644
index 1..0
--- a/gone.py
+++ /dev/null
@@ -1,2 +0,0 @@
-one
-two
diff --git a/fresh.py b/fresh.py
new file mode 100644
index 0..1
--- /dev/null
+++ b/fresh.py
@@ -0,0 +1 @@
+one
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git a/logo.png b/logo.png
index 1..2 100644
Binary files a/logo.png and b/logo.png differ
"""

EXPECTED = {
    *(("app.py", "RIGHT", line) for line in (1, 2, 3, 4, 5, 21, 22)),
    *(("app.py", "LEFT", line) for line in (2, 21)),
    ("new.py", "LEFT", 7),
    ("new.py", "RIGHT", 7),
    ("gone.py", "LEFT", 1),
    ("gone.py", "LEFT", 2),
    ("fresh.py", "RIGHT", 1),
}


def test_the_commentable_lines_are_exactly_those_of_the_page() -> None:
    patch = read_patch(PATCH)
    assert patch.commentable() == EXPECTED
    assert sum(len(file.anchors()) for file in patch.files) == len(EXPECTED)


def test_they_come_in_the_order_of_the_page() -> None:
    assert read_patch(PATCH).files[0].anchors() == [
        Anchor("app.py", "RIGHT", 1),
        Anchor("app.py", "LEFT", 2),
        Anchor("app.py", "RIGHT", 2),
        Anchor("app.py", "RIGHT", 3),
        Anchor("app.py", "RIGHT", 4),
        Anchor("app.py", "RIGHT", 5),
        Anchor("app.py", "RIGHT", 21),
        Anchor("app.py", "LEFT", 21),
        Anchor("app.py", "RIGHT", 22),
    ]


def test_a_range_begins_before_it_ends_on_one_side_of_one_hunk() -> None:
    app, *_ = read_patch(PATCH).files
    first, second = app.hunks
    assert app.hunk_at("RIGHT", 1, 5) is first
    assert app.hunk_at("RIGHT", 21, 22) is second
    assert app.hunk_at("LEFT", 21) is second
    assert app.hunk_at("RIGHT", 5, 21) is None, "two hunks"
    assert app.hunk_at("RIGHT", 3, 3) is None, "start equals end"
    assert app.hunk_at("RIGHT", 4, 3) is None, "backwards"
    assert app.hunk_at("LEFT", 2, 21) is None, "two hunks on the left"
    assert app.hunk_at("LEFT", 1) is None, "context stands on the right"
    assert app.hunk_at("RIGHT", 6) is None, "between the hunks"
    assert app.hunk_at("RIGHT", 5, 6) is None, "ends outside"


def test_a_refused_file_has_no_commentable_line() -> None:
    patch = read_patch(PATCH.replace(b"@@ -20,3 +21,2 @@", b"@@ -20,4 +21,3 @@"))
    assert [refusal.path for refusal in patch.refused] == ["app.py"]
    assert patch.commentable() == {anchor for anchor in EXPECTED if anchor[0] != "app.py"}
