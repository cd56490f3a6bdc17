service s <<'X'
h=$(cat how)
case $h in exit*) $h;; kill) kill -9 $$;; stay) exec sleep 1000;; esac
X
cat > s/finish <<'X'
#!/bin/sh
echo "$1 $2 $3" >> ended
[ ! -e slow ] || exec sleep 1000
[ ! -e fail ] || exit 125
X
chmod 755 s/finish; echo 'exit 3' > s/how
supervise s & p=$!; killed=$p; has s/ended '^3 0 s'; echo kill > s/how; has s/ended '^256 9 s'; svstat -v s | grep -o 'last death: [a-z]*'
echo stay > s/how; : > s/slow; echo 300 > s/timeout-finish; up s; sleep 1.1; svc -d -wD s; show svstat s; rm s/slow
: > s/fail; echo 'exit 1' > s/how; svc -u s; try sh -c 'svstat -v s | grep failed'; svstat s; rm s/fail; echo stay > s/how; svc -u -wu -T 10000 s; svstat s
svc -dx s; wait $p; echo "= $?"
