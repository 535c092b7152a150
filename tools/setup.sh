#!/usr/bin/env bash
# Set-up for the Makefile, which decides when each step has to run again:
#   tools/setup.sh python   a pinned uv into .tools/, the locked Python packages into .venv/
#   tools/setup.sh core     the compiled core, and counterseal itself as an editable package
#   tools/setup.sh needs    nothing but the sentence that names what this machine lacks
# All can be interrupted at any point and simply run again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly UV=.tools/uv/bin/uv
# A cache on another file system is no reason for a warning.
export UV_LINK_MODE=${UV_LINK_MODE:-copy}

say() { printf '\n== %s\n' "$1"; }
stop() {
    printf '%s\n' "$1" >&2
    exit 1
}

# version_at_least 1.91 1.100.2
version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# Whether a program that uses OpenSSL 3 compiles and links. The arguments are the compiler's.
try_openssl() {
    cc -x c -o /dev/null - "$@" -lcrypto 2>/dev/null <<'C'
#include <openssl/evp.h>
#include <openssl/opensslv.h>
#if OPENSSL_VERSION_MAJOR < 3
#error "too old"
#endif
int main(void) { return EVP_CIPHER_CTX_new() == 0; }
C
}

# OpenSSL is under the device's database. The build is told its place only where the compiler does
# not find it by itself.
find_openssl() {
    # There the database uses the system's own cryptography.
    [ "$(uname)" != Darwin ] || return 0
    # Somebody knows better.
    [ -z "${OPENSSL_DIR:-}${OPENSSL_LIB_DIR:-}" ] || return 0
    ! try_openssl || return 0

    local lib include
    lib=$(pkg-config --variable=libdir libcrypto 2>/dev/null) || return
    include=$(pkg-config --variable=includedir libcrypto 2>/dev/null) || return
    try_openssl "-I$include" "-L$lib" || return
    export OPENSSL_LIB_DIR=$lib OPENSSL_INCLUDE_DIR=$include
}

# One sentence names everything that is missing, so that nobody comes back three times.
check_toolchain() {
    local missing=() rust
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        missing+=("Python 3.11 or newer (apt: python3)")
    python3 -m pip --version >/dev/null 2>&1 || python3 -c 'import ensurepip, venv' 2>/dev/null ||
        missing+=("pip or venv for Python (apt: python3-venv)")
    rust=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || true
    { [ -n "$rust" ] && version_at_least 1.91 "$rust"; } ||
        missing+=("Rust 1.91 or newer (from rustup.rs${rust:+; found $rust})")
    command -v cc >/dev/null || missing+=("a C compiler (apt: build-essential)")
    find_openssl || missing+=("OpenSSL 3 with its headers (apt: libssl-dev; dnf: openssl-devel)")
    [ ${#missing[@]} -eq 0 ] && return
    local list
    list=$(printf '; %s' "${missing[@]}")
    stop "Counterseal cannot be built yet, please install: ${list:2}."
}

# pip_setting index-url: what pip has been told, in its files or in the environment
pip_setting() {
    { python3 -m pip config list 2>/dev/null || true; } |
        sed -n "s/^\(global\|:env:\)\.$1='\(.*\)'\$/\2/p" | tail -n 1
}

# A mirror or an authority that pip or the system trusts serves uv as well; with the hashes in
# uv.lock, any source is as good as another.
adopt_settings() {
    MIRROR=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-$(pip_setting index-url)}}
    unset UV_DEFAULT_INDEX UV_INDEX_URL
    local authorities
    for authorities in \
        "${SSL_CERT_FILE:-}" "$(pip_setting cert)" /etc/ssl/certs/ca-certificates.crt; do
        [ -f "$authorities" ] && export SSL_CERT_FILE=$authorities && return
    done
    return 0
}

# uv.lock pins uv too, so there is one place for versions and hashes.
uv_requirement() {
    python3 - <<'PYTHON'
import pathlib, tomllib

lock = tomllib.loads(pathlib.Path("uv.lock").read_text())
uv = next(package for package in lock["package"] if package["name"] == "uv")
print(f"uv=={uv['version']}", *(f"--hash={wheel['hash']}" for wheel in uv["wheels"]))
PYTHON
}

install_uv() {
    local requirement wanted found pip=(python3 -m pip)
    requirement=$(uv_requirement)
    wanted=$(cut -d ' ' -f 1 <<<"${requirement#uv==}")
    found=$("$UV" --version 2>/dev/null | cut -d ' ' -f 2) || true
    [ "$found" != "$wanted" ] || return 0
    say "uv, the installer, into .tools/"
    rm -rf .tools/uv .tools/uv.new
    mkdir -p .tools
    printf '%s\n' "$requirement" >.tools/uv.txt
    if ! "${pip[@]}" --version >/dev/null 2>&1; then
        python3 -m venv --clear .tools/pip
        pip=(.tools/pip/bin/python -m pip)
    fi
    # A pip that is set to install for the user, or only inside environments, would refuse a target.
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 "${pip[@]}" install --quiet --disable-pip-version-check \
        --no-input --root-user-action=ignore --require-hashes --no-deps --only-binary :all: \
        --target .tools/uv.new --requirement .tools/uv.txt
    mv .tools/uv.new .tools/uv
}

set_up_python() {
    check_toolchain
    adopt_settings
    install_uv
    say "Python packages as in uv.lock, into .venv/"
    # Scripts in .venv/bin carry absolute paths: a tree that was moved or copied gets a new one.
    if ! .venv/bin/python -c '' 2>/dev/null || [ "$(cat .venv/.place 2>/dev/null)" != "$PWD" ]; then
        "$UV" venv --quiet --clear --no-python-downloads \
            --python "$(python3 -c 'import sys; print(sys.executable)')" .venv
        printf '%s\n' "$PWD" >.venv/.place
    fi
    "$UV" export --quiet --locked --offline --python .venv/bin/python --no-emit-project \
        --output-file .venv/requirements.txt >/dev/null
    VIRTUAL_ENV=.venv "$UV" pip sync --quiet ${MIRROR:+--default-index "$MIRROR"} \
        --require-hashes .venv/requirements.txt
}

set_up_core() {
    check_toolchain
    say "The compiled core (the first time takes some minutes), and counterseal into .venv/"
    # `maturin develop` puts the library beside the Python that uses it and installs the package in
    # place. All that it asks for is there already.
    VIRTUAL_ENV=$PWD/.venv PATH=$PWD/.tools/uv/bin:$PATH \
        UV_OFFLINE=1 CARGO_TERM_PROGRESS_WHEN=auto \
        .venv/bin/python -m maturin develop --uv --release --locked
}

case ${1:-} in
python) set_up_python ;;
core) set_up_core ;;
needs) check_toolchain ;;
*) stop "usage: tools/setup.sh python|core|needs" ;;
esac
