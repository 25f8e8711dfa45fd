"""The task packs, one folder each; copy one to make your own."""
