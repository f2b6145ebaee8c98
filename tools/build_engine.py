#!/usr/bin/env python3
"""Build the engine: quiche, BoringSSL and nghttp3 as one static library behind qp_engine.h.

Everything lives in ${XDG_CACHE_HOME:-~/.cache}/quicpro, so that neither a fresh clone nor a changed
patch compiles BoringSSL again:

    vendor-<lock>/            sources of the locked crates, patched
    boringssl-<version...>/   lib/*.a and include/, without any patch
    target-<lock, flags>/     cargo's own output
    engine-<everything>/      libqp_engine.a, include/: the result

Usage: build_engine.py [--output FILE] [--include LINK] [--abi FILE] [--features mimalloc]
                       [--vendor DIR | --prebuilt FILE]
       build_engine.py --print-dir | --vendor-only DIR

Exit codes: 0 built, 1 a step failed, 2 wrong use, 3 something is not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ENGINE = Path(__file__).resolve().parent.parent / "libquicpro" / "engine"
RUST = (1, 95)
KEEP = 3  # results and source trees of each kind that stay in the cache


class StepError(Exception):
    """A step failed; the text says which and why."""


class MissingError(Exception):
    """Something that the build needs is not installed; the text says what to do."""


def say(text: str) -> None:
    print(f"engine: {text}", file=sys.stderr, flush=True)


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "quicpro"


def run(args: list[str], env: dict[str, str] | None = None, what: str = "") -> str:
    """Run a command; its output, or StepError with the end of it."""
    result = subprocess.run(
        args, cwd=ENGINE, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if result.returncode != 0:
        tail = "\n".join(result.stdout.splitlines()[-25:])
        raise StepError(f"{tail}\nengine: failed: {what or ' '.join(args[:3])}")
    return result.stdout


def first_line(*args: str) -> str:
    try:
        return subprocess.run(args, text=True, capture_output=True, check=True).stdout.splitlines()[
            0
        ]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def check_tools() -> None:
    version = first_line("rustc", "--version")
    found = re.match(r"rustc (\d+)\.(\d+)", version)
    want = ".".join(map(str, RUST))
    if not found:
        raise MissingError(f"no rustc: install Rust {want} or newer with rustup")
    if (int(found[1]), int(found[2])) < RUST:
        raise MissingError(f"{version} is too old: 'rustup update' brings {want} or newer")
    for tool, package in (("cargo", "rustup"), ("cmake", "cmake"), ("git", "git"), ("g++", "g++")):
        if shutil.which(tool) is None:
            raise MissingError(f"no {tool}: install {package} (tools/bootstrap does it)")


def digest(*parts: bytes | str) -> str:
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()[:16]


def patches() -> list[Path]:
    return sorted((ENGINE / "patches").glob("*.patch"))


def sources() -> list[Path]:
    top = [ENGINE / name for name in ("Cargo.toml", "Cargo.lock", "build.rs", "qp_engine.h")]
    return top + sorted((ENGINE / "src").rglob("*.rs"))


def locked(crate: str) -> str:
    """Version and checksum of a crate in Cargo.lock."""
    found = re.search(
        rf'name = "{re.escape(crate)}"\nversion = "([^"]+)"\nsource = [^\n]+\nchecksum = "([^"]+)"',
        (ENGINE / "Cargo.lock").read_text(),
    )
    if not found:
        raise StepError(f"engine: {crate} is not in Cargo.lock")
    return f"{found[1]}-{found[2]}"


@contextlib.contextmanager
def lock(cache: Path) -> Iterator[None]:
    """One build at a time: two would write into the same folders."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def vendor_config(vendor: Path) -> list[str]:
    return [
        "--config",
        'source.crates-io.replace-with="vendored"',
        "--config",
        f'source.vendored.directory="{vendor}"',
    ]


def vendor_crates(into: Path) -> None:
    say("fetching the locked crates")
    shutil.rmtree(into, ignore_errors=True)
    run(["cargo", "vendor", "--locked", str(into)], what="cargo vendor (is the network reachable?)")


