#!/usr/bin/env python3
"""Build the engine: quiche, BoringSSL and nghttp3 as one static library behind qp_engine.h.

Everything lives in ${XDG_CACHE_HOME:-~/.cache}/quicpro, so that neither a fresh clone nor a changed
patch compiles BoringSSL again:

    vendor-<lock>/                      sources of the locked crates, patched
    boringssl-<version, compilers>/     lib/*.a and include/, without any patch
    target-<lock, compilers, flags>/    cargo's own output
    engine-<everything>/                libqp_engine.a, include/: the result

Usage: build_engine.py [--output FILE] [--include DIR] [--abi FILE] [--features mimalloc]
                       [--vendor DIR | --prebuilt FILE]
       build_engine.py --print-dir | --vendor-only DIR

CC, CXX, CFLAGS, CXXFLAGS and RUSTFLAGS count, and are part of the names above.
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
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENGINE = Path(__file__).resolve().parent.parent / "libquicpro" / "engine"
RUST = (1, 95)
KEEP = 3  # results and source trees of each kind that stay in the cache
RECIPE = "2"  # part of every name: to be raised when this file builds differently


class StepError(Exception):
    """A step failed; the text says which and why."""


class MissingError(Exception):
    """Something that the build needs is not installed; the text says what to do."""


def say(text: str) -> None:
    print(f"engine: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what begins and, at its end, how long it took."""
    say(what)
    begin = time.monotonic()
    yield
    say(f"... {time.monotonic() - begin:.1f} s")


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "quicpro"


