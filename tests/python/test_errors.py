"""quicpro.errors: the exceptions, and what builtins they are."""

import builtins

import pytest
import quicpro
from quicpro import errors


def test_every_exception_is_a_quicpro_error() -> None:
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.QuicproError)
        assert getattr(quicpro, name) is getattr(errors, name)


@pytest.mark.parametrize(
    "ours,theirs",
    [
        (errors.ConfigError, ValueError),
        (errors.CertificateError, ValueError),
        (errors.ConnectionError, builtins.ConnectionError),
        (errors.ConnectionRefused, builtins.ConnectionRefusedError),
        (errors.VerificationError, builtins.ConnectionError),
        (errors.HandshakeTimeout, builtins.TimeoutError),
        (errors.HandshakeTimeout, builtins.ConnectionError),
        (errors.ResponseTimeout, builtins.TimeoutError),
        (errors.StreamReset, builtins.ConnectionResetError),
    ],
)
def test_they_are_the_builtins_they_resemble(ours: type, theirs: type) -> None:
    assert issubclass(ours, theirs)


def test_attributes() -> None:
    error = errors.StreamReset("gone", code=-1011, wire_code=0x10C, remote=True)
    assert (str(error), error.code, error.wire_code, error.remote) == ("gone", -1011, 0x10C, True)
    assert errors.QuicproError("x").wire_code is None


def test_a_response_timeout_is_no_connection_error() -> None:
    assert not issubclass(errors.ResponseTimeout, builtins.ConnectionError)
