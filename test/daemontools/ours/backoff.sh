service s <<'X'
date +%s >> starts
exit 1
X
echo 3 > s/backoff
supervise s & p=$!; killed=$p; try sh -c '[ $(wc -l < s/starts) -ge 4 ]'; svc -dx s; wait $p; echo "= $?"
# pauses of 1, 2, 3 seconds at least
awk 'NR>1{d=$1-l; if (d+1 < NR-1) print "too soon", NR, d} {l=$1}' s/starts