def run(args: list[str], env: dict[str, str] | None = None, what: str = "") -> str:
    """Run a command; its output, or StepError with the end of it."""
    lines = []
    live = sys.stderr.isatty()
    with subprocess.Popen(
        args,
        cwd=ENGINE,
        env=env,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            if live:
                print(f"\r\033[K  {lines[-1].strip()[:76]}", end="", file=sys.stderr, flush=True)
    if live:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    if process.returncode != 0:
        tail = "\n".join(lines[-25:])
        raise StepError(f"{tail}\nengine: failed: {what or ' '.join(args[:3])}")
    return "\n".join(lines)


def first_line(*args: str) -> str:
    try:
        done = subprocess.run(args, text=True, capture_output=True, check=True)
        return done.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def check_rust() -> None:
    """rustc is asked even when everything is built: its version is part of the names."""
    version = first_line("rustc", "--version")
    found = re.match(r"rustc (\d+)\.(\d+)", version)
    want = ".".join(map(str, RUST))
    if not found:
        raise MissingError(f"no rustc: install Rust {want} or newer with rustup")
    if (int(found[1]), int(found[2])) < RUST:
        raise MissingError(f"{version} is too old: 'rustup update' brings {want} or newer")


def has_libclang() -> bool:
    """Whether bindgen will find libclang: in the places where clang-sys looks for it."""
    if path := os.environ.get("LIBCLANG_PATH"):
        return Path(path).is_file() or any(Path(path).glob("libclang*.so*"))
    prefix = first_line("llvm-config", "--libdir")
    folders = [Path(prefix)] if prefix else []
    for pattern in ("usr/lib*", "usr/lib*/*-linux-*", "usr/lib*/llvm*/lib*", "usr/local/lib*"):
        folders += Path("/").glob(pattern)
    names = ("libclang.so", "libclang.so.*", "libclang-*.so", "libclang-*.so.*")
    return any(next(folder.glob(name), None) for folder in folders for name in names)


def check_tools() -> None:
    for tool, package in (
        ("cargo", "rustup"),
        ("cmake", "cmake"),
        ("git", "git"),
        ("strip", "gcc"),
    ):
        if shutil.which(tool) is None:
            raise MissingError(f"no {tool}: install {package} (tools/bootstrap does it)")
    for command, package in ((compiler("CC", "cc"), "gcc"), (compiler("CXX", "c++"), "g++")):
        if shutil.which(command[0]) is None:
            raise MissingError(f"no {command[0]}: install {package} (tools/bootstrap does it)")
    if not has_libclang():
        raise MissingError(
            "no libclang (bindgen reads C headers with it): install libclang1-14 and "
            "libclang-common-14-dev (tools/bootstrap does it)"
        )


def compiler(variable: str, default: str) -> list[str]:
    return shlex.split(os.environ.get(variable, "")) or [default]


def circumstances() -> str:
    """What of this machine goes into the objects: compilers and flags."""
    parts = [RECIPE, first_line("rustc", "--version")]
    parts += [first_line(*compiler(*pair), "--version") for pair in (("CC", "cc"), ("CXX", "c++"))]
    parts += [os.environ.get(name, "") for name in ("RUSTFLAGS", "CFLAGS", "CXXFLAGS")]
    return "\n".join(parts)


def digest(*parts: bytes | str) -> str:
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()[:16]


def patches() -> list[Path]:
    return sorted((ENGINE / "patches").glob("*.patch"))


def patched_crate(patch: Path) -> str:
    named = re.search(r"^Crate: (\S+)$", patch.read_text(), re.M)
    if not named:
        raise StepError(f"engine: {patch.name} has no line 'Crate: NAME'")
    return named[1]


def patch_digests() -> dict[str, str]:
    """For each patched crate a name for all its patches together."""
    contents: dict[str, list[bytes]] = {}
    for patch in patches():
        contents.setdefault(patched_crate(patch), []).append(patch.read_bytes())
    return {crate: digest(*parts) for crate, parts in contents.items()}


def sources() -> list[Path]:
    top = [ENGINE / name for name in ("Cargo.toml", "Cargo.lock", "build.rs", "qp_engine.h")]
    return top + sorted((ENGINE / "src").rglob("*.rs"))


def locked(crate: str) -> tuple[str, str]:
    """Version and checksum of a crate in Cargo.lock."""
    found = re.search(
        rf'name = "{re.escape(crate)}"\nversion = "([^"]+)"\nsource = [^\n]+\nchecksum = "([^"]+)"',
        (ENGINE / "Cargo.lock").read_text(),
    )
    if not found:
        raise StepError(f"engine: {crate} is not in Cargo.lock")
    return found[1], found[2]


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
    with step("fetching the locked crates"):
        shutil.rmtree(into, ignore_errors=True)
        run(
            ["cargo", "vendor", "--locked", str(into)],
            what="cargo vendor (is the network reachable? --vendor DIR works without)",
        )


def check_vendored(folder: Path) -> None:
    for crate in ("quiche", "boring-sys", "nghttp3-sys"):
        version = locked(crate)[0]
        manifest = folder / crate / "Cargo.toml"
        if not manifest.exists() or f'\nversion = "{version}"' not in manifest.read_text():
            raise StepError(
                f"engine: {folder} lacks {crate} {version}: make it with --vendor-only DIR"
            )


def apply_patch(patch: Path, vendor: Path) -> None:
    """Apply a patch to the crate that it names, whole or not at all."""
    crate = vendor / patched_crate(patch)
    touched = re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M)
    result = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(patch)],
        cwd=crate,
        text=True,
        capture_output=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(vendor.parent), "GIT_DIR": os.devnull},
    )
    if result.returncode != 0:
        raise StepError(f"{result.stderr}engine: {patch.name} does not apply to {crate.name}")
    checksums = crate / ".cargo-checksum.json"
    table = json.loads(checksums.read_text())
    table["files"] = {k: v for k, v in table["files"].items() if k not in touched}
    checksums.write_text(json.dumps(table))
    say(f"applied {patch.name}")


