import subprocess
import sys

import pytest


def end(folder, code: int) -> subprocess.CompletedProcess[str]:
    (folder / "job.log").write_text("12/40 images\n")
    command = [sys.executable, "-m", "irnet_pipe.killed", str(code), "infer_cam", "job.log"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_killed_job_is_explained_on_stderr_and_in_its_log(tmp_path):
    done = end(tmp_path, 137)
    assert done.returncode == 137
    assert done.stderr.startswith(
        "error: infer_cam was killed (signal 9), most likely because memory ran out"
    )
    assert "set-resources: infer_cam: mem_mb in the profile" in done.stderr
    assert (tmp_path / "job.log").read_text() == "12/40 images\n" + done.stderr


@pytest.mark.parametrize("code", [1, 2, 75, 143])
def test_other_codes_are_handed_on(tmp_path, code):
    done = end(tmp_path, code)
    assert (done.returncode, done.stderr) == (code, "")
    assert (tmp_path / "job.log").read_text() == "12/40 images\n"
