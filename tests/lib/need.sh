# Finds what builds and tests need, and installs what is missing. Sourced by cargo.sh, check.sh and others.
#
# The caller sets $root, the checkout. System packages are installed with apt-get, as root or through sudo; Python packages
# go into .venv in the checkout. Every installation is announced first. A function that fails sets $missing to the reason.

target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
work=$target/check

# Messages go to descriptor 3 if the caller has opened it for the terminal, otherwise to standard error.
say() {
    if { : >&3; } 2>/dev/null; then printf '    %s\n' "$*" >&3; else printf '%s\n' "$*" >&2; fi
}

# need_command COMMAND PACKAGES WHY: makes sure that COMMAND can be run.
need_command() {
    command -v "$1" >/dev/null 2>&1 || need_package "$2" "$3" || return 1
    command -v "$1" >/dev/null 2>&1 && return
    missing="$1 is not there although $2 is installed"
    return 1
}

# need_package "PACKAGE..." WHY: makes sure that these Debian packages are installed.
need_package() {
    local absent=() name
    if ! command -v apt-get >/dev/null 2>&1; then
        missing="$1 (for $2) is not installed, and there is no apt-get to install it"
        return 1
    fi
    for name in $1; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || absent+=("$name")
    done
    [ ${#absent[@]} -gt 0 ] || return 0
    if ! as_root true 2>/dev/null; then
        missing="${absent[*]} (for $2) is not installed; as root: apt-get install ${absent[*]}"
        return 1
    fi
    say "installing ${absent[*]} (for $2)"
    apt_get install "${absent[@]}" && return
    # Unknown or moved: the package lists are missing or out of date. They are refreshed once per run at most.
    if [ -z "${HASTY_APT_UPDATED:-}" ]; then
        say "refreshing the package lists"
        apt_get update || true
        export HASTY_APT_UPDATED=1
        apt_get install "${absent[@]}" && return
    fi
    missing="${absent[*]} (for $2) could not be installed: $(grep -m 1 '^E: ' "$(apt_log)" || echo 'apt-get failed')"
    return 1
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" \
        </dev/null >"$(apt_log)" 2>&1
}

apt_log() {
    mkdir -p "$work" && printf '%s/apt.log' "$work"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 2 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# The oldest Rust that is supported, according to Cargo.toml.
rust_needed() {
    sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml"
}

# at_least WANTED HAVE: compares version numbers part by part.
at_least() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# rust_version COMMAND: prints the version of cargo or rustc, or nothing.
rust_version() {
    "$1" --version 2>/dev/null | sed -n 's/^[a-z]* \([0-9][0-9.]*\).*/\1/p'
}

# rust_will_do CARGO RUSTC: succeeds if both run and are new enough. $rust_found is the version found, empty if they do not run.
rust_will_do() {
    local cargo rustc
    rust_found=''
    cargo=$(rust_version "$1")
    rustc=$(rust_version "$2")
    [ -n "$cargo" ] && [ -n "$rustc" ] || return 1
    rust_found="$rustc ($(command -v "$2"))"
    at_least "$(rust_needed)" "$cargo" && at_least "$(rust_needed)" "$rustc"
}

# need_cargo: puts a cargo that is new enough first in PATH.
#
# An old one may come before a newer one in PATH (rustup's before Debian's). So the newer one is put into PATH by a folder
# that contains only links to it; adding /usr/bin itself would change which other programs are found.
need_cargo() {
    local why bin
    rust_will_do cargo rustc && return
    why="${rust_found:+Rust $rust_found is older than $(rust_needed)}"
    why="${why:-there is no cargo in PATH that runs}"
    for bin in "${CARGO_HOME:-$HOME/.cargo}/bin" /usr/local/bin /usr/bin; do
        if rust_will_do "$bin/cargo" "$bin/rustc"; then
            [ -n "${HASTY_RUST_TOLD:-}" ] || say "$why: using Rust $rust_found"
            use_rust_of "$bin"
            return
        fi
    done
    say "$why: Debian's cargo-web and rustc-web are used instead"
    need_package 'cargo-web rustc-web ca-certificates' 'building the library' || return 1
    if ! rust_will_do /usr/bin/cargo /usr/bin/rustc; then
        missing="Debian's cargo-web is older than Rust $(rust_needed)"
        return 1
    fi
    use_rust_of /usr/bin
}

use_rust_of() {
    local tool links="$work/rust"
    export HASTY_RUST_TOLD=1
    rm -rf "$links" && mkdir -p "$links"
    for tool in cargo rustc rustdoc rustfmt cargo-fmt cargo-clippy clippy-driver; do
        [ ! -x "$1/$tool" ] || ln -s "$1/$tool" "$links/$tool"
    done
    # cargo searches CARGO_HOME/bin before PATH, unless that folder is already in PATH.
    PATH="$links:$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
    export PATH
}

# need_oldest_rust: sets $oldest to a rustc of exactly the version in Cargo.toml, from Debian packages that are unpacked,
# not installed.
need_oldest_rust() {
    local version exact llvm folder="$target/oldest"
    version=$(rust_needed)
    oldest="$folder/rustc"
    [ "$(rust_version "$oldest" | cut -d . -f 1,2)" = "$version" ] && return
    exact=$(debian_version rustc-web "$version") || return 1
    llvm=$(apt-cache depends "libstd-rust-web-$version" | sed -n 's/.*Depends: \(libllvm[0-9.]*\)$/\1/p')
    say "unpacking Debian's rustc-web $exact"
    unpack_packages "$folder" "rustc-web=$exact" "libstd-rust-web-dev=$exact" "libstd-rust-web-$version=$exact" "$llvm" || return 1
    printf '#!/bin/sh\nLD_LIBRARY_PATH=$(echo "%s"/usr/lib/*-linux-gnu) exec "%s/usr/bin/rustc" "$@"\n' "$folder" "$folder" >"$oldest"
    chmod +x "$oldest"
    rust_version "$oldest" >/dev/null && return
    missing="Debian's rustc-web $exact does not run"
    return 1
}

# need_aarch64: makes sure that $oldest compiles for aarch64, that a compiler links for it, and that qemu-aarch64 is there.
need_aarch64() {
    local exact state="$target/oldest/aarch64"
    need_oldest_rust || return 1
    need_package 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user' 'the tests for aarch64' || return 1
    [ ! -d "$target/oldest/usr/lib/rustlib/aarch64-unknown-linux-gnu" ] || return 0
    exact=$(debian_version rustc-web "$(rust_needed)") || return 1
    # With its own package lists: those of this machine may lack the other architecture.
    mkdir -p "$state/state/lists/partial" "$state/cache/archives/partial"
    local apt_options=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$state/state" -o Dir::Cache="$state/cache"
        -o Dir::State::status=/dev/null)
    say "unpacking Rust's standard library for aarch64"
    if ! apt-get -q "${apt_options[@]}" update </dev/null >"$(apt_log)" 2>&1; then
        missing="there are no package lists for arm64: $(grep -m 1 '^E: ' "$(apt_log)" || echo 'apt-get failed')"
        return 1
    fi
    unpack_packages "$target/oldest" "libstd-rust-web-dev=$exact"
}

# debian_version PACKAGE VERSION: prints the full version number that Debian has for it.
debian_version() {
    missing="Debian's $1 $2 is not to be had here"
    command -v apt-cache >/dev/null 2>&1 || return 1
    apt-cache madison "$1" | awk -v wanted="$2." 'index($3, wanted) == 1 { print $3; found = 1; exit } END { exit !found }'
}

# unpack_packages FOLDER PACKAGE[=VERSION]...: unpacks these Debian packages into the folder.
unpack_packages() {
    local folder=$1 package
    shift
    rm -rf "$folder/packages" && mkdir -p "$folder/packages"
    if ! (cd "$folder/packages" && apt-get -q -o APT::Sandbox::User=root ${apt_options[@]+"${apt_options[@]}"} download "$@") </dev/null >"$(apt_log)" 2>&1; then
        missing="$* could not be fetched: $(grep -m 1 '^E: ' "$(apt_log)" || echo 'apt-get failed')"
        return 1
    fi
    for package in "$folder"/packages/*.deb; do
        dpkg -x "$package" "$folder" && continue
        missing="$package cannot be unpacked"
        return 1
    done
    rm -rf "$folder/packages"
}

# need_rust_tool SUBCOMMAND PACKAGE COMPONENT: makes sure that `cargo SUBCOMMAND` works.
need_rust_tool() {
    cargo "$1" --version >/dev/null 2>&1 && return
    if command -v rustup >/dev/null 2>&1 && [ ! -e "$work/rust/cargo" ]; then
        say "adding rustup's $3"
        timeout 120 rustup component add "$3" >"$work/rustup.log" 2>&1 </dev/null && return
        missing="rustup has no $3 to give: $(tail -n 1 "$work/rustup.log")"
        return 1
    fi
    need_package "$2" "cargo $1" || return 1
    [ ! -e "$work/rust/cargo" ] || use_rust_of "$(dirname "$(readlink "$work/rust/cargo")")"
    cargo "$1" --version >/dev/null 2>&1 && return
    missing="cargo $1 does not run although $2 is installed"
    return 1
}

# need_venv: makes sure that .venv has what tests/requirements.txt lists, and sets $python to its interpreter.
need_venv() {
    need_environment "$root/.venv" python3 "$root/tests/requirements.txt" 'the Python tests'
}

# need_environment FOLDER PYTHON REQUIREMENTS WHY: makes sure that FOLDER is a virtual environment of this Python with what
# the file REQUIREMENTS lists, and sets $python to its interpreter.
need_environment() {
    local wanted log
    python="$1/bin/python"
    wanted=$(cksum <"$3")
    [ "$(cat "$1/installed" 2>/dev/null)" = "$wanted" ] && "$python" -c '' 2>/dev/null && return
    need_command "$2" "$2" "$4" || return 1
    # In Debian the part of venv that installs pip is a separate package.
    "$2" -c 'import ensurepip, venv' 2>/dev/null || need_package "python3-venv" "$4" || return 1
    say "installing $(sed -n 's/^\([a-z][^;# ]*\).*/\1/p' "$3" | paste -sd ' ') into ${1#"$root/"} (for $4)"
    log="$work/venv.log"
    mkdir -p "$work" "$(dirname "$1")"
    if "$2" -m venv --clear "$1" >"$log" 2>&1 &&
        "$python" -m pip install -q --disable-pip-version-check -r "$3" >>"$log" 2>&1 </dev/null; then
        printf '%s\n' "$wanted" >"$1/installed"
        return
    fi
    missing="pip could not fill ${1#"$root/"}: $(tail -n 1 "$log")"
    return 1
}

# find_python VERSION: sets $python to an interpreter of this version, such as 3.9.
find_python() {
    local found
    # pyenv has shims in PATH for versions that are not active, and these fail.
    for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python3; do
        [ "$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ] || continue
        python=$(command -v "$found") && return
    done
    missing="there is no python$1 in PATH and none of pyenv's"
    return 1
}
