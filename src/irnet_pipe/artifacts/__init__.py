"""Artifacts: the files between stages, how they are written, read and checked."""
