service s <<'X'
trap 'echo USR1 > got' USR1
while :; do sleep 0.05; [ ! -e leave ] || exit 3; done
X
cat > s/notify <<'X'
#!/bin/sh
echo "$1 $2 $4" >> told; [ "$2" = start ] && [ "$3" = "$(svstat -o pid .)" ] && echo pid >> told
X
chmod 755 s/notify; echo USR1 > s/reload-signal
supervise s & p=$!; killed=$p; up s; try grep -q pid s/told; sleep 1.1; svc -h s; has s/got USR1; : > s/leave; has s/told 'run exit 3'; rm s/leave
has s/told 'run exit 3'; up s; sleep 1.1; svc -k s; has s/told 'run killed 9'
# The third start must be there to be killed, and nobody waits for ./notify.
try sh -c '[ $(grep -c start s/told) -gt $(grep -c "exit\|killed" s/told) ]'; svc -dx s; wait $p; echo "= $?"; has s/told 'run killed 15'; sort -u s/told
# values for scripts
service t <<'X'
exit 7
X
supervise t & p=$!; killed=$p; try sh -c 'svstat -o exitcode t | grep -x 7'; svstat -o normallyup,wantedup,paused,signal,exitcode t; svc -dx -wD t; wait $p
show svstat -o up t; show svstat -o; show svstat -o up,no t
