#!/usr/bin/env python3
"""Check what the shared library and the extension modules show to the process, and their hardening.

Usage: check_symbols.py [LIBRARY]

Without an argument the library of build/gcc, the objects it is made of, and what is installed in
.venv are checked. Exit codes: 0 fine, 1 something is wrong (one line each), 2 wrong use.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Weak hooks of BoringSSL's allocator: absent everywhere but in programs that want them.
WEAK = {"OPENSSL_memory_alloc", "OPENSSL_memory_free", "OPENSSL_memory_get_size"}
# Set once: the numbers of the slots that BoringSSL gives us for the whole process (quic/tls*.c).
GLOBALS = {"context_slot", "note_slot", "tickets_slot", "once.1", "once.0", "once"}


def output(*command: str | Path) -> str:
    return subprocess.run([str(c) for c in command], text=True, capture_output=True).stdout


def check(path: Path, pattern: str, hardened: bool) -> list[str]:
    found = []
    for line in output("nm", "-D", "--defined-only", path).splitlines():
        kind, name = line.split()[-2:]
        if kind != "A" and not re.fullmatch(pattern, name.split("@")[0]):
            found.append(f"{path}: exports {name}")
    for line in output("nm", "-D", "--undefined-only", path).splitlines():
        name = line.split()[-1].split("@")[0]
        if re.match(r"(SSL|EVP|CRYPTO|OPENSSL|X509|quiche|nghttp3)_", name) and name not in WEAK:
            found.append(f"{path}: needs {name} from somewhere")
    if hardened:
        dynamic = output("readelf", "-dW", path)
        segments = output("readelf", "-lW", path)
        undefined = output("nm", "-D", "--undefined-only", path)
        for what, ok in {
            "BIND_NOW": "BIND_NOW" in dynamic,
            "RELRO": "GNU_RELRO" in segments,
            "a stack that cannot be executed": re.search(r"GNU_STACK.*RW\s", segments) is not None,
            "stack protector": "__stack_chk_fail" in undefined,
            "FORTIFY": "_chk" in undefined.replace("__stack_chk_fail", ""),
            "SONAME libquicpro.so.0": "[libquicpro.so.0]" in dynamic,
            "-Bsymbolic": "SYMBOLIC" in dynamic,
        }.items():
            if not ok:
                found.append(f"{path}: lacks {what}")
    return found


def check_objects(archive: Path) -> list[str]:
    """Our own C code: no variable that outlives its objects, and control-flow protection. (The
    library as a whole has no CET mark: the engine's objects have none.)"""
    found = []
    for line in output("objdump", "-t", archive).splitlines():
        variable = re.search(r" O (\.(?:data|bss|tdata|tbss)(?:\.\S+)?)\s+\S+\s+(\S+)$", line)
        allowed = variable and (variable[1].startswith(".data.rel.ro") or variable[2] in GLOBALS)
        if variable and not allowed:
            found.append(f"{archive}: {variable[2]} is a global variable")
    if platform.machine() == "x86_64":
        notes = output("readelf", "-nW", archive)
        files = len(re.findall(r"^File: ", notes, re.M))
        if len(re.findall("IBT, SHSTK", notes)) < files or not files:
            found.append(f"{archive}: lacks -fcf-protection in some object")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Check exported symbols and hardening.")
    parser.add_argument("library", nargs="?", type=Path)
    args = parser.parse_args()
    libraries = [args.library] if args.library else [ROOT / "build/gcc/libquicpro/libquicpro.so.0"]
    found = []
    for library in libraries:
        if not library.exists():
            found.append(f"{library}: does not exist (make test builds it)")
        else:
            found += check(library, r"quicpro_.*|QUICPRO_\d+", True)
    if not args.library:
        for archive in sorted((ROOT / "build/gcc/libquicpro").glob("libqp_*.a")):
            if archive.name != "libqp_engine.a":
                found += check_objects(archive)
        site = list((ROOT / ".venv/lib").glob("python*/site-packages/quicpro"))
        for module in (m for folder in site for m in folder.glob("*.so")):
            found += check(module, r"PyInit_.*|_cffi_pypyinit_.*|_init|_fini", False)
        carried = [p for folder in site for p in folder.parent.glob(".quicpro.mesonpy.libs/*.so*")]
        for library in carried:
            found += check(library, r"quicpro_.*|QUICPRO_\d+", True)
        if site and len(carried) != 1:
            found.append(f"the package carries {len(carried)} libraries instead of one")
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
