mkdir s; service s/a <<'X'
(sleep 0.2; echo orphan >&2) & (sleep 1000 &) ; exec sleep 1000
X
unshare -pf --mount-proc sh -c 'cd s; exec svscan' 2>err & u=$!; killed=$u; up s/a; has err orphan; sleep 1; c=$(pgrep -P $u); ps -o stat= --ppid $c | grep -c Z
# what ends other programs does not end process 1
for g in USR1 USR2 WINCH PWR ABRT SEGV TSTP TTIN XCPU SYS VTALRM RTMIN+3 ALRM HUP; do kill -$g $c; done; try says s/a ': up'; kill -0 $c && echo still there
kill -TERM $c; wait $u; echo "= $?"; show svok s/a
# INT (Ctrl-C of docker run) and QUIT stop in order as well
for g in INT QUIT; do
env --default-signal=INT,QUIT unshare -pf --mount-proc sh -c 'cd s; exec svscan' 2>err & u=$!; killed=$u; up s/a; has err orphan; sleep 1; kill -$g $(pgrep -P $u); wait $u; echo "$g = $?"; cat err; show svok s/a
done
# the container ends with the main service, and with its code
service m/main <<'X'
svc -x .; sleep 1.2; exit 7
X
service m/other <<'X'
exec sleep 1000
X
SVSCAN_MAIN=main show unshare -pf --mount-proc sh -c 'cd m; exec svscan'; show svok m/other
service m/main <<'X'
svc -x .; sleep 1.2; kill -9 $$
X
SVSCAN_MAIN=main show unshare -pf --mount-proc sh -c 'cd m; exec svscan'
