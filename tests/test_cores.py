"""Threads for torch: as many as affinity and quota allow, that sleep where they wait."""

import os
import subprocess
import sys

import pytest

from inspector.common import cores


def group(root, listed, files):
    """A tree of /proc and /sys in which this process is in these cgroups."""
    for name, text in {
        "proc/self/cgroup": listed,
        **{f"sys/fs/cgroup/{at}": text for at, text in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def many(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)), raising=False)


@pytest.mark.parametrize(
    ("listed", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/a/b\n", {"a/cpu.max": "250000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2),
        ("0::/a/b\n", {"a/cpu.max": "900000 100000\n", "a/b/cpu.max": "300000 100000\n"}, 3),
        ("0::/of/the/host\n", {"cpu.max": "150000 50000\n"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),
        ("0::/\n", {}, 64),
        ("0::/\n", {"cpu.max": "\n"}, 64),
        (
            "4:memory:/x\n3:cpu,cpuacct:/docker/1\n0::/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "500000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            5,
        ),
        ("1:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, 64),
        ("1:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "100000\n", "cpuset/cpu.cfs_period_us": "100000\n"}, 64),
    ],
    ids=[
        "v2", "v2 without a limit", "v2 above", "the least", "the host's path", "half a core", "beyond the affinity",
        "no file", "an empty file", "v1 in a container", "v1 without a limit", "another controller",
    ],
)  # fmt: skip
def test_the_quota_of_a_cgroup(tmp_path, many, listed, files, expected):
    assert cores.allowed(group(tmp_path, listed, files)) == expected


def test_the_affinity_where_there_is_no_cgroup(tmp_path, many):
    assert cores.allowed(tmp_path) == 64


def test_a_system_without_affinity(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores.allowed(tmp_path) == 7


@pytest.mark.parametrize(("quota", "expected"), [(7, "7"), (64, None)])
def test_threads_are_limited_by_a_quota_alone(monkeypatch, many, quota, expected):
    monkeypatch.setattr(cores, "allowed", lambda: quota)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(os, "environ", {})
    cores.settle()
    assert os.environ == {"OMP_WAIT_POLICY": "PASSIVE"} | ({"OMP_NUM_THREADS": expected} if expected else {})


@pytest.mark.parametrize(
    ("code", "given", "expected"),
    [
        ("from inspector.cli.main import main\ntry: main(['--version'])\nexcept SystemExit: pass", {}, "PASSIVE"),
        ("import inspector; inspector.load", {}, "PASSIVE"),
        ("import inspector; inspector.load", {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        ("import inspector", {}, "None"),
        ("import torch, inspector; inspector.load", {}, "None"),
    ],
    ids=["a command", "a notebook", "the user's own", "an import alone", "after torch"],
)
def test_it_is_settled_before_torch_is_loaded(code, given, expected):
    env = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")} | given
    code += "\nimport os; print(os.environ.get('OMP_WAIT_POLICY'))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == expected
