service s <<'X'
exec env --default-signal=QUIT ./main
X
cat > s/main <<'X'
#!/bin/sh
# sh starts jobs in the background with QUIT ignored
for s in QUIT USR1 USR2 WINCH; do trap "echo $s >> got" $s; done
: > got; while :; do sleep 0.05; done
X
chmod 755 s/main
supervise s & p=$!; killed=$p; try test -e s/got; sleep 1.2; for c in q 1 2 w; do svc -$c s; try test -s s/got; cat s/got; : > s/got; done
svc -dx s; wait $p; echo "= $?"
# a session of its own, and signals to all of it
service g <<'X'
sleep 1000 & echo $! > kid
exec sleep 1000
X
: > g/setsid; supervise g & p=$!; killed=$p; up g; try test -s g/kid; pid=$(svstat g | sed 's/.*pid \([0-9]*\).*/\1/'); [ $(cut -d' ' -f6 /proc/$pid/stat) = $pid ] && echo leads
svc -+d -wD -T 10000 g; echo "= $?"; try sh -c "! kill -0 $(cat g/kid)"; svc -=x g; wait $p; echo "= $?"
# without its own group + changes nothing for the others
service h <<'X'
exec sleep 1000
X
sleep 1000 & bystander=$!; supervise h & p=$!; killed="$p $bystander"; up h; svc -+d -wD h; kill -0 $bystander && echo alive; svc -x h; wait $p
# down-signal and timeout-kill
service d <<'X'
trap 'echo USR1 > got; exit 0' USR1; trap : TERM
while :; do sleep 0.05; done
X
echo SIGUSR1 > d/down-signal; supervise d & p=$!; killed=$p; up d; sleep 1; svc -d -wD -T 10000 d; cat d/got; rm d/down-signal; echo 200 > d/timeout-kill; svc -u -wu d; sleep 1; svc -d -wD -T 10000 d; echo "= $?"; svstat -v d | grep -o 'killed by signal 9 (KILL)'; svc -x d; wait $p
