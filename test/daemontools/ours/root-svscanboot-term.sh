# as process 1 of a namespace, with a folder /etc of its own: what systemd says
# to svscanboot is said to svscan
service a <<'X'
exec sleep 1000
X
mkdir -p etc/service; mv a etc/service
cat > inner <<'X'
mount --bind $bin /usr/local/bin; mount --bind etc /etc; cd /etc/service; PATH=$bin:$PATH
svscanboot & b=$!; up a; kill -HUP $b; kill -0 $b && echo stays
kill -TERM $b; wait $b; echo "= $?"; svok a; echo "$?"; pgrep -x supervise || pgrep -x svscan || pgrep -x readproctitle || echo all gone
X
unshare -mpf --mount-proc sh -c '. "$0"; . ./inner' "$(dirname "$prelude")/prelude.sh" 2>&1
