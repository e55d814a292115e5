"""Every parity check, run on every implementation, form, dtype and device."""

import pytest
from conftest import ModelCase

from compare.parity.checks import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_check(case: ModelCase, check: Check):
    if not hasattr(case.module, check.needs):
        pytest.skip(f"{case.implementation} has no {check.needs}: forward only")
    if case.dtype not in check.dtypes:
        pytest.skip(f"{check.name} is put in {' and '.join(check.dtypes)} alone")
    comparisons = check.put(case, case.module)
    assert comparisons, "nothing was compared"
    failed = [each for each in comparisons if not each.passed]
    assert not failed, failed[0]
