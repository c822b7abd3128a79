"""The typed configuration: its sections, how it is parsed, presets, and the documents generated from it."""

from irnet_pipe.config.affinitynet import AffinityNetSection
from irnet_pipe.config.parse import config_value, load_config, parse_config, parse_runtime
from irnet_pipe.config.section import AUTO
from irnet_pipe.config.sections import Config, Dataset, Runtime
from irnet_pipe.config.segmenters import SegmenterModel, SegmenterTraining
from irnet_pipe.config.sweep import setting_name, settings_of, swept_values
from irnet_pipe.config.trainings import Training

__all__ = [
    "AUTO",
    "AffinityNetSection",
    "Config",
    "Dataset",
    "Runtime",
    "SegmenterModel",
    "SegmenterTraining",
    "Training",
    "config_value",
    "load_config",
    "parse_config",
    "parse_runtime",
    "setting_name",
    "settings_of",
    "swept_values",
]
