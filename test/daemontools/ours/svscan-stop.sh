mkdir s t
service t/one <<'X'
exec sleep 1000
X
service t/two <<'X'
trap 'echo last words; exit 0' TERM
echo first words; while :; do sleep 0.05; done
X
service t/two/log <<'X'
exec multilog ./main
X
svscan s 2>err & p=$!; killed=$p; sleep 0.5
# a link is picked up at once, not after five seconds
ln -s ../t/one ../t/two s/; n=0; until svstat s/one | grep -q ': up'; do sleep 0.1; n=$((n+1)); done; [ $n -lt 40 ] && echo at once; up s/two; up s/two/log; has t/two/log/main/current first; sleep 1
kill -TERM $p; wait $p; echo "= $?"; cat err; cat t/two/log/main/current; stat -c %a t/two/log/main/current; show svok t/one; show svok t/two; show svok t/two/log
# HUP stops what has gone from the directory
svscan s & p=$!; killed=$p; up s/one; up s/two/log; sleep 1; rm s/two; kill -HUP $p; gone t/two; gone t/two/log; svstat t/one; kill -TERM $p; wait $p; echo "= $?"
# QUIT, and a service whose child holds the pipe
service t/two <<'X'
(trap '' TERM; sleep 1000) & echo $! > holder; exec sleep 1000
X
ln -s ../t/two s/; env --default-signal=QUIT svscan s & p=$!; killed=$p; up s/two/log; up s/two; sleep 1; kill -QUIT $p; wait $p; echo "= $?"; kill $(cat t/two/holder)
# the end of the main service is the end
service m/main <<'X'
sleep 1; : > down; exec svc -x .
X
cat > m/main/run <<'X'
#!/bin/sh
svc -x .
sleep 1.2
exit 7
X
SVSCAN_MAIN=main show svscan m
