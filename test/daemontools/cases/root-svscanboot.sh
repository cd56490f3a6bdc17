# as process 1 of a namespace, with a folder /etc of its own
service old <<'X'
exec sleep 1000
X
service new <<'X'
tr '\0' '\n' < /proc/$$/environ > environ; for f in 0 1 2; do readlink /proc/$$/fd/$f; done > fds.new; mv fds.new fds; echo words of new >&2
exec sleep 1000
X
service old/log <<'X'
exec sleep 1000
X
mkdir -p etc/service; mv old new etc/service
cat > inner <<'X'
mount --bind $bin /usr/local/bin; mount --bind etc /etc; cd /etc/service; PATH=$bin:$PATH
supervise old & p=$!; (cd old; exec supervise log) & l=$!; up old; up old/log
pid=$(svstat old | sed 's/.*pid \([0-9]*\).*/\1/'); sleep 1.2
X=1 HOME=/nowhere svscanboot junk & b=$!
wait $p; echo "= $?"; wait $l; echo "= $?"; up old; up old/log; up new; try test -s new/fds
[ $(svstat old | sed 's/.*pid \([0-9]*\).*/\1/') != $pid ] && echo started again
cat new/environ; sed 's/pipe:.*/pipe/' new/fds
r=$(pgrep -x readproctitle); try grep -q 'words of new' /proc/$r/cmdline; tr '\0' ' ' < /proc/$r/cmdline | head -c 33; echo; tr -d '\0' < /proc/$r/cmdline | wc -c
tr '\0' '\n' < /proc/$r/environ; s=$(pgrep -x svscan); tr '\0' ' ' < /proc/$s/cmdline; echo; tr '\0' '\n' < /proc/$s/environ
for f in 0 1 2; do readlink /proc/$b/fd/$f; readlink /proc/$s/fd/$f; readlink /proc/$r/fd/$f; done | sed 's/pipe:.*/pipe/'
[ "$(cut -d' ' -f4 /proc/$s/stat)" = $b ] && echo parent of svscan; kill -0 $b && echo stays
kill -9 $s $r; for q in $(pgrep -x supervise); do kill -9 $q; done
X
unshare -mpf --mount-proc sh -c '. "$0"; . ./inner' "$(dirname "$prelude")/prelude.sh" 2>&1
