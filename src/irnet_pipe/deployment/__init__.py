"""Trained segmenters put to use outside of a run: masks of any photos, ONNX files."""
