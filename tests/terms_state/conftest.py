"""What the machine asserts is told in full, as what tests assert is."""

import pytest

pytest.register_assert_rewrite("tests.terms_state.machine")
