"""Where packs meet the world: the command line, GitHub, servers."""
