"""A tiny run whose artifacts are made once per process, as far as tests ask for them."""

import pytest

pytest.register_assert_rewrite("contract", "tiny_pipeline")

from segmenter_run import with_segmenters  # noqa: E402
from tiny_pipeline import Pipeline  # noqa: E402


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    values = make_tiny_values(photo_set, tmp_path_factory.mktemp("pipeline"))
    return Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet})


@pytest.fixture(scope="session")
def dark_pipeline(tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    """The tiny run with a classifier whose class maps are zero everywhere."""
    values = make_tiny_values(photo_set, tmp_path_factory.mktemp("dark pipeline"))
    return Pipeline(values, {"train_cam": trained.dark, "train_irnet": trained.irnet})


@pytest.fixture(scope="session")
def segmenter_pipeline(tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    """The tiny run with segmenters, which learn from its masks."""
    values = with_segmenters(make_tiny_values(photo_set, tmp_path_factory.mktemp("segmenters")))
    return Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of the contract once for each stage that a stage reads."""
    if metafunc.cls is not None and "parent" in metafunc.fixturenames:
        metafunc.parametrize("parent", metafunc.cls.parents)
