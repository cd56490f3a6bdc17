service s <<'X'
exec sleep 1000
X
supervise s & p=$!; killed=$p; up s; kill -TERM $p; wait $p; echo "= $?"; od -An -tu4 -j12 -N4 s/supervise/status
supervise s & p=$!; killed=$p; up s; kill -HUP $p; sleep 1.3; svstat s; try sh -c 'svc -t s; ! svok s'; wait $p; echo "= $?"
supervise s & p=$!; killed=$p; up s; pid=$(svstat s | sed 's/.*pid \([0-9]*\).*/\1/'); kill -9 $p; wait $p 2>/dev/null; kill -0 $pid && echo stays; kill $pid
# a read-only service directory
mkdir -p "$PWD/run"; SUPERVISEDIR=$PWD/run; export SUPERVISEDIR; supervise s & p=$!; killed=$p; up s; svstat s; ls run | sed "s/.*:s$/path:s/"; ls run/* | sort; svc -dx -wD s; wait $p; echo "= $?"; show svok s
# signals reach the supervise of a service that never lives long
service short <<'X'
exit 1
X
for g in TERM HUP; do supervise short & p=$!; killed=$p; try svok short; sleep 1.2; kill -$g $p; wait $p; echo "$g = $?"; done
