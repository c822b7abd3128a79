import os
import signal
import subprocess
import sys
import time

import pytest

from irnet_pipe.runtime.interrupt import SIGNALS, shield_children, stop_on_signal


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_noted_and_nothing_else(number):
    before = [signal.getsignal(known) for known in SIGNALS]
    with stop_on_signal() as stop:
        assert stop.signal is None
        os.kill(os.getpid(), number)
        assert stop.signal == number.name
    assert [signal.getsignal(known) for known in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_children_started_under_the_shield_live_on(number):
    with shield_children():
        child = subprocess.Popen([sys.executable, "-c", "input(); print('alive')"], stdin=-1, stdout=-1)
    child.send_signal(number)
    time.sleep(0.1)
    output, _ = child.communicate(b"\n", timeout=20)
    assert output == b"alive\n"


def test_shield_ends_with_the_block():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with shield_children():
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) >= set(SIGNALS)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
