"""`quicpro devcert`."""

from __future__ import annotations

import click

from . import WRONG_USE, fail


@click.command(epilog="Example: quicpro devcert certs --name localhost --name myhost.local")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="DNS name or address the certificate is for; may be repeated. "
    "Default: localhost, 127.0.0.1 and ::1.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 397),
    default=90,
    show_default=True,
    help="Days until it expires.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
def devcert(folder: str, names: tuple[str, ...], days: int, force: bool) -> None:
    """Write ca.pem, cert.pem and key.pem into FOLDER: certificates for development."""
    from quicpro.devcert import DEFAULT_NAMES, write_devcert

    chosen = names or DEFAULT_NAMES
    try:
        made = write_devcert(folder, chosen, days, force)
    except FileExistsError as e:
        fail(f"{e.filename} exists already; --force replaces it", WRONG_USE)
    except ValueError as e:
        fail(e, WRONG_USE)
    except OSError as e:
        fail(f"cannot write {e.filename}: {e.strerror}")
    click.echo(f"{folder}/ca.pem    trust this: quicpro get --cacert {folder}/ca.pem URL")
    click.echo(f"{folder}/cert.pem  serve with this, and its key {folder}/key.pem")
    click.echo(f"valid for {', '.join(chosen)}, {days} days")
    click.echo("Chromium accepts it for HTTP/3 when started with")
    click.echo("  --origin-to-force-quic-on=127.0.0.1:4433")
    click.echo(f"  --ignore-certificate-errors-spki-list={made.spki_sha256}")
    click.echo("Firefox: import ca.pem under Settings, Privacy & Security, Certificates.")
