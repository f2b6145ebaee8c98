#!/usr/bin/env python3
"""Check the include graph of the library, and the imports of the package, against the layers.

Usage: check_layers.py [--root DIR]

Prints one line for each arrow that points the wrong way. Exit codes: 0 none, 1 some, 2 wrong use.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

# Which folders of libquicpro/src a folder may include from; "engine" is qp_engine.h.
MAY = {
    "base": {"base"},
    "metrics": {"metrics"},
    "ticket": {"ticket", "base"},
    "os": {"os", "base"},
    "quic": {"quic", "ticket", "base", "engine"},
    "h3": {"h3", "quic", "base"},
    "client": {"client", "base"},
    "loop": {"loop", "client", "h3", "quic", "os", "base", "ticket", "metrics"},
}
# Who may see which headers of others.
FOREIGN = {
    "openssl/": {"quic"},
    "nghttp3/": {"h3"},
    "sys/": {"os"},
    "netdb.h": {"os"},
    "pthread.h": {"os", "loop/thread"},
    "time.h": {"os", "loop/thread", "quic/devcert"},
    "unistd.h": {"os", "loop"},
    "fcntl.h": {"os"},
}
# arpa/inet.h and netinet/in.h only convert.

# Who may call what else the layers are about: time, randomness, environment, descriptors. Cores get
# all of these as arguments.
CALLS = {
    r"clock_gettime|gettimeofday|clock|nanosleep|usleep": {"os"},
    r"time": {"os", "quic/devcert"},
    r"getrandom|rand|srand|random|arc4random": {"os"},
    r"getenv|secure_getenv|setenv": {"os"},
    r"socket|bind|sendto|sendmsg|sendmmsg|recvfrom|recvmsg|recvmmsg|epoll_\w+": {"os"},
    r"poll": {"os", "loop/thread"},
    r"fopen|open|openat": {"os"},
    r"qp_clock_now|qp_random|quicpro_now": {"os", "loop"},
}

# Modules of the package that may import the raw bindings.
RAW = {
    "__init__",
    "_batch",
    "_check",
    "_exchange",
    "_finalize",
    "_hooks",
    "_inline",
    "_loop",
    "_raw",
    "_raw_async",
    "_raw_path",
    "_raw_stream",
    "_raw_sync",
    "_raw_thread",
    "_messages",
    "_tls",
    "_stats",
    "_options",
    "aio",
    "asgi",
    "config",
    "devcert",
    "raw",
    "server",
    "sync",
    "trio",
    "cli/version",
}


def check_c(root: Path) -> list[str]:
    found = []
    source = root / "libquicpro" / "src"
    for path in sorted(source.rglob("*.[ch]")):
        folder = path.relative_to(source).parts[0]
        stem = f"{folder}/{path.stem}"
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"{path.relative_to(root)}:{number}"
            for names, allowed in CALLS.items():
                call = re.search(rf"(?<![\w.>*\"])({names})\(", line)
                if call and not allowed & {folder, stem} and not re.match(r"\s*(/?\*|//)", line):
                    found.append(f"{where}: only {', '.join(sorted(allowed))} may call {call[1]}()")
            include = re.match(r'#\s*include\s+([<"])([^>"]+)[>"]', line)
            if not include:
                continue
            name = include[2]
            if include[1] == '"':
                target = "engine" if name.startswith("qp_engine") else name.split("/")[0]
                if target not in MAY.get(folder, set()):
                    found.append(f'{where}: {folder} must not include "{name}"')
            for prefix, allowed in FOREIGN.items():
                if name.startswith(prefix) and folder not in allowed and stem not in allowed:
                    found.append(f"{where}: only {', '.join(sorted(allowed))} may include <{name}>")
    return found


def check_python(root: Path) -> list[str]:
    found = []
    package = root / "bindings" / "python" / "quicpro"
    for path in sorted(package.rglob("*.py")):
        module = str(path.relative_to(package).with_suffix(""))
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.match(r"\s*from (\.|quicpro\.)_ffi import", line) and module not in RAW:
                found.append(f"{path.relative_to(root)}:{number}: {module} must not import _ffi")
            if re.match(r"(import|from) (click|rich|uvloop)\b", line) and not module.startswith(
                "cli"
            ):
                found.append(
                    f"{path.relative_to(root)}:{number}: only cli may import it at the top"
                )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Check includes and imports against the layers.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    found = check_c(root) + check_python(root)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
