"""Faults of configs and command lines."""

from __future__ import annotations

from fault import Fault, configured, written

README = "config/README.md has the range and meaning of each key"
NOTHING = configured()


FAULTS = [
    Fault(
        "a config that is not there",
        NOTHING,
        "mine.yaml: cannot be read (No such file or directory); check the path",
        words=("validate", "--config", "mine.yaml"),
    ),
    Fault(
        "a folder in the place of a config",
        NOTHING,
        "photos: cannot be read (Is a directory); check the path",
        words=("validate", "--config", "photos"),
    ),
    Fault(
        "a config in UTF-16",
        written("my.yaml", "run: sound\n".encode("utf-16")),
        "my.yaml: not UTF-8 (UTF-16); save the file as UTF-8",
    ),
    Fault(
        "a bracket that is not closed",
        written("my.yaml", "run: sound\ndataset: {root: photos\n"),
        "my.yaml:3:1: not valid YAML (expected ',' or '}', but got '<stream end>'); mend the line",
    ),
    Fault(
        "a tab",
        written("my.yaml", "dataset:\n\troot: photos\n"),
        "my.yaml:2:1: not valid YAML (found character '\\t' that cannot start any token); mend the line",
    ),
    Fault(
        "a bell",
        written("my.yaml", "run: sou\and\n"),
        "my.yaml: not valid YAML (unacceptable character #x0007: special characters are not allowed); mend the file",
    ),
    Fault(
        "a section that is there twice",
        written("my.yaml", "dataset:\n  root: photos\nseed: 1\ndataset:\n  train: all\n"),
        "my.yaml:4:1: not valid YAML (key dataset occurs twice); mend the line",
    ),
    Fault(
        "a list",
        written("my.yaml", "- run: sound\n"),
        "my.yaml: holds a list, expected keys and values such as `run: birds`; config/README.md lists the keys",
    ),
    Fault(
        "an empty config",
        written("my.yaml", ""),
        "dataset.root is none; set it to the folder that holds the photos",
        words=("index_dataset", "--config", "my.yaml"),
    ),
    Fault(
        "a key that is misspelt",
        configured(cam={"train": {"epoch": 3}}),
        "my.yaml: cam.train.epoch: unknown key; did you mean cam.train.epochs?",
    ),
    Fault(
        "a section that is misspelt",
        configured(randomwalk={"beta": 8}),
        "my.yaml: randomwalk: unknown key; did you mean random_walk?",
    ),
    Fault(
        "a key in the wrong section",
        configured(irnet={"epochs": 3}),
        "my.yaml: irnet.epochs: unknown key; did you mean irnet.train.epochs?",
    ),
    Fault(
        "a key with dots",
        configured(**{"cam.train.epochs": 3}),
        "my.yaml: cam.train.epochs: unknown key; sections are nested: write cam: {train: {epochs: …}}",
    ),
    Fault(
        "a number out of its range",
        configured(random_walk={"beta": 1000}),
        f"my.yaml: random_walk.beta is 1000: Input should be less than or equal to 20; {README}",
    ),
    Fault(
        "a word in the place of a number",
        configured(seed="three"),
        f"my.yaml: seed is 'three': Input should be a valid integer, unable to parse string as an integer; {README}",
    ),
    Fault(
        "a learning rate that is NaN",
        configured(cam={"train": {"lr": float("nan")}}),
        f"my.yaml: cam.train.lr is nan: Input should be a finite number; {README}",
    ),
    Fault(
        "a backbone that is not known",
        configured(cam={"backbone": "resnet152"}),
        "my.yaml: cam.backbone is 'resnet152': Input should be 'resnet18', 'resnet34', 'resnet50' or 'resnet101'; "
        f"{README}",
    ),
    Fault(
        "the name of a run that leads elsewhere",
        configured(run="../up"),
        "my.yaml: run is '../up': String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'; "
        f"{README}",
    ),
    Fault(
        "thresholds in the wrong order",
        configured(relations={"bg_threshold": 0.5}),
        "my.yaml: relations: bg_threshold 0.5 is above fg_threshold 0.3; no pixel between the two could be "
        "neutral: lower bg_threshold",
    ),
    Fault(
        "random weights that are frozen",
        configured(cam={"train": {"freeze": "layer2"}}),
        "my.yaml: cam: weights: none with train.freeze: layer2 cannot learn, frozen layers would stay random; set "
        "cam.train.freeze: none, or give pretrained weights",
    ),
    Fault(
        "a crop that is too small for the radius",
        configured(irnet={"radius": 14}),
        "my.yaml: irnet: train.crop is 96, but radius 14 needs 105 or more, so that a pair of pixels fits "
        "into it; raise crop or lower radius",
    ),
    Fault(
        "a batch larger than the training set",
        configured(cam={"train": {"batch": 5}}),
        "cam.train.batch is 5, but there are only 4 training images; set it to 4 or less, or add images",
    ),
    Fault(
        "a precision that the device does not have",
        configured(irnet={"infer": {"precision": "fp16"}}),
        "irnet.infer.precision: fp16 needs a CUDA device; set bf16 or fp32 to compute on a CPU",
    ),
    Fault(
        "a swept key that is misspelt",
        configured(sweep={"random_walk.bta": [8, 10]}),
        (
            "sweep {'random_walk.bta': 8}: random_walk.bta: unknown key; did you mean random_walk.beta?",
            "sweep {'random_walk.bta': 10}: random_walk.bta: unknown key; did you mean random_walk.beta?",
        ),
    ),
    Fault(
        "a data set that is not there",
        configured(dataset={"root": "fotos"}),
        "fotos: no such folder; set dataset.root to the folder that holds the photos",
    ),
    Fault(
        "a folder of photos that is not there",
        configured(dataset={"photos": "JPEGs"}),
        "photos/JPEGs: no such folder; set dataset.photos to the folder of the photos",
    ),
    Fault(
        "a verb that is misspelt",
        NOTHING,
        "vaildate: no such verb; did you mean validate?",
        words=("vaildate", "--config", "my.yaml"),
    ),
    Fault(
        "a setting of init without value",
        NOTHING,
        "--set cam.train.epochs: expected KEY=VALUE, such as cam.train.epochs=3",
        words=("init", "photos", "--set", "cam.train.epochs"),
    ),
    Fault(
        "a setting of init that is misspelt",
        NOTHING,
        "config: cam.train.epoch: unknown key; did you mean cam.train.epochs?",
        words=("init", "photos", "--set", "cam.train.epoch=3"),
    ),
    Fault(
        "a folder of photos for init that is not there",
        NOTHING,
        "fotos: no such folder; give the folder of the photos",
        words=("init", "fotos"),
    ),
]
