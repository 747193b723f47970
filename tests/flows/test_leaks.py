from pathlib import Path

import pytest

from tests.bench.leaks import attempt


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_hundred_deploys_leave_an_instance_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert attempt(tmp_path, warm_up=20, count=100), capsys.readouterr().out
