"""Bug classification: a ticket's title and body in, labels with calibrated confidence out, or an abstention."""
