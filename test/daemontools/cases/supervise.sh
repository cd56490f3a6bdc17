service s <<'X'
echo start >> starts
exec sleep 1000
X
supervise s & p=$!; killed=$p; up s; svstat s; show svok s; show svok s extra
for f in control lock ok status; do stat -c '%n %a %F' s/supervise/$f; done; stat -c %a s/supervise
wc -c < s/supervise/status; od -An -tx1 -j0 -N5 s/supervise/status; od -An -tx1 -j16 s/supervise/status
pid=$(svstat s | sed 's/.*pid \([0-9]*\).*/\1/'); [ "$(od -An -tu4 -j12 -N4 s/supervise/status | tr -d ' ')" = $pid ] && echo little-endian
ls /proc/$pid/fd | sort -n | head -3 | tr '\n' ' '; ls -l /proc/$pid/fd | grep -c supervise; tr '\0' ' ' < /proc/$pid/cmdline; echo
readlink /proc/$pid/cwd | sed 's/.*\///'; grep -E 'Sig(Blk|Ign|Cgt)' /proc/$pid/status
[ "$(cut -d' ' -f5 /proc/$pid/stat)" = "$(cut -d' ' -f5 /proc/$p/stat)" ] && echo same group
show supervise s
svc -p s; try says s paused; svstat s; od -An -tx1 -j16 s/supervise/status; svc -c s; try sh -c '! svstat s | grep paused'; svstat s
svc -d s; down s; svstat s;  od -An -tx1 -j12 s/supervise/status; touch s/down; svstat s; svc -u s; up s; svstat s; svc -p s; try says s paused; svstat s; svc -d s; down s; svstat s
svc -o s; up s; svstat s;  od -An -tx1 -j16 s/supervise/status; svc -k s; down s; svstat s
svc -u s; up s; svc -o s; sleep 1.2; svc -t s; down s; svstat s; rm s/down; svstat s
svc -u s; up s; svc -x s; sleep 1.3; show svok s; svstat s; svc -t s; gone s; show svok s; svstat s; wait $p; echo "= $?"; show svc -u s
ls s/supervise | grep -v state
supervise s & p=$!; killed=$p; up s; svc -dx s; gone s; wait $p; echo "= $?"
touch s/down; supervise s & p=$!; killed=$p; try svok s; svstat s; svc -x s; wait $p; echo "= $?"
sed -n 1p s/starts
