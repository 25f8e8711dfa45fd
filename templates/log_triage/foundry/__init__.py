"""The foundry: breaks small real projects on purpose, runs the real tool, and records what broke."""
