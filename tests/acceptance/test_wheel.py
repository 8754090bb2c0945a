"""The built wheel, installed in an empty environment elsewhere, does what the checkout does."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.acceptance.command import ROOT

pytestmark = pytest.mark.slow


def test_the_wheel_works_alone(tmp_path: Path):
    """The project itself comes from the wheel; the dependencies are lent by this environment."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    home = tmp_path / "env"
    venv.create(home)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    site = Path(
        subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    )
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    done = subprocess.run(
        [home / "bin" / "inspector", "demo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sft_s123" in done.stdout
    where = subprocess.check_output(
        [python, "-c", "import inspector; print(inspector.__file__)"], text=True, cwd=tmp_path
    )
    assert where.startswith(str(site))
