from __future__ import annotations

from irnet_pipe.stage_table import number_stages


def test_stages_of_a_run_are_numbered_in_the_order_of_the_pipeline():
    stages = ["publish", "infer_cam", "infer_cam", "train_cam"]
    assert number_stages(stages) == {"train_cam": "1 of 3", "infer_cam": "2 of 3", "publish": "3 of 3"}