def apply_patch(patch: Path, vendor: Path) -> None:
    """Apply a patch to the crate that it names, whole or not at all."""
    named = re.search(r"^Crate: (\S+)$", patch.read_text(), re.M)
    if not named:
        raise StepError(f"engine: {patch.name} has no line 'Crate: NAME'")
    crate = vendor / named[1]
    touched = re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M)
    command = ["git", "apply", "--whitespace=nowarn", str(patch)]
    result = subprocess.run(
        command,
        cwd=crate,
        text=True,
        capture_output=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(vendor.parent), "GIT_DIR": os.devnull},
    )
    if result.returncode != 0:
        raise StepError(f"{result.stderr}engine: {patch.name} does not apply to {named[1]}")
    checksums = crate / ".cargo-checksum.json"
    table = json.loads(checksums.read_text())
    for name in touched:
        if table["files"].pop(name, None) is None:
            raise StepError(f"engine: {patch.name} touches {name}, which is no file of {named[1]}")
    checksums.write_text(json.dumps(table))
    say(f"applied {patch.name}")


def patched_vendor(cache: Path, source: Path | None) -> tuple[Path, bool]:
    """The folder of patched sources, and whether it was made just now."""
    folder = cache / f"vendor-{digest((ENGINE / 'Cargo.lock').read_bytes())}"
    stamp = folder / ".patched"
    want = digest(*(p.read_bytes() for p in patches()))
    if stamp.exists() and stamp.read_text() == want:
        return folder, False
    if source is not None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
    else:
        vendor_crates(folder)
    for patch in patches():
        apply_patch(patch, folder)
    stamp.write_text(want)
    return folder, True


def newest(pattern: str, under: Path) -> Path:
    found = sorted(under.glob(pattern), key=lambda p: p.stat().st_mtime)
    if not found:
        raise StepError(f"engine: {pattern} was not built under {under}")
    return found[-1]


def keep_boringssl(folder: Path, target: Path, vendor: Path) -> None:
    """Take BoringSSL out of cargo's output, for the next build to start from."""
    built = newest("release/build/boring-sys-*/out/build/libcrypto.a", target).parent
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "lib").mkdir(parents=True)
    for name in ("libcrypto.a", "libssl.a"):
        found = next(iter(built.rglob(name)))
        shutil.copy2(found, partial / "lib" / name)
    shutil.copytree(vendor / "boring-sys/deps/boringssl/include", partial / "include")
    partial.rename(folder)


def build(cache: Path, key: str, features: str, vendor_source: Path | None) -> Path:
    result = cache / f"engine-{key}"
    vendor, fresh = patched_vendor(cache, vendor_source)
    tools = first_line("rustc", "--version") + first_line("cc", "--version")
    flags = os.environ.get("RUSTFLAGS", "") + os.environ.get("CFLAGS", "")
    boringssl = cache / f"boringssl-{digest(locked('boring-sys'), tools, flags)}"
    target = cache / f"target-{digest((ENGINE / 'Cargo.lock').read_bytes(), tools, flags)}"
    env = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    cargo = ["--locked", "--offline", "--ignore-rust-version", *vendor_config(vendor)]
    if not boringssl.exists():
        # Built once by its own crate, then handed in: patches and our own code never rebuild it.
        say("compiling BoringSSL (about two minutes on two cores, once)")
        run(["cargo", "build", "--release", "-p", "boring-sys", *cargo], env, "compiling BoringSSL")
        keep_boringssl(boringssl, target, vendor)
    env |= {"BORING_BSSL_PATH": str(boringssl), "BORING_BSSL_ASSUME_PATCHED": "1"}
    if fresh and target.exists():
        # cargo takes vendored sources for unchangeable: tell it which ones were patched.
        names = {re.search(r"^Crate: (\S+)$", p.read_text(), re.M)[1] for p in patches()}  # type: ignore[index]
        for name in names:
            subprocess.run(
                ["cargo", "clean", "--release", "-p", name, "--offline", *vendor_config(vendor)],
                cwd=ENGINE,
                env=env,
                capture_output=True,
            )
    say("compiling quiche, nghttp3 and the engine")
    command = ["cargo", "build", "--release", *cargo]
    run(command + (["--features", features] if features else []), env, "compiling the engine")
    partial = result.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "include").mkdir(parents=True)
    shutil.copy2(target / "release/libqp_engine.a", partial / "libqp_engine.a")
    run(["strip", "--strip-debug", str(partial / "libqp_engine.a")], what="strip")
    shutil.copytree(boringssl / "include/openssl", partial / "include/openssl")
    header = vendor / "nghttp3-sys/deps/nghttp3/lib/includes/nghttp3"
    shutil.copytree(header, partial / "include/nghttp3")
    version = newest("release/build/nghttp3-sys-*/out/include/nghttp3/version.h", target)
    shutil.copy2(version, partial / "include/nghttp3/version.h")
    shutil.rmtree(result, ignore_errors=True)
    partial.rename(result)
    return result


