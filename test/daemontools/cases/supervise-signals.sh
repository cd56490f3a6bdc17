service s <<'X'
for s in HUP ALRM INT TERM CONT; do trap "echo $s >> got" $s; done
: > got
while :; do sleep 0.05; done
X
supervise s & p=$!; killed=$p; up s; try test -e s/got; sleep 1.2
for c in h a i t; do svc -$c s; sleep 0.4; cat s/got; : > s/got; done
svc -hai s; sleep 0.6; sort s/got; : > s/got
svc -d s; sleep 0.4; sort s/got; svstat s; : > s/got; svc -u s; sleep 0.3; svstat s; svc -p s; try says s paused; svc -d s;  try sh -c '! svstat s | grep paused'; svstat s; sleep 0.3; sort s/got
svc -dk s; down s; svc -hait s; sleep 0.2; svstat s; svc -zz s; printf 'zzz?' > s/supervise/control; sleep 0.1; svc -x s; wait $p; echo "= $?"