def patched_vendor(cache: Path, source: Path | None) -> Path:
    """The folder of patched sources. Crates stay as they were fetched in .pristine beside their
    patched copy (cargo does not look into hidden folders), so other patches need no network."""
    folder = cache / f"vendor-{digest(RECIPE, (ENGINE / 'Cargo.lock').read_bytes())}"
    pristine, complete, stamp = folder / ".pristine", folder / ".complete", folder / ".patched"
    want = patch_digests()
    if not complete.exists():
        if source is None:
            vendor_crates(folder)
        else:
            check_vendored(source)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(source, folder)
        complete.touch()
    if stamp.exists() and json.loads(stamp.read_text()) == want:
        return folder
    stamp.unlink(missing_ok=True)
    pristine.mkdir(exist_ok=True)
    for crate in sorted({p.name for p in pristine.iterdir() if p.suffix != ".partial"} | set(want)):
        if not (folder / crate).is_dir():
            raise StepError(f"engine: a patch is for {crate}, which is not in Cargo.lock")
        if not (pristine / crate).exists():
            partial = pristine / f"{crate}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(folder / crate, partial)
            partial.rename(pristine / crate)
        shutil.rmtree(folder / crate)
        shutil.copytree(pristine / crate, folder / crate)
    for patch in patches():
        apply_patch(patch, folder)
    stamp.write_text(json.dumps(want))
    return folder


def newest(pattern: str, under: Path) -> Path:
    found = sorted(under.glob(pattern), key=lambda p: p.stat().st_mtime)
    if not found:
        raise StepError(f"engine: {pattern} was not built under {under}")
    return found[-1]


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name once it is complete."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def keep_boringssl(folder: Path, target: Path, vendor: Path) -> None:
    """Take BoringSSL out of cargo's output, for the next build to start from."""
    built = newest("release/build/boring-sys-*/out/build/libcrypto.a", target).parent
    with appearing(folder) as partial:
        (partial / "lib").mkdir()
        for name in ("libcrypto.a", "libssl.a"):
            shutil.copy2(next(built.rglob(name)), partial / "lib" / name)
        shutil.copytree(vendor / "boring-sys/deps/boringssl/include", partial / "include")


def forget_stale_crates(target: Path, cargo: list[str], env: dict[str, str]) -> None:
    """cargo takes vendored sources for unchangeable: have it forget what it built of crates whose
    patches have changed since (or came, or went)."""
    stamp = target / "patches.json"
    old = json.loads(stamp.read_text()) if stamp.exists() else {}
    new = patch_digests()
    stale = {crate for crate in old.keys() | new.keys() if old.get(crate) != new.get(crate)}
    if target.exists() and stale:
        crates = [arg for crate in sorted(stale) for arg in ("-p", crate)]
        run(["cargo", "clean", *crates, *cargo], env, "cargo clean")
    target.mkdir(exist_ok=True)
    stamp.write_text(json.dumps(new))


@dataclass
class Workshop:
    """Where cargo works, and how it is called: patched sources, BoringSSL made, its environment."""

    vendor: Path
    boringssl: Path
    target: Path
    env: dict[str, str]
    cargo: list[str]  # arguments for each call


def workshop(cache: Path, vendor_source: Path | None = None) -> Workshop:
    vendor = patched_vendor(cache, vendor_source)
    boringssl = cache / f"boringssl-{digest(*locked('boring-sys'), circumstances())}"
    target = cache / f"target-{digest((ENGINE / 'Cargo.lock').read_bytes(), circumstances())}"
    # No path of this machine goes into the library (flags cannot hold one with spaces).
    maps = {str(vendor): "crates", str(target): "target"} if " " not in str(cache) else {}
    c_maps = "".join(f" -ffile-prefix-map={old}={new}" for old, new in maps.items())
    env = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    env["RUSTFLAGS"] = env.get("RUSTFLAGS", "") + "".join(
        f" --remap-path-prefix={old}={new}" for old, new in maps.items()
    )
    for name in ("CFLAGS", "CXXFLAGS"):
        env[name] = env.get(name, "") + c_maps
    config = vendor_config(vendor)
    cargo = ["--release", "--locked", "--offline", "--ignore-rust-version", *config]
    forget_stale_crates(target, ["--release", "--locked", "--offline", *config], env)
    if not boringssl.exists():
        # Built once by its own crate, then handed in: patches and our own code never rebuild it.
        with step("compiling BoringSSL (about two minutes on two cores, once)"):
            run(["cargo", "build", "-p", "boring-sys", *cargo], env, "compiling BoringSSL")
            keep_boringssl(boringssl, target, vendor)
    env |= {"BORING_BSSL_PATH": str(boringssl), "BORING_BSSL_ASSUME_PATCHED": "1"}
    for used in (vendor, boringssl, target):
        os.utime(used)  # prune() goes by it
    return Workshop(vendor, boringssl, target, env, cargo)


