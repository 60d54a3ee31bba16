# For the scripts beside this: what they say, and how they wait.

say() { printf '  %s\n' "$*" >&2; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# Runs a command quietly, tells every 5 s that it still runs, shows what it said when it fails.
patiently() {
    doing=$1; shift
    output=$(mktemp)
    "$@" >"$output" 2>&1 &
    worker=$!
    passed=0
    while kill -0 "$worker" 2>/dev/null; do
        sleep 1
        passed=$((passed + 1))
        [ $((passed % 5)) -ne 0 ] || say "$doing ... $passed s"
    done
    if wait "$worker"; then
        say "$doing: done ($passed s)"
        rm -f "$output"
    else
        cat "$output" >&2
        rm -f "$output"
        fail "$doing failed."
    fi
}
