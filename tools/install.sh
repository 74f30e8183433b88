#!/bin/sh
# Installs the project, "." or ".[dev]", into .venv at the locked versions, and byte-compiles all of it.
set -eu

# uv reads no pip configuration: a package index that is configured for pip is handed on.
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
fi

.venv/bin/uv pip install --python .venv/bin/python --compile-bytecode \
    --constraints constraints/packages.txt --build-constraints constraints/tools.txt --editable "$1"
exec .venv/bin/python -m compileall -q src
