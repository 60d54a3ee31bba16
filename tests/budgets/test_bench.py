from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.stack import RunningStack


@pytest.mark.timeout(300)
def test_the_bench_runs_and_verify_finds_nothing_after_it(stack: RunningStack, tmp_path: Path) -> None:
    ended = stack.run(sys.executable, "-m", "sandbox.bench", "--smoke", "--out", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (file,) = tmp_path.glob("*.json")
    found = json.loads(file.read_text())
    assert found["faults"] == []
    assert found["rush"]["sold"] == found["rush"]["seats"]
    assert found["closed_loop"]["confirmed"] > 0
    assert found["closed_loop"]["per_booking"]["cpu_ms"]["payment"] > 0
    assert found["cost"]["messages"]["all"] == 5
    assert "to confirmed" in ended.stdout
