service s <<'X'
while [ ! -e go ]; do sleep 0.05; done
echo >&7
exec 7>&-
exec sleep 1000
X
echo 7 > s/notification-fd
supervise s & p=$!; killed=$p; up s; svstat -v s | grep -o starting; show svup s; show svwait -U -T 100 s; show svc -wU -T 100 s; touch s/go; show svwait -U -T 10000 s; show svup s; svstat -v s | grep -o 'running, ready'; svstat s
svstat -j s | sed 's/[0-9]\{3,\}[.0-9]*/N/g;s/"seconds":[0-9]*/"seconds":N/'
sleep 1; svc -t s; svwait -D -T 200 s; echo "= $?"; show svc -dx -wD -T 10000 s; wait $p; show svup s
show svwait -u s; show svwait -T x s; show svwait; show svup; show svc -wd -T; show svc -wu nowhere; show svup nowhere
# descriptors: only what it should have
service t <<'X'
for f in 3 4 5 6; do [ -e /proc/$$/fd/$f ] && echo $f; done > fds.new; mv fds.new fds
exec sleep 1000
X
echo 5 > t/notification-fd; supervise t & p=$!; killed=$p; up t; try test -e t/fds; cat t/fds; svc -dx t; wait $p
