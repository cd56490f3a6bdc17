# in a mount namespace of its own: a status disk without room
mkdir s; service s <<'X'
exec sleep 1000
X
cat > inner <<'X'
mkdir -p s/supervise; mount -t tmpfs -o size=16k none s/supervise
supervise s 2>err & p=$!
try svok s; up s; head -c 100000 /dev/zero > s/supervise/fill 2>/dev/null; svc -p s; has err 'out of disk space'; sort -u err; svc -c s; rm s/supervise/fill; svc -p s; try says s paused; svstat s; svc -dx s; wait $p; echo "= $?"
X
unshare -m sh -c '. "$0"; . ./inner' "$(dirname "$prelude")/prelude.sh"
# multilog on a full disk: waits, loses nothing
cat > inner <<'X'
mkdir l; mount -t tmpfs -o size=40k none l; head -c 30000 /dev/zero > l/fill
seq 1 5000 | multilog s16777215 n5 ./l 2>err & p=$!
has err 'out of disk space'; sort -u err; rm l/fill; wait $p; echo "= $?"; seq 1 5000 | cmp - l/current && echo complete
X
unshare -m sh -c '. "$0"; . ./inner' "$(dirname "$prelude")/prelude.sh"
# under svscan with a neighbour: only the one on the full disk has something to say
service n <<'X'
exec sleep 1000
X
cat > inner <<'X'
mkdir svc; ln -s ../s ../n svc/; mount -t tmpfs -o size=16k none s/supervise
svscan svc 2>>err3 & p=$!
up s; up n; head -c 100000 /dev/zero > s/supervise/fill 2>/dev/null; kill $(svstat -o pid s) $(svstat -o pid n); has err3 'out of disk space'; up n
try sh -c "[ \$(svstat -o starts n) = 2 ]"; svstat n; sort -u err3; rm s/supervise/fill; kill -9 $(pgrep -P $(pgrep -P $p -f '^supervise s$')); try sh -c "[ \$(svstat -o starts s) = 3 ]"; svstat s; kill -TERM $p; wait $p; echo "= $?"
X
unshare -m sh -c '. "$0"; . ./inner' "$(dirname "$prelude")/prelude.sh"
