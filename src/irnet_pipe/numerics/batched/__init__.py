"""The kernels of the label stages for several photos at once, of any sizes, in torch alone.

They run on the device of their tensors and are made for CUDA, where one photo leaves most of a device idle. On a
CPU the forms of `irnet_pipe.numerics` are faster, and the stages use those. Results are the same but for rounding.
"""
