"""From a folder of photos to a folder that snakemake runs in: the verbs `init` and `doctor`."""
