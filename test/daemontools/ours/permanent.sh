service s <<'X'
echo x >> starts
exit 100
X
: > s/permanent-failures
supervise s & p=$!; killed=$p; try sh -c 'svstat -v s | grep failed'; svstat s; wc -l < s/starts; sleep 1.5; wc -l < s/starts; svstat -j s | grep -o '"exit_code":100'; svc -u s; try sh -c '[ $(wc -l < s/starts) = 2 ]'; svc -x s; wait $p; echo "= $?"
rm s/permanent-failures; supervise s & p=$!; killed=$p; try sh -c '[ $(wc -l < s/starts) -ge 4 ]'; svc -dx s; wait $p; echo "= $?"
