"""Pure numerics of the method: tensors in, tensors out; no I/O, no configuration."""
