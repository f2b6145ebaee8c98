"""`quicpro serve`."""

from __future__ import annotations

import gc
import importlib
import ipaddress
import os
import sys
import tempfile
from typing import Any, Literal

import click

from . import NOT_STARTED, WRONG_USE, fail
from ._log import LEVELS, load_environment, set_up
from ._options import config_options, load_config


def load_app(target: str, factory: bool = False) -> Any:
    """Import "module:attribute"; call it for the application if it is a factory."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        fail(f"'{target}' is not MODULE:APP, such as main:app", WRONG_USE)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name is not None and (module_name == e.name or module_name.startswith(e.name + ".")):
            fail(
                f"no module '{module_name}' in --app-dir or on the Python path",
                NOT_STARTED,
            )
        fail(f"importing '{module_name}' failed: {e!r}", NOT_STARTED)
    except Exception as e:
        fail(f"importing '{module_name}' failed: {e!r}", NOT_STARTED)
    app = module
    for part in attribute.split("."):
        app = getattr(app, part, None)  # type: ignore[assignment]
        if app is None:
            fail(f"module '{module_name}' has no '{attribute}'", NOT_STARTED)
    if not callable(app):
        fail(f"'{target}' is no application: it cannot be called", NOT_STARTED)
    if not factory:
        return app
    try:
        made = app()
    except Exception as e:
        fail(f"the factory '{target}' failed: {e!r}", NOT_STARTED)
    if not callable(made):
        fail(f"what the factory '{target}' made is no application: {made!r}", NOT_STARTED)
    return made


def from_wsgi(app: Any) -> Any:
    """A WSGI application as one of ASGI."""
    try:
        from a2wsgi import WSGIMiddleware
    except ImportError:
        fail("--interface wsgi needs a2wsgi: pip install 'quicpro[wsgi]'", NOT_STARTED)
    return WSGIMiddleware(app)


def behind_proxies(app: Any, trusted: str) -> Any:
    """What uvicorn puts around an application behind proxies."""
    try:
        from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
    except ImportError:
        fail("--proxy-headers needs uvicorn: pip install 'quicpro[serve]'", NOT_STARTED)
    return ProxyHeadersMiddleware(app, trusted_hosts=trusted)


def parse_field(text: str) -> tuple[str, str]:
    """Take "NAME:VALUE" apart.

    Raises:
        ValueError: it is not that, or no message can have it.
    """
    from quicpro.server import check_field

    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"{text!r} is not NAME:VALUE")
    check_field(name, value.strip())
    return name, value.strip()


def is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@click.command(
    epilog="Example: quicpro serve main:app --bind :443 --certfile cert.pem --keyfile key.pem"
)
@click.argument("app", metavar="MODULE:APP")
@click.option(
    "--bind",
    default="127.0.0.1:4433",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen, by UDP and TCP. Port 0: any.",
)
@click.option("--certfile", type=click.Path(), help="Certificate chain, PEM or DER.")
@click.option(
    "--keyfile",
    type=click.Path(),
    help="Private key, PEM or DER; QUICPRO_KEY_PASSPHRASE decrypts it.",
)
@click.option(
    "--cert-for",
    "certs",
    type=(str, click.Path(), click.Path()),
    multiple=True,
    metavar="HOST CERTFILE KEYFILE",
    help="Another certificate, for clients that ask for HOST or '*.example'; may be repeated.",
)
@click.option(
    "--reload-certs",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Look this often whether certificates changed, and reload them. SIGHUP always does.",
)
@click.option(
    "--graceful-timeout",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds that open requests get after Ctrl-C; a second Ctrl-C does not wait.",
)
@click.option(
    "--loop",
    type=click.Choice(["auto", "asyncio", "uvloop"]),
    default="auto",
    show_default=True,
    help="Event loop; auto takes uvloop where it is installed.",
)
@click.option(
    "--app-dir",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Where to look for MODULE first.",
)
@click.option("--root-path", default="", help="Prefix under which the application is mounted.")
@click.option(
    "--tasks",
    type=click.Choice(["auto", "inline", "stock"]),
    default="auto",
    show_default=True,
    help="inline starts requests as they come; stock gives each an asyncio.Task from the start.",
)
@click.option(
    "--tcp/--no-tcp",
    default=None,
    help="HTTP/1.1 over TLS on the TCP port of the same number, with Alt-Svc, so that browsers "
    "find HTTP/3. On where uvicorn is installed.",
)
@click.option("--no-quic", is_flag=True, help="Only that.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    help="A field for responses that have none of that name; may be repeated.",
)
@click.option(
    "--date-header/--no-date-header",
    default=True,
    show_default=True,
    help="The same for 'date' (RFC 9110 section 6.6.1).",
)
@click.option(
    "--interface",
    type=click.Choice(["asgi", "wsgi"]),
    default="asgi",
    show_default=True,
    help="What the application is; wsgi by a2wsgi, in threads.",
)
@click.option(
    "--factory", is_flag=True, help="APP is called, without arguments, for the application."
)
@click.option(
    "--limit-concurrency",
    type=click.IntRange(1),
    metavar="N",
    help="Answer 503 while N requests are being answered.",
)
@click.option(
    "--limit-max-requests",
    type=click.IntRange(1),
    metavar="N",
    help="Stop after N requests, as after Ctrl-C.",
)
@click.option(
    "--proxy-headers/--no-proxy-headers",
    default=False,
    show_default=True,
    help="Take client and scheme from X-Forwarded-For and -Proto of the proxies named by "
    "--forwarded-allow-ips.",
)
@click.option(
    "--forwarded-allow-ips",
    default="127.0.0.1,::1",
    show_default=True,
    metavar="LIST",
    help="Addresses and networks of trusted proxies, or '*'.",
)
@click.option(
    "--access-log/--no-access-log",
    default=False,
    show_default=True,
    help="A line for each request.",
)
@click.option(
    "--access-log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it looks.",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    help="Least important lines wanted; -v is info, -vv debug.  [default: warning]",
)
@click.option(
    "--log-config",
    type=click.Path(dir_okay=False),
    help="A file of Python's logging.config: .json for dictConfig(), else fileConfig().",
)
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False),
    help="NAME=VALUE lines for the environment, where they are not set.",
)
@click.option(
    "--check", is_flag=True, help="Load application, configuration and certificates, then exit."
)
@config_options()
@click.option(
    "--tune-gc/--no-tune-gc",
    default=True,
    show_default=True,
    help="Leave what was loaded at startup out of garbage collections, and run fewer of them.",
)
@click.option("-v", "--verbose", count=True, help="More log; -vv for all of it.")
@click.pass_context
def serve(
    context: click.Context,
    app: str,
    bind: str,
    certfile: str | None,
    keyfile: str | None,
    certs: tuple[tuple[str, str, str], ...],
    reload_certs: float | None,
    graceful_timeout: float,
    loop: str,
    app_dir: str,
    root_path: str,
    tasks: str,
    tcp: bool | None,
    no_quic: bool,
    headers: tuple[str, ...],
    date_header: bool,
    interface: str,
    factory: bool,
    limit_concurrency: int | None,
    limit_max_requests: int | None,
    proxy_headers: bool,
    forwarded_allow_ips: str,
    access_log: bool,
    access_log_format: Literal["text", "json"],
    log_level: str | None,
    log_config: str | None,
    env_file: str | None,
    check: bool,
    config_file: str | None,
    options: tuple[str, ...],
    tune_gc: bool,
    verbose: int,
) -> None:
    """Serve an ASGI application over HTTP/3."""
    from quicpro import errors
    from quicpro._run import serve as run
    from quicpro._tcp import is_available
    from quicpro.server import LifespanError, Server, parse_bind

    if env_file is not None:
        load_environment(env_file)
    level = log_level or ("warning", "info", "debug")[min(verbose, 2)]
    set_up(level, log_config, access_log)
    try:
        fields = [parse_field(text) for text in headers]
    except ValueError as e:
        fail(f"--header: {e}", WRONG_USE)
    if tcp is False and no_quic:
        fail("--no-tcp and --no-quic: nothing is left to serve", WRONG_USE)
    if tcp is None:
        tcp = no_quic or is_available()
        if not tcp:
            click.echo(
                "quicpro: HTTP/3 only: browsers need the TCP side (pip install 'quicpro[serve]')",
                err=True,
            )
    try:
        host, _ = parse_bind(bind)
    except ValueError as e:
        fail(e, WRONG_USE)
    config = load_config(
        config_file, options, cert_file=certfile, key_file=keyfile, tls_watch=reload_certs
    )
    certfile, keyfile = config["cert_file"] or None, config["key_file"] or None
    in_memory = bool(config["cert_data"] or config["key_data"])
    if not in_memory and (certfile is None) != (keyfile is None):
        fail("--certfile and --keyfile belong together (cert_file, key_file)", WRONG_USE)
    none_given = not in_memory and certfile is None
    if none_given and not is_loopback(host):
        fail(
            "a certificate is needed to listen beyond loopback: --certfile and --keyfile "
            "('quicpro devcert DIR' makes one for development)",
            WRONG_USE,
        )
    sys.path.insert(0, os.path.abspath(app_dir))
    application = load_app(app, factory)
    if interface == "wsgi":
        application = from_wsgi(application)
    if proxy_headers:
        application = behind_proxies(application, forwarded_allow_ips)
    temporary: tempfile.TemporaryDirectory[str] | None = None
    if none_given:
        from quicpro.devcert import write_devcert

        temporary = tempfile.TemporaryDirectory(prefix="quicpro-", ignore_cleanup_errors=True)
        write_devcert(temporary.name)
        certfile, keyfile = (os.path.join(temporary.name, n) for n in ("cert.pem", "key.pem"))
        click.echo(
            f"quicpro: no certificate given, using a temporary one; trust it with "
            f"--cacert {temporary.name}/ca.pem",
            err=True,
        )

    def started(server: Server) -> None:
        if check:
            click.echo(f"quicpro: {app} can be served", err=True)
            return
        if tune_gc:
            _tune_gc()
        protocols = "HTTP/1.1" if no_quic else "HTTP/3 and HTTP/1.1" if tcp else "HTTP/3"
        shown = f"[{host}]" if host and ":" in host else host or "localhost"
        click.echo(
            f"quicpro: serving {app} on https://{shown}:{server.port} ({protocols}), Ctrl-C stops",
            err=True,
        )

    def stopping(server: Server) -> None:
        if check:
            return
        click.echo(
            f"quicpro: stopping, {server.requests()} requests on {server.connections()} "
            "connections left; Ctrl-C again does not wait",
            err=True,
        )

    try:
        run(
            application,
            bind,
            certfile=certfile,
            keyfile=keyfile,
            certs={name: (cert, key) for name, cert, key in certs},
            config=config,
            graceful_timeout=graceful_timeout,
            loop=loop,
            root_path=root_path,
            tasks=tasks,
            tcp=tcp,
            quic=not no_quic,
            headers=fields,
            date_header=date_header,
            limit_concurrency=limit_concurrency,
            limit_max_requests=limit_max_requests,
            access_log=access_log_format if access_log else None,
            check=check,
            on_start=started,
            on_stop=stopping,
        )
    except (LifespanError, errors.QuicproError, OSError) as e:
        if context.obj["debug"]:
            raise
        fail(getattr(e, "strerror", None) or e, NOT_STARTED)
    finally:
        if temporary is not None:
            temporary.cleanup()


def _tune_gc() -> None:
    """Requests make cycles, modules do not go: each collection would look at all of them again.

    Only here, where the process is ours; `quicpro.serve()` leaves it to its caller.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
