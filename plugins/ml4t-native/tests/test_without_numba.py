"""Without numba a kernel runs in Python, says why, and importing costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

MODEL = """
    import sys
    {before}
    import attrs
    from ml4t.core.errors import ModelError
    from ml4t.core.models import FeeArgs
    from ml4t.native import OK, NativeState, native_model

    @native_model(kind="fee", state={{"calls": 1}})
    @attrs.frozen
    class Growing:
        rate: float = 0.5

        @staticmethod
        def kernel(params, state, ctx, out):
            state.calls[0] += 1.0
            out.fee = params.rate * ctx.notional * state.calls[0]
            return OK

    model = Growing()
    asked = FeeArgs(ts_ns=0, side=1, quantity=3.0, price=70.0, notional=210.0)
    assert [model.evaluate(asked).fee for _ in range(2)] == [105.0, 210.0]
    assert model.clone().evaluate(asked).fee == 105.0
    assert model.__ml4t_model_v1__(4) is None
    print(model.native_missing)
    try:
        NativeState(model)
    except ModelError as error:
        print(error)
    print([name for name in ("numpy", "numba") if sys.modules.get(name)])
"""
BLOCKED = "sys.modules['numba'] = sys.modules['numpy'] = None"


@pytest.mark.parametrize(
    ("before", "switch", "why"),
    [
        (BLOCKED, "", "numba is not installed: pip install 'ml4t-native[numba]'"),
        ("", "1", "numba is switched off by ML4T_NO_NUMBA; unset it"),
    ],
    ids=["not installed", "switched off"],
)
def test_a_kernel_runs_in_python_and_says_why(before: str, switch: str, why: str) -> None:
    program = textwrap.dedent(MODEL.format(before=before))
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"ML4T_NO_NUMBA": switch},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [why, f"Growing has no native form here: {why}", "[]"]


def test_importing_the_package_loads_neither_numpy_nor_numba() -> None:
    names = "('numba', 'numpy', 'pandas', 'polars', 'pyarrow', 'scipy')"
    program = f"import sys, ml4t.native, ml4t.native.math; print([n for n in {names} if n in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_switch_of_0_leaves_numba_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    from ml4t.native.kernel import missing

    monkeypatch.setenv("ML4T_NO_NUMBA", "0")
    assert missing() is None
