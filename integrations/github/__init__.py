"""GitHub: pull requests reviewed, failed runs explained, tickets labelled, history collected.

Start reading in ``plan.py``: every command computes a plan from pure functions (``review.py``, ``explain.py``,
``label.py``), and ``apply.py`` alone writes. ``client.py`` is the only file that talks to the network.
"""
