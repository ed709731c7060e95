"""Where cgroup v2 is, by what /proc says."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.launch.cgroup import cgroup_mounts, own_cgroup

UNIFIED = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"""
#: A container that sees its own cgroup and the host's, at a path with a blank.
BOUND = r"""50 40 0:26 /docker/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw
51 40 0:26 / /mnt/host\040groups rw master:9 - cgroup2 cgroup rw"""


def proc(folder: Path, mountinfo: str, cgroup: str) -> Path:
    (folder / "mountinfo").write_text(mountinfo + "\n")
    (folder / "cgroup").write_text(cgroup + "\n")
    return folder


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "expected"),
    [
        (UNIFIED, "0::/user.slice/session-3.scope", "/sys/fs/cgroup/user.slice/session-3.scope"),
        (HYBRID, "4:memory:/some/where\n0::/", "/sys/fs/cgroup/unified"),
        (BOUND, "0::/docker/c1/app", "/sys/fs/cgroup/app"),
        (BOUND, "0::/docker/c2", "/mnt/host groups/docker/c2"),
    ],
)
def test_the_cgroup_that_we_are_in(tmp_path: Path, mountinfo: str, cgroup: str, expected: str) -> None:
    assert own_cgroup(proc(tmp_path, mountinfo, cgroup)) == Path(expected)


@pytest.mark.parametrize(
    ("mountinfo", "cgroup"),
    [
        (HYBRID, "4:memory:/"),
        (HYBRID.splitlines()[1], "0::/"),
        (BOUND.splitlines()[0], "0::/docker/c2"),
        ("", "0::/"),
        ("no mountinfo - at all", "0::/"),
    ],
)
def test_there_is_none(tmp_path: Path, mountinfo: str, cgroup: str) -> None:
    with pytest.raises(OSError, match="cgroup v2"):
        own_cgroup(proc(tmp_path, mountinfo, cgroup))


def test_version_1_is_not_taken_for_it() -> None:
    assert cgroup_mounts(HYBRID) == [(Path("/sys/fs/cgroup/unified"), "/")]
