#!/usr/bin/env python3
"""Write docs/reference/config.md from the option table of the installed package.

Usage: config_reference.py [--check] [--page FILE]

--check writes nothing, and fails if the page is not what it would write.
Exit codes: 0 fine, 1 stale, 2 wrong use.
"""

from __future__ import annotations

import sys

import reference
from quicpro.config import Config, Option

HEAD = """\
# Configuration

<!-- Written by tools/config_reference.py from libquicpro/src/base/options.h; do not edit. -->

Every option has one key: in C `quicpro_config_set(config, "gso", "false")`, in Python
`quicpro.Config(gso=False)`, in files `gso = false`, in the environment `QUICPRO_GSO=false`, on the
command line `-o gso=false` (`quicpro get`: `--option`, its `-o` is the output file). A key that
does not exist, a value of the wrong type and one out of range are errors that name the key, the
value, what is allowed and the nearest key.

Keys end with their unit: `max_idle_timeout_ms` takes an integer of milliseconds everywhere. Python
arguments and `--option` also take the key without it, in seconds: `Config(max_idle_timeout=30.0)`.

## Layers

Later ones win:

| layer | how |
|---|---|
| defaults | below |
| the machine's file | `/etc/quicpro.toml`, where it exists |
| a file | what `QUICPRO_CONFIG` names; `--config FILE`, `Config.from_file(path)` take its place |
| environment | `QUICPRO_` and the key in capitals; `Config.from_env({...})` takes other variables |
| arguments | `Config(key=value)`, `Config.replace(key=value)` |
| command line | `--option KEY=VALUE`, and flags such as `--certfile` |

The C library reads neither files nor variables: that is its caller's matter. A program that runs
with more rights than its user has (setuid, setgid) ignores the environment.

`quicpro config` prints every value and where it came from, as a file that can be read again, or
with `--json` for programs; in Python `config.source(key)` tells. `quicpro config --check FILE`
names every mistake of a file by line and column.

Variables that begin with `QUICPRO_` and are no option are errors, because a misspelt one would be
ignored silently otherwise. Excepted are `QUICPRO_CONFIG`, `QUICPRO_NO_APT`,
`QUICPRO_BUILD_DIR`, `QUICPRO_VERSION`, `QUICPRO_TEST_*`, `QUICPRO_BENCH_*`, and what Kubernetes
sets for a service whose name begins with quicpro (`QUICPRO_SERVICE_HOST`, `QUICPRO_PORT_4433_UDP`,
...).

A file is TOML. Its sections are the chapters below; keys may also stand before the first section:

```toml
[tls]
cert_file = "/etc/ssl/quicpro.pem"
key_file = "/etc/ssl/quicpro.key"
alpn = ["h3"]

[quic]
max_idle_timeout_ms = 60000
```

## The lock

A layer that says `security_allow_config_override = false` locks what is set until then, itself
included. Layers above may repeat a value but not change one: `PolicyViolation` (`QUICPRO_EPOLICY`)
names the key and who locked it. No layer can unlock. In `/etc/quicpro.toml` it is the
administrator's word to everything that is started with this package: neither a variable nor an
argument turns verification off. It is no boundary against code that runs in the same process.

## Kinds

- *live*: `quicpro_server_set_option()`, `quicpro_client_set_option()` and `Server.set_options()`
  change it on what is running. All others are fixed when a loop, server or client is made.
- *no effect*: accepted because configurations of quicpro_async have it; checked, kept, and listened
  to by nothing.
- *refused*: only the value shown is accepted.

A name of quicpro_async that is not ours any more works and warns: in Python by a
DeprecationWarning, on the command line by a line on stderr.
"""

CHAPTERS = {
    "security": "The configuration itself.",
    "tls": "Certificates, names, secrets.",
    "quic": "The transport (RFC 9000, RFC 9002).",
    "limits": 'What peers may make us hold. All of it: [design.md](../design.md), "Limits".',
    "qlog": "What the transport did, for qvis and the like: [qlog.md](../qlog.md).",
    "http3": "HTTP/3 and QPACK (RFC 9114, RFC 9204).",
    "client": "What only clients do.",
    "server": "What only servers do.",
    "socket": "Descriptors and the kernel.",
}


def row(option: Option) -> str:
    default = f"`{option.default}`" if option.default else "not set"
    kind = "live" if option.live else option.status
    text = option.help.removeprefix("no effect: ")
    if kind != "honoured":
        text = f"*{kind}*: {text}"
    if option.old_names:
        text += f"; once {', '.join(f'`{name}`' for name in option.old_names)}"
    return f"| `{option.key}` | {option.allowed} | {default} | {text} |"


def page() -> str:
    groups: dict[str, list[Option]] = {}
    for option in Config.options():
        groups.setdefault(option.group, []).append(option)
    parts = [HEAD]
    for group, options in groups.items():
        rows = [row(option) for option in options]
        head = ["| key | values | default | what |", "|---|---|---|---|"]
        about = CHAPTERS.get(group, "")
        parts.append("\n".join([f"## {group}", "", about, "", *head, *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(reference.write("config", page))
