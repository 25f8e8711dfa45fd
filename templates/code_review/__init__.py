"""Unified diff to review comments: ``diff`` reads the patch, the rest of the pack stands on it."""
