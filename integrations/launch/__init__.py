"""Training in several processes: accelerate's launch files, the command that starts them, and its end."""
