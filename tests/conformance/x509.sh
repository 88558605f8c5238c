#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Third-party path validation cases (x509-limbo, BetterTLS, PKITS) through `rootedge cert verify`, which decides with the function of the servers.  The cases
# are not part of this repository: they are looked for beside it.  x509.expect.* list by id where we differ from a suite, and why; a suite passes exactly when
# the differences are those.
here=$(cd "$(dirname "$0")" && pwd)
root=${ROOTEDGE_ROOT:-$(cd "$here/../.." && pwd)}
build=${ROOTEDGE_BUILD:-$root/build}
suites=$root/../shared/suites/x509
tool=$build/cmd/rootedge
n=0
skip() { printf "1..1\nok 1 - path validation suites # SKIP %s\n" "$1"; exit 0; }

[ -f "$suites/run_limbo.py" ] || skip "the suites are not beside the repository (../shared/suites/x509)"
[ -x "$tool" ] || { echo "1..1"; echo "not ok 1 - $tool is not built"; exit 1; }

run() { # NAME LIST SUITE OPTIONS...
	local name=$1 list=$2 suite=$3 out
	shift 3
	n=$((n + 1))
	if out=$(python3 "$suites/run_limbo.py" "$suites/$suite" --expect "$here/x509.expect.$list" "$@" -- "$tool" cert verify); then
		echo "ok $n - $name: $(printf '%s\n' "$out" | grep '^# cases' | tail -n 1 | cut -c3-), each difference listed"
	else
		echo "not ok $n - $name differs from its list"
		printf '%s\n' "$out" | grep -E '^UNEXPECTED|^slow|passed,' | sed 's/^/# /'
		status=1
	fi
}

status=0
echo "1..5"
run 'server certificates' server limbo.json --batch
run 'client certificates' client limbo-client.json --batch
run 'BetterTLS' bettertls bettertls-small.limbo.json --batch --skip-feature soft
run 'PKITS' pkits pkits.limbo.json --batch \
	--skip-feature policy-input --skip-feature policies --skip-feature crl-distribution-points --skip-feature delta-crl --skip-feature dsa
# Some of them again as processes of their own: the contract of the exit statuses.
run 'one process a case' server limbo.json --only 'rfc5280::san::*' --only 'rfc5280::nc::nc-permits-email-*'
exit $status
