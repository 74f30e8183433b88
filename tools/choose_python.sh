#!/bin/sh
# Prints the Python to build the environment with, or says what is missing.
# PYTHON from the environment if given, else the first of python3.13, 3.12, 3.11, python3 and python that serves.

serves() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1
}

makes_environments() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- python3.13 python3.12 python3.11 python3 python
fi

incomplete=
for candidate in "$@"; do
    serves "$candidate" || continue
    if makes_environments "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
    incomplete=${incomplete:-$candidate}
done

if [ -n "$incomplete" ]; then
    echo "$incomplete cannot make virtual environments: its module venv or ensurepip is missing." >&2
    echo "Install it (Debian, Ubuntu: apt install python3-venv) or name another Python: make PYTHON=python3.12" >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "wanted Python 3.11, 3.12 or 3.13; PYTHON=$PYTHON is $("$PYTHON" --version 2>&1 || true)" >&2
else
    echo "wanted Python 3.11, 3.12 or 3.13, found none; install one or name it: make PYTHON=python3.12" >&2
fi
exit 1
