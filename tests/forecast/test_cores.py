"""How long jobs take together."""

import pytest

from irnet_pipe.forecast.cores import BETWEEN_SECONDS, START_SECONDS, Makespan, Task, makespan


def seconds(*tasks: Task, cores: int = 2, gpus: int = 0) -> float:
    """Without what Snakemake takes."""
    return makespan(tasks, cores=cores, gpus=gpus).seconds - START_SECONDS


def test_no_job_takes_no_time():
    assert makespan([], cores=2) == Makespan(0, 0)


def test_jobs_that_wait_for_each_other_add_up():
    assert seconds(Task(10), Task(5, parents=(0,))) == pytest.approx(15 + 2 * BETWEEN_SECONDS)


@pytest.mark.parametrize(("cores", "rounds"), [(1, 4), (2, 2), (3, 2), (4, 1), (9, 1)])
def test_jobs_share_the_cores(cores, rounds):
    assert seconds(*[Task(10)] * 4, cores=cores) == pytest.approx(rounds * (10 + BETWEEN_SECONDS))


def test_a_training_takes_its_threads_or_the_whole_machine():
    tasks = [Task(10, threads=2), Task(10)]
    assert seconds(*tasks, cores=3) == pytest.approx(10 + BETWEEN_SECONDS)
    assert seconds(*tasks, cores=2) == pytest.approx(20 + 2 * BETWEEN_SECONDS)
    assert seconds(*tasks, cores=1) == pytest.approx(20 + 2 * BETWEEN_SECONDS)


def test_jobs_that_need_the_gpu_run_one_after_the_other_and_others_beside_them():
    tasks = [Task(10, gpus=1), Task(10, gpus=1), Task(10)]
    assert seconds(*tasks, cores=8, gpus=1) == pytest.approx(20 + 2 * BETWEEN_SECONDS)
    assert seconds(*tasks, cores=8, gpus=2) == pytest.approx(10 + BETWEEN_SECONDS)
    assert seconds(*tasks, cores=8) == pytest.approx(10 + BETWEEN_SECONDS), "networks on the cores"
    assert seconds(Task(10, gpus=4), cores=8, gpus=2) == pytest.approx(10 + BETWEEN_SECONDS)


def test_memory_is_that_of_jobs_at_once():
    tasks = [Task(10, memory=5), Task(10, memory=3), Task(1, memory=4, parents=(0, 1))]
    assert makespan(tasks, cores=2).memory == 8
    assert makespan(tasks, cores=1).memory == 5


def test_thousands_of_jobs():
    tasks = [Task(1, gpus=1) for _ in range(5000)]
    tasks += [Task(1, parents=(number,)) for number in range(5000)]
    assert seconds(*tasks, cores=64, gpus=1) == pytest.approx(5001 * (1 + BETWEEN_SECONDS))
