"""Instance masks from image-level labels: IRNet as a workflow of cached stages."""

__version__ = "0.1.0"
