"""Late modules are loaded when they are used, and say what they lack as others do."""

import subprocess
import sys

import pytest

from bot.late import Late


def test_a_module_is_loaded_when_it_is_used() -> None:
    program = (
        "import sys; from bot.late import Late; one = Late('wave'); before = 'wave' in sys.modules;"
        "print(before, one.Error is sys.modules['wave'].Error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_a_module_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = Late("json").nothing
