mkdir s; service s/a <<'X'
(sleep 0.2; echo orphan >&2) & (sleep 1000 &) ; exec sleep 1000
X
unshare -pf --mount-proc sh -c 'cd s; exec svscan' 2>err & u=$!; killed=$u; up s/a; has err orphan; sleep 1; c=$(pgrep -P $u); ps -o stat= --ppid $c | grep -c Z; kill -TERM $c; wait $u; echo "= $?"; show svok s/a
