"""Every claim of parity, put to every implementation, form, dtype and device."""

import pytest
from conftest import Case as ModelCase

from compare.parity.claims import CLAIMS, Claim
from compare.parity.steps import Case


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim(case: ModelCase, claim: Claim):
    if not hasattr(case.module, claim.needs):
        pytest.skip(f"{case.name} has no {claim.needs}: forward only")
    if case.dtype not in claim.dtypes:
        pytest.skip(f"{claim.name} is put in {' and '.join(claim.dtypes)} alone")
    put = Case(case.name, case.form, case.dtype, case.device)
    checks = claim.put(put, case.module)
    assert checks, "nothing was compared"
    failed = [check for check in checks if not check.passed]
    assert not failed, failed[0]
