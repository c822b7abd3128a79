"""One module per stage: read, compute, write."""