def build(cache: Path, result: Path, features: str, vendor_source: Path | None) -> None:
    w = workshop(cache, vendor_source)
    with step("compiling quiche, nghttp3 and the engine (about a minute; half if little changed)"):
        command = ["cargo", "build", *w.cargo, *(["--features", features] if features else [])]
        run(command, w.env, "compiling the engine")
    with appearing(result) as partial:
        (partial / "include").mkdir()
        shutil.copy2(w.target / "release/libqp_engine.a", partial / "libqp_engine.a")
        run(["strip", "--strip-debug", str(partial / "libqp_engine.a")], what="strip")
        shutil.copytree(w.boringssl / "include/openssl", partial / "include/openssl")
        header = w.vendor / "nghttp3-sys/deps/nghttp3/lib/includes/nghttp3"
        shutil.copytree(header, partial / "include/nghttp3")
        version = newest("release/build/nghttp3-sys-*/out/include/nghttp3/version.h", w.target)
        shutil.copy2(version, partial / "include/nghttp3/version.h")


def abi() -> str:
    """The symbol by which an engine says which qp_engine.h it implements."""
    return "qp_engine_abi_" + hashlib.sha256((ENGINE / "qp_engine.h").read_bytes()).hexdigest()[:16]


def check_prebuilt(library: Path) -> Path:
    """The folder of an engine built elsewhere, if it is one and of the right version."""
    if not library.is_file():
        raise StepError(f"engine: {library} is not there")
    nm = os.environ.get("NM", "nm")
    if shutil.which(nm) is None:
        raise MissingError(f"no {nm}: install binutils")
    symbols = subprocess.run([nm, str(library)], text=True, capture_output=True).stdout
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
    """Put the result where the caller wants it, as copies: the cache may be pruned or deleted."""
    if args.output:
        partial = args.output.with_name(args.output.name + ".partial")
        shutil.copyfile(result / library, partial)
        partial.rename(args.output)
    if args.include:
        if args.include.is_symlink():
            args.include.unlink()
        with appearing(args.include) as partial:
            shutil.copytree(result / "include", partial, dirs_exist_ok=True)
    if args.abi:
        args.abi.write_text(
            f"/* Made by tools/build_engine.py. */\n#define QP_ENGINE_ABI {abi()}\n"
        )


def prune(cache: Path) -> None:
    """Delete all but the last few of each kind, by when they were last used."""
    for kind in ("engine", "vendor", "boringssl", "target", "tests"):
        found = [p for p in cache.glob(f"{kind}-*") if p.suffix != ".partial"]
        for old in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)[KEEP:]:
            shutil.rmtree(old, ignore_errors=True)
    for left in cache.glob("*.partial"):
        shutil.rmtree(left, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Build the engine (quiche, BoringSSL, nghttp3) into the cache folder.",
        epilog="example: tools/build_engine.py --output build/libqp_engine.a",
    )
    parser.add_argument("--output", type=Path, help="copy the static library here")
    parser.add_argument("--include", type=Path, help="copy the folder of headers here")
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
        check_rust()
        if args.vendor_only:
            vendor_crates(args.vendor_only.resolve())
            return 0
        cache = cache_dir()
        contents = [p.read_bytes() for p in sources() + patches()]
        result = cache / f"engine-{digest(*contents, circumstances(), args.features)}"
        if args.print_dir:
            print(result)
            return 0
        if not result.exists():
            check_tools()
            with lock(cache):
                begin = time.monotonic()
                if not result.exists():
                    build(cache, result, args.features, args.vendor and args.vendor.resolve())
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
    except KeyboardInterrupt:
        print("engine: interrupted; the next build goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
