"""The fully connected CRF (Krähenbühl and Koltun 2011), wherever it is used."""

from __future__ import annotations

from pydantic import Field

from irnet_pipe.config.section import Section


class CrfKernels(Section):
    """Widths and weights of its two kernels."""

    gaussian_sxy: float = Field(3, gt=0, le=1000, description="Width of the Gaussian kernel (pixels).")
    gaussian_compat: float = Field(3, ge=0, le=1000, description="Weight of the Gaussian kernel.")
    bilateral_sxy: float = Field(
        50, gt=0, le=1000, description="Width of the bilateral kernel in space (pixels)."
    )
    bilateral_srgb: float = Field(
        5, gt=0, le=255, description="Width of the bilateral kernel in colour (of 255)."
    )
    bilateral_compat: float = Field(10, ge=0, le=1000, description="Weight of the bilateral kernel.")


class Crf(CrfKernels):
    """The CRF on label maps."""

    iterations: int = Field(10, ge=1, le=100, description="Mean-field steps.")
    gt_prob: float = Field(0.7, gt=0, lt=1, description="Probability given to a pixel's own label.")


class AffinityCrf(CrfKernels):
    """The CRF on probabilities, with the constants of AffinityNet."""

    bilateral_sxy: float = Field(
        80, gt=0, le=1000, description="Width of the bilateral kernel in space (pixels)."
    )
    bilateral_srgb: float = Field(
        13, gt=0, le=255, description="Width of the bilateral kernel in colour (of 255)."
    )
    iterations: int = Field(10, ge=1, le=100, description="Mean-field steps.")


class ProbabilityCrf(CrfKernels):
    """The CRF on probabilities, if asked for."""

    iterations: int = Field(0, ge=0, le=100, description="Mean-field steps; 0: no CRF.")
