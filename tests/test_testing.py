"""assert_accepts, as a user's test suite calls it."""

from __future__ import annotations

import pytest

from autofix import UsageError
from autofix.examples.mri import BadCNN, GoodCNN
from autofix.testing import assert_accepts


def test_silent_where_every_size_works():
    assert_accepts(GoodCNN(), min_input=2)
    assert_accepts(BadCNN(), min_input=(8, 9, 8), max_input=64, input_shape=(1, 1, "D", "H", "W"))


def test_names_each_fault_on_a_line():
    with pytest.raises(AssertionError) as caught:
        assert_accepts(BadCNN(), min_input=5)
    fault, works = str(caught.value).splitlines()
    assert "mri.py:16: AF101 conv2: kernel larger than its input: needs 3, gets 1" in fault
    assert works == "works at >= 8"


def test_what_cannot_be_meant_is_no_assertion():
    with pytest.raises(UsageError, match="above"):
        assert_accepts(GoodCNN(), min_input=9, max_input=5)
