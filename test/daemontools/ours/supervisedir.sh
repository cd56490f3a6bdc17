# an absolute $SUPERVISEDIR holds the files of all services, whose directories
# may be read-only and reached over links
mkdir s t state; SUPERVISEDIR=$PWD/state; export SUPERVISEDIR; here=$(pwd -P | sed 's|^/||; s|/|:|g')
service t/two <<'X'
trap 'i=0; while [ $i -lt 3000 ]; do echo last words $i; i=$((i+1)); done; exit 0' TERM
echo first words; while :; do sleep 0.05; done
X
mkdir t/main
service t/two/log <<X
exec multilog $PWD/main
X
ln -s ../t/two s/; svscan s & p=$!; killed=$p; up s/two; up s/two/log; up t/two; has main/current first; sleep 1.2
ls state | sed "s|$here|HERE|"; ls t/two t/two/log; svstat s/two; svc -p s/two; try says s/two paused; svc -c s/two; show svok s/two
kill -TERM $p; wait $p; echo "= $?"; tail -1 main/current; grep -c last main/current; stat -c %a main/current; show svok t/two; show svok t/two/log
# the exit code of the main service is found there as well
service m/main <<'X'
svc -x .; sleep 1.2; exit 9
X
SVSCAN_MAIN=main show svscan m; test -e m/main/supervise || echo clean
# a relative one is a folder of each service
SUPERVISEDIR=.sv; supervise m/main & wait $!; ls m/main/.sv
