from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from understudy.core import hardware
from understudy.core.hardware import free_cores, resolve


@pytest.fixture(autouse=True)
def _threads_as_before() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_that_were_asked_for_are_taken_and_told_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = resolve(2)
    assert found.threads == torch.get_num_threads() == 2
    assert "2 thread(s): asked for" in found.reasons


def test_the_environment_s_threads_come_before_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = resolve()
    assert found.threads == torch.get_num_threads() == 3
    assert "3 thread(s): OMP_NUM_THREADS" in found.reasons


@pytest.mark.parametrize(("physical", "busy", "threads"), [(8, 0.0, 8), (8, 2.6, 5), (2, 1.9, 1), (2, 9.0, 1)])
def test_only_idle_cores_are_claimed_and_at_least_one(
    physical: int, busy: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "free_cores", lambda: (physical, busy))
    for value in (None, "2,2"):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if value is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", value)  # OpenMP's list for nested regions is no number of ours
        assert resolve().threads == threads


def test_cores_are_counted_within_what_this_process_may_use() -> None:
    physical, busy = free_cores()
    assert 1 <= physical <= (os.cpu_count() or 1)
    assert busy >= 0


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="no /proc/stat here")
def test_a_busy_core_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            assert max(free_cores()[1] for _ in range(3)) > 0.2
        finally:
            busy.kill()


@pytest.mark.parametrize(
    ("flags", "bf16", "reason"),
    [
        ({"amx_bf16", "avx512_bf16"}, True, "bf16 autocast: CPU has amx_bf16"),
        ({"avx512_bf16"}, True, "bf16 autocast: CPU has avx512_bf16"),
        ({"avx2"}, False, "fp32: CPU has neither amx_bf16 nor avx512_bf16"),
    ],
)
def test_bf16_is_used_on_a_cpu_that_computes_in_it(
    flags: set[str], bf16: bool, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(hardware, "_cpu_flags", lambda: flags)
    found = resolve(1)
    assert (found.device, found.bf16) == ("cpu", bf16)
    assert reason in found.reasons and len(found.reasons) == 3


@pytest.mark.parametrize("supported", [True, False])
def test_a_cuda_device_is_taken_when_there_is_one(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card X")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    found = resolve(1)
    assert (found.device, found.bf16) == ("cuda", supported)
    assert "device cuda: Card X" in found.reasons


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_kept_memory_is_not_taken_from_the_kernel_again() -> None:
    """In a process of its own: freeing and taking 64 MiB faults its pages in each time, unless they are kept."""
    code = """
import resource, sys
from understudy.core.hardware import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
for turn in range(6):
    if turn == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    data = bytearray(64 << 20)
    for at in range(0, len(data), 4096):
        data[at] = 1
    del data
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {
        way: int(subprocess.run([sys.executable, "-c", code, way], capture_output=True, text=True, check=True).stdout)
        for way in ("keep", "give back")
    }
    assert faults["keep"] < faults["give back"] / 4
