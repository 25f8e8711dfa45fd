"""CI log to root cause: start reading in ``pack.py``."""
