import torch

from irnet_pipe.runtime.seeding import derive_seed, generator, reproducible


def test_seed_is_the_same_in_every_process_and_release():
    assert derive_seed(0, "train_cam", 3, "a photo") == 7780610954108534735


def test_seed_depends_on_every_part():
    parts = [
        (0, "train_cam", 1, "x"),
        (1, "train_cam", 1, "x"),
        (0, "train_irnet", 1, "x"),
        (0, "train_cam", 2, "x"),
    ]
    parts += [
        (0, "train_cam", 1, "y"),
        (0, "train_cam", 1),
        (0, "train_cam", 1, "x", 0),
        (0, "train_cam", "1", "x"),
    ]
    assert len({derive_seed(*part) for part in parts}) == len(parts)
    assert all(0 <= derive_seed(*part) < 2**63 for part in parts)


def test_generators_of_one_seed_draw_alike():
    assert (
        generator(0, "a").integers(1000, size=8).tolist() == generator(0, "a").integers(1000, size=8).tolist()
    )


def test_settings_of_torch_are_put_back():
    before = torch.get_num_threads()
    with reproducible(torch.device("cpu"), threads=before + 1):
        assert torch.get_num_threads() == before + 1
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()
