"""quicpro._check: codes become exceptions."""

import errno

import pytest
from quicpro import errors
from quicpro._check import check, error, text_of
from quicpro._ffi import lib

CODES = [name for name in dir(lib) if name.startswith("QUICPRO_E") and "EVENT" not in name]


def test_success_passes() -> None:
    assert check(0) == 0
    assert check(7) == 7


@pytest.mark.parametrize("name", CODES)
def test_every_code_is_an_exception_with_a_text(name: str) -> None:
    code = getattr(lib, name)
    failure = error(code)
    assert isinstance(failure, (errors.QuicproError, MemoryError, ValueError, OSError))
    assert str(failure)
    if isinstance(failure, errors.QuicproError):
        assert failure.code == code and str(failure) == text_of(code)


def test_codes_with_builtins() -> None:
    with pytest.raises(MemoryError):
        check(lib.QUICPRO_ENOMEM)
    with pytest.raises(ValueError):
        check(lib.QUICPRO_EINVAL)
    with pytest.raises(PermissionError) as caught:
        check(-errno.EACCES)
    assert caught.value.errno == errno.EACCES


def test_what_travelled_is_kept() -> None:
    failure = error(lib.QUICPRO_ERESET, "gone", wire_code=0x10C, remote=True)
    assert isinstance(failure, errors.StreamReset)
    assert str(failure) == "gone" and failure.wire_code == 0x10C and failure.remote


def test_an_unknown_code_is_still_an_exception() -> None:
    failure = error(-4711)
    assert type(failure) is errors.QuicproError and failure.code == -4711
