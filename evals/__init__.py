"""Is the tuned model better, by how much, and how sure are we? Arms, paired statistics, a gate and a report."""
