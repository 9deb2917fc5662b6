# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Sourced by what runs several tests: adds up their results and closes with the
# line 'N passed, N failed, N skipped', which all of them end with.

passed=0 failed=0 skipped=0
tally_log=$(mktemp)
tally_beside_log=$(mktemp) tally_beside_pid=
trap 'rm -f "$tally_log" "$tally_beside_log"
	[ -z "$tally_beside_pid" ] || kill "$tally_beside_pid" 2>/dev/null' EXIT

# tally COMMAND...: one that closes with such a line; without one, or with a bad
# status, it has failed.
tally() {
	local line status p f s

	"$@" 2>&1 | tee "$tally_log"
	status=${PIPESTATUS[0]}
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$tally_log" |
		tail -n 1)
	read -r p f s < <(tr -dc '0-9 \n' <<<"${line:-0 1 0}")
	[ "$status" -ne 0 ] && [ "$f" -eq 0 ] && f=1
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	[ "$f" -eq 0 ]
}

# tally_beside COMMAND...: begins one that runs beside those that follow, until
# tally_wait, which shows and counts it. One at a time.
tally_beside() {
	"$@" >"$tally_beside_log" 2>&1 &
	tally_beside_pid=$!
}

tally_wait() {
	local status=0

	wait "$tally_beside_pid" || status=$?
	tally_beside_pid=
	tally tally_said "$status"
}

tally_said() {
	cat "$tally_beside_log"
	return "$1"
}

# tally_one NAME COMMAND...: one test, whose output is shown if it fails.
tally_one() {
	local name=$1
	shift
	if "$@" >"$tally_log" 2>&1; then
		passed=$((passed + 1))
		echo "ok   $name"
	else
		failed=$((failed + 1))
		cat "$tally_log"
		echo "FAIL $name"
		return 1
	fi
}

# The closing line, and the exit status that belongs to it.
tally_end() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}
