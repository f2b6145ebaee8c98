"""`quicpro get`."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from typing import IO, Any

import click

from . import WRONG_USE, fail
from ._options import config_options, load_config


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"'{text}' is not a header such as 'accept: text/plain'")
    return name.strip(), value.strip()


@contextlib.contextmanager
def _progress(length: int | None, name: str) -> Iterator[Any]:
    """A function that is told how many bytes came; draws only on a terminal."""
    if length is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=length)
        yield lambda n: progress.update(task, advance=n)


def _facts(stream: Any) -> None:
    info = stream.connection
    if info is not None:
        click.echo(
            f"* QUIC version {info.version}, {info.alpn}, {info.cipher}, {info.group}, "
            f"{info.peer}, rtt {info.rtt * 1000:.2f} ms",
            err=True,
        )
    click.echo(f"< {stream.status}", err=True)
    for name, value in stream.headers.raw:
        click.echo(f"< {name.decode('latin-1')}: {value.decode('latin-1')}", err=True)


def _write(out: IO[bytes], data: bytes, where: str) -> None:
    try:
        left = memoryview(data)
        while left:  # a file without a buffer may take less
            left = left[out.write(left) :]
        if not data:
            out.flush()
    except BrokenPipeError:
        raise
    except OSError as e:
        fail(f"cannot write {where}: {e.strerror}")


def _save(stream: Any, out: IO[bytes], name: str, where: str) -> None:
    length = stream.headers.get("content-length", "")
    with _progress(int(length) if length.isdigit() else None, name) as advance:
        for piece in stream.iter_bytes():
            _write(out, piece, where)
            advance(len(piece))
    _write(out, b"", where)


@click.command(epilog="Example: quicpro get https://localhost:4433/ --cacert certs/ca.pem -v")
@click.argument("url")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write the body to this file."
)
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Send this field; may be repeated.",
)
@click.option("-X", "--request", "method", metavar="METHOD", help="Default: GET, or POST with -d.")
@click.option(
    "-d", "--data", metavar="DATA|@FILE", help="Send this body; @FILE sends a file, @- stdin."
)
@click.option("--cacert", type=click.Path(), help="PEM file of the authorities to trust.")
@click.option("--insecure", is_flag=True, help="Do not verify the certificate.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="Seconds for the whole request; default: no limit.",
)
@click.option(
    "--handshake-timeout",
    type=click.FloatRange(0.1, 600),
    default=None,
    help="Seconds for the handshake; default: 10.",
)
@config_options(short=False, without=("handshake_timeout",))  # -o is the output file, as curl's
@click.option("-v", "--verbose", is_flag=True, help="Show handshake facts and fields on stderr.")
@click.pass_context
def get(
    context: click.Context,
    url: str,
    output: str | None,
    headers: tuple[str, ...],
    method: str | None,
    data: str | None,
    cacert: str | None,
    insecure: bool,
    timeout: float | None,
    handshake_timeout: float | None,
    config_file: str | None,
    options: tuple[str, ...],
    verbose: bool,
) -> None:
    """Fetch URL over HTTP/3; the body goes to stdout. A status of 400 or more is exit code 1."""
    from quicpro import errors
    from quicpro._messages import parse_url
    from quicpro.sync import Client

    body: Any = None
    config = load_config(
        config_file,
        options,
        ca_file=cacert,
        verify_peer=False if insecure else None,
        handshake_timeout=handshake_timeout,
    )
    try:
        parse_url(url)
        fields = [_header(h) for h in headers]
    except ValueError as e:
        fail(e, WRONG_USE)
    status = 0
    with contextlib.ExitStack() as stack:
        try:
            if data == "@-":
                body = sys.stdin.buffer
            elif data is not None and data.startswith("@"):
                body = stack.enter_context(open(data[1:], "rb"))
                facts = os.fstat(body.fileno())
                given = any(n.lower() == "content-length" for n, _ in fields)
                if stat.S_ISREG(facts.st_mode) and not given:
                    fields.append(("content-length", str(facts.st_size)))
            elif data is not None:
                body = data
        except OSError as e:
            fail(f"cannot read {data and data[1:]}: {e.strerror}", WRONG_USE)
        try:
            client = stack.enter_context(Client(timeout=timeout, config=config))
            stream = stack.enter_context(
                client.stream(
                    method or ("GET" if body is None else "POST"), url, headers=fields, body=body
                )
            )
            if verbose:
                _facts(stream)
            status = stream.status
            try:
                # Without a buffer: closing it writes nothing, and so cannot fail.
                out: Any = sys.stdout.buffer
                if output:
                    out = stack.enter_context(open(output, "wb", buffering=0))
            except OSError as e:
                fail(f"cannot write {output}: {e.strerror}")
            _save(stream, out, url, output or "stdout")
        except KeyboardInterrupt:
            note = f"; {output} holds what came until then" if output else ""
            click.echo(f"quicpro: interrupted{note}", err=True)
            sys.exit(130)
        except BrokenPipeError:
            raise
        except MemoryError:
            fail("out of memory")
        except (errors.QuicproError, ValueError) as e:
            if context.obj["debug"]:
                raise
            fail(f"{url}: {e}")
        except OSError as e:
            if context.obj["debug"]:
                raise
            fail(f"{url}: {e.strerror or e}")
    if status >= 400:
        fail(f"{url}: status {status}")