def abi() -> str:
    """The symbol by which an engine says which qp_engine.h it implements."""
    return "qp_engine_abi_" + hashlib.sha256((ENGINE / "qp_engine.h").read_bytes()).hexdigest()[:16]


def check_prebuilt(library: Path) -> Path:
    """The folder of an engine built elsewhere, if it is one and of the right version."""
    if not library.exists():
        raise StepError(f"engine: {library} does not exist")
    symbols = subprocess.run(["nm", str(library)], text=True, capture_output=True).stdout
    if "qp_engine_accept" not in symbols:
        raise StepError(
            f"engine: {library} holds no qp_engine_* functions: a stock libquiche cannot serve, "
            "it lacks the shims of libquicpro/engine (see BUILD.md)"
        )
    if abi() not in symbols:
        raise StepError(f"engine: {library} was built from another version of qp_engine.h")
    if not (library.parent / "include/openssl/ssl.h").exists():
        raise StepError(f"engine: {library.parent}/include with the headers is missing beside it")
    return library.resolve().parent


def deliver(result: Path, library: str, args: argparse.Namespace) -> None:
    """Put the result where the caller wants it; files that are right already keep their time."""
    if args.output:
        shutil.copyfile(result / library, args.output)
    if args.include:
        args.include.unlink(missing_ok=True)
        args.include.symlink_to(result / "include")
    if args.abi:
        args.abi.write_text(
            f"/* Made by tools/build_engine.py. */\n#define QP_ENGINE_ABI {abi()}\n"
        )


def prune(cache: Path) -> None:
    for kind in ("engine", "vendor", "boringssl", "target"):
        found = sorted(cache.glob(f"{kind}-*"), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in found[KEEP:]:
            shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Build the engine (quiche, BoringSSL, nghttp3) into the cache folder.",
        epilog="example: tools/build_engine.py --output build/libqp_engine.a",
    )
    parser.add_argument("--output", type=Path, help="copy the static library here")
    parser.add_argument("--include", type=Path, help="make this a link to the headers")
    parser.add_argument("--abi", type=Path, help="write a C header that names the engine's version")
    parser.add_argument(
        "--prebuilt", type=Path, help="use this static library, built earlier by this tool"
    )
    parser.add_argument(
        "--print-dir", action="store_true", help="print where the result is, or will be"
    )
    parser.add_argument("--features", default="", choices=["", "mimalloc"], help="cargo features")
    parser.add_argument(
        "--vendor", type=Path, help="crates vendored earlier: build without network"
    )
    parser.add_argument(
        "--vendor-only", type=Path, metavar="DIR", help="fetch the crates into DIR and stop"
    )
    args = parser.parse_args()
    try:
        if args.prebuilt:
            deliver(check_prebuilt(args.prebuilt), args.prebuilt.name, args)
            return 0
        check_tools()
        if args.vendor_only:
            vendor_crates(args.vendor_only.resolve())
            return 0
        cache = cache_dir()
        tools = first_line("rustc", "--version") + first_line("cc", "--version")
        flags = os.environ.get("RUSTFLAGS", "") + os.environ.get("CFLAGS", "")
        contents = [p.read_bytes() for p in sources() + patches()]
        key = digest(*contents, tools, flags, args.features)
        result = cache / f"engine-{key}"
        if args.print_dir:
            print(result)
            return 0
        if not result.exists():
            begin = time.monotonic()
            with lock(cache):
                if not result.exists():
                    build(cache, key, args.features, args.vendor and args.vendor.resolve())
                    prune(cache)
            say(f"built in {time.monotonic() - begin:.0f} s: {result}")
        os.utime(result)
        deliver(result, "libqp_engine.a", args)
    except MissingError as e:
        print(f"engine: {e}", file=sys.stderr)
        return 3
    except StepError as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
