"""``understudy serve``: a GitHub App that reviews, labels, explains, and obeys comments.

``app.py`` answers HTTP and never waits for anything but its own disk: a delivery is proven genuine, read into a
:class:`~understudy.integrations.server.github.Job` (``github.py``), written to the ledger (``ledger.py``) and queued
(``queue.py``). ``worker.py`` is a process of its own, started and watched by ``process.py``, that carries jobs out
(``jobs.py``) with tokens of the App (``credentials.py``).
"""
