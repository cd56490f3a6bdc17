service s <<'X'
for s in HUP ALRM INT TERM CONT; do trap "echo $s >> got" $s; done
: > got
while :; do sleep 0.05; done
X
supervise s & p=$!; killed=$p; up s; try test -e s/got; sleep 1.2
lines() { try sh -c "[ \$(wc -l < s/got) -ge $1 ]"; }
for c in h a t; do svc -$c s; lines 1; cat s/got; : > s/got; done; svc -i s
svc -hai s; lines 2; sort s/got; : > s/got
svc -d s; lines 2; sort s/got; try says s 'want down'; svstat s; : > s/got; svc -u s; try sh -c '! svstat s | grep want'; svstat s; svc -p s; try says s paused; svc -d s;  try sh -c '! svstat s | grep paused'; svstat s; lines 2; sort s/got
svc -dk s; down s; svc -hait s; sleep 0.2; svstat s; svc -zz s; printf 'zzz?' > s/supervise/control; sleep 0.1; svc -x s; wait $p; echo "= $?"
