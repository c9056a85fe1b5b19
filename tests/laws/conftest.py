"""What stories assert is told in full, as what tests assert is."""

import pytest

pytest.register_assert_rewrite("tests.laws.stories")
