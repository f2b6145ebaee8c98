"""The package as a whole: what it exports, loads and gets along with."""

import sys
from pathlib import Path

import pytest
import quicpro
from live import Live, python

PLACES = ("usr/lib/*", "usr/lib64", "usr/lib", "lib64", "lib")
LIBSSL = next((f for p in PLACES for f in Path("/").glob(f"{p}/libssl.so.3")), None)


def test_all_is_there() -> None:
    for name in quicpro.__all__:
        assert getattr(quicpro, name) is not None
    assert dir(quicpro) == sorted(quicpro.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        quicpro.nothing_such  # noqa: B018


def test_version() -> None:
    from importlib.metadata import version

    assert quicpro.__version__ == version("quicpro")


def test_import_is_light() -> None:
    """Neither the command line's packages nor asyncio, nor threads."""
    done = python(
        "import sys, quicpro, threading\n"
        "heavy = {'asyncio', 'click', 'rich', 'uvloop', 'ssl', 'logging'}\n"
        "print(*sorted(heavy & set(sys.modules)), threading.active_count())"
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_the_blocking_client_needs_no_asyncio() -> None:
    done = python("import sys, quicpro.sync; print('asyncio' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_import_starts_no_thread() -> None:
    done = python("import os, quicpro.sync; print(len(os.listdir('/proc/self/task')))")
    assert done.stdout == "1\n"


@pytest.mark.skipif(LIBSSL is None, reason="no libssl.so.3 on this machine")
@pytest.mark.parametrize("first", ["import ssl", "pass"])
def test_beside_openssl(server: Live, certs: Path, first: str) -> None:
    """The names of OpenSSL that the process has already are not taken for ours."""
    done = python(
        f"{first}\n"
        "import sys, quicpro, ssl\n"
        "r = quicpro.get(sys.argv[1], cafile=sys.argv[2])\n"
        "ssl.create_default_context()\n"
        "print(r.status, r.text, r.connection.alpn)",
        server.url(),
        certs / "ca.pem",
        env={"LD_PRELOAD": str(LIBSSL)},
    )
    assert (done.stdout, done.stderr) == ("200 hello h3\n", "")


def test_python_m_quicpro() -> None:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "quicpro", "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "Usage: python -m quicpro" in done.stdout
